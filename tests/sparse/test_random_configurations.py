"""Random configurations against dense passes: values and all gradients.

``HEPIMG_RANDOM_CASES=10000`` runs so many instead of the first 60.  A failing one says what it is, and runs alone with
``-k "1234 and torch"``.
"""

import os
from dataclasses import replace

import pytest
import torch
from engine_paths import assert_equal
from random_configurations import KINDS, Case, configuration

CASES = int(os.environ.get("HEPIMG_RANDOM_CASES", "60"))


@pytest.mark.parametrize("number", range(CASES))
def test_equals_a_dense_pass(number, precision):
    made = configuration(number)
    print(made)  # noqa: T201 - shown if it fails
    torch.set_num_threads(2 if number % 10 == 9 else 1)
    case = Case(made)
    features = case.tensor.features.clone().requires_grad_()
    output = case.sparse(features)
    incoming = torch.randn(output.features.shape, generator=case.random, dtype=made.dtype)
    inputs = [features, *case.layer.parameters()]
    ours = [output.features, *torch.autograd.grad(output.features, inputs, incoming)]

    case.layer.double()  # the dense pass has no rounding of its own
    features = case.tensor.features.double().requires_grad_()
    expected = case.dense(features, output)
    inputs = [features, *case.layer.parameters()]
    theirs = [expected, *torch.autograd.grad(expected, inputs, incoming.double(), materialize_grads=True)]

    for a, b in zip(ours, theirs, strict=True):
        assert_equal(a, b, torch.float32 if made.dtype == torch.float32 else precision)


def test_configurations_are_what_they_were_and_differ():
    """A number means the same configuration everywhere; and the generator reaches every corner."""
    drawn = [configuration(number) for number in range(400)]
    assert drawn[7] == configuration(7)
    assert len({replace(made, seed=0) for made in drawn}) == 400
    assert {made.kind for made in drawn} == set(KINDS)
    assert {made.batch_size for made in drawn} == set(range(6))
    assert {made.occupancy for made in drawn} >= {0.0, 1.0}
    assert {made.groups for made in drawn} == {1, 2, 3}
