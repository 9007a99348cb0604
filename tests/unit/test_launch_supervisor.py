"""The supervisor against launchers that are small scripts: each step is something that launchers do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import done, finished, ready, round_started

from netprobe.errors import LaunchError, StoreError
from netprobe.launch.happenings import LineCutter
from netprobe.launch.job import DEADLINE_NS, LOOKING_NS, LaunchTimeout, Listeners, Patience
from netprobe.launch.supervisor import supervise
from netprobe.model.record import RanksDone, RanksReady, RoundStarted, StageFinished
from netprobe.model.run import RunStatus
from netprobe.store.wire import encode
from netprobe.units import NS_PER_MS, NS_PER_S

LAUNCHER = """
import json, os, signal, subprocess, sys, time
for verb, value in json.loads(sys.argv[1]):
    if verb == "out": print(value, flush=True)
    if verb == "raw": os.write(1, value.encode())
    if verb == "err": print(value, file=sys.stderr, flush=True)
    if verb == "flood": sys.stderr.write((value + "\\n") * 20_000); sys.stderr.flush()
    if verb == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if verb == "on-term": signal.signal(signal.SIGTERM, lambda *_, word=value: os.write(2, f"{word}\\n".encode()))
    if verb == "late": subprocess.Popen(["sh", "-c", 'sleep 0.5; printf "$0" >&2', value])
    if verb == "sleep": time.sleep(value)
    if verb == "orphan":
        ranks = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(value)]
    if verb == "kill": os.kill(int(value), signal.SIGTERM)
    if verb == "die": os.kill(os.getpid(), value)
    if verb == "exit": sys.exit(value)
