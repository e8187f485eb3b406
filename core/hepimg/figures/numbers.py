"""Numbers as a physicist writes them."""

from __future__ import annotations

import math


def rounded(value: float, error: float | None = None) -> str:
    """A value with its error, both rounded to the error's second significant digit.

    >>> rounded(0.964173, 0.00153)
    '0.9642 ± 0.0015'
    >>> rounded(1108.3, 123.0)
    '1110 ± 120'
    >>> rounded(0.123456)
    '0.1235'
    """
    if error is None or not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return f"{value:.4g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:.0f}"
    # The digits of the error after rounding: 0.0996 becomes 0.10, not 0.100.
    exponent = int(f"{error:.1e}".partition("e")[2])
    places = 1 - exponent
    if abs(exponent) > 6:
        return f"{value:.{max(0, _exponent(value) + places)}e} ± {error:.1e}"
    digits = max(places, 0)
    return f"{round(value, places):.{digits}f} ± {round(error, places):.{digits}f}"


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
