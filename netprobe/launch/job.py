"""A launched job as others see it: how long it may be silent, who hears it, how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from netprobe.errors import LaunchError
from netprobe.model.run import RunStatus
from netprobe.units import NS_PER_MS, NS_PER_S

OnChatter = Callable[[str], None]
OnStart = Callable[[str], None]
OnSilence = Callable[[], bool]
"""Asked when nothing has come in time; returns whether to go on waiting."""

DEADLINE_NS: Final = 15 * NS_PER_S
LOOKING_NS: Final = 7 * NS_PER_S  # of a deadline goes to asking the hosts, and to ending what is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long nothing may come before somebody looks, or the job is ended."""

    meeting_ns: int = DEADLINE_NS - LOOKING_NS
    """Until all ranks have met."""
    round_floor_ns: int = DEADLINE_NS - LOOKING_NS
    """For a round, however short, and from a finished round to the next."""
    round_factor: int = 2
    """Times the expected duration of a round."""
    ending_ns: int = DEADLINE_NS - LOOKING_NS
    """From the last record to the end of the launcher."""
    grace_ns: int = 2 * NS_PER_S
    """From asking to end until killing."""
    reprieve_ns: int = 50 * NS_PER_MS
    """For what came while somebody asked around."""
    draining_ns: int = NS_PER_S
    """For output that is still on its way when the launcher has ended."""

    @classmethod
    def blind(cls) -> "Patience":
        """Return the patience with hosts that cannot be asked: then silence is all there is to judge by."""
        return cls(meeting_ns=180 * NS_PER_S, round_floor_ns=30 * NS_PER_S, round_factor=10, ending_ns=30 * NS_PER_S)

    @classmethod
    def within(cls, deadline_ns: int) -> "Patience":
        """Return the patience that names whoever is silent within a deadline."""
        silence_ns = max(deadline_ns - LOOKING_NS, deadline_ns // 2)
        return cls(meeting_ns=silence_ns, round_floor_ns=silence_ns, ending_ns=silence_ns)


def unheard(_line: str) -> None:
    """Drop a line: it is kept for an error message all the same."""


def _no_more_patience() -> bool:
    """Wait no longer: there is nobody to ask."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears what is no record."""

    on_chatter: OnChatter = unheard
    """Gets every line that the launcher and the ranks print."""
    on_start: OnStart = unheard
    """Told by which mark the processes of the job are found on its hosts."""
    on_silence: OnSilence = _no_more_patience
    """Asked before a job is ended because nothing comes any more, while all of it is still there."""


class LaunchTimeout(LaunchError):
    """The ranks did not meet in time; another launcher would wait as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a job ended that began to measure, or that was interrupted."""

    status: RunStatus
    error: str | None
    """Why it is not complete, in one line; None when it is."""
    exit_code: int | None
    """The launcher's; None when it was ended by a signal."""
    stage: str | None
    """The stage it had reached; None before the first."""
    round_index: int | None
    is_hung: bool = False
    """Whether it was ended because nothing came any more."""
    silent_ns: int = 0
    """From the last record to the end of the job."""
    lines: tuple[str, ...] = ()
    """The last lines that were no records."""
    given_up: tuple[str, ...] = ()
    """Launchers tried before, each with the reason why it was not used."""
