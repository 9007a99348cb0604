"""Series as rows of a table."""

from dataclasses import fields, replace

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import SERIES, fault, series

from netprobe.model.series import Metric, Series, SlowSample
from netprobe.store.series_table import (
    frame_of,
    later_columns,
    series_of,
    series_schema,
    with_counted_bits,
    with_digest,
    with_later_columns,
)

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


def test_runs_of_a_version_that_told_no_times_are_read_without():
    told = series(started_ns=5, quarters_ns=(1, 2, 3, 4), cpu=3)
    older = frame_of([told]).drop(*later_columns())

    read = with_later_columns(older)

    assert read.schema == series_schema()
    assert series_of(read) == (replace(told, started_ns=None, quarters_ns=(), cpu=None),)


def test_a_digest_keeps_the_spikes_whose_times_are_known_in_their_order():
    slow = (
        SlowSample(iteration=7, elapsed_ns=90_000, at_ns=700),
        SlowSample(iteration=2, elapsed_ns=50_000, at_ns=200),
        SlowSample(iteration=1, elapsed_ns=1_100, at_ns=100),
    )
    untimed = tuple(replace(each, at_ns=None) for each in slow)

    digest = with_digest(frame_of([series(slowest=slow, max_ns=90_000), series(slowest=untimed, max_ns=90_000)]))

    assert digest["spikes_at_ns"].to_list() == [[200, 700], []]
    assert digest["spikes_ns"].to_list() == [[50_000, 90_000], []]


def test_a_digest_tells_of_quarters_only_where_each_is_slower():
    rows = [series(quarters_ns=each) for each in ((10, 11, 12, 13), (10, 12, 11, 13), ())]

    first = with_digest(frame_of(rows))["first_quarter_ns"].to_list()

    assert first[0] == 10
    assert all(each != each for each in first[1:])
