"""Shares and heads: what is encoded is decoded, densities integrate to one, draws follow them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepimg.expansion.heads import Given, Joined, LogisticMixture, PatternHead, ShareHead, choose
from hepimg.expansion.shares import IS_SPLIT, MASKS, PATTERNS, SIDES, Bounds, divide, encode, pattern_of, split_energies


def children_of(pattern, threshold: float, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    energy = threshold + torch.rand(len(pattern), 4, generator=random, dtype=torch.float64) ** 4 * 100 + 1e-3
    return energy * MASKS[pattern]


def test_patterns_are_all_ways_to_be_active():
    assert len({tuple(mask.tolist()) for mask in MASKS}) == PATTERNS == 15
    assert torch.equal(pattern_of(MASKS.double()), torch.arange(PATTERNS))


@settings(max_examples=20, deadline=None)
@given(threshold=st.sampled_from([0.0, 0.1, 2.0]), ceiling=st.sampled_from([math.inf, 110.0]), seed=st.integers(0, 999))
def test_shares_are_decoded(threshold, ceiling, seed):
    pattern, bounds = torch.arange(PATTERNS).repeat(3), Bounds(threshold, ceiling)
    children = children_of(pattern, threshold, seed)
    u = encode(children, pattern, bounds)
    assert not u[~IS_SPLIT[pattern]].any()
    whole = split_energies(children)
    rows = divide(whole[:, 0], u[:, 0], SIDES.first[pattern, 0], SIDES.second[pattern, 0], bounds)
    decoded = [
        side
        for split, row in ((1, rows[0]), (2, rows[1]))
        for side in divide(row, u[:, split], SIDES.first[pattern, split], SIDES.second[pattern, split], bounds)
    ]
    torch.testing.assert_close(torch.stack(decoded, 1), children, rtol=1e-6, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(threshold=st.sampled_from([0.0, 0.1]), seed=st.integers(0, 999), scale=st.sampled_from([0.1, 3.0, 50.0]))
def test_whatever_is_drawn_adds_up_and_stays_above_the_threshold(threshold, seed, scale):
    random = torch.Generator().manual_seed(seed)
    pattern = torch.arange(PATTERNS)
    energy = MASKS.sum(1) * threshold + torch.rand(PATTERNS, generator=random, dtype=torch.float64) * scale + 1e-9
    numbers = torch.rand(PATTERNS, 3, 2, generator=random, dtype=torch.float64)
    torch.manual_seed(seed)
    children = ShareHead(4, Bounds(threshold)).sample(torch.randn(PATTERNS, 4), pattern, energy, numbers).detach()
    torch.testing.assert_close(children.sum(1), energy, rtol=1e-12, atol=1e-20)
    assert torch.equal(children > 0, MASKS)
    assert (children[MASKS] >= threshold * (1 - 1e-9)).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), filled=st.sampled_from([0.3, 0.9, 1.0]))
def test_whatever_is_drawn_stays_below_the_ceiling(seed, filled):
    """Cells that are full to the brim give full children; what cannot be held is not drawn."""
    random = torch.Generator().manual_seed(seed)
    bounds, pattern, count = Bounds(1.0, 16.0), torch.arange(PATTERNS), MASKS.sum(1)
    energy = count * (1 + filled * 15.0)
    numbers = torch.rand(PATTERNS, 3, 2, generator=random, dtype=torch.float64)
    torch.manual_seed(seed)
    children = ShareHead(4, bounds).sample(torch.randn(PATTERNS, 4), pattern, energy.double(), numbers).detach()
    torch.testing.assert_close(children.sum(1), energy.double(), rtol=1e-12, atol=0)
    assert torch.equal(children > 0, MASKS)
    assert children.max() <= 16 * (1 + 1e-9)
    assert children[MASKS].min() >= 1 - 1e-9
    possible = torch.isfinite(
        PatternHead(4, bounds)(torch.randn(4, 4), torch.tensor([16.0, 16.1, 40.0, 64.0]).double())
    )
    for row, least in zip(possible, (1, 2, 3, 4), strict=True):
        assert torch.equal(row, count >= least)


def test_a_full_child_is_told_from_a_nearly_full_one():
    full = torch.tensor([[16.0, 4.0, 0, 0], [15.9, 4.1, 0, 0], [16.0, 16.0, 0, 0]], dtype=torch.float64)
    pattern, bounds = pattern_of(full), Bounds(0.0, 16.0)
    u = encode(full, pattern, bounds)[:, 1]
    assert u[0] > u[1] + 1
    sides = SIDES.first[pattern, 1], SIDES.second[pattern, 1]
    torch.testing.assert_close(torch.stack(divide(full.sum(1), u, *sides, bounds), 1), full[:, :2], rtol=5e-6, atol=0)


def test_joined_is_a_linear_layer_on_all_side_by_side():
    torch.manual_seed(1)
    joined = Joined(3, 2, 5)
    features, numbers, pattern = torch.randn(PATTERNS, 3), torch.randn(PATTERNS, 2), torch.arange(PATTERNS).flip(0)
    together = torch.cat([features, torch.nn.functional.one_hot(pattern, PATTERNS), numbers], 1)
    weight = torch.cat([joined.features.weight, joined.pattern.weight.t(), joined.numbers.weight], 1)
    expected = torch.relu(together @ weight.t() + joined.features.bias)
    torch.testing.assert_close(joined((features, pattern, numbers)), expected)


def test_mixture_is_a_density_and_its_draws_follow_it():
    torch.manual_seed(3)
    mixture = LogisticMixture(Joined(2, 1, 8), hidden=8, components=3)
    torch.nn.init.normal_(mixture.layers[-1].weight, std=0.5)
    u = torch.linspace(-30, 30, 20001)

    def given(n: int) -> Given:
        return torch.tensor([[1.0, -2.0]]).expand(n, 2), torch.tensor([5]).expand(n), torch.tensor([[0.3]]).expand(n, 1)

    with torch.no_grad():
        density = torch.exp(-mixture.nll(given(len(u)), u)).numpy()
        assert np.trapezoid(density, u.numpy()) == pytest.approx(1, abs=1e-4)
        n = 4000
        numbers = torch.rand(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        drawn = np.sort(mixture.sample(given(n), numbers).numpy())
    expected = np.interp(drawn, u.numpy(), np.cumsum(density) * (u[1] - u[0]).item())
    distance = np.abs(expected - (np.arange(n) + 0.5) / n).max()
    assert distance < 1.95 / np.sqrt(n)  # Kolmogorov and Smirnov: exceeded in one of a thousand


def test_patterns_that_the_energy_does_not_suffice_for_are_never_drawn():
    torch.manual_seed(0)
    head = PatternHead(3, Bounds(1.0))
    energy = torch.tensor([0.5, 1.0, 2.5, 100.0], dtype=torch.float64)
    logarithms = head(torch.randn(4, 3), energy).detach()
    possible = torch.isfinite(logarithms)
    for row, most in zip(possible, (1, 1, 2, 4), strict=True):
        assert torch.equal(row, MASKS.sum(1) <= most)
    torch.testing.assert_close(logarithms.exp().sum(1), torch.ones(4))


def test_choice_follows_the_probabilities():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    numbers = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    chosen = choose(probabilities.log().expand(1000, 4), numbers)
    assert torch.bincount(chosen, minlength=4).tolist() == [100, 0, 600, 300]


def test_likelihood_of_shares_is_that_of_each_split():
    """Three terms, each a density of one number, with what each is told."""
    torch.manual_seed(2)
    head = ShareHead(3, Bounds(0.1))
    pattern = torch.arange(PATTERNS)
    children = children_of(pattern, 0.1)
    features = torch.randn(PATTERNS, 3)
    u = encode(children, pattern, Bounds(0.1)).float()
    logarithm = split_energies(children).clamp(min=1e-25).log().float() / 3
    expected = torch.zeros(PATTERNS)
    for site in range(PATTERNS):
        for split in range(3):
            if not IS_SPLIT[pattern[site], split]:
                continue
            told = [logarithm[site, split]]
            network = head.rows
            if split:
                told += [u[site, 0], torch.tensor(split - 1.0), u[site, 1] * (split - 1)]
                network = head.within
            given = features[site : site + 1], pattern[site : site + 1], torch.stack(told)[None]
            expected[site] += network.nll(given, u[site : site + 1, split])[0]
    torch.testing.assert_close(head.nll(features, pattern, children), expected)
