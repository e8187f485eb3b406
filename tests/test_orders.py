"""Which shards are made: sources with an end, rows that are limited or not, pools that steps draw from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from hepimg import generate
from hepimg.config import load_analysis
from hepimg.progress import Bars
from hepimg.shards import read_shard
from hepimg.store import Cache
from plugin_path import command, install_toys

FILE = "title: t\ndata: {source: {source: toy_file}}\nsamples: {jets: {}}\n"

MIX = """\
title: t
data:
  source: toy_events
  pools: {soft: {source: toy_events, rows: 30}}
  steps: [{step: toy_mix, pool: soft}]
  rows: 40
  shard: 20
samples: {one: {}}
"""


class Toys:
    """The command line with toy plugins, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, install_toys(folder / "plugins")

    def data(self, text: str, *arguments: str, cache: str = "cache") -> tuple[int, str, str]:
        (self.folder / "a.yaml").write_text(text)
        done = command("data", self.folder / "a.yaml", *arguments, path=self.path, cache=self.folder / cache)
        return done.returncode, done.stdout, done.stderr

    def shards(self, cache: str = "cache") -> list[Path]:
        return sorted((self.folder / cache).rglob("*.arrow"))


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(tmp_path)


def test_all_rows_are_read_where_none_are_asked_for(toys: Toys) -> None:
    code, output, errors = toys.data(FILE)
    assert code == 0, errors
    assert "jets: 200 rows, 5 shards" in output


def test_no_more_parts_are_read_than_the_rows_need(toys: Toys) -> None:
    code, output, errors = toys.data(FILE, "--set", "data.rows=50", "--jobs", "1")
    assert code == 0, errors
    assert "jets: 50 rows, 2 shards" in output
    assert len(toys.shards()) == 2
    sums = [line for line in output.splitlines() if "checksum" in line]
    code, output, errors = toys.data(FILE, "--set", "data.rows=50", "--jobs", "2", cache="other")
    assert code == 0, errors
    assert [line for line in output.splitlines() if "checksum" in line] == sums


def test_parts_without_a_row_are_passed_over(toys: Toys) -> None:
    code, output, errors = toys.data(FILE.replace("toy_file}", "toy_file, holes: true}"), "--set", "data.rows=70")
    assert code == 0, errors
    assert "jets: 70 rows, 2 shards" in output


def test_fewer_rows_than_asked_for_are_all(toys: Toys) -> None:
    code, output, errors = toys.data(FILE, "--set", "data.rows=1000")
    assert code == 0, errors
    assert "jets: 200 rows (1000 were asked for: there are no more), 5 shards" in output


def test_a_source_without_an_end_needs_rows(toys: Toys) -> None:
    code, _, errors = toys.data(FILE.replace("toy_file", "toy_jets"))
    assert code == 2
    assert "rows must be given: the source toy_jets has no end" in errors


def test_a_step_draws_from_its_pool(toys: Toys) -> None:
    code, output, errors = toys.data(MIX, "--jobs", "1")
    assert code == 0, errors
    sums = [line for line in output.splitlines() if "checksum" in line]
    rows = read_shard(next(path for path in toys.shards() if "mixed" in read_shard(path).columns))
    assert np.all(rows.column("pool_size") == 30)
    assert len(np.unique(rows.column("mixed"))) > 5
    code, output, errors = toys.data(MIX, "--jobs", "2", cache="other")
    assert code == 0, errors
    assert [line for line in output.splitlines() if "checksum" in line] == sums


def test_another_pool_gives_other_data(toys: Toys) -> None:
    keys = []
    for text in (MIX, MIX.replace("rows: 30", "rows: 31")):
        code, output, errors = toys.data(text)
        assert code == 0, errors
        keys.append(output.splitlines()[0])
    assert keys[0] != keys[1]
    manifests = list((toys.folder / "cache" / "data").glob("*/manifest.json"))
    assert len(manifests) == 3, "one pool, longer the second time, and two samples"
    assert sum("toy_mix" in json.dumps(json.loads(path.read_text())["steps"]) for path in manifests) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pool: soft", "pool: sofd", "no pool 'sofd' under data.pools; did you mean 'soft'?"),
        ("rows: 30", "rows: null", "data.pools.soft: rows must be given"),
        ("source: toy_events, rows", "source: toy_jets, rows", "a pool holds events, not jets"),
        ("rows: 30", "rows: 30, steps: [{step: toy_mix, pool: soft}]", "a pool cannot draw from a pool"),
        (
            "source: toy_events, rows",
            "source: toy_evnts, rows",
            "no source is called 'toy_evnts'; did you mean 'toy_events'",
        ),
    ],
)
def test_a_wrong_pool_is_found_before_anything_runs(toys: Toys, old: str, new: str, message: str) -> None:
    code, _, errors = toys.data(MIX.replace(old, new))
    assert code == 2
    assert message in errors
    assert not toys.shards()


def test_a_sample_that_is_made_is_not_locked_while_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "title: t\ndata: {source: noise, rows: 5}\nsamples:\n  a: {particles: 1}\n"
    (tmp_path / "one.yaml").write_text(one)
    (tmp_path / "two.yaml").write_text(f"{one}  b: {{particles: 2}}\n")
    cache, locked = Cache(tmp_path / "cache"), []

    def make(plans: object, *others: object) -> None:
        for _, unit in cache.units():
            with suppress(Timeout), FileLock(f"{unit.folder}.lock", timeout=0):
                continue
            locked.append(unit.folder.name)
        real(plans, *others)

    real = generate._make
    monkeypatch.setattr(generate, "_make", make)
    for name in ("one", "two", "two"):
        with Bars() as bars:
            stored = generate.make_data(load_analysis(tmp_path / f"{name}.yaml"), cache, bars, 1)
    assert locked == [stored["a"].key, stored["b"].key]
