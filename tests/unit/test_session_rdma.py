"""Who can use RDMA is settled before anything is measured: those who cannot are named, the others measure."""

import threading
from pathlib import Path as FilePath

import pytest
from fake_verbs import Fabric, FakeDevice, Sending
from host_trees import write

from netprobe.contracts import System
from netprobe.errors import UnavailableError
from netprobe.judge.datagrams import datagram_table
from netprobe.model.endpoint import Calibration, Rank
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.rdma import RdmaOptions
from netprobe.model.record import RanksReady, RoundFinished, StageFinished
from netprobe.plan.task import Task
from netprobe.session.rdma import NOT_ASKED, feasible, open_rdma, refuse_hopeless
from netprobe.session.threads import run_on_threads
from netprobe.store.counters_table import counters_frame_of
from netprobe.system.here import recorded_system
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld

COST = Calibration(clock_read_ns=1.0, empty_iteration_ns=1.0)
PORT = "sys/class/infiniband/{device}/ports/1"


def host_tree(root, *devices, state="4: ACTIVE"):
    """Write the files of a host with these RoCE devices."""
    for number, device in enumerate(devices):
        port = PORT.format(device=device)
        write(root, {
            f"{port}/link_layer": "Ethernet",
            f"{port}/state": state,
            f"{port}/phys_state": "5: LinkUp",
            f"{port}/rate": "400 Gb/sec (4X NDR)",
            f"{port}/gids/3": f"0000:0000:0000:0000:0000:ffff:0a01:000{number + 1}",
            f"{port}/gid_attrs/types/3": "RoCE v2",
            f"{port}/gid_attrs/ndevs/3": f"eth{number}",
            f"sys/class/net/eth{number}/mtu": "1500",
        })  # fmt: skip
    return root


def pairs(id, path, **options):
    rdma = RdmaOptions(**options) if path is Path.VERBS else None
    return Stage(
        id=id, probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), iterations=2, path=path, rdma=rdma,
        check_iterations=1, window=4,
    )  # fmt: skip


MPI, VERBS = pairs("latency", Path.MPI), pairs("rdma-latency", Path.VERBS)


def plan(*stages):
    return Plan(profile="test", seed=1, stages=stages)


def opened(systems, stages=(MPI, VERBS), without=(), hosts=None):
    """Return what each rank learns of RDMA: one rank on each host, with these files."""
    size = len(systems)
    hosts = hosts or [f"h{rank + 1}" for rank in range(size)]
    ranks = tuple(
        Rank(rank=rank, host=hosts[rank], local_index=hosts[:rank].count(hosts[rank]), cpus=(), pid=rank)
        for rank in range(size)
    )
    world, fabric, results = LoopbackWorld(size), Fabric(), {}

    def opens(endpoint, _options):
        if endpoint.rank in without:
            raise UnavailableError("libibverbs cannot be opened", remedy="the package libibverbs1")
        return FakeDevice(fabric, endpoint.rank)

    def main(rank):
        control = LoopbackControl(world, rank)
        results[rank] = open_rdma(
            LoopbackTransport(world, rank), control, ranks, plan(*stages), systems[rank], opens
        )  # fmt: skip

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(size)]


@pytest.fixture
def able(tmp_path) -> System:
    return recorded_system(host_tree(tmp_path / "able", "mlx5_0", "mlx5_1"))


@pytest.fixture
def bare(tmp_path) -> System:
    return recorded_system(tmp_path / "bare")


def test_every_rank_knows_the_endpoint_of_every_other(able):
    told = opened([able] * 3)

    assert [each.endpoints for each in told] == [told[0].endpoints] * 3
    assert [(each.rank, each.name, each.gid_index) for each in told[0].endpoints] == [
        (0, "mlx5_0", 3), (1, "mlx5_0", 3), (2, "mlx5_0", 3),
    ]  # fmt: skip
    assert all(each.transport is not None and each.gaps == () for each in told)


def test_the_ranks_of_a_host_use_one_port_each(able):
    told = opened([able] * 4, hosts=["h1", "h1", "h2", "h2"])

    assert [each.name for each in told[0].endpoints] == ["mlx5_0", "mlx5_1"] * 2


