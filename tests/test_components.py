"""Every component of the installed plugins keeps its contract."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import write_example

from component_options import GRID, OPTIONS
from hepimg.components import Metric, Source, Step, Task
from hepimg.registry import BASES, Kind, load_registry
from hepimg.sample import Sample
from hepimg.testing import check_component, check_metric, check_source, check_step, check_task, merge, toy_jets

LIVE: list[tuple[Kind, str]] = [(kind, name) for kind in BASES for name in load_registry().names(kind)]

EXTERNAL_DATA = Path(os.environ["HEPIMG_TEST_DATA"]) if os.environ.get("HEPIMG_TEST_DATA") else None


def jets(rows: int, prongs: int = 1, seed: int = 1) -> Sample:
    """Centred toy jets with an image, at a high and a low resolution, and the density of pileup in their events."""
    registry = load_registry()
    sample = registry.find("step", "center").component().apply(toy_jets(rows, prongs, seed), None)  # type: ignore[attr-defined]
    pixelate = registry.find("step", "pixelate").component.model_validate({"grid": GRID})
    image = pixelate.apply(sample, None)  # type: ignore[attr-defined]
    pool = registry.find("step", "pool").component.model_validate({"factor": 4, "into": "lr"})
    image = pool.apply(image, None).with_images(hr=image.image("image"))  # type: ignore[attr-defined]
    density = {name: np.full(rows, 5.0, np.float32) for name in ("rho", "rho_m")}
    return image.with_columns(dict.fromkeys(density, "GeV"), **density)  # type: ignore[no-any-return]


def events(rows: int, vertex: bool = True) -> Sample:
    """Toy jets seen as events, their particles from two vertices."""
    sample = toy_jets(rows)
    particles = sample.collection("constituents")
    if vertex:
        particles = particles.with_fields(vertex=(np.arange(len(particles["pt"])) % 2).astype(np.int32))
    return Sample({name: sample.column(name) for name in ("event", "weight")}, {"particles": particles})


def made(kind: Kind) -> list[Any]:
    """The components of one kind with all their test options."""
    found = load_registry()
    return [
        pytest.param(found.find(kind, name).component, options, id=f"{name}-{k}")
        for each, name in LIVE
        if each == kind
        for k, options in enumerate(OPTIONS.get((kind, name), [{}]))
    ]


@pytest.mark.parametrize(("kind", "name"), LIVE)
def test_every_component_keeps_the_contract(kind: Kind, name: str) -> None:
    component = load_registry().find(kind, name).component
    assert issubclass(component, BASES[kind])
    check_component(component)


@pytest.mark.parametrize(("source", "options"), made("source"))
def test_every_source_keeps_the_contract(
    source: type[Source], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "files" in options and not write_example({"source": source.name, **options}, tmp_path, EXTERNAL_DATA):
        pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    check_source(source.model_validate(options), rows=20)


@pytest.mark.parametrize(("step", "options"), made("step"))
def test_every_step_keeps_the_contract(step: type[Step], options: dict[str, Any]) -> None:
    component = step.model_validate(options)
    pools = {pool: [events(7), events(5)] for pool in component.pools()}
    check_step(component, jets(40) if step.rows_in == "jet" else events(20, vertex=not pools), pools)


@pytest.mark.parametrize(("task", "options"), made("task"))
def test_every_task_keeps_the_contract(task: type[Task], options: dict[str, Any]) -> None:
    check_task(task.model_validate(options), {"one": jets(100, 1, 1), "two": jets(100, 2, 2)})


@pytest.mark.parametrize(("metric", "options"), made("metric"))
def test_every_metric_keeps_the_contract(metric: type[Metric], options: dict[str, Any]) -> None:
    test = merge({"one": jets(60, 1, 1), "two": jets(60, 2, 2)})
    score = {"tag.score": test.column("mass") / 200}
    test = test.with_columns(**score).with_collection("lr2", test.collection("constituents"))
    test = test.with_images(**{"again.image": test.image("image")})
    check_metric(metric.model_validate(options), test)
