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
from netprobe.launch.remote import AT_ONCE, TIMED_OUT, Answer, Ask
from netprobe.model.standing import HostReport, HostStanding, PathAnswer, RankState
from netprobe.store.encoding import from_json, json_line

STANDING_TIMEOUT_S: Final = 5  # an interpreter's start and a second between two looks
LATE_TIMEOUT_S: Final = 20  # an interpreter's start on a host whose processors are all taken
PATHS_TIMEOUT_S: Final = 8
ALL_TO_ALL: Final = 16  # hosts; beyond, each asks those at distances of powers of two
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
        code = "from netprobe.launch.standing import main; main(sys.argv[1])"
        words = python_words(self.python, self.environ, code, mark)
        answers = dict(self.ask(hosts, words, STANDING_TIMEOUT_S))
        # A host that let us in and did not get ready may be busy: dead ones are told by ssh, and sooner.
        late = [host for host in hosts if answers[host].code == TIMED_OUT]
        if late:
            answers |= self.ask(late, words, LATE_TIMEOUT_S)
        return RollCall(hosts=tuple(_standing(host, answers[host]) for host in hosts))

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


def ask_each(ask: Ask, words: Mapping[str, Sequence[str]], timeout_s: int) -> dict[str, Answer]:
    """Ask each host its own question, all at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(len(words) or 1, AT_ONCE)) as pool:
        asked = {host: pool.submit(ask, (host,), argv, timeout_s) for host, argv in words.items()}
        return {host: each.result()[host] for host, each in asked.items()}


def path_targets(call: RollCall) -> dict[str, list[Target]]:
    """Return whom each host is to try: everybody in a small job, enough to see blocks in a large one."""
    present = [each for each in call.hosts if each.report is not None]
    addresses = Counter(
        interface.address for each in present if each.report is not None for interface in each.report.interfaces
    )
    reports = {each.host: each.report for each in present}
    found: dict[str, list[Target]] = {}
    for src, dst in _pairs(tuple(reports)):
        report = reports.get(dst)
        if report is None or src not in reports:
            continue
        # An address that several hosts have is one of a bridge for containers, and leads nowhere.
        found.setdefault(src, []).extend(
            Target(src=src, dst=dst, address=each.address, network=each.network)
            for each in report.interfaces
            if addresses[each.address] == 1
        )
    return found


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    count = len(names)
    if count <= ALL_TO_ALL:
        return [(src, dst) for src in names for dst in names if src != dst]
    steps = [1 << power for power in range(count.bit_length()) if 1 << power < count]
    return [(names[i], names[(i + step) % count]) for i in range(count) for step in steps]


def _standing(host: str, answer: Answer) -> HostStanding:
    if answer.code != 0 or not answer.lines:
        return HostStanding(host=host, report=None, error=answer.why)
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
