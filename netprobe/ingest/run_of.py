"""A run out of what was gathered without measuring: snapshots, and files of other tools. Nothing was planned in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from netprobe import __version__
from netprobe.catalogue.readings import growth_between
from netprobe.model.counters import IDLE_BEFORE, CounterWindow
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.nccl import NcclFacts
from netprobe.model.plan import Plan
from netprobe.model.run import RUN_FORMAT, Launch, RunHeader, RunStatus
from netprobe.model.snapshot import Reading
from netprobe.store.counters_table import counters_frame_of
from netprobe.store.reader import Run
from netprobe.store.series_table import frame_of
from netprobe.store.writer import run_id_for


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvidence:
    """What is known of one host."""

    inventory: HostInventory
    readings: tuple[Reading, ...] = ()
    """In order of time."""
    span: str = IDLE_BEFORE
    """What ran between them: nothing, or a stage's name."""
    moments_ns: tuple[int, ...] = ()
    """Wall-clock time of each reading; empty where it is not told."""


def run_of(
    hosts: Sequence[HostEvidence],
    *,
    profile: str,
    now: datetime,
    gaps: tuple[Gap, ...] = (),
    nccl: tuple[NcclFacts, ...] = (),
) -> Run:
    """Return a run without measurements; each host has one rank, which stands for who read its counters."""
    moment = f"{now:%Y-%m-%dT%H:%M:%S}.000Z"
    ranks = tuple(
        Rank(rank=number, host=each.inventory.host, local_index=0, cpus=(), pid=0) for number, each in enumerate(hosts)
    )
    header = RunHeader(
        format=RUN_FORMAT,
        id=run_id_for(now, profile),
        netprobe=__version__,
        started=moment,
        finished=moment,
        status=RunStatus.COMPLETE,
        plan=Plan(profile=profile, seed=0, stages=(), transport="none"),
        launch=Launch(method=profile, argv=(), mpi=""),
        ranks=ranks,
        gaps=gaps,
        nccl=nccl,
    )
    windows = [
        _window(each.span, number, before, after)
        for number, each in enumerate(hosts)
        for before, after in pairwise(each.readings)
    ]
    return Run(
        header=header,
        series=frame_of(()),
        counters=counters_frame_of(windows),
        inventories=tuple(each.inventory for each in hosts),
    )


def _window(span: str, rank: int, before: Reading, after: Reading) -> CounterWindow:
    growth = growth_between(before.values, after.values)
    return CounterWindow(
        stage=span,
        round_index=None,
        rank=rank,
        elapsed_ns=after.at_ns - before.at_ns,
        grown=growth.grown,
        at_least=growth.at_least,
    )
