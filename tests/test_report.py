"""The report: made from files alone, escaped, honest about what is best, and whole without optional files."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hepimg import figures
from hepimg.components import Estimate, Figure
from hepimg.errors import DataError
from hepimg.report import write_figures, write_report
from hepimg.report.content import read_log, split_name
from hepimg.report.page import duration
from hepimg.report.tables import (
    MOST_COLUMNS,
    arrange,
    best_row,
    family_table,
    heading,
    metric_table,
    parts_of,
    split_families,
    written,
)

AUCS = {"a": 0.9605, "b": 0.96}

VOID = {"meta", "img", "br", "link", "hr"}


class Balance(HTMLParser):
    """Notes tags that are not closed in order, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def toy_figure(name: str) -> Figure:
    with figures.style():
        drawing, (axes,) = figures.subplots(size=(2, 2))
        axes.plot([0, 1])
    return Figure(name, "A <title>", "Caption & more", drawing, {"y": np.arange(2)})


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "analysis.json", {
        "title": "QCD <b>against</b> top", "seed": 1, "samples": {"qcd": {}, "top": {}},
        "tasks": {
            "tag[seed=1]": {"task": "tagging", "fit": {"epochs": 2}}, "tag[seed=2]": {"task": "tagging"},
            "trees": {"task": "trees", "note": "<script>alert(1)</script>"},
        },
    })  # fmt: skip
    write(tmp_path / "metrics.json", {
        "tag.auc": {"value": 0.9641, "error": 0.0015, "n": 2}, "trees.auc": {"value": 0.9492, "error": 0.0018, "n": 9},
        "tag[seed=1].auc": {"value": 0.9652, "error": 0.0014, "n": 9},
        "tag.rejection@0.3": {"value": 2000.0, "error": None, "n": 9, "limit": True},
        "trees.rejection@0.3": {"value": 453.1, "error": 42.0, "n": 9},
        "image.active@qcd": {"value": 60.12, "error": 0.31, "n": 9},
        "trees.w1@mass:top": {"value": 7.25, "error": 0.5, "n": 9},
    })  # fmt: skip
    facts = {"cross_section_pb": 1234.5, "cross_section_pb_error": 5.31, "process": "HardQCD:all"}
    sample = {"key": "k" * 20, "rows": 30000, "checksum": "c" * 64, "facts": facts}
    write(tmp_path / "provenance.json", {"hepimg": "0.1", "libraries": {"numpy": "2.4"}, "samples": {"qcd": sample}})
    write(
        tmp_path / "timing.json", {"total": 4000, "data": {"qcd": 30}, "tasks": {"trees": {"fit": 12, "predict": 0.4}}}
    )
    write(tmp_path / "tasks" / "tag[seed=1]" / "model.json", {"parameters": 179123})
    log = "epoch,train_loss,valid_loss,learning_rate\n1,0.5,0.6,0.001\n2,0.4,,0.001\n"
    (tmp_path / "tasks" / "tag[seed=1]" / "log.csv").write_text(log)
    write_figures([toy_figure("roc-top"), toy_figure("roc-top")], tmp_path / "figures", ["roc", "roc"])
    return tmp_path


def test_the_page_is_whole_and_holds_everything(folder):
    path = write_report(folder)
    assert path == folder / "report.html"
    html = path.read_text()
    parser = Balance()
    parser.feed(html)
    assert parser.faults == []
    assert parser.open == []
    numbers = [
        "0.9641 ± 0.0015",
        "&gt; 2000",
        "453 ± 42",
        "1234.5 ± 5.3 pb",
        "60.12 ± 0.31",
        "30&#8239;000",
        "179&#8239;123",
    ]
    texts = ["67 min", "12 s", "400 ms", "HardQCD:all", "fit.epochs: 2", "numpy 2.4", "Caption &amp; more"]
    assert [text for text in numbers + texts if text not in html] == []
    assert html.count("data:image/png;base64") == 3


