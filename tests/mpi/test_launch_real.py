"""Launches with the real mpiexec of this Python environment: what the plans ask for is what ranks get."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netprobe.errors import LaunchError
from netprobe.launch.cores import Cores
from netprobe.launch.job import Patience
from netprobe.launch.planning import Host, plan_launch
from netprobe.launch.request import LaunchRequest
from netprobe.launch.start import run_ranks
from netprobe.model.record import RanksDone, RanksReady, RoundStarted
from netprobe.model.run import RunStatus
from netprobe.units import NS_PER_S

pytestmark = pytest.mark.mpi
WORKER = Path(__file__).with_name("launch_worker.py")
SCRIPT = """
import os, sys
from pathlib import Path
from netprobe.launch.planning import plan_launch
from netprobe.launch.request import LaunchRequest
from netprobe.launch.start import run_ranks
class Told:
    def emit(self, record):
        pids = [rank.pid for rank in getattr(record, "ranks", ())]
        print(type(record).__name__, *pids, flush=True)
request = LaunchRequest(ranks=2, oversubscribe=True, mpiexec=Path(sys.argv[1]))
plans = plan_launch(request, [sys.executable, sys.argv[2], "hang"], os.environ).plans
end = run_ranks(plans, os.environ, lambda plan: Told())
print(end.status, flush=True)
"""


class Kept:
    def __init__(self, then=lambda record: None):
        self.records = []
        self._then = then

    def emit(self, record):
        self.records.append(record)
        self._then(record)


@pytest.fixture
def launch(mpiexec):
    """Run launch_worker.py on ranks; return how the job ended and what rank 0 told."""

    def run(*arguments, environ=None, patience=None, then=lambda record: None, host=None, **request):
        environ = {**os.environ, **(environ or {})}
        worker = [sys.executable, str(WORKER), *arguments]
        asked = LaunchRequest(mpiexec=Path(mpiexec), **{"oversubscribe": True, **request})
        sink = Kept(then)
        end = run_ranks(plan_launch(asked, worker, environ, host).plans, environ, lambda plan: sink, patience=patience)
        return end, sink.records

    return run


def ranks_of(records):
    (ready,) = [record for record in records if isinstance(record, RanksReady)]
    return ready.ranks


def gone(pids):
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_alive(pid) for pid in pids)


def is_alive(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_ranks_meet_and_end(launch, count):
    end, records = launch("go", ranks=count)

    assert (end.status, end.error, end.exit_code) == (RunStatus.COMPLETE, None, 0)
    assert [type(record) for record in records] == [RanksReady, RoundStarted, RanksDone]
    assert len(ranks_of(records)) == count


def test_ranks_are_bound_to_cores_of_their_own(launch, need):
    usable = os.sched_getaffinity(0)
    need("cores", len(usable) >= 2 and len(usable) == os.cpu_count(), "two cores, and no affinity mask")

    _, records = launch("go", ranks=2, oversubscribe=False)

    first, second = (set(rank.cpus) for rank in ranks_of(records))
    assert first
    assert not first & second


def test_ranks_that_share_cores_may_run_on_all_of_them(launch):
    _, records = launch("go", ranks=2, oversubscribe=True)

    assert all(set(rank.cpus) == os.sched_getaffinity(0) for rank in ranks_of(records))


def test_hardware_threads_can_be_bound_too(launch, need):
    need("cores", len(os.sched_getaffinity(0)) >= 2, "two hardware threads")
    siblings = Host(cores=Cores(hwthreads=2, physical=1), is_root=os.geteuid() == 0)

    end, _ = launch("go", ranks=2, oversubscribe=False, host=siblings)

    assert end.status is RunStatus.COMPLETE


def test_settings_and_forwarded_variables_reach_the_ranks(launch):
    environ = {"NCCL_DEBUG": "WARN", "MY_SETTING": "with space, comma = sign"}

    _, records = launch("go", *environ, "MPIR_CVAR_ENABLE_HEAVY_YIELD", environ=environ, forward=("MY_SETTING",))

    assert dict(records[0].environment) == {**environ, "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"}


def test_this_host_by_name_needs_no_ssh(launch):
    end, records = launch("go", hosts="localhost", ranks_per_host=2)

    assert end.status is RunStatus.COMPLETE
    assert len(ranks_of(records)) == 2


def test_a_rank_that_dies_fails_the_run_and_ends_the_others(launch):
    end, records = launch("die", ranks=3)

    assert end.status is RunStatus.FAILED
    assert end.error.startswith("the ranks ended in s, round 1 of 1 (exit code ")
    assert gone(rank.pid for rank in ranks_of(records))


def test_a_hang_is_ended_and_leaves_no_rank(launch):
    end, records = launch("hang", ranks=2, patience=Patience(round_floor_ns=NS_PER_S, round_factor=0))

    assert end.status is RunStatus.FAILED
    assert end.error.startswith("the ranks hung in s, round 1 of 1")
    assert gone(rank.pid for rank in ranks_of(records))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_rank(launch, number):
    def interrupt(record):
        if isinstance(record, RoundStarted):
            os.kill(os.getpid(), number)

    end, records = launch("hang", ranks=3, then=interrupt)

    assert end.status is RunStatus.INTERRUPTED
    assert gone(rank.pid for rank in ranks_of(records))


def test_two_interrupts_at_once_leave_no_rank(launch):
    def interrupt(record):
        if isinstance(record, RoundStarted):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)

    end, records = launch("hang", ranks=3, then=interrupt)

    assert end.status is RunStatus.INTERRUPTED
    assert gone(rank.pid for rank in ranks_of(records))


def test_killing_the_supervisor_leaves_no_rank(mpiexec):
    command = [sys.executable, "-c", SCRIPT, mpiexec, str(WORKER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        name, *pids = supervisor.stdout.readline().split()
        supervisor.kill()

    assert name == "RanksReady"
    assert len(pids) == 2
    assert gone(pids)


def test_a_worker_that_is_not_there_is_a_launch_error(mpiexec):
    request = LaunchRequest(ranks=2, oversubscribe=True, mpiexec=Path(mpiexec))
    plans = plan_launch(request, ["/nonexistent/python", "-m", "netprobe.session"], os.environ).plans

    with pytest.raises(LaunchError, match="/nonexistent/python"):
        run_ranks(plans, os.environ, lambda plan: Kept())


def test_a_module_that_is_not_there_is_a_launch_error(mpiexec):
    request = LaunchRequest(ranks=2, oversubscribe=True, mpiexec=Path(mpiexec))
    plans = plan_launch(request, [sys.executable, "-m", "netprobe.no_such_module"], os.environ).plans

    with pytest.raises(LaunchError, match=r"No module named '?netprobe"):
        run_ranks(plans, os.environ, lambda plan: Kept())
