"""From a roll call to who is taken out of the run; pure.

In this order, since each explains what follows: hosts that do not answer; processes that are gone, stopped, or blocked
in the kernel; paths on which nothing passes, or nothing of a whole MTU; a process that does nothing at all while the
others turn in their calls; a rank that is elsewhere while its partner measures. A pair that is stuck though both of its
hosts and the path between them answer is taken out as a pair: one partner's word is not enough against a host.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.launch.lost import Lost, lost_rank
from netprobe.launch.rollcall import RollCall
from netprobe.locate.silence import lone_silences, lost_large, silent_both_ways
from netprobe.model.endpoint import Rank
from netprobe.model.standing import Benched, Fate, HostStanding, PathAnswer, Position, RankStanding, RankState

AGREEING: Final = 2  # partners with which a host was stuck: one alone would be as guilty
_FATES: Final = {RankState.STOPPED: Fate.STOPPED, RankState.BLOCKED: Fate.BLOCKED, RankState.GONE: Fate.GONE}
_SEEN_AS: Final = {RankState.STOPPED: "stopped (state T)", RankState.BLOCKED: "blocked in the kernel (state D)",
                   RankState.GONE: "a zombie"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """How a launch came to its end, as its supervisor saw it."""

    stage: str | None
    round_index: int | None
    last_stage: str | None
    last_round_index: int | None
    waited_ns: int
    ranks: tuple[Rank, ...]
    """Those of the launch, by the run's numbers, in MPI's order; empty when they never met."""
    lines: tuple[str, ...] = ()
    """The launcher's last lines."""
    is_over: bool = False
    """Whether the launcher had ended: then it has ended the other ranks too, and absence says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Who is to be taken out."""

    benched: tuple[Benched, ...] = ()
    """By the launcher's names."""
    avoided: tuple[tuple[str, str], ...] = ()
    """Pairs of hosts, by the ranks' names, that are not to be tried again."""


def conclude(
    call: RollCall, halt: Halt, names: Mapping[str, str], avoided: Sequence[tuple[str, str]] = ()
) -> Conclusion:
    """Return who is to be taken out; nobody when nobody can be told.

    ``names`` gives what the ranks of a host call it, by the launcher's name for it; ``avoided`` are the pairs that
    earlier halts took out.
    """
    for found in (_silent_hosts(call), _lost_ranks(call, halt, names), _missing_ranks(call, halt, names), _idle(call)):
        if found:
            return Conclusion(benched=tuple(_placed(each, halt, names, call) for each in found))
    benched = _cut_off(call) or _asleep(call)
    if benched:
        return Conclusion(benched=tuple(_placed(each, halt, names, call) for each in benched))
    return _two_agree(_stuck(call, halt, names), halt, names, avoided)


def _silent_hosts(call: RollCall) -> list[Benched]:
    return [
        Benched(host=each.host, fate=Fate.UNREACHABLE, detail=each.error) for each in call.hosts if each.report is None
    ]


def _lost_ranks(call: RollCall, halt: Halt, names: Mapping[str, str]) -> list[Benched]:
    # A job that was ended because it hung has ranks that were ended for that: what was said of them says nothing.
    lost = lost_rank(halt.lines) if halt.is_over else None
    if lost is None:
        return []
    host = _host_of(lost, halt, names)
    if host is None or all(each.host != host for each in call.hosts):
        return []
    return [Benched(host=host, fate=Fate.GONE, detail=lost.how)]


def _host_of(lost: Lost, halt: Halt, names: Mapping[str, str]) -> str | None:
    if lost.rank is not None and lost.rank < len(halt.ranks):
        called = halt.ranks[lost.rank].host
        return next((host for host, name in names.items() if name == called), None)
    return next((host for host, name in names.items() if lost.host in (host, name)), None)


def _missing_ranks(call: RollCall, halt: Halt, names: Mapping[str, str]) -> list[Benched]:
    """Return hosts that have fewer processes than they had, while the job still runs elsewhere."""
    if halt.is_over or not halt.ranks:
        return []
    expected = {name: sum(rank.host == name for rank in halt.ranks) for name in names.values()}
    missing = []
    for each in call.hosts:
        there = 0 if each.report is None else len(each.report.ranks)
        if there < expected.get(names.get(each.host, each.host), 0):
            missing.append(Benched(host=each.host, fate=Fate.GONE, detail="its process is no longer there"))
    return missing if len(missing) < len(call.hosts) else []


