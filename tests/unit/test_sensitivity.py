"""What a plan can tell is said before it starts, what was measured can tell after: partners, false blame, loss."""

from dataclasses import replace

import pytest
from judge_samples import run_of, series
from store_samples import ready

from netprobe.cli.foretelling import foretold
from netprobe.cli.meeting import MeetingSink
from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.judge.sensitivity import measured_sensitivity
from netprobe.model.endpoint import Interface, Rank
from netprobe.model.limits import Limits
from netprobe.model.plan import Pairing, Path, Plan, Scope, Stage
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.model.sensitivity import Sensitivity
from netprobe.plan.budget import fitted
from netprobe.plan.profiles import plan_for
from netprobe.plan.rounds import Drawing
from netprobe.plan.sensitivity import planned_sensitivity
from netprobe.registry import probes
from netprobe.reporters._wording import left_out, measured_of, sensitive_to
from netprobe.units import NS_PER_S

STREAM = Stage(
    id="bandwidth-between-hosts", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8, 1 << 20),
    series_budget_ns=100_000_000,
)  # fmt: skip
RDMA = replace(STREAM, id="rdma-bandwidth-between-hosts", path=Path.VERBS, rdma=RdmaOptions())


def plan_of(*stages, **settings):
    return Plan(profile="test", seed=3, stages=stages, **settings)


def ranks_of(hosts, each=1):
    return tuple(
        Rank(rank=host * each + place, host=f"n{host}", local_index=place, cpus=(), pid=1)
        for host in range(hosts)
        for place in range(each)
    )


def endpoint(rank, rate_gbps):
    return RdmaEndpoint(
        rank=rank, device="mlx5_0", port=1, link_layer="Ethernet", gid_index=3, gid="::", gid_kind="RoCE v2",
        netdev="eth1", rate_gbps=rate_gbps,
    )  # fmt: skip


def test_a_plan_tells_its_partners_and_pairs_of_hosts():
    told = planned_sensitivity(plan_of(STREAM), ranks_of(64, each=2))

    assert (told.hosts, told.partners, told.host_pairs, told.host_pairs_of_all) == (64, 3, 96, 2016)
    assert told.false_blame == pytest.approx((1 / 63) ** 3)
    assert told.packets is None


def test_all_pairs_are_all_of_them():
    told = planned_sensitivity(plan_of(STREAM, replace(RDMA, pairing=Pairing.ALL_PAIRS)), ranks_of(9))

    assert (told.partners, told.host_pairs) == (8, 36)


def test_with_an_odd_number_of_hosts_the_host_with_the_fewest_partners_counts():
    assert planned_sensitivity(plan_of(STREAM), ranks_of(9)).partners == 2


@pytest.mark.parametrize("plan", [plan_of(), plan_of(replace(STREAM, scope=Scope.WITHIN_HOST))])
def test_where_no_hosts_meet_there_is_nothing_to_tell(plan):
    assert planned_sensitivity(plan, ranks_of(4)) is None
    assert planned_sensitivity(plan_of(STREAM), ranks_of(1, each=2)) is None


def test_packets_are_those_of_the_slowest_nic_at_line_rate_in_the_time_that_it_sends():
    told = planned_sensitivity(plan_of(RDMA), ranks_of(4), [endpoint(0, 400.0), endpoint(1, 100.0), endpoint(2, None)])

    assert told.packets == int(3 * 100e6 * 100.0 / 8 / 4096)
    assert told.loss_ratio == pytest.approx(3 / told.packets)
    assert planned_sensitivity(plan_of(STREAM), ranks_of(4), [endpoint(0, 400.0)]).packets is None


def test_loads_make_nobody_a_partner_of_anybody():
    loads = Stage(id="l", probe="incast", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), matchings=STREAM.matchings)

    assert planned_sensitivity(plan_of(STREAM, loads), ranks_of(8)) == planned_sensitivity(plan_of(STREAM), ranks_of(8))
    assert planned_sensitivity(plan_of(loads), ranks_of(8)) is None


def test_what_a_budget_has_dropped_is_told():
    drawing = Drawing(ranks_of(64), 3)
    plan = fitted(
        replace(plan_for("nightly", budget_ns=9 * NS_PER_S), seed=3),
        lambda stage: drawing.count(stage, probes()[stage.probe]),
    )

    told = planned_sensitivity(plan, ranks_of(64))

    assert told.partners < 5
    assert plan.dropped[0] == "series of 50 ms cut to 2 ms"
    assert plan.dropped[1].startswith("series of 500 ms cut to ")
    assert plan.dropped[2:] == (
        "bursts of 15.0 s cut to 3.00 s",
        "5 partners each cut to 4",
        "52 rounds under load cut to 36",
    )
    (line,) = foretold(replace(ready(4), ranks=ranks_of(64), plan=plan))
    assert line.endswith(", ".join(plan.dropped))


