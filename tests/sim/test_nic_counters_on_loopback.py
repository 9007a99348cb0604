"""What NICs count around rounds, stages and idle times of a session, with threads as ranks and a made-up system."""

import itertools
from datetime import UTC, datetime

import polars as pl
import pytest

from netprobe.contracts import LinkSettings, System
from netprobe.judge.evidence import evidence_of
from netprobe.model.counters import IDLE_AFTER, IDLE_BEFORE
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.ports import Span
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.bursts import BurstWish, burst_stage
from netprobe.plan.task import Task
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.units import NS_PER_MS, NS_PER_S

FILES = {
    "sys/class/infiniband/mlx5_0/fw_ver": "28.40.1000\n",
    "sys/class/infiniband/mlx5_0/ports/1/link_layer": "Ethernet\n",
    "sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n",
    "sys/class/infiniband/mlx5_0/ports/1/rate": "400 Gb/sec (4X NDR)\n",
    "sys/class/infiniband/mlx5_0/ports/1/gid_attrs/ndevs/0": "eth0\n",
    "sys/class/infiniband/mlx5_0/ports/1/hw_counters/lifespan": "10\n",
    "sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence": "5\n",
    "sys/class/net/eth0/flags": "0x1003\n",
    "sys/class/net/eth0/mtu": "9000\n",
    "sys/class/net/eth0/device/uevent": "\n",
}


class GrowingNetlink:
    """An interface that pauses once more whenever it is asked."""

    def __init__(self):
        self._count = itertools.count(1000)

    def statistics(self, netdev):
        return {"tx_prio3_pause": next(self._count), "tx_prio3_pause_duration": 7}

    def link(self, netdev):
        return LinkSettings(speed_gbps=400.0)

    def qos(self, netdev):
        return None


@pytest.fixture
def system(tmp_path):
    root = tmp_path / "root"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return System(root=root, netlink=GrowingNetlink())


def measured(tmp_path, system, ranks=2, hosts=2, excluded=(), stage=None):
    stage = stage or Stage(
        id="bandwidth", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(512,), iterations=4,
        warmup_iterations=1, window=2,
    )  # fmt: skip
    plan = Plan(profile="test", seed=3, stages=(stage,), transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    task = Task(plan=plan, excluded=excluded)
    run_on_threads(task, ranks, writer, host_of=lambda rank: f"n{rank % hosts}", system=system)
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def test_nics_are_read_before_and_after_the_load_and_over_each_stage(tmp_path, system):
    run = measured(tmp_path, system)

    spans = run.counters.filter(pl.col("round_index").is_null())
    paused = spans.filter(pl.col("counter") == "ethtool/eth0/tx_prio3_pause")
    assert sorted(paused.select("stage", "rank").rows()) == sorted(
        (stage, rank) for stage in ("bandwidth", IDLE_BEFORE, IDLE_AFTER) for rank in (0, 1)
    )
    assert paused["growth"].min() > 0


def test_rdma_counters_are_read_around_rounds_as_well_and_slow_ones_are_not(tmp_path, system):
    run = measured(tmp_path, system)

    rounds = run.counters.filter(pl.col("round_index").is_not_null())
    named = set(rounds["counter"].unique())
    assert "rdma/mlx5_0/1/out_of_sequence" in named
    assert not any(name.startswith("ethtool/") for name in named)


def test_a_nic_is_read_once_for_all_ranks_of_its_host(tmp_path, system):
    run = measured(tmp_path, system, ranks=4)

    of_nics = run.counters.filter(pl.col("counter").str.starts_with("rdma/"))
    assert set(of_nics["rank"].unique()) == {0, 1}


def test_idle_times_are_left_out_where_no_fabric_is_crossed(tmp_path, system):
    run = measured(tmp_path, system, hosts=1)

    assert not {IDLE_BEFORE, IDLE_AFTER} & set(run.counters["stage"].unique())


def test_hosts_tell_what_they_are_made_of_once_each(tmp_path, system):
    run = measured(tmp_path, system, ranks=4)

    assert [each.host for each in run.inventories] == ["n0", "n1"]
    (port,) = run.inventories[0].rdma_ports
    assert (port.device, port.netdev, port.firmware, port.rate_gbps) == ("mlx5_0", "eth0", "28.40.1000", 400.0)


def test_what_the_task_excludes_is_neither_counted_nor_told(tmp_path, system):
    run = measured(tmp_path, system, excluded=("mlx5_0", "eth0"))

    assert {name for name in run.counters["counter"].unique() if name.startswith(("rdma/", "ethtool/"))} == set()
    assert [each.rdma_ports for each in run.inventories] == [(), ()]


def test_the_judge_sees_a_port_with_both_kinds_of_counters(tmp_path, system):
    ports = evidence_of(measured(tmp_path, system)).ports

    assert ports.host == ("n0", "n1")
    assert ports.name == ("mlx5_0", "mlx5_0")
    assert ports.netdev == ("eth0", "eth0")
    assert set(ports.spans) == {Span.LOAD, Span.IDLE_BEFORE, Span.IDLE_AFTER}
    assert (ports.grown(Meaning.OUT_OF_SEQUENCE) == 0).all()
    assert (ports.by_priority(Meaning.PAUSE_SENT)[:, 3] > 0).all()


def test_in_bursts_pauses_are_counted_by_second_where_the_driver_answers_at_once(tmp_path, system):
    (system.root / "drivers/mlx5_core").mkdir(parents=True)
    (system.root / "sys/class/net/eth0/device/driver").symlink_to(system.root / "drivers/mlx5_core")
    wish = BurstWish(period_ns=50 * NS_PER_MS, compute_ratio=0.1, size_bytes=4096, length_ns=2 * NS_PER_S)

    run = measured(tmp_path, system, stage=burst_stage(wish, length_ns=NS_PER_S))

    rounds = run.counters.filter(pl.col("round_index").is_not_null())
    paused = rounds.filter(pl.col("counter") == "ethtool/eth0/tx_prio3_pause")
    assert set(paused["rank"]) == {0, 1}
    assert {each.round_index for each in run.steps} <= set(paused["round_index"])
    assert (paused.filter(pl.col("round_index") < len(run.steps))["growth"] > 0).all()


def test_where_a_driver_keeps_old_values_no_second_is_told_what_may_be_of_another(tmp_path, system):
    wish = BurstWish(period_ns=50 * NS_PER_MS, compute_ratio=0.1, size_bytes=4096, length_ns=NS_PER_S)

    run = measured(tmp_path, system, stage=burst_stage(wish, length_ns=NS_PER_S))

    rounds = run.counters.filter(pl.col("round_index").is_not_null())
    assert not any(name.startswith("ethtool/") for name in rounds["counter"].unique())
