"""Contract checks for components, for the tests of any plugin; each raises AssertionError and says what is wrong.

Example::

    from hepimg.testing import check_component, check_step, toy_jets

    def test_smear():
        check_component(Smear)
        check_step(Smear(resolution=0.1), toy_jets(50))
"""

from hepimg.flow import ports_of
from hepimg.testing.contracts import check_metric, check_source, check_step, check_task
from hepimg.testing.options import check_component
from hepimg.testing.rows import datasets, make_run, merge, toy_jets

__all__ = [
    "check_component", "check_metric", "check_source", "check_step", "check_task", "datasets", "make_run", "merge",
    "ports_of", "toy_jets",
]  # fmt: skip
