"""Records cross a noisy pipe whole, or it is said which did not."""

import io
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import FAILURES, SERIES, TEXT, done, plan, ready, round_started, stage_records, window

from netprobe.errors import StoreError
from netprobe.model.gpu import GpuWindow, Hold
from netprobe.model.record import GpusSampled, PlanExtended, RanksDone, Record, RoundFinished, RunHalted, SpanCounted
from netprobe.model.standing import Benched, Fate, PathAnswer, StuckPair
from netprobe.store.wire import LineDecoder, LineSink, encode

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HALTED = RunHalted(
    benched=(Benched(host="h1", fate=Fate.BLACK_HOLE, detail="packets of 9000 bytes vanish", peers=("h2",)),),
    paths=(PathAnswer(src="a", dst="b", interface="e", network="n", mtu_bytes=9000, small=True, full=None),),
    stuck_pairs=(StuckPair(hosts=("a", "b"), stage="one", round_index=0),),
)
RECORDS = (
    ready(),
    round_started(),
    *stage_records(),
    SpanCounted(windows=(window(),)),
    GpusSampled(windows=(GpuWindow(stage="one", rank=0, pci="0000:18:00.0", samples=2, holds={Hold.IDLE: 2}),)),
    PlanExtended(plan=plan()),
    HALTED,
    done("rank 1 went away"),
)


def decoded(lines):
    decoder = LineDecoder()
    return [found for line in lines for found in decoder.decode(line)]


def test_every_record_can_be_sent():
    assert {type(record) for record in RECORDS} == set(get_args(Record))


def test_what_a_sink_writes_comes_back_in_order():
    stream = io.StringIO()
    sink = LineSink(stream)
    for record in RECORDS:
        sink.emit(record)

    assert decoded(stream.getvalue().splitlines(keepends=True)) == list(RECORDS)


@UNHURRIED
@given(st.lists(SERIES, max_size=3), TEXT)
def test_any_series_survives_the_wire(rows, stage):
    record = RoundFinished(stage=stage, round_index=1, series=tuple(rows))

    line = encode(record, 0)

    assert "\n" not in line
    assert decoded([line]) == [record]


@UNHURRIED
@given(st.lists(FAILURES, max_size=3))
def test_any_failure_of_a_pair_survives_the_wire(failures):
    record = RoundFinished(stage="one", round_index=1, series=(), failures=tuple(failures))

    assert decoded([encode(record, 0)]) == [record]


def test_launcher_tags_and_line_endings_are_not_chatter():
    lines = [f"[1,0]<stdout>:{encode(RECORDS[0], 0)}\n", f"[0] {encode(RECORDS[1], 1)}\r\n"]

    assert decoded(lines) == [RECORDS[0], RECORDS[1]]


def test_chatter_before_and_between_records_is_handed_on():
    lines = [
        "libfabric: no provider\n",
        "\n",
        f"UCX WARN tuning off{encode(RECORDS[0], 0)}\n",
        encode(RECORDS[3], 1),
    ]

    assert decoded(lines) == ["libfabric: no provider", "UCX WARN tuning off", RECORDS[0], RECORDS[3]]


@UNHURRIED
@given(TEXT)
def test_an_error_message_cannot_pass_for_a_record(text):
    record = RanksDone(ranks=(), clocks=(), error=f"{text}\n{encode(RECORDS[0], 7)}\n")

    assert decoded([encode(record, 0)]) == [record]


@pytest.mark.parametrize(("arrives", "told"), [(1, "record 0 "), (4, "record 0 to 3 ")])
def test_lost_records_are_named(arrives, told):
    with pytest.raises(StoreError, match=f"^{told}of rank 0 was lost"):
        decoded([encode(RECORDS[0], arrives)])


def test_two_processes_that_both_claim_rank_0_are_noticed():
    with pytest.raises(StoreError, match="two processes answer as rank 0"):
        decoded([encode(RECORDS[0], 0), encode(RECORDS[0], 0)])


@UNHURRIED
@given(st.data())
def test_a_cut_or_spoiled_record_is_an_error_and_never_a_different_record(data):
    line = encode(RECORDS[2], 0)
    at = data.draw(st.integers(min_value=len('@netprobe {"sequence":'), max_value=len(line) - 1))

    with pytest.raises(StoreError, match=r"record 0 .*of rank 0"):
        decoded([line[:at]])


def test_after_a_damaged_record_the_next_one_is_read():
    decoder = LineDecoder()
    with pytest.raises(StoreError, match="record 0 of rank 0 was damaged"):
        decoder.decode(encode(RECORDS[0], 0)[:-5])

    assert decoder.decode(encode(RECORDS[1], 1)) == (RECORDS[1],)


def test_a_kind_of_another_version_is_named():
    line = encode(RECORDS[0], 0).replace("ranks-ready", "gpus-ready")

    with pytest.raises(StoreError, match=r"'gpus-ready'.*same version of netprobe on all hosts"):
        decoded([line])


def test_text_that_is_no_unicode_costs_its_odd_bytes_and_nothing_else():
    record = RanksDone(ranks=(), clocks=(), error="no file caf\udce9 there")

    assert decoded([encode(record, 0)]) == [RanksDone(ranks=(), clocks=(), error="no file caf\ufffd there")]


def test_a_reader_that_went_away_is_an_error_of_the_store():
    stream = io.StringIO()
    stream.close()

    with pytest.raises(StoreError, match="record 0 could not be handed on"):
        LineSink(stream).emit(RECORDS[0])
