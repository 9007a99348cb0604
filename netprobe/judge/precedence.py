"""Which of two findings stands where both see one fault: the table of conflicts, and how it is applied.

The loser is not lost: it is told with the winner. What only warns never beats what is worse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.detectors._words import tells_of_gpu
from netprobe.judge.naming import SPINES, Mark, Named, marks_of, sought_of, switch_marks
from netprobe.model.finding import Finding, Severity
from netprobe.model.meaning import Meaning
from netprobe.model.rdma import FailurePhase


class On(StrEnum):
    """What the two findings must have in common."""

    PORT = "the same port"
    LINK = "the same link"
    """The loser names the winner's port, its host as a whole, or a path that ends there."""
    SWITCHES = "the same leaves"
    """The loser names ways between leaves, of which the winner names one, or a leaf at an end of each."""
    UPLINKS = "the same uplinks"
    """The loser names a leaf, and the winner a way between it and the spines."""
    LEAF = "the same leaf"
    """The loser names a leaf, and the winner as well, or a way that ends there."""
    RUN = "the same run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One detector's findings stand before another's."""

    winner: str
    loser: str
    on: On
    why: str
    about: tuple[Meaning, ...] | None = None
    """The counters that the loser may tell of, by its facts, and no others; None: whatever it tells, (): of none that
    is known."""
    phases: tuple[FailurePhase, ...] | None = None
    """How far some pair had come whose failure on RDMA one of the two tells, by its facts; None: however far."""
    blameless: bool = False
    """Whether the loser may be beaten only where it blames no host."""
    limit: str | None = None
    """The limit against which some fact of the loser has to be held; None: any, or none."""
    of_gpus: bool = False
    """Whether all that the loser tells has to be of GPU memory."""
    because: str = ""
    """What the winner's summary has to say."""
    part: bool = False
    """Whether the loser may be beaten only where it names a part of the fabric, and not the whole."""


FABRIC: Final = "fabric"
GAVE_UP: Final = (Meaning.RETRIES_EXCEEDED, Meaning.RNR_RETRIES_EXCEEDED, Meaning.COMPLETION_ERROR)
OPTIC: Final = (Meaning.MODULE_FAULT, Meaning.MODULE_HOT, Meaning.BUFFER_OVERRUN)
BUS: Final = (Meaning.PCIE_OVERFLOW, Meaning.PCIE_ERROR)
EXPLAINS: Final = (
    *(
        (winner, On.RUN, GAVE_UP, "who lost too much to go on, or had no answer, gives up")
        for winner in (
            "dead-host",
            "hung-host",
            "link-flap",
            "physical-errors",
            "packet-loss",
            "pfc-missing",
            "rdma-failure",
        )
    ),
    ("rnr-stall", On.RUN, GAVE_UP, "who waits for a buffer for too long gives up"),
    ("mtu", On.RUN, (Meaning.LENGTH_ERROR,), "the MTUs are why sizes do not fit"),
    ("mtu-mismatch", On.RUN, (Meaning.LENGTH_ERROR,), "the MTUs are why sizes do not fit"),
    ("link-flap", On.PORT, (*OPTIC, Meaning.SEND_DISCARD), "the link as a whole is told of"),
    ("physical-errors", On.PORT, OPTIC, "the link as a whole is told of"),
    ("packet-loss", On.PORT, (*BUS, Meaning.SEND_DISCARD), "drops at the port are why packets are missing"),
    ("pause-storm", On.PORT, (Meaning.SEND_DISCARD,), "what may not be sent is dropped in the end"),
    ("pause-source", On.PORT, BUS, "the bus is why it stops others"),
    ("pcie-downgrade", On.PORT, BUS, "the link of the bus is told of"),
    ("headroom", On.PORT, (Meaning.SEND_DISCARD,), "what has no room is dropped"),
    ("pfc-missing", On.PORT, (Meaning.UNKNOWN_CONTROL_FRAME, Meaning.SEND_DISCARD), "flow control is told of"),
    ("pfc-wrong-priority", On.PORT, (Meaning.UNKNOWN_CONTROL_FRAME,), "flow control is told of"),
)
"""Which faults explain counters that no detector of its own reads: (winner, on, about, why)."""

