"""A run directory while it is written."""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import (
    FAILURES,
    LAUNCH,
    STARTED,
    done,
    finished,
    measured,
    plan,
    ranks,
    ready,
    round_started,
    series,
    stage_records,
)

import netprobe.store.writer
from netprobe.errors import StoreError
from netprobe.model.counters import CounterWindow
from netprobe.model.finding import Gap
from netprobe.model.record import PlanExtended, RunHalted
from netprobe.model.run import RUN_FORMAT, RunStatus
from netprobe.model.standing import Benched, Fate, PathAnswer, StuckPair
from netprobe.store.reader import read_run
from netprobe.store.series_table import series_of
from netprobe.store.writer import RunWriter, run_id_for

HALTED = RunHalted(
    benched=(Benched(host="node1", fate=Fate.STOPPED, detail="process 7 is stopped", ranks=(2, 3), stage="one"),),
    paths=(PathAnswer(src="a", dst="b", interface="e", network="n", mtu_bytes=9000, small=True, full=None),),
    stuck_pairs=(StuckPair(hosts=("a", "b"), stage="one", round_index=0, waited_ns=9),),
    gaps=(Gap(topic="run", reason="nobody knows", undermines=True),),
)


def writer_in(root, **changes):
    given = {"started": STARTED, "run_id": "run", "now": lambda: STARTED + timedelta(seconds=9)}
    return RunWriter.create(root, plan(), LAUNCH, **{**given, **changes})


def events(directory):
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def test_a_run_is_readable_before_any_rank_has_answered(tmp_path):
    run = read_run(writer_in(tmp_path / "runs" / "of today").directory)

    assert run.header.status is RunStatus.RUNNING
    assert run.header.plan == plan()
    assert (run.header.format, run.header.started) == (RUN_FORMAT, "2026-11-23T02:00:00.000Z")
    assert run.series.is_empty()


def test_a_whole_run_comes_back_as_it_was_told(tmp_path):
    writer = writer_in(tmp_path)
    for record in (ready(), round_started(), *stage_records("one"), *stage_records("two", rows=1), done()):
        writer.emit(record)
    writer.close(RunStatus.COMPLETE, None)

    run = read_run(writer.directory)

    assert run.header == writer.header
    assert (run.header.status, run.header.finished) == (RunStatus.COMPLETE, "2026-11-23T02:00:09.000Z")
    assert (run.header.ranks, run.header.launch.mpi) == (ranks(), "MPICH 4.3")
    assert run.header.environment == (("UCX_TLS", "tcp"),)
    assert run.header.clocks == done().clocks
    assert [gap.topic for gap in run.header.not_tested] == ["gpu"]
    assert series_of(run.series) == (series("one"), series("one", round_index=1), series("two"))


def test_the_plan_that_was_fitted_to_the_ranks_replaces_the_one_asked_for(tmp_path):
    writer = writer_in(tmp_path)

    writer.emit(ready(stages=("one",)))

    assert read_run(writer.directory).header.plan == plan(("one",))


def test_a_stage_is_on_disk_when_emit_returns(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready())

    for record in stage_records("one", rows=3):
        writer.emit(record)

    run = read_run(writer.directory)
    assert [outcome.stage for outcome in run.header.outcomes] == ["one"]
    assert len(run.series) == 3


def test_a_stage_without_results_is_finished_all_the_same(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready())

    for record in stage_records("one", rows=0):
        writer.emit(record)

    run = read_run(writer.directory)
    assert len(run.header.outcomes) == 1
    assert run.series.is_empty()


def test_the_event_log_tells_the_story_without_the_figures(tmp_path):
    writer = writer_in(tmp_path)
    for record in (ready(), round_started(), *stage_records(), done("rank 1 hung")):
        writer.emit(record)
    writer.close(RunStatus.FAILED, None)

    told = events(writer.directory)

    kinds = ["created", "ranks-ready", "round-started", "round-finished", "stage-finished", "ranks-done", "closed"]
    assert [event["kind"] for event in told] == kinds
    assert {event["at"] for event in told} == {"2026-11-23T02:00:09.000Z"}
    assert (told[1]["ranks"], told[1]["hosts"]) == (2, 1)
    assert told[3]["series"] == 2
    assert told[-1]["error"] == "rank 1 hung"
    assert max(len(line) for line in (writer.directory / "events.jsonl").read_text().splitlines()) < 300


