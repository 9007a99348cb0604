"""Losses that damage at another host's port probably explains, where nothing tells who sent to whom.

They are told with the damage only if all speaks for it: it is the only cause of loss in the files, it happened in the
same time, the port that has it asked for packets again, and the loss is not larger than the damage. Where it merely
may have a part in a loss, the loss stays, and what to do begins with the damage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from netprobe.catalogue.keys import Origin, key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.catalogue.readings import growth_between
from netprobe.detectors._signatures import DAMAGE, DROPS
from netprobe.detectors._words import listed
from netprobe.judge.growths import ID as COUNTERS
from netprobe.judge.growths import port_name
from netprobe.model.finding import Fact, Finding, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.meaning import Meaning
from netprobe.model.snapshot import Reading
from netprobe.units import NS_PER_S

PHYSICAL: Final = "physical-errors"
OTHER_CAUSES: Final = frozenset({"link-flap", "out-of-order", "packet-loss", "pause-storm", "pfc-missing", PHYSICAL})
"""Detectors whose findings explain losses at partners as well, each in its own way."""
OF_LINK: Final = frozenset(DAMAGE) - {Meaning.ICRC_ERROR}
LOST_ON_THE_WAY: Final = frozenset({
    Meaning.SEQUENCE_NAK, Meaning.ACK_TIMEOUT, Meaning.RETRANSMITTED, Meaning.ADAPTIVE_RETRANSMIT,
    Meaning.DUPLICATE_REQUEST,
})  # fmt: skip
"""What a sender counts when its packets, or its acknowledgements, do not get through to a port that damages them. What
does not get through to the sender itself (out of sequence, lost answers) is damaged elsewhere."""
ONCE_A_PACKET: Final = frozenset({Meaning.SEQUENCE_NAK, Meaning.ACK_TIMEOUT})
"""Of these, what a lost packet is counted by once; the others may be many for one."""
SPREAD_NS: Final = 5 * NS_PER_S
"""How far clocks of hosts may be apart, and the moment of a reading from the time that is told for it."""
MOST_TOLD: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """What one host counted."""

    inventory: HostInventory
    readings: Sequence[Reading]
    moments_ns: Sequence[int]
    """Wall-clock time of each reading; empty where it is not told."""
    is_assumed: bool = False
    """Whether the readings were only taken to be of one host."""


def with_partners(findings: Sequence[Finding], hosts: Iterable[HostCounts]) -> tuple[Finding, ...]:
    """Return the findings, those of losses that one damaged port probably explains told with it."""
    damages = [each for each in findings if each.detector == PHYSICAL and each.severity is not Severity.WARNS]
    if not damages:
        return tuple(findings)
    ports = {port: each for host in hosts for port, each in _ports(host).items()}
    losses = [each for each in findings if each.detector == COUNTERS and _subject(each) in ports]
    causes = sum(each.detector in OTHER_CAUSES and each.severity is not Severity.WARNS for each in findings)
    near = {
        id(loss): [each for each in damages if _may_explain(ports.get(_subject(each)), ports[_subject(loss)])]
        for loss in losses
    }
    victims = []
    if len(damages) == causes == 1 and not any(port.grown(DROPS) for port in ports.values()):
        [damage] = damages
        victims = _victims(damage, [each for each in losses if near[id(each)]], ports)
    return tuple(
        _with_victims(each, victims, ports) if each in damages and victims else _after(each, near.get(id(each), ()))
        for each in findings
        if all(each is not victim for victim in victims)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    host: HostCounts
    windows: list[dict[Meaning, int]] = field(default_factory=list)
    """Growth between each two readings; a meaning that is not counted is absent."""
    link_layer: str | None = None

    def grown(self, meanings: Iterable[Meaning]) -> int:
        """Return growth over all windows."""
        return sum(window.get(each, 0) for each in meanings for window in self.windows)

    def when(self, meanings: Iterable[Meaning]) -> set[int]:
        """Return in which windows any of these grew."""
        wanted = tuple(meanings)
        return {at for at, window in enumerate(self.windows) if any(window.get(each) for each in wanted)}

    def counts(self, meaning: Meaning) -> bool:
        """Return whether growth of this was told."""
        return any(meaning in window for window in self.windows)

    def span(self, window: int) -> tuple[int, int] | None:
        """Return when a window began and ended; None where that is not told."""
        moments = self.host.moments_ns
        return (moments[window], moments[window + 1]) if moments else None


def _ports(host: HostCounts) -> dict[str, _Port]:
    """Return the ports of a host by what findings call them."""
    carried = {port.netdev: port.name for port in host.inventory.rdma_ports if port.netdev is not None}
    layers = {port.name: port.link_layer for port in host.inventory.rdma_ports}
    found: dict[str, _Port] = {}
    count = len(host.readings) - 1
    for at, (before, after) in enumerate(pairwise(host.readings)):
        for name, growth in growth_between(before.values, after.values).grown.items():
            key = key_of(name)
            counter = None if key is None else counter_of(key.origin, key.name)
            if key is None or counter is None or counter.meaning is None:
                continue
            port = port_name(key, carried)
            subject = f"{host.inventory.host} {port}"
            if subject not in found:
                found[subject] = _Port(host=host, windows=[{} for _ in range(count)], link_layer=layers.get(port))
            window = found[subject].windows[at]
            window[counter.meaning] = window.get(counter.meaning, 0) + growth
    return found


def _subject(finding: Finding) -> str:
    """Return the one that a finding names; nothing where it names several."""
    return finding.subjects[0] if len(finding.subjects) == 1 else ""


def _may_explain(damaged: _Port | None, losing: _Port) -> bool:
    """Return whether a damaged port may have taken any of what a port lost: another host's, in the same time."""
    if damaged is None or damaged.host is losing.host:
        return False
    if None not in (layers := {damaged.link_layer, losing.link_layer}) and len(layers) > 1:
        return False
    # A peer says that a packet is missing after it has found a hole itself.
    is_told_by_it = not damaged.counts(Meaning.OUT_OF_SEQUENCE) or damaged.grown((Meaning.OUT_OF_SEQUENCE,)) > 0
    if losing.grown((Meaning.SEQUENCE_NAK,)) and not is_told_by_it:
        return False
    lost, hurt = losing.when(LOST_ON_THE_WAY), damaged.when(OF_LINK)
    return bool(lost) and all(any(_is_same_time(damaged, own, losing, at) for own in hurt) for at in lost)


