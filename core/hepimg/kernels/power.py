"""Powers of many numbers, in a form that the compiler turns into vector instructions.

``x^p = 2^(p log2 x)``, both by series.  A call of the C library for each number takes several times as long.
"""

import math

import numpy as np

from hepimg.kernels.arrays import Array
from hepimg.kernels.threads import compiled

LOG = tuple(2 / math.log(2) / (2 * k + 1) for k in range(8))
"""log2((1 + s) / (1 - s)) = s (LOG[0] + LOG[1] s^2 + ...), to 2e-14 where its argument is in 1/sqrt(2) ... sqrt(2)."""
EXP = tuple(math.log(2) ** k / math.factorial(k) for k in range(12))
"""2^x = EXP[0] + EXP[1] x + ..., to 9e-15 for x between -1/2 and 1/2."""

# A double is (1 + mantissa / 2^52) 2^(exponent - 1023).  The bits of an integer k < 2^52, put under those of 2^52, are
# the double 2^52 + k: so integers become doubles and back without an instruction that old processors lack.
MANTISSA = np.uint64(2**52 - 1)
WIDTH = np.uint64(52)
BITS_OF_ONE = np.uint64(1023 << 52)
BITS_OF_2_52 = np.uint64(1075 << 52)
BIAS = 2.0**52 + 1023
ZERO, INFINITE = 2.0**52, 2.0**52 + 2047


@compiled
def raise_to(power: float, n: int, numbers: Array, number_bits: Array, scale: Array, scale_bits: Array) -> None:
    """Raise ``numbers[:n]`` >= 0 to a positive power, in place, to a relative error of 1e-14 between 1e-10 and 1e10.

    Numbers below 2.2e-308 count as zero, whose power is zero; what is not finite comes out infinite.  Powers are
    confined to 2^-1022 ... 2^1023.

    Args:
        power: exponent.
        n: how many numbers.
        numbers: float64.
        number_bits: the same memory as uint64.
        scale: scratch, float64.
        scale_bits: the same memory as uint64.
    """
    for j in range(n):
        scale_bits[j] = number_bits[j] >> WIDTH | BITS_OF_2_52
        number_bits[j] = number_bits[j] & MANTISSA | BITS_OF_ONE
    for j in range(n):
        exponent, mantissa = scale[j], numbers[j]
        upper = mantissa > math.sqrt(2)
        mantissa = 0.5 * mantissa if upper else mantissa
        s = (mantissa - 1) / (mantissa + 1)
        t = s * s
        log = LOG[4] + t * (LOG[5] + t * (LOG[6] + t * LOG[7]))
        log = LOG[0] + t * (LOG[1] + t * (LOG[2] + t * (LOG[3] + t * log)))
        log = power * (exponent - BIAS + (1.0 if upper else 0.0) + s * log)
        log = max(min(log, 1023.0), -1022.0)
        whole = np.rint(log)
        x = log - whole
        value = EXP[6] + x * (EXP[7] + x * (EXP[8] + x * (EXP[9] + x * (EXP[10] + x * EXP[11]))))
        value = EXP[0] + x * (EXP[1] + x * (EXP[2] + x * (EXP[3] + x * (EXP[4] + x * (EXP[5] + x * value)))))
        value = 0.0 if exponent == ZERO else value
        numbers[j] = math.inf if exponent == INFINITE else value
        scale[j] = whole + BIAS
    for j in range(n):
        scale_bits[j] = scale_bits[j] << WIDTH
    for j in range(n):
        numbers[j] *= scale[j]