def test_hosts_without_a_device_are_named_in_one_gap_and_the_others_can(able, bare):
    told = opened([able, bare, able, bare])[0]

    assert told.ranks == {0, 2}
    (gap,) = told.gaps
    assert gap.reason == "RDMA cannot be used on h[2,4]: there is no RDMA device"
    assert "netprobe doctor" in gap.remedy
    assert "try:" not in gap.reason


def test_each_reason_is_told_once_that_of_most_ranks_first(able, bare):
    told = opened([bare, able, bare, able, able], without=(3,))[0]

    assert [gap.reason for gap in told.gaps] == [
        "RDMA cannot be used on h[1,3]: there is no RDMA device",
        "RDMA cannot be used on h4: libibverbs cannot be opened",
    ]
    assert told.gaps[1].remedy == "the package libibverbs1"


def test_a_port_that_is_down_is_told_with_its_state(able, tmp_path):
    down = recorded_system(host_tree(tmp_path / "down", "mlx5_0", state="1: DOWN"))

    (gap,) = opened([able, down, able])[0].gaps

    assert gap.reason == "RDMA cannot be used on h2: no RDMA port is active: mlx5_0 is DOWN (physical LinkUp)"


def test_a_path_mtu_above_what_the_interface_takes_is_told_before_anything_is_measured(able):
    (gap,) = opened([able, able], [pairs("rdma", Path.VERBS, path_mtu_bytes=4096)])[0].gaps

    assert gap.reason.startswith("RDMA cannot be used on any host: a path MTU of 4096 does not fit mlx5_0")
    assert gap.remedy.startswith("--path-mtu 1024")


def test_excluded_devices_are_not_used(able):
    told = opened([recorded_system(able.root, excluded=("mlx5_0",))] * 2)[0]

    assert [each.name for each in told.endpoints] == ["mlx5_1", "mlx5_1"]


def test_a_plan_over_mpi_alone_opens_nothing(able):
    assert opened([able, able], [MPI]) == [NOT_ASKED] * 2


def test_a_plan_of_rdma_alone_is_refused_in_one_line_where_nobody_has_it(bare):
    nobody = opened([bare, bare], [VERBS])[0]

    with pytest.raises(UnavailableError, match=r"^RDMA cannot be used on any host: there is no RDMA device; try: .*$"):
        refuse_hopeless(plan(VERBS), nobody)
    refuse_hopeless(plan(MPI, VERBS), nobody)


def test_one_rank_with_a_device_is_one_too_few(able, bare):
    alone = opened([able, bare], [VERBS])[0]

    with pytest.raises(UnavailableError, match="on h2: there is no RDMA device"):
        refuse_hopeless(plan(VERBS), alone)
    with pytest.raises(UnavailableError, match="takes two ranks"):
        refuse_hopeless(plan(VERBS), opened([able], [VERBS])[0])
    assert feasible(plan(MPI, VERBS), alone) == plan(MPI)


class Records:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def of(self, kind):
        return [each for each in self.records if isinstance(each, kind)]


def measured(task, root, ranks=4, host_of=lambda rank: f"h{rank + 1}", without=(), fabric=None, sends=None):
    """Run a task on threads whose device is a fake; return the records."""
    sink, fabric = Records(), fabric or Fabric()

    def opens(endpoint, _options):
        if host_of(endpoint.rank) in without:
            raise UnavailableError("libibverbs cannot be opened")
        return FakeDevice(fabric, endpoint.rank, datagrams=(sends or {}).get(host_of(endpoint.rank)))

    run_on_threads(
        task, ranks, sink, host_of=host_of, calibration=COST, system=recorded_system(FilePath(root)), opens=opens
    )
    return sink


def stages_of(sink):
    return [each.outcome.stage for each in sink.of(StageFinished)]


def pairs_in(sink, stage):
    return {
        (series.src, series.dst) for each in sink.of(RoundFinished) if each.stage == stage for series in each.series
    }


def test_ranks_with_a_device_measure_with_each_other_and_the_rest_sits_it_out(tmp_path):
    sink = measured(Task(plan=plan(MPI, VERBS)), host_tree(tmp_path, "mlx5_0"), without=("h2",))

    (ready,) = sink.of(RanksReady)
    assert [each.rank for each in ready.endpoints] == [0, 2, 3]
    assert ["h2" in gap.reason for gap in ready.not_tested if gap.topic == "rdma"] == [True]
    assert {end for pair in pairs_in(sink, "rdma-latency") for end in pair} == {0, 2, 3}
    assert {end for pair in pairs_in(sink, "latency") for end in pair} == {0, 1, 2, 3}


