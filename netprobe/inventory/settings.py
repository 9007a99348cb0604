"""What the operating system is set to, where it matters for latency and GPUDirect. All of it is read from files."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from netprobe.contracts import System
from netprobe.environment import recorded_environment
from netprobe.inventory.pci import NVIDIA
from netprobe.model.inventory import PciDevice, SystemSettings
from netprobe.system.files import LARGEST_COUNT, bytes_of, count_of, names_in, text_of, word_of

UNLIMITED: Final = LARGEST_COUNT
PROCESSORS: Final = "sys/devices/system/cpu"
IOMMU_GROUPS: Final = "sys/kernel/iommu_groups"
PEER_MEMORY: Final = ("sys/module/nvidia_peermem", "sys/kernel/mm/memory_peers")
DMA_BUF_KERNEL: Final = (5, 12)  # verbs take dma-buf handles since
DMA_BUF_DRIVER: Final = 515  # the first with open kernel modules, which alone hand them out

_KERNEL: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\b")
_DRIVER: Final = re.compile(r"NVRM version:.*?(Open )?Kernel Module.*?\s(\d{3,4})\.\d")
_SWITCHED_OFF: Final = frozenset({"iommu=off", "intel_iommu=off", "amd_iommu=off"})
_PASSED_THROUGH: Final = frozenset({"iommu=pt", "iommu.passthrough=1"})
_SWITCHED_ON: Final = frozenset({"intel_iommu=on", "amd_iommu=on"})


def system_settings(system: System, devices: Iterable[PciDevice]) -> SystemSettings:
    """Return the settings of a system with these NICs and GPUs."""
    root, devices = system.root, tuple(devices)
    kernel = word_of(root / "proc/sys/kernel/osrelease")
    gpus = [device for device in devices if device.kind == "gpu"]
    return SystemSettings(
        kernel=kernel,
        memlock_bytes=parse_memlock(text_of(root / "proc/self/limits")),
        governor=_governor(root / PROCESSORS / "cpufreq"),
        deepest_idle_state=_deepest_idle_state(root / PROCESSORS / "cpu0/cpuidle"),
        iommu=_iommu(root, [device.address for device in devices]),
        gpu_direct=_gpu_direct(root, kernel, gpus) if gpus else None,
        environment=recorded_environment(parse_environment(bytes_of(root / "proc/self/environ"))),
    )


def parse_memlock(text: str) -> int | None:
    """Return the limit that is in force of /proc/self/limits."""
    _, found, rest = text.partition("Max locked memory")
    words = rest.partition("\n")[0].split() if found else []
    if not words:
        return None
    return UNLIMITED if words[0] == "unlimited" else count_of(words[0])


def parse_environment(content: bytes) -> dict[str, str]:
    """Return the variables of /proc/self/environ, as the process got them; without those that are no text."""
    pairs = (entry.decode("utf-8", errors="replace").partition("=") for entry in content.split(b"\0"))
    return {name: value for name, is_set, value in pairs if is_set and name.isprintable() and value.isprintable()}


def parse_iommu(types: Iterable[str], command_line: str) -> str | None:
    """Return ``identity`` or ``translated`` from the types of groups, or else from the kernel's options."""
    known = [each for each in types if each == "identity" or each.startswith("DMA")]
    if known:
        return "identity" if all(each == "identity" for each in known) else "translated"
    options = frozenset(command_line.split())
    if options & _SWITCHED_OFF:
        return "off"
    if options & _PASSED_THROUGH:
        return "identity"
    return "translated" if options & _SWITCHED_ON else None


def hands_out_dma_buf(kernel: str | None, driver: str) -> bool | None:
    """Return whether NVIDIA's driver (/proc/driver/nvidia/version) and the kernel do; None where that is not known."""
    release, version = _KERNEL.match(kernel or ""), _DRIVER.search(driver)
    if release is None or version is None:
        return None
    is_new = (int(release[1]), int(release[2])) >= DMA_BUF_KERNEL and int(version[2]) >= DMA_BUF_DRIVER
    return is_new and version[1] is not None


def _gpu_direct(root: Path, kernel: str | None, gpus: Iterable[PciDevice]) -> str | None:
    module, peers = PEER_MEMORY
    if (root / module).is_dir() or names_in(root / peers):
        return "peer-memory"
    if any(gpu.vendor != NVIDIA for gpu in gpus):
        return None  # whether amdgpu's handles reach the NIC depends on options of the kernel's build
    can = hands_out_dma_buf(kernel, text_of(root / "proc/driver/nvidia/version"))
    return None if can is None else "dma-buf" if can else "none"


def _iommu(root: Path, addresses: Iterable[str]) -> str | None:
    """Return how the devices' addresses are translated; those of all devices where none is a NIC or a GPU."""
    groups = root / IOMMU_GROUPS
    command_line = text_of(root / "proc/cmdline")
    numbers = names_in(groups)
    if not numbers and groups.is_dir():
        return "off"
    own = [word_of(root / "sys/bus/pci/devices" / address / "iommu_group/type") for address in addresses]
    types = [each for each in own if each] or [word_of(groups / number / "type") or "" for number in numbers]
    return parse_iommu(types, command_line)


def _governor(folder: Path) -> str | None:
    """Return the governor of all CPUs; those that share a clock have one policy."""
    governors = {word_of(folder / policy / "scaling_governor") for policy in names_in(folder)} - {None}
    return "mixed" if len(governors) > 1 else next(iter(governors), None)


def _deepest_idle_state(folder: Path) -> str | None:
    """Return the name of the last state that is not disabled; the kernel lists the deepest last."""
    states = [folder / name for name in names_in(folder) if name.startswith("state")]
    enabled = [state for state in states if text_of(state / "disable").strip() == "0"]
    return word_of(enabled[-1] / "name") if enabled else None
