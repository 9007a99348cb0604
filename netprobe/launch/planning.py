"""From what was asked to what will be tried: hosts, ranks on each, and a plan for every launcher there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.environment import ABORT_LATE, JOB_VARIABLE, forwarded_names, launch_settings
from netprobe.errors import PlanError
from netprobe.launch.cores import Cores, local_binding, local_cores, refuse_more_ranks_than_cores
from netprobe.launch.find import ReadVersion, find_launchers, read_version, search_here
from netprobe.launch.hosts import HostSlots, folded, parse_hosts, read_hostfile
from netprobe.launch.reach import unusable
from netprobe.launch.remote import Ask, agent_of, ask_here, by_srun, by_ssh, local_or
from netprobe.launch.request import Binding, Family, HostShare, Launcher, LaunchPlan, LaunchRequest
from netprobe.launch.resolve import Resolve, away_and_unknown, resolve_by_system
from netprobe.launch.surroundings import Allocation, External, detect
from netprobe.model.standing import Benched

LOCAL_RANKS: Final = 2  # the fewest that have something to send to each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What planning asks of this machine and its network; tests bring their own."""

    cores: Cores = field(default_factory=local_cores)
    is_root: bool = False
    read_version: ReadVersion = read_version
    resolve: Resolve = resolve_by_system
    ask: Ask | None = None
    """How other hosts are reached; None: as the launcher reaches them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What will be tried, and on which hosts it will not."""

    plans: tuple[LaunchPlan, ...]
    """Best first; at least one. Those with shares are without the benched hosts."""
    benched: tuple[Benched, ...] = ()
    """Hosts that cannot be used, found out beforehand."""
    total_hosts: int = 1
    ask: Ask | None = None
    """How to ask the hosts of the plans; None where there is no way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where ranks go, whoever starts them."""

    method: str
    ranks: int
    shares: tuple[HostShare, ...] = ()
    allocation_hosts: int | None = None
    allocation_names: tuple[str, ...] = ()
    binding: Binding
    oversubscribe: bool


def this_host() -> Host:
    """Return this machine."""
    import os

    return Host(is_root=os.geteuid() == 0)


def plan_launch(
    request: LaunchRequest, worker: Sequence[str], environ: Mapping[str, str], host: Host | None = None
) -> Planned:
    """Return the plans to try.

    ``worker`` is the command of every rank. PlanError: the request contradicts itself or this machine.
    UnavailableError: no launcher. Hosts that do not exist, cannot be reached or lack netprobe are benched; should they
    be all, the plans have no ranks.
    """
    host = host or this_host()
    surroundings = detect(environ)
    if isinstance(surroundings, External):
        raise PlanError(
            f"this process is already a rank that {surroundings.launcher} started, and starts no ranks of its own",
            remedy="the same command without the launcher, or without -n, --hosts and --hostfile",
        )
    allocation = surroundings if isinstance(surroundings, Allocation) else None
    layout = _layout(request, allocation, host.cores)
    search = search_here(environ, in_allocation=allocation is not None, named=request.mpiexec)
    launchers = _fitting(find_launchers(search, host.read_version), layout)
    ask, benched = _examined(layout, launchers[0], worker[0], environ, host)
    bare = LaunchPlan(
        method=layout.method,
        launcher=launchers[0],
        worker=tuple(worker),
        ranks=layout.ranks,
        shares=layout.shares,
        allocation_hosts=layout.allocation_hosts,
        allocation_names=layout.allocation_names,
        binding=layout.binding,
        oversubscribe=layout.oversubscribe,
        is_root=host.is_root,
    )
    if benched:
        bare = bare.without({each.host for each in benched})
    return Planned(
        plans=tuple(_with_environment(replace(bare, launcher=each), request.forward, environ) for each in launchers),
        benched=benched,
        total_hosts=len(layout.shares) or layout.allocation_hosts or 1,
        ask=ask,
    )


