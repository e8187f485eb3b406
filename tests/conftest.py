"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own."""
    monkeypatch.setenv("HEPIMG_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def external() -> Path:
    """The folder of external test data."""
    folder = os.environ.get("HEPIMG_TEST_DATA")
    if not folder:
        pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    return Path(folder)
