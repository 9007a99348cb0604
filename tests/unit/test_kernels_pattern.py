"""The native pattern against its NumPy twin, at any address, and every kind of damage to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe import _native
from netprobe.buffers.patterns import mismatch, pattern_bytes, pattern_words

GUARD = 0x5C
GUARD_BYTES = 64
LARGEST_SLICE = 9000  # two tiles and something

seeds = st.integers(0, 2**64 - 1)
ranks = st.integers(0, 2**20)
iterations = st.integers(0, 2**40)
first_words = st.integers(0, 2**40)
sizes = st.integers(0, LARGEST_SLICE)
misalignments = st.integers(0, 63)


def slice_at(misalignment, size_bytes):
    """Return memory with a guard on both sides of a slice at a chosen alignment, and the slice."""
    room = np.full(size_bytes + 2 * GUARD_BYTES + 64, GUARD, dtype=np.uint8)
    start = GUARD_BYTES + (-room.ctypes.data - GUARD_BYTES) % 64 + misalignment
    return room, room[start : start + size_bytes]


def as_tuple(found):
    return None if found is None else (found.first_offset_bytes, found.wrong_bytes, found.bit_counts)


@given(seeds, ranks, iterations, first_words, sizes, misalignments)
def test_native_fill_writes_what_numpy_does_and_nothing_beside_it(
    seed, rank, iteration, first_word, size, misalignment
):
    room, memory = slice_at(misalignment, size)

    _native.pattern_fill(memory.ctypes.data, size, seed, rank, iteration, first_word)

    expected = pattern_bytes(seed=seed, rank=rank, iteration=iteration, first_word=first_word, size_bytes=size)
    assert np.array_equal(memory, expected)
    assert np.count_nonzero(room == GUARD) >= room.size - size
    memory.fill(GUARD)
    assert np.all(room == GUARD)
    memory[:] = expected
    assert _native.pattern_verify(memory.ctypes.data, size, seed, rank, iteration, first_word) is None


@given(st.data(), seeds, st.integers(1, LARGEST_SLICE), misalignments, st.integers(0, 1000))
def test_one_flipped_bit_is_found_at_its_offset_with_its_mask(data, seed, size, misalignment, first_word):
    _, memory = slice_at(misalignment, size)
    _native.pattern_fill(memory.ctypes.data, size, seed, 1, 2, first_word)
    offset = data.draw(st.integers(0, size - 1))
    bit = data.draw(st.integers(0, 7))

    memory[offset] ^= 1 << bit

    found = _native.pattern_verify(memory.ctypes.data, size, seed, 1, 2, first_word)
    wrong_bit = 8 * (offset % 8) + bit
    assert found == (offset, 1, tuple(int(each == wrong_bit) for each in range(64)))


@given(st.data(), st.integers(1, LARGEST_SLICE))
def test_many_wrong_bytes_are_counted_as_numpy_counts_them(data, size):
    memory = pattern_bytes(seed=3, rank=1, iteration=2, first_word=5, size_bytes=size).copy()
    expected = memory.copy()
    for place in data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=30)):
        memory[place] = data.draw(st.integers(0, 255))

    found = _native.pattern_verify(memory.ctypes.data, size, 3, 1, 2, 5)

    assert found == as_tuple(mismatch(memory, expected))


@pytest.mark.parametrize("misalignment", [0, 5])
def test_what_is_too_large_for_any_cache_is_filled_and_compared_alike(misalignment):
    size = (32 << 20) + 4099
    room, memory = slice_at(misalignment, size)

    _native.pattern_fill(memory.ctypes.data, size, 3, 1, 2, 5)

    assert np.array_equal(memory, pattern_bytes(seed=3, rank=1, iteration=2, first_word=5, size_bytes=size))
    assert np.count_nonzero(room == GUARD) >= room.size - size
    memory[size - 1] ^= 1
    assert _native.pattern_verify(memory.ctypes.data, size, 3, 1, 2, 5)[:2] == (size - 1, 1)


@pytest.mark.parametrize("other", [{"rank": 2}, {"iteration": 3}, {"seed": 4}, {"first_word": 1}])
def test_every_word_of_another_pattern_is_wrong(other):
    truth = {"seed": 3, "rank": 1, "iteration": 2, "first_word": 0}
    memory = pattern_bytes(**{**truth, **other}, size_bytes=1 << 16).copy()

    _, wrong_bytes, bit_counts = _native.pattern_verify(
        memory.ctypes.data, memory.size, truth["seed"], truth["rank"], truth["iteration"], truth["first_word"]
    )

    assert wrong_bytes > 0.99 * memory.size
    words = memory.size // 8
    assert all(0.45 * words < count < 0.55 * words for count in bit_counts)


@given(seeds, ranks, iterations, first_words)
def test_no_word_comes_twice_in_a_buffer(seed, rank, iteration, first_word):
    words = pattern_words(seed=seed, rank=rank, iteration=iteration, first_word=first_word, count=4096)

    assert np.unique(words).size == words.size


@pytest.mark.parametrize("distance", [1, 2, 8, 64, 512, 4096, 1 << 20, 1 << 27])
def test_each_byte_looks_random_at_any_distance(distance):
    count = 1 << 16
    here = pattern_bytes(seed=1, rank=0, iteration=0, first_word=0, size_bytes=8 * count).reshape(count, 8)
    there = pattern_bytes(seed=1, rank=0, iteration=0, first_word=distance, size_bytes=8 * count).reshape(count, 8)

    equal_by_lane = np.mean(here == there, axis=0) * 256

    assert np.all((equal_by_lane > 0.7) & (equal_by_lane < 1.3))


def test_a_chunk_starts_where_its_first_word_says():
    whole = np.zeros(1024, dtype=np.uint8)
    part = np.zeros(512, dtype=np.uint8)

    _native.pattern_fill(whole.ctypes.data, 1024, 7, 8, 9, 100)
    _native.pattern_fill(part.ctypes.data, 512, 7, 8, 9, 164)

    assert np.array_equal(whole[512:], part)


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        _native.pattern_fill(0, -1, 0, 0, 0, 0)
