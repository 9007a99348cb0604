"""``netprobe snapshot``: this host's evidence in one file, for somebody who has no access to it."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netprobe import __version__
from netprobe.cli.streams import print_text, tell
from netprobe.contracts import System
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot
from netprobe.model.verdict import ExitCode

IDLE_S: Final = 2.0
"""Between two readings: drivers ask their NICs once a second."""


def take_snapshot(out: Path | None, excluded: tuple[str, ...], *, scrub: bool) -> int:
    """Write a snapshot of this host and print where it is; return 0."""
    from netprobe.inventory.scrub import scrubbed
    from netprobe.store.snapshots import SUFFIX, write_snapshot
    from netprobe.system.here import this_system

    tell(f"netprobe: reading this host, twice within {IDLE_S:g} s")
    snapshot = snapshot_of(this_system(excluded=excluded), socket.gethostname(), datetime.now(UTC))
    if scrub:
        snapshot = scrubbed(snapshot)
    stamp = snapshot.taken.replace(":", "-")
    path = out or Path(f"{snapshot.inventory.host}-{stamp}{SUFFIX}")
    write_snapshot(path, snapshot)
    counters = len(snapshot.readings[-1].values)
    print_text(f"{path}  {counters} counters of NICs\n")
    return ExitCode.HEALTHY


def snapshot_of(
    system: System,
    host: str,
    now: datetime,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], int] = time.monotonic_ns,
) -> Snapshot:
    """Return what a host is made of, and two readings of its NICs' counters."""
    from netprobe.inventory.host import host_inventory

    inventory = host_inventory(system, host)
    first = reading_of(system, clock)
    pause(IDLE_S)
    return Snapshot(
        format=SNAPSHOT_FORMAT,
        netprobe=__version__,
        taken=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        inventory=inventory,
        readings=(first, reading_of(system, clock)),
    )


def reading_of(system: System, clock: Callable[[], int] = time.monotonic_ns) -> Reading:
    """Return all counters of NICs, now."""
    from netprobe.registry import sources

    values = {
        name: value for source in sources().values() if source.in_stages for name, value in source.read(system).items()
    }
    return Reading(at_ns=clock(), values=values)
