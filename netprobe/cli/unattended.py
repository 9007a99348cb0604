"""What commands that nobody watches share: they start ranks themselves, and are quiet where nobody reads."""

import os
import sys

from netprobe.cli.output import is_readers_terminal
from netprobe.cli.streams import tell
from netprobe.errors import PlanError
from netprobe.launch.surroundings import External, detect


def refuse_ranks(command: str) -> None:
    """Refuse to be one of several ranks of somebody's launcher; PlanError."""
    surroundings = detect(os.environ)
    if isinstance(surroundings, External):
        raise PlanError(
            f"{surroundings.launcher} has started this as one of its ranks, and netprobe {command} starts them itself",
            remedy=f"netprobe {command} without the launcher, with --hosts, --hostfile or in a Slurm allocation",
        )


def quiet_remark(line: str) -> None:
    """Say a line on a terminal; cron would mail it."""
    if is_readers_terminal(sys.stderr):
        tell(line)
