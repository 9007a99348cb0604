"""What RDMA devices count: both folders of every port in /sys/class/infiniband, and what a device counts as a whole.

Counters are named as the kernel names them; those that the catalogue knows to tell nothing are not read. A bond is a
device of its own, and so are its members where the kernel shows them.
https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-class-infiniband
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from netprobe.catalogue.keys import Origin
from netprobe.catalogue.lookup import is_told
from netprobe.contracts import Source, System
from netprobe.system.files import count_in, count_of, counts_by_file, names_in
from netprobe.units import NS_PER_MS

DEVICES: Final = "sys/class/infiniband"
HARDWARE: Final = "hw_counters"
FOLDERS: Final = ("counters", HARDWARE)
WHOLE_DEVICE: Final = 0
"""In the place of a port, where a device has several."""
LIFESPAN_MS: Final = 10  # the kernel's default: so long it answers with what it asked the device before
LONGEST_LIFESPAN_MS: Final = 10_000  # more cannot be set
AFTER_LIFESPAN_NS: Final = 6 * NS_PER_MS  # the kernel counts it in ticks of mostly 4 ms, rounds up, and adds one
IS_TOLD: Final = partial(is_told, Origin.RDMA)


def read(system: System, is_wanted: Callable[[str], bool] = IS_TOLD) -> Mapping[str, int]:
    """Return the wanted counters of all ports."""
    counters: dict[str, int] = {}
    for device, port, folder in _folders(system):
        for name, count in counts_by_file(f"{folder}", is_wanted).items():
            counters.setdefault(f"{Origin.RDMA}/{device}/{port}/{name}", count)
    return counters


def settling_ns(system: System) -> int:
    """Return how long the kernel may answer with old values; nothing where it keeps none."""
    folders = [folder for _, _, folder in _folders(system) if folder.name == HARDWARE and names_in(folder)]
    lifespans = [_lifespan_ms(folder) for folder in folders]
    return max(lifespans) * NS_PER_MS + AFTER_LIFESPAN_NS if lifespans else 0


def _folders(system: System) -> Iterator[tuple[str, int, Path]]:
    """Yield (device, port, folder); what a device with one port counts as a whole is that port's."""
    devices = system.root / DEVICES
    for device in names_in(devices):
        if device in system.excluded:
            continue
        ports = [port for name in names_in(devices / device / "ports") if (port := count_of(name))]
        for port in ports:
            yield from ((device, port, devices / device / "ports" / f"{port}" / folder) for folder in FOLDERS)
        yield device, ports[0] if len(ports) == 1 else WHOLE_DEVICE, devices / device / HARDWARE


def _lifespan_ms(folder: Path) -> int:
    lifespan = count_in(folder / "lifespan")
    return LIFESPAN_MS if lifespan is None else min(lifespan, LONGEST_LIFESPAN_MS)


SOURCE = Source(
    id="rdma",
    title="what RDMA devices count",
    is_per_host=True,
    read=read,
    in_stages=True,
    settling_ns=settling_ns,
)
