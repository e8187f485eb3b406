"""Grid: two axes of cells, and the way between a cell and its coordinates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from hepimg.options import Options

UNITS = {"eta": "", "y": "", "phi": "rad"}
CIRCLE = 2 * math.pi


class Axis(Options):
    """Consecutive cells along one coordinate: evenly spaced between ``low`` and ``high``, or between given ``edges``.

    An axis named ``phi`` is an angle: a coordinate is first wrapped to within half a turn of the axis' centre.  It is
    *periodic* (its last cell touches its first) when it covers the whole circle.
    """

    name: str = Field(description="coordinate: eta, y, phi, or any other")
    edges: tuple[float, ...] = Field(description="cell edges, ascending; for a regular axis: low, high", min_length=2)
    bins: int = Field(0, ge=0, description="number of cells of a regular axis; 0: the edges are the cells' own")
    unit: str = Field("", description="unit of the coordinate")

    @field_validator("edges", mode="before")
    @classmethod
    def _from_list(cls, edges: Any) -> Any:
        return tuple(edges) if isinstance(edges, list) else edges

    @model_validator(mode="after")
    def _check(self) -> Axis:
        if not all(math.isfinite(edge) for edge in self.edges):
            raise ValueError(f"axis {self.name}: edges must be finite, found {list(self.edges)}")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"axis {self.name}: edges must ascend, found {list(self.edges)}")
        if self.bins and len(self.edges) != 2:
            raise ValueError(f"axis {self.name}: give either a shape with [low, high], or a list of edges")
        if self.is_angle and self.edges[-1] - self.edges[0] > CIRCLE * (1 + 1e-9):
            raise ValueError(f"axis {self.name}: wider than the circle (2 pi), found {list(self.edges)}")
        return self

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.bins or len(self.edges) - 1

    @property
    def is_regular(self) -> bool:
        """Whether all cells have one width."""
        return self.bins > 0

    @property
    def is_angle(self) -> bool:
        """Whether coordinates wrap by a full turn."""
        return self.name == "phi"

    @property
    def is_periodic(self) -> bool:
        """Whether the axis closes on itself."""
        return self.is_angle and math.isclose(self.edges[-1] - self.edges[0], CIRCLE, rel_tol=1e-9)

    @property
    def all_edges(self) -> NDArray[np.float64]:
        """(size + 1,) edges of the cells."""
        if self.is_regular:
            return np.linspace(self.edges[0], self.edges[-1], self.bins + 1)
        return np.array(self.edges)

    @property
    def is_symmetric(self) -> bool:
        """Whether the cells, in reversed order, have the same widths."""
        widths = np.diff(self.all_edges)
        return bool(np.allclose(widths, widths[::-1]))

    @property
    def centres(self) -> NDArray[np.float64]:
        """(size,) centres of the cells."""
        edges = self.all_edges
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    def pooled(self, factor: int) -> Axis:
        """The axis of every ``factor`` cells taken together; a remainder makes a last, narrower cell."""
        if self.is_regular and self.size % factor == 0:
            return self.model_copy(update={"bins": self.bins // factor})
        edges = self.all_edges
        return self.model_copy(update={"bins": 0, "edges": (*edges[:-1:factor].tolist(), float(edges[-1]))})

    def cropped(self, first: int, last: int) -> Axis:
        """The axis of the cells ``first:last``."""
        edges = self.all_edges[first : last + 1].tolist()
        if self.is_regular:
            return self.model_copy(update={"bins": last - first, "edges": (edges[0], edges[-1])})
        return self.model_copy(update={"edges": tuple(edges)})


class Grid(Options):
    """Rows and columns of cells; cell ``(r, c)`` has the number ``r * columns + c``.

    In an analysis file: ``{eta: [-1, 1], phi: [-1, 1], shape: [160, 160]}``, the first axis being the rows, or with
    edges of its own for each axis: ``{eta: [-2, -1, 0, 1, 2], phi: [-1, 0, 1]}``.
    """

    rows: Axis
    columns: Axis

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if not isinstance(value, dict) or set(value) == {"rows", "columns"}:
            return value
        names = [name for name in value if name != "shape"]
        if len(names) != 2:
            raise ValueError(
                f"a grid has two axes, such as {{eta: [-1, 1], phi: [-1, 1], shape: [40, 40]}}; found {names}"
            )
        shape = value.get("shape", (0, 0))
        if not isinstance(shape, (list, tuple)) or len(shape) != 2 or not all(type(n) is int for n in shape):
            raise ValueError(f"shape must be two whole numbers, found {shape!r}")
        if "shape" in value and min(shape) < 1:
            raise ValueError(f"shape must be positive, found {list(shape)}")
        axes = [
            {
                "name": name,
                "edges": value[name],
                "bins": bins,
                "unit": UNITS.get(name, ""),
            }
            for name, bins in zip(names, shape, strict=True)
        ]
        return {"rows": axes[0], "columns": axes[1]}

    @model_validator(mode="after")
    def _check(self) -> Grid:
        if self.size >= 2**31:
            raise ValueError(f"a grid of {self.shape} has more cells than a 32-bit number counts")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Both forms, for editors."""
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2}
        shape = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
        short = {"type": "object", "properties": {"shape": shape}, "additionalProperties": numbers}
        return {"anyOf": [short, handler(schema)]}

    @classmethod
    def square(cls, half_width: float, size: int) -> Grid:
        """``size`` x ``size`` cells over [-half_width, half_width]^2 in (eta, phi)."""
        axis = (-half_width, half_width)
        return cls.model_validate({"eta": axis, "phi": axis, "shape": (size, size)})

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.rows.size, self.columns.size

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.rows.size * self.columns.size

    @property
    def periodic(self) -> tuple[bool, bool]:
        """Which of the two axes closes on itself."""
        return self.rows.is_periodic, self.columns.is_periodic

    def pooled(self, factor: int | tuple[int, int]) -> Grid:
        """The grid of ``factor`` x ``factor`` cells taken together."""
        rows, columns = (factor, factor) if isinstance(factor, int) else factor
        return Grid(rows=self.rows.pooled(rows), columns=self.columns.pooled(columns))

    def cropped(self, rows: tuple[int, int], columns: tuple[int, int]) -> Grid:
        """The grid of the given half-open ranges of rows and columns."""
        return Grid(rows=self.rows.cropped(*rows), columns=self.columns.cropped(*columns))

    def centres(self, cells: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The coordinates of the centres of ``cells``: (n,) along the rows' axis, (n,) along the columns' axis."""
        row, column = np.divmod(cells, self.columns.size)
        return self.rows.centres[row], self.columns.centres[column]

    def __repr__(self) -> str:
        axes = [
            f"{a.name} [{a.edges[0]:g}, {a.edges[-1]:g}]{' periodic' if a.is_periodic else ''}"
            for a in (self.rows, self.columns)
        ]
        return f"Grid({self.rows.size}x{self.columns.size}, {axes[0]}, {axes[1]})"

    __str__ = __repr__
