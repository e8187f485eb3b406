"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own."""
    monkeypatch.setenv("HEPIMG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread in torch: with tensors as small as those of tests, threads cost more than they save."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def external() -> Path:
    """The folder of external test data."""
    folder = os.environ.get("HEPIMG_TEST_DATA")
    if not folder:
        pytest.skip("HEPIMG_TEST_DATA is not set: external test data are not here")
    return Path(folder)
