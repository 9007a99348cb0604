"""What was asked for, and what it became: a LaunchRequest is turned into LaunchPlans (planning), each into argv."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path


class Family(StrEnum):
    """Launchers that understand the same options."""

    MPICH = "mpich"  # Hydra: MPICH, Intel MPI, MVAPICH
    OPEN_MPI = "open-mpi"
    SRUN = "srun"


class Binding(StrEnum):
    """What each rank is tied to."""

    CORE = "core"
    HWTHREAD = "hwthread"  # more ranks than physical cores, but not more than hardware threads
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """The launch options of a command line."""

    ranks: int | None = None
    hosts: str | None = None
    """NodeSet syntax, as in node[01-64]."""
    hostfile: Path | None = None
    ranks_per_host: int | None = None
    bind: bool = True
    oversubscribe: bool = False
    mpiexec: Path | None = None
    forward: tuple[str, ...] = ()
    """Environment variables to forward beside those that are forwarded anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """One way to start ranks on this machine."""

    path: Path
    family: Family
    version: str
    """The line it names itself with."""
    library: Path | None = None
    """The MPI library that belongs to it, where mpi4py would load another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostShare:
    """A host and the number of ranks on it."""

    host: str
    ranks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """Everything that one launcher's argument list is made of."""

    method: str
    """model.run.Launch.method: ``local``, ``hosts``, ``hostfile`` or ``slurm``."""
    launcher: Launcher
    worker: tuple[str, ...]
    """The command of every rank."""
    ranks: int
    shares: tuple[HostShare, ...] = ()
    """Empty when all ranks are local, and when the resource manager knows the hosts."""
    allocation_hosts: int | None = None
    """Hosts that the resource manager gives; None outside an allocation."""
    allocation_names: tuple[str, ...] = ()
    """Their names; empty when the resource manager does not tell."""
    binding: Binding = Binding.CORE
    oversubscribe: bool = False
    forward: tuple[str, ...] = ()
    """Names of the environment variables that every rank gets."""
    settings: tuple[tuple[str, str], ...] = ()
    """Environment variables that are set for this launch; their names are in ``forward`` as well."""
    is_root: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts as the launcher calls them; empty when nobody knows their names."""
        if self.shares:
            return tuple(share.host for share in self.shares)
        return self.allocation_names if self.allocation_hosts is not None else ("localhost",)

    def without(self, hosts: Collection[str], counts: Mapping[str, int] | None = None) -> "LaunchPlan":
        """Return the plan for the hosts that are left; the plan itself when it has none of these.

        ``counts``: the ranks that each host turned out to have, where a resource manager dealt them out.
        """
        if not any(host in hosts for host in self.hosts):
            return self
        known = counts or {}
        dealt = tuple(HostShare(host=host, ranks=known.get(host, self.ranks_per_host)) for host in self.hosts)
        left = tuple(share for share in self.shares or dealt if share.host not in hosts)
        return replace(self, shares=left, ranks=sum(share.ranks for share in left))

    @property
    def ranks_per_host(self) -> int:
        """The most ranks on any host."""
        if self.shares:
            return max(share.ranks for share in self.shares)
        return -(-self.ranks // (self.allocation_hosts or 1))
