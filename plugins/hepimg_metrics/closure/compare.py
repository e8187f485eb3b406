"""One class's generated images compared with the true ones, model after model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hepimg.components import Estimate, Figure
from hepimg.images import SparseImages
from hepimg.random import derive_seed
from hepimg_metrics.closure.cells import Patch, neighbours
from hepimg_metrics.closure.jets import Floats, Jets, Seen, known
from hepimg_metrics.closure.low import agreement, factors_between, pooled
from hepimg_metrics.closure.models import Model
from hepimg_metrics.closure.posterior import correlation_numbers, rank_numbers, rank_shares, ranks
from hepimg_metrics.closure.shown import Shown, is_spectrum
from hepimg_metrics.closure.two_sample import area, tree_area
from hepimg_metrics.closure.wasserstein import SPLITS, distances, floor

Numbers = dict[str, Estimate]

CONTENTS = {"occupancy": "patch", "energy": "energy_patch"}
"""What patch images add up, and how their numbers begin."""


class Comparison:
    """The truth of one class, computed once, and what figures need of the models compared with it so far.

    Args:
        jets: the rows of the class.
        truth: name of the true image.
        low: name of the low-resolution image; empty: none.
        names: observables.
        seed: of everything random.
    """

    def __init__(self, jets: Jets, truth: str, low: str, names: Sequence[str], seed: int) -> None:
        self.jets, self.names, self.seed = jets, list(names), seed
        self.truth = Seen.of(jets.rows.image(truth), self.names)
        splits = jets.halves(SPLITS, seed)
        self.floors = known(
            {n: floor(self.truth.values[n], jets.every[0], splits, self.truth.unit(n)) for n in self.names}
        )
        self.low = Seen.of(jets.rows.image(low), self.names) if low else None
        self.factors = (self.low and factors_between(self.truth.images.grid, self.low.images.grid)) or (1, 1)
        self.patches = {content: {"HR": self._patch(self.truth, content)} for content in CONTENTS}
        self.shown = Shown(jets, self.truth, self.low, {}, {}, {})

    def truth_numbers(self) -> Numbers:
        """The floor of each observable; with a low-resolution image, the mean neighbouring pairs, and the agreement."""
        numbers: Numbers = {f"floor@{name}": number for name, number in self.floors.items()}
        if self.low is not None:
            pairs = zip(("pairs_inside", "pairs_across"), neighbours(self.truth.images, self.factors), strict=True)
            numbers |= known({name: self.jets.ratio(each, np.ones(len(self.jets))) for name, each in pairs})
            numbers |= agreement(pooled(self.truth.images, self.factors), self.low.images, self.jets)
        return numbers

    def add(self, model: Model, *, trees: bool, is_shown: bool) -> Numbers:
        """The numbers of one model.

        Args:
            model: what made the generated image.
            trees: whether trees try to tell it from the truth.
            is_shown: whether figures shall show it.
        """
        generated = Seen.of(self.jets.rows.image(model.image), self.names)
        if is_shown:
            self.shown.models[model.name] = generated
        numbers = self._distributions(generated)
        if trees:
            numbers |= self._trees(generated)
        if self.low is not None:
            numbers |= self._cells(generated, self.low.images, model.name if is_shown else "")
        draws = [generated, *(Seen.of(self.jets.rows.image(draw), self.names) for draw in model.draws)]
        numbers |= self._between(draws)
        return numbers | self._posterior(draws, model.name if is_shown else "")

    def score_numbers(self, truth: str, generated: str) -> Numbers:
        """The area under the curve of a pair of scores, columns of the rows."""
        true, made = (self.jets.rows.column(name).astype(np.float64) for name in (truth, generated))
        return known({"two_sample_auc": self.jets.estimate(area(true, made, self.jets.every))})

    def figures(self) -> list[Figure]:
        """What is to be seen of the models that are shown."""
        from hepimg_metrics.closure.events import draw_migration, draw_ranks
        from hepimg_metrics.closure.histograms import draw_observables, draw_spectra
        from hepimg_metrics.closure.images import draw_means, draw_patches

        drawn = [draw_spectra(self.shown), draw_observables(self.shown), draw_means(self.shown)]
        if self.low is not None:
            drawn.append(draw_patches(self.shown, self.patches))
        drawn += [draw_migration(self.shown, model) for model in self.shown.models]
        if self.shown.shares:
            drawn.append(draw_ranks(self.shown))
        return [figure for figure in drawn if figure is not None]

    def _distributions(self, generated: Seen) -> Numbers:
        """Distances, over the floor too, and the largest of these."""
        numbers: Numbers = {}
        over_floor: list[Floats] = []
        for name in self.names:
            found = distances(self.truth.values[name], generated.values[name], self.jets.every)
            numbers |= known({f"w1@{name}": self.jets.estimate(found, self.truth.unit(name))})
            if name in self.floors:
                over_floor.append(found / self.floors[name].value)
                numbers |= known({f"w1_over_floor@{name}": self.jets.estimate(over_floor[-1])})
        if over_floor:
            numbers |= known({"worst_w1_over_floor": self.jets.estimate(np.max(over_floor, axis=0))})
        return numbers

    def _between(self, draws: Sequence[Seen]) -> Numbers:
        """Distances of two draws over the floor, and the largest: mean and standard deviation over the pairs."""
        pairs = list(combinations(draws, 2))
        if len(pairs) < 2 or not self.floors:
            return {}
        weights = self.jets.every[:1]
        found = np.array(
            [
                [distances(one.values[n], other.values[n], weights)[0] / least.value for one, other in pairs]
                for n, least in self.floors.items()
            ]
        )
        named = {f"draws_w1_over_floor@{name}": values for name, values in zip(self.floors, found, strict=True)}
        named["draws_worst_w1_over_floor"] = found.max(axis=0)
        return {
            name: Estimate(float(values.mean()), float(values.std(ddof=1)), len(self.jets))
            for name, values in named.items()
        }

    def _trees(self, generated: Seen) -> Numbers:
        true, made = (np.stack([seen.values[n] for n in self.names], axis=1) for seen in (self.truth, generated))
        areas = tree_area(true, made, self.jets, derive_seed(self.seed, "trees", self.jets.label))
        return {} if areas is None else known({"trees_auc": self.jets.estimate(areas)})

    def _cells(self, generated: Seen, low: SparseImages, shown_as: str) -> Numbers:
        """Patch images, neighbouring pairs, and the agreement with the low-resolution image."""
        numbers: Numbers = {}
        for content, begins in CONTENTS.items():
            patch = self._patch(generated, content)
            numbers |= patch.numbers(self.patches[content]["HR"], self.jets, begins)
            if shown_as:
                self.patches[content][shown_as] = patch
        both = (neighbours(seen.images, self.factors) for seen in (generated, self.truth))
        for name, above, below in zip(("pairs_inside_ratio", "pairs_across_ratio"), *both, strict=True):
            numbers |= known({name: self.jets.ratio(above, below)})
        coarse = pooled(generated.images, self.factors)
        if shown_as:
            self.shown.pooled[shown_as] = Seen.of(coarse, list(filter(is_spectrum, self.names)))
        return numbers | agreement(coarse, low, self.jets)

    def _posterior(self, draws: Sequence[Seen], shown_as: str) -> Numbers:
        """Correlations of each observable jet by jet; with several draws, ranks of the truth among them."""
        numbers: Numbers = {}
        shares: dict[str, Floats] = {}
        for name in self.names:
            values = np.stack([seen.values[name] for seen in (self.truth, *draws)], axis=1)
            numbers |= correlation_numbers(values, self.jets, name)
            if len(draws) > 1:
                place = ranks(values, self.jets.rows.column("row"), self.seed, "rank", name)
                shares[name] = rank_shares(place, len(draws), self.jets.every)
                numbers |= rank_numbers(shares[name], self.jets, name)
        if shares and shown_as:
            self.shown.shares[shown_as] = shares
        return numbers

    def _patch(self, seen: Seen, content: str) -> Patch:
        return Patch.of(seen, self.jets, self.factors, content)
