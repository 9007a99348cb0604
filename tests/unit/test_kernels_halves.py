"""The user functions that reduce float16 and bfloat16, against exact rational arithmetic and one rounding."""

import ctypes
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netprobe import _native
from netprobe.model.plan import OPS

UserFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int), ctypes.c_void_p)


@dataclass(frozen=True)
class Format:
    """A 16-bit float: how many bits after the point, and its smallest normal exponent."""

    fraction_bits: int
    smallest_exponent: int

    @property
    def bias(self):
        return 1 - self.smallest_exponent

    @property
    def infinity(self):
        return 0x7FFF >> self.fraction_bits << self.fraction_bits

    def value(self, bits):
        """Return the number: a Fraction, or a float where it is infinite or none."""
        sign = -1 if bits & 0x8000 else 1
        exponent = (bits & 0x7FFF) >> self.fraction_bits
        fraction = bits & ((1 << self.fraction_bits) - 1)
        if bits & 0x7FFF >= self.infinity:
            return sign * math.inf if fraction == 0 else math.nan
        if exponent == 0:
            return sign * Fraction(fraction) * Fraction(2) ** (self.smallest_exponent - self.fraction_bits)
        significand = (1 << self.fraction_bits) + fraction
        return sign * Fraction(significand) * Fraction(2) ** (exponent - self.bias - self.fraction_bits)

    def magnitude_bits(self, number):
        """Return the bits of a non-negative rational, rounded once, to nearest, ties to even."""
        if number == 0:
            return 0
        exponent = max(self.smallest_exponent, _floor_log2(number))
        steps = round(number / Fraction(2) ** (exponent - self.fraction_bits))  # Fraction rounds ties to even
        bits = (exponent + self.bias - 1 << self.fraction_bits) + steps
        return min(bits, self.infinity)


def _floor_log2(number):
    guess = number.numerator.bit_length() - number.denominator.bit_length()
    return guess if Fraction(2) ** guess <= number else guess - 1


FORMATS = {"float16": Format(10, -14), "bfloat16": Format(7, -126)}
all_bits = st.integers(0, 0xFFFF)


def reduce_native(dtype, op, incoming, total):
    incoming = np.array(incoming, dtype=np.uint16)
    total = np.array(total, dtype=np.uint16)
    function = UserFunction(_native.user_reduction(dtype, op))
    function(incoming.ctypes.data, total.ctypes.data, ctypes.byref(ctypes.c_int(total.size)), None)
    return total


def expected_bits(form, op, a_bits, b_bits):
    """Return what IEEE arithmetic gives; None where it is no number."""
    a, b = form.value(a_bits), form.value(b_bits)
    if any(isinstance(each, float) for each in (a, b)):
        return _with_infinities(form, op, a_bits, b_bits)
    if op in ("min", "max"):
        return a_bits if (a < b) == (op == "min") else b_bits
    exact = a + b if op == "sum" else a * b
    if exact == 0 and op == "sum":
        return a_bits & b_bits & 0x8000
    sign = (a_bits ^ b_bits) & 0x8000 if op == "prod" else (0x8000 if exact < 0 else 0)
    return sign | form.magnitude_bits(abs(exact))


def _with_infinities(form, op, a_bits, b_bits):
    a, b = np.float64(_as_float(form, a_bits)), np.float64(_as_float(form, b_bits))
    with np.errstate(invalid="ignore"):
        result = {"sum": np.add, "prod": np.multiply, "min": np.minimum, "max": np.maximum}[op](a, b)
    if np.isnan(result):
        return None
    if np.isinf(result):
        return form.infinity | (0x8000 if result < 0 else 0)
    return a_bits if np.isfinite(a) else b_bits


def _as_float(form, bits):
    value = form.value(bits)
    return value if isinstance(value, float) else (-0.5 if bits & 0x8000 else 0.5) if value != 0 else 0.0


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("op", OPS)
@settings(max_examples=30)
@given(st.lists(st.tuples(all_bits, all_bits), min_size=1, max_size=40))
@example([(0x0001, 0x0001), (0x8000, 0x0000), (0x8000, 0x8000), (0x7BFF, 0x7BFF), (0x7F7F, 0x7F7F), (0x0001, 0x3F01)])
@example([(0x7C00, 0xFC00), (0x7C01, 0x3C00), (0x7F80, 0xFF80), (0x7F81, 0x3F80), (0x7F80, 0x0000), (0x7C00, 0x0000)])
def test_each_result_is_the_exact_one_rounded_once(dtype, op, pairs):
    form = FORMATS[dtype]

    found = reduce_native(dtype, op, [a for a, _ in pairs], [b for _, b in pairs])

    for (a, b), bits in zip(pairs, found.tolist(), strict=True):
        expected = expected_bits(form, op, a, b)
        if expected is None:
            assert bits & 0x7FFF > form.infinity, f"{a:#06x} {op} {b:#06x} is no number, not {bits:#06x}"
        elif op in ("min", "max") and form.value(a) == form.value(b):
            assert bits in (a, b)  # of two zeros either will do
        else:
            assert bits == expected, f"{a:#06x} {op} {b:#06x} is {expected:#06x}, not {bits:#06x}"


small_bits = st.integers(0x0001, 0x3F00)


@given(st.lists(st.tuples(small_bits, small_bits), min_size=1, max_size=40))
def test_subnormal_products_of_bfloat16_are_rounded_once(pairs):
    form = FORMATS["bfloat16"]

    found = reduce_native("bfloat16", "prod", [a for a, _ in pairs], [b for _, b in pairs])

    assert found.tolist() == [expected_bits(form, "prod", a, b) for a, b in pairs]


@pytest.mark.parametrize("dtype", FORMATS)
def test_multiplying_by_one_changes_no_number(dtype):
    form = FORMATS[dtype]
    numbers = [bits for bits in range(0x10000) if bits & 0x7FFF <= form.infinity]
    one = form.bias << form.fraction_bits

    assert reduce_native(dtype, "prod", numbers, [one] * len(numbers)).tolist() == numbers


@pytest.mark.parametrize("op", ["sum", "prod"])
def test_float16_agrees_with_numpy_on_a_million_pairs(op):
    generator = np.random.default_rng(5)
    a, b = generator.integers(0, 0x10000, (2, 1_000_000), dtype=np.uint16)

    found = reduce_native("float16", op, a, b).view(np.float16)

    with np.errstate(all="ignore"):
        expected = {"sum": np.add, "prod": np.multiply}[op](a.view(np.float16), b.view(np.float16))
    assert np.array_equal(found, expected, equal_nan=True)


def test_a_type_that_mpi_reduces_itself_has_no_user_function():
    with pytest.raises(ValueError, match="no user function for sum over float32"):
        _native.user_reduction("float32", "sum")
