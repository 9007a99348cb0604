"""Receivers that have no buffer posted when data comes: software that is late, on the host that receives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import FloatArray, IntArray, Ports, check_again, not_counted, uncounted
from netprobe.detectors._signatures import shows
from netprobe.detectors._words import is_common, listed
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "rnr-stall"
MEANINGS: Final = (Meaning.RNR_NAK, Meaning.NO_RECEIVE_BUFFER)
SHARED: Final = "many hosts"
UNKNOWN: Final = "some host"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Refused:
    """What each host had no buffers for; arrays have shape (hosts,)."""

    by_partners: FloatArray
    """What its partners were told in rounds with it."""
    by_itself: FloatArray
    """What it counted besides: with many partners at once, or where these do not count."""
    beyond_rounds: float
    """What all were told with many partners at once, whoever told them."""


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name receivers whose partners were told to come back later."""
    ports = Ports(evidence=evidence, limits=limits)
    hosts = placement_of(evidence.ranks).hosts
    refused = _refused(ports, hosts)
    total = refused.by_partners + refused.by_itself
    late = np.flatnonzero(total >= limits.rnr_nak_floor).tolist()
    if is_common(len(late), len(hosts)):
        yield _shared(ports, [hosts[index] for index in late], float(total[late].sum()))
    else:
        for index in late:
            yield _finding(ports, hosts[index], float(refused.by_partners[index]), float(refused.by_itself[index]))
    if refused.beyond_rounds >= limits.rnr_nak_floor and not late:
        yield _unattributed(ports, refused.beyond_rounds)
    if (gap := not_counted(ports, ID, "receivers without buffers", uncounted(ports, MEANINGS))) is not None:
        yield gap


def _refused(ports: Ports, hosts: tuple[str, ...]) -> _Refused:
    """Return how often partners were refused by each host, and what the host counted besides.

    Some NICs count Ethernet's missing buffers as well: where others count what they are told, its own count is believed
    only as far as they were told something, and rounds outrank it.
    """
    number = {host: index for index, host in enumerate(hosts)}
    pairs = ports.table.pairs
    told = pairs.grown.get(Meaning.RNR_NAK, np.full(len(pairs.port), np.nan))
    peer = np.array([number.get(name, -1) for name in pairs.peer], dtype=np.int64)
    known = np.isfinite(told) & (peer >= 0)
    is_told = np.bincount(peer[known], minlength=len(hosts)) > 0
    owner = np.array([number.get(host, -1) for host in ports.table.host], dtype=np.int64)
    owner[~ports.carries_rdma] = -1
    naks, naks_counted = _by_host(_beyond_rounds(ports, Meaning.RNR_NAK), owner, len(hosts))
    others_count = naks_counted.sum() - naks_counted > 0
    others_told = naks.sum() - naks >= ports.limits.rnr_nak_floor
    all_of_it, _ = _by_host(ports.grown(Meaning.NO_RECEIVE_BUFFER), owner, len(hosts))
    besides, _ = _by_host(_beyond_rounds(ports, Meaning.NO_RECEIVE_BUFFER), owner, len(hosts))
    is_believed = np.where(others_count, others_told, ~is_told)
    return _Refused(
        by_partners=np.bincount(peer[known], told[known], len(hosts)).astype(np.float64),
        by_itself=np.where(is_believed, np.where(is_told, besides, all_of_it), 0.0),
        beyond_rounds=float(naks.sum()),
    )


def _beyond_rounds(ports: Ports, meaning: Meaning) -> FloatArray:
    """Return what each port counted under load and not in rounds with one partner; NaN where it does not count."""
    pairs = ports.table.pairs
    in_rounds = np.nan_to_num(pairs.grown.get(meaning, np.zeros(len(pairs.port))))
    beyond: FloatArray = np.maximum(
        ports.grown(meaning) - np.bincount(pairs.port, in_rounds, len(ports.table.host)), 0.0
    )
    return beyond


def _by_host(values: FloatArray, owner: IntArray, hosts: int) -> tuple[FloatArray, IntArray]:
    """Return the sum over each host's ports, and how many of these count."""
    known = np.isfinite(values) & (owner >= 0)
    return (
        np.bincount(owner[known], values[known], hosts).astype(np.float64),
        np.bincount(owner[known], minlength=hosts).astype(np.int64),
    )


