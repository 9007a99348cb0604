"""From a run to a report: evidence, all detectors, causes with their symptoms, verdict, figures.

Pure: the same run, limits and expectations give the same report.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain

from netprobe.judge.explain import explained
from netprobe.judge.groups import grouped, host_leaves, leaves
from netprobe.judge.layers import layer_summaries
from netprobe.judge.nccl import nccl_summaries
from netprobe.judge.order import merged, worst_first
from netprobe.judge.sensitivity import measured_sensitivity
from netprobe.judge.step_summary import step_summary
from netprobe.judge.summary import endpoint_summary, gpu_summaries, group_summary, noise_summary, pair_summary
from netprobe.judge.under_load import under_load
from netprobe.judge.verdict import healthy_hosts, verdict_of
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.expectation import Expectation
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits
from netprobe.model.report import REPORT_FORMAT, Report
from netprobe.model.run import RunHeader
from netprobe.plan.second_pass import SECOND_PASS
from netprobe.registry import detectors
from netprobe.store.reader import Run
from netprobe.units import NS_PER_S


def judge(run: Run, limits: Limits, expectations: tuple[Expectation, ...] = ()) -> Report:
    """Return the report on a run under these limits, held against a table of expectations; by default there is none."""
    return judge_evidence(run.header, held_against(run, expectations), limits)


def held_against(run: Run, expectations: tuple[Expectation, ...]) -> Evidence:
    """Return the evidence of a run, with what it is to be held against."""
    from netprobe.judge.evidence import evidence_of  # loads polars, which ranks that merely could judge never need

    return replace(evidence_of(run), expectations=expectations)


def judge_evidence(header: RunHeader, evidence: Evidence, limits: Limits) -> Report:
    """Return the report on what a run left behind, for whoever has the evidence already."""
    answers = list(_answers(evidence, limits))
    findings = settled((each for each in answers if isinstance(each, Finding)), evidence)
    gaps = tuple(merged([*_run_gaps(evidence), *(each for each in answers if isinstance(each, Gap))]))
    return _report(header, evidence, findings, gaps, limits)


def _answers(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Yield what detectors say; settings that nobody could read take nothing from what was measured."""
    for detector in detectors().values():
        for answer in detector.detect(evidence, limits):
            yield replace(answer, undermines=False) if detector.audits and isinstance(answer, Gap) else answer


def settled(findings: Iterable[Finding], evidence: Evidence) -> tuple[Finding, ...]:
    """Return the findings that stand, worst first: ports of a switch together, symptoms with their cause."""
    of_ports = grouped(sorted(findings, key=worst_first), leaves(evidence))
    of_switches = grouped(of_ports, host_leaves(evidence))  # counters of TCP are of hosts
    return tuple(sorted(explained(of_switches, placement_of(evidence.ranks).hosts), key=worst_first))


def _report(
    header: RunHeader, evidence: Evidence, findings: tuple[Finding, ...], gaps: tuple[Gap, ...], limits: Limits
) -> Report:
    verdict = verdict_of(findings, gaps, evidence, limits)
    placement = placement_of(header.ranks)
    return Report(
        format=REPORT_FORMAT,
        run_id=header.id,
        netprobe=header.netprobe,
        started=header.started,
        elapsed_ns=_elapsed_ns(header),
        verdict=verdict,
        exit_code=verdict.exit_code,
        profile=header.plan.profile,
        transport=header.plan.transport,
        launch=header.launch,
        run_status=header.status,
        hosts=placement.hosts,
        ranks=len(header.ranks),
        rank_hosts=tuple(rank.host for rank in header.ranks),
        rank_pids=tuple(rank.pid for rank in header.ranks),
        findings=findings,
        gaps=gaps,
        not_tested=header.not_tested,
        coverage=evidence.coverage,
        healthy_hosts=healthy_hosts(verdict, findings, evidence),
        pairs=tuple(pair_summary(table, placement) for table in (*evidence.pairs, *evidence.spans)),
        groups=tuple(group_summary(result) for result in evidence.groups),
        calibration=header.calibration,
        clock_error_bound_ns=max((clock.error_bound_ns for clock in header.clocks if clock is not None), default=None),
        endpoints=tuple(endpoint_summary(each, evidence) for each in evidence.endpoints),
        gpus=gpu_summaries(evidence, limits),
        nccl=nccl_summaries(evidence.nccl, header.environment),
        layers=layer_summaries(evidence.pairs),
        steps=tuple(step_summary(table, placement) for table in evidence.steps),
        sensitivity=measured_sensitivity(evidence),
        dropped=header.plan.dropped,
        noise=noise_summary(evidence.noise),
        under_load=under_load(evidence, placement),
    )


def _run_gaps(evidence: Evidence) -> Iterator[Gap]:
    if evidence.run_error is not None:
        yield Gap(
            topic="run",
            reason=f"measuring ended early: {evidence.run_error}; what was measured until then is judged",
            remedy="the same command again",
            undermines=True,
        )
    yield from evidence.gaps
    if _may_share_a_leaf(evidence):
        yield Gap(
            topic="second pass",
            reason="leaf switches are unknown, so both new partners of a suspect may be on its own leaf",
            remedy="--topology FILE, such as Slurm's topology.conf",
        )


def _may_share_a_leaf(evidence: Evidence) -> bool:
    """Return whether a host met several partners in a second pass, and the leaf of one of them is unknown."""
    rounds = [each for stage in evidence.plan.stages if stage.id.startswith(SECOND_PASS) for each in stage.rounds]
    rank_of = {rank.rank: rank for rank in evidence.ranks}
    leaves_met: dict[str, dict[str, str | None]] = {}
    for src, dst in chain.from_iterable(rounds):
        if src in rank_of and dst in rank_of:  # a header written by hand may promise anything
            one, other = rank_of[src], rank_of[dst]
            leaves_met.setdefault(one.host, {})[other.host] = other.leaf
            leaves_met.setdefault(other.host, {})[one.host] = one.leaf
    return any(len(leaf_of) > 1 and None in leaf_of.values() for leaf_of in leaves_met.values())


def _elapsed_ns(header: RunHeader) -> int | None:
    """Return how long the run took; None when it never ended, or its times cannot be read."""
    if header.finished is None:
        return None
    try:
        elapsed = datetime.fromisoformat(header.finished) - datetime.fromisoformat(header.started)
    except (ValueError, TypeError):
        return None  # written by hand, or with and without a zone: no reason to refuse the figures
    return max(round(elapsed.total_seconds() * NS_PER_S), 0)
