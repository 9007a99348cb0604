"""Links of an InfiniBand subnet that trained slower or narrower than their like, or than both ends could."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from netprobe.detectors._fleet import Usual, usual
from netprobe.detectors._words import is_common, listed
from netprobe.detectors.link_downgrade import ID
from netprobe.judge.benchmarks import Note
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.subnet import SubnetLink

KINDS: Final = {0: "links between hosts", 1: "links of hosts to switches", 2: "links between switches"}
"""By how many ends are switches: only those of one kind are alike."""


def subnet_answers(links: Sequence[SubnetLink]) -> Iterator[Finding | Gap | Note]:
    """Yield what is wrong with links, what cannot be told, and what there is; of one link the last reading counts."""
    latest = {tuple((end.lid, end.port) for end in link.ends): link for link in links}
    for kind, what in KINDS.items():
        own = [link for link in latest.values() if sum(end.is_switch for end in link.ends) == kind]
        if own:
            yield from _of_kind(own, what)


def is_comparable(links: Sequence[SubnetLink]) -> bool:
    """Return whether anything can be said of a link: there are some of its kind, or its ends tell what they could."""
    kinds = Counter(sum(end.is_switch for end in link.ends) for link in links if link.lane_gbps is not None)
    return any(usual([kind] * count) is not None for kind, count in kinds.items()) or any(
        each.could_be for each in links
    )


def _of_kind(links: Sequence[SubnetLink], what: str) -> Iterator[Finding | Gap | Note]:
    shown = Counter(link.shown for link in links)
    yield Note(subject="subnet", text=f"{what}: " + ", ".join(f"{n} at {each}" for each, n in shown.most_common()))
    known = [link for link in links if link.lane_gbps is not None]
    most = usual(link.shown for link in known)
    expected = next((_rate_gbps(link) for link in known if most is not None and link.shown == most.value), 0.0)
    slow = [link for link in known if _rate_gbps(link) < expected]
    is_mixed = most is None and len(known) > 1 and len({link.shown for link in known}) > 1
    if is_mixed or is_common(len(slow), len(known)):
        yield Gap(
            topic=ID,
            reason=f"{what} came up at {listed(each for each, _ in shown.most_common())}, many at each, so none can be "
            "told to be too slow: hosts or switches of several kinds, or many bad links",
            remedy="iblinkinfo says of each link what both ends could do",
        )
        slow = []
    for link in links:
        if link.could_be is not None or link in slow:
            yield _slower(link, what, most)
    if len(known) < len(links):
        yield Gap(topic=ID, reason=f"{len(links) - len(known)} {what} do not tell a speed that is known")


def _rate_gbps(link: SubnetLink) -> float:
    return link.width * (link.lane_gbps or 0.0)


def _slower(link: SubnetLink, what: str, most: Usual[str] | None) -> Finding:
    one, other = link.ends
    hosts = [end for end in link.ends if not end.is_switch]
    at = next((end for end in link.ends if end.is_switch), one)
    if link.could_be is not None:
        against, expected, basis = f"both ends could do {link.could_be}", link.could_be, "what both ends can do"
    else:
        value, count = ("", 0) if most is None else (most.value, most.count)
        against, expected, basis = f"{count} other {what} have {value}", value, f"most {what}"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if link.could_be is not None else Confidence.MEDIUM,
        subjects=tuple(end.subject for end in hosts or link.ends),
        hosts=(),  # a node's description need not be a host's name
        summary=f"the link {one.subject} - {other.subject} came up at {link.shown}, where {against}",
        facts=(Fact(metric=f"{one.subject} - {other.subject}", observed=link.shown, expected=expected, basis=basis),),
        next_action="reseat, then replace the cable or optic; "
        f"`ibportstate {at.lid} {at.port} reset` lets the link train again, and breaks what runs on it",
    )
