"""Sample: rows in memory, each a jet or an event, with columns, ragged collections and images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError, did_you_mean
from hepimg.images import SparseImages
from hepimg.rows import Rows, offsets_of, take_rows

if TYPE_CHECKING:
    import awkward as ak

    from hepimg.particles import Particles

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Ragged:
    """A variable number of entries per row, each with the same named fields.

    Args:
        offsets: (n_rows + 1,) int64; row ``i`` owns the entries ``offsets[i]:offsets[i + 1]``.
        fields: name -> (n_entries,) array.
        units: name -> unit, for the fields that have one.
    """

    offsets: NDArray[np.int64]
    fields: Mapping[str, Array]
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", np.ascontiguousarray(self.offsets, np.int64))
        for name, values in self.fields.items():
            if values.shape != (self.offsets[-1],):
                raise DataError(f"field {name} has shape {values.shape}", needed=f"({self.offsets[-1]},)")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __getitem__(self, name: str) -> Array:
        """(n_entries,) values of one field."""
        if name not in self.fields:
            raise DataError(f"no field {name!r}; {did_you_mean(name, self.fields)}")
        return self.fields[name]

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_rows,) entries of each row."""
        return np.diff(self.offsets)

    def take(self, rows: Rows) -> Ragged:
        """The chosen rows."""
        offsets, entries = take_rows(self.offsets, rows)
        return replace(self, offsets=offsets, fields={name: values[entries] for name, values in self.fields.items()})

    def where(self, keep: NDArray[np.bool_]) -> Ragged:
        """The entries that are kept, (n_entries,), in the same rows."""
        before = np.concatenate([[0], np.cumsum(keep)])
        fields = {name: values[keep] for name, values in self.fields.items()}
        return replace(self, offsets=before[self.offsets], fields=fields)

    def with_fields(self, units: Mapping[str, str] | None = None, /, **fields: Array) -> Ragged:
        """The same entries with further, or other, fields."""
        return replace(self, fields={**self.fields, **fields}, units={**self.units, **(units or {})})

    def particles(self) -> Particles:
        """The entries as particles: ``pt``, ``y`` (or ``eta``), ``phi``; ``mass`` and ``charge`` where known."""
        from hepimg.particles import Particles

        rapidity = self["y"] if "y" in self else self["eta"]
        mass, charge = self.fields.get("mass"), self.fields.get("charge")
        return Particles(self.offsets, self["pt"], rapidity, self["phi"], mass, charge)

    def to_awkward(self) -> ak.Array:
        """Rows x entries, each a record of the fields."""
        import awkward as ak

        return ak.unflatten(ak.zip(dict(self.fields)), self.counts)

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged]) -> Ragged:
        """One after another; all with the same fields."""
        offsets = offsets_of(np.concatenate([part.counts for part in parts]))
        fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].fields}
        return cls(offsets, fields, parts[0].units)


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows (jets or events) with everything known of them.

    Args:
        columns: name -> (n_rows, ...) array; always ``event`` (int64) and ``weight``.
        collections: name -> :class:`Ragged`, such as ``constituents``.
        images: name -> :class:`~hepimg.images.SparseImages`.
        units: unit of each column that has one.
        classes: names of the samples that the column ``sample`` counts, where rows of several stand together.

    Raises:
        DataError: lengths differ.
    """

    columns: Mapping[str, Array]
    collections: Mapping[str, Ragged] = field(default_factory=dict)
    images: Mapping[str, SparseImages] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("event", "weight"):
            if name not in self.columns:
                raise DataError(f"a sample has no column {name!r}", needed="columns event and weight")
        n = len(self)
        for kind in (self.columns, self.collections, self.images):
            for name, values in kind.items():
                if len(values) != n:
                    raise DataError(f"{name} has {len(values)} rows", needed=f"{n}, as the column event has")

    def __len__(self) -> int:
        return len(self.columns["event"])

    def column(self, name: str) -> Array:
        """(n_rows, ...) values of one column."""
        if name not in self.columns:
            raise DataError(f"no column {name!r}; {did_you_mean(name, self.columns)}")
        return self.columns[name]

    def collection(self, name: str) -> Ragged:
        """One ragged collection."""
        if name not in self.collections:
            raise DataError(f"no collection {name!r}; {did_you_mean(name, self.collections)}")
        return self.collections[name]

    def image(self, name: str) -> SparseImages:
        """One batch of images."""
        if name not in self.images:
            raise DataError(f"no image {name!r}; {did_you_mean(name, self.images)}")
        return self.images[name]

    def is_from(self, name: str) -> NDArray[np.bool_]:
        """(n_rows,) whether a row belongs to the sample ``name``."""
        if name not in self.classes:
            raise DataError(f"no sample {name!r}; {did_you_mean(name, self.classes)}")
        return np.asarray(self.column("sample") == self.classes.index(name))

    def __getitem__(self, rows: Rows) -> Sample:
        """The rows of a slice, mask or list of numbers."""
        if isinstance(rows, (int, np.integer)):
            rows = [int(rows)]
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            collections={name: values.take(rows) for name, values in self.collections.items()},
            images={name: values[rows] for name, values in self.images.items()},
        )

    def with_columns(self, units: Mapping[str, str] | None = None, /, **columns: Array) -> Sample:
        """The same rows with further, or other, columns."""
        return replace(self, columns={**self.columns, **columns}, units={**self.units, **(units or {})})

    def with_collection(self, name: str, collection: Ragged) -> Sample:
        """The same rows with a further, or another, collection."""
        return replace(self, collections={**self.collections, name: collection})

    def with_images(self, **images: SparseImages) -> Sample:
        """The same rows with further, or other, images."""
        return replace(self, images={**self.images, **images})

    def select(self, names: Iterable[str]) -> Sample:
        """The named columns, collections and images, and what every sample has."""
        keep = {*names, "event", "weight", "sample", "row"}
        return replace(
            self,
            columns={name: values for name, values in self.columns.items() if name in keep},
            collections={name: values for name, values in self.collections.items() if name in keep},
            images={name: values for name, values in self.images.items() if name in keep},
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Sample]) -> Sample:
        """One after another; all with the same columns, collections and images."""
        first = parts[0]
        return replace(
            first,
            columns={name: np.concatenate([part.column(name) for part in parts]) for name in first.columns},
            collections={
                name: Ragged.concatenate([part.collection(name) for part in parts]) for name in first.collections
            },
            images={name: SparseImages.concatenate([part.image(name) for part in parts]) for name in first.images},
        )

    def __repr__(self) -> str:
        parts = [f"{len(self)} rows", f"columns {', '.join(self.columns)}"]
        parts += [
            f"{name} ({len(ragged[next(iter(ragged.fields))])} entries: {', '.join(ragged.fields)})"
            for name, ragged in self.collections.items()
        ]
        parts += [f"{name}: {images!r}" for name, images in self.images.items()]
        return f"Sample({'; '.join(parts)})"
