"""Wrong data, damaged files and failing disks: one clear message, exit code 2, and nothing that was there is harmed."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_path import command, install_module, install_toys
from toy_analysis import write_toy_analysis

FAULTY = '''
import os
import signal
from typing import ClassVar, Literal
import numpy as np
from hepimg.components import Field
from hepimg.hooks import hookimpl
from hepimg_toys import ToyJets

class Faulty(ToyJets):
    """Toy jets with one fault in the first batch."""
    name: ClassVar[str] = "faulty"
    fault: str = Field("none", description="what is wrong")

    def batches(self, shard):
        for number, sample in enumerate(super().batches(shard)):
            if number == 1 and shard.index == 1:
                sample = self.spoil(sample)
            yield sample

    def spoil(self, sample):
        if self.fault == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        constituents = sample.collection("constituents")
        field, value = {"nan": ("pt", np.nan), "infinity": ("y", np.inf), "negative": ("pt", -1.0),
                        "absurd": ("phi", 270.0), "far": ("y", 999.9), "huge": ("pt", 1e30),
                        "column": ("mass", np.nan), "shape": ("", 0)}[self.fault]
        if self.fault == "column":
            mass = sample.column("mass").copy()
            mass[3] = value
            return sample.with_columns(mass=mass)
        if self.fault == "shape":
            return sample.with_columns(mass=sample.column("mass")[:-1])
        values = constituents[field].copy()
        values[7] = value
        return sample.with_collection("constituents", constituents.with_fields(**{field: values}))

@hookimpl
def hepimg_sources():
    return [Faulty]
'''

CASES = {
    "nan": ("pt = nan", "needed: finite, not negative"),
    "infinity": ("y = inf", "needed: finite"),
    "negative": ("pt = -1", "not negative"),
    "absurd": ("phi = 270", "angles in radians"),
    "far": ("y = 999.9", "at most 25"),
    "huge": ("pt = 1e+30", "at most 1e+06"),
    "column": ("mass = nan", "row 3 (event"),
    "shape": ("mass has 249 rows", "needed: 250"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH with the toys and a source of faults."""
    folder = tmp_path_factory.mktemp("plugins")
    install_module(folder / "faulty", "faulty", FAULTY)
    return f"{folder / 'faulty'}:{install_toys(folder / 'toys')}"


