"""Who still answers, and in what state? Asked of all hosts of a job that has gone silent, past its MPI.

Bounded: whatever is dead or stopped, the answer is there after a few seconds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.errors import FormatError
from netprobe.launch.pathcheck import Target
from netprobe.launch.reach import python_words
from netprobe.launch.remote import THREAD_DESCRIPTORS, TIMED_OUT, Answer, Ask, at_once
from netprobe.model.standing import HostReport, HostStanding, PathAnswer, RankState
from netprobe.store.encoding import from_json, json_line
from netprobe.store.whereabouts import OPENING

STANDING_TIMEOUT_S: Final = 5  # an interpreter's start and a second between two looks
LATE_TIMEOUT_S: Final = 20  # an interpreter's start on a host whose processors are all taken
PATHS_TIMEOUT_S: Final = 8
ALL_TO_ALL: Final = 16  # hosts; beyond, each asks those at distances of powers of two, on both sides
MOVING_BYTES: Final = 1 << 18  # in a second; what asking costs is a tenth of it


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCall:
    """What the hosts of a job said."""

    hosts: tuple[HostStanding, ...]
    paths: tuple[PathAnswer, ...] = ()

    @property
    def has_steps(self) -> bool:
        """Whether a rank got on with its calls: then the job is slow, and not stuck."""
        return any(_has_stepped(each.report) for each in self.hosts if each.report is not None)

    @property
    def has_traffic(self) -> bool:
        """Whether bytes move: a slow transfer between ranks, or somebody else's."""
        return any(each.report.moved_bytes > MOVING_BYTES for each in self.hosts if each.report is not None)

    @property
    def has_idle_rank(self) -> bool:
        """Whether a rank is stopped, blocked or dead: then waiting for the others to move is in vain."""
        return any(
            rank.state is not RankState.RUNS
            for each in self.hosts
            if each.report is not None
            for rank in each.report.ranks
        )

    @property
    def is_opening(self) -> bool:
        """Whether a rank opens its GPU, which takes longer than hosts may be silent, and none is stopped or gone."""
        ranks = [rank for each in self.hosts if each.report is not None for rank in each.report.ranks]
        goes_on = all(rank.state in (RankState.RUNS, RankState.BLOCKED) for rank in ranks)
        return goes_on and any(rank.position is not None and rank.position.stage == OPENING for rank in ranks)

    @property
    def started(self) -> frozenset[str]:
        """The hosts with a process of the job."""
        return frozenset(each.host for each in self.hosts if each.report is not None and each.report.ranks)

    @property
    def late(self) -> tuple[str, ...]:
        """The hosts that let somebody in and may have been given too little time."""
        return tuple(each.host for each in self.hosts if each.is_late)

    @property
    def has_yet_to_start(self) -> bool:
        """Whether a host has no rank yet, or one that has not noted where it is: its interpreter still starts."""
        reports = [each.report for each in self.hosts if each.report is not None]
        return any(
            not report.ranks or any(rank.position is None and rank.state is RankState.RUNS for rank in report.ranks)
            for report in reports
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How to ask the hosts of a job."""

    ask: Ask
    python: str
    environ: Mapping[str, str]

    def roll_call(self, hosts: Sequence[str], mark: str) -> RollCall:
        """Return how the ranks of the job with this mark stand on each host."""
        answers = self.ask(hosts, self._standing_words(mark), STANDING_TIMEOUT_S)
        return RollCall(hosts=tuple(_standing(host, answers[host], may_be_late=True) for host in hosts))

    def with_late(self, call: RollCall, mark: str) -> RollCall:
        """Return the roll call with what late hosts said when they were asked again and for longer; none is late now.

        A host that let us in and did not get ready may be busy. Dead ones are told by ssh, and sooner.
        """
        if not call.late:
            return call
        answers = self.ask(call.late, self._standing_words(mark), LATE_TIMEOUT_S)
        return replace(
            call, hosts=tuple(_standing(each.host, answers[each.host]) if each.is_late else each for each in call.hosts)
        )

    def with_paths(self, call: RollCall) -> RollCall:
        """Return the roll call with what was asked of the paths between hosts that answered."""
        targets = path_targets(call)
        code = "from netprobe.launch.pathcheck import main; main(sys.argv[1])"
        paths: list[PathAnswer] = []
        # The argument differs from host to host, so hosts are asked in their own words; all of them at once.
        words = {
            host: python_words(self.python, self.environ, code, json_line(each).decode())
            for host, each in targets.items()
        }
        for answer in ask_each(self.ask, words, PATHS_TIMEOUT_S).values():
            paths.extend(_decoded_paths(answer))
        return replace(call, paths=tuple(paths))

    def end(self, hosts: Sequence[str], mark: str) -> None:
        """End what is left of a job on its hosts: a launcher that was killed leaves stopped ranks for ever."""
        code = "from netprobe.launch.processes import end_job; end_job(sys.argv[1])"
        self.ask(hosts, python_words(self.python, self.environ, code, mark), STANDING_TIMEOUT_S)

    def _standing_words(self, mark: str) -> tuple[str, ...]:
        code = "from netprobe.launch.standing import main; main(sys.argv[1])"
        return python_words(self.python, self.environ, code, mark)


def ask_each(ask: Ask, words: Mapping[str, Sequence[str]], timeout_s: int) -> dict[str, Answer]:
    """Ask each host its own question, all at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=at_once(len(words), THREAD_DESCRIPTORS)) as pool:
        asked = {host: pool.submit(ask, (host,), argv, timeout_s) for host, argv in words.items()}
        return {host: each.result()[host] for host, each in asked.items()}