def test_the_page_is_self_contained_and_escaped(folder):
    log = (folder / "tasks" / "tag[seed=1]" / "log.csv").read_text()
    for name in ("<script>", "left over from an earlier run"):
        (folder / "tasks" / name).mkdir()
        (folder / "tasks" / name / "log.csv").write_text(log)
    analysis = json.loads((folder / "analysis.json").read_text())
    write(folder / "analysis.json", analysis | {"tasks": {**analysis["tasks"], "<script>": {"task": "tagging"}}})
    html = write_report(folder).read_text()
    assert "&lt;script&gt;.</b> 2 epochs" in html
    assert "left over" not in html
    assert "<script" not in html
    assert "<b>against</b>" not in html
    parser = Balance()
    parser.feed(html)
    outside = [a for a in parser.addresses if not a.startswith(("data:", "#", "figures/"))]
    assert outside == []
    assert all((folder / a).is_file() for a in parser.addresses if a.startswith("figures/"))
    assert "http" not in html


def test_writing_twice_gives_the_same_bytes(folder):
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


def test_optional_files_may_be_missing(tmp_path):
    write(tmp_path / "analysis.json", {"title": "Bare"})
    html = write_report(tmp_path).read_text()
    assert "<h1>Bare</h1>" in html
    assert "<section id='figures'>" not in html
    assert "<section id='numbers'>" not in html


def test_a_folder_without_an_analysis_and_a_damaged_file_are_named(tmp_path, folder):
    with pytest.raises(DataError, match=r"no analysis.json here"):
        write_report(tmp_path / "nowhere")
    (folder / "metrics.json").write_text("{")
    with pytest.raises(DataError, match=r"metrics.json: not JSON"):
        write_report(folder)
    (folder / "log.csv").write_text("epoch,valid_loss\n1,ouch\n")
    with pytest.raises(DataError, match=r"log.csv: not a number"):
        read_log(folder / "log.csv")


def test_figures_of_one_name_are_kept_apart(folder):
    listed = json.loads((folder / "figures" / "figures.json").read_text())
    assert [entry["name"] for entry in listed] == ["roc-top", "roc-top-2"]
    assert listed[0]["section"] == "roc"
    assert (folder / "figures" / "roc-top-2.pdf").is_file()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("tag.auc", ("tag", "auc")),
        ("tag.rejection@0.5", ("tag", "rejection@0.5")),
        ("tag[strength=0.1,seed=2].rejection@0.5", ("tag[strength=0.1,seed=2]", "rejection@0.5")),
        ("anomaly.loss.auc", ("anomaly.loss", "auc")),
        ("tag.auc_minus_cnn[strength=0.1]", ("tag", "auc_minus_cnn[strength=0.1]")),
        ("c2[beta=0.5].mean@top", ("c2[beta=0.5]", "mean@top")),
        ("alone", ("", "alone")),
    ],
)
def test_names_are_split_into_row_and_metric(name, parts):
    assert split_name(name) == parts


def rows(**numbers: Estimate) -> dict[str, dict[str, Estimate]]:
    return {name: {"auc": number} for name, number in numbers.items()}


def test_the_best_is_bold_only_beyond_the_error_of_the_difference():
    assert best_row(rows(a=Estimate(0.96, 0.01), b=Estimate(0.93, 0.01)), "auc") == "a"
    assert best_row(rows(a=Estimate(0.96, 0.03), b=Estimate(0.93, 0.01)), "auc") is None
    assert best_row(rows(a=Estimate(0.96, 0.01)), "auc") is None
    assert best_row(rows(a=Estimate(0.96), b=Estimate(0.5)), "auc") is None
    # A third with a large error may be the better one, though the second is not.
    assert best_row(rows(a=Estimate(0.96, 0.01), b=Estimate(0.93, 0.01), c=Estimate(0.92, 0.2)), "auc") is None


