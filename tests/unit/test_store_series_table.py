"""Series as rows of a table."""

from dataclasses import fields

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import SERIES, fault, series

from netprobe.model.series import Metric, Series
from netprobe.store.series_table import frame_of, series_of, series_schema

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(st.lists(SERIES, max_size=4))
def test_a_table_holds_everything_that_a_series_is(rows):
    frame = frame_of(rows)

    assert frame.schema == series_schema()
    assert series_of(frame) == tuple(rows)


def test_no_series_make_an_empty_table_with_all_columns():
    assert frame_of(()).schema == series_schema()


def test_every_field_has_its_column():
    flattened = {"histogram_bins", "histogram_counts"}

    assert set(series_schema()) == {field.name for field in fields(Series)} - {"histogram"} | flattened


def test_a_metric_is_its_word_and_a_missing_peer_is_null():
    frame = frame_of([series(dst=None, metric=Metric.OPERATION)])

    assert frame["metric"].to_list() == ["operation_ns"]
    assert frame["dst"].null_count() == 1


def test_all_64_bits_of_a_mask_are_kept():
    frame = frame_of([series(faults=(fault(xor_mask=2**64 - 1),))])

    assert frame["faults"].explode().struct.field("xor_mask").to_list() == [2**64 - 1]
    assert frame.schema["faults"].inner.fields[-1] == pl.Field("xor_mask", pl.UInt64)
