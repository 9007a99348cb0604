"""``netprobe check`` and ``netprobe run``: plan, launch, measure, judge, print, exit code.

Two ways to the same run directory: this process starts the ranks and writes what rank 0 tells it, or it is itself a
rank (under mpirun or srun), and then rank 0 writes, judges and prints.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from netprobe.cli.foretelling import foretold
from netprobe.cli.meeting import MeetingSink
from netprobe.cli.options import Judging, Keeping, Where, duration_ns
from netprobe.cli.output import print_report, refuse_output, write_page
from netprobe.cli.placing import unplaced
from netprobe.cli.progress import Progress, ProgressSink
from netprobe.cli.reading import Judged, bars, digested, exhibited, judged
from netprobe.cli.streams import tell
from netprobe.contracts import Sink
from netprobe.errors import LaunchError, NetprobeError, PlanError, StoreError
from netprobe.launch.argv import argv_for
from netprobe.launch.find import search_here
from netprobe.launch.job import Patience, unheard
from netprobe.launch.outer import library_setting
from netprobe.launch.planning import Planned, plan_launch
from netprobe.launch.request import LaunchPlan, LaunchRequest
from netprobe.launch.rollcall import Asking
from netprobe.launch.surroundings import Bare, External, detect
from netprobe.launch.survival import Voyage, see_through, why_hopeless
from netprobe.launch.topology import read_topology
from netprobe.model.plan import Plan
from netprobe.model.record import RunHalted
from netprobe.model.run import Launch, RunStatus
from netprobe.model.verdict import ExitCode
from netprobe.plan.rdma import refuse_slow_failure
from netprobe.plan.rounds import refuse_missing_root
from netprobe.plan.storage import refuse_unreadable
from netprobe.plan.task import Task, encode
from netprobe.store.series_table import series_schema
from netprobe.store.writer import RunWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who hears of a run: how it is judged, who takes the report, and where remarks on the way go."""

    judging: Judging
    take: Callable[[Judged, Path], None]
    """Called once the run is judged and everything of it is on disk."""
    remark: Callable[[str], None] = tell


def reader(judging: Judging) -> Audience:
    """Return the audience that reads the report on standard output."""

    def show(found: Judged, directory: Path) -> None:
        exhibiting = partial(exhibited, directory, judging, found)
        print_report(found.report, judging, directory, exhibiting)
        with _full_disk_is_told():
            write_page(found.report, judging.html, exhibiting)

    return Audience(judging=judging, take=show)


def measure(plan: Plan, ranks: int | None, where: Where, keeping: Keeping, audience: Audience) -> int:
    """Run a plan where it was asked to run and return the verdict's exit code."""
    _refuse_early(audience.judging)
    if keeping.seed is not None:
        plan = replace(plan, seed=keeping.seed)
    task = task_of(plan, where)
    surroundings = detect(os.environ)
    if isinstance(surroundings, External):
        _refuse_launch_options(ranks, where, surroundings)
        return _measure_as_rank(task, surroundings, keeping, audience)
    is_here = where.hosts is None and where.hostfile is None and isinstance(surroundings, Bare)
    refuse_unreadable(plan, is_here=is_here)
    request = LaunchRequest(
        ranks=ranks,
        hosts=where.hosts,
        hostfile=where.hostfile,
        ranks_per_host=where.ranks_per_host,
        bind=where.bind,
        oversubscribe=where.oversubscribe,
        mpiexec=where.mpiexec,
        forward=tuple(where.forward or ()),
    )
    patience = Patience.within(duration_ns("--deadline", where.deadline))
    refuse_slow_failure(plan, patience.round_floor_ns)
    return _measure_by_launching(task, request, patience, keeping, audience)


def task_of(plan: Plan, where: Where) -> Task:
    """Return what the ranks are asked to do."""
    leaves = () if where.topology is None else read_topology(where.topology)
    return Task(plan=plan, leaves=leaves, excluded=tuple(where.exclude or ()))


def _refuse_early(judging: Judging) -> None:
    """Refuse what would only be noticed after measuring: a mistyped format, or limits or expectations without sense."""
    refuse_output(judging)
    bars(judging)


def _refuse_launch_options(ranks: int | None, where: Where, surroundings: External) -> None:
    if ranks is not None or where.hosts is not None or where.hostfile is not None:
        raise PlanError(
            f"{surroundings.launcher} has started the ranks: --ranks, --hosts and --hostfile have nothing to say",
            remedy="the same command without them, or without the launcher",
        )


