"""Series on their way to rank 0: small, whole where that fits, and honest where it does not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import FormatError
from netprobe.model.histogram import Histogram, bin_of, histogram_of, middle_of
from netprobe.model.series import Fault, Metric, Phase, Series, SlowSample
from netprobe.store.batches import payloads_of, up_the_tree
from netprobe.store.packed import _OWN_FIELDS, LARGEST_BYTES, MOST_FAULTS, _Packed, coarser, packed, unpacked

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64)
large = st.integers(min_value=0, max_value=2**62)
faults = st.builds(
    Fault,
    rank=st.integers(0, 1 << 20), peer=st.none() | st.integers(0, 1 << 20), probe=st.just("bandwidth"),
    size_bytes=large, iteration=st.integers(0, 200_000), first_offset_bytes=large, wrong_bytes=large,
    xor_mask=st.integers(0, 2**64 - 1),
    bit_counts=st.just(()) | st.lists(st.integers(0, 2**20), min_size=64, max_size=64).map(tuple),
)  # fmt: skip


@st.composite
def histograms(draw):
    bins = draw(st.integers(0, 4000))
    first = draw(st.integers(0, 500))
    stride = draw(st.integers(1, 3))
    most = draw(st.sampled_from([1, 100, 20_000, 2**40]))
    counts = np.random.default_rng(draw(st.integers(0, 99))).integers(1, most + 1, bins)
    indexes = first + stride * np.arange(bins)
    return Histogram(bins=tuple(indexes.tolist()), counts=tuple(counts.tolist()))


FEW = settings(max_examples=40, deadline=None)

series = st.builds(
    Series,
    stage=names, probe=names, metric=st.sampled_from(Metric), phase=st.sampled_from(Phase),
    round_index=st.integers(0, 1 << 21), src=st.integers(0, 1 << 20), dst=st.none() | st.integers(0, 1 << 20),
    size_bytes=large, bytes_per_iteration=large, window=st.integers(1, 1 << 16), dtype=st.just("uint8"),
    op=st.none() | st.just("sum"), root=st.none() | st.integers(0, 1 << 20), in_place=st.booleans(),
    iterations=st.integers(0, 200_000), total_ns=large, min_ns=large, max_ns=large, histogram=histograms(),
    slowest=st.one_of(*(
        st.lists(
            st.builds(SlowSample, iteration=st.integers(0, 200_000), elapsed_ns=large, at_ns=at), max_size=8
        ).map(tuple)
        for at in (st.none(), large)
    )),
    started_ns=st.none() | large, quarters_ns=st.just(()) | st.tuples(large, large, large, large),
    cpu=st.none() | st.integers(0, 1 << 14),
    faults=st.lists(faults, max_size=MOST_FAULTS).map(tuple), checked_iterations=st.integers(0, 100),
)  # fmt: skip


@FEW
@given(series)
def test_any_series_takes_at_most_two_kibibytes(told):
    assert len(packed(told)) <= LARGEST_BYTES


@FEW
@given(series)
def test_all_but_the_bins_arrives_as_it_was_and_a_series_that_fits_wholly(told):
    arrived = unpacked(packed(told))

    assert arrived.series.histogram == coarser(told.histogram, arrived.halvings)
    assert arrived.series.histogram.total == told.histogram.total
    assert {**fields_of(arrived.series), "histogram": None} == {**fields_of(told), "histogram": None}
    if len(told.histogram.bins) < 100 and not told.faults:
        assert arrived.series == told


def fields_of(told):
    return {name: getattr(told, name) for name in Series.__dataclass_fields__}


@given(st.lists(st.integers(0, 2**45), min_size=1, max_size=300), st.integers(1, 7))
def test_a_coarser_histogram_is_off_by_no_more_than_it_says(values, halvings):
    sharp = histogram_of(np.array(values))
    dull = coarser(sharp, halvings)
    place = {index >> halvings: index for index in dull.bins}

    true = np.array(values, dtype=np.float64)
    seen = middle_of(np.array([place[index >> halvings] for index in bin_of(np.array(values)).tolist()]))

    # Values below two octaves of bins are exact in the sharp one: there it is off by bins, of which each is 1 ns.
    assert (np.abs(seen - true) <= np.maximum(true * (1 << halvings) / 128, 1 << halvings)).all()


def test_a_usual_series_is_a_quarter_of_what_pickle_makes_of_it(sample_series):
    assert len(packed(sample_series)) < 250
    assert unpacked(packed(sample_series)).halvings == 0


@pytest.fixture
def sample_series():
    durations = (3800 * np.exp(np.random.default_rng(0).normal(0, 0.02, 200))).astype(np.int64)
    return Series(
        stage="latency-between-hosts", probe="latency", metric=Metric.ROUND_TRIP, phase=Phase.TIMED, round_index=3,
        src=5, dst=9, size_bytes=8, bytes_per_iteration=16, window=1, dtype="uint8", op=None, root=None, in_place=False,
        iterations=200, total_ns=int(durations.sum()), min_ns=int(durations.min()), max_ns=int(durations.max()),
        histogram=histogram_of(durations),
        slowest=tuple(SlowSample(iteration=i, elapsed_ns=int(durations[i])) for i in range(8)), faults=(),
        checked_iterations=2,
    )  # fmt: skip


def test_the_fields_that_travel_are_those_of_a_series_in_their_order():
    apart = {"histogram", "slowest", "faults", "quarters_ns"}

    assert list(_Packed.__struct_fields__[:_OWN_FIELDS]) == [name for name in fields_in_order() if name not in apart]


def fields_in_order():
    return [each.name for each in dataclasses.fields(Series)]


@given(st.binary(max_size=100))
def test_bytes_that_are_no_series_are_an_error_of_the_format(body):
    with pytest.raises(FormatError):
        unpacked(body)


@given(st.integers(1, 70))
def test_a_tree_brings_what_each_rank_told_once_and_in_order(size):
    batches = {}

    def send(src):
        return lambda dst, batch: batches.update({(src, dst): batch})

    for rank in reversed(range(size)):  # children before parents, as a real one would come to it
        whole = up_the_tree(
            rank, size, f"of {rank}".encode(), send=send(rank), receive=lambda src, own=rank: batches.pop((src, own))
        )

    assert list(payloads_of(whole)) == [f"of {rank}".encode() for rank in range(size)]
    assert not batches


@pytest.mark.parametrize("batch", [b"\x01", b"\x05\x00\x00\x00four"])
def test_a_batch_that_was_cut_is_an_error(batch):
    with pytest.raises(FormatError):
        list(payloads_of(batch))


def test_rank_0_of_16384_hears_from_fourteen():
    heard = []

    def receive(rank):
        heard.append(rank)
        return b""

    up_the_tree(0, 16_384, b"", send=lambda *_: None, receive=receive)

    assert heard == [2**level for level in range(14)]
