"""Bad files of every source, the whole way of a user: ``hepimg data`` on a good sample and a bad one.

Each ends in exit code 2 and one line that names the bad file; the shards of the good sample stay, and once the file is
mended the same command succeeds without making them again.
"""

from __future__ import annotations

import os
import pickle
import queue
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import examples
import pytest
import yaml
from bad_files import BAD, Bad

from hepimg import generate
from hepimg.cli import main
from hepimg_files.hepmc import stream
from plugin_path import command

EXTERNAL = os.environ.get("HEPIMG_TEST_DATA", "")
PYTHONPATH = os.pathsep.join(path for path in sys.path if path)
PROGRESS = "data good, spoilt: "


class InProcess(Executor):
    """Work done at once, in this process; what goes over and comes back is pickled, as between processes."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*pickle.loads(pickle.dumps(args))))
        except Exception as error:
            future.set_exception(pickle.loads(pickle.dumps(error)))
        return future


@contextmanager
def no_processes(jobs: int, scheduler: str | None) -> Iterator[tuple[Executor, Any]]:
    yield InProcess(), queue.Queue()


def write_files(case: Bad, folder: Path) -> Path:
    """A good file and the one to be damaged, each in a folder of its own; gives the latter."""
    for name, options in (("good", good_source(case)), ("spoilt", {"source": case.source, **case.options})):
        external = Path(EXTERNAL) if EXTERNAL else None
        if not examples.write_example({**options, "files": "rows.dat"}, folder / name, external):
            pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    shutil.copytree(folder / "spoilt", folder / "kept")
    return folder / "spoilt" / "rows.dat"


def good_source(case: Bad) -> dict[str, Any]:
    """The source of the good sample: the same, but a quicker one beside the external files."""
    if case.source in examples.EXTERNAL:
        return {"source": "jetclass"}
    return {"source": case.source, **case.options}


def write_analysis(case: Bad, folder: Path, only_bad: Mapping[str, Any]) -> Path:
    """The sample of the good file, then that of the other."""
    samples = {"good": good_source(case), "spoilt": {"source": case.source, **case.options, **only_bad}}
    for name, options in samples.items():
        options["files"] = str(folder / name / "rows.dat")
        if "binning" in options:
            options["binning"] = str(folder / name / "binning.xml")
    content = {"title": "Good and bad", "seed": 1, "data": {"source": case.source}, "samples": samples}
    path = folder / "analysis.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def shards(cache: Path) -> dict[Path, int]:
    """The finished shards of the cache and when they were written."""
    return {path: path.with_suffix(".arrow").stat().st_mtime_ns for path in cache.rglob("0*.json")}


def check_message(case: Bad, stderr: str, folder: Path) -> bool:
    """One line that names the bad file; beside it the progress.  Whether shards were being made already."""
    lines = stderr.splitlines()
    messages = [line for line in lines if not line.startswith(PROGRESS)]
    assert len(messages) == 1, stderr
    assert messages[0].startswith("hepimg: ")
    assert str(folder / "spoilt") in messages[0]
    assert str(folder / "good") not in messages[0]
    assert re.search(case.says, messages[0]), messages[0]
    assert "Warning" not in messages[0]
    return len(lines) > 1


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_error_and_nothing_is_lost(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case, cache = BAD[name], tmp_path / "cache"
    bad = write_files(case, tmp_path)
    case.damage(bad)
    monkeypatch.setattr(generate, "start_workers", no_processes)
    monkeypatch.setattr(stream, "MAX_EVENT", 4 << 20)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # typer sets its own
    monkeypatch.setattr(sys, "argv", ["hepimg", "data", str(tmp_path / "analysis.yaml"), "--jobs", "1"])

    write_analysis(case, tmp_path, case.only_bad)
    with pytest.raises(SystemExit) as failed:
        main()
    begun, before = check_message(case, capfd.readouterr().err, tmp_path), shards(cache)
    assert failed.value.code == 2
    assert len(before) == (1 if begun else 0)
    assert not [*cache.rglob("*.tmp")]

    shutil.copytree(tmp_path / "kept", tmp_path / "spoilt", dirs_exist_ok=True)
    write_analysis(case, tmp_path, {})
    with pytest.raises(SystemExit) as mended:
        main()
    assert not mended.value.code, capfd.readouterr().err
    assert shards(cache).items() > before.items()


@pytest.mark.parametrize("name", ["lagan, NaN", "hepmc, infinity"])
def test_the_same_from_a_worker_process(name: str, tmp_path: Path) -> None:
    case, cache = BAD[name], tmp_path / "cache"
    bad = write_files(case, tmp_path)
    case.damage(bad)
    analysis = write_analysis(case, tmp_path, {})
    failed = command("data", analysis, "--jobs", "1", path=PYTHONPATH, cache=cache)
    assert failed.returncode == 2, failed.stderr
    before = shards(cache)
    assert check_message(case, failed.stderr, tmp_path)
    assert len(before) == 1
    shutil.copytree(tmp_path / "kept", tmp_path / "spoilt", dirs_exist_ok=True)
    mended = command("data", analysis, "--jobs", "1", path=PYTHONPATH, cache=cache)
    assert mended.returncode == 0, mended.stderr
    assert shards(cache).items() > before.items()


def test_the_table_covers_every_source_of_files() -> None:
    sources = {case.source for case in BAD.values()}
    assert sources >= {*examples.WRITERS, *examples.EXTERNAL, "calochallenge"}
    assert len(BAD) >= 40
