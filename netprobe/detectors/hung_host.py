"""A host whose process is there and does not move, and a pair that does not move though both of its hosts answer."""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._benched import are_most_out, facts, retest, stuck_alone, where
from netprobe.detectors._words import on_hosts
from netprobe.locate.silence import silence_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.standing import Benched, Fate, StuckPair
from netprobe.units import format_duration

ID = "hung-host"
_NEXT = {
    Fate.STOPPED: "find who stopped it (SIGSTOP, a debugger, a frozen cgroup, a suspended job) and whether it goes on",
    Fate.BLOCKED: "read /proc/PID/stack there and the kernel log: a driver or a file system that does not come back",
    Fate.IDLE: "find what it waits for: a frozen cgroup, a debugger, /proc/PID/stack and wchan of its threads",
    Fate.STUCK: "take the process's stack with `gdb -p` or py-spy there, and read the kernel log of its NIC and GPU",
}


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that were taken out because they did not move, then pairs of which neither end can be named."""
    for benched in () if are_most_out(evidence) else evidence.benched:
        if benched.fate in _NEXT:
            yield _host_finding(benched, evidence)
    for pair in stuck_alone(evidence):
        if silence_of(evidence.paths, pair.hosts) is None:
            yield _pair_finding(pair)
    for gap in evidence.gaps:
        if gap.topic == "run":
            yield Gap(topic=ID, reason=gap.reason, remedy=gap.remedy, undermines=True)


def _host_finding(benched: Benched, evidence: Evidence) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM if benched.fate is Fate.STUCK else Confidence.HIGH,
        subjects=(benched.host,),
        hosts=(benched.host,),
        summary=f"{benched.fate}{where(benched)}: {benched.detail}",
        facts=facts(benched),
        excluded=("the host's network (it answers)", "its partners (they wait for it)"),
        next_action=_NEXT[benched.fate],
        retest=retest(benched, evidence),
    )


def _pair_finding(pair: StuckPair) -> Finding:
    first, second = pair.hosts
    place = "" if pair.stage is None else f" in {pair.stage}, round {(pair.round_index or 0) + 1}"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM,
        subjects=(f"{first} <-> {second}",),
        hosts=(),
        summary=f"neither end moved for {format_duration(pair.waited_ns)}{place}, though both hosts answer",
        excluded=("the hosts (they answer, and one partner's word is not enough)", "the path (packets pass)"),
        next_action="measure the pair alone with -v, and look for a connection that the library never re-established",
        retest=on_hosts("netprobe run latency", (first, second)),
    )


DETECTOR = Detector(
    id=ID,
    title="a host whose process is there and does not move",
    cause="""A process that was stopped (SIGSTOP, a debugger, a frozen cgroup, a suspended job), one that waits in the
    kernel for a driver or a file system that does not come back, or one that sits in a call that never returns: a
    NIC whose command interface hangs, a GPU that fell off its bus, a library that lost a connection.""",
    evidence="""Nothing came from the ranks for a deadline. Every host was then asked, past MPI, for the state of its
    processes and for where each noted itself last, twice, a second apart: stopped or blocked both times names the
    host, and so does taking no CPU time while the others turn in their calls; sitting elsewhere while its partner
    measures with it names it too, with less confidence. When both ends of
    a pair measure and neither moves, the pair is named and no host, and the run goes on without that pair.""",
    remedy="""Leave the host out, and look at the process before it is gone: `ps -o pid,stat,wchan,cmd`,
    /proc/PID/stack, `py-spy dump`, and the kernel log around that minute.""",
    limits=(),
    detect=detect,
)