def test_rounds_of_a_stage_that_was_cut_short_are_kept_as_an_incomplete_stage(tmp_path):
    gap = Gap(topic="latency", reason="a timer that is too coarse")
    window = CounterWindow(stage="two", round_index=0, rank=0, elapsed_ns=5, grown={"tcp/RetransSegs": 3})
    writer = writer_in(tmp_path)
    for record in (ready(), *stage_records("one"), measured("two", rows=1, gaps=(gap,), counters=(window,))):
        writer.emit(record)
    writer.emit(measured("two", rows=1, round_index=1))
    writer.close(RunStatus.FAILED, "the ranks hung")

    run = read_run(writer.directory)

    assert [(each.stage, each.is_complete) for each in run.header.outcomes] == [("one", True), ("two", False)]
    assert (run.header.outcomes[1].rounds, run.header.outcomes[1].gaps) == (2, (gap,))
    assert series_of(run.series)[2:] == (series("two"), series("two", round_index=1))
    assert len(run.counters) == 1


def test_a_stage_that_was_cut_short_before_its_first_round_is_not_promised(tmp_path):
    writer = writer_in(tmp_path)
    for record in (ready(), *stage_records("one"), round_started("two")):
        writer.emit(record)
    writer.close(RunStatus.INTERRUPTED)

    assert [each.stage for each in read_run(writer.directory).header.outcomes] == ["one"]


def test_a_halt_between_rounds_keeps_the_rounds_before_it(tmp_path):
    writer = writer_in(tmp_path)
    fewer = replace(ready(4), ranks=ranks(4)[:2])
    for record in (ready(4), measured("one", rows=1), HALTED, fewer, measured("one", rows=1, round_index=1)):
        writer.emit(record)
    writer.emit(finished("one"))
    writer.close(RunStatus.COMPLETE)

    run = read_run(writer.directory)

    assert [(each.stage, each.is_complete) for each in run.header.outcomes] == [("one", True)]
    assert series_of(run.series) == (series("one"), series("one", round_index=1))


def test_what_was_found_out_about_a_halt_is_on_disk_at_once_and_adds_up(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready(4))
    writer.emit(HALTED)
    writer.emit(RunHalted(benched=(replace(HALTED.benched[0], host="node9"),)))

    header = read_run(writer.directory).header

    assert [each.host for each in header.benched] == ["node1", "node9"]
    assert (header.benched[0], header.paths, header.stuck_pairs, header.gaps) == (
        HALTED.benched[0],
        HALTED.paths,
        HALTED.stuck_pairs,
        HALTED.gaps,
    )


