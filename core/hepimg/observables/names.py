"""The names of observables, with units and options; nothing here computes, so that analyses are checked quickly."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from hepimg.errors import did_you_mean
from hepimg.kernels import SUBJETTINESS_AXES

Option = float | int | str


@dataclass(frozen=True)
class Family:
    """Observables of one name, which differ in their options."""

    unit: str
    description: str
    defaults: Mapping[str, Option]


_BETA = {"beta": 1.0}
_TAU: dict[str, Option] = {"axes": "onepass_kt", "beta": 1.0, "r0": 0.8}

FAMILIES: dict[str, Family] = {
    "mass": Family("GeV", "invariant mass", {}),
    "pt": Family("GeV", "transverse momentum", {}),
    "girth": Family("", "pT-weighted mean distance from the jet axis, w_pf", {}),
    "correlator": Family("", "two-point energy correlator e2 (arXiv:1305.0007)", {"beta": 0.2}),
    "c2": Family("", "e3 / e2^2 (arXiv:1305.0007)", _BETA),
    "d2": Family("", "e3 / e2^3 (arXiv:1409.6298)", _BETA),
    "n2": Family("", "2e3 / 1e2^2 (arXiv:1609.07483)", _BETA),
    **{f"tau{n}": Family("", f"{n}-subjettiness (arXiv:1011.2268)", _TAU) for n in (1, 2, 3, 4)},
    **{f"tau{n}{n - 1}": Family("", f"tau{n} / tau{n - 1}", _TAU) for n in (2, 3, 4)},
    "jet_charge": Family("e", "pT-weighted charge (arXiv:1209.2421)", {"kappa": 0.5}),
    "n_active": Family("", "number of particles, or of active pixels", {}),
    "nth_hardest": Family("GeV", "pT of the n-th hardest particle or pixel", {"n": 1}),
    "relative_mass": Family("", "invariant mass over transverse momentum", {}),
    "pt_dispersion": Family("", "sqrt(sum of pT^2) / sum of pT, pTD (CMS-PAS-JME-13-002)", {}),
    "mean_pt": Family("GeV", "mean pT per particle, or per active pixel", {}),
}
"""Every observable by name."""


@dataclass(frozen=True)
class Observable:
    """An observable with all its options: what :func:`parse` makes of a name."""

    name: str
    options: tuple[tuple[str, Option], ...] = ()

    @property
    def unit(self) -> str:
        """Unit, empty for a pure number."""
        return FAMILIES[self.name].unit

    @property
    def description(self) -> str:
        """What the observable measures."""
        return FAMILIES[self.name].description

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name}[{options}]" if options else self.name


def available() -> list[str]:
    """The names of all observables, without options."""
    return list(FAMILIES)


def parse(text: str) -> Observable:
    """Read ``name`` or ``name[option=value,...]``.

    Raises:
        ValueError: the name or an option is not known (near names are shown), or a value is not allowed.
    """
    name, bracket, rest = text.strip().partition("[")
    if bracket and not rest.endswith("]"):
        raise ValueError(f"observable {text!r}: the closing ] is missing")
    if name not in FAMILIES:
        raise ValueError(f"no observable is called {name!r}; {did_you_mean(name, FAMILIES)}")
    options = dict(FAMILIES[name].defaults)
    for part in filter(None, rest[:-1].split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"observable {text!r}: {part!r} is not of the form option=value")
        if key not in options:
            raise ValueError(f"observable {name!r} has no option {key!r}; {did_you_mean(key, options)}")
        options[key] = _read(text, key, value, type(options[key]))
    return Observable(name, tuple(options.items()))


def _read(text: str, key: str, value: str, kind: type) -> Option:
    if kind is str:
        if value not in SUBJETTINESS_AXES:
            raise ValueError(f"observable {text!r}: no {key} {value!r}; {did_you_mean(value, SUBJETTINESS_AXES)}")
        return value
    try:
        number: float | int = kind(value)
    except ValueError:
        raise ValueError(f"observable {text!r}: {key} must be a number, not {value!r}") from None
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"observable {text!r}: {key} must be positive, not {value}")
    return number


def _known(text: str) -> str:
    parse(text)
    return text


ObservableName = Annotated[str, AfterValidator(_known)]
"""The type of a component's field that names an observable: a wrong name is found by ``hepimg check``."""