def test_it_is_said_in_a_line_before_anything_is_measured_and_once(capsys):
    class Kept(list):
        def emit(self, record):
            self.append(record)

    kept = Kept()
    sink = MeetingSink(kept, foretold)
    met = replace(ready(4), ranks=ranks_of(4), plan=plan_of(STREAM, budget_ns=60 * NS_PER_S))

    sink.emit(met)
    sink.emit(met)

    assert kept == [met, met]
    line = capsys.readouterr().err
    assert line.startswith("netprobe: plan of about ")
    assert "3 partners a host, 6 of 6 pairs of hosts" in line
    assert "with probability 0.04 at most, with 1 bad host" in line
    assert line.endswith("nothing dropped to fit the budget\n")
    assert line.count("\n") == 1


def test_on_one_host_without_a_budget_nothing_is_said():
    met = replace(ready(2), ranks=ranks_of(1, each=2), plan=plan_of(STREAM))

    assert list(foretold(met)) == []
    with_budget = replace(met, plan=replace(met.plan, budget_ns=NS_PER_S, dropped=("series of 2 s cut to 1 s",)))
    (line,) = foretold(with_budget)
    assert line.endswith("dropped to fit the budget: series of 2 s cut to 1 s")


def measured(hosts=4, interfaces=(), path=Path.MPI, **traits):
    stage = RDMA if path is Path.VERBS else STREAM
    rows = [
        series(src, dst, [300_000] * (100 if src else 50), stage=stage.id, **traits)
        for src, dst in ((0, 1), (1, 0), (2, 3), (3, 2))
    ]
    run = run_of(rows, hosts=tuple(f"n{host}" for host in range(hosts)), stages=(stage.id,), plan=plan_of(stage))
    ranks = tuple(replace(rank, interfaces=interfaces) for rank in run.header.ranks)
    return replace(run, header=replace(run.header, ranks=ranks))


def interface(mtu_bytes):
    return Interface(name="eth1", address="10.1.0.1", network="10.1.0.0/24", mtu_bytes=mtu_bytes)


def test_a_report_tells_what_was_measured_and_not_what_was_planned():
    told = judge(measured(interfaces=(interface(9000), interface(1500))), Limits()).sensitivity
    row = series(0, 1, [1] * 50)

    assert (told.hosts, told.partners, told.host_pairs) == (4, 1, 2)
    assert told.packets == 50 * row.bytes_per_iteration // 9000


def test_over_mpi_packets_without_a_known_size_are_not_counted_and_over_verbs_they_are():
    assert measured_sensitivity(evidence_of(measured())).packets is None
    assert measured_sensitivity(evidence_of(measured(path=Path.VERBS))).packets > 0


def test_a_host_that_met_nobody_has_no_partner_and_sent_nothing():
    told = measured_sensitivity(evidence_of(measured(hosts=5, interfaces=(interface(1500),))))

    assert (told.partners, told.false_blame, told.packets) == (0, 1.0, None)


def test_one_host_alone_has_nothing_to_tell_between_hosts():
    run = run_of([series(0, 1, [300_000] * 9, stage="s")], hosts=("n0", "n0"), stages=("s",))

    assert judge(run, Limits()).sensitivity is None


def test_readers_see_partners_loss_and_what_was_dropped():
    report = judge(measured(interfaces=(interface(1500),)), Limits())
    told = replace(report.sensitivity, packets=3_000_000, false_blame=0.000016)

    shown = measured_of(replace(report, sensitivity=told, dropped=("a", "b")))

    assert shown[-4:] == (*sensitive_to(told, "a host's"), *left_out(("a", "b")))
    assert shown[-4:] == (
        "1 partner a host, 2 of 6 pairs of hosts",
        "of a good host all partners are bad with probability 2e-05 at most, with 1 bad host",
        "loss of 1.0e-06 of a host's packets or more would show (95 %)",
        "dropped to fit the budget: a, b",
    )


def test_what_is_not_known_is_not_said():
    bare = Sensitivity(hosts=2, partners=1, host_pairs=1, bad_hosts=1, false_blame=1.0)

    assert sensitive_to(bare, "a host's") == ("1 partner a host, 1 of 1 pair of hosts",)
