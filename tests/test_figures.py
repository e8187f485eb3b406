"""Figures: what is drawn is what was given, files are the same bytes, the user's settings stay."""

from __future__ import annotations

import itertools
import json
import math
import time
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg import figures
from hepimg.components import Figure
from hepimg.errors import PluginError
from hepimg.grid import Grid
from hepimg.images import Channel, SparseImages

GRID = Grid.square(1.0, 20)


def toy_images(n: int, cells: int = 30, signed: bool = False) -> SparseImages:
    random = np.random.default_rng(1)
    dense = np.zeros((n, GRID.size), np.float32)
    for image in dense:
        image[random.choice(GRID.size, cells, replace=False)] = random.exponential(5, cells) + 0.01
    if signed:
        dense *= random.choice([-1, 1], dense.shape)
    return SparseImages.from_dense(dense.reshape(n, *GRID.shape), GRID, (Channel("pt", "GeV", signed),))


def toy_figure(name: str = "toy") -> Figure:
    with figures.style():
        drawing, (axes,) = figures.subplots(size=(3, 2))
        figures.draw_curve(axes, np.arange(4.0), np.arange(4.0), np.full(4, 0.1), label="pt", colour="k")
        axes.set_xlabel("$ε_S$")
    return Figure(name, "Toy", "A line.", drawing, {"x": np.array([1.0, np.nan, np.inf]), "n": np.arange(3)})


def test_style_leaves_the_users_settings_alone():
    before = dict(matplotlib.rcParams.copy())
    with figures.style():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams.copy()) == before


def test_figures_do_not_enter_pyplots_list():
    import matplotlib.pyplot as plt

    toy_figure()
    assert plt.get_fignums() == []


def test_saved_figures_are_the_same_bytes_and_hold_their_numbers(tmp_path):
    names = [figures.save_figure(toy_figure(), tmp_path / folder) for folder in ("a", "b")]
    assert names == ["toy", "toy"]
    for suffix in ("png", "pdf", "json"):
        first, second = (tmp_path / folder / f"toy.{suffix}" for folder in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["toy.json", "toy.pdf", "toy.png"]
    assert json.loads((tmp_path / "a" / "toy.json").read_text()) == {"n": [0, 1, 2], "x": [1.0, None, None]}
    assert b"CreationDate" not in (tmp_path / "a" / "toy.pdf").read_bytes()


def test_a_name_that_is_no_file_name_is_made_one(tmp_path):
    assert figures.save_figure(toy_figure("scores-tag[seed=2]/../x"), tmp_path / "f") == "scores-tag-seed-2-..-x"
    assert {path.parent for path in tmp_path.rglob("*.png")} == {tmp_path / "f"}


def test_a_drawing_that_is_no_figure_is_refused(tmp_path):
    with pytest.raises(PluginError, match="'toy' is a str"):
        figures.save_figure(Figure("toy", "", "", "not a figure"), tmp_path)


@pytest.mark.parametrize(
    ("grid", "labels"),
    [
        ({"eta": [-1, 1], "phi": [-1, 1], "shape": [4, 4]}, ("Δη", "Δφ [rad]")),
        ({"eta": [-2, 2], "phi": [-math.pi, math.pi], "shape": [4, 4]}, ("η", "φ [rad]")),
        ({"eta": [0, 1, 2], "depth": [0, 1, 3]}, ("η", "depth")),
    ],
)
def test_axis_labels_tell_what_is_measured_from_the_jet(grid, labels):
    assert figures.axis_labels(Grid.model_validate(grid)) == labels


def test_an_image_is_drawn_with_its_rows_along_x_and_zeros_blank():
    image = np.zeros(GRID.shape)
    image[3, 7] = 5.0
    with figures.style():
        _, (axes,) = figures.subplots()
        mesh = figures.draw_image(axes, image, GRID, label="pt [GeV]")
    drawn = np.ma.getdata(mesh.get_array()).reshape(GRID.shape)
    blank = np.ma.getmaskarray(mesh.get_array()).reshape(GRID.shape)
    assert drawn[7, 3] == 5.0
    assert np.sum(~blank) == 1
    assert axes.get_xlabel() == "Δη"
    assert axes.figure.axes[1].get_ylabel() == "pt [GeV]"


def test_an_empty_image_and_a_signed_one_can_be_drawn(tmp_path):
    with figures.style():
        drawing, (one, two) = figures.subplots(1, 2)
        figures.draw_image(one, np.zeros(GRID.shape), GRID)
        figures.draw_image(two, np.linspace(-3, 3, GRID.size).reshape(GRID.shape), GRID, signed=True)
    figures.save_figure(Figure("two", "", "", drawing), tmp_path)
    assert (tmp_path / "two.png").stat().st_size > 1000


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.floats(-3, 3, allow_nan=False), max_size=40),
    weight=st.floats(0.1, 10),
)
def test_histogram_holds_sums_of_weights_and_of_their_squares(values, weight):
    edges = np.array([-1.0, 0.0, 0.5, 1.0])
    filled = figures.histogram(values, edges, np.full(len(values), weight))
    expected = [sum(low <= v < high for v in values) for low, high in itertools.pairwise(edges)]
    np.testing.assert_allclose(filled.values(), np.multiply(expected, weight), rtol=1e-12)
    np.testing.assert_allclose(filled.variances(), np.multiply(expected, weight**2), rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[0.2, 0.3, 2.0], []])
