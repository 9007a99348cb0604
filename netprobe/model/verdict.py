"""The five outcomes and the exit code of each; a contract with cron jobs and Nagios, never renumbered."""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the shell sees."""

    HEALTHY = 0
    DEGRADED = 1
    FAULTY = 2
    INCONCLUSIVE = 3
    SETUP_ERROR = 4
    INTERRUPTED = 130


class Verdict(StrEnum):
    """What a judged run says of the fabric."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    FAULTY = "FAULTY"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of ``check`` and ``judge`` for this verdict."""
        return ExitCode[self.value]
