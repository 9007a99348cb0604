"""What ranks know of their hosts, and what of a sweep fits them."""

import os
import subprocess
import sys
import threading

import pytest

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.session.gpu import GpuEdge, open_gpus
from netprobe.session.host import has_gpu, has_rdma_device, meet, not_tested, other_runs
from netprobe.session.memory import BufferPool, allocator, fitting
from netprobe.session.rdma import NOT_ASKED
from netprobe.session.selftest import self_test
from netprobe.system.here import recorded_system
from netprobe.transports.loopback import LoopbackControl, LoopbackWorld

GIB = 1 << 30
HOST_ALONE = Plan(profile="test", seed=1, stages=())


def on_ranks(count, body):
    """Run body(control) on so many threads; return the results by rank."""
    world = LoopbackWorld(count)
    results = {}

    def run(rank):
        results[rank] = body(LoopbackControl(world, rank))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(count)]


def rank(number, host):
    return Rank(rank=number, host=host, local_index=0, cpus=(0,), pid=1)


def stage(*sizes):
    return Stage(id="sweep", probe="allreduce", scope=Scope.WORLD, sizes_bytes=sizes)


def test_ranks_are_numbered_within_their_hosts():
    hosts = ["a", "b", "a", "a"]

    met = on_ranks(4, lambda control: meet(control, hosts[control.rank]))[0]

    assert [(each.host, each.local_index) for each in met] == [("a", 0), ("b", 0), ("a", 1), ("a", 2)]


def test_one_host_without_devices_leaves_hosts_and_rdma_untested(tmp_path):
    gaps = on_ranks(2, lambda control: not_tested(control, (rank(0, "a"), rank(1, "a")), root=tmp_path))[1]

    assert [gap.topic for gap in gaps] == ["between hosts", "rdma"]


def test_devices_that_are_there_and_not_used_are_told(tmp_path):
    (tmp_path / "sys/class/infiniband/mlx5_0").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
    ranks = (rank(0, "a"), rank(1, "b"))

    assert has_rdma_device(tmp_path)
    assert has_gpu(tmp_path)
    system = recorded_system(tmp_path)
    on_gpus = on_ranks(2, lambda control: open_gpus(control, ranks, HOST_ALONE, system, GpuEdge()))[0]
    gaps = on_ranks(2, lambda control: not_tested(control, ranks, NOT_ASKED.gaps, on_gpus.gaps, tmp_path))[0]
    assert [gap.topic for gap in gaps] == ["rdma", "gpu"]
    assert all("are present" in gap.reason for gap in gaps)


def test_a_device_that_every_rank_uses_leaves_nothing_of_rdma_untested(tmp_path):
    (tmp_path / "sys/class/infiniband/mlx5_0").mkdir(parents=True)

    gaps = on_ranks(2, lambda control: not_tested(control, (rank(0, "a"), rank(1, "b")), root=tmp_path))[0]

    assert gaps == ()


def test_a_machine_without_device_folders_has_no_devices(tmp_path):
    assert not has_rdma_device(tmp_path)
    assert not has_gpu(tmp_path)


RANK = "python\0-P\0-m\0netprobe.session\0e30=\0"
OWN = 40
HERE, ELSEWHERE = ("net:[1]", "uts:[1]"), ("net:[2]", "uts:[2]")


@pytest.fixture
def proc(tmp_path):
    """Make a /proc in which this process is OWN; return what adds another process, and returns the root."""

    def add(name, command, namespaces):
        process = tmp_path / "proc" / str(name)
        process.mkdir(parents=True)
        (process / "cmdline").write_text(command)
        if namespaces is not None:  # else it is another user's: neither its namespaces nor its files can be read
            (process / "ns").mkdir()
            for kind, namespace in zip(("net", "uts"), namespaces, strict=True):
                (process / "ns" / kind).symlink_to(namespace)
        return tmp_path

    add("self", RANK, HERE)
    add(OWN, RANK, HERE)
    return add


@pytest.mark.parametrize(
    ("command", "namespaces", "is_noticed"),
    [
        (RANK, HERE, True),
        (RANK, None, True),
        (RANK, ELSEWHERE, False),
        ("mpiexec\0-n\0002\0python\0-P\0-m\0netprobe.session\0", None, False),
        ("vim\0netprobe.toml\0", None, False),
        ("vim\0netprobe.toml\0", HERE, False),
    ],
    ids=["a rank", "another user's rank", "another container's", "a launcher", "another user's editor", "an editor"],
)
def test_ranks_of_another_netprobe_are_told_from_all_else(proc, command, namespaces, is_noticed):
    root = proc(50, command, namespaces)

    assert other_runs([OWN], root) == ((50,) if is_noticed else ())