def _is_same_time(one: _Port, own: int, other: _Port, at: int) -> bool:
    """Return whether two windows overlap; without times the n-th of one host is taken for the n-th of the other."""
    span, other_span = one.span(own), other.span(at)
    if span is None or other_span is None:
        return len(one.windows) == len(other.windows) and own == at
    return span[0] <= other_span[1] + SPREAD_NS and other_span[0] <= span[1] + SPREAD_NS


def _victims(damage: Finding, losses: Iterable[Finding], ports: Mapping[str, _Port]) -> list[Finding]:
    """Return the losses that damage explains as a whole, in kind and number."""
    damaged = ports[_subject(damage)]
    most = damaged.grown(OF_LINK)
    own = [each for each in losses if _is_all_explained(each, ports[_subject(each)], most)]
    is_enough = sum(ports[_subject(each)].grown(ONCE_A_PACKET) for each in own) <= most
    return own if is_enough and not damaged.host.is_assumed else []


def _is_all_explained(loss: Finding, losing: _Port, most: int) -> bool:
    told = {_meaning(fact) for fact in loss.facts}
    return told <= LOST_ON_THE_WAY and losing.grown(ONCE_A_PACKET) <= most and not losing.host.is_assumed


def _meaning(fact: Fact) -> Meaning | None:
    """Return what the counter tells that a fact of a finding of counters is about."""
    name = fact.metric.rpartition(" ")[2]
    return next((each.meaning for origin in Origin if (each := counter_of(origin, name)) is not None), None)


def _with_victims(damage: Finding, victims: Sequence[Finding], ports: Mapping[str, _Port]) -> Finding:
    told = [_fact(each, ports[_subject(damage)], ports[_subject(each)]) for each in victims[:MOST_TOLD]]
    if rest := victims[MOST_TOLD:]:
        names = listed(subject for each in rest for subject in each.subjects)
        told.append(replace(told[-1], metric="probably lost to it", observed=f"{len(rest)} more ports alike: {names}"))
    what = "port" if len(victims) == 1 else "ports"
    return replace(
        damage,
        summary=f"{damage.summary}; probably also why {len(victims)} other {what} lost packets in the same time",
        facts=(*damage.facts, *told),
    )


def _fact(loss: Finding, damaged: _Port, losing: _Port) -> Fact:
    is_timed = bool(damaged.host.moments_ns and losing.host.moments_ns)
    when = "in the same time" if is_timed else "in the same time if the readings are of one test"
    return Fact(
        metric=f"{_subject(loss)} probably lost to it",
        observed=loss.summary,
        expected="–",
        basis=f"no other cause of loss in these files, {when}; who sent to whom is not told",
    )


def _after(loss: Finding, damages: Sequence[Finding]) -> Finding:
    """Return a loss that begins with damage elsewhere, where that may have a part in it."""
    if not damages:
        return loss
    names = listed(dict.fromkeys(_subject(each) for each in damages))
    first = f"damage was seen at {names}, and may be a part of this: mend that first, then read again"
    return replace(loss, next_action=f"{first}; {loss.next_action}" if loss.next_action else first)
