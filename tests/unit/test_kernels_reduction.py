"""Exact reductions: the native contributions and results against a reduction that is really carried out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe import _native
from netprobe.buffers.patterns import LARGEST_EXACT, REDUCERS, Reduction
from netprobe.model.plan import DTYPE_BYTES, DTYPES, OPS

dtypes = st.sampled_from(DTYPES)
numpy_dtypes = st.sampled_from([dtype for dtype in DTYPES if dtype != "bfloat16"])
ops = st.sampled_from(OPS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_op = pytest.mark.parametrize("op", OPS)
seeds = st.integers(0, 2**64 - 1)
iterations = st.integers(0, 2**40)
counts = st.integers(0, 600)


def native_contribution(reduction, rank, count):
    memory = np.zeros(count * DTYPE_BYTES[reduction.dtype], dtype=np.uint8)
    _native.contribution_fill(
        memory.ctypes.data, count, reduction.dtype, reduction.op, reduction.seed, rank, reduction.iteration,
        reduction.ranks,
    )  # fmt: skip
    return memory


def native_verify(reduction, elements, first_element=0):
    memory = np.ascontiguousarray(elements).view(np.uint8)
    return _native.reduction_verify(
        memory.ctypes.data, memory.size // DTYPE_BYTES[reduction.dtype], first_element, reduction.dtype, reduction.op,
        reduction.seed, reduction.iteration, reduction.ranks,
    )  # fmt: skip


def the_reduction(dtype="float32", op="sum", ranks=5, seed=1, iteration=2):
    return Reduction(dtype=dtype, op=op, seed=seed, iteration=iteration, ranks=ranks)


@given(
    st.data(), dtypes, ops, seeds, iterations, counts, st.sampled_from([1, 2, 3, 4, 5, 63, 64, 127, 128, 1024, 1025])
)
def test_native_contribution_is_what_numpy_makes(data, dtype, op, seed, iteration, count, ranks):
    reduction = the_reduction(dtype, op, ranks, seed, iteration)
    rank = data.draw(st.integers(0, ranks - 1))

    found = native_contribution(reduction, rank, count)

    assert np.array_equal(found, reduction.contribution(rank, count).view(np.uint8))


@given(st.data(), dtypes, ops, seeds, iterations, counts, st.integers(1, 9))
def test_native_check_accepts_the_true_result_from_any_element_on(data, dtype, op, seed, iteration, count, ranks):
    reduction = the_reduction(dtype, op, ranks, seed, iteration)
    first_element = data.draw(st.integers(0, count))

    elements = reduction.result(count)[first_element:].copy()

    assert native_verify(reduction, elements, first_element) is None


@given(numpy_dtypes, ops, st.randoms(use_true_random=False), st.sampled_from([2, 3, 7, 63, 64, 128, 300]))
def test_any_order_of_reduction_in_the_type_itself_is_exact(dtype, op, random, ranks):
    reduction = the_reduction(dtype, op, ranks)
    parts = [reduction.contribution(rank, 50) for rank in range(ranks)]

    while len(parts) > 1:  # a random tree, as no library is bound to an order
        left = parts.pop(random.randrange(len(parts)))
        right = parts.pop(random.randrange(len(parts)))
        parts.append(REDUCERS[op](left, right, dtype=dtype))

    assert np.array_equal(parts[0], reduction.result(50))


@each_dtype
@each_op
@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 63, 64, 127, 128, 1024, 1025, 100_000])
def test_no_result_leaves_the_exact_range_and_none_is_the_poison(dtype, op, ranks):
    reduction = the_reduction(dtype, op, ranks)
    bits, for_active, for_other = reduction.value_range()
    active = min(3, ranks)
    top = 2**bits - 1 + for_active
    largest = {"sum": active * top + (ranks - active) * for_other, "prod": top**active, "max": top, "min": for_other}[
        op
    ]

    assert bits >= 1
    assert largest <= LARGEST_EXACT[dtype]
    assert largest < 2 ** (8 * DTYPE_BYTES[dtype]) - 1  # all ones is what a buffer is poisoned with


@given(st.data(), dtypes, ops, st.integers(1, 600), st.integers(0, 40), st.integers(1, 6))
def test_one_flipped_bit_is_found_at_its_offset_with_its_mask(data, dtype, op, count, first_element, ranks):
    reduction = the_reduction(dtype, op, ranks)
    memory = reduction.result(first_element + count)[first_element:].copy().view(np.uint8)
    offset = data.draw(st.integers(0, memory.size - 1))
    bit = data.draw(st.integers(0, 7))

    memory[offset] ^= 1 << bit

    wrong_bit = 8 * (offset % DTYPE_BYTES[dtype]) + bit
    bit_counts = tuple(int(each == wrong_bit) for each in range(8 * DTYPE_BYTES[dtype]))
    assert native_verify(reduction, memory, first_element) == (offset, 1, bit_counts)


@each_dtype
@each_op
def test_every_rank_counts_somewhere(dtype, op):
    reduction = the_reduction(dtype, op, ranks=200)
    count = 64 * 200 // DTYPE_BYTES[dtype]

    contributions = {native_contribution(reduction, rank, count).tobytes() for rank in range(200)}

    assert len(contributions) == 200


@pytest.mark.parametrize("missing", [0, 3, 6])
@each_dtype
def test_a_sum_without_one_rank_is_wrong_in_every_element(dtype, missing):
    reduction = the_reduction(dtype, ranks=7)
    everybody = reduction.result(100)
    one = reduction.contribution(missing, 100)
    is_bfloat16 = dtype == "bfloat16"
    short = _truncated(_widened(everybody) - _widened(one)) if is_bfloat16 else everybody - one

    first_offset, wrong_bytes, _ = native_verify(reduction, short)

    assert first_offset < DTYPE_BYTES[dtype]
    assert wrong_bytes >= 100


def _widened(elements):
    return (elements.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _truncated(numbers):
    return (numbers.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


@each_dtype
@each_op
@pytest.mark.parametrize("stale", [{"iteration": 3}, {"seed": 2}])
def test_a_stale_result_is_noticed(dtype, op, stale):
    old = the_reduction(dtype, op, **stale)
    new = the_reduction(dtype, op)

    _, wrong_bytes, _ = native_verify(new, old.result(200))

    assert wrong_bytes > 50


@each_dtype
@each_op
def test_a_chunk_in_the_wrong_place_is_noticed(dtype, op):
    reduction = the_reduction(dtype, op)

    assert native_verify(reduction, reduction.result(400)[200:], first_element=100) is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 1, "float8", "sum", 0, 0, 0, 1), "no dtype 'float8'"),
        ((0, 1, "int8", "mean", 0, 0, 0, 1), "no operator 'mean'"),
        ((0, -1, "int8", "sum", 0, 0, 0, 1), "-1 elements"),
        ((0, 1, "int8", "sum", 0, 1, 0, 1), "rank 1 of 1 ranks"),
        ((0, 1, "int8", "sum", 0, 0, 0, 0), "rank 0 of 0 ranks"),
    ],
)
def test_what_cannot_be_reduced_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        _native.contribution_fill(*arguments)