def test_histograms_are_drawn_as_fractions_and_given_back_as_sums(values, log):
    with figures.style():
        _, (axes,) = figures.subplots()
        filled = figures.histogram(values, [0.0, 0.25, 1.0], label="x [GeV]")
        data = figures.draw_histograms(axes, {"qcd": filled}, log=log)
    assert data["qcd.values"].tolist() == ([1, 1] if values else [0, 0])
    assert axes.get_xlabel() == "x [GeV]"
    if values:
        heights = np.concatenate([patch.get_data().values for patch in axes.patches if hasattr(patch, "get_data")])
        np.testing.assert_allclose(heights, [1 / 3, 1 / 3])


def test_whole_numbers_get_bins_of_equal_whole_width():
    edges = figures.bulk_edges(np.arange(100), 0, 100, bins=40)
    assert set(np.diff(edges)) == {3.0}
    assert np.all(edges % 1 == 0.5)
    assert edges[0] <= 0
    assert edges[-1] >= 99
    assert len(figures.bulk_edges(np.full(5, 0.3))) == 41
    assert np.all(np.isfinite(figures.bulk_edges([np.nan])))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.964173, 0.00153, "0.9642 ± 0.0015"),
        (0.96, 0.0996, "0.96 ± 0.10"),
        (1108.3, 123.0, "1110 ± 120"),
        (169.2, 8.31, "169.2 ± 8.3"),
        (59.96, 99.7, "60 ± 100"),
        (12345.6, None, "12346"),
        (0.123456, 0.0, "0.1235"),
        (3e-9, 1.5e-9, "3.0e-09 ± 1.5e-09"),
    ],
)
def test_numbers_are_rounded_to_two_digits_of_the_error(value, error, text):
    assert figures.rounded(value, error) == text


@pytest.mark.parametrize("n", [0, 1, 4])
def test_inline_drawing_has_a_rectangle_for_each_cell(n):
    images = toy_images(n)
    svg = ET.fromstring(figures.draw_images(images))
    paths = "".join(path.get("d", "") for path in svg.iter("path"))
    assert paths.count("M") == len(images.cells)
    assert len(list(svg.iter("svg"))) == n


def test_inline_drawing_puts_a_cell_where_it_is():
    image = np.zeros((1, *GRID.shape), np.float32)
    image[0, 19, 0] = 1.0  # largest eta, smallest phi: lower right corner
    (path,) = ET.fromstring(figures.draw_images(SparseImages.from_dense(image, GRID))).iter("path")
    assert path.get("d", "").startswith("M142.5 142.5h7.6")


def test_inline_drawing_of_signed_and_empty_images_uses_other_colours():
    signed = figures.draw_images(toy_images(1, signed=True))
    assert any(colour in signed for colour in ("#fed976", "#fd8d3c", "#fc4e2a", "#e31a1c", "#800026"))
    assert "<path" not in figures.draw_images(SparseImages.empty(2, GRID))
    escaped = SparseImages.from_dense(np.ones((1, *GRID.shape)), GRID, (Channel("<pt>"),))
    assert "<pt>" not in figures.draw_images(escaped)


def test_inline_drawing_is_quick():
    images = toy_images(4, cells=80)
    start = time.perf_counter()
    figures.draw_images(images)
    assert time.perf_counter() - start < 0.2