def _idle(call: RollCall) -> list[Benched]:
    """Return hosts with a process that was stopped or blocked at both looks."""
    found = []
    for each in call.hosts:
        for rank in () if each.report is None else each.report.ranks:
            before = {earlier.pid: earlier.state for earlier in each.report.before} if each.report else {}
            if rank.state in _FATES and before.get(rank.pid) is rank.state:
                detail = f"process {rank.pid} is {_SEEN_AS[rank.state]}"
                found.append(Benched(host=each.host, fate=_FATES[rank.state], detail=detail))
                break
    return found


def _cut_off(call: RollCall) -> list[Benched]:
    """Return the hosts outside the largest set of hosts that all reach each other, for the first network that splits.

    A network on which nothing at all is answered filters what was sent, and says nothing.
    """
    for network in dict.fromkeys(path.network for path in call.paths):
        paths = [path for path in call.paths if path.network == network]
        if not any(path.small for path in paths):
            continue
        for is_full in (False, True):
            outside = _outside_largest(paths, is_full=is_full)
            if outside:
                return [_cut_off_host(host, paths, is_full=is_full) for host in outside]
    return []


def _outside_largest(paths: Sequence[PathAnswer], *, is_full: bool) -> list[str]:
    """Return the hosts that do not belong to the largest group between whose members packets pass both ways.

    Greedy: the host with most silent paths goes first, until no silent path is left between those that stay. Where two
    halves are cut apart, the half with the first host stays.
    """
    silent = lost_large(paths) if is_full else silent_both_ways(paths)
    if not silent:
        return []
    hosts = list(dict.fromkeys(host for path in paths for host in (path.src, path.dst)))
    links = {frozenset((path.src, path.dst)) for path in paths} - {frozenset(pair) for pair in silent}
    largest = max(_components(hosts, links), key=len)
    split = [host for host in hosts if host not in largest]
    if split and len(split) < len(hosts) - 1:
        return split
    return _most_silent(hosts, silent)


def _components(hosts: Sequence[str], links: Iterable[frozenset[str]]) -> list[list[str]]:
    group = {host: [host] for host in hosts}
    for link in links:
        first, second = (group[host] for host in sorted(link, key=hosts.index))
        if first is not second:
            first.extend(second)
            for host in second:
                group[host] = first
    return list({id(members): members for members in (group[host] for host in hosts)}.values())


def _most_silent(hosts: Sequence[str], silent: set[tuple[str, str]]) -> list[str]:
    """Return hosts that are silent with at least two others; a single silent pair is a path, and nobody's fault."""
    out: list[str] = []
    left = {frozenset(pair) for pair in silent}
    while left:
        counts = Counter(host for pair in left for host in pair)
        worst = max(hosts, key=lambda host: counts[host])
        if counts[worst] < 2:
            break
        out.append(worst)
        left = {pair for pair in left if worst not in pair}
    return out


def _cut_off_host(host: str, paths: Sequence[PathAnswer], *, is_full: bool) -> Benched:
    own = [path for path in paths if host in (path.src, path.dst)]
    if is_full:
        lost = [path for path in own if path.small and path.full is False]
        size = max((path.mtu_bytes for path in lost), default=0)
        detail = (
            f"packets of {size} bytes vanish on {len(lost)} of {len(own)} paths of {own[0].network}, small ones pass"
        )
        return Benched(host=host, fate=Fate.BLACK_HOLE, detail=detail)
    lost = [path for path in own if not path.small]
    detail = f"{len(lost)} of {len(own)} paths of {own[0].network} give no answer, though the host itself does"
    return Benched(host=host, fate=Fate.CUT_OFF, detail=detail)


def _asleep(call: RollCall) -> list[Benched]:
    """Return hosts with a process that did nothing at all between the looks, while most others turned in their calls.

    A rank that waits in MPI asks again and again whether something came. One that was frozen, or that waits in another
    call, does not. Where all of them rest, the library waits without asking, and rest says nothing.
    """
    resting = [(host, rank) for host, rank, moved in _activities(call) if not moved]
    turning = [host for host, _, moved in _activities(call) if moved]
    if len(resting) >= len(turning):
        return []
    found = {
        host: Benched(host=host, fate=Fate.IDLE, detail=f"process {rank.pid} is not stopped, and takes no CPU time")
        for host, rank in resting
    }
    return list(found.values())


