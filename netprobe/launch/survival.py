"""See a run through although hosts fail on the way: who is silent is found and taken out, and the rest goes on.

The ranks are launched again without the failed hosts, from the round that was not finished. That works with every MPI:
none has to survive the loss of a rank. What was measured before is kept by the sink.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.contracts import Sink
from netprobe.errors import LaunchError
from netprobe.interrupts import asked_to_stop, interrupts
from netprobe.launch.culprits import Conclusion, Halt, conclude, evident, unstarted
from netprobe.launch.hosts import folded
from netprobe.launch.job import JobEnd, LaunchTimeout, Listeners, OnChatter, Patience, unheard
from netprobe.launch.logbook import Logbook
from netprobe.launch.request import LaunchPlan
from netprobe.launch.rollcall import Asking, RollCall
from netprobe.launch.start import OpenSink, run_ranks
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.record import RunHalted
from netprobe.model.run import RunStatus
from netprobe.model.standing import Benched, Fate, PathAnswer, StuckPair
from netprobe.plan.task import Task
from netprobe.units import format_duration

WorkerFor = Callable[[Task], tuple[str, ...]]
"""The command of every rank for a task."""

MOST_WAITS: Final = 20  # deadlines that a job may move through without finishing a round
MOST_WAITS_FOR_TRAFFIC: Final = 3  # of them, when nothing but bytes on the hosts' interfaces moves
MOST_WAITS_TO_START: Final = 3  # of them, while a host has no process yet and no further host gets one
MOST_UNEXPLAINED: Final = 2  # halts of which nobody can be named; each costs the round in which it happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Voyage:
    """What is to be run, and how."""

    plans: tuple[LaunchPlan, ...]
    """The launchers to try, best first; once one has brought the ranks together it is used to the end."""
    task: Task
    worker_for: WorkerFor
    environ: Mapping[str, str]
    asking: Asking | None = None
    """None where hosts cannot be asked: then the run ends at the first failure, as far as it came."""
    patience: Patience = field(default_factory=Patience)
    benched: tuple[Benched, ...] = ()
    """Hosts that were taken out before the launch; the plans are without them."""
    on_chatter: OnChatter = unheard


def see_through(voyage: Voyage, open_sink: OpenSink) -> JobEnd:
    """Run the task to its end, launching again as often as hosts fail; return how the last launch ended.

    LaunchError: no launcher brought the ranks together, and no host is to blame for it.
    """
    logbook = Logbook(open_sink, voyage.benched)
    plans, task, unexplained = voyage.plans, voyage.task, 0
    given_up: tuple[str, ...] = ()
    with interrupts() as signals:
        while True:
            leg = _Leg(voyage, logbook, plans)
            end = leg.run(task)
            given_up += end.given_up
            is_final = end.status is not RunStatus.FAILED or logbook.is_done or voyage.asking is None
            conclusion = Conclusion() if is_final else leg.conclude(end, task)
            leg.sweep(end)
            if not is_final and asked_to_stop(signals):
                end, is_final = replace(end, status=RunStatus.INTERRUPTED, error="interrupted between launches"), True
            if is_final:
                return replace(end, given_up=given_up)
            is_explained = conclusion != Conclusion()
            if leg.refusal is not None and not conclusion.benched and conclusion.fabric is None:
                raise leg.refusal
            unexplained += not is_explained
            logbook.emit(_halted(conclusion, leg, end))
            plans = leg.rest_of_plans(conclusion)
            error = conclusion.fabric or _why_to_stop(voyage, plans[0], logbook.benched)
            if error is not None or unexplained > MOST_UNEXPLAINED:
                logbook.opened(leg.plan)  # where no ranks ever met as well: a run without a result has to be seen
                return replace(end, error=error or end.error, given_up=given_up)
            task = logbook.rest_of(task, conclusion.avoided, skips_round=not is_explained)


class _Leg:
    """One launch, and the roll call that is held when it falls silent."""

    def __init__(self, voyage: Voyage, logbook: Logbook, plans: Sequence[LaunchPlan]) -> None:
        self.refusal: LaunchError | None = None
        self.names: dict[str, str] = {}
        self.call: RollCall | None = None
        self._voyage = voyage
        self._logbook = logbook
        self._plans = plans
        self._waits = 0
        self._waits_to_start = 0
        self._started_hosts: frozenset[str] = frozenset()
        self._waits_for_traffic = 0
        self._waited_at: tuple[str | None, int | None] = (None, None)
        self._mark = ""

    @property
    def plan(self) -> LaunchPlan:
        """The launch that brought the ranks together; the first to be tried while none has."""
        return self._logbook.plan or self._plans[0]

    def run(self, task: Task) -> JobEnd:
        """Launch; a launch that never began is a JobEnd too, and its error the refusal."""
        voyage, self._logbook.ranks = self._voyage, ()
        worker = voyage.worker_for(task)
        try:
            return run_ranks(
                [replace(plan, worker=worker) for plan in self._plans],
                voyage.environ,
                self._open,
                patience=voyage.patience,
                listeners=Listeners(
                    on_chatter=voyage.on_chatter, on_start=self._started, on_silence=self._is_worth_waiting
                ),
            )
        except LaunchError as error:
            if voyage.asking is None:
                raise
            self.refusal = None if self._logbook.has_begun else error
            waited_ns = voyage.patience.meeting_ns if isinstance(error, LaunchTimeout) else 0
            return JobEnd(
                status=RunStatus.FAILED,
                error=str(error),
                exit_code=None,
                stage=None,
                round_index=None,
                is_hung=isinstance(error, LaunchTimeout),
                silent_ns=waited_ns,
            )

    def conclude(self, end: JobEnd, task: Task) -> Conclusion:
        """Return who is to be taken out."""
        asking = self._voyage.asking
        if asking is None or not self.plan.hosts:
            return Conclusion()
        halt = self._halt(end)
        self.names = names_of(self.plan, self._logbook.ranks)
        if self.call is None or not end.is_hung:  # what was answered to an earlier silence is no answer to this end
            self.call = self._roll_call(asking, halt)
        return conclude(self.call, halt, self.names, task.avoided)

    def sweep(self, end: JobEnd) -> None:
        """End what is left of the job on its hosts, where it did not end well: stopped ranks would stay for ever."""
        asking = self._voyage.asking
        if asking is None or end.status is RunStatus.COMPLETE or not self._mark or self.plan.method == "local":
            return
        hosts = self.call.hosts if self.call else ()
        silent = {each.host for each in hosts if each.report is None and not each.is_late}
        asking.end([host for host in self.plan.hosts if host not in silent], self._mark)

    def rest_of_plans(self, conclusion: Conclusion) -> tuple[LaunchPlan, ...]:
        """Return the plans without the hosts that were taken out: a single one once the ranks have met."""
        gone = {each.host for each in conclusion.benched}
        ranks = Counter(rank.host for rank in self._logbook.ranks)
        counts = {host: ranks[self.names.get(host, host)] for host in self.plan.hosts} if ranks else {}
        if not self._logbook.has_begun:
            return tuple(each.without(gone) for each in self._plans)
        self._logbook.plan = self.plan.without(gone, counts)
        return (self._logbook.plan,)

    def named(self, path: PathAnswer) -> PathAnswer:
        """Return a path's answer by the names that ranks have for the hosts."""
        return replace(path, src=self.names.get(path.src, path.src), dst=self.names.get(path.dst, path.dst))

    def _open(self, plan: LaunchPlan) -> Sink:
        return self._logbook.opened(plan)

    def _started(self, mark: str) -> None:
        self._mark = mark

    def _halt(self, end: JobEnd | None = None) -> Halt:
        """Return how this launch came to its end; without one it is still there, and silent."""
        logbook = self._logbook
        return Halt(
            stage=None if end is None else end.stage,
            round_index=None if end is None else end.round_index,
            last_stage=logbook.last_stage,
            last_round_index=logbook.last_round_index,
            waited_ns=0 if end is None else end.silent_ns,
            ranks=logbook.ranks,
            lines=() if end is None else end.lines,
            is_over=end is not None and not end.is_hung,
        )

    def _is_worth_waiting(self) -> bool:
        """Hold a roll call while the silent job is still there; return whether it gets on all the same."""
        asking, hosts = self._voyage.asking, self.plan.hosts
        if asking is None or not hosts:
            return False
        here = (self._logbook.last_stage, self._logbook.last_round_index)
        self._waits = self._waits + 1 if here == self._waited_at else 1
        self._waited_at = here
        halt = self._halt()
        call = self._roll_call(asking, halt)
        if self._waits < MOST_WAITS and all(each.report is not None for each in call.hosts) and self._goes_on(call):
            return True
        is_told = evident(call, halt, names_of(self.plan, halt.ranks)) or unstarted(call, halt)
        self.call = call if is_told else asking.with_paths(call)
        return False

    def _roll_call(self, asking: Asking, halt: Halt) -> RollCall:
        """Ask all hosts, and late ones again only where nobody else is the evident culprit: it takes its time."""
        call = asking.roll_call(self.plan.hosts, self._mark)
        is_told = call.late and evident(call, halt, names_of(self.plan, halt.ranks))
        return call if is_told else asking.with_late(call, self._mark)

    def _goes_on(self, call: RollCall) -> bool:
        if not self._logbook.ranks:
            return call.is_opening or (call.has_yet_to_start and self._gets_started(call))
        if call.has_idle_rank or call.has_steps or not call.has_traffic:
            return call.has_steps and not call.has_idle_rank
        # Traffic may be somebody else's: it buys time for a slow link, but not for ever.
        self._waits_for_traffic += 1
        return self._waits_for_traffic <= MOST_WAITS_FOR_TRAFFIC

    def _gets_started(self, call: RollCall) -> bool:
        """Return whether all hosts have a process, or further ones get theirs: launchers go from host to host."""
        if len(call.started) == len(call.hosts):
            return True
        self._waits_to_start = self._waits_to_start + 1 if call.started <= self._started_hosts else 1
        self._started_hosts = call.started
        return self._waits_to_start < MOST_WAITS_TO_START


