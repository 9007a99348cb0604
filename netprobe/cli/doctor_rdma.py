"""What the doctor says of RDMA: devices and their addresses, the library, the rights, and the reference engine."""

import ctypes
import importlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from netprobe.cli.answers import Answer
from netprobe.errors import UnavailableError
from netprobe.inventory.rdma_choice import choose_endpoint, gid_title, port_title
from netprobe.inventory.rdma_ports import rdma_ports
from netprobe.inventory.settings import UNLIMITED, parse_memlock
from netprobe.model.inventory import RdmaPort
from netprobe.model.rdma import RdmaOptions
from netprobe.system.files import names_in, text_of
from netprobe.system.here import recorded_system
from netprobe.units import format_size

LIBRARY: Final = "libibverbs.so.1"
DEVICE_FILES: Final = "dev/infiniband"
RDMA_CORE: Final = "the packages libibverbs1 and ibverbs-providers, or rdma-core"
ENUMS: Final = ("pyverbs.libibverbs_enums", "pyverbs.enums")  # releases before 57 have only the second, 59 the first
GET_PYVERBS: Final = (
    "python3-pyverbs and that Python; pip install pyverbs builds all of rdma-core, works with that release of "
    "libibverbs alone, and needs cython<3.1 (PIP_CONSTRAINT)"
)
UNLOCK: Final = (
    "memlock unlimited in /etc/security/limits.conf, LimitMEMLOCK=infinity of the service that starts jobs; "
    "--cap-add IPC_LOCK of a container"
)
_RELEASE: Final = re.compile(r"/libibverbs\.so\.\d+\.\d+\.(\d+)(?:\.\d+)*$", re.MULTILINE)
_CAPABILITIES: Final = re.compile(r"^CapEff:\s*([0-9a-f]{1,16})$", re.MULTILINE)
_IPC_LOCK: Final = 1 << 14  # CAP_IPC_LOCK, include/uapi/linux/capability.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What is installed; a text is what was found, and an ImportError or OSError why there is nothing to use."""

    library: str | OSError
    pyverbs: str | ImportError


def rdma_answers(root: Path, software: Callable[[], Software] | None = None) -> tuple[Answer, ...]:
    """Return what is to be said of RDMA on this host; answers of None where it has no device."""
    installed = (software or software_here)()
    try:
        ports = rdma_ports(recorded_system(root))
    except OSError as error:
        return (Answer(topic="rdma", can=False, seen=f"devices cannot be listed: {error.strerror}"),)
    devices = devices_answer(ports)
    has_device = devices.can is not None
    rights = (device_files_answer(root), memlock_answer(root)) if has_device else ()
    return (
        devices,
        library_answer(installed.library, is_needed=has_device),
        *rights,
        pyverbs_answer(installed.pyverbs, is_usable=has_device),
    )


def verdict_on_rdma(answers: Iterable[Answer]) -> str:
    """Return the end of the doctor's last sentence."""
    answers = tuple(answers)
    missing = [answer.topic for answer in answers if answer.can is False]
    if missing:
        return f"but not RDMA yet: {', '.join(missing)}"
    return "and RDMA" if any(answer.topic == "rdma" and answer.can for answer in answers) else "and has no RDMA device"


def devices_answer(ports: tuple[RdmaPort, ...]) -> Answer:
    """Say of each port what it is, and by which address it would be used."""
    if not ports:
        return Answer(topic="rdma", can=None, seen="no RDMA device on this host")
    told, problems = [], []
    for port in ports:
        try:
            told.append(_as_used(port))
        except UnavailableError as error:
            told.append(error.problem if port.is_active else port_title(port))
            problems.append(error.remedy or "")
    can = len(problems) < len(ports)
    return Answer(topic="rdma", can=can, seen="; ".join(told), remedy="" if can else problems[0])


def library_answer(library: str | OSError, *, is_needed: bool) -> Answer:
    """Say whether libibverbs can be loaded, and of which release it is."""
    if isinstance(library, str):
        return Answer(topic="verbs", can=True if is_needed else None, seen=library)
    seen = f"{LIBRARY} cannot be loaded: {library}"
    return Answer(topic="verbs", can=False if is_needed else None, seen=seen, remedy=RDMA_CORE if is_needed else "")


