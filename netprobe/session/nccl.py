"""Open NCCL on all ranks, or on none: one communicator over the GPUs of a launch, before anything is measured."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Final

from netprobe.contracts import Control, Transport
from netprobe.errors import TransportError, UnavailableError
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.nccl import NcclFacts
from netprobe.model.plan import Path as Carrier
from netprobe.model.plan import Plan, Scope
from netprobe.reporters._wording import fold
from netprobe.session.gpu import who_shares
from netprobe.session.nccl_says import OwnLog, own_log
from netprobe.session.reasons import Reason, gaps_of
from netprobe.transports._nccl_engine import Broken, Communicator, Identity, NcclLibrary, OpenLibrary
from netprobe.transports.nccl import NcclTransport

TOPIC: Final = "nccl"
MEETING_S: Final = 120.0
"""For ncclCommInitRank: it searches the topology of all hosts, and comes back when all have come, or never."""
STEP_S: Final = 0.5
ALGORITHM: Final = "NCCL_ALGO"
AS_WITHOUT_GRAPHS: Final = {"NCCL_GRAPH_REGISTER": "0"}
TWO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Nccl:
    """What a rank knows of NCCL in this launch."""

    transport: NcclTransport | None = None
    """None on all ranks, or on none."""
    facts: tuple[NcclFacts, ...] = ()
    """Of all ranks, by MPI's numbers."""
    gaps: tuple[Gap, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    """Variables that were set for it, apart from those of its log."""
    log: OwnLog | None = None
    """This rank's; None where the user has it, and where there is no transport."""

    def close(self) -> None:
        """Give the communicator and its log back."""
        if self.transport is not None:
            self.transport.close()
        if self.log is not None:
            self.log.close()

    def told(self, own: Rank) -> NcclFacts | None:
        """Return what NCCL has said on this rank until now."""
        if self.log is None or self.transport is None:
            return None
        return with_version(self.log.facts(own), self.transport.description)


NOT_ASKED: Final = Nccl()


def open_nccl(  # noqa: PLR0913 - who, where, how, and what tests replace
    under: Transport,
    control: Control,
    ranks: tuple[Rank, ...],
    plan: Plan,
    gpus: Sequence[GpuEndpoint],
    environment: Mapping[str, str],
    open_library: OpenLibrary,
    step: Callable[[], None] = lambda: None,
    *,
    meeting_s: float = MEETING_S,
) -> Nccl:
    """Open NCCL where the plan has stages of it; all ranks call, ``ranks`` and ``gpus`` are by MPI's numbers."""
    if not any(stage.path is Carrier.NCCL for stage in plan.stages):
        return NOT_ASKED
    log = own_log(environment)
    settings = settings_for(plan, ranks, environment)
    nccl = NOT_ASKED
    try:
        logging = {} if log is None else log.settings(environment)
        library = _open(ordinal_of(control.rank, ranks[control.rank], gpus), {**settings, **logging}, open_library)
        refused = _refused(control, ranks, library)
        if refused or isinstance(library, Reason):
            return Nccl(gaps=refused)
        nccl = _met(under, control, ranks, library, _Meeting(log, settings, step, meeting_s))
    finally:
        if log is not None:
            log.forget_name()
            if nccl.transport is None:
                log.close()
    return nccl


def feasible_nccl(plan: Plan, nccl: Nccl) -> Plan:
    """Return the plan without the stages of NCCL where it could not be opened: that is told once, as not tested."""
    if nccl.transport is not None:
        return plan
    return replace(plan, stages=tuple(stage for stage in plan.stages if stage.path is not Carrier.NCCL))


def refuse_hopeless_nccl(plan: Plan, nccl: Nccl) -> None:
    """Raise UnavailableError where a plan wants nothing but NCCL and it could not be opened; pure."""
    if nccl.transport is not None or not nccl.gaps or any(stage.path is not Carrier.NCCL for stage in plan.stages):
        return
    raise UnavailableError(nccl.gaps[0].reason, remedy=nccl.gaps[0].remedy)


def settings_for(plan: Plan, ranks: Sequence[Rank], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set before NCCL is first called; what the user has set already stays.

    Between two hosts NCCL may reduce by a tree or within switches, and the NICs then carry less than the formula of
    bus bandwidth assumes: a ring alone shows what the NICs do. And it registers buffers that it meets within a graph,
    as it does for nobody who launches one by one: what graphs are here for is Python's time alone.
    """
    is_of_two = len({rank.host for rank in ranks}) == TWO
    reduces = any(
        stage.path is Carrier.NCCL and stage.probe == "allreduce" and stage.scope is not Scope.WITHIN_HOST
        for stage in plan.stages
    )
    ring = {ALGORITHM: "RING"} if is_of_two and reduces else {}
    return _missing({**AS_WITHOUT_GRAPHS, **ring}, environment)


def ordinal_of(number: int, own: Rank, gpus: Sequence[GpuEndpoint]) -> int:
    """Return the GPU of a rank, ``number`` by MPI: the one it was given, else the one in its place on the host."""
    return next((each.ordinal for each in gpus if each.rank == number), own.local_index)


def shared_gpus(gpus: Sequence[tuple[int, str]], ranks: Sequence[Rank]) -> Gap | None:
    """Return who shares a GPU with whom, which NCCL refuses; ``gpus`` are (MPI's number of the rank, PCI address)."""
    told = who_shares(gpus, ranks)
    if told is None:
        return None
    remedy = "--ranks-per-host, at most one for each GPU; CUDA_VISIBLE_DEVICES hides some"
    return Gap(topic=TOPIC, reason=f"NCCL cannot be used: {told}", remedy=remedy)


def _missing(wanted: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if name not in environment}


def _open(ordinal: int, settings: Mapping[str, str], open_library: OpenLibrary) -> NcclLibrary | Reason:
    try:
        return open_library(ordinal, settings)
    except UnavailableError as error:
        return Reason(error.problem, error.remedy)


def _refused(control: Control, ranks: Sequence[Rank], library: NcclLibrary | Reason) -> tuple[Gap, ...]:
    """Return why not all ranks can use NCCL; all ranks call."""
    told = control.allgather(library if isinstance(library, Reason) else library.gpu_pci)
    failures = [each if isinstance(each, Reason) else None for each in told]
    if any(failures):
        return _gaps_of(failures, ranks)
    if len(ranks) < TWO:
        return (Gap(topic=TOPIC, reason="NCCL takes two ranks", remedy="--ranks 2, on a host with two GPUs"),)
    shared = shared_gpus([(number, pci) for number, pci in enumerate(told) if isinstance(pci, str)], ranks)
    return () if shared is None else (shared,)


def _gaps_of(told: Sequence[object], ranks: Sequence[Rank]) -> tuple[Gap, ...]:
    remedy, besides = "netprobe doctor there", ", and so on none"
    return gaps_of(told, ranks, topic=TOPIC, what="NCCL", remedy=remedy, besides=besides)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """What making a communicator takes besides a library."""

    log: OwnLog | None
    settings: Mapping[str, str]
    step: Callable[[], None]
    meeting_s: float


def _met(under: Transport, control: Control, ranks: Sequence[Rank], library: NcclLibrary, how: _Meeting) -> Nccl:
    """Make the communicator, try it out, and read what NCCL said; all ranks call, and all have it or none."""
    made = _communicator(control, library, how)
    failures = control.allgather(made if isinstance(made, Reason) else None)
    if isinstance(made, Reason) or any(failures):
        if not isinstance(made, Reason):
            with suppress(Broken):
                made.abort()
        return Nccl(gaps=_gaps_of(failures, ranks))
    transport = _transport(under, control, library, made, how.step)
    failures = control.allgather(transport if isinstance(transport, Reason) else None)
    if isinstance(transport, Reason) or any(failures):
        with suppress(Broken):
            made.abort()
        return Nccl(gaps=_gaps_of(failures, ranks))
    failure = _tried(transport)
    own = None if how.log is None else with_version(how.log.facts(ranks[control.rank]), library.description)
    told = control.allgather((failure, transport.no_graphs, own))
    failures = [failure for failure, _, _ in told]
    facts = tuple(each for _, _, each in told if each is not None)
    if any(failures):
        transport.abandon("another rank could not use it")
        return Nccl(gaps=_gaps_of(failures, ranks), facts=facts)
    no_graphs = {rank.host: why for rank, (_, why, _) in zip(ranks, told, strict=True) if why is not None}
    return Nccl(
        transport=transport,
        facts=facts,
        gaps=(*_without_graphs(no_graphs), *_unlogged(how.log)),
        settings=tuple(how.settings.items()),
        log=how.log,
    )


def with_version(facts: NcclFacts | None, description: str) -> NcclFacts | None:
    """Return facts with the version of ``NCCL 2.21.5``; in the log of most ranks there is none."""
    if facts is None or facts.version is not None:
        return facts
    return replace(facts, version=description.split()[1])


def _transport(
    under: Transport, control: Control, library: NcclLibrary, made: Communicator, step: Callable[[], None]
) -> NcclTransport | Reason:
    try:
        return NcclTransport(under, control, library, made, step)
    except Broken as broken:
        return Reason(str(broken), "nvidia-smi for who has the GPU's memory")


def _communicator(control: Control, library: NcclLibrary, how: _Meeting) -> Communicator | Reason:
    """Return a communicator; a thread makes it, since nothing ends a call that waits for who never comes."""
    identity = control.broadcast(_identity(library) if control.rank == 0 else None)
    if identity is None or isinstance(identity, Reason):
        return identity or Reason("NCCL gave no identity", None)
    results: SimpleQueue[Communicator | Reason] = SimpleQueue()

    def meet() -> None:
        try:
            results.put(library.communicator(control.size, identity, control.rank))
        except Broken as broken:
            results.put(Reason(f"{broken}{_warned(how.log)}", "NCCL_DEBUG=INFO shows what came before"))

    threading.Thread(target=meet, name="netprobe nccl meeting", daemon=True).start()
    deadline_s = time.monotonic() + how.meeting_s
    while time.monotonic() < deadline_s:
        how.step()  # whoever asks whether this rank is alive sees that it is
        with suppress(Empty):
            return results.get(timeout=min(STEP_S, how.meeting_s))
    problem = f"the ranks did not meet within {how.meeting_s:.0f} s{_warned(how.log)}"
    return Reason(problem, "NCCL_SOCKET_IFNAME, an interface that all hosts reach each other by")


def _identity(library: NcclLibrary) -> Identity | Reason:
    try:
        return library.unique_id()
    except Broken as broken:
        return Reason(str(broken), "NCCL_SOCKET_IFNAME, an interface that all hosts reach each other by")


def _tried(transport: NcclTransport) -> Reason | None:
    try:
        transport.try_out()
    except TransportError as error:
        return Reason(error.problem, "NCCL_DEBUG=INFO shows what came before")
    return None


def _warned(log: OwnLog | None) -> str:
    return "" if log is None else log.last_warning()


def _without_graphs(hosts: Mapping[str, str]) -> tuple[Gap, ...]:
    if not hosts:
        return ()
    why = next(iter(hosts.values()))
    reason = f"no CUDA graphs on {fold(hosts)} ({why}): what NCCL takes for small messages includes launching them"
    return (Gap(topic=TOPIC, reason=reason, remedy="a driver of CUDA 12, NCCL 2.10 or later"),)


def _unlogged(log: OwnLog | None) -> tuple[Gap, ...]:
    if log is not None:
        return ()
    reason = "NCCL's log goes where NCCL_DEBUG or NCCL_DEBUG_FILE say, and was not read: which way it took is not known"
    return (Gap(topic="nccl-fallback", reason=reason, remedy="unset both"),)
