"""What ranks know of their hosts, and what of a sweep fits them."""

import threading

import pytest

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.plan import Scope, Stage
from netprobe.session.host import has_gpu, has_rdma_device, meet, not_tested
from netprobe.session.memory import BufferPool, fitting
from netprobe.session.selftest import self_test
from netprobe.transports.loopback import LoopbackControl, LoopbackWorld

GIB = 1 << 30


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


def test_one_host_without_devices_leaves_hosts_rdma_and_gpu_untested(tmp_path):
    gaps = on_ranks(2, lambda control: not_tested(control, (rank(0, "a"), rank(1, "a")), tmp_path))[1]

    assert [gap.topic for gap in gaps] == ["between hosts", "rdma", "gpu"]


def test_a_device_that_is_there_is_said_to_be_there_and_unmeasured(tmp_path):
    (tmp_path / "sys/class/infiniband/mlx5_0").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)

    assert has_rdma_device(tmp_path)
    assert has_gpu(tmp_path)
    gaps = on_ranks(2, lambda control: not_tested(control, (rank(0, "a"), rank(1, "b")), tmp_path))[0]
    assert [gap.topic for gap in gaps] == ["rdma", "gpu"]
    assert all("are present" in gap.reason for gap in gaps)


def test_a_machine_without_device_folders_has_no_devices(tmp_path):
    assert not has_rdma_device(tmp_path)
    assert not has_gpu(tmp_path)


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
    pool = BufferPool()

    small = pool("send", 100)
    again = pool("send", 50)
    larger = pool("send", 5000)

    assert again is small
    assert larger.size_bytes >= 5000
    assert pool("receive", 100) is not larger


def test_a_buffer_beyond_memory_is_refused_with_what_is_available():
    with pytest.raises(PlanError, match="available"):
        BufferPool()("send", 1 << 60)


def test_the_self_test_finds_nothing_wrong_here():
    assert self_test() is None
