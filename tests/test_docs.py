"""The documentation is executed: commands, Python and YAML of every page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.M | re.S)


def test_the_readme_has_exactly_two_commands_that_set_up() -> None:
    commands = [block.strip() for block in blocks(ROOT / "README.md", "")]
    assert commands == [
        "python -m pip install -e . && hepimg run analyses/qcd_vs_top.yaml",
        'python -m pip install -e ".[test]" && pytest -n 2 --dist loadfile',
    ]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_file_of_the_core_stands_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for path in (ROOT / "core" / "hepimg").iterdir():
        if path.name.startswith("_") or path.suffix not in ("", ".py"):
            continue
        name = path.stem if path.suffix else f"{path.name}/"
        assert re.search(rf"`{name}`", text), f"docs/architecture.md does not tell what {name} does"


def test_the_analysis_page_shows_a_file_that_checks(tmp_path: Path) -> None:
    from hepimg.config import load_analysis

    (block,) = blocks(ROOT / "docs" / "analysis_files.md", "yaml")
    path = tmp_path / "shown.yaml"
    path.write_text(block)
    tasks = load_analysis(path, quick=True).tasks
    assert "tag[seed=3]" in tasks
    assert "trees[learning_rate=0.05]" in tasks


def test_every_analysis_checks() -> None:
    from hepimg.config import load_analysis

    for path in (ROOT / "analyses").glob("*.yaml"):
        load_analysis(path)
        load_analysis(path, quick=True)


def test_the_schema_accepts_what_the_check_accepts() -> None:
    import jsonschema

    from hepimg.schema import analysis_schema
    from hepimg.yaml_lines import read_yaml

    schema = analysis_schema()
    for path in (ROOT / "analyses").glob("*.yaml"):
        content = read_yaml(path).content
        jsonschema.validate(content, schema)
        jsonschema.validate(content | {"tasks": {"tag": {"task": "tagging", "saved": "elsewhere"}}}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content | {"tasks": {"tag": {"task": "tagging"}}}, schema)
        content["preprocess"].append({"step": "pool", "factr": 2})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content, schema)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder that has the analyses, with a cache of its own."""
    if not (folder / "analyses").exists():
        (folder / "analyses").symlink_to(ROOT / "analyses")
    environment = os.environ | {"HEPIMG_CACHE": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def hepimg(folder: Path, *arguments: str) -> None:
    """Run the command line, which must end well."""
    program = "import sys; from hepimg.cli import main; sys.exit(main())"
    done = run(folder, sys.executable, "-c", program, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.analyses
@pytest.mark.parametrize("page", ["tutorial", "data", "super_resolution"])
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    for block in blocks(ROOT / "docs" / f"{page}.md", "yaml"):
        if name := re.match(r"# (\S+\.yaml)\n", block):
            (tmp_path / name[1]).write_text(block)
    for line in "".join(blocks(ROOT / "docs" / f"{page}.md", "console")).splitlines():
        name, *arguments = shlex.split(line)
        assert name == "hepimg"
        hepimg(tmp_path, *arguments)
    code = "\n".join(blocks(ROOT / "docs" / f"{page}.md", "python"))
    done = run(tmp_path, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert page != "tutorial" or "160x160" in done.stdout
    assert page != "data" or (tmp_path / "exported" / "qcd.parquet").exists()


@pytest.mark.analyses
@pytest.mark.parametrize(
    "name", [path.name for path in (ROOT / "analyses").glob("*.yaml") if path.stem != "qcd_vs_top"]
)
def test_the_other_analyses_run_quickly(name: str, tmp_path: Path) -> None:
    hepimg(tmp_path, "run", f"analyses/{name}", "--quick", "--out", "results")
    assert (tmp_path / "results" / "report.html").exists()