def _activities(call: RollCall) -> Iterator[tuple[str, RankStanding, bool]]:
    """Yield each rank that runs and may be told from one that rests, with its host, and whether it did anything."""
    for host in call.hosts:
        before = {} if host.report is None else {rank.pid: rank.activity for rank in host.report.before}
        for rank in () if host.report is None else host.report.ranks:
            earlier = before.get(rank.pid)
            if rank.state is RankState.RUNS and earlier is not None and rank.activity is not None:
                yield host.host, rank, rank.activity != earlier


def _stuck(call: RollCall, halt: Halt, names: Mapping[str, str]) -> Conclusion:
    """Return the pairs that measure and do not move, and hosts that are elsewhere while their partner measures."""
    standing = {
        each.position.rank: (host, each, each.position)
        for host in call.hosts
        if host.report is not None
        for each in host.report.ranks
        if each.position is not None and each.position.rank is not None
    }
    benched: dict[str, Benched] = {}
    pairs: dict[tuple[str, str], None] = {}
    for rank, (_, _, position) in standing.items():
        if not position.is_measuring or position.peer is None or position.peer not in standing:
            continue
        host, peer, theirs = standing[position.peer]
        if theirs.is_measuring and theirs.peer == rank:
            pair = sorted((position.host, theirs.host))
            pairs[pair[0], pair[1]] = None
        elif not _is_past(theirs, position):
            benched[host.host] = _placed(_still(host, peer, position), halt, names, call)
    if benched:
        return Conclusion(benched=tuple(benched.values()))
    if not pairs:  # nobody measures: then the path that is silent is what all wait for
        called = {host: names.get(host, host) for path in call.paths for host in (path.src, path.dst)}
        pairs = {(called[src], called[dst]): None for src, dst in lone_silences(call.paths, ())}
    return Conclusion(avoided=tuple(pair for pair in pairs if pair[0] != pair[1]))


def _two_agree(
    conclusion: Conclusion, halt: Halt, names: Mapping[str, str], before: Sequence[tuple[str, str]]
) -> Conclusion:
    """Return the conclusion with hosts that were stuck with two partners taken out themselves."""
    pairs = {frozenset(pair) for pair in (*before, *conclusion.avoided)}
    partners = Counter(host for pair in pairs for host in pair)
    now = {host for pair in conclusion.avoided for host in pair}
    agreed = {host for host in now if partners[host] >= AGREEING}
    benched = tuple(
        Benched(
            host=host,
            fate=Fate.STUCK,
            detail=f"stuck with {partners[name]} partners",
            ranks=tuple(rank.rank for rank in halt.ranks if rank.host == name),
            stage=halt.stage,
            round_index=halt.round_index,
            waited_ns=halt.waited_ns,
        )
        for host, name in names.items()
        if name in agreed
    )
    left = tuple(pair for pair in conclusion.avoided if not agreed & set(pair))
    return Conclusion(benched=(*conclusion.benched, *benched), avoided=left)


def _is_past(theirs: Position, own: Position) -> bool:
    """Return whether a partner has done its part: then it waits, and it is not to blame."""
    return (theirs.stage, theirs.round_index) == (own.stage, own.round_index) and not theirs.is_measuring


def _still(host: HostStanding, rank: RankStanding, partner: Position) -> Benched:
    detail = f"process {rank.pid} does not move while {partner.host} waits for it"
    return Benched(host=host.host, fate=Fate.STUCK, detail=detail)


def _placed(benched: Benched, halt: Halt, names: Mapping[str, str], call: RollCall) -> Benched:
    """Return the entry with where the run was, and whom the host was measuring with."""
    called = names.get(benched.host, benched.host)
    own = {rank.rank for rank in halt.ranks if rank.host == called}
    hosts = {rank.rank: rank.host for rank in halt.ranks}
    positions = [
        rank.position
        for each in call.hosts
        if each.report is not None
        for rank in each.report.ranks
        if rank.position is not None and rank.position.is_measuring and rank.position.peer is not None
    ]
    peers = [hosts[each.peer] for each in positions if each.rank in own and each.peer in hosts]
    peers += [each.host for each in positions if each.peer in own]
    return replace(
        benched,
        ranks=tuple(sorted(own)),
        stage=halt.stage,
        round_index=halt.round_index,
        peers=tuple(dict.fromkeys(peers)),
        last_stage=halt.last_stage,
        last_round_index=halt.last_round_index,
        waited_ns=halt.waited_ns,
    )
