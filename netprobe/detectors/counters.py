"""Counters of trouble that no other detector reads: known ones, by what they mean, and names that no table knows.

What a name means is guessed from its words, so nobody is blamed and nothing worse than a warning comes of it.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.catalogue.counter import Counter, Weight
from netprobe.catalogue.keys import key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.contracts import Detector
from netprobe.detectors._ports import BoolArray, FloatArray, Ports, check_again, count_fact
from netprobe.detectors._trouble import TROUBLES
from netprobe.detectors._words import MOST_FACTS
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span
from netprobe.units import format_count

ID = "counters"
TROUBLE: Final = (Weight.FAIL, Weight.WARN)
Guesses = dict[int, list[tuple[str, Counter, float]]]


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports whose counters of trouble grew under load, first those that are known."""
    if Span.LOAD not in evidence.ports.spans:
        return
    ports = Ports(evidence=evidence, limits=limits)
    guesses = _guesses(ports)
    known = {meaning: _is_trouble(ports, meaning, guesses) for meaning in TROUBLES}
    for port in np.flatnonzero(np.any(list(known.values()), axis=0)).tolist():
        yield _known(ports, port, [meaning for meaning, at in known.items() if at[port]])
    for port, guessed in guesses.items():
        if found := [each for each in guessed if each[2] >= limits.guessed_floor]:
            yield _guessed(ports, port, found)


def _guesses(ports: Ports) -> Guesses:
    """Return by port what grew, is in no table, and has a name of trouble."""
    grown: Guesses = {}
    for port, text, growth in ports.table.spans[Span.LOAD].unrecognised:
        key = key_of(text)
        counter = None if key is None else counter_of(key.origin, key.name)
        if key is not None and counter is not None and counter.weight in TROUBLE:
            grown.setdefault(port, []).append((key.name, counter, growth))
    return grown


def _is_trouble(ports: Ports, meaning: Meaning, guesses: Guesses) -> BoolArray:
    """Return the ports of the fabric where a known counter of this grew, and not a guess alone."""
    grown = _counted(ports, meaning)
    guessed = np.zeros(len(grown))
    for port, found in guesses.items():
        guessed[port] = sum(growth for _, counter, growth in found if counter.meaning is meaning)
    floor = 1.0 if TROUBLES[meaning].from_first else ports.limits.trouble_floor
    is_trouble: BoolArray = (grown >= floor) & (grown > guessed) & _is_of_fabric(ports)
    return is_trouble


def _counted(ports: Ports, meaning: Meaning) -> FloatArray:
    """Return what grew; of completions only those that are no consequence of a queue pair that was taken down."""
    grown = ports.grown(meaning)
    return grown - ports.grown(Meaning.COMPLETION_FLUSHED) if meaning is Meaning.COMPLETION_ERROR else grown


def _is_of_fabric(ports: Ports) -> BoolArray:
    """Return the RDMA ports, down or not; of hosts that have none, all."""
    table = ports.table
    is_rdma = np.array([name != netdev for name, netdev in zip(table.name, table.netdev, strict=True)], dtype=np.bool_)
    has_rdma = {host for host, each in zip(table.host, is_rdma.tolist(), strict=True) if each}
    return is_rdma | np.array([host not in has_rdma for host in table.host], dtype=np.bool_)


def _known(ports: Ports, port: int, meanings: list[Meaning]) -> Finding:
    worst = TROUBLES[meanings[0]]
    names = {"port": ports.subject(port), "host": ports.host(port), "device": ports.table.netdev[port] or "DEVICE"}
    more = f"; {', '.join(meanings[1:])} grew as well" if len(meanings) > 1 else ""
    return Finding(
        detector=ID,
        severity=worst.severity,
        confidence=worst.confidence,
        subjects=(names["port"],),
        hosts=(names["host"],) if worst.is_its_own else (),
        summary=f"{worst.says}: {_counted(ports, meanings[0])[port]:,.0f} {meanings[0]} under load{more}",
        facts=tuple(count_fact(ports, port, each) for each in meanings),
        excluded=() if worst.is_its_own else ("this host as the cause (its peers may be)",),
        next_action=worst.next_action.format(**names),
        retest=check_again([names["host"]], ports),
    )


def _guessed(ports: Ports, port: int, found: list[tuple[str, Counter, float]]) -> Finding:
    worst = max(found, key=lambda each: (each[1].weight is Weight.FAIL, each[2]))
    more = f", and {len(found) - 1} others like it" if len(found) > 1 else ""
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.LOW,
        subjects=(ports.subject(port),),
        hosts=(),
        summary=f"{worst[0]} grew by {_amount(*worst[1:])} under load{more}: no table knows it, and its name means "
        "trouble",
        facts=tuple(
            Fact(metric=name, observed=_amount(counter, growth), expected="0", basis=counter.title)
            for name, counter, growth in found[:MOST_FACTS]
        ),
        next_action=f"look {worst[0]} up in the documentation of {ports.driver(port) or 'the driver'}",
        retest=check_again([ports.host(port)], ports),
    )


def _amount(counter: Counter, growth: float) -> str:
    return format_count(round(growth), counter.unit)


DETECTOR = Detector(
    id=ID,
    title="counters of trouble that no other detector reads",
    cause="""A NIC counts something that does not happen on a healthy host, and that no other detector is about: errors
    of the device, of its PCIe link or its optic, queue pairs that gave up, requests that were refused, packets that are
    dropped on the way out or have a size that does not fit. Or a driver, or a firmware, counts something under a name
    that the catalogue does not know, and whose words tell of loss, drops or damage.""",
    evidence="""Growth under load of counters whose meaning is known: from the first on where a device is broken or a
    queue pair gave up, else from trouble_floor on. Of completions with errors those are left out that were flushed: an
    orderly end flushes. A host is named for its device, its bus and its optic; all else may be its peers'. A fault that
    explains it takes it in. Names that no table knows are warned of from guessed_floor on, if they hold such words as
    drop, discard, crc, timeout or exceeded. `netprobe ingest`, which has no traffic of its own to compare with, names
    every counter of trouble that grew between two readings.""",
    remedy="""For what is known, the finding says where to look. Else look the counter up in the driver's documentation,
    and at the same counter on a healthy host; then the port at the other end of the cable. If it means what its name
    says, it belongs into the catalogue.""",
    limits=("guessed_floor", "trouble_floor"),
    detect=detect,
)