NEVER_WORKED: Final = (FailurePhase.SET_UP, FailurePhase.FIRST_MESSAGE)
BROKE: Final = (FailurePhase.LATER,)
FAILURES: Final = (
    *(
        Rule(winner=winner, loser="rdma-failure", on=On.LINK, why="who is gone cannot go on")
        for winner in ("dead-host", "hung-host")
    ),
    Rule(winner="link-flap", loser="rdma-failure", on=On.LINK, why="connections end with the link"),
    Rule(winner="physical-errors", loser="rdma-failure", on=On.LINK, why="so much is damaged", phases=BROKE),
    Rule(winner="packet-loss", loser="rdma-failure", on=On.LINK, why="retries are lost as well", phases=BROKE),
    Rule(winner="rnr-stall", loser="rdma-failure", on=On.LINK, why="who has no buffers is given up", phases=BROKE),
    Rule(winner="mtu", loser="rdma-failure", on=On.LINK, why="large packets vanish"),
    Rule(winner="gid-mismatch", loser="rdma-failure", on=On.LINK, why="the addresses do not meet", phases=NEVER_WORKED),
    Rule(winner="rdma-failure", loser="mtu-mismatch", on=On.LINK, why="what it did is told with it"),
)
"""Conflicts about pairs that cannot go on over RDMA."""

STORMS: Final = (
    Rule(winner="pause-storm", loser="pause-source", on=On.PORT, why="it pauses at idle too, so load is no reason"),
    Rule(winner="pause-storm", loser="pause-victim", on=On.RUN, why="pauses at idle beat any that are received"),
    Rule(
        # A host is blamed that was never told to stop: nothing made it wait.
        winner="pause-storm",
        loser="pfc-missing",
        on=On.RUN,
        why="what waits behind a storm is dropped",
        blameless=True,
    ),
    Rule(winner="pause-storm", loser="packet-loss", on=On.LINK, why="nothing gets through to who stops all"),
    Rule(
        # Not where the port itself counts damage or drops, and not on TCP, which no lossless priority holds back.
        winner="pause-storm",
        loser="packet-loss",
        on=On.RUN,
        why="what waits behind a storm is dropped, or comes too late",
        about=(),
        limit="rdma_loss_ratio",
    ),
    Rule(
        # A host is blamed where all that was sent arrived: no storm took any of it.
        winner="pause-storm",
        loser="out-of-order",
        on=On.RUN,
        why="holes that a storm leaves look like packets that overtook",
        blameless=True,
    ),
    Rule(winner="pause-storm", loser="ecn-inactive", on=On.RUN, why="nobody marks for a port that stops without load"),
)
"""What a port that stops everybody leaves behind at others, who are its victims. A slow receiver (pause-source) is no
such port: queues in front of it are marked before they pause, so that missing marks are a fault of their own."""

GPUS: Final = (
    *(
        Rule(winner="gpudirect-off", loser=loser, on=On.LINK, why="its GPUs are why, and not its link", of_gpus=True)
        for loser in ("slow-link", "slow-host")
    ),
    Rule(
        winner="gpudirect-off",
        loser="affinity",
        on=On.LINK,
        why="what the distance costs was measured",
        because="crosses the root complex",
    ),
)
"""What slow GPU memory leaves behind in the rates of a host; where host memory is slow too, that is another fault."""

LEAVES: Final = (
    Rule(
        # The leaf as a whole, by its own name: damage that most of its ports count is why it is slow.
        winner="physical-errors",
        loser="leaf-fault",
        on=On.PORT,
        why="damage at most of its ports is why the leaf is slow",
    ),
    Rule(winner="link-flap", loser="leaf-fault", on=On.PORT, why="ports that go down together are why it is slow"),
    *(
        Rule(winner="leaf-fault", loser=loser, on=On.LINK, why="what a switch does to most of its ports is one fault")
        for loser in ("packet-loss", "pause-victim", "out-of-order")
    ),
    *(
        Rule(winner=winner, loser="oversubscribed", on=on, why="what loses packets is why it carries less")
        for winner, on in (
            ("packet-loss", On.PORT),
            ("packet-loss", On.UPLINKS),
            ("packet-loss", On.SWITCHES),
            ("physical-errors", On.SWITCHES),
            ("link-flap", On.SWITCHES),
        )
    ),
    *(
        Rule(winner="oversubscribed", loser=loser, on=On.RUN, why="uplinks that carry less are full beside any load")
        for loser in ("head-of-line", "congestion")
    ),
    Rule(winner="head-of-line", loser="congestion", on=On.RUN, why="what waits behind a hot receiver is late as well"),
)
"""A leaf against its members. Damage that a member counts itself (physical-errors, link-flap) is its own cable's, and
stays; a setting that differs is no reason for a leaf, and is told beside it."""

