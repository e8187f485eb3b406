"""A killed run goes on with the same command and ends with the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugin_path import install_toys
from toy_analysis import write_toy_analysis


def start(analysis: Path, path: str, cache: Path, out: Path) -> subprocess.Popen[bytes]:
    program = "import sys; from hepimg.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "run", str(analysis), "--out", str(out), "--jobs", "2"],
        env=os.environ | {"PYTHONPATH": path, "HEPIMG_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_until_done(analysis: Path, path: str, folder: Path, kills: int, longest: float, seed: int) -> int:
    """Kill the run at random times, continue it each time; the number of kills that hit it alive."""
    chance, hits = random.Random(seed), 0
    while True:
        process = start(analysis, path, folder / "cache", folder / "results")
        if hits < kills:
            try:
                process.wait(chance.uniform(0.2, longest))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                hits += 1
                continue
        assert process.wait(300) == 0
        return hits


def rehearse(tmp_path: Path, kills: int) -> int:
    """Compare interrupted runs with an uninterrupted one until there were enough kills; the number of chains."""
    path = install_toys(tmp_path / "plugins")
    analysis = write_toy_analysis(tmp_path, pause=0.2)
    began = time.monotonic()
    assert start(analysis, path, tmp_path / "whole" / "cache", tmp_path / "whole" / "results").wait(300) == 0
    longest = time.monotonic() - began
    expected = (tmp_path / "whole" / "results" / "metrics.json").read_bytes()
    done = chains = 0
    while done < kills:
        folder = tmp_path / f"chain{chains}"
        done += kill_until_done(analysis, path, folder, kills - done, longest, seed=chains)
        assert (folder / "results" / "metrics.json").read_bytes() == expected
        assert not list((folder / "cache").rglob("*.tmp"))
        chains += 1
    return chains


def test_three_kills_change_nothing(tmp_path: Path) -> None:
    rehearse(tmp_path, 3)


@pytest.mark.study
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    chains = rehearse(tmp_path, 20)
    print(f"20 kills over {chains} runs: metrics.json equal byte for byte")  # noqa: T201


def test_ctrl_c_says_how_to_continue(tmp_path: Path) -> None:
    path = install_toys(tmp_path / "plugins")
    analysis = write_toy_analysis(tmp_path, pause=5.0)
    program = "import sys; from hepimg.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "data", str(analysis)],
        env=os.environ | {"PYTHONPATH": path, "HEPIMG_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, such as a CI run may be, ignores Ctrl-C; a person's command does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command goes on where it stopped" in errors
    assert "Traceback" not in errors
