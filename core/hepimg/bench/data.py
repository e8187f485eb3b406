"""``hepimg bench data``: from the generator to a batch of sparse tensors, in jets per second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from hepimg.analysis import Analysis, SampleEntry
from hepimg.bench.timing import Work, take_turns
from hepimg.checks import check_sample
from hepimg.components import Shard
from hepimg.dataset import Dataset, Part
from hepimg.orders import StoredSample
from hepimg.random import derive_seed
from hepimg.sample import Sample
from hepimg.shards import read_shard
from hepimg.sparse import SparseTensor

Row = dict[str, Any]

COLUMNS = {
    "work": "work", "threads": "threads", "jets/s": "jets_per_s:,.0f", "us/jet": "us_per_jet:.2f",
    "events/s": "events_per_s:.0f", "in Pythia": "pythia_share:.1%", "in steps": "steps_share:.1%",
    "x threads": "scaling:.2f",
}  # fmt: skip

CAPTION = """Generation: one process, after its initialisation; in Pythia: the share of the time inside nextBatch;
in steps: in clustering. Then medians for batches of 256 jets: all constituents from the mapped files; each
step of the tagger's preprocessing; one sparse tensor of a batch; epoch: shuffling and all of these, reading
excepted, for 2000 jets that are in memory."""

BATCH = 256


def generation(entry: SampleEntry, events: int) -> Row:
    """Events and jets per second of one process that makes a shard, as ``hepimg data`` does, and where they go.

    Args:
        entry: the sample; its source runs Pythia.
        events: to make, after a first batch that does not count (initialisation, imports).
    """
    steps_seconds, made, jets = 0.0, 0, 0
    with _inside_pythia() as inside:
        batches = entry.source.batches(Shard(0, None, 1))
        _apply(entry, check_sample(next(batches)))
        inside[0], began = 0.0, time.perf_counter()
        while made < events:
            sample = check_sample(next(batches))
            before = time.perf_counter()
            jets += len(_apply(entry, sample))
            steps_seconds += time.perf_counter() - before
            made += len(sample)
        wall = time.perf_counter() - began
    return {
        "work": f"generation, {entry.name}", "threads": 1, "jets_per_s": jets / wall, "us_per_jet": 1e6 * wall / jets,
        "events_per_s": made / wall, "pythia_share": inside[0] / wall, "steps_share": steps_seconds / wall,
        "scaling": None,
    }  # fmt: skip


def _apply(entry: SampleEntry, sample: Sample) -> Sample:
    for number, step in enumerate(entry.steps):
        sample = step.apply(sample, number)
    return sample


@contextmanager
def _inside_pythia() -> Iterator[list[float]]:
    """The seconds spent inside Pythia's ``nextBatch``, wherever it is called."""
    import pythia8mc

    spent = [0.0]
    next_batch: Callable[..., Any] = pythia8mc.Pythia.nextBatch

    def timed(pythia: Any, number: int) -> Any:
        began = time.perf_counter()
        batch = next_batch(pythia, number)
        spent[0] += time.perf_counter() - began
        return batch

    with mock.patch.object(pythia8mc.Pythia, "nextBatch", timed):
        yield spent


def pipeline(
    analysis: Analysis, stored: Mapping[str, StoredSample], threads: Sequence[int], rounds: int
) -> Iterator[Row]:
    """Reading, preprocessing step by step, collating, and all of it, as training does for a batch.

    Args:
        analysis: whose preprocessing it is; the last step makes the image.
        stored: its samples.
        threads: of the kernels.
        rounds: turns of each work.
    """
    works = _works(_dataset(analysis, stored))
    turns = {f"{name} {number}": (work, number) for name, (work, _) in works.items() for number in threads}
    times = take_turns(
        {name: work for name, (work, _) in turns.items()}, rounds, {name: number for name, (_, number) in turns.items()}
    )
    for name, (_, jets) in works.items():
        for number in threads:
            seconds = times.median(f"{name} {number}")
            yield {
                "work": name, "threads": number, "jets_per_s": jets / seconds, "us_per_jet": 1e6 * seconds / jets,
                "events_per_s": None, "pythia_share": None, "steps_share": None,
                "scaling": times.ratio(f"{name} {threads[0]}", f"{name} {number}"),
            }  # fmt: skip


def _works(dataset: Dataset) -> dict[str, tuple[Work, int]]:
    """Name -> what to call, and the jets that one call takes."""
    works: dict[str, tuple[Work, int]] = {
        "read shards": (lambda: [_touched(part) for part in dataset.parts], len(dataset))
    }
    sample = next(Dataset(dataset.parts, dataset.classes).batches(BATCH, 1, 0))
    for number, step in enumerate(dataset.steps):
        seed = derive_seed(1, number) if step.is_random else None
        works[f"preprocess: {step.name}"] = partial(step.apply, sample, seed), len(sample)
        sample = step.apply(sample, seed)
    works["collate"] = partial(_collated, sample), len(sample)
    epoch = dataset.n_batches(BATCH) * BATCH
    works["epoch"] = (lambda: [_collated(batch) for batch in dataset.batches(BATCH, 1, 0)]), epoch
    return works


def _dataset(analysis: Analysis, stored: Mapping[str, StoredSample]) -> Dataset:
    parts = []
    for number, sample in enumerate(stored.values()):
        first = 0
        for path, rows in sample.shards:
            parts.append(Part(number, path, first, np.arange(rows)))
            first += rows
    return Dataset(tuple(parts), tuple(stored), tuple(analysis.preprocess))


def _touched(part: Part) -> float:
    """Read all constituents of a shard: mapping it alone would cost nothing."""
    return float(sum(values.sum() for values in read_shard(part.path).collection("constituents").fields.values()))


def _collated(sample: Sample) -> list[SparseTensor]:
    return [SparseTensor.from_images(images) for images in sample.images.values()]


def rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What is drawn: microseconds per jet of each part of an epoch, for each number of threads."""
    drawn: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["work"].startswith(("preprocess", "collate", "read")):
            label = f"{row['threads']} thread{'s' * (row['threads'] > 1)}"
            drawn.setdefault(label, {})[row["work"].removeprefix("preprocess: ")] = row["us_per_jet"]
    return drawn
