"""What became of ranks, hosts and paths that stopped answering: the roll call, and what was concluded from it."""

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.endpoint import Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a rank is, as it last noted itself."""

    rank: int | None
    """As the run numbers it; None while it does not know."""
    host: str
    """As the rank itself calls its host."""
    stage: str | None
    """None while the ranks meet."""
    round_index: int | None
    peer: int | None
    """Whom it measures with; None in a collective, and for a rank that sits the round out."""
    is_measuring: bool
    """Whether it is inside the probe; otherwise it waits for the others before or after it."""
    steps: int
    """Communication calls made so far: two readings that differ tell a slow rank from a stuck one."""


class RankState(StrEnum):
    """What a host says about a process."""

    RUNS = "runs"
    STOPPED = "stopped"  # by a signal, a debugger or a freezer
    BLOCKED = "blocked"  # in the kernel, where no signal reaches it
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStanding:
    """One process of the job, seen by a neighbour on its host."""

    pid: int
    state: RankState
    position: Position | None
    """None when it has not come far enough to have one: its interpreter still starts."""
    activity: int | None = None
    """Grows while the process does anything: its clock ticks and context switches; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What a host says of the job's processes."""

    before: tuple[RankStanding, ...]
    """A second before ``ranks``."""
    ranks: tuple[RankStanding, ...]
    moved_bytes: int
    """By all interfaces in that second; what is asked and answered here is some KB of it."""
    interfaces: tuple[Interface, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStanding:
    """One host's answer to the roll call."""

    host: str
    """As the launcher calls it."""
    report: HostReport | None
    """None when it did not answer."""
    error: str = ""
    """Why it did not."""
    is_late: bool = False
    """Whether it let somebody in, and has not got ready yet: it may be busy, and has not been given long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAnswer:
    """Whether packets of one interface reached another host."""

    src: str
    dst: str
    interface: str
    network: str
    """Both ends' subnet, as in 10.1.0.0/24."""
    mtu_bytes: int
    """The sender's."""
    small: bool
    """Whether a small packet was answered."""
    full: bool | None
    """Whether a packet of the whole MTU was; None where it was not tried, or could not be."""


class Fate(StrEnum):
    """Why a host was taken out."""

    UNREACHABLE = "host unreachable"
    UNUSABLE = "netprobe cannot start there"
    GONE = "process gone"
    STOPPED = "process stopped"
    BLOCKED = "process blocked in the kernel"
    IDLE = "process does nothing"
    STUCK = "process stuck"
    CUT_OFF = "cut off from the other hosts"
    BLACK_HOLE = "large packets vanish"
    ASIDE = "set aside"  # for a path to it that is silent: it has not failed, and the rest could not run with both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Benched:
    """A host that was taken out of the run, and why."""

    host: str
    fate: Fate
    detail: str
    """What was seen, in a few words: a process state, a signal, what ssh said."""
    ranks: tuple[int, ...] = ()
    """Its ranks; empty when it was taken out before the ranks met."""
    stage: str | None = None
    """Where the run was; None before the first round."""
    round_index: int | None = None
    peers: tuple[str, ...] = ()
    """Hosts that its ranks were measuring with."""
    last_stage: str | None = None
    """The stage of the last round that was finished with it; None when there is none."""
    last_round_index: int | None = None
    waited_ns: int = 0
    """From the last sign of life to the decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckPair:
    """Two hosts that measured with each other and did not move, though both of them answer."""

    hosts: tuple[str, str]
    stage: str | None
    round_index: int | None
    waited_ns: int = 0
