"""A plugin written and installed by somebody else works as hepimg's own; a broken one is reported and hurts nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from hepimg.testing import check_component, check_metric, check_source, check_step, merge, toy_jets
from plugin_path import TESTS, command, install_module, install_toys

PLUGIN = TESTS / "third_party" / "hepimg_fisher"
PAGE = TESTS.parent / "docs" / "writing_a_plugin.md"

ANALYSIS = """\
title: Two prongs against one
data:
  source: toy_jets
  rows: 600
  shard: 300
samples:
  one: {prongs: 1}
  two: {prongs: 2}
tasks:
  fisher:
    task: fisher_on_observables
    signal: two
    observables: [mass, girth]
evaluate:
  - {metric: roc, scores: [fisher.score], signal: two, replicas: 20}
"""

CLASH = """
from typing import ClassVar
from hepimg.components import Task
from hepimg.hooks import hookimpl

class Other(Task):
    name: ClassVar[str] = "clashing"

@hookimpl
def hepimg_tasks():
    return [Other]
"""

BROKEN = {
    "absent": "import no_such_module_at_all",
    "misspelt": "from hepimg.hooks import hookimpl\n@hookimpl\ndef hepimg_task(): return []",
    "rubbish": "from hepimg.hooks import hookimpl\n@hookimpl\ndef hepimg_steps(): return [42]",
    "noisy": "from hepimg.hooks import hookimpl\n@hookimpl\ndef hepimg_commands(): raise RuntimeError('no commands')",
    "clash_one": CLASH,
    "clash_two": CLASH,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path with the third party's plugin, installed by pip, the toys, and plugins that are broken in many ways."""
    folder = tmp_path_factory.mktemp("plugins")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", folder / "pip", PLUGIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n(it is built with hatchling, which must be installed)"
    for name, source in BROKEN.items():
        install_module(folder / "broken", name, source)
    return os.pathsep.join([str(folder / "pip"), str(folder / "broken"), install_toys(folder / "toys")])


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    """The analysis file."""
    file = tmp_path / "toys.yaml"
    file.write_text(ANALYSIS)
    return file


def changed(file: Path, before: str, after: str) -> Path:
    """The file with one piece of text replaced."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    return file


def test_plugins_are_listed_with_what_is_wrong(path: str, tmp_path: Path) -> None:
    listed = command("plugins", path=path, cache=tmp_path)
    assert listed.returncode == 0
    rows = {line.split("│")[1].strip(): line for line in listed.stdout.splitlines() if "│" in line}
    assert "hepimg-fisher 1.0" in rows["fisher"]
    assert "task fisher_on_observables" in rows["fisher"]
    assert "failed: ModuleNotFoundError: No module named 'no_such_module_at_all'" in rows["absent"]
    assert "unknown hook 'hepimg_task'; did you mean 'hepimg_tasks'" in rows["misspelt"]
    assert "hepimg_steps returned 42, which is no subclass of Step" in rows["rubbish"]
    assert "collision: task 'clashing' is offered by clash_one and clash_two" in listed.stdout
    assert re.search(r"commands of plugin noisy .*failed: no commands", listed.stderr)


def test_a_failure_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    install_module(tmp_path, "brackets", "raise ValueError('[type=missing] of [/bold]')")
    listed = command("plugins", path=str(tmp_path), cache=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert "failed: ValueError: [type=missing] of [/bold]" in listed.stdout


def test_a_plugin_cannot_replace_a_command(tmp_path: Path) -> None:
    source = """
import typer
from hepimg.hooks import hookimpl

@hookimpl
def hepimg_commands():
    return [("check", typer.Typer())]
"""
    install_module(tmp_path, "thief", source)
    helped = command("check", "--help", path=str(tmp_path), cache=tmp_path)
    assert helped.returncode == 0
    assert "Check an analysis file" in helped.stdout
    assert re.search("plugin thief .*check", helped.stderr)


def test_an_analysis_with_it_is_checked(path: str, analysis: Path, tmp_path: Path) -> None:
    checked = command("check", analysis, path=path, cache=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "tasks:   fisher" in checked.stdout


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("    observables:", "    observable:", 13, "fisher.observable: unknown key; did you mean 'observables'?"),
        ("[mass, girth]", "[mass, grith]", 13, "no observable is called 'grith'; did you mean 'girth'?"),
        ("signal: two\n", "signal: tow\n", 10, "no sample 'tow'; did you mean 'two'?"),
        ("fisher_on_observables", "fisher_on_observable", 11, "did you mean 'fisher_on_observables'"),
        ("fisher_on_observables", "clashing", 11, "clash_one (dist-clash_one) and clash_two (dist-clash_two)"),
        ("fisher_on_observables", "something", 11, "failed to load: absent (ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_line(
    before: str, after: str, line: int, message: str, path: str, analysis: Path, tmp_path: Path
) -> None:
    checked = command("check", changed(analysis, before, after), path=path, cache=tmp_path)
    assert checked.returncode == 2
    assert message in checked.stderr
    assert f"{analysis}:{line}: " in checked.stderr
    assert "Traceback" not in checked.stderr


def test_an_analysis_with_it_runs(path: str, analysis: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    ran = command("run", analysis, "--out", out, "--jobs", "2", path=path, cache=tmp_path / "cache")
    assert ran.returncode == 0, ran.stderr
    auc = json.loads((out / "metrics.json").read_text())["fisher.auc"]
    assert auc["value"] == pytest.approx(0.9, abs=0.1)
    assert "fisher.auc" in ran.stdout
    assert (out / "report.html").stat().st_size > 1000
    assert (out / "tasks" / "fisher" / "state.safetensors").exists()
    assert "direction: {'mass'" in (out / "tasks" / "fisher" / "log.txt").read_text()
    assert json.loads((out / "tasks" / "fisher" / "model.json").read_text())["plugin"] == "fisher"


def blocks(language: str) -> list[str]:
    """The blocks of one language in the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("file", ["pyproject.toml", "README.md", "hepimg_fisher.py", "test_hepimg_fisher.py"])
def test_the_page_shows_the_files_as_they_are(file: str) -> None:
    shown = re.search(rf"`{re.escape(file)}`:\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert shown
    assert shown[1] == (PLUGIN / file).read_text()


def test_the_analysis_of_the_page_is_in_order(path: str, tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    assert yaml.safe_load(text)["title"]
    file = tmp_path / "fisher.yaml"
    file.write_text(text)
    checked = command("check", file, path=path, cache=tmp_path)
    assert checked.returncode == 0, checked.stderr


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> type:
    """A component that the page shows, as a module's."""
    (source,) = [block for block in blocks("python") if f"\nclass {name}(" in block]
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    exec(compile(source, str(PAGE), "exec"), vars(module))
    component: type = vars(module)[name]
    return component


def test_the_step_of_the_page_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = example("Scale", monkeypatch)
    check_component(scale)
    check_step(scale(factor=1.1), toy_jets(20))


def test_the_source_of_the_page_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    spectrum = example("Spectrum", monkeypatch)
    check_component(spectrum)
    check_source(spectrum(), 150)


def test_the_metric_of_the_page_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    means = example("Means", monkeypatch)
    check_component(means)
    check_metric(means(of="mass"), merge({"one": toy_jets(20), "two": toy_jets(20, 2)}))


def test_the_page_names_all_of_testing() -> None:
    import hepimg.testing

    assert [name for name in hepimg.testing.__all__ if f"`{name}(" not in PAGE.read_text()] == ["ports_of"]
