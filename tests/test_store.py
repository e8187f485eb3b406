"""Units of work: keys, atomic files, locks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hepimg import DataError
from hepimg.states import read_state, write_state
from hepimg.store import Cache, content_key, read_json, write_json, writing


def test_a_key_depends_on_content_not_on_order() -> None:
    assert content_key(a=1, b=[2, 3]) == content_key(b=[2, 3], a=1)
    assert content_key(a=1, b=[2, 3]) != content_key(a=1, b=[3, 2])
    with pytest.raises(TypeError, match="cannot be part of a content key"):
        content_key(a=object())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with writing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_full_disk_is_one_clear_error_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(self: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match=r"x\.json: cannot write: No space left on device.*what was finished is kept"):
        write_json(path, {"a": 2})
    monkeypatch.undo()
    assert read_json(path) == {"a": 1}


def test_damaged_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"x\.json: not JSON"):
        read_json(tmp_path / "x.json")


def test_a_unit_is_finished_by_its_manifest(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    unit = cache.unit("fit", content_key(a=1))
    with unit.lock():
        assert not unit.is_finished
        unit.finish({"task": "tag"})
    assert unit.manifest == {"task": "tag"}
    (tmp_path / "fit" / "thesis").mkdir()
    assert [(kind, found.folder) for kind, found in cache.units()] == [("fit", unit.folder)]


def test_cleaning_leaves_what_is_in_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    used, idle = cache.unit("fit", content_key(a=1)), cache.unit("fit", content_key(a=2))
    idle.finish({})
    with used.lock():
        used.finish({})
        assert cache.clean() > 0
    assert used.is_finished
    assert not idle.folder.exists()


def test_states_are_there_and_back_with_scalars(tmp_path: Path) -> None:
    import numpy as np

    state = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "n": np.array(3),
        "text": np.frombuffer(b"tree", np.uint8),
    }
    write_state(tmp_path / "s.safetensors", state)
    back = read_state(tmp_path / "s.safetensors")
    assert back["n"].shape == ()
    assert all((back[name] == state[name]).all() for name in state)


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (os.environ["HEPIMG_OWNED"],)


def test_a_pickle_offered_as_a_state_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setenv("HEPIMG_OWNED", str(tmp_path / "owned"))
    (tmp_path / "s.safetensors").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(
        DataError, match=r"s\.safetensors: a pickle or archive, which is never loaded; needed: safetensors"
    ):
        read_state(tmp_path / "s.safetensors")
    assert not (tmp_path / "owned").exists()
