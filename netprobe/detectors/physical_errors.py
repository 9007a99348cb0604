"""Packets that arrive damaged, and links that correct far more bits than others: cable, optic, port.

Whoever counts damage is the receiving end of the link that did it. Packets that were marked as bad further up
(REMOTE_PHYSICAL_ERROR) are left alone: the fault is elsewhere.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import (
    FloatArray,
    Ports,
    any_of,
    check_again,
    count_fact,
    fine_percent,
    grown_facts,
    not_counted,
    uncounted,
)
from netprobe.detectors._signatures import DAMAGE, shows
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "physical-errors"
FEWEST_PEERS: Final = 3  # for a median to mean anything
FEWEST_RECEIVERS: Final = 2  # of changed packets, before what they have in common is more than what one of them has
OF_LINK: Final = tuple(each for each in DAMAGE if each is not Meaning.ICRC_ERROR)
BESIDE: Final = (Meaning.LINK_RECOVERED, Meaning.MODULE_FAULT, Meaning.MODULE_HOT)
WHAT: Final = "damaged packets"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name the ports that receive damaged packets, and warn of those that correct too much."""
    ports = Ports(evidence=evidence, limits=limits)
    damaged = shows("F01", ports.table) & (ports.grown(*DAMAGE) >= limits.physical_error_floor)
    beyond_link = damaged & ~(ports.grown(*OF_LINK) > 0)
    for port in np.flatnonzero(damaged & ~beyond_link).tolist():
        yield _damaged(ports, port)
    if beyond_link.any():
        yield _beyond_link(ports, np.flatnonzero(beyond_link).tolist())
    corrected = _corrected_ratio(ports)
    expected = _of_peers(ports, corrected)
    worst = np.fmin(limits.corrected_bit_ratio, limits.corrected_peer_ratio * expected)
    strained = shows("F04", ports.table) & (corrected >= np.fmax(worst, limits.corrected_floor_ratio))
    for port in np.flatnonzero(strained & ~damaged).tolist():
        yield _strained(ports, port, float(corrected[port]), float(expected[port]))
    if (gap := not_counted(ports, ID, WHAT, uncounted(ports, DAMAGE))) is not None:
        yield gap


def _corrected_ratio(ports: Ports) -> FloatArray:
    """Return corrected over received bits; NaN where either is not counted (or what is corrected are blocks)."""
    ratio: FloatArray = ports.grown(Meaning.FEC_CORRECTED) / np.maximum(ports.grown(Meaning.RAW_BITS), 1.0)
    return ratio


def _of_peers(ports: Ports, ratio: FloatArray) -> FloatArray:
    """Return the median over the ports of each one's rate; NaN where these are too few."""
    told = [None if (port := ports.port(each)) is None else port.rate_gbps for each in range(len(ratio))]
    rate = np.array([-1.0 if each is None else each for each in told])
    median = np.full(len(ratio), np.nan)
    for own in (rate == each for each in np.unique(rate)):
        if np.isfinite(ratio[own]).sum() >= FEWEST_PEERS:
            median[own] = np.nanmedian(ratio[own])
    return median


def _damaged(ports: Ports, port: int) -> Finding:
    errors = float(ports.grown(*DAMAGE)[port])
    received = float(ports.grown(Meaning.WIRE_RECEIVED_PACKETS, Meaning.RDMA_RECEIVED_PACKETS)[port])
    share = errors / received if received > 0 else np.nan
    of_all = "" if np.isnan(share) else f", {fine_percent(share)} of its packets"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if share >= ports.limits.loss_block_ratio else Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),),
        summary=f"receives damaged packets: {errors:,.0f} under load{of_all}",
        facts=grown_facts(ports, port, (*DAMAGE, *BESIDE)),
        excluded=("congestion (a full queue damages nothing)", "reordering (it damages nothing)"),
        next_action=_of_link(ports, port),
        retest=check_again([ports.host(port)], ports),
    )


def _of_link(ports: Ports, port: int) -> str:
    device = ports.interface(port)
    return (
        f"clean, reseat, then replace optic and cable between {ports.leaf_port(port)} and {ports.subject(port)}; "
        f"ethtool -S {device} and ethtool -m {device} there show errors, power and temperature"
    )