def test_a_paired_difference_decides_where_there_is_one():
    table = rows(a=Estimate(0.960, 0.01), b=Estimate(0.955, 0.01))
    assert best_row(table, "auc") is None
    table["a"]["auc_minus_b"] = Estimate(0.005, 0.001)
    assert best_row(table, "auc") == "a"
    table["a"]["auc_minus_b"] = Estimate(0.005, 0.006)
    assert best_row(table, "auc") is None
    labelled = {row: {f"{metric}:again": number for metric, number in has.items()} for row, has in table.items()}
    assert best_row(labelled, "auc:again") is None
    labelled["a"]["auc_minus_b:again"] = Estimate(0.005, 0.001)
    assert best_row(labelled, "auc:again") == "a"


def test_limits_are_never_beaten_and_beat_only_from_above():
    assert best_row(rows(a=Estimate(900, 10.0), b=Estimate(500, limit=True)), "auc") is None
    assert best_row(rows(a=Estimate(900, limit=True), b=Estimate(500, 10.0)), "auc") == "a"
    assert best_row(rows(a=Estimate(900, limit=True), b=Estimate(895, 10.0)), "auc") is None


def test_of_unknown_metrics_none_is_best():
    table = {"a": {"loss": Estimate(9, 0.1)}, "b": {"loss": Estimate(1, 0.1)}}
    assert best_row(table, "loss") is None
    assert "<strong>" not in metric_table(table)


def test_the_best_of_means_over_seeds_is_judged_with_the_errors_of_the_seeds():
    seeds = {f"{name}[seed={k}]": {"auc": Estimate(value, 0.0015)} for name, value in AUCS.items() for k in (1, 2, 3)}
    means = {name: {"auc": Estimate(value, 0.0001, 3)} for name, value in AUCS.items()}
    assert best_row(means, "auc") == "a"
    assert best_row(means, "auc", among={**means, **seeds}) is None
    assert "<strong>" not in metric_table(means, among={**means, **seeds})


def test_numbers_and_headings_as_written():
    assert written(Estimate(-0.0123, 0.0031)) == "−0.0123 ± 0.0031"
    assert written(Estimate(1667.2, limit=True)) == "&gt; 1667"
    assert heading("rejection@0.5") == "1/ε<sub>B</sub> at ε<sub>S</sub> = 0.5"
    assert heading("true_positives@0.01") == "ε<sub>S</sub> at ε<sub>B</sub> = 0.01"
    assert heading("auc_minus_<x>") == "AUC − AUC(&lt;x&gt;)"
    assert heading("mean@qcd") == "mean (qcd)"
    assert heading("auc_minus_<x>:again") == "again: AUC − AUC(&lt;x&gt;)"
    assert parts_of("rejection:again@0.5") == ("rejection", "again", "0.5")
    assert parts_of("w1@mass:top") == ("w1", "", "mass:top")
    assert parts_of("auc_minus_tag[network={'channels': 8}]") == ("auc_minus_tag[network={'channels': 8}]", "", "")
    assert arrange({"a.x": Estimate(1), "a.y": Estimate(2)}) == {"a": {"x": Estimate(1), "y": Estimate(2)}}
    assert [duration(s) for s in (0.4, 41, 700, 12000)] == ["400 ms", "41 s", "12 min", "3.3 h"]


def test_numbers_of_observables_have_tables_of_their_own(folder):
    numbers = {"a.auc": Estimate(0.5), "a.w1@mass:top": Estimate(1.0), "b.w1@mass:top": Estimate(2.0)}
    others, families = split_families(arrange(numbers))
    assert others == {"a": {"auc": Estimate(0.5)}}
    assert families == {("w1", "top"): {"a": {"mass": Estimate(1.0)}, "b": {"mass": Estimate(2.0)}}}
    table = family_table(families["w1", "top"])
    assert table.count("<tr>") == 2
    assert "<th scope='row'>mass</th><td>1</td><td>2</td>" in table
    write_report(folder)
    assert "<summary>w1: top</summary>" in (folder / "report.html").read_text()


def test_many_metrics_stand_below_each_other():
    few, many = ({"a": {f"m{k}": Estimate(k) for k in range(n)}} for n in (MOST_COLUMNS, MOST_COLUMNS + 1))
    assert metric_table(few).count("<tr>") == 2
    assert metric_table(many).count("<tr>") == 1 + MOST_COLUMNS + 1
