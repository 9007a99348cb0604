"""Hosts that mark what they send, and receive what is not marked: the other side does not, or the way changes it."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import FloatArray, Ports, any_of, fine_percent, priorities_untold
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "one-sided-marking"
FABRIC: Final = "fabric"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell of ports that send in a lossless priority and receive in another, and of who sends so."""
    ports = Ports(evidence=evidence, limits=limits)
    sent = ports.share_outside(Meaning.WIRE_SENT_BYTES)
    received = ports.share_outside(Meaning.WIRE_RECEIVED_BYTES)
    marks = ports.carries_roce & (sent < limits.misplaced_ratio)
    at = np.flatnonzero(marks & (received >= limits.misplaced_ratio)).tolist()
    if at:
        others = np.flatnonzero(ports.carries_roce & (sent >= limits.misplaced_ratio)).tolist()
        yield _finding(ports, at, others, received)
    if (gap := priorities_untold(ports, ID, Meaning.WIRE_RECEIVED_BYTES)) is not None:
        yield gap


def _finding(ports: Ports, at: Sequence[int], others: Sequence[int], received: FloatArray) -> Finding:
    worst = max(at, key=lambda port: received[port])
    if others:
        subjects = tuple(ports.subject(port) for port in others)
        cause = f"{listed(subjects)} {'does' if len(subjects) == 1 else 'do'} not mark what they send"
        todo = f"on {listed(any_of(ports, others))} set traffic class and DSCP map as on the others"
    else:
        subjects = (ports.leaf_port(worst) if len(at) == 1 else FABRIC,)
        cause = "every host of this run marks what it sends, so a switch changes it on the way, or sorts it otherwise"
        todo = f"look at trust and rewriting of DSCP on {ports.leaf_port(worst)} and on the way to it"
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH if others else Confidence.MEDIUM,
        subjects=subjects,
        hosts=(),
        summary=f"{len(at)} {'ports send' if len(at) > 1 else 'port sends'} in the lossless priority and receive"
        f"{'' if len(at) > 1 else 's'} up to {fine_percent(float(received[worst]))} outside of it "
        f"({listed(any_of(ports, at))}): {cause}",
        facts=tuple(
            Fact(
                metric=f"{ports.subject(port)}, bytes received outside the lossless priorities",
                observed=fine_percent(float(received[port])),
                expected=f"below {fine_percent(ports.limits.misplaced_ratio)}",
                basis="limit misplaced_ratio; bytes by priority under load",
            )
            for port in at[:MOST_FACTS]
        ),
        excluded=("those who receive it (what they send is marked)",),
        next_action=todo,
        retest="netprobe check",
    )


DETECTOR = Detector(
    id=ID,
    title="traffic that is marked in one direction only",
    cause="""A host's traffic class, trust or map of DSCP to priorities is missing, mostly after a reboot: it receives
    what others mark and answers unmarked. Or a switch on the way does not trust DSCP, or rewrites it. That direction
    then rides without flow control, and drops under load.""",
    evidence="""Bytes by priority under load: a port that sends less than misplaced_ratio of its bytes outside the
    lossless priorities (those that most hosts have PFC on for) and receives more than that outside. Hosts that send
    unmarked are named; if there is none among those of the run, the way.""",
    remedy="""Set the host as its peers are and make it last (`mlnx_qos` does not outlive a reboot); on the switch
    compare trust of the ports on the way. The retest has to show the same priority in both directions.""",
    limits=("misplaced_ratio",),
    detect=detect,
)