def _examined(
    layout: _Layout, launcher: Launcher, python: str, environ: Mapping[str, str], host: Host
) -> tuple[Ask | None, tuple[Benched, ...]]:
    """Return how to ask the hosts, and those that cannot be used; in an allocation the resource manager vouches."""
    if layout.method == "local":
        return ask_here, ()
    if layout.method == "slurm" or not layout.shares:
        return (by_srun(str(launcher.path)) if launcher.family is Family.SRUN else None), ()
    names = [share.host for share in layout.shares]
    away, unknown = away_and_unknown(names, host.resolve)
    agent = agent_of(environ)
    if host.ask is None and agent is None:
        return None, unknown
    ask = local_or(host.ask or by_ssh(agent or "ssh"), away)
    if launcher.family is Family.SRUN:
        return by_srun(str(launcher.path)), unknown
    reachable = [name for name in away if name not in {each.host for each in unknown}]
    return ask, (*unknown, *unusable(reachable, python, environ, ask))


def _with_environment(plan: LaunchPlan, asked: tuple[str, ...], environ: Mapping[str, str]) -> LaunchPlan:
    settings = launch_settings(plan.launcher.library, environ, oversubscribe=plan.oversubscribe)
    if plan.launcher.family is not Family.MPICH:
        settings.update((name, value) for name, value in ABORT_LATE.items() if name not in environ)
    forward = forwarded_names({**environ, **settings, JOB_VARIABLE: ""}, asked)
    return replace(plan, forward=forward, settings=tuple(settings.items()))


def _layout(request: LaunchRequest, allocation: Allocation | None, cores: Cores) -> _Layout:
    if request.hosts is not None and request.hostfile is not None:
        raise PlanError("--hosts and --hostfile both say where the ranks run", remedy="one of them")
    if request.hosts is not None:
        return _on_hosts("hosts", parse_hosts(request.hosts), request, allocation)
    if request.hostfile is not None:
        return _on_hosts("hostfile", read_hostfile(request.hostfile), request, allocation)
    if allocation is not None:
        return _in_allocation(request, allocation)
    return _local(request, cores)


def _local(request: LaunchRequest, cores: Cores) -> _Layout:
    if request.ranks is not None and request.ranks_per_host not in (None, request.ranks):
        raise PlanError(
            f"--ranks {request.ranks} and --ranks-per-host {request.ranks_per_host} contradict each other on one host",
            remedy="one of them",
        )
    asked = request.ranks or request.ranks_per_host
    # Two ranks that nobody asked for must not be refused where there is one core: a first look is worth having there.
    oversubscribe = request.oversubscribe or (asked is None and cores.hwthreads < LOCAL_RANKS)
    ranks = asked or LOCAL_RANKS
    if not oversubscribe:
        refuse_more_ranks_than_cores(ranks, cores)
    binding = Binding.NONE if oversubscribe else local_binding(ranks, cores, wanted=request.bind)
    return _Layout(method="local", ranks=ranks, binding=binding, oversubscribe=oversubscribe)


