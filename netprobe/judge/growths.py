"""Counters of trouble that grew between two readings, where no detector has said so already."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Weight
from netprobe.catalogue.keys import CounterKey, Origin, key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.catalogue.readings import growth_between
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.meaning import Meaning
from netprobe.model.snapshot import Reading
from netprobe.units import format_count

ID: Final = "counters"
TROUBLE: Final = (Weight.FAIL, Weight.WARN)
SEVERITY_OF: Final = {Weight.FAIL: Severity.DEGRADES, Weight.WARN: Severity.WARNS}

PAUSES_SENT: Final = frozenset({Meaning.PAUSE_SENT, Meaning.PAUSE_SENT_TIME})
PAUSES_RECEIVED: Final = frozenset({Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME})
LOSS: Final = frozenset({
    Meaning.SEQUENCE_NAK, Meaning.OUT_OF_SEQUENCE, Meaning.ACK_TIMEOUT, Meaning.IMPLIED_NAK, Meaning.RETRANSMITTED,
    Meaning.DUPLICATE_REQUEST,
})  # fmt: skip
DAMAGE: Final = frozenset({
    Meaning.CRC_ERROR, Meaning.SYMBOL_ERROR, Meaning.FEC_UNCORRECTABLE, Meaning.ICRC_ERROR, Meaning.RECEIVE_ERROR,
    Meaning.LINK_INTEGRITY_ERROR, Meaning.FEC_CORRECTED, Meaning.MODULE_FAULT, Meaning.MODULE_HOT,
})  # fmt: skip
TOLD_BY: Final[Mapping[str, frozenset[Meaning]]] = {
    "ecn-inactive": frozenset({Meaning.ECN_MARKED, Meaning.CNP_SENT, Meaning.CNP_HANDLED, Meaning.CNP_IGNORED}),
    "headroom": LOSS | PAUSES_RECEIVED,
    "link-flap": LOSS | {Meaning.LINK_DOWN, Meaning.LINK_RECOVERED},
    "out-of-order": LOSS,
    "packet-loss": LOSS,
    "pause-source": PAUSES_SENT,
    "pause-storm": PAUSES_SENT | PAUSES_RECEIVED | {Meaning.PAUSE_STORM, Meaning.PAUSE_STORM_WARNING},
    "pause-victim": PAUSES_RECEIVED,
    "pfc-missing": LOSS | {Meaning.PORT_DISCARD},
    "pfc-wrong-priority": PAUSES_SENT | PAUSES_RECEIVED,
    "physical-errors": DAMAGE | LOSS,
    "rnr-stall": frozenset({Meaning.RNR_NAK, Meaning.NO_RECEIVE_BUFFER, Meaning.RNR_RETRIES_EXCEEDED}),
}
"""What a finding of each detector is about: growth that it need not be told of again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What detectors have said, by what it is about."""

    subjects_of: Mapping[Meaning, frozenset[str]]
    hosts: frozenset[str]

    def covers(self, host: str, port: str, meaning: Meaning | None) -> bool:
        """Return whether growth of a port has been told: of it, of its host, or of the fabric as a whole."""
        if meaning is None:
            return False
        ends = {end for each in self.subjects_of.get(meaning, ()) for end in each.split(" -> ")}
        of_all = (each for each in ends if each.partition(" ")[0] not in self.hosts)
        return f"{host} {port}" in ends or host in ends or any(of_all)


def told_by(findings: Iterable[Finding], hosts: Iterable[str]) -> Told:
    """Return what findings say."""
    subjects: dict[Meaning, set[str]] = {}
    for finding in findings:
        for meaning in TOLD_BY.get(finding.detector, ()):
            subjects.setdefault(meaning, set()).update(finding.subjects)
    return Told(subjects_of={meaning: frozenset(each) for meaning, each in subjects.items()}, hosts=frozenset(hosts))


def grown(inventory: HostInventory, readings: Sequence[Reading], told: Told) -> Iterator[Finding]:
    """Name the ports of a host whose counters of trouble grew; an interface is the RDMA port that uses it."""
    carried = {port.netdev: port.name for port in inventory.rdma_ports if port.netdev is not None}
    by_port: dict[str, dict[str, int]] = {}
    for before, after in pairwise(readings):
        for name, growth in growth_between(before.values, after.values).grown.items():
            known = known_counter(name, TROUBLE)
            if not growth or known is None:
                continue
            port = port_name(known[0], carried)
            if not told.covers(inventory.host, port, known[1].meaning):
                of_port = by_port.setdefault(port, {})
                of_port[name] = of_port.get(name, 0) + growth
    for port, counters in by_port.items():
        yield _finding(inventory.host, port, counters)


def known_counter(name: str, weights: Sequence[Weight]) -> tuple[CounterKey, Counter] | None:
    """Return a counter whose growth weighs so much; None for all others."""
    key = key_of(name)
    counter = None if key is None else counter_of(key.origin, key.name)
    if key is None or counter is None or counter.weight not in weights:
        return None
    return None if counter.behaviour in (Behaviour.GAUGE, Behaviour.SETTING) else (key, counter)


def port_name(key: CounterKey, carried: Mapping[str, str]) -> str:
    """Return what reports call a port; ``carried`` are RDMA ports by the interface that they use."""
    if key.origin is Origin.ETHTOOL:
        return carried.get(key.device, key.device)
    return key.place


def _finding(host: str, port: str, counters: Mapping[str, int]) -> Finding:
    known = {name: found for name in counters if (found := known_counter(name, TROUBLE)) is not None}
    worst = min(known, key=lambda name: (TROUBLE.index(known[name][1].weight), -counters[name]))
    more = f", and {len(known) - 1} other counters of trouble" if len(known) > 1 else ""
    key, counter = known[worst]
    return Finding(
        detector=ID,
        severity=SEVERITY_OF[counter.weight],
        confidence=Confidence.LOW,  # nobody knows what ran, and who the peers were
        subjects=(f"{host} {port}",),
        hosts=(),
        summary=f"{key.name} ({counter.title}) grew by {_amount(counter, counters[worst])} between two readings{more}",
        facts=tuple(
            Fact(
                metric=f"{port} {found[0].name}",
                observed=_amount(found[1], counters[name]),
                expected="0",
                basis=found[1].title,
            )
            for name, found in known.items()
        ),
        next_action="netprobe check on these hosts: with its own traffic it can tell which end is to blame",
    )


def _amount(counter: Counter, value: int) -> str:
    return format_count(value * counter.scale, counter.unit)
