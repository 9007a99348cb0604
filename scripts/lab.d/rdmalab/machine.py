"""What the lab needs of this machine, and how fast it can be here."""

import os
import platform
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Final

from netlab.errors import UNSUPPORTED, LabError

Find = Callable[[str], str | None]

_PACKAGES: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
    "depmod": "kmod",
    "modprobe": "kmod",
    "ip": "iproute2",
    "rdma": "iproute2",
    "tc": "iproute2",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
TO_RUN: Final = ("qemu-system-x86_64", "busybox", "setpriv", "nsenter", "modprobe", "ip", "rdma", "tc")
_MOST_CORES: Final = 4


def require(
    *, uid: int | None = None, architecture: str | None = None, find: Find | None = None, busybox: Path | None = None
) -> None:
    """Raise LabError when this machine cannot hold the lab; what is not given is this process' own."""
    if (os.geteuid() if uid is None else uid) != 0:
        raise LabError("the guest shares this machine's files, and needs root", remedy="sudo", exit_code=UNSUPPORTED)
    kind = architecture or platform.machine()
    if kind != "x86_64":
        raise LabError(
            f"the guest runs this machine's programs on an x86_64 kernel, and these are for {kind}",
            remedy="an x86_64 machine",
            exit_code=UNSUPPORTED,
        )
    for tool in TO_RUN:
        require_tool(tool, find)
    require_static(busybox or Path(which("busybox") or ""))


def require_tool(tool: str, find: Find | None = None) -> str:
    """Return where a program is; LabError when it is missing."""
    found = (find or which)(tool)
    if found is None:
        raise LabError(f"{tool} is missing", remedy=f"apt-get install {_PACKAGES[tool]}", exit_code=UNSUPPORTED)
    return found


def require_static(busybox: Path) -> None:
    """Raise LabError when a program needs libraries, which are not there yet when the guest starts."""
    with busybox.open("rb") as program:
        if b"/ld-linux" in program.read(4096):
            raise LabError(f"{busybox} needs libraries", remedy="apt-get install busybox-static", exit_code=UNSUPPORTED)


def has_kvm(device: Path = Path("/dev/kvm"), cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor can run the guest by itself: some machines have the device and not the processor."""
    flags = cpuinfo.read_text().split()
    return os.access(device, os.R_OK | os.W_OK) and not {"vmx", "svm"}.isdisjoint(flags)


def cores() -> int:
    """Return how many processors the guest gets: more than there are would only wait for each other."""
    return min(len(os.sched_getaffinity(0)), _MOST_CORES)