def _finding(ports: Ports, host: str, by_partners: float, by_itself: float) -> Finding:
    own = np.array([each == host for each in ports.table.host], dtype=np.bool_) & ports.carries_rdma
    gave_up = float(np.nansum(_gave_up_on(ports, host)))
    is_clean = bool(shows("RNR", ports.table)[own].all())
    is_attributed = by_partners >= ports.limits.rnr_nak_floor
    crowded = host in ports.evidence.crowded_hosts
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if gave_up else Severity.DEGRADES,
        confidence=Confidence.HIGH if is_clean and is_attributed else Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,),
        summary=f"has no buffer posted when data comes: {_what_was_refused(by_partners, by_itself)}"
        + (f", and {gave_up:,.0f} connections gave up" if gave_up else ""),
        facts=tuple(_facts(ports, host, by_partners + by_itself)),
        excluded=(
            "the senders (they were asked to wait)",
            *(("its port (no drops, no damage)",) if is_clean else ()),
        ),
        next_action=("its ranks wait for CPUs: give them cores of their own; " if crowded else "")
        + f"on {host} look at what keeps the receiving process from posting buffers (its CPU: pidstat, perf; a garbage "
        "collector, a debugger), at the length of receive queues, and at the RNR timer: code 0 waits 655 ms",
        retest=check_again([host], ports),
    )


def _what_was_refused(by_partners: float, by_itself: float) -> str:
    told = f"refused {by_partners:,.0f} messages of its partners" if by_partners else ""
    besides = f"{by_itself:,.0f} packets met none, by its own count" if by_itself else ""
    return ", and ".join(each for each in (told, besides) if each)


def _gave_up_on(ports: Ports, host: str) -> FloatArray:
    pairs = ports.table.pairs
    told = pairs.grown.get(Meaning.RNR_RETRIES_EXCEEDED, np.zeros(len(pairs.port)))
    chosen: FloatArray = told[np.array([peer == host for peer in pairs.peer], dtype=np.bool_)]
    return chosen


def _facts(ports: Ports, host: str, refused: float) -> Iterator[Fact]:
    yield Fact(
        metric=f"messages to {host} that were refused",
        observed=f"{refused:,.0f}",
        expected=f"below {ports.limits.rnr_nak_floor:,.0f}",
        basis="limit rnr_nak_floor; counted by its partners in rounds with it, or by itself",
    )
    own = ports.grown(Meaning.NO_RECEIVE_BUFFER)
    for port, name in enumerate(ports.table.host):
        if name == host and own[port] > 0:
            yield Fact(
                metric=f"{ports.subject(port)} {Meaning.NO_RECEIVE_BUFFER}",
                observed=f"{own[port]:,.0f}",
                expected="0",
                basis="counted by the host itself",
            )


def _shared(ports: Ports, hosts: list[str], refused: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(SHARED,),
        hosts=(),
        summary=f"{len(hosts)} hosts have no buffers posted when data comes ({listed(hosts)}): {refused:,.0f} messages "
        "were refused; no host stands out",
        facts=(
            Fact(
                metric="messages that were refused",
                observed=f"{refused:,.0f}",
                expected=f"below {ports.limits.rnr_nak_floor:,.0f} of each host",
                basis="limit rnr_nak_floor",
            ),
        ),
        excluded=("a single host (many do it)",),
        next_action="look at what they share: the communication library's receive queues and RNR timer, CPUs per rank",
        retest="netprobe check",
    )


def _unattributed(ports: Ports, told: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.LOW,
        subjects=(UNKNOWN,),
        hosts=(),
        summary=f"{told:,.0f} messages were refused for want of a buffer where hosts had many partners at once; no "
        "receiver counts that, so it is not known whose they were",
        facts=(
            Fact(
                metric="messages that were refused, beyond those in rounds with one partner",
                observed=f"{told:,.0f}",
                expected=f"below {ports.limits.rnr_nak_floor:,.0f}",
                basis="limit rnr_nak_floor; counted by senders under load",
            ),
        ),
        excluded=("the senders (they were asked to wait)",),
        next_action="look for ranks that wait for a CPU (netprobe check tells of crowded hosts), then at the length of "
        "receive queues in the communication library",
        retest="netprobe check",
    )


DETECTOR = Detector(
    id=ID,
    title="a host that posts no buffers for what it receives",
    cause="""A message arrives and the receiving software has not posted a buffer: its process waits for a CPU, is busy
    elsewhere, or posts too few. The NIC answers "receiver not ready", the sender waits for a time that the receiver has
    set (from 10 µs to 655 ms) and sends again. Nothing is lost, and nothing is wrong with the fabric.""",
    evidence="""In each round a host has one partner: the RNR NAKs that a partner is sent then are those of this host.
    In collectives a host has many: what senders were told beyond rounds belongs to those hosts that count missing
    buffers beyond rounds themselves, as it does where partners do not count. From rnr_nak_floor on the receiving host
    is named, with most confidence by its partners and when its port neither drops nor damages. Connections that gave up
    block. If many hosts do it, none is to blame.""",
    remedy="""Give ranks a core each, look for what shares it (`pidstat -w`, `perf sched`), lengthen receive queues,
    and set the RNR timer that queue pairs are made with to 12 (0.64 ms): rdma_cm leaves it at 0, which is 655 ms.""",
    limits=("rnr_nak_floor",),
    detect=detect,
)