def device_files_answer(root: Path, may_use: Callable[[Path], bool] | None = None) -> Answer:
    """Say whether the devices may be opened."""
    allowed = may_use or _may_use
    names = [name for name in names_in(root / DEVICE_FILES) if name.startswith("uverbs")]
    if not names:
        return Answer(
            topic="access",
            can=False,
            seen=f"there is no /{DEVICE_FILES}/uverbs*",
            remedy="modprobe ib_uverbs; in a container --device /dev/infiniband",
        )
    closed = [name for name in names if not allowed(root / DEVICE_FILES / name)]
    if closed:
        told = ", ".join(f"/{DEVICE_FILES}/{name}" for name in closed)
        return Answer(
            topic="access", can=False, seen=f"{told}: no right to read and write", remedy="mode 0666 by a udev rule"
        )
    return Answer(topic="access", can=True, seen=f"/{DEVICE_FILES}: {', '.join(names)}")


def memlock_answer(root: Path) -> Answer:
    """Say whether as much memory may be locked as a rank registers."""
    from netprobe.probes._pairs import COMPARED_BYTES
    from netprobe.session.memory import BUFFERS_PER_RANK

    needed_bytes = BUFFERS_PER_RANK * COMPARED_BYTES
    limit_bytes = parse_memlock(text_of(root / "proc/self/limits"))
    if limit_bytes is None:
        return Answer(topic="memlock", can=None, seen="the system does not tell")
    shown = "unlimited" if limit_bytes == UNLIMITED else format_size(limit_bytes)
    if locks_all(text_of(root / "proc/self/status")):
        return Answer(topic="memlock", can=True, seen=f"{shown}, and CAP_IPC_LOCK lifts any limit")
    need = f"a rank registers {format_size(needed_bytes)}, and twice the largest message above half of that"
    return Answer(topic="memlock", can=limit_bytes >= needed_bytes, seen=f"{shown}; {need}", remedy=UNLOCK)


def pyverbs_answer(pyverbs: str | ImportError, *, is_usable: bool) -> Answer:
    """Say whether the reference engine is there, and how to get it where there is a device to use it with."""
    if isinstance(pyverbs, str):
        return Answer(topic="pyverbs", can=None, seen=pyverbs)
    seen = f"{pyverbs}; only --engine pyverbs needs it"
    return Answer(topic="pyverbs", can=None, seen=seen, remedy=GET_PYVERBS if is_usable else "")


def software_here() -> Software:
    """Look for libibverbs and pyverbs as the engines would."""
    return Software(library=_library(), pyverbs=_pyverbs())


def parse_release(maps: str) -> str | None:
    """Return ``44`` of /proc/self/maps: the name of the library's file has the release of rdma-core in it."""
    found = _RELEASE.search(maps)
    return found[1] if found else None


def locks_all(status: str) -> bool:
    """Return whether a process with this /proc/self/status may lock any amount of memory."""
    found = _CAPABILITIES.search(status)
    return found is not None and bool(int(found[1], 16) & _IPC_LOCK)


def _as_used(port: RdmaPort) -> str:
    endpoint = choose_endpoint((port,), RdmaOptions(), 0)
    gid = next(each for each in port.gids if each.index == endpoint.gid_index)
    why = f" ({endpoint.why})" if endpoint.why else ""
    return f"{port.name} {port.state}, {gid_title(gid)}{why}"


def _may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _library() -> str | OSError:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        return error
    release = parse_release(text_of(Path("/proc/self/maps")))
    return LIBRARY if release is None else f"{LIBRARY} of rdma-core {release}"


def _pyverbs() -> str | ImportError:
    if find_spec("pyverbs") is None:
        return ImportError("not installed for this Python")
    try:
        importlib.import_module("pyverbs.device")
        enums = next((name for name in ENUMS if find_spec(name) is not None), None)
    except ImportError as error:  # of another release than libibverbs: IBVERBS_PRIVATE_59 not found
        return error
    if enums is None:
        return ImportError(f"neither {' nor '.join(ENUMS)} is there")
    try:
        return f"{metadata.version('pyverbs')} with {enums}"
    except metadata.PackageNotFoundError:  # a distribution's package does not tell pip
        return f"of the distribution, with {enums}"
