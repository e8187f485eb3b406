"""What a plain HDF5 file holds: columns, collections of padded entries, images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hepimg.components import Grid
from hepimg.errors import DataError
from hepimg.images import Channel
from hepimg_files.conventions import IN_GEV, JET_UNITS
from hepimg_files.hdf5.file import Hdf5
from hepimg_files.hdf5.padded import MOMENTA, spelled

RESERVED = {"row", "sample"}
"""Columns that a row has once it is stored: its number, and which sample it is of."""

DTYPES = {"bool", "float16", "float32", "float64", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}


@dataclass(frozen=True)
class Padded:
    """A collection: its dataset's fields, units, types (none: as they are), and the dataset of the counts, if any."""

    fields: tuple[str, ...]
    units: Mapping[str, str]
    dtypes: tuple[str, ...]
    counts: str | None

    @property
    def is_particles(self) -> bool:
        """Whether its fields are momenta."""
        names = {spelled(name) for name in self.fields}
        return {"pt", "phi"} <= names or set(MOMENTA) <= names


@dataclass(frozen=True)
class Content:
    """What a file holds: columns and units, collections, images; from hepimg's export, it is taken as it stands."""

    columns: Mapping[str, str]
    collections: Mapping[str, Padded]
    images: Mapping[str, tuple[Grid, tuple[Channel, ...]]]
    is_ours: bool


def describe(file: Hdf5, constituents: str, names: Sequence[str]) -> Content:
    """What a file holds.

    Args:
        file: open.
        constituents: the dataset of the particles.
        names: of its columns, where its attribute ``columns`` is missing.

    Raises:
        DataError: there are no constituents, or a name or shape cannot be.
    """
    from hepimg.export.hdf5 import LAYOUT

    is_ours = file.text("", "layout") == LAYOUT
    length = file.dataset(leader(file, constituents, is_ours)).shape[0]
    named = () if is_ours else (constituents,)  # it may stand in a group
    numbers = [name for name in dict.fromkeys([*file.members(), *named]) if file.holds_numbers(name)]
    collections = {}
    for name in numbers:
        text = ",".join(names) if name == constituents and names else file.text(name, "columns")
        if text is not None:
            collections[name] = _describe_padded(file, name, name == constituents, text)
        elif name == constituents:
            raise DataError(f"{name} has no attribute columns", fix="Name them: columns: [pt, eta, phi, mass].")
    if not is_ours and constituents not in collections:
        raise DataError(f"{constituents} holds {file.dataset(constituents).dtype}", needed="numbers (n, maximum, k)")
    taken = {"event", *collections, *(padded.counts for padded in collections.values())}
    columns = {}
    for name in numbers:
        shape = file.dataset(name).shape
        if name not in taken and shape[0] == length and (is_ours or len(shape) == 1):
            columns[name] = _unit(file, name, is_ours)
    clash = () if is_ours else sorted(RESERVED.intersection(columns))
    if clash:
        raise DataError(
            f"a dataset {clash[0]}, a name that hepimg gives to a column of its own",
            needed="another name",
            fix=f"Rename it: file.move({clash[0]!r}, 'my_{clash[0]}') in h5py.",
        )
    images = {}
    for name in file.members("images") if "images" in file and file.is_group("images") else ():
        grid, channels = (file.text(f"images/{name}", key) or "" for key in ("grid", "channels"))
        images[name] = (Grid.model_validate_json(grid), tuple(Channel(*each) for each in json.loads(channels)))
    return Content(columns, collections, images, is_ours)


def leader(file: Hdf5, constituents: str, is_ours: bool) -> str:
    """The dataset that tells the number of rows: the constituents, which only hepimg's own files may lack.

    Raises:
        DataError: there are none; the message lists what there is.
    """
    if constituents in file:
        return constituents
    if is_ours:
        return "event"
    raise DataError(
        f"no dataset {constituents!r}; there are {file.list_datasets()}",
        needed="padded particles (n, maximum, k)",
        fix="Name them, and their columns: constituents: NAME, columns: [pt, eta, phi].",
    )


def _describe_padded(file: Hdf5, name: str, is_constituents: bool, text: str) -> Padded:
    fields = tuple(part.strip() for part in text.split(","))
    units = [part.strip() for part in (file.text(name, "units") or "").split(",")]
    dtypes = [part for part in (file.text(name, "dtypes") or "").split(",") if part]
    shape = file.dataset(name).shape
    if len(shape) != 3 or shape[2] != len(fields) or len(set(fields)) != len(fields):
        raise DataError(f"{name} has shape {shape} for the columns {text}", needed=f"(n, maximum, {len(fields)})")
    if (dtypes and len(dtypes) != len(fields)) or not DTYPES.issuperset(dtypes):
        raise DataError(f"the attribute dtypes of {name} is {','.join(dtypes)!r}", needed="a type for each column")
    stated = file.text(name, "counts")
    counts = stated or ("n" if is_constituents else f"n_{name}")
    described = Padded(fields, dict(zip(fields, units, strict=False)), tuple(dtypes), counts)
    if counts in file:
        return described
    if described.is_particles and not stated:
        return replace(described, counts=None)
    raise DataError(f"no dataset {counts!r}", needed=f"how many entries of {name} each row has, (n,) whole numbers")


def _unit(file: Hdf5, name: str, is_ours: bool) -> str:
    """The unit that a column has in the sample."""
    unit = file.text(name, "unit")
    if is_ours:
        return unit or ""
    return "GeV" if unit in IN_GEV else unit or JET_UNITS.get(name, "")
