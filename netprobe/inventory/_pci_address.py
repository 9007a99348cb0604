"""Which PCI device is behind a link of sysfs, and the bridges above it."""

import re
from pathlib import Path
from typing import Final

from netprobe.system.files import target_of

ADDRESS: Final = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def pci_folder(link: Path, root: Path) -> Path | None:
    """Return the folder of the PCI device that a ``device`` link leads to, or to something on top of it."""
    target = target_of(link, root)
    if target is None:
        return None
    return next((each for each in (target, *target.parents) if ADDRESS.fullmatch(each.name)), None)


def driver_of(device: Path, root: Path) -> str | None:
    """Return the name of the driver of a device's folder."""
    driver = target_of(device / "driver", root)
    return None if driver is None else driver.name


def bridges_above(folder: Path) -> tuple[Path, ...]:
    """Return the folders of the bridges above a PCI device, the root first."""
    return tuple(each for each in reversed(folder.parents) if ADDRESS.fullmatch(each.name))
