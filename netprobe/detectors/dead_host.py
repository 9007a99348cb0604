"""A host that is gone: it does not answer, or the process on it was ended."""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._benched import are_most_out, facts, failed, retest, where
from netprobe.detectors._words import listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.standing import Benched, Fate

ID = "dead-host"
_NEXT = {
    Fate.UNREACHABLE: "look at its console or BMC: power, kernel panic, its management link; leave it out until then",
    Fate.UNUSABLE: "make Python and netprobe start there as on the other hosts: file systems mounted, same paths",
    Fate.GONE: "look for what ended the process: `dmesg` on the host for the out-of-memory killer or a hardware error",
}


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name each host that was taken out because it, or its process, was gone."""
    if are_most_out(evidence):
        yield _most_out(evidence)
        return
    for benched in evidence.benched:
        if benched.fate in _NEXT:
            yield _finding(benched, evidence)
    if evidence.run_error is not None and not evidence.ranks and not evidence.benched:
        yield Gap(topic=ID, reason="no rank ever answered, so nobody was asked", remedy="netprobe doctor")


def _most_out(evidence: Evidence) -> Gap:
    out = [each for each in evidence.benched if each.host in failed(evidence)]
    first = out[0]
    names = listed(each.host for each in out)
    return Gap(
        topic=ID,
        reason=f"more than half of the hosts failed ({names}), so it is probably none of them; "
        f"the first, {first.host}: {first.fate}{where(first)}, {first.detail}",
        remedy="what all of them share: the launcher, keys for ssh, a file system, the network of this host",
        undermines=True,
    )


def _finding(benched: Benched, evidence: Evidence) -> Finding:
    excluded: tuple[str, ...] = ("the other hosts (they answered)",)
    if benched.fate is Fate.GONE:
        excluded = ("the host itself (it answers)", *excluded)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(benched.host,),
        hosts=(benched.host,),
        summary=f"{benched.fate}{where(benched)}: {benched.detail}",
        facts=facts(benched),
        excluded=excluded,
        next_action=_NEXT[benched.fate],
        retest=retest(benched, evidence),
    )


DETECTOR = Detector(
    id=ID,
    title="a host that is gone, or whose process is",
    cause="""Before the ranks start: the host is down, its management link or ssh is, or Python and netprobe are not
    where they are on the others (a file system that is not mounted). While they measure: the host crashed or lost
    power, or something ended the process, such as the out-of-memory killer.""",
    evidence="""Hosts are asked before the ranks start, over ssh or what the launcher uses for it, or by srun. When
    nothing has come from the ranks for a deadline, or the launcher says that a rank was ended by a signal, all hosts
    are asked again: one that gives no answer is unreachable, one that has lost its process is named with the signal
    where the launcher tells it. The run goes on without the host, and the rest of its plan is measured.""",
    remedy="""Leave the host out. `ipmitool chassis status` or the console for one that does not answer; `dmesg -T` and
    `journalctl -k` for one that has lost its process. Run `netprobe check --hosts HOST` before it takes jobs again.""",
    limits=(),
    detect=detect,
)
