"""From findings and gaps to one word.

INCONCLUSIVE outranks all but one: a fault that blocks and is certain stays a fault, however little else is known.
"""

from collections.abc import Iterable, Sequence

from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import HOST_NOISE
from netprobe.model.verdict import Verdict


def verdict_of(findings: Sequence[Finding], gaps: Iterable[Gap], evidence: Evidence, limits: Limits) -> Verdict:
    """Return the verdict on a run."""
    blocks = [finding for finding in findings if finding.severity is Severity.BLOCKS]
    if any(finding.confidence is Confidence.HIGH for finding in blocks):
        return Verdict.FAULTY
    if is_inconclusive(gaps, evidence, limits):
        return Verdict.INCONCLUSIVE
    if blocks:
        return Verdict.FAULTY
    return Verdict.DEGRADED if findings else Verdict.HEALTHY


def is_inconclusive(gaps: Iterable[Gap], evidence: Evidence, limits: Limits) -> bool:
    """Return whether the verdict that was asked for cannot be given."""
    ratio = evidence.coverage.ratio
    return (
        evidence.run_error is not None
        or ratio is None
        or ratio < limits.coverage_ratio
        or not was_measured(evidence)
        or any(gap.undermines for gap in gaps)
    )


def was_measured(evidence: Evidence) -> bool:
    """Return whether there is any result at all."""
    if evidence.pairs or evidence.has_collectives or evidence.failures or evidence.datagrams.stage:
        return True
    # Where nobody was to send, a rank by itself is a result; where somebody was, it says nothing of that.
    return bool(len(evidence.noise.rank)) and all(stage.probe == HOST_NOISE for stage in evidence.plan.stages)


def healthy_hosts(verdict: Verdict, findings: Iterable[Finding], evidence: Evidence) -> tuple[str, ...]:
    """Return the hosts that were measured, that nobody asks to leave out or did so, and that are no fault's victims.

    They are in order of their ranks.
    None without a verdict: a host that half a plan has cleared must not be taken for a healthy one.
    """
    if verdict is Verdict.INCONCLUSIVE:
        return ()
    told = tuple(findings)
    left_out = {host for finding in told for host in (*finding.hosts, *finding.victims)}
    left_out |= {each.host for each in evidence.benched}
    untested = set(evidence.coverage.untested_ranks)
    measured = dict.fromkeys(rank.host for rank in evidence.ranks if rank.rank not in untested)
    return tuple(host for host in measured if host not in left_out)
