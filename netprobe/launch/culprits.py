"""From a roll call to who is taken out of the run; pure.

In this order, since each explains what follows: hosts that do not answer; processes that are gone, stopped, or blocked
in the kernel; hosts where the launcher started none; paths on which nothing passes, or nothing of a whole MTU; a
process that does nothing at all while the others turn in their calls; a fabric that fails most hosts; a rank that is
elsewhere while its partner measures. A pair that is stuck though both of its hosts answer is taken out as a pair: one
partner's word is not enough against a host. Where no pair measures and all wait for a path that is silent, one of its
ends is set aside. Every conclusion takes out a host or a pair that was still in, or ends the run: no halt comes twice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.launch.lost import Lost, lost_rank
from netprobe.launch.rollcall import RollCall
from netprobe.locate.cuts import cuts, widespread
from netprobe.locate.silence import Silence, lone_silences
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
    fabric: str | None = None
    """What is lost between most hosts, in words: nobody is taken out, and launching again would come to the same."""


def conclude(
    call: RollCall, halt: Halt, names: Mapping[str, str], avoided: Sequence[tuple[str, str]] = ()
) -> Conclusion:
    """Return who is to be taken out; nobody when nobody can be told.

    ``names`` gives what the ranks of a host call it, by the launcher's name for it; ``avoided`` are the pairs that
    earlier halts took out.
    """
    benched = evident(call, halt, names) or unstarted(call, halt) or _cut_off(call) or _asleep(call)
    if benched:
        return Conclusion(benched=tuple(_placed(each, halt, names, call) for each in benched))
    common = widespread(call.paths)
    if common:
        return Conclusion(fabric=common[0].words)
    stuck = _stuck(call, halt, names, avoided)
    if stuck.benched or stuck.avoided:
        return _two_agree(stuck, halt, names, avoided)
    return Conclusion(benched=tuple(_placed(each, halt, names, call) for each in _aside(call)))


def evident(call: RollCall, halt: Halt, names: Mapping[str, str]) -> list[Benched]:
    """Return the hosts that can be named without asking for more: neither late ones nor paths."""
    return (
        _silent_hosts(call) or _lost_ranks(call, halt, names) or _missing_ranks(call, halt, names) or _idle(call)
    )  # fmt: skip


def unstarted(call: RollCall, halt: Halt) -> list[Benched]:
    """Return the hosts without a process while most others have one, of a job whose ranks have not met."""
    if halt.is_over or halt.ranks:
        return []
    started = call.started
    absent = [each.host for each in call.hosts if each.report is not None and each.host not in started]
    if len(absent) >= len(started):
        return []
    detail = f"the launcher started no process there, though it did on {len(started)} others"
    return [Benched(host=host, fate=Fate.UNUSABLE, detail=detail) for host in absent]


def _silent_hosts(call: RollCall) -> list[Benched]:
    return [
        Benched(host=each.host, fate=Fate.UNREACHABLE, detail=each.error)
        for each in call.hosts
        if each.report is None and not each.is_late
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
    missing = [
        Benched(host=each.host, fate=Fate.GONE, detail="its process is no longer there")
        for each in call.hosts
        if each.report is not None and len(each.report.ranks) < expected.get(names.get(each.host, each.host), 0)
    ]
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

    A network on which nothing at all is answered filters what was sent, and says nothing; where most hosts are outside,
    it is none of them.
    """
    for cut in cuts(call.paths):
        if not cut.is_widespread:
            paths = [path for path in call.paths if path.network == cut.network]
            is_full = cut.silence is Silence.LARGE
            return [_cut_off_host(host, paths, is_full=is_full) for host in cut.outside]
    return []


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


def _stuck(call: RollCall, halt: Halt, names: Mapping[str, str], avoided: Sequence[tuple[str, str]]) -> Conclusion:
    """Return further pairs that measure and do not move, or hosts that are elsewhere while their partner measures."""
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
    known = {(min(pair), max(pair)) for pair in avoided}
    return Conclusion(avoided=tuple(pair for pair in pairs if pair[0] != pair[1] and pair not in known))


def _aside(call: RollCall) -> list[Benched]:
    """Return one end of each path that is silent: no pair measures on it, so it is what all ranks wait for.

    Collectives, and the library's own meetings before and after each round, take whatever paths they like: avoiding
    pairs does not help. The first host of the two stays.
    """
    order = {each.host: index for index, each in enumerate(call.hosts)}
    found: dict[str, Benched] = {}
    silences = lone_silences(call.paths, ())
    for pair in sorted(silences, key=lambda pair: sorted(order[host] for host in pair)):
        stays, goes = sorted(pair, key=order.__getitem__)
        if stays in found or goes in found:
            continue
        lost = "packets of a whole MTU vanish" if silences[pair] is Silence.LARGE else "nothing passes"
        detail = f"{lost} between it and {stays}, so all ranks waited, and the rest was measured without it"
        found[goes] = Benched(host=goes, fate=Fate.ASIDE, detail=detail)
    return list(found.values())


def _two_agree(
    conclusion: Conclusion, halt: Halt, names: Mapping[str, str], before: Sequence[tuple[str, str]]
) -> Conclusion:
    """Return the conclusion with hosts that were stuck with two partners taken out themselves.

    A partner that has been taken out since explains the pairs that it was in.
    """
    present = set(names.values())
    pairs = {frozenset(pair) for pair in (*before, *conclusion.avoided) if present.issuperset(pair)}
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
