"""What a second pass changes in a verdict: it confirms, or it clears."""

from dataclasses import replace

import numpy as np
import pytest
from judge_samples import run_of, series

from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.locate.passes import SECOND_PASS_ROUND
from netprobe.model.endpoint import Rank
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.rdma import Operation, RdmaOptions
from netprobe.model.verdict import Verdict
from netprobe.plan.flows import PORTS, flow_stages
from netprobe.plan.pairing import Pairing, both_ways, rounds_between
from netprobe.plan.second_pass import second_pass

HOSTS = tuple(f"n{host}" for host in range(8))
FIRST, SECOND = "bandwidth-between-hosts", "second-pass-bandwidth"
RANKS = tuple(Rank(rank=rank, host=host, local_index=0, cpus=(0,), pid=1) for rank, host in enumerate(HOSTS))
PLAN = Plan(
    profile="test",
    seed=3,
    stages=(Stage(id=FIRST, probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(1 << 20,), window=16),),
)
ROUNDS = [each.pairs for each in both_ways(rounds_between([[rank] for rank in range(8)], Pairing.SCREENING, 3, 3))]


def measured(stage, rounds, times):
    """Return series that take so many times as long as normal."""
    return [
        series(src, dst, [round(300_000 * times(src, dst, index))] * 200, stage=stage, round_index=index)
        for index, pairs in enumerate(rounds)
        for src, dst in pairs
    ]


def twice(first_times, second_times):
    """Return the run of a plan and of the second pass that follows from it."""
    rows = measured(FIRST, ROUNDS, first_times)
    (stage,) = second_pass(PLAN, RANKS, rows)
    again = measured(stage.id, stage.rounds, second_times)
    plan = replace(PLAN, stages=(*PLAN.stages, stage))
    return run_of([*rows, *again], hosts=HOSTS, stages=(FIRST, stage.id), plan=plan)


def normal(_src, _dst, _round):
    return 1.0


def slow_3(src, _dst, _round):
    return 2.0 if src == 3 else 1.0


def stalled_in_one_round(src, dst, round_index):
    return 2.0 if round_index == 2 and 3 in (src, dst) else 1.0


def always_slow_on_that_path(src, dst, _round):
    return 2.0 if (src, dst) in ROUNDS[2] and 3 in (src, dst) else 1.0


def test_rows_of_both_passes_share_a_table_and_their_rounds_differ():
    (table,) = evidence_of(twice(slow_3, slow_3)).pairs

    assert table.stage == FIRST
    assert sorted({*table.round_index.tolist()}) == [*range(6), *range(SECOND_PASS_ROUND, SECOND_PASS_ROUND + 4)]
    assert len(set(zip(table.src.tolist(), table.dst.tolist(), strict=True))) == len(table.src)
    assert np.median(table.p50_ns[table.src == 3]) == pytest.approx(600_000, rel=0.01)


def test_a_second_pass_is_covered_like_any_other_stage():
    run = twice(slow_3, slow_3)
    half = run_of(
        measured(FIRST, ROUNDS, slow_3),
        hosts=HOSTS,
        stages=(FIRST, SECOND),
        planned={FIRST: run.header.outcomes[0].planned_pairs, SECOND: run.header.outcomes[1].planned_pairs},
    )

    assert evidence_of(run).coverage.ratio == 1.0
    assert evidence_of(run).coverage.stages_planned == (FIRST, SECOND)
    assert evidence_of(half).coverage.ratio < 1.0


def test_a_stage_that_follows_nothing_stays_its_own():
    rows = measured(SECOND, ROUNDS[:2], normal)

    (table,) = evidence_of(run_of(rows, hosts=HOSTS, stages=(SECOND,))).pairs

    assert table.stage == SECOND


def test_a_host_that_is_slow_again_is_confirmed():
    report = judge(twice(slow_3, slow_3), Limits())

    (finding,) = report.findings
    assert (finding.detector, finding.hosts) == ("slow-link", ("n3",))
    assert any("confirmed in a second pass with" in each for each in finding.excluded)


def test_a_host_that_is_normal_again_is_cleared_and_called_unsteady():
    report = judge(twice(slow_3, normal), Limits())

    assert report.findings == ()
    assert report.verdict is Verdict.HEALTHY
    assert any(gap.reason.startswith("n3 was slow for a while") for gap in report.gaps)


def test_a_host_that_stalled_in_one_round_is_not_blamed_and_neither_is_the_path():
    report = judge(twice(stalled_in_one_round, normal), Limits())

    assert report.findings == ()
    assert any("was slow once" in gap.reason for gap in report.gaps)


def leaf_gaps(report):
    return [gap for gap in report.gaps if gap.topic == "second pass"]


def test_without_leaves_new_partners_may_share_one_and_that_is_said():
    (gap,) = leaf_gaps(judge(twice(slow_3, slow_3), Limits()))

    assert "--topology" in gap.remedy
    assert not gap.undermines


def test_where_leaves_are_known_nothing_is_said_of_them():
    run = twice(slow_3, slow_3)
    on_leaves = tuple(replace(rank, leaf=f"leaf{rank.rank % 2}") for rank in run.header.ranks)

    assert leaf_gaps(judge(replace(run, header=replace(run.header, ranks=on_leaves)), Limits())) == []


def test_without_new_partners_nothing_is_said_of_leaves():
    only_first = run_of(measured(FIRST, ROUNDS, normal), hosts=HOSTS, stages=(FIRST,))

    assert leaf_gaps(judge(only_first, Limits())) == []
    assert leaf_gaps(judge(twice(stalled_in_one_round, always_slow_on_that_path), Limits())) == []


def test_a_path_that_is_slow_again_is_confirmed():
    report = judge(twice(stalled_in_one_round, always_slow_on_that_path), Limits())

    (finding,) = report.findings
    assert (finding.detector, finding.hosts) == ("asymmetry", ())
    assert "a passing disturbance (confirmed in a second pass)" in finding.excluded


def test_stages_of_several_ports_are_a_table_of_their_own_and_are_covered_like_any_other():
    first = replace(PLAN.stages[0], id="rdma-bandwidth", path=Path.VERBS, rdma=RdmaOptions(operation=Operation.WRITE))
    stages = flow_stages(first, (((0, 1),), ((1, 0),)))
    rows = measured(first.id, ROUNDS, normal)
    for stage in stages:
        slow = stage.rdma.source_port == PORTS[1]
        rows += measured(stage.id, stage.rounds, lambda src, _dst, _round, slow=slow: 2.0 if slow and src == 0 else 1.0)
    plan = replace(PLAN, stages=(first, *stages))

    run = run_of(rows, hosts=HOSTS, stages=tuple(stage.id for stage in plan.stages), plan=plan)
    evidence = evidence_of(run)

    assert [table.stage for table in evidence.pairs] == [first.id]
    assert len(evidence.flows.src) == len(PORTS) * 4
    assert set(evidence.flows.source_port.tolist()) == set(PORTS)
    assert evidence.coverage.ratio == 1.0
    report = judge(run, Limits())
    assert [(each.detector, each.subjects) for each in report.findings] == [("slow-pair", ("n0 <-> n1",))]
    assert report.verdict is Verdict.DEGRADED
