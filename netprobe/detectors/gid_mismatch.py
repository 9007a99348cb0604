"""RoCE ports without an address that others can reach, fixed indices that point to the wrong one, and doubles.

Does not handle: stale neighbours and conflicts of ARP, which only show while packets fly; two ports of different names
with one address, which separate rails may have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    Usual,
    alike,
    alone_gap,
    config_again,
    distinct,
    fleet_gaps,
    roce_ports,
    undecided,
    unread_gap,
    usual,
)
from netprobe.detectors._selection import environment_of, nccl_ports, ucx_ports
from netprobe.detectors._words import MOST_FACTS
from netprobe.locate.roce import ROUTED, address_of, chosen, family_of, is_routed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import Gid
from netprobe.model.limits import Limits

ID = "gid-mismatch"
USERS: Final = {"NCCL_IB_GID_INDEX": nccl_ports, "UCX_IB_GID_INDEX": ucx_ports}
"""Variables that fix the index, and the ports for which they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bad:
    """What a fixed index points to on a port, and why that does not work."""

    variable: str
    index: int
    what: str


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports whose address others cannot reach, or do not choose."""
    ports = roce_ports(evidence)
    told = [each for each in ports if each.port.gids]
    fixed = list(_fixed(told))
    yield from _pointing_nowhere(fixed, told)
    named = {port.subject for port, _ in fixed}
    for peers in alike(told, lambda each: each.port.name).values():
        yield from _other_families([each for each in peers if each.subject not in named])
    yield from _doubles(told)
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    unread = [each for each in ports if not each.port.gids]
    yield from unread_gap(ID, "the table of addresses (GIDs)", unread, "netprobe inventory on them")
    yield from fleet_gaps(ID, evidence)


def _kind(gid: Gid | None) -> str:
    return "nothing" if gid is None else f"{gid.kind or 'an unknown version'}, {family_of(gid) or 'no address'}"


def _fixed(ports: Sequence[HostPort]) -> Iterator[tuple[HostPort, _Bad]]:
    for port in ports:
        environment = environment_of(port.inventory)
        for variable, ports_of in USERS.items():
            text = environment.get(variable, "")
            if not text.isdecimal() or len(text) > 4 or port.port not in ports_of(port.inventory):
                continue  # -1 and auto choose themselves
            index = int(text)
            gid = next((each for each in port.port.gids if each.index == index), None)
            if not is_routed(gid):
                yield port, _Bad(variable=variable, index=index, what=_kind(gid))


def _pointing_nowhere(fixed: Sequence[tuple[HostPort, _Bad]], told: Sequence[HostPort]) -> Iterator[Finding]:
    for bad, pairs in alike(fixed, lambda each: each[1]).items():
        ports = [port for port, _ in pairs]
        hosts = distinct(ports)
        right = sorted({gid.index for port in ports if is_routed(gid := chosen(port.port.gids)) and gid})
        yield Finding(
            detector=ID,
            severity=Severity.BLOCKS,
            confidence=Confidence.HIGH,
            subjects=tuple(port.subject for port in ports),
            hosts=hosts if len(hosts) < len(distinct(told)) else (),
            summary=f"{bad.variable}={bad.index} points to {bad.what}"
            + (f"; the address to use is at {', '.join(map(str, right))}" if right else ""),
            facts=tuple(
                Fact(metric=f"entry {bad.index} of {port.subject}", observed=bad.what,
                     expected=f"{ROUTED}, IPv4 or IPv6", basis=f"{bad.variable} of the environment")
                for port in ports
            )[:MOST_FACTS],
            next_action=f"unset {bad.variable}, so that the library chooses by version and address: indices differ "
            "from host to host, and change when a port flaps",
            retest=config_again(hosts),
        )  # fmt: skip


def _other_families(peers: Sequence[HostPort]) -> Iterator[Finding]:
    """Name ports whose best address is of another kind than that of the same port of others."""
    kinds = {each.subject: _kind(chosen(each.port.gids)) for each in peers}
    most = usual(kinds.values())
    best = most or _crossing_half(peers, kinds)
    if best is None:
        told = [(each.host, each.subject, kinds[each.subject]) for each in peers]
        name = f"best address of {peers[0].port.name}" if peers else ""
        yield from undecided(
            ID, name, told, Severity.BLOCKS, "give all an address of one family; routed ones cross routers"
        )
        return
    odd = [each for each in peers if kinds[each.subject] != best.value]
    for kind, ports in alike(odd, lambda each: kinds[each.subject]).items():
        yield _other_family(kind, ports, best, is_usual=most is not None)


def _crossing_half(peers: Sequence[HostPort], kinds: Mapping[str, str]) -> Usual[str] | None:
    """Return the kind of a half that crosses routers, where no other port has such an address.

    The halves are not equal: a link-local address, or one of RoCE v1, is of no use beyond its own segment.
    """
    reachable = [kinds[each.subject] for each in peers if is_routed(chosen(each.port.gids))]
    if len(set(reachable)) == 1 and len(peers) == 2 * len(reachable):
        return Usual(value=reachable[0], count=len(reachable))
    return None


def _other_family(kind: str, ports: Sequence[HostPort], best: Usual[str], *, is_usual: bool) -> Finding:
    why = "" if is_usual else "; as many have one as the other, and only theirs crosses routers"
    basis = "the same port of most hosts" if is_usual else "the half whose addresses cross routers"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH if is_usual and best.value.startswith(ROUTED) else Confidence.MEDIUM,
        subjects=tuple(port.subject for port in ports),
        hosts=distinct(ports),
        summary=f"its best address is {kind}, that of {best.count} others {best.value}: they cannot reach each other"
        f"{why}",
        facts=tuple(
            Fact(metric=f"best address of {port.subject}", observed=kind, expected=best.value,
                 basis=f"{basis}; link-local last, then by version, family, index")
            for port in ports
        )[:MOST_FACTS],
        next_action=f"compare ip address show dev {ports[0].interface} with the others; an address of the interface "
        "makes the entry (show_gids, or rdma link)",
        retest=config_again(distinct(ports)),
    )  # fmt: skip


def _doubles(ports: Sequence[HostPort]) -> Iterator[Finding]:
    entries = [(port, gid) for port in ports for gid in port.port.gids if is_routed(gid)]
    for pairs in alike(entries, lambda each: (each[0].port.name, each[1].address)).values():
        owners = {port.subject: port for port, _ in pairs}
        if len(owners) > 1:
            yield _double(address_of(pairs[0][1]), list(owners.values()))


def _double(shown: str, owners: Sequence[HostPort]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=tuple(each.subject for each in owners),
        hosts=(),
        summary=f"{len(owners)} ports have the address {shown}: connections end at one or the other",
        facts=(
            Fact(metric=f"ports with {shown}", observed=f"{len(owners)}", expected="1", basis="tables of addresses"),
        ),
        next_action=f"give each its own address, then on the others: ip neigh flush to {shown}",
        retest=config_again(distinct(owners)),
    )


DETECTOR = Detector(
    id=ID,
    title="RoCE addresses that are missing, double, or not to be reached",
    cause="""A queue pair is bound to an entry of the port's table of addresses (GIDs). An entry of RoCE v1 or with a
    link-local address does not cross a router; the order of entries differs from host to host, so that one fixed index
    means different things; and an address that two hosts have leads to either. Retries are then exceeded at once.""",
    evidence="""Tables of active RoCE ports: the entry to use is the best by version (v2 before v1) and address (IPv4
    before IPv6; link-local last of all), the lowest index among equals. Blocks: NCCL_IB_GID_INDEX or UCX_IB_GID_INDEX
    of the recorded environment points to an entry that is empty, of v1, or link-local; the best entry is of another
    kind than that of the same port elsewhere (of two halves the one with link-local or v1 addresses is named, since
    those of the other cross routers; of halves that both do, neither is); ports of the same name on two hosts have one
    address.""",
    remedy="""Leave the index to the library (NCCL_IB_GID_INDEX=-1, UCX_IB_GID_INDEX=auto). `show_gids` or
    /sys/class/infiniband/DEVICE/ports/1/gids show the table; an address on the interface makes the entry.""",
    limits=(),
    detect=detect,
    audits=True,
)
