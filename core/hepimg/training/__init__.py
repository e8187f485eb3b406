"""Training of torch modules: ``fit``, its options, and the way between a module and a :data:`~hepimg.components.State`.

Only the options are imported here; what needs torch is imported from its module where it is used.
"""

from hepimg.training.options import FitOptions

__all__ = ["FitOptions"]