def _beyond_link(ports: Ports, at: list[int]) -> Finding:
    """Tell of packets that were changed before the last link: one fault, and not of those who notice it."""
    errors = ports.grown(Meaning.ICRC_ERROR)[at]
    received = np.fmax(ports.grown(Meaning.WIRE_RECEIVED_PACKETS, Meaning.RDMA_RECEIVED_PACKETS)[at], 1.0)
    seen_by = [ports.subject(port) for port in at]
    common = _common(ports, at)
    where = f"; what they have in common is {common}" if common else ""
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if (errors / received >= ports.limits.loss_block_ratio).any() else Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(*((common,) if common else ()), *seen_by),
        hosts=(),
        summary=f"{listed(seen_by)} {'receive' if len(at) > 1 else 'receives'} packets that were changed on the way: "
        f"{errors.sum():,.0f} under load; the link itself was clean (ICRC){where}",
        facts=tuple(count_fact(ports, port, Meaning.ICRC_ERROR) for port in at[:MOST_FACTS]),
        excluded=("the last link and its optics (no frame was damaged there)", "congestion, reordering"),
        next_action=f"look at {common or 'what lies between them and their partners'}: a switch or NIC with memory "
        "errors, or a middlebox that rewrites headers",
        retest=check_again(any_of(ports, at), ports),
    )


def _common(ports: Ports, at: list[int]) -> str | None:
    """Return the partner or else the leaf that several receivers of changed packets have in common."""
    if len(at) < FEWEST_RECEIVERS:
        return None
    pairs = ports.table.pairs
    changed = pairs.grown.get(Meaning.ICRC_ERROR, np.zeros(len(pairs.port))) > 0
    partners = {pairs.peer[row] for row in np.flatnonzero(changed & np.isin(pairs.port, at)).tolist()}
    if len(partners) == 1:
        return next(iter(partners))
    leaves = {ports.leaf_name(port) for port in at}
    leaf = next(iter(leaves)) if len(leaves) == 1 else None
    return None if leaf is None else f"leaf {leaf}"


def _strained(ports: Ports, port: int, ratio: float, expected: float) -> Finding:
    limits = ports.limits
    beyond_limit = ratio >= limits.corrected_bit_ratio
    against = f"the median port of its rate has {expected:.2g}" if np.isfinite(expected) else "no peers to compare with"
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH if beyond_limit else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(),
        summary=f"corrects {ratio:.2g} of the bits it receives, and loses nothing yet; {against}",
        facts=(
            Fact(
                metric=f"{ports.subject(port)} corrected bits",
                observed=f"{ratio:.2g}",
                expected=f"below {limits.corrected_bit_ratio:.2g}"
                if beyond_limit or np.isnan(expected)
                else f"below {limits.corrected_peer_ratio:g} times {expected:.2g}",
                basis="limit corrected_bit_ratio" if beyond_limit else "limit corrected_peer_ratio",
            ),
            *grown_facts(ports, port, BESIDE),
        ),
        excluded=("loss (nothing arrived damaged)",),
        next_action=f"plan to replace the optic between {ports.leaf_port(port)} and {ports.subject(port)}; watch its "
        "temperature, and compare the FEC modes of both ends (ethtool --show-fec)",
        retest=check_again([ports.host(port)], ports),
    )


DETECTOR = Detector(
    id=ID,
    title="a port that receives damaged packets, or corrects too many bits",
    cause="""Dirt on a connector, a bent fibre, an optic that is too hot or worn out, a cable that is not seated, a port
    that fails: bits arrive wrong. FEC corrects them up to a limit; beyond it packets are dropped by the NIC, and the
    transport finds out by their absence. A damaged ICRC behind an intact frame means that a switch or a NIC itself
    changed the packet.""",
    evidence="""Counters of the port under load: CRC, symbols and blocks that could not be corrected, ICRC. From
    physical_error_floor on the port is named, which is the receiving end of the link that does it; it blocks when
    loss_block_ratio of its packets are damaged. Corrected bits are normal on fast links: a port is warned of from
    corrected_bit_ratio on, or at corrected_peer_ratio times the median of the ports of its rate, if that is at least
    corrected_floor_ratio. ICRC alone leaves no receiver out: what changed the packets lies before its link, and is
    looked for in what several receivers have in common, a partner or a leaf. Packets that were marked as bad further up
    blame nobody here.""",
    remedy="""Clean and reseat both ends, then replace the optic, the cable, the port; one at a time, with the retest in
    between: `netprobe counters` shows whether errors still grow. What a host sends into a bad link is counted by the
    switch alone: read its port.""",
    limits=(
        "physical_error_floor",
        "loss_block_ratio",
        "corrected_bit_ratio",
        "corrected_peer_ratio",
        "corrected_floor_ratio",
    ),
    detect=detect,
)
