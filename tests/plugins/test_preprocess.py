"""Every jet step: what it promises, what it refuses; never the input changed, never the batch felt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hepimg.components import Column, Image, Step
from hepimg.sample import Sample
from hepimg.testing import toy_jets
from hepimg_preprocess import hepimg_steps
from hepimg_preprocess.center import Center
from hepimg_preprocess.copy import Copy
from hepimg_preprocess.flip import Flip
from hepimg_preprocess.measure import Measure
from hepimg_preprocess.pixelate import Pixelate
from hepimg_preprocess.regrid import Crop, Pool
from hepimg_preprocess.rotate import Rotate
from hepimg_preprocess.threshold import Threshold
from hepimg_preprocess.translate import Translate
from hepimg_preprocess.values import Normalise, Power
from jet_samples import GRID, Jet, few, ports_of, sample_of, some_jets, with_image

ALL_STEPS: list[Step] = [
    Center(),
    Center(on="hardest"),
    Center(on="axis"),
    Center(snap=(0.1, 0.3)),
    Center(snap=(0.1, 0.3), on="cell"),
    Rotate(),
    Rotate(angle="principal_axis"),
    Rotate(angle=30.0),
    Rotate(angle="quarter"),
    Rotate(image="image"),
    Rotate(image="image", angle="principal_axis"),
    Rotate(angle="second"),
    Rotate(image="image", angle="second"),
    Flip(),
    Flip(axis="harder"),
    Flip(axis="harder_phi"),
    Flip(image="image"),
    Flip(image="image", axis="both"),
    Translate(by=(0.1, 0.2)),
    Translate(by=(2, 3), image="image"),
    Pixelate.model_validate({"grid": GRID, "channels": ["pt", "count", "y", {"name": "q", "field": "charge"}]}),
    Pool(factor=3, into="coarse"),
    Pool(factor=(2, 4), how="max"),
    Crop(rows=(5, 15), columns=(0, 7)),
    Normalise(),
    Normalise(how="l2"),
    Power(exponent=0.5),
    Threshold(minimum=0.5),
    Measure(names=("girth", "n_active")),
    Copy(collection="constituents", into="moved"),
    Copy(image="image", into="fine"),
]


def test_every_step_is_offered_and_tested() -> None:
    assert {type(step) for step in ALL_STEPS} == set(hepimg_steps())


@pytest.mark.parametrize("step", ALL_STEPS, ids=repr)
@pytest.mark.parametrize(
    "jets", [[], [[]], [[(1.0, 0.5, 3.0)]], [[], [(1.0, 0.0, 0.0), (2.0, 0.5, -0.5)], []]], ids=len
)
def test_small_batches_promises_and_input(step: Step, jets: list[Jet]) -> None:
    sample = with_image(sample_of(jets))  # its arrays are frozen
    result = step.apply(sample, 3)
    assert len(result) == len(sample)
    for port in step.writes(ports_of(sample)):
        if isinstance(port, Image):
            image = result.image(port.name)
            assert (image.grid, image.channels) == (port.grid, port.channels)
        elif isinstance(port, Column):
            assert result.column(port.name).shape == (len(sample),)
        else:
            assert list(result.collection(port.name).fields) == list(port.fields)
            assert result.collection(port.name)["y"].dtype == np.float32
    for name in {*result.collections, *result.images} - {port.name for port in step.writes(ports_of(sample))}:
        assert result.collections.get(name) is sample.collections.get(name)
        assert result.images.get(name) is sample.images.get(name)


@pytest.mark.parametrize("step", ALL_STEPS, ids=repr)
def test_a_row_does_not_feel_its_batch(step: Step) -> None:
    rng = np.random.default_rng(4)
    jets = [[(float(p), float(y), float(f)) for p, y, f in rng.uniform(0.1, 0.9, (n, 3))] for n in (3, 0, 9, 1, 5)]
    whole = with_image(sample_of(jets, first_row=90))
    together = step.apply(whole, 3)
    alone = Sample.concatenate([step.apply(whole[i], 3) for i in range(len(whole))])
    for name, images in together.images.items():
        assert images == alone.image(name)
    for field, values in together.collection("constituents").fields.items():
        assert values.tobytes() == alone.collection("constituents")[field].tobytes()


@pytest.mark.parametrize("step", [step for step in ALL_STEPS if step.is_random], ids=repr)
def test_random_steps_rest_without_a_seed_and_vary_with_it(step: Step) -> None:
    jets: list[Jet] = [[(1.0, 0.3, 0.1), (2.0, 0.5, -0.5)]] * 20
    sample = with_image(sample_of(jets))
    assert step.apply(sample, None) is sample
    target = getattr(step, "image", None)

    def content(seed: int) -> np.ndarray[Any, Any]:
        moved = step.apply(sample, seed)
        return moved.image(target).dense() if target else moved.collection("constituents")["y"]

    assert np.array_equal(content(3), content(3))
    assert not np.array_equal(content(3), content(4))
    rows = content(3).reshape(20, -1)
    assert len(np.unique(rows, axis=0)) > 1


@few
@given(some_jets, st.sampled_from([step for step in ALL_STEPS if not getattr(step, "image", None)]))
def test_moves_of_particles_keep_pt(jets: list[Jet], step: Step) -> None:
    before = sample_of(jets).collection("constituents")
    after = step.apply(sample_of(jets), 5).collection("constituents")
    assert after.offsets.tolist() == before.offsets.tolist()
    assert after["pt"].tobytes() == before["pt"].tobytes()


@pytest.mark.parametrize(
    ("step", "grid", "complaint"),
    [
        (Pool(factor=30), GRID, "larger than the grid"),
        (Crop(rows=(0, 30), columns=(0, 5)), GRID, "not all on"),
        (Rotate(image="image"), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "several sizes"),
        (Rotate(image="image"), {"eta": [-1, 1], "phi": [-np.pi, np.pi], "shape": [4, 4]}, "closes on itself"),
        (Translate(image="image", by=(1, 1)), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "several sizes"),
        (Flip(image="image"), {"eta": [-1, 0, 2], "phi": [-1, 0, 1]}, "not symmetric"),
        (Normalise(channels=("energy",)), GRID, "no channel energy"),
        (Threshold(minimum=1, channel="energy"), GRID, "no channel energy"),
        (Pool(factor=2, image="constituents"), GRID, "constituents is no image"),
        (Center(collection="image"), GRID, "image is no collection"),
    ],
    ids=repr,
)
def test_what_does_not_fit_the_grid_is_known_before_anything_runs(step: Step, grid: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        step.writes(ports_of(with_image(sample_of([]), grid)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Center, {"snap": [0.1, 0]}),
        (Center, {"on": "cell"}),
        (Copy, {"image": "image", "into": "fine", "pt": "hard_pt"}),
        (Copy, {"image": "image", "into": "fine", "where": {"charge": "neutral"}}),
        (Copy, {"collection": "constituents", "into": "some", "where": {"charge": "positive"}}),
        (Center, {"snap": [0.1, 0.1], "on": "hardest"}),
        (Rotate, {"angle": "ramdom"}),
        (Rotate, {"image": "image", "collection": "constituents"}),
        (Flip, {"axis": "x"}),
        (Pool, {"factor": 0}),
        (Crop, {"rows": [3, 3], "columns": [0, 1]}),
        (Power, {"exponent": 0}),
        (Pixelate, {"grid": GRID, "channels": []}),
        (Pixelate, {"grid": GRID, "channels": ["pt", "pt"]}),
        (Pixelate, {"grid": GRID, "channels": ["count", "y"]}),
        (Pixelate, {"grid": GRID, "channels": [{"name": "y", "field": "y", "how": "mean", "weight": "pt"}]}),
    ],
)
def test_wrong_options(kind: type[Step], options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(options)


@pytest.mark.parametrize("charge", [None, "charged", "neutral"])
@pytest.mark.parametrize("vertex", [None, "hard", "pileup"])
def test_copies_of_some_particles_are_those_of_a_loop(charge: Any, vertex: Any) -> None:
    rng = np.random.default_rng(3)
    sample = toy_jets(12)
    particles = sample.collection("constituents")
    n = len(particles["pt"])
    left = (particles["pt"] * rng.choice([0, 0.25, 1], n)).astype(np.float32)
    mass = np.full(n, 0.14, np.float32)
    particles = particles.with_fields(
        vertex=rng.integers(-1, 2, n), charge=rng.integers(-1, 2, n), left=left, mass=mass
    )
    sample = sample.with_collection("constituents", particles)
    step = Copy.model_validate(
        {"collection": "constituents", "into": "some", "where": {"charge": charge, "vertex": vertex}, "pt": "left"}
    )
    copied = step.apply(sample, None).collection("some")
    row = np.repeat(np.arange(12), particles.counts)
    wanted = [
        (row[k], left[k], 0.14 * left[k] / particles["pt"][k])
        for k in range(n)
        if left[k] > 0
        and charge in (None, "charged" if particles["charge"][k] else "neutral")
        and vertex in (None, "pileup" if particles["vertex"][k] else "hard")
    ]
    found = np.repeat(np.arange(12), copied.counts), copied["pt"], copied["mass"]
    np.testing.assert_allclose(np.transpose(found), np.reshape(wanted, (-1, 3)), rtol=1e-5)
    assert dict(step.reads()[0].fields) == {  # type: ignore[union-attr]
        **({"charge": "e"} if charge else {}),
        **({"vertex": ""} if vertex else {}),
        "pt": "GeV",
        "left": "GeV",
    }