STEPS: Final = (
    *(
        Rule(winner=winner, loser="stalled-step", on=On.RUN, why="what is lost waits for a timer", blameless=True)
        for winner in ("packet-loss", "link-flap", "physical-errors", "pfc-missing", "pause-storm", "rnr-stall")
    ),
    *(
        Rule(winner=winner, loser=loser, on=On.PORT, why="who is held back from its CPU or slowed down comes late")
        for winner in ("host-noise", "gpu-throttle")
        for loser in ("stalled-step", "step-drift")
    ),
    Rule(winner="step-drift", loser="straggler", on=On.LINK, why="who comes later and later is late on the whole"),
)
"""Bursts tell when and who; what held them up is told by whoever saw that itself."""

LOADS: Final = (
    *(
        Rule(winner=winner, loser="headroom", on=On.LINK, why="what loses at any load has no need of one")
        for winner in ("packet-loss", "physical-errors")
    ),
    *(
        Rule(winner=winner, loser="incast", on=On.RUN, why="a receiver is short of what its senders lose", part=True)
        for winner in ("packet-loss", "physical-errors")
    ),
    *(
        Rule(winner=winner, loser="head-of-line", on=On.LEAF, why="what the leaf loses, all flows there lose")
        for winner in ("packet-loss", "leaf-fault")
    ),
    Rule(
        winner="expectation",
        loser="head-of-line",
        on=On.RUN,
        why="ways that carry too little have no room for two flows",
        because="pairs of hosts fall short",
    ),
)
"""Loads made on purpose have many partners at once, so that what one host does to them may show at others."""

RULES: Final = (
    *LOADS,
    *FAILURES,
    *GPUS,
    *LEAVES,
    Rule(winner="link-flap", loser="physical-errors", on=On.LINK, why="a link that trains again counts errors"),
    Rule(winner="link-flap", loser="packet-loss", on=On.LINK, why="what is sent while a link is down is lost"),
    Rule(
        winner="physical-errors", loser="packet-loss", on=On.LINK, why="damage at the port is why packets are missing"
    ),
    Rule(winner="physical-errors", loser="pfc-missing", on=On.LINK, why="a bad link loses at any load"),
    *STORMS,
    *STEPS,
    Rule(winner="pause-source", loser="pause-victim", on=On.PORT, why="who is stopped is told with who stops them"),
    Rule(winner="pause-source", loser="pcie-downgrade", on=On.PORT, why="the bus is why it stops others"),
    Rule(winner="packet-loss", loser="pfc-missing", on=On.LINK, why="it loses without load as well"),
    Rule(winner="pfc-wrong-priority", loser="headroom", on=On.PORT, why="pauses of another priority stop nothing"),
    Rule(
        winner="headroom",
        loser="pfc-missing",
        on=On.PORT,
        why="the same losses, where queues were filled on purpose",
        blameless=True,
    ),
    Rule(
        winner="packet-loss", loser="pfc-wrong-priority", on=On.LINK, why="a setting explains a loss, and is no other"
    ),
    Rule(winner="pfc-wrong-priority", loser="pfc-missing", on=On.PORT, why="pauses of another priority stop nothing"),
    Rule(winner="pfc-wrong-priority", loser="one-sided-marking", on=On.PORT, why="the same setting, seen by its peers"),
    *(
        Rule(
            winner=winner,
            loser="counters",
            on=On.PORT,
            why="a fault that is known outranks a name that is guessed",
            about=(),
        )
        for winner in (
            "link-flap",
            "physical-errors",
            "packet-loss",
            "pfc-missing",
            "pause-storm",
            "pause-source",
            "rnr-stall",
        )
    ),
    *(Rule(winner=winner, loser="counters", on=on, why=why, about=about) for winner, on, about, why in EXPLAINS),
)
"""Earlier rows are asked first."""