@pytest.mark.parametrize("fault", CASES)
def test_wrong_numbers_are_refused_where_they_enter(tmp_path: Path, path: str, fault: str) -> None:
    analysis = write_toy_analysis(tmp_path)
    analysis.write_text(analysis.read_text().replace("source: toy_jets, pause: 0.0", f"source: faulty, fault: {fault}"))
    done = command("data", analysis, "--jobs", "1", "--set", "data.shard=300", path=path, cache=tmp_path / "cache")
    assert done.returncode == 2, done.stderr
    message = done.stderr.splitlines()[-1]
    assert "sample one, shard 1" in message or fault == "shape"
    assert all(words in message for words in CASES[fault]), message
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "cache").rglob("00000.arrow")), "the shard that was finished before is kept"
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def run(analysis: Path, tmp_path: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("run", analysis, "--out", tmp_path / "results", *arguments, path=path, cache=tmp_path / "cache")


@pytest.fixture
def fisher_only(tmp_path: Path) -> Path:
    """A quick analysis: no network."""
    analysis = write_toy_analysis(tmp_path)
    text = analysis.read_text()
    head, tail = text[: text.index("tasks:")], text[text.index("evaluate:") :]
    tasks = "tasks:\n  fisher: {task: fisher, signal: two, observables: [mass, tau21]}\n"
    analysis.write_text(head + tasks + tail.replace("[tag.score, trees.score, stack.score]", "[fisher.score]"))
    return analysis


def test_damaged_files_of_the_cache_are_told_and_healed_by_removing_them(
    tmp_path: Path, path: str, fisher_only: Path
) -> None:
    assert run(fisher_only, tmp_path, path).returncode == 0
    metrics = (tmp_path / "results" / "metrics.json").read_bytes()
    shard = next((tmp_path / "cache" / "data").rglob("00001.arrow"))
    whole = shard.read_bytes()

    shard.write_bytes(whole[:5000])
    done = run(fisher_only, tmp_path, path)
    assert done.returncode == 2
    assert f"{shard}: a truncated shard of 5000 bytes; needed: {len(whole)} bytes" in done.stderr
    assert (tmp_path / "results" / "metrics.json").read_bytes() == metrics

    shard.write_bytes(whole[:3000] + b"\xff" * 8 + whole[3008:])
    done = command("data", fisher_only, "--verify", path=path, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert "a damaged shard: its checksum is wrong" in done.stderr

    shard.with_suffix(".json").unlink()
    shard.unlink()
    assert run(fisher_only, tmp_path, path).returncode == 0
    assert shard.read_bytes() == whole
    assert (tmp_path / "results" / "metrics.json").read_bytes() == metrics


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_offered_as_a_state_is_refused(tmp_path: Path, path: str, fisher_only: Path) -> None:
    assert run(fisher_only, tmp_path, path).returncode == 0
    state = next((tmp_path / "cache" / "fit").rglob("state.safetensors"))
    state.write_bytes(pickle.dumps(Harmful(tmp_path / "owned")))
    done = run(fisher_only, tmp_path, path)
    assert done.returncode == 2
    assert f"{state}: a pickle or archive, which is never loaded; needed: safetensors" in done.stderr
    assert not (tmp_path / "owned").exists()


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, path: str, fisher_only: Path
) -> None:
    readonly = Path("/proc/hepimg") if os.geteuid() == 0 else tmp_path / "readonly"
    if os.geteuid():
        readonly.mkdir(mode=0o555)
    done = command("run", fisher_only, "--out", readonly / "x", path=path, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert "cannot write results" in done.stderr
    assert "--out" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, path: str, fisher_only: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    done = run(fisher_only, tmp_path, path)
    assert done.returncode == 2
    assert "HEPIMG_CACHE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, path: str, fisher_only: Path) -> None:
    assert command("data", fisher_only, "--set", "data.rows=250", path=path, cache=tmp_path / "cache").returncode == 0
    before = {file: file.read_bytes() for file in (tmp_path / "cache").rglob("*.arrow")}
    program = "import sys; from hepimg.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "data", str(fisher_only), "--jobs", "1"],
        env=os.environ | {"PYTHONPATH": path, "HEPIMG_CACHE": str(tmp_path / "cache")},
        # No file may grow beyond 20 kB: what a full disk does to a shard.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "00001.arrow: cannot write" in done.stderr
    assert "what was finished is kept" in done.stderr
    assert {file: file.read_bytes() for file in (tmp_path / "cache").rglob("*.arrow")} == before
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    assert command("data", fisher_only, path=path, cache=tmp_path / "cache").returncode == 0


def test_a_fault_of_a_task_is_named_and_its_traceback_kept(tmp_path: Path, path: str, fisher_only: Path) -> None:
    task = "fisher: {task: fisher, signal: two, observables: [mass, tau21]}"
    fisher_only.write_text(fisher_only.read_text().replace(task, "fisher: {task: toy_fit_raises}"))
    done = run(fisher_only, tmp_path, path)
    assert done.returncode == 1, done.stderr
    words = (
        "plugin hepimg_toys_broken: task fisher, training: toy_fit_raises: RuntimeError: toy_fit_raises always raises"
    )
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "raise RuntimeError" in (tmp_path / "results" / "log.txt").read_text()


def test_a_dead_worker_is_told_with_its_shard(tmp_path: Path, path: str, fisher_only: Path) -> None:
    fisher_only.write_text(fisher_only.read_text().replace("toy_jets, pause: 0.0", "faulty, fault: dies"))
    done = command("data", fisher_only, "--jobs", "1", "--set", "data.shard=300", path=path, cache=tmp_path / "cache")
    assert done.returncode == 1, done.stderr
    assert "sample one, shard 1: a worker process died: out of memory" in done.stderr
    assert list((tmp_path / "cache").rglob("00000.arrow")), "the shard that was finished before is kept"


def test_a_fault_of_a_source_is_named_with_its_shard(tmp_path: Path, path: str, fisher_only: Path) -> None:
    text = fisher_only.read_text().replace("source: toy_jets, pause: 0.0", "source: faulty, fault: raises")
    fisher_only.write_text(text)
    done = run(fisher_only, tmp_path, path, "--jobs", "1", "--set", "data.shard=300")
    assert done.returncode == 1, done.stderr
    assert "plugin plugin_faulty: sample one, shard 1: faulty: KeyError: 'raises'" in done.stderr
    assert "Traceback" not in done.stderr
    assert "in spoil" in (tmp_path / "results" / "log.txt").read_text()
