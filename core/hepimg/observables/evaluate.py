"""Observables of each jet: one evaluation per name, sharing what several of them need."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels import correlators, moments
from hepimg.kernels.moments import ratio
from hepimg.kernels.subjettiness import subjettiness
from hepimg.observables.names import Option, parse
from hepimg.particles import Particles

Floats = NDArray[np.float64]


def evaluate(names: Sequence[str], particles: Particles) -> dict[str, Floats]:
    """See :func:`hepimg.observables.compute`."""
    wanted = {name: parse(name) for name in names}
    triples = {dict(each.options)["beta"] for each in wanted.values() if each.name in ("c2", "d2", "n2")}
    work = _Work(particles, frozenset(triples))
    return {name: EVALUATIONS[each.name](work, dict(each.options)) for name, each in wanted.items()}


class _Work:
    """What several observables of one batch need, computed once."""

    def __init__(self, particles: Particles, triples: frozenset[Option]) -> None:
        self.particles = particles
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
    if work.particles.charge is None:
        raise ValueError("jet_charge needs the charge of each particle")
    return moments.jet_charge(work.particles.offsets, work.particles.pt, work.particles.charge, options["kappa"])


def _c2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, e3, _ = work.three_point(options["beta"]).T
    return ratio(e3, e2**2)


def _d2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, e3, _ = work.three_point(options["beta"]).T
    return ratio(e3, e2**3)


def _n2(work: _Work, options: Mapping[str, Any]) -> Floats:
    e2, _, two_e3 = work.three_point(options["beta"]).T
    return ratio(two_e3, e2**2)


def _tau(n: int) -> "Evaluation":
    return lambda work, options: work.tau(n, options)


def _tau_ratio(n: int) -> "Evaluation":
    return lambda work, options: ratio(work.tau(n, options), work.tau(n - 1, options))


def _nth_hardest(work: _Work, options: Mapping[str, Any]) -> Floats:
    return moments.nth_hardest(work.particles.offsets, work.particles.pt, options["n"])


def _relative_mass(work: _Work, options: Mapping[str, Any]) -> Floats:
    momentum = work.momentum()
    return ratio(moments.invariant_mass(momentum), moments.transverse_momentum(momentum))


def _pt_dispersion(work: _Work, options: Mapping[str, Any]) -> Floats:
    pt = work.particles.pt.astype(np.float64)
    return ratio(np.sqrt(moments.total(work.particles.offsets, pt**2)), work.pt_sum())


Evaluation = Callable[[_Work, Mapping[str, Any]], Floats]

EVALUATIONS: dict[str, Evaluation] = {
    "mass": lambda work, _: moments.invariant_mass(work.momentum()),
    "pt": lambda work, _: moments.transverse_momentum(work.momentum()),
    "girth": _girth,
    "correlator": lambda work, options: work.two_point(options["beta"]),
    "c2": _c2,
    "d2": _d2,
    "n2": _n2,
    **{f"tau{n}": _tau(n) for n in (1, 2, 3, 4)},
    **{f"tau{n}{n - 1}": _tau_ratio(n) for n in (2, 3, 4)},
    "jet_charge": _jet_charge,
    "n_active": lambda work, _: work.particles.counts.astype(np.float64),
    "nth_hardest": _nth_hardest,
    "relative_mass": _relative_mass,
    "pt_dispersion": _pt_dispersion,
    "mean_pt": lambda work, _: ratio(work.pt_sum(), work.particles.counts),
}
"""How each name of :data:`hepimg.observables.names.FAMILIES` is computed."""