def _in_allocation(request: LaunchRequest, allocation: Allocation) -> _Layout:
    nodes, cpus = allocation.nodes, allocation.cpus_per_node
    # On a single node one rank would have nobody to talk to.
    usual = LOCAL_RANKS if nodes == 1 else 1
    ranks = request.ranks or nodes * (request.ranks_per_host or max(allocation.tasks_per_node or 1, usual))
    _refuse_fewer_ranks_than_hosts(ranks, nodes)
    _refuse_contradiction(request, nodes)
    per_host = -(-ranks // nodes)
    is_asked = request.ranks is not None or request.ranks_per_host is not None
    oversubscribe = request.oversubscribe or (not is_asked and cpus is not None and cpus < per_host <= usual)
    if cpus is not None and per_host > cpus and not oversubscribe:
        raise PlanError(
            f"{per_host} ranks per host are more than job {allocation.job_id} has CPUs on a host: {cpus}",
            remedy=f"--oversubscribe or --ranks-per-host {cpus}",
        )
    return _Layout(
        method="slurm",
        ranks=ranks,
        allocation_hosts=nodes,
        allocation_names=tuple(each.host for each in parse_hosts(allocation.nodelist)) if allocation.nodelist else (),
        binding=_remote_binding(wanted=request.bind, oversubscribe=oversubscribe),
        oversubscribe=oversubscribe,
    )


def _on_hosts(
    method: str, hosts: tuple[HostSlots, ...], request: LaunchRequest, allocation: Allocation | None
) -> _Layout:
    if allocation is not None and allocation.nodelist:
        _refuse_outsiders(hosts, allocation)
    _refuse_contradiction(request, len(hosts))
    shares = dealt(hosts, request.ranks, request.ranks_per_host, oversubscribe=request.oversubscribe)
    return _Layout(
        method=method,
        ranks=sum(share.ranks for share in shares),
        shares=shares,
        binding=_remote_binding(wanted=request.bind, oversubscribe=request.oversubscribe),
        oversubscribe=request.oversubscribe,
    )


def dealt(
    hosts: Sequence[HostSlots], ranks: int | None, per_host: int | None, *, oversubscribe: bool = False
) -> tuple[HostShare, ...]:
    """Return how many ranks each host gets: every host at least one, and as evenly as their slots allow.

    PlanError when ``ranks`` leave a host without one, or are more than the slots.
    """
    limits = [None if oversubscribe else each.slots for each in hosts]
    if per_host is not None:
        wanted = [per_host] * len(hosts)
    elif ranks is None:
        wanted = [each.slots or 1 for each in hosts]
    else:
        wanted = _spread(ranks, limits)
    for each, limit, share in zip(hosts, limits, wanted, strict=True):
        if limit is not None and share > limit:
            raise PlanError(
                f"{share} ranks on {each.host} are more than the {limit} slots that the hostfile gives it",
                remedy=f"--oversubscribe or --ranks-per-host {limit}",
            )
    return tuple(HostShare(host=each.host, ranks=share) for each, share in zip(hosts, wanted, strict=True))


def _spread(ranks: int, limits: Sequence[int | None]) -> list[int]:
    _refuse_fewer_ranks_than_hosts(ranks, len(limits))
    known = [limit for limit in limits if limit is not None]
    if len(known) == len(limits) and ranks > sum(known):
        raise PlanError(
            f"--ranks {ranks} asks for more ranks than the {sum(known)} slots of the hostfile",
            remedy=f"--oversubscribe or --ranks {sum(known)}",
        )
    shares = [0] * len(limits)
    left = ranks
    while left:
        level = min(share for share, limit in zip(shares, limits, strict=True) if limit is None or share < limit)
        for index, limit in enumerate(limits):
            if left and shares[index] == level and (limit is None or level < limit):
                shares[index] += 1
                left -= 1
    return shares


def _remote_binding(*, wanted: bool, oversubscribe: bool) -> Binding:
    return Binding.CORE if wanted and not oversubscribe else Binding.NONE


def _refuse_contradiction(request: LaunchRequest, hosts: int) -> None:
    ranks, per_host = request.ranks, request.ranks_per_host
    if ranks is not None and per_host is not None and ranks != per_host * hosts:
        raise PlanError(
            f"--ranks {ranks} and --ranks-per-host {per_host} contradict each other on {hosts} hosts",
            remedy="one of them",
        )


def _refuse_fewer_ranks_than_hosts(ranks: int, hosts: int) -> None:
    if ranks < hosts:
        raise PlanError(
            f"--ranks {ranks} leaves {hosts - ranks} of {hosts} hosts without a rank, and so untested",
            remedy=f"--ranks {hosts}, or fewer hosts",
        )


def _refuse_outsiders(hosts: Sequence[HostSlots], allocation: Allocation) -> None:
    members = {each.host for each in parse_hosts(allocation.nodelist)}
    outside = [each.host for each in hosts if each.host not in members]
    if outside:
        raise PlanError(
            f"{folded(outside)} is not among the hosts of job {allocation.job_id}",
            remedy=f"--hosts {allocation.nodelist}",
        )


def _fitting(launchers: Sequence[Launcher], layout: _Layout) -> tuple[Launcher, ...]:
    """Return the launchers that can carry out the layout: srun cannot give hosts different numbers of ranks."""
    counts = [share.ranks for share in layout.shares]
    if not counts or (counts == sorted(counts, reverse=True) and max(counts) - min(counts) <= 1):
        return tuple(launchers)
    fitting = tuple(launcher for launcher in launchers if launcher.family is not Family.SRUN)
    if not fitting:
        raise PlanError(
            "srun cannot give each host its own number of ranks",
            remedy="--ranks-per-host, or --mpiexec with an mpiexec",
        )
    return fitting
