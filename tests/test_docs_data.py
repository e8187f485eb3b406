"""Every analysis of docs/data.md is made, on small files of the layouts it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import write_example

from hepimg.config import load_analysis
from hepimg.generate import make_data
from hepimg.progress import Bars
from hepimg.registry import load_registry
from hepimg.store import Cache
from rows import collected

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
ANALYSES = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)


def sources(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of every source in an analysis file."""
    data = content["data"]
    common = {"source": data["source"]} if isinstance(data["source"], str) else data["source"]
    return [{**common, **sample} for sample in content["samples"].values()] + [*data.get("pools", {}).values()]


@pytest.mark.parametrize("text", ANALYSES, ids=lambda text: yaml.safe_load(text)["title"])
def test_every_analysis_of_the_page_makes_its_data(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    external = Path(os.environ["HEPIMG_TEST_DATA"]) if os.environ.get("HEPIMG_TEST_DATA") else None
    for options in sources(yaml.safe_load(text)):
        if "/a" not in str(options.get("files")) and not write_example(options, tmp_path, external):
            pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    if "made/*" in text:
        for name in ("a", "b"):
            write_example({"source": "hdf5", "files": f"made/{name}.h5"}, tmp_path, None)
    Path("a.yaml").write_text(text)
    analysis = load_analysis(Path("a.yaml"))
    if not analysis.pools:
        assert all(len(sample) for sample in collected(analysis, tmp_path / "cache").values())
        return
    with Bars() as bars:
        stored = make_data(analysis, Cache(tmp_path / "cache"), bars, 1)
    assert all(sample.rows for sample in stored.values())


def test_the_page_tells_of_every_source_of_files() -> None:
    registry = load_registry()
    names = [name for name in registry.names("source") if registry.find("source", name).plugin.name == "files"]
    for name in names:
        assert f"**`{name}`**" in PAGE.read_text(), name
    shown = {options["source"] for text in ANALYSES for options in sources(yaml.safe_load(text))}
    assert {name for name in names if not name.endswith("_events")} <= shown