def _measure_by_launching(
    task: Task, request: LaunchRequest, patience: Patience, keeping: Keeping, audience: Audience
) -> int:
    planned = plan_launch(request, _worker(task), os.environ)
    hopeless = _too_few_hosts(planned)
    if hopeless is not None:
        return _give_up(task.plan, planned, hopeless, keeping, audience)
    refuse_missing_root(task.plan, planned.plans[0].ranks)
    writers: list[RunWriter] = []

    def open_writer(chosen: LaunchPlan) -> Sink:
        launch = Launch(method=chosen.method, argv=argv_for(chosen), mpi="")
        writers.append(_writer(task.plan, launch, keeping))
        return _warning(writers[0], task, audience)

    series_schema()  # loads polars now: later it would take a core from the ranks while they measure
    try:
        with Progress() as progress:
            voyage = Voyage(
                plans=planned.plans,
                task=task,
                worker_for=_worker,
                environ=os.environ,
                asking=None
                if planned.ask is None
                else Asking(ask=planned.ask, python=sys.executable, environ=os.environ),
                patience=Patience.blind() if planned.ask is None else patience,
                benched=planned.benched,
                on_chatter=tell if audience.judging.verbose else unheard,
            )
            end = see_through(voyage, lambda chosen: ProgressSink(progress, open_writer(chosen)))
    except StoreError:  # raised only before anything was measured
        _remove(writers)
        raise
    for reason in end.given_up:
        audience.remark(f"netprobe: {reason}; went on with the next launcher")
    if not writers:  # interrupted before the ranks had met: there is nothing to keep
        return ExitCode.INTERRUPTED
    return _finish(writers[0], end.status, end.error, audience)


def _worker(task: Task) -> tuple[str, ...]:
    """Return the command of every rank."""
    return (sys.executable, "-P", "-m", "netprobe.session", encode(task))


def _too_few_hosts(planned: Planned) -> str | None:
    """Return why it is not worth starting; None when at least half of the hosts can be used."""
    if len(planned.benched) * 2 <= planned.total_hosts and planned.plans[0].ranks:
        return None
    return why_hopeless(planned.benched, planned.total_hosts)


def _give_up(plan: Plan, planned: Planned, error: str, keeping: Keeping, audience: Audience) -> int:
    """Write down that nothing could be measured, and why: a night without a result is one that has to be seen."""
    chosen = planned.plans[0]
    writer = _writer(plan, Launch(method=chosen.method, argv=argv_for(chosen), mpi=""), keeping)
    writer.emit(RunHalted(benched=planned.benched))
    return _finish(writer, RunStatus.FAILED, error, audience)


def _measure_as_rank(task: Task, surroundings: External, keeping: Keeping, audience: Audience) -> int:
    """Run as one of the ranks; rank 0 returns the verdict's exit code, the others 0."""
    from netprobe.session.ranks import open_session

    os.environ.update(library_setting(search_here(os.environ, in_allocation=False, named=None)))
    writers: list[RunWriter] = []
    with Progress() as progress:

        def open_writer() -> Sink:
            launch = Launch(method="external", argv=(surroundings.launcher,), mpi="")
            writers.append(_writer(task.plan, launch, keeping))
            return ProgressSink(progress, _warning(writers[0], task, audience))

        with open_session(open_writer, lambda error: _salvage(writers, error, audience)) as session:
            if session.control.size < (surroundings.size or 1):
                raise LaunchError(
                    f"{surroundings.launcher} started {surroundings.size} ranks, but each found itself alone: "
                    f"it does not belong to {session.transport.description}",
                    remedy="the launcher of that MPI, or MPI4PY_LIBMPI with the launcher's libmpi.so",
                )
            session.run(task)
    return _finish(writers[0], RunStatus.COMPLETE, None, audience) if writers else ExitCode.HEALTHY


def _writer(plan: Plan, launch: Launch, keeping: Keeping) -> RunWriter:
    return RunWriter.create(keeping.out or default_runs(), plan, launch, started=datetime.now(UTC))


def _warning(onward: Sink, task: Task, audience: Audience) -> Sink:
    """Return a sink that tells beforehand what the plan can tell, and names hosts that a topology has left out."""
    says = (*((unplaced,) if task.leaves else ()), foretold)
    return MeetingSink(onward, *says, remark=audience.remark)


def default_runs() -> Path:
    """Return where run directories go when nobody says: the user's state directory."""
    from platformdirs import user_state_path

    return user_state_path("netprobe") / "runs"


def _finish(writer: RunWriter, status: RunStatus, error: str | None, audience: Audience) -> int:
    """Close the run directory, judge it, hand it over; an interrupted run keeps its own exit code."""
    try:
        with _full_disk_is_told():
            writer.close(status, error)
        found = judged(writer.directory, audience.judging)
        with _full_disk_is_told():
            writer.write_report(found.report)
            writer.write_digest(digested(found))
        audience.take(found, writer.directory)
    finally:
        audience.remark(f"run directory: {writer.directory}")
    return ExitCode.INTERRUPTED if status is RunStatus.INTERRUPTED else found.report.exit_code


@contextmanager
def _full_disk_is_told() -> Iterator[None]:
    """Go on when nothing more can be written: what was written before has a verdict too."""
    try:
        yield
    except StoreError as error:
        tell(f"netprobe: {error}")


def _salvage(writers: Sequence[RunWriter], error: NetprobeError | None, audience: Audience) -> int | None:
    """Close and judge what rank 0 has kept of a job that is being ended; None where nothing was measured.

    Without an error the job was interrupted.
    """
    if error is None:
        return _finish(writers[0], RunStatus.INTERRUPTED, "interrupted", audience) if writers else None
    has_begun = any(writer.header.outcomes for writer in writers) or error.exit_code is not ExitCode.SETUP_ERROR
    if writers and has_begun:
        return _finish(writers[0], RunStatus.FAILED, str(error), audience)
    _remove(writers)
    return None


def _remove(writers: Sequence[RunWriter]) -> None:
    for writer in writers:
        shutil.rmtree(writer.directory, ignore_errors=True)