def path_targets(call: RollCall) -> dict[str, list[Target]]:
    """Return whom each host is to try: everybody in a small job, enough to see blocks in a large one.

    Only over networks on which both have an address: one that is not routed leads nowhere from elsewhere, and that
    is no fault. Does not handle: hosts that reach each other by a router alone; nothing is asked of their paths.
    """
    reports = {each.host: each.report for each in call.hosts if each.report is not None}
    addresses = Counter(interface.address for report in reports.values() for interface in report.interfaces)
    networks = {host: {each.network for each in report.interfaces} for host, report in reports.items()}
    found: dict[str, list[Target]] = {}
    for src, dst in _pairs(tuple(reports)):
        # An address that several hosts have is one of a bridge for containers, and leads nowhere.
        found.setdefault(src, []).extend(
            Target(src=src, dst=dst, address=each.address, network=each.network)
            for each in reports[dst].interfaces
            if addresses[each.address] == 1 and each.network in networks[src]
        )
    return found


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return who asks whom: always both directions, since silence in one alone says nothing."""
    count = len(names)
    if count <= ALL_TO_ALL:
        return [(src, dst) for src in names for dst in names if src != dst]
    steps = [1 << power for power in range(count.bit_length()) if 1 << power < count]
    distances = sorted({distance % count for step in steps for distance in (step, -step)})
    return [(names[i], names[(i + distance) % count]) for i in range(count) for distance in distances]


def _standing(host: str, answer: Answer, *, may_be_late: bool = False) -> HostStanding:
    if answer.code != 0 or not answer.lines:
        # One that ends well and says nothing ended as its time did: what it said was not read any more.
        is_late = may_be_late and answer.code in (TIMED_OUT, 0)
        return HostStanding(host=host, report=None, error=answer.why, is_late=is_late)
    try:
        return HostStanding(host=host, report=from_json(answer.lines[-1].encode(), HostReport))
    except FormatError as error:
        return HostStanding(host=host, report=None, error=f"its answer cannot be read: {error}")


def _decoded_paths(answer: Answer) -> tuple[PathAnswer, ...]:
    if answer.code != 0 or not answer.lines:
        return ()
    try:
        return from_json(answer.lines[-1].encode(), tuple[PathAnswer, ...])
    except FormatError:
        return ()  # no answer says nothing of a path


def _has_stepped(report: HostReport) -> bool:
    before = {rank.pid: rank.position for rank in report.before}
    return any(
        rank.position is not None
        and (earlier := before.get(rank.pid)) is not None
        and rank.position.steps != earlier.steps
        for rank in report.ranks
    )
