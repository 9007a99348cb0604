"""Middles of groups, and distinct numbers: whichever way they are found, the answer is that of numpy."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from netprobe.judge.pair_tables import rows_alike
from netprobe.stats.distinct import by_owner, count_distinct, distinct, has_repeats, sorted_distinct
from netprobe.stats.grouped import Grouped

EVEN = st.integers(1, 9).flatmap(lambda each: st.integers(1, 9).map(lambda groups: np.repeat(np.arange(groups), each)))
UNEVEN = st.lists(st.integers(0, 30), max_size=80).map(lambda groups: np.array(groups, dtype=np.int64))


@given(EVEN | UNEVEN, st.randoms(use_true_random=False))
def test_the_middles_of_groups_are_those_of_each_alone(groups, random):
    group = np.array(random.sample(groups.tolist(), len(groups)), dtype=np.int64)
    values = np.array([random.choice([-1.5, 0.0, 0.25, 3.0, random.random()]) for _ in group])

    low, high = Grouped.by(group, 40).middles(values)

    for number in range(40):
        own = np.sort(values[group == number])
        if not len(own):
            assert np.isnan(low[number])
            assert np.isnan(high[number])
        else:
            assert (low[number], high[number]) == (own[(len(own) - 1) // 2], own[len(own) // 2])


@given(UNEVEN)
def test_the_rows_of_a_group_are_all_of_its_rows_in_their_order(group):
    grouped = Grouped.by(group, 40)

    for number in range(40):
        assert_array_equal(grouped.rows_of(number), np.flatnonzero(group == number))


@pytest.mark.parametrize("owners", [40, 1 << 20, 1 << 40])
@given(st.data())
def test_rows_by_owner_stay_in_their_order_however_many_owners_there_may_be(owners, data):
    owner = np.array(data.draw(st.lists(st.integers(0, owners - 1), max_size=60)), dtype=np.int64)

    assert_array_equal(by_owner(owner, owners=owners), np.argsort(owner, kind="stable"))


@pytest.mark.parametrize("below", [40, 1 << 30])
@given(keys=UNEVEN)
def test_distinct_keys_are_the_same_with_room_for_a_table_and_without(below, keys):
    wanted, place = np.unique(keys, return_inverse=True)

    found, places = distinct(keys, below=below)

    assert_array_equal(sorted_distinct(keys, below=below), wanted)
    assert_array_equal(found, wanted)
    assert_array_equal(places, place)
    assert count_distinct(keys, below=below) == len(wanted)
    assert has_repeats(keys, below=below) == (len(wanted) < len(keys))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 12), st.booleans()), max_size=60))
def test_rows_alike_are_the_parts_of_the_frame_in_its_order(rows):
    schema = {"name": pl.String, "size": pl.Int64, "is_within": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("row")
    as_numbers = frame.with_columns(pl.col("name").cast(pl.Categorical))

    wanted = [part["row"].to_list() for part in frame.partition_by(*schema, maintain_order=True)]

    assert [own.tolist() for own in rows_alike(frame.select(*schema))] == wanted
    assert [own.tolist() for own in rows_alike(as_numbers.select(*schema))] == wanted