def outranked(findings: Sequence[Finding], named: Sequence[Named | None]) -> dict[int, int]:
    """Return for each finding that another one beats, by index, which one that is."""
    beaten: dict[int, int] = {}
    of_detector: dict[str, list[int]] = {}
    for index, each in enumerate(findings):
        of_detector.setdefault(each.detector, []).append(index)
    for rule in RULES:
        told = (loser for loser in of_detector.get(rule.loser, ()) if loser not in beaten)
        losers = [loser for loser in told if _is_about(rule, findings[loser])]
        winners = _Winners.of(of_detector.get(rule.winner, ()) if losers else (), findings, named)
        for loser in losers:
            near = winners.near(rule.on, findings[loser], named[loser])
            able = (
                at
                for at in near
                if rule.because in findings[at].summary and _is_of_phase(rule, findings[at], findings[loser])
            )
            winner = next((at for at in able if _beats(rule.on, findings, named, at, loser)), None)
            if winner is not None:
                beaten[loser] = winner
    return beaten


@dataclass(frozen=True, slots=True, kw_only=True)
class _Winners:
    """The findings of one detector by whom they name, so that a loser need not be held against all of them."""

    by_mark: Mapping[Mark, Sequence[int]]
    first: tuple[int, ...]
    """The first of each severity: over a whole run nothing else matters."""

    @classmethod
    def of(cls, winners: Sequence[int], findings: Sequence[Finding], named: Sequence[Named | None]) -> "_Winners":
        by_mark: dict[Mark, list[int]] = {}
        first: dict[Severity, int] = {}
        for at in winners:
            first.setdefault(findings[at].severity, at)
            for mark in marks_of(findings[at], named[at]):
                by_mark.setdefault(mark, []).append(at)
        return cls(by_mark=by_mark, first=tuple(sorted(first.values())))

    def near(self, on: On, loser: Finding, whom: Named | None) -> Sequence[int]:
        """Return those that may beat a finding, in their order."""
        if on is On.RUN:
            return self.first
        if on is On.SWITCHES:
            marks = {mark for subject in loser.subjects for mark in switch_marks(subject)}
            return sorted({at for mark in marks for at in self.by_mark.get(mark, ())})
        marks = {*loser.subjects, *(() if whom is None or on is not On.LINK else sought_of(whom))}
        return sorted({at for mark in marks for at in self.by_mark.get(mark, ())})


def _is_about(rule: Rule, loser: Finding) -> bool:
    """Return whether a rule is about all that a finding tells of counters, by which limit, and about whom it blames."""
    if (rule.blameless and loser.hosts) or (rule.part and FABRIC in loser.subjects):
        return False
    if rule.limit is not None and all(rule.limit not in fact.basis for fact in loser.facts):
        return False
    if rule.of_gpus and not all(tells_of_gpu(fact.metric) for fact in loser.facts):
        return False
    if rule.about is None:
        return True
    told = {word for fact in loser.facts if (word := fact.metric.rpartition(" ")[2]) in set(Meaning)}
    return told <= set(rule.about) and bool(told) == bool(rule.about)


def _is_of_phase(rule: Rule, *both: Finding) -> bool:
    """Return whether a failure that one of two findings tells came as early or late as a rule is about."""
    if rule.phases is None:
        return True
    words = {fact.metric.rpartition(", ")[2] for finding in both for fact in finding.facts}
    told = words & set(FailurePhase)
    return not told or not told.isdisjoint(rule.phases)


def _beats(on: On, findings: Sequence[Finding], named: Sequence[Named | None], winner: int, loser: int) -> bool:
    first, second = findings[winner], findings[loser]
    if first.severity is Severity.WARNS and second.severity is not Severity.WARNS:
        return False
    if on is On.RUN or (on is not On.SWITCHES and set(first.subjects) & set(second.subjects)):
        return True
    if on is On.SWITCHES:
        return all(not switch_marks(subject).isdisjoint(first.subjects) for subject in second.subjects)
    if on in (On.LEAF, On.UPLINKS):
        ways = [subject for subject in first.subjects if on is On.LEAF or SPINES in subject]
        return set(second.subjects) <= {mark for subject in ways for mark in switch_marks(subject)}
    ends = named[winner], named[loser]
    return on is On.LINK and ends[0] is not None and ends[1] is not None and _is_on_link(ends[0], ends[1])


def _is_on_link(winner: Named, loser: Named) -> bool:
    """Return whether all that the loser names is the winner's host, without another port, or a path that ends there."""
    if not winner.hosts or (winner.ports and loser.ports - winner.ports):
        return False
    return loser.hosts <= winner.hosts and all(
        path.dst in winner.hosts or (not path.directed and path.src in winner.hosts) for path in loser.paths
    )