def test_stages_that_nobody_can_measure_are_not_in_the_plan(tmp_path):
    sink = measured(Task(plan=plan(VERBS, MPI)), tmp_path, ranks=3)  # below four hosts nobody is measured again

    assert stages_of(sink) == ["latency"]
    (ready,) = sink.of(RanksReady)
    assert ready.plan == plan(MPI)
    assert [gap.reason for gap in ready.not_tested if gap.topic == "rdma"] == [
        "no RDMA device on any host: RDMA verbs not measured"
    ]


def test_a_later_launch_keeps_the_numbers_of_stages_and_ranks_though_devices_are_gone(tmp_path):
    roster = (("h1", (0,)), ("h2", (1,)), ("h3", (2,)))
    task = Task(plan=plan(VERBS, MPI), roster=roster, first_stage=1)

    sink = measured(task, tmp_path, ranks=2, host_of=lambda rank: ("h1", "h3")[rank])

    assert stages_of(sink) == ["latency"]
    assert sink.of(RanksReady)[0].plan == plan(VERBS, MPI)
    assert pairs_in(sink, "latency") == {(0, 2)} or pairs_in(sink, "latency") == {(2, 0)}


def test_a_later_launch_of_rdma_alone_ends_what_is_left_instead_of_refusing(tmp_path):
    roster = (("h1", (0,)), ("h2", (1,)), ("h3", (2,)))

    sink = measured(Task(plan=plan(VERBS), roster=roster), tmp_path, ranks=2, host_of=lambda rank: f"h{rank + 1}")

    assert stages_of(sink) == ["rdma-latency"]
    assert pairs_in(sink, "rdma-latency") == set()


def test_endpoints_carry_the_runs_numbers_in_a_later_launch(tmp_path):
    roster = (("h1", (0,)), ("h2", (1,)), ("h3", (2,)))
    task = Task(plan=plan(VERBS), roster=roster)

    sink = measured(task, host_tree(tmp_path, "mlx5_0"), ranks=2, host_of=lambda rank: ("h1", "h3")[rank])

    assert [each.rank for each in sink.of(RanksReady)[0].endpoints] == [0, 2]
    assert {end for pair in pairs_in(sink, "rdma-latency") for end in pair} == {0, 2}


REACH = Stage(
    id="rdma-reach", probe="reach", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(64, 4096), iterations=20, path=Path.VERBS,
    rdma=RdmaOptions(),
)  # fmt: skip


def datagrams_of(sink):
    windows = [window for each in sink.of(RoundFinished) for window in each.counters]
    return datagram_table(counters_frame_of(windows))


def test_datagrams_are_counted_with_the_counters_of_the_round_and_told_by_direction(tmp_path):
    loses = Sending(loses=lambda number, _: number % 4 == 0)

    sink = measured(Task(plan=plan(REACH)), host_tree(tmp_path, "mlx5_0"), sends={"h2": loses})

    told = datagrams_of(sink)
    lossy = set(told.src[told.arrived < told.sent].tolist())
    assert lossy == {1}
    assert set(told.size_bytes.tolist()) == {64, 4096}
    assert not told.source_stamps.any()


def test_datagrams_carry_the_runs_numbers_in_a_later_launch(tmp_path):
    roster = (("h1", (0,)), ("h2", (1,)), ("h3", (2,)))
    task = Task(plan=plan(REACH), roster=roster)

    sink = measured(task, host_tree(tmp_path, "mlx5_0"), ranks=2, host_of=lambda rank: ("h1", "h3")[rank])

    told = datagrams_of(sink)
    assert {(0, 2), (2, 0)} == set(zip(told.src.tolist(), told.dst.tolist(), strict=True))


def test_devices_are_closed_in_the_end(tmp_path):
    fabric = Fabric()

    measured(Task(plan=plan(VERBS)), host_tree(tmp_path, "mlx5_0"), without=("h2",), fabric=fabric)

    assert sorted(fabric.closed) == [0, 2, 3]
