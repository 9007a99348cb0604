"""What a host says of a job's processes: from a made-up /proc, and from a child that is really stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netprobe.launch.rollcall import RollCall
from netprobe.launch.standing import moved_bytes, ranks_of, report_on
from netprobe.model.standing import HostStanding, RankState

RANK = ("python", "-P", "-m", "netprobe.session", "TOKEN")
DEV = """Inter-|   Receive                               |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:   900   29    0    0    0     0          0         0    900   29    0    0    0     0       0          0
  eth0:   100   59    0    0    0     0          0         0     20   33    0    0    0     0       0          0
  eth1:     3    1    0    0    0     0          0         0      4    1    0    0    0     0       0          0
"""
# Notes where it is as a rank does, and says so; Python runs it before anything that its command line asks for.
NOTES_ITSELF = """
import time
from netprobe.store.whereabouts import SharedWhereabouts
noted = SharedWhereabouts("h1")
noted.known_as(3, "h1")
noted.measures("latency", 4, 5)
print("noted", flush=True)
while True:
    time.sleep(0.02)
    noted.step()
"""


@pytest.fixture
def proc(tmp_path):
    """Make processes of a /proc tree; return its root."""

    def make(pid, *, words=RANK, mark="beef", stat="(python) S 1 1"):
        process = tmp_path / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
        (process / "environ").write_bytes(f"PATH=/bin\0NETPROBE_JOB={mark}\0".encode())
        if stat is not None:
            (process / "stat").write_text(f"{pid} {stat}")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("(python) R 1 1", RankState.RUNS),
        ("(python) S 1 1", RankState.RUNS),
        ("(python) T 1 1", RankState.STOPPED),
        ("(python) t 1 1", RankState.STOPPED),
        ("(python) D 1 1", RankState.BLOCKED),
        ("(python) Z 1 1", RankState.GONE),
        ("(odd) T (name) S 1 1", RankState.RUNS),
        ("()) T) D 1 1", RankState.BLOCKED),
        (None, RankState.GONE),
    ],
)
def test_the_state_of_a_process_is_that_behind_its_name(proc, stat, state):
    (rank,) = ranks_of("beef", proc(7, stat=stat))

    assert (rank.pid, rank.state, rank.position) == (7, state, None)


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (RANK, "cafe"),
        (RANK, "beef1"),
        (("hydra_pmi_proxy", "--control-port", "h1", *RANK), "beef"),
        (("mpiexec", "-n", "2", *RANK), "beef"),
        (("python", "-P", "-m", "netprobe"), "beef"),
        ((), "beef"),
    ],
)
def test_launchers_proxies_and_other_jobs_are_no_ranks(proc, words, mark):
    assert ranks_of("beef", proc(7, words=words, mark=mark)) == ()


def test_a_process_that_ends_while_it_is_looked_at_is_left_out(proc):
    root = proc(7)
    (root / "7" / "environ").unlink()

    assert ranks_of("beef", root) == ()


def test_bytes_are_those_of_all_interfaces_but_the_loopback(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/dev").write_text(DEV)

    assert moved_bytes(tmp_path) == 100 + 20 + 3 + 4


def test_a_system_that_does_not_count_bytes_has_moved_none(tmp_path):
    assert moved_bytes(tmp_path) == 0


@pytest.fixture
def rank(tmp_path, need):
    """A process that a launcher could have started: its words, its mark, and a place that it notes."""
    need("memfd", hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir(), "memfd and /proc; Linux has them")
    (tmp_path / "sitecustomize.py").write_text(NOTES_ITSELF)
    mark = f"test-{os.getpid()}-{tmp_path.name}"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "NETPROBE_JOB": mark}
    with subprocess.Popen([sys.executable, *RANK[1:]], env=environ, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "noted\n"
            yield child, mark
        finally:
            child.kill()


def test_a_rank_that_runs_is_seen_where_it_is_and_as_moving(rank):
    child, mark = rank

    report = report_on(mark, pause_s=0.5)

    (seen,) = report.ranks
    assert (seen.pid, seen.state) == (child.pid, RankState.RUNS)
    assert (seen.position.rank, seen.position.host, seen.position.peer) == (3, "h1", 5)
    assert RollCall(hosts=(HostStanding(host="h1", report=report),)).has_steps


def test_a_rank_that_is_stopped_is_seen_as_stopped_and_still_tells_where_it_is(rank):
    child, mark = rank
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: ranks_of(mark)[0].state is RankState.STOPPED)

    report = report_on(mark, pause_s=0.1)

    assert report.before == report.ranks
    assert (report.ranks[0].position.stage, report.ranks[0].position.round_index) == ("latency", 4)
    assert report.ranks[0].position.is_measuring


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()