def names_of(plan: LaunchPlan, ranks: Sequence[Rank]) -> dict[str, str]:
    """Return what the ranks of each host call it, by the launcher's name: the same, a short form, or told by order."""
    called = list(dict.fromkeys(rank.host for rank in ranks))
    if not called or set(plan.hosts) == set(called):
        return {host: host for host in plan.hosts}
    short = {_short(name): name for name in called}
    if len(short) == len(called) and {_short(host) for host in plan.hosts} == set(short):
        return {host: short[_short(host)] for host in plan.hosts}
    return dict(zip(plan.hosts, called, strict=False))


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _halted(conclusion: Conclusion, leg: _Leg, end: JobEnd) -> RunHalted:
    gaps = () if conclusion != Conclusion() else (_unexplained(end),)
    return RunHalted(
        benched=tuple(replace(each, host=leg.names.get(each.host, each.host)) for each in conclusion.benched),
        paths=() if leg.call is None else tuple(leg.named(path) for path in leg.call.paths),
        stuck_pairs=tuple(
            StuckPair(hosts=pair, stage=end.stage, round_index=end.round_index, waited_ns=end.silent_ns)
            for pair in conclusion.avoided
        ),
        gaps=gaps,
    )


def _unexplained(end: JobEnd) -> Gap:
    reason = f"{end.error}; all hosts answer, and no one of them can be named for it, so that round was left out"
    return Gap(topic="run", reason=reason, remedy="the same command again, with -v", undermines=True)


def _why_to_stop(voyage: Voyage, plan: LaunchPlan, benched: Sequence[Benched]) -> str | None:
    """Return why the run cannot go on without these hosts; None when it can."""
    total = len(voyage.plans[0].hosts) + len(voyage.benched)
    failed = [each for each in benched if each.fate is not Fate.ASIDE]
    if plan.ranks and len(failed) * 2 <= total:
        return None
    return why_hopeless(failed or benched, total)


def why_hopeless(benched: Sequence[Benched], total: int) -> str:
    """Return one line for a run of which so many hosts failed that something else is wrong."""
    first = benched[0]
    waited = f" after {format_duration(first.waited_ns)}" if first.waited_ns else ""
    names = folded(each.host for each in benched)
    reason = f"{first.host}: {first.fate}{waited}, {first.detail}"
    return f"{len(benched)} of {total} hosts failed ({names}); the first was {reason}"
