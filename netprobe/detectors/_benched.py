"""Phrases for hosts that were taken out of a run, shared by the detectors that name them."""

from netprobe.detectors._words import on_hosts
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Fact
from netprobe.model.standing import Benched, Fate, StuckPair
from netprobe.units import format_duration


def are_most_out(evidence: Evidence) -> bool:
    """Return whether so many hosts were taken out that something else is wrong: a launcher, a key, a file system."""
    out = failed(evidence)
    known = out | {rank.host for rank in evidence.ranks}
    return 2 * len(out) > len(known)


def failed(evidence: Evidence) -> frozenset[str]:
    """Return the hosts that were taken out for what they did themselves."""
    return frozenset(each.host for each in evidence.benched if each.fate is not Fate.ASIDE)


def stuck_alone(evidence: Evidence) -> tuple[StuckPair, ...]:
    """Return the pairs that got stuck, and of which neither host was found out later."""
    out = failed(evidence)
    return tuple(pair for pair in evidence.stuck_pairs if out.isdisjoint(pair.hosts))


def set_aside(pair: tuple[str, str], evidence: Evidence) -> Benched | None:
    """Return the end of a silent path that was left out so that the rest could be measured; None when none was."""
    return next((each for each in evidence.benched if each.fate is Fate.ASIDE and each.host in pair), None)


def aside_words(aside: Benched | None) -> str:
    """Return the end of a sentence about a path, of which one end was set aside."""
    return "" if aside is None else f"; {aside.host} was set aside{where(aside)}, so that the rest could be measured"


def where(benched: Benched) -> str:
    """Return where the run was: `` in bandwidth-between-hosts, round 3, with node2``; empty before the ranks met."""
    if benched.stage is None:
        return "" if not benched.ranks else " before the first round"
    partners = f", with {', '.join(benched.peers)}" if benched.peers else ""
    return f" in {benched.stage}, round {_number(benched.round_index)}{partners}"


def facts(benched: Benched) -> tuple[Fact, ...]:
    """Return what was seen, and the last sign of life."""
    seen = Fact(metric=str(benched.fate), observed=benched.detail, expected="an answer", basis="the roll call")
    if not benched.ranks:
        return (seen,)
    last = "none" if benched.last_stage is None else f"{benched.last_stage}, round {_number(benched.last_round_index)}"
    return (
        seen,
        Fact(
            metric="last finished round",
            observed=last,
            expected="all rounds",
            basis=f"nothing came for {format_duration(benched.waited_ns)}, then the hosts were asked",
        ),
    )


def retest(benched: Benched, evidence: Evidence) -> str:
    """Return the command that tries the host again, with two that are good where there are any."""
    out = {each.host for each in evidence.benched}
    good = [host for host in dict.fromkeys(rank.host for rank in evidence.ranks) if host not in out]
    return on_hosts("netprobe check", (benched.host, *good[:2]))


def _number(round_index: int | None) -> str:
    return "unknown" if round_index is None else str(round_index + 1)
