"""Runs, records and series for the tests of the store, and hypothesis strategies that draw them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from netprobe.model.counters import CounterWindow
from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.finding import Gap
from netprobe.model.histogram import Histogram
from netprobe.model.inventory import Gid, HostInventory, NetDevice, QosSettings, RdmaPort
from netprobe.model.plan import Pairing, Plan, Scope, Stage
from netprobe.model.rdma import Breakdown, FailurePhase, PairFailure
from netprobe.model.record import RanksDone, RanksReady, RoundFinished, RoundStarted, StageFinished
from netprobe.model.run import Launch, StageOutcome
from netprobe.model.series import Fault, Metric, Phase, Series, SlowSample

STARTED = datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)
LAUNCH = Launch(method="local", argv=("mpiexec", "-n", "2"), mpi="")


def stage(id="latency-within-host", probe="latency"):
    return Stage(id=id, probe=probe, scope=Scope.WITHIN_HOST, sizes_bytes=(8, 1024), pairing=Pairing.SCREENING)


def plan(stages=("one", "two", "three")):
    return Plan(profile="quick", seed=7, stages=tuple(stage(id=name) for name in stages))


def ranks(count=2):
    return tuple(Rank(rank=i, host=f"node{i // 2}", local_index=i % 2, cpus=(i,), pid=1000 + i) for i in range(count))


def inventory(host="node0"):
    port = RdmaPort(
        device="mlx5_0", port=1, link_layer="Ethernet", state="ACTIVE", physical_state="LinkUp", rate_gbps=400.0,
        driver="mlx5_core", netdev="eth0", pci="0000:17:00.0", firmware="28.40.1000", board=None, model="MT4129",
        node_guid=None, gids=(Gid(index=3, address="::ffff:10.1.0.1", kind="RoCE v2", netdev="eth0"),),
    )  # fmt: skip
    qos = QosSettings(pfc_enabled=(False,) * 3 + (True,) + (False,) * 4, trust="dscp", dscp_to_priority=((26, 3),))
    net = NetDevice(
        name="eth0", state="up", mtu_bytes=9000, speed_gbps=400.0, driver="mlx5_core", pci="0000:17:00.0", qos=qos
    )
    return HostInventory(
        host=host, rdma_ports=(port,), net_devices=(net,), gaps=(Gap(topic="gpu", reason="no driver is loaded"),)
    )


def window(stage="one", round_index=None, **changes):
    fields = {"rank": 0, "elapsed_ns": 2_000_000_000, "grown": {"rdma/mlx5_0/1/out_of_sequence": 3}}
    return CounterWindow(stage=stage, round_index=round_index, **{**fields, **changes})


def series(stage="one", src=0, dst=1, **changes):
    fields = {
        "stage": stage,
        "probe": "latency",
        "metric": Metric.ROUND_TRIP,
        "phase": Phase.TIMED,
        "round_index": 0,
        "src": src,
        "dst": dst,
        "size_bytes": 8,
        "bytes_per_iteration": 8,
        "window": 1,
        "dtype": "uint8",
        "op": None,
        "root": None,
        "in_place": False,
        "iterations": 3,
        "total_ns": 3600,
        "min_ns": 1100,
        "max_ns": 1300,
        "histogram": Histogram(bins=(500, 510), counts=(2, 1)),
        "slowest": (SlowSample(iteration=2, elapsed_ns=1300),),
        "faults": (),
        "checked_iterations": 1,
    }
    return Series(**{**fields, **changes})


def fault(**changes):
    fields = {
        "rank": 1,
        "peer": 0,
        "probe": "latency",
        "size_bytes": 8,
        "iteration": 0,
        "first_offset_bytes": 4,
        "wrong_bytes": 1,
        "xor_mask": 1 << 63,
    }
    return Fault(**{**fields, **changes})


def ready(count=2, stages=("one", "two", "three")):
    return RanksReady(
        ranks=ranks(count),
        plan=plan(stages),
        mpi="MPICH 4.3",
        calibration=Calibration(clock_read_ns=25.0, empty_iteration_ns=31.5),
        environment=(("UCX_TLS", "tcp"),),
        not_tested=(Gap(topic="gpu", reason="no CUDA driver on any host"),),
    )


def round_started(stage="one"):
    return RoundStarted(stage=stage, stage_index=0, stages=3, round_index=0, rounds=2, expected_ns=50_000_000)


def measured(stage="one", rows=2, round_index=0, **changes):
    rows_of_round = tuple(series(stage, round_index=round_index + i) for i in range(rows))
    return RoundFinished(stage=stage, round_index=round_index, series=rows_of_round, **changes)


def finished(stage="one"):
    return StageFinished(outcome=StageOutcome(stage=stage, rounds=2, planned_pairs=((0, 1),), elapsed_ns=70_000_000))


def stage_records(stage="one", rows=2):
    return measured(stage, rows), finished(stage)


def done(error=None):
    clock = Clock(offset_ns=12, drift_ratio=1e-7, at_ns=5, error_bound_ns=210.0)
    return RanksDone(ranks=(0, 1), clocks=(clock, clock), error=error)


INT64 = st.integers(min_value=0, max_value=2**63 - 1)
RANK = st.integers(min_value=0, max_value=5000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def histograms(draw):
    bins = sorted(draw(st.sets(st.integers(min_value=0, max_value=8000), max_size=8)))
    counts = draw(st.lists(st.integers(min_value=1, max_value=10**9), min_size=len(bins), max_size=len(bins)))
    return Histogram(bins=tuple(bins), counts=tuple(counts))


FAULTS = st.builds(
    Fault,
    rank=RANK,
    peer=st.none() | RANK,
    probe=TEXT,
    size_bytes=INT64,
    iteration=INT64,
    first_offset_bytes=INT64,
    wrong_bytes=INT64,
    xor_mask=st.integers(min_value=0, max_value=2**64 - 1),
    bit_counts=st.lists(INT64, max_size=64).map(tuple),
)
SERIES = st.builds(
    Series,
    stage=TEXT,
    probe=TEXT,
    metric=st.sampled_from(Metric),
    phase=st.sampled_from(Phase),
    round_index=RANK,
    src=RANK,
    dst=st.none() | RANK,
    size_bytes=INT64,
    bytes_per_iteration=INT64,
    window=INT64,
    dtype=TEXT,
    op=st.none() | TEXT,
    root=st.none() | RANK,
    in_place=st.booleans(),
    iterations=INT64,
    total_ns=INT64,
    min_ns=INT64,
    max_ns=INT64,
    histogram=histograms(),
    slowest=st.one_of(
        *(
            st.lists(st.builds(SlowSample, iteration=INT64, elapsed_ns=INT64, at_ns=at), max_size=3).map(tuple)
            for at in (st.none(), INT64)
        )
    ),
    started_ns=st.none() | INT64,
    quarters_ns=st.lists(INT64, max_size=4).map(tuple),
    cpu=st.none() | RANK,
    faults=st.lists(FAULTS, max_size=2).map(tuple),
    checked_iterations=INT64,
)

FAILURES = st.builds(
    PairFailure,
    stage=st.just("one"),
    probe=TEXT,
    round_index=INT64,
    src=st.integers(0, 1),
    dst=st.integers(0, 1),
    size_bytes=st.none() | INT64,
    cause=st.builds(
        Breakdown,
        rank=st.integers(0, 1),
        phase=st.sampled_from(FailurePhase),
        call=TEXT,
        status=st.none() | TEXT,
        vendor_error=st.none() | INT64,
        error=st.none() | TEXT,
        after_messages=INT64,
        waited_ns=INT64,
    ),
)
