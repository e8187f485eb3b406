"""Named observables of jets, the same for constituents and for the pixels of an image.

A name is ``mass``, or carries options: ``tau21[axes=wta_kt]``, ``c2[beta=2]``.  Every observable of a jet without
particles is 0, and a ratio 0/0 counts as 0, so that no NaN reaches a histogram or a network.
"""

import difflib
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels import correlators, moments
from hepimg.kernels.moments import ratio
from hepimg.kernels.subjettiness import AXES, subjettiness
from hepimg.particles import Particles

Floats = NDArray[np.float64]
Option = float | int | str


@dataclass(frozen=True)
class Family:
    """Observables of one name, which differ in their options."""

    unit: str
    description: str
    evaluate: "Callable[[_Work, Mapping[str, Any]], Floats]"
    defaults: Mapping[str, Option]


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
        raise ValueError(_unknown("observable", name, available()))
    options = dict(FAMILIES[name].defaults)
    for part in filter(None, rest[:-1].split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"observable {text!r}: {part!r} is not of the form option=value")
        if key not in options:
            raise ValueError(_unknown(f"{name}: option", key, list(options)))
        options[key] = _read(text, key, value, type(options[key]))
    return Observable(name, tuple(options.items()))


def compute(
    names: Sequence[str], particles: Particles, charge: NDArray[Any] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Observables of each jet.

    Args:
        names: observables as :func:`parse` reads them.
        particles: constituents or pixels.
        charge: electric charge of each particle in units of e, shape (n_particles,), for ``jet_charge``.

    Returns:
        For each name an array of shape (n_jets,), in the unit of the observable.

    Raises:
        ValueError: a name is wrong, or ``jet_charge`` is asked for without charges.
    """
    wanted = {name: parse(name) for name in names}
    triples = {dict(each.options)["beta"] for each in wanted.values() if each.name in ("c2", "d2", "n2")}
    work = _Work(particles, charge, frozenset(triples))
    return {name: FAMILIES[each.name].evaluate(work, dict(each.options)) for name, each in wanted.items()}


class _Work:
    """What several observables of one batch need, computed once."""

    def __init__(self, particles: Particles, charge: NDArray[Any] | None, triples: frozenset[Option]) -> None:
        self.particles = particles
        self.charge = charge
        self._triples = triples
        self._done: dict[Hashable, Any] = {}
        self._plane = (particles.offsets, particles.pt, particles.y, particles.phi)

    def _once(self, key: Hashable, evaluate: Callable[[], Any]) -> Any:
        if key not in self._done:
            self._done[key] = evaluate()
        return self._done[key]

    def momentum(self) -> Floats:
        result: Floats = self._once("momentum", lambda: moments.four_momentum(*self._plane, self.particles.mass))
        return result

    def pt_sum(self) -> Floats:
        result: Floats = self._once("pt_sum", lambda: moments.total(self.particles.offsets, self.particles.pt))
        return result

    def three_point(self, beta: float) -> Floats:
        result: Floats = self._once(("three", beta), lambda: correlators.three_point(*self._plane, beta))
        return result

    def two_point(self, beta: float) -> Floats:
        if beta in self._triples:
            return self.three_point(beta)[:, 0]
        result: Floats = self._once(("two", beta), lambda: correlators.two_point(*self._plane, beta))
        return result

    def tau(self, n: int, options: Mapping[str, Any]) -> Floats:
        key = ("tau", *options.items())
        taus: Floats = self._once(key, lambda: subjettiness(*self._plane, self.particles.mass, **options))
        return taus[:, n - 1]


def _girth(work: _Work, options: Mapping[str, Any]) -> Floats:
    momentum = work.momentum()
    return moments.girth(*work._plane, moments.rapidity(momentum), moments.azimuth(momentum))


def _jet_charge(work: _Work, options: Mapping[str, Any]) -> Floats:
    if work.charge is None:
        raise ValueError("jet_charge needs the charge of each particle")
    return moments.jet_charge(work.particles.offsets, work.particles.pt, work.charge, options["kappa"])


def _c2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, e3, _ = work.three_point(options["beta"]).T
    return ratio(e3, e2**2)


def _d2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, e3, _ = work.three_point(options["beta"]).T
    return ratio(e3, e2**3)


def _n2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, _, two_e3 = work.three_point(options["beta"]).T
    return ratio(two_e3, e2**2)


def _tau_families() -> dict[str, Family]:
    defaults: dict[str, Option] = {"axes": "onepass_kt", "beta": 1.0, "r0": 0.8}

    def tau(n: int) -> Family:
        return Family("", f"{n}-subjettiness (arXiv:1011.2268)", lambda work, options: work.tau(n, options), defaults)

    def tau_ratio(n: int) -> Family:
        return Family(
            "",
            f"tau{n} / tau{n - 1}",
            lambda work, options: ratio(work.tau(n, options), work.tau(n - 1, options)),
            defaults,
        )

    families = {f"tau{n}": tau(n) for n in (1, 2, 3, 4)}
    return families | {f"tau{n}{n - 1}": tau_ratio(n) for n in (2, 3, 4)}


FAMILIES: dict[str, Family] = {
    "mass": Family("GeV", "invariant mass", lambda work, _: moments.invariant_mass(work.momentum()), {}),
    "pt": Family("GeV", "transverse momentum", lambda work, _: moments.transverse_momentum(work.momentum()), {}),
    "girth": Family("", "pT-weighted mean distance from the jet axis, w_pf", _girth, {}),
    "correlator": Family(
        "", "two-point energy correlator e2 (arXiv:1305.0007)", lambda w, o: w.two_point(o["beta"]), {"beta": 0.2}
    ),
    "c2": Family("", "e3 / e2^2 (arXiv:1305.0007)", _c2, {"beta": 1.0}),
    "d2": Family("", "e3 / e2^3 (arXiv:1409.6298)", _d2, {"beta": 1.0}),
    "n2": Family("", "2e3 / 1e2^2 (arXiv:1609.07483)", _n2, {"beta": 1.0}),
    **_tau_families(),
    "jet_charge": Family("e", "pT-weighted charge", _jet_charge, {"kappa": 0.5}),
    "n_active": Family(
        "", "number of particles, or of active pixels", lambda work, _: work.particles.counts.astype(np.float64), {}
    ),
    "nth_hardest": Family(
        "GeV",
        "pT of the n-th hardest particle or pixel",
        lambda work, options: moments.nth_hardest(work.particles.offsets, work.particles.pt, options["n"]),
        {"n": 1},
    ),
    "mean_pt": Family(
        "GeV", "mean pT per particle, or per active pixel", lambda w, _: ratio(w.pt_sum(), w.particles.counts), {}
    ),
}
"""Every observable by name."""


def _read(text: str, key: str, value: str, kind: type) -> Option:
    if kind is str:
        if value not in AXES:
            raise ValueError(_unknown(f"observable {text!r}: {key}", value, list(AXES)))
        return value
    try:
        number: float | int = kind(value)
    except ValueError:
        raise ValueError(f"observable {text!r}: {key} must be a number, not {value!r}") from None
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"observable {text!r}: {key} must be positive, not {value}")
    return number


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known)
    if near:
        return f"{what} {name!r} is not known; did you mean {' or '.join(near)}?"
    return f"{what} {name!r} is not known; there {'are ' + ', '.join(known) if known else 'is none'}"
