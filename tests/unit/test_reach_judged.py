"""From datagrams between threads to a verdict: measured, written, read and judged."""

from datetime import UTC, datetime

import pytest
from fake_verbs import Fabric, FakeDevice, Sending
from host_trees import write

from netprobe.contracts import RenderOptions
from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.endpoint import Calibration
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.rdma import RdmaOptions
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Task
from netprobe.reporters.console import REPORTER
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.system.here import recorded_system
from netprobe.transports._verbs_engine import NicClock

NS_CLOCK = NicClock(mask=(1 << 48) - 1, khz=1_000_000)
PORT = "sys/class/infiniband/mlx5_0/ports/1"
STAGE = Stage(
    id="rdma-reach-between-hosts", probe="reach", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(64, 4096), iterations=100,
    path=Path.VERBS, rdma=RdmaOptions(),
)  # fmt: skip


@pytest.fixture
def measured(tmp_path):
    """Return a function that measures four hosts, whose devices send as it is told, and reads the run."""
    write(tmp_path / "host", {
        f"{PORT}/link_layer": "Ethernet",
        f"{PORT}/state": "4: ACTIVE",
        f"{PORT}/phys_state": "5: LinkUp",
        f"{PORT}/rate": "400 Gb/sec (4X NDR)",
        f"{PORT}/gids/3": "0000:0000:0000:0000:0000:ffff:0a01:0001",
        f"{PORT}/gid_attrs/types/3": "RoCE v2",
        f"{PORT}/gid_attrs/ndevs/3": "eth0",
        "sys/class/net/eth0/mtu": "9000",
    })  # fmt: skip

    def run(**sends):
        plan = Plan(profile="test", seed=3, stages=(STAGE,), transport="loopback")
        launch = Launch(method="loopback", argv=(), mpi="")
        writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
        fabric = Fabric()
        run_on_threads(
            Task(plan=plan), 4, writer, host_of=lambda rank: f"h{rank + 1}",
            calibration=Calibration(clock_read_ns=1.0, empty_iteration_ns=1.0),
            system=recorded_system(tmp_path / "host"),
            opens=lambda endpoint, _: FakeDevice(
                fabric, endpoint.rank, datagrams=sends.get(f"h{endpoint.rank + 1}") or sends.get("every")
            ),
        )  # fmt: skip
        writer.close(RunStatus.COMPLETE, None)
        return read_run(writer.directory)

    return run


def told(report):
    """Return the findings but one: all hosts share one tree of files, and with it an address."""
    return [(each.detector, each.subjects, each.summary) for each in report.findings if each.detector != "gid-mismatch"]


def test_hosts_whose_datagrams_all_arrive_are_healthy(measured):
    report = judge(measured(), Limits())

    assert told(report) == []
    assert (report.coverage.pairs_measured, report.coverage.pairs_planned) == (6, 6)


def test_a_host_that_loses_what_it_sends_is_named(measured):
    report = judge(measured(h2=Sending(loses=lambda number, _: number % 10 == 3)), Limits())

    ((detector, subjects, summary),) = told(report)
    assert (detector, subjects) == ("packet-loss", ("h2",))
    assert "what it sends (tx)" in summary


def test_a_host_whose_large_datagrams_vanish_was_measured_all_the_same(measured):
    report = judge(measured(h2=Sending(loses=lambda _, size: size > 1000)), Limits())

    ((detector, subjects, summary),) = told(report)
    assert (detector, subjects) == ("rdma-failure", ("h2",))
    assert "the MTU on the way" in summary
    assert report.coverage.pairs_measured == report.coverage.pairs_planned


def test_nics_without_datagrams_are_told_once_and_leave_a_verdict_to_the_rest(measured):
    missing = Sending(missing="mlx5_0 makes no queue pairs for datagrams (UD)")

    report = judge(measured(h2=missing), Limits())

    assert [gap.topic for gap in report.gaps].count("reach") == 1
    assert (report.coverage.pairs_measured, report.coverage.pairs_planned) == (3, 3)
    assert told(report) == []


def test_time_on_the_wire_is_told_where_all_nics_stamp(measured):
    report = judge(measured(every=Sending(clock=NS_CLOCK)), Limits())

    typical = {each.probe: each.typical_ns for each in report.pairs if each.size_bytes == 64}
    assert typical == {"reach": 500, "reach-wire": 200, "reach-responding": 40, "reach-probing": 760}
    assert not any("wire" in gap.reason for gap in report.gaps)
    assert "datagrams, between the NICs, there and back" in REPORTER.render(report, RenderOptions(verbose=True))


def test_parts_of_round_trips_are_not_held_against_hosts(measured):
    evidence = evidence_of(measured(every=Sending(clock=NS_CLOCK)))

    assert {table.probe for table in evidence.pairs} == {"reach"}
    assert {table.probe for table in evidence.spans} == {"reach-wire", "reach-responding", "reach-probing"}
