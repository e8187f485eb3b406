"""Rules against their definition, written out as loops; and the two ways to make them against each other."""

import gc
import itertools
import weakref

import pytest
import torch
from random_configurations import Case, configuration

from hepimg.kernels.groups import group_by_counting
from hepimg.sparse import Prune, SparseConv2d, SparseTensor, SubmanifoldConv2d, pairing
from hepimg.sparse.rules import Geometry, RuleCache, match_sites, reached_sites
from hepimg.sparse.support import support_from_keys

GEOMETRIES = [
    Geometry((3, 3), padding=(1, 1)),
    Geometry((2, 2), (2, 2)),
    Geometry((3, 2), (1, 3), (2, 1), (2, 1)),
    Geometry((5, 3), (2, 1), (7, 0)),  # the padding repeats cells twice
]


def pairs_by_definition(fine, coarse, geometry):
    """(tap, input, output): output cell ``o`` reads input cell ``o * stride - padding + tap * dilation``."""
    inputs = {tuple(site): number for number, site in enumerate(fine.sites.tolist())}
    found = set()
    for number, (image, row, column) in enumerate(coarse.sites.tolist()):
        for tap, (a, b) in enumerate(itertools.product(range(geometry.kernel[0]), range(geometry.kernel[1]))):
            cell = [
                output * geometry.stride[axis] - geometry.padding[axis] + k * geometry.dilation[axis]
                for axis, (output, k) in enumerate([(row, a), (column, b)])
            ]
            cell = [c % fine.shape[axis] if fine.periodic[axis] else c for axis, c in enumerate(cell)]
            if (image, *cell) in inputs:
                found.add((tap, inputs[image, *cell], number))
    return found


@pytest.mark.parametrize("periodic", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_rules_equal_their_definition(make_tensor, geometry, periodic):
    fine = make_tensor(periodic=periodic).support
    coarse = reached_sites(fine, geometry)
    rules = match_sites(fine, coarse, geometry)
    counts = torch.tensor(rules.starts).diff()
    taps = torch.repeat_interleave(torch.arange(geometry.taps), counts)
    pairs = list(zip(taps.tolist(), rules.inputs.index.tolist(), rules.outputs.index.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == pairs_by_definition(fine, coarse, geometry)
    everywhere = support_from_keys(
        torch.arange(fine.batch_size * coarse.shape[0] * coarse.shape[1]),
        fine.batch_size,
        coarse.shape,
        coarse.periodic,
    )
    reached = {output for _, _, output in pairs_by_definition(fine, everywhere, geometry)}
    assert set(coarse.keys.tolist()) == reached
    assert (coarse.keys.diff() > 0).all()


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_sort_and_search_equal_the_table(first):
    """The way of CUDA, run on the CPU, for many geometries and sets of sites."""
    for number in range(first, first + 50):
        case = Case(configuration(number))
        geometry, fine = case.layer.geometry, case.fine.support
        if case.made.kind == "expand":
            continue  # its geometry leads to these sites, not from them
        rows, columns = geometry.reach(fine)
        coarse = reached_sites(fine, geometry)
        assert torch.equal(pairing.reached_by_sort(fine, rows, columns), coarse.keys), case.made
        pruned = Prune()(SparseTensor.on(RuleCache(coarse), torch.zeros(len(coarse), 1)), coarse.cells % 3 > 0).support
        for target in (coarse, pruned):
            table = pairing.pairs_by_table(fine, target, rows, columns, geometry.kernel)
            search = pairing.pairs_by_search(fine, target, rows, columns, geometry.kernel)
            assert pairs_of(*table[:3]) == pairs_of(*search[:3]), case.made


def pairs_of(inputs, outputs, edges):
    """The pairs of each kernel position, sorted."""
    pairs = list(zip(inputs.tolist(), outputs.tolist(), strict=True))
    return [sorted(pairs[first:last]) for first, last in zip(edges[:, 0], edges[:, -1], strict=True)]


@pytest.mark.parametrize(("items", "sites"), [(50, 9), (50, 1), (1, 3), (0, 4), (0, 0)])
def test_grouping_by_sort_equals_counting(items, sites):
    index = torch.randint(0, max(1, sites - 2), (items,), generator=torch.Generator().manual_seed(1)).int()
    for sort, counting in zip(
        pairing.group_by_sort(index, sites), group_by_counting(index.numpy(), sites), strict=True
    ):
        assert sort.dtype == torch.int32
        assert sort.tolist() == counting.tolist()


def test_rules_are_shared_and_freed(make_tensor):
    tensor = make_tensor()
    first, second = SubmanifoldConv2d(4, 4).double(), SubmanifoldConv2d(4, 4).double()
    down = SparseConv2d(4, 4, 2, stride=2).double()
    assert down(second(first(tensor))).support is down(tensor).support
    geometry = first.geometry
    assert tensor.cache.rules(geometry, tensor.support) is tensor.cache.rules(second.geometry, tensor.support)
    rules = weakref.ref(tensor.cache.rules(geometry, tensor.support))
    gc.disable()  # a circle of references would keep every batch until the collector runs
    try:
        del tensor
        assert rules() is None
    finally:
        gc.enable()
