"""Series as rows of a table."""

from dataclasses import fields, replace

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import SERIES, fault, series

from netprobe.model.series import Metric, Series
from netprobe.store.series_table import frame_of, series_of, series_schema, with_counted_bits

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
    flattened = {"histogram_bins", "histogram_counts", "slowest_at_ns"}

    assert set(series_schema()) == {field.name for field in fields(Series)} - {"histogram"} | flattened


def test_a_metric_is_its_word_and_a_missing_peer_is_null():
    frame = frame_of([series(dst=None, metric=Metric.OPERATION)])

    assert frame["metric"].to_list() == ["operation_ns"]
    assert frame["dst"].null_count() == 1


def test_all_64_bits_of_a_mask_are_kept():
    frame = frame_of([series(faults=(fault(xor_mask=2**64 - 1),))])

    assert frame["faults"].explode().struct.field("xor_mask").to_list() == [2**64 - 1]
    assert pl.Field("xor_mask", pl.UInt64) in frame.schema["faults"].inner.fields


def test_faults_of_a_version_that_counted_no_bits_are_read_without():
    told = series(faults=(fault(bit_counts=(1, 0, 2)),))
    frame = frame_of([told, series()])
    fields = [field.name for field in frame.schema["faults"].inner.fields if field.name != "bit_counts"]
    older = frame.with_columns(pl.col("faults").list.eval(pl.struct(pl.element().struct.field(*fields))))

    read = with_counted_bits(older)

    assert read.schema == frame.schema
    assert series_of(read) == (replace(told, faults=(replace(told.faults[0], bit_counts=()),)), series())
    assert series_of(with_counted_bits(frame)) == (told, series())