def test_a_rank_that_notes_where_it_is_is_noticed_whoever_started_it(proc):
    root = proc(50, "python\0/opt/bin/netprobe\0check\0", HERE)
    assert other_runs([OWN], root) == ()
    noting = (
        "from netprobe.store.whereabouts import SharedWhereabouts\n"
        "noted = SharedWhereabouts('here'); noted.meets(); print('noted', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}

    with subprocess.Popen([sys.executable, "-c", noting], **pipes) as process:
        assert process.stdout.readline() == b"noted\n"
        (root / "proc/50/fd").symlink_to(f"/proc/{process.pid}/fd")
        found = other_runs([OWN], root)
        process.communicate(b"\n")

    assert found == (50,)


def test_a_system_without_namespaces_has_other_runs_too(tmp_path):
    (tmp_path / "proc/50").mkdir(parents=True)
    (tmp_path / "proc/50/cmdline").write_text(RANK)

    assert other_runs([OWN], tmp_path) == (50,)


# Becomes another user, says so, and stays: the command line is a rank's, and its files are not to be looked into.
STRANGER = "import os, sys; os.setgid({uid}); os.setuid({uid}); print(os.getpid(), flush=True); sys.stdin.read()"
OBSERVER = """
import os, sys
from netprobe.session.host import other_runs
os.setgid({uid}); os.setuid({uid})
print(int(sys.argv[1]) in other_runs(()))
"""


@pytest.mark.parametrize("observer", [0, 65533], ids=["root", "another user"])
def test_another_users_netprobe_is_noticed(need, tmp_path, observer):
    need("root", os.geteuid() == 0, "root, to start a process as another user")
    (tmp_path / "netprobe/session").mkdir(parents=True)
    (tmp_path / "netprobe/__init__.py").touch()
    (tmp_path / "netprobe/session/__init__.py").touch()
    (tmp_path / "netprobe/session/__main__.py").write_text(STRANGER.format(uid=65534))
    argv = [sys.executable, "-P", "-m", "netprobe.session"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, env={"PYTHONPATH": str(tmp_path)}, **pipes, text=True) as stranger:
        pid = stranger.stdout.readline().strip()
        code = OBSERVER.format(uid=observer)
        seen = subprocess.run([sys.executable, "-c", code, pid], capture_output=True, text=True, check=True).stdout

    assert seen == "True\n"


def test_sizes_that_one_host_has_no_memory_for_are_left_out_everywhere_and_named():
    ranks = (rank(0, "big"), rank(1, "small"))
    free = [64 * GIB, 5 * GIB]

    results = on_ranks(2, lambda control: fitting(stage(8, GIB, 4 * GIB), control, ranks, lambda: free[control.rank]))

    assert [kept.sizes_bytes for kept, _ in results] == [(8, GIB), (8, GIB)]
    (gap,) = results[0][1]
    assert "4G left out" in gap.reason


def test_ranks_of_one_host_share_its_memory():
    ranks = tuple(rank(number, "a") for number in range(4))

    results = on_ranks(4, lambda control: fitting(stage(GIB), control, ranks, lambda: 5 * GIB))

    assert results[0][0].sizes_bytes == ()


def test_a_system_that_does_not_tell_its_memory_leaves_the_sweep_alone():
    results = on_ranks(1, lambda control: fitting(stage(8, 1 << 39), control, (rank(0, "a"),), lambda: None))

    assert results[0] == (stage(8, 1 << 39), ())


def test_a_pool_reuses_a_buffer_and_grows_it_when_it_must():
    pool = BufferPool(allocator(None)).of(stage(8))

    small = pool("send", 100)
    again = pool("send", 50)
    larger = pool("send", 5000)

    assert again is small
    assert larger.size_bytes >= 5000
    assert pool("receive", 100) is not larger


def test_a_buffer_beyond_memory_is_refused_with_what_is_available():
    with pytest.raises(PlanError, match="available"):
        BufferPool(allocator(None)).of(stage(8))("send", 1 << 60)


def test_the_self_test_finds_nothing_wrong_here():
    assert self_test() is None