"""
HANG = ("sleep", 600)
QUICK = Patience(
    meeting_ns=20 * NS_PER_S,
    round_floor_ns=20 * NS_PER_S,
    ending_ns=20 * NS_PER_S,
    grace_ns=10 * NS_PER_S,
    draining_ns=200 * NS_PER_MS,
)


class Kept:
    """A sink that keeps everything, and may do something at each record."""

    def __init__(self, then=lambda record: None):
        self.records = []
        self._then = then

    def emit(self, record):
        self.records.append(record)
        self._then(record)

    @property
    def kinds(self):
        return [type(record) for record in self.records]


def said(*records):
    return [("out", encode(record, number)) for number, record in enumerate(records)]


@pytest.fixture
def watch(tmp_path):
    """Supervise a launcher that takes these steps; check afterwards that nothing of it is alive."""
    script = tmp_path / "mpiexec"
    script.write_text(LAUNCHER)
    tag = str(tmp_path)

    def run(*steps, sink=None, expected_ranks=2, patience=QUICK, listeners=None):
        argv = [sys.executable, str(script), json.dumps(steps)]
        environ = {**os.environ, "TAG_OF_TEST": tag}
        return supervise(
            argv, environ, sink or Kept(), expected_ranks=expected_ranks, patience=patience, listeners=listeners
        )

    yield run
    assert processes_with(f"TAG_OF_TEST={tag}") == []


def processes_with(setting):
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environ = path.read_bytes()
        except OSError:
            continue
        if setting.encode() in environ.split(b"\0"):
            found.append(int(path.parent.name))
    return found


def test_every_record_reaches_the_sink_in_order(watch):
    sink = Kept()

    end = watch(*said(ready(), round_started(), finished(), done()), sink=sink)

    assert sink.kinds == [RanksReady, RoundStarted, StageFinished, RanksDone]
    assert (end.status, end.error, end.exit_code) == (RunStatus.COMPLETE, None, 0)


def test_chatter_on_both_streams_is_handed_on_and_never_blocks(watch):
    heard = []

    listeners = Listeners(on_chatter=heard.append)

    end = watch(("flood", "warning: " + "x" * 100), *said(ready(), done()), ("raw", "no line end"), listeners=listeners)

    assert end.status is RunStatus.COMPLETE
    assert len(heard) == 20_001
    assert heard[-1] == "no line end"


def test_a_launcher_that_ends_early_is_explained_by_what_it_said(watch):
    with pytest.raises(LaunchError, match=r"exit code 1\): There are not enough slots.*; try: --oversubscribe"):
        watch(("err", "-" * 70), ("err", "There are not enough slots available"), ("exit", 1))


def test_a_launcher_that_does_not_exist_is_a_launch_error(tmp_path):
    with pytest.raises(LaunchError, match="cannot be run: No such file"):
        supervise([str(tmp_path / "absent")], {}, Kept(), expected_ranks=2)


@pytest.mark.parametrize("again", [True, False])
def test_ranks_that_find_themselves_alone_are_no_run(watch, again):
    sink = Kept()
    alone = encode(ready(1), 0)

    with pytest.raises(LaunchError, match=r"each rank found itself alone: it does not belong to MPICH 4\.3"):
        watch(("out", alone), *([("out", alone)] if again else []), HANG, sink=sink)

    assert sink.records == []


def test_one_rank_that_was_asked_for_is_not_alone_by_mistake(watch):
    assert watch(*said(ready(1), done()), expected_ranks=1).status is RunStatus.COMPLETE


def test_ranks_that_never_meet_cost_one_deadline(watch):
    patience = Patience(meeting_ns=3 * NS_PER_S, grace_ns=5 * NS_PER_S)

    with pytest.raises(LaunchTimeout, match=r"brought no 2 ranks together within 3.00 s; it said 'odd'"):
        watch(("err", "odd"), HANG, patience=patience)


def test_a_round_that_hangs_is_named_and_what_came_before_is_kept(watch):
    sink = Kept()
    patience = Patience(round_floor_ns=300 * NS_PER_MS, round_factor=0)

    end = watch(*said(ready(), round_started()), HANG, sink=sink, patience=patience)

    assert end.status is RunStatus.FAILED
    assert (end.stage, end.round_index) == (round_started().stage, round_started().round_index)
    assert end.error.startswith(f"the ranks hung in {end.stage}, round {end.round_index + 1} of ")
    assert sink.kinds == [RanksReady, RoundStarted]


def test_somebody_is_asked_before_a_silent_job_is_ended_and_may_wait_on(watch):
    asked = []

    def wait_twice():
        asked.append(True)
        return len(asked) < 3

    patience = Patience(round_floor_ns=150 * NS_PER_MS, round_factor=0)

    end = watch(*said(ready(), round_started()), HANG, patience=patience, listeners=Listeners(on_silence=wait_twice))

    assert end.is_hung
    assert len(asked) == 3


def test_a_job_that_is_waited_for_can_still_be_complete(watch):
    patience = Patience(round_floor_ns=150 * NS_PER_MS, round_factor=0)
    patient = Listeners(on_silence=lambda: True)

    end = watch(
        *said(ready(), round_started()),
        ("sleep", 0.6),
        ("out", encode(done(), 2)),
        patience=patience,
        listeners=patient,
    )

    assert (end.status, end.is_hung) == (RunStatus.COMPLETE, False)


def test_ranks_that_are_slow_to_meet_are_asked_about_too(watch):
    patience = Patience(meeting_ns=150 * NS_PER_MS)
    patient = Listeners(on_silence=lambda: True)

    end = watch(("sleep", 0.6), *said(ready(), done()), patience=patience, listeners=patient)

    assert end.status is RunStatus.COMPLETE


def test_processes_are_still_there_when_somebody_is_asked(watch):
    alive = []

    marks = []

    def look():
        alive.append(len(processes_with(f"NETPROBE_JOB={marks[0]}")))
        return False

    patience = Patience(round_floor_ns=300 * NS_PER_MS, round_factor=0)

    listeners = Listeners(on_start=marks.append, on_silence=look)
    watch(("orphan", 2), *said(ready(), round_started()), HANG, patience=patience, listeners=listeners)

    assert alive == [3]


def test_nobody_is_asked_about_ranks_that_were_done(watch):
    def refuse():
        raise AssertionError("asked")

    patience = Patience(ending_ns=200 * NS_PER_MS)

    end = watch(*said(ready(), done()), HANG, patience=patience, listeners=Listeners(on_silence=refuse))

    assert (end.status, end.is_hung) == (RunStatus.FAILED, False)


def test_a_hung_job_says_how_long_it_was_silent_and_keeps_the_last_lines(watch):
    patience = Patience(round_floor_ns=300 * NS_PER_MS, round_factor=0)

    end = watch(*said(ready(), round_started()), ("err", "UCX WARN odd"), HANG, patience=patience)

    assert end.silent_ns >= 300 * NS_PER_MS
    assert end.lines == ("UCX WARN odd",)


@pytest.mark.parametrize("deadline_ns", [DEADLINE_NS, 60 * NS_PER_S, 4 * NS_PER_S])
def test_a_deadline_leaves_time_to_ask_whoever_is_silent(deadline_ns):
    patience = Patience.within(deadline_ns)

    assert patience.meeting_ns == patience.round_floor_ns == patience.ending_ns
    assert deadline_ns - patience.round_floor_ns == min(LOOKING_NS, deadline_ns // 2)


def test_the_usual_patience_is_that_of_the_usual_deadline():
    assert Patience() == Patience.within(DEADLINE_NS)


def test_a_long_round_has_a_long_deadline(watch):
    patience = Patience(round_floor_ns=NS_PER_MS, round_factor=10)
    long_round = replace(round_started(), expected_ns=NS_PER_S)

    end = watch(*said(ready(), long_round), ("sleep", 0.3), ("out", encode(done(), 2)), patience=patience)

    assert end.status is RunStatus.COMPLETE


def test_what_the_sink_takes_to_write_is_not_the_ranks_time(watch):
    patience = Patience(round_floor_ns=NS_PER_S, round_factor=0)
    slow = Kept(then=lambda record: time.sleep(1.1) if isinstance(record, RoundStarted) else None)

    end = watch(
        *said(ready(), round_started()), ("sleep", 1.3), ("out", encode(done(), 2)), sink=slow, patience=patience
    )

    assert end.status is RunStatus.COMPLETE


def test_ranks_that_die_while_measuring_fail_the_run_and_say_where(watch):
    end = watch(*said(ready(), round_started()), ("err", "netprobe: rank 1: MPI_Send: out of memory"), ("exit", 3))

    assert (end.status, end.exit_code) == (RunStatus.FAILED, 3)
    assert end.error.startswith(f"the ranks ended in {round_started().stage}, round ")
    assert end.error.endswith("(exit code 3): rank 1: MPI_Send: out of memory")


def test_a_launcher_killed_by_a_signal_says_which(watch):
    end = watch(*said(ready()), ("die", int(signal.SIGSEGV)))

    assert end.exit_code is None
    assert "(signal 11)" in end.error


def test_an_error_told_by_the_ranks_is_the_runs_error(watch):
    end = watch(*said(ready(), done(error="rank 3 lost its NIC")))

    assert (end.status, end.error) == (RunStatus.FAILED, "rank 3 lost its NIC")


@pytest.mark.parametrize("last", [("exit", 139), HANG])
def test_a_run_is_not_complete_when_its_ranks_do_not_end_well(watch, last):
    patience = Patience(ending_ns=300 * NS_PER_MS)

    end = watch(*said(ready(), finished(), done()), last, patience=patience)

    assert end.status is RunStatus.FAILED
    assert end.error.startswith("all was measured, but ")


def test_a_lost_record_fails_the_run(watch):
    sink = Kept()

    end = watch(("out", encode(ready(), 0)), ("out", encode(done(), 2)), HANG, sink=sink)

    assert end.status is RunStatus.FAILED
    assert "record 1 of rank 0 was lost" in end.error


def test_a_sink_that_fails_ends_the_ranks(watch):
    def fail(record):
        raise StoreError("no space left")

    with pytest.raises(StoreError, match="no space left"):
        watch(("orphan", 2), *said(ready()), HANG, sink=Kept(then=fail))


def test_a_disk_that_fills_up_while_measuring_ends_the_ranks_and_keeps_what_was_there(watch):
    def fail_late(record):
        if isinstance(record, RoundStarted):
            raise StoreError("no space left")

    end = watch(("orphan", 2), *said(ready(), finished(), round_started()), HANG, sink=Kept(then=fail_late))

    assert (end.status, end.error) == (RunStatus.FAILED, "no space left")


def test_a_time_longer_than_the_kernel_can_wait_is_waited_for_in_parts(watch):
    patience = replace(QUICK, meeting_ns=10**9 * NS_PER_S)

    assert watch(("sleep", 0.1), *said(ready(), done()), patience=patience).status is RunStatus.COMPLETE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_keeps_what_was_recorded(watch, number):
    sink = Kept(then=lambda record: os.kill(os.getpid(), number) if isinstance(record, RoundStarted) else None)

    end = watch(*said(ready(), finished(), round_started()), HANG, sink=sink)

    assert end.status is RunStatus.INTERRUPTED
    assert end.error.startswith("interrupted in ")
    assert sink.kinds == [RanksReady, StageFinished, RoundStarted]


def test_signals_mean_what_they_meant_once_the_run_is_over(watch):
    before = signal.getsignal(signal.SIGINT)

    watch(*said(ready(), done()))

    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_launcher_that_does_not_listen_is_killed_after_its_grace(watch):
    patience = Patience(round_floor_ns=200 * NS_PER_MS, round_factor=0, grace_ns=200 * NS_PER_MS)

    end = watch(("deaf", 0), ("orphan", 2), *said(ready(), round_started()), HANG, patience=patience)

    assert end.error.startswith("the ranks hung")


def test_a_second_interrupt_kills_at_once(watch):
    def twice(record):
        if isinstance(record, RoundStarted):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    patience = Patience(grace_ns=600 * NS_PER_S)

    end = watch(("deaf", 0), *said(ready(), round_started()), HANG, sink=Kept(then=twice), patience=patience)

    assert end.status is RunStatus.INTERRUPTED


def test_ranks_that_their_launcher_lost_are_ended_too(watch):
    end = watch(("orphan", 3), *said(ready(), round_started()), ("die", int(signal.SIGKILL)))

    assert end.status is RunStatus.FAILED


def test_it_works_outside_of_the_main_thread(watch):
    ends = []
    thread = threading.Thread(target=lambda: ends.append(watch(*said(ready(), done()))))

    thread.start()
    thread.join(timeout=60)

    assert [end.status for end in ends] == [RunStatus.COMPLETE]


def test_the_ranks_do_not_outlive_a_supervisor_that_is_killed(tmp_path):
    script = tmp_path / "mpiexec"
    script.write_text(LAUNCHER)
    steps = json.dumps([*said(ready(), round_started()), HANG])
    code = (
        "import sys\n"
        "from netprobe.launch.supervisor import supervise\n"
        "class S:\n    def emit(self, r): print(type(r).__name__, flush=True)\n"
        "supervise([sys.executable, sys.argv[1], sys.argv[2]], {'TAG_OF_TEST': sys.argv[1]}, S(), expected_ranks=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(script), steps], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout.readline() == b"RanksReady\n"
        assert supervisor.stdout.readline() == b"RoundStarted\n"
        supervisor.kill()

    deadline = time.monotonic() + 30
    while processes_with(f"TAG_OF_TEST={script}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(f"TAG_OF_TEST={script}") == []


@given(st.text(alphabet="ab\né€", max_size=30), st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_lines_are_whole_however_the_bytes_arrive(text, sizes):
    data, cutter, lines, at, turn = text.encode(), LineCutter(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        lines += cutter.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    lines += cutter.feed(b"")

    assert lines == text.removesuffix("\n").split("\n") if text else lines == []


def test_somebody_who_asks_to_stop_while_a_hung_job_is_ended_wants_no_other_launch(watch):
    def interrupt_and_give_up():
        os.kill(os.getpid(), signal.SIGINT)
        return False

    patience = Patience(round_floor_ns=200 * NS_PER_MS, round_factor=0)

    end = watch(
        *said(ready(), round_started()), HANG, patience=patience, listeners=Listeners(on_silence=interrupt_and_give_up)
    )

    assert end.status is RunStatus.INTERRUPTED


def test_a_record_that_came_while_somebody_asked_around_lifts_the_sentence(watch, tmp_path):
    asked = []

    def ask_for_long():
        asked.append(True)
        time.sleep(0.6)
        return False

    patience = Patience(round_floor_ns=500 * NS_PER_MS, round_factor=0)
    late = said(ready(), round_started(), done())
    steps = (*late[:2], ("sleep", 0.8), late[2])

    end = watch(*steps, patience=patience, listeners=Listeners(on_silence=ask_for_long))

    assert (end.status, asked) == (RunStatus.COMPLETE, [True])


def alone():
    """What a rank says that met nobody, though two were expected: the launch is refused."""
    return ("out", encode(ready(1), 0))


def interrupting(word):
    """Return listeners that ask this process to stop when the launcher says a word."""
    return Listeners(on_chatter=lambda line: os.kill(os.getpid(), signal.SIGINT) if line == word else None)


def test_somebody_who_asks_to_stop_while_a_launch_is_refused_wants_no_other_launch(watch):
    end = watch(("on-term", "ending"), alone(), HANG, listeners=interrupting("ending"))

    assert (end.status, end.error) == (RunStatus.INTERRUPTED, "interrupted before the first round")


def test_somebody_who_asked_to_stop_is_heard_though_the_launch_is_refused_then(watch):
    steps = (("deaf", 0), ("err", "hello"), ("sleep", 0.3), alone(), HANG)

    end = watch(*steps, patience=replace(QUICK, grace_ns=NS_PER_S), listeners=interrupting("hello"))

    assert end.status is RunStatus.INTERRUPTED


def test_somebody_who_asks_to_stop_at_the_very_end_wants_no_other_launch(watch):
    patience = replace(QUICK, draining_ns=20 * NS_PER_S)

    end = watch(("late", "last words"), ("exit", 1), patience=patience, listeners=interrupting("last words"))

    assert end.status is RunStatus.INTERRUPTED
