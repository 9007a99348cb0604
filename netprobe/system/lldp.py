"""What switches said of themselves to this host's LLDP daemon: ``lldpcli``, where it is installed.

Asked once, before anything is measured.
"""

import subprocess
from collections.abc import Callable
from typing import Final

COMMAND: Final = ("lldpcli", "-f", "json", "show", "neighbors")
PATIENCE_S: Final = 2.0

Run = Callable[[tuple[str, ...]], str | None]


def run(command: tuple[str, ...]) -> str | None:
    """Return what a command printed; None when it is not there, failed, or took too long."""
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def neighbours_text(run: Run = run) -> str | None:
    """Return what the daemon knows as JSON, for netprobe.inventory.lldp; None where there is no daemon to ask."""
    return run(COMMAND)