def test_the_event_log_says_who_was_taken_out_and_why(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(HALTED)

    assert {key: value for key, value in events(writer.directory)[-1].items() if key != "at"} == {
        "kind": "run-halted",
        "benched": [{"host": "node1", "fate": "process stopped", "detail": "process 7 is stopped"}],
        "stuck_pairs": [["a", "b"]],
        "paths": 1,
    }


def test_a_later_launch_with_fewer_ranks_changes_nothing_in_the_header(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready(4))
    before = writer.header

    writer.emit(replace(ready(4, stages=("one",)), ranks=ranks(4)[2:], mpi="another"))

    assert writer.header == before


def test_clocks_are_those_of_the_ranks_that_came_to_the_end_and_none_of_the_others(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready(4))
    writer.emit(replace(done(), ranks=(1, 3)))

    clock = done().clocks[0]
    assert read_run(writer.directory).header.clocks == (None, clock, None, clock)


def test_stages_that_were_added_are_part_of_the_plan(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready())
    writer.emit(PlanExtended(plan=plan(("one", "two", "three", "again"))))

    assert read_run(writer.directory).header.plan == plan(("one", "two", "three", "again"))


@pytest.mark.parametrize(
    ("of_the_ranks", "of_the_launcher", "kept"),
    [("rank 1 hung", None, "rank 1 hung"), (None, "killed", "killed"), ("rank 1 hung", "killed", "killed")],
)
def test_an_error_told_at_the_end_outranks_that_of_the_ranks(tmp_path, of_the_ranks, of_the_launcher, kept):
    writer = writer_in(tmp_path)
    writer.emit(ready())
    writer.emit(done(of_the_ranks))

    writer.close(RunStatus.FAILED, of_the_launcher)

    assert read_run(writer.directory).header.error == kept


def test_run_json_is_made_for_eyes_and_grep(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready(count=4))

    lines = (writer.directory / "run.json").read_text().splitlines()

    assert lines[1] == '  "format": 1,'
    assert sum('"host":"node1"' in line for line in lines) == 2


def test_an_id_sorts_by_time_and_has_no_character_that_a_share_refuses():
    zone = timezone(timedelta(hours=2))

    assert run_id_for(datetime(2026, 11, 23, 4, 0, 0, tzinfo=zone), "7f3a") == "2026-11-23T02-00-00Z-7f3a"


def test_the_end_of_an_id_is_drawn_so_that_two_runs_in_one_second_differ(tmp_path):
    drawn = writer_in(tmp_path, run_id=None, suffix=lambda: "beef")
    by_chance = writer_in(tmp_path, run_id=None)

    assert drawn.directory.name == "2026-11-23T02-00-00Z-beef"
    assert re.fullmatch(r"2026-11-23T02-00-00Z-[0-9a-f]{4}", by_chance.directory.name)


def test_a_run_is_never_written_over_another(tmp_path):
    writer_in(tmp_path)

    with pytest.raises(StoreError, match=r"run exists already; try: --out"):
        writer_in(tmp_path)


def test_a_root_that_is_a_file_is_named(tmp_path):
    (tmp_path / "runs").write_text("")

    with pytest.raises(StoreError, match=r"runs exists already; try: --out"):
        writer_in(tmp_path / "runs")
    with pytest.raises(StoreError, match=r"below: Not a directory; try: --out"):
        writer_in(tmp_path / "runs" / "below")


def test_a_place_where_nobody_may_write_is_named():
    with pytest.raises(StoreError, match=r"no run directory can be made in /proc/netprobe: .*; try: --out"):
        writer_in(Path("/proc/netprobe"))


def test_a_file_that_cannot_be_replaced_keeps_what_it_held(tmp_path):
    writer = writer_in(tmp_path)
    writer.emit(ready())
    (writer.directory / ".series.parquet.tmp").mkdir()

    with pytest.raises(StoreError, match=r"series.parquet cannot be written: Is a directory; .*try: free"):
        writer.emit(finished("one"))

    assert read_run(writer.directory).header.outcomes == ()


def test_a_run_that_cannot_begin_leaves_no_directory(tmp_path, monkeypatch):
    def refuse(_path, _content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(netprobe.store.writer, "write_atomically", refuse)

    with pytest.raises(StoreError, match="No space left on device"):
        writer_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_temporary_file_is_left(tmp_path):
    writer = writer_in(tmp_path)
    for record in (ready(), *stage_records(), done()):
        writer.emit(record)

    names = {path.name for path in writer.directory.iterdir()}

    assert names == {"run.json", "series.parquet", "counters.parquet", "events.jsonl"}


def test_an_argument_that_is_no_unicode_does_not_cost_the_run(tmp_path):
    launch = replace(LAUNCH, argv=("mpiexec", "caf\udce9"))
    writer = RunWriter.create(tmp_path, plan(), launch, started=STARTED, run_id="run")

    assert read_run(writer.directory).header.launch.argv == ("mpiexec", "caf\ufffd")


def test_started_may_be_given_in_any_zone(tmp_path):
    writer = writer_in(tmp_path, started=STARTED.astimezone(timezone(timedelta(hours=-7))))

    assert read_run(writer.directory).header.started == "2026-11-23T02:00:00.000Z"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(FAILURES, max_size=3), min_size=1, max_size=3))
def test_failures_of_all_rounds_of_a_stage_are_read_as_they_were_told(tmp_path_factory, rounds):
    writer = writer_in(tmp_path_factory.mktemp("runs"))
    writer.emit(ready())
    for index, failures in enumerate(rounds):
        writer.emit(measured(round_index=index, failures=tuple(failures)))
    writer.emit(finished())

    (outcome,) = read_run(writer.directory).header.outcomes

    assert outcome.failures == tuple(failure for failures in rounds for failure in failures)
