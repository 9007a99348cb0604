"""What NVIDIA's driver tells of this host's GPUs, by nvidia-ml-py (``pynvml``); no other module knows that library.

Whatever goes wrong is an answer: no library, no driver, a GPU that fell off the bus, a function that this driver does
not have. Names are those of nvidia-ml-py 13.615, units those of nvml.h. Not used: field ids from 251 on, which mean
other things from one driver to the next (clocks event times were 251 to 253, and became 269 to 271).

Does not handle: parts of a GPU (MIG), of which NVML tells next to nothing.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netprobe.contracts import GpuSystem
from netprobe.model.gpu import GpuCondition, GpuCount, GpuDevice, GpuLevels, GpuSurvey, Hold, UnreadGpu
from netprobe.system.files import names_in

KNOWN_TO_KERNEL: Final = "proc/driver/nvidia/gpus"
NOT_KNOWN: Final = (1 << 32) - 1  # drivers say so where a number does not apply
MOST_COUNT: Final = (1 << 63) - 1  # what counters.parquet can hold
FEWEST_LINKS: Final = 18  # of nvidia-ml-py 12, where the library does not say how many a GPU may have
SWITCH: Final = 2  # NVML_NVLINK_DEVICE_TYPE_SWITCH
GENERATION_OF: Final = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 5}  # NVML_NVLINK_VERSION_1_0 to _5_0
MASKS: Final = 4  # of 64 NUMA nodes each
AFFINITY_OF_NODE: Final = 0  # NVML_AFFINITY_SCOPE_NODE
LINK_RECOVERIES: Final = 215  # NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS: from Blackwell on, instead of the others
LOST: Final = frozenset({15, 16, 28})  # NVML_ERROR_GPU_IS_LOST, RESET_REQUIRED, GPU_NOT_FOUND
LIBRARY_NOT_FOUND, VERSION_MISMATCH = 12, 18
INSTALL: Final = "pip install 'netprobe[gpu]'"
HOLDS: Final[Mapping[int, Hold]] = {
    0x001: Hold.IDLE,
    0x002: Hold.APPLICATION_CLOCKS,
    0x004: Hold.POWER_CAP,
    0x008: Hold.HARDWARE,
    0x010: Hold.SYNC_BOOST,
    0x020: Hold.SOFTWARE_THERMAL,
    0x040: Hold.HARDWARE_THERMAL,
    0x080: Hold.POWER_BRAKE,
    0x100: Hold.DISPLAY_CLOCKS,
}
"""nvmlClocksEventReason…, the same bits as nvmlClocksThrottleReason…"""
CLOCK_SM, CLOCK_MEMORY = 1, 2
VOLATILE: Final = 0  # NVML_VOLATILE_ECC: since the driver was loaded
ECC: Final = {GpuCount.ECC_CORRECTED: 0, GpuCount.ECC_UNCORRECTED: 1}
POLICIES: Final = {GpuCount.THERMAL_NS: 1, GpuCount.BOARD_LIMIT_NS: 3, GpuCount.RELIABILITY_NS: 5}
LINK_ERRORS: Final = {GpuCount.NVLINK_REPLAY: (0,), GpuCount.NVLINK_RECOVERY: (1,), GpuCount.NVLINK_CRC: (2, 3)}
"""NVML_NVLINK_ERROR_DL_REPLAY, _RECOVERY, _CRC_FLIT and _CRC_DATA."""

Load = Callable[[], Any]


def nvml_here(root: Path) -> GpuSystem | None:
    """Return the way to the driver's library; None where no driver of NVIDIA is loaded. Loads nothing yet."""
    return Nvml(root) if (root / KNOWN_TO_KERNEL).is_dir() else None


def kernel_address(bus_id: str) -> str | None:
    """Return ``0000:18:00.0`` for NVML's ``00000000:18:00.0``; None for what is no address."""
    domain, _, rest = bus_id.strip().lower().partition(":")
    bus, _, slot = rest.partition(":")
    device, _, function = slot.partition(".")
    try:
        parts = [int(each, 16) for each in (domain, bus, device, function)]
    except ValueError:
        return None
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)


def _load_pynvml() -> Any:  # noqa: ANN401 - the library has no types
    import pynvml

    return pynvml


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """The library when it works, and what it calls each GPU."""

    pynvml: Any
    handles: Mapping[str, Any]
    survey: GpuSurvey


@dataclass(slots=True)
class _Questions:
    """Asks one GPU, and keeps why it did not answer."""

    pynvml: Any
    handle: Any
    silence: str | None = None
    """Why the GPU as a whole is gone: then it is asked nothing more, for each question may take seconds."""
    complaint: str = "this driver tells nothing of it"
    """The last error, should there be no answer at all."""
    answers: int = 0

    def ask(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the function returns
        """Return what a function of the library says of this GPU; None where it does not."""
        function = getattr(self.pynvml, name, None)
        if function is None or self.silence is not None:
            return None
        try:
            answer = function(self.handle, *arguments)
        except self.pynvml.NVMLError as error:
            self.complaint = f"the driver says: {error}"
            if _code(error) in LOST:
                self.silence = self.complaint
            return None
        except (OSError, ValueError, TypeError):
            return None
        self.answers += 1
        return answer

    def number(self, name: str, *arguments: object) -> int | None:
        """Return an answer that is a count or a level."""
        answer = self.ask(name, *arguments)
        is_known = isinstance(answer, int) and 0 <= answer <= MOST_COUNT and answer != NOT_KNOWN
        return answer if is_known else None

    def watts(self, name: str) -> float | None:
        """Return an answer that NVML gives in mW."""
        milliwatts = self.number(name)
        return None if milliwatts is None else milliwatts / 1000


class Nvml:
    """A GpuSystem on NVML; opened at the first question, and once for a process."""

    def __init__(self, root: Path, load: Load = _load_pynvml) -> None:
        self._root = root
        self._load = load
        self._lock = threading.Lock()
        self._library: _Library | None = None

    def survey(self) -> GpuSurvey:
        """Return which GPUs there are, and of which nothing can be read."""
        return self._opened().survey

    def levels(self, pci: str) -> GpuLevels:
        """Return what a GPU shows now."""
        asked = self._questions(pci)
        if asked is None:
            return GpuLevels(silence="NVML does not know it")
        levels = GpuLevels(
            sm_clock_mhz=asked.number("nvmlDeviceGetClockInfo", CLOCK_SM),
            memory_clock_mhz=asked.number("nvmlDeviceGetClockInfo", CLOCK_MEMORY),
            holds=_holds(asked),
            celsius=asked.number("nvmlDeviceGetTemperature", 0),
            power_watts=asked.watts("nvmlDeviceGetPowerUsage"),
            pcie_generation=asked.number("nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=asked.number("nvmlDeviceGetCurrPcieLinkWidth"),
        )
        if asked.silence is None and asked.answers == 0:
            return GpuLevels(silence=asked.complaint)
        return levels if asked.silence is None else GpuLevels(silence=asked.silence)

    def condition(self, pci: str) -> GpuCondition:
        """Return the state of its links and of its memory."""
        asked = self._questions(pci)
        if asked is None:
            return GpuCondition()
        states = [asked.number("nvmlDeviceGetNvLinkState", link) for link in _links(asked)]
        told = [bool(state) for state in states if state is not None]
        up = [link for link, state in enumerate(states) if state]
        rows = asked.ask("nvmlDeviceGetRemappedRows")
        is_told = isinstance(rows, tuple) and len(rows) == 4
        return GpuCondition(
            links=len(told) or None,
            links_active=sum(told) if told else None,
            links_switched=_switched(asked, up),
            link_generation=_generation(asked, up),
            remap_pending=bool(rows[2]) if is_told else _pending_pages(asked),
            remap_failed=bool(rows[3]) if is_told else None,
        )

    def counters(self, pci: str) -> Mapping[GpuCount, int]:
        """Return what it has counted since the driver was loaded."""
        asked = self._questions(pci)
        if asked is None:
            return {}
        told: dict[GpuCount, int | None] = {
            name: asked.number("nvmlDeviceGetTotalEccErrors", kind, VOLATILE) for name, kind in ECC.items()
        }
        told |= {name: _violation_ns(asked, policy) for name, policy in POLICIES.items()}
        told[GpuCount.PCIE_REPLAY] = asked.number("nvmlDeviceGetPcieReplayCounter")
        told |= _link_errors(asked)
        return {name: value for name, value in told.items() if value is not None}

    def _questions(self, pci: str) -> _Questions | None:
        library = self._opened()
        handle = library.handles.get(pci)
        return None if handle is None else _Questions(library.pynvml, handle)

    def _opened(self) -> _Library:
        with self._lock:
            if self._library is None:
                self._library = self._open()
            return self._library

    def _open(self) -> _Library:
        try:
            pynvml = self._load()
        except ImportError:
            return _closed(f"nvidia-ml-py is not installed ({INSTALL})")
        except Exception as error:  # a package of the same name may do anything when it is imported
            return _closed(f"pynvml cannot be imported: {' '.join(str(error).split())}")
        if not all(hasattr(pynvml, name) for name in ("NVMLError", "nvmlInit", "nvmlDeviceGetHandleByIndex")):
            return _closed(f"the pynvml that is installed is not NVIDIA's ({INSTALL})")
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            return _closed(f"NVML cannot be used: {error} ({_remedy(error)})")
        return _surveyed(pynvml, count, names_in(self._root / KNOWN_TO_KERNEL))


def _closed(reason: str) -> _Library:
    return _Library(pynvml=None, handles={}, survey=GpuSurvey(unread=(UnreadGpu(pci=None, reason=reason),)))


def _remedy(error: Exception) -> str:
    if _code(error) == LIBRARY_NOT_FOUND:
        return "libnvidia-ml.so.1 comes with the driver; in a container, start it with the NVIDIA runtime"
    if _code(error) == VERSION_MISMATCH:
        return "the driver was updated and not loaded again: restart the host"
    return "nvidia-smi says more"


def _code(error: Exception) -> int:
    return int(getattr(error, "value", 0) or 0)


def _surveyed(pynvml: Any, count: int, known_to_kernel: Iterable[str]) -> _Library:  # noqa: ANN401
    handles: dict[str, Any] = {}
    failed: list[str] = []
    for index in range(count):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            address = kernel_address(str(pynvml.nvmlDeviceGetPciInfo(handle).busId))
        except (pynvml.NVMLError, ValueError) as error:
            failed.append(f"GPU {index}: the driver says: {error}")
            continue
        if address is None:
            failed.append(f"GPU {index}: NVML gives no PCI address")
        else:
            handles[address] = handle
    missing = sorted(set(known_to_kernel) - set(handles))
    devices = tuple(_device(address, _Questions(pynvml, handle)) for address, handle in handles.items())
    return _Library(
        pynvml=pynvml,
        handles=handles,
        survey=GpuSurvey(driver=_driver(pynvml), devices=devices, unread=tuple(_unread(missing, failed))),
    )


def _unread(missing: list[str], failed: list[str]) -> Iterator[UnreadGpu]:
    """Yield who did not tell: by address where the kernel knows as many as NVML has failed for."""
    if failed and len(failed) != len(missing):
        yield from (UnreadGpu(pci=None, reason=reason) for reason in failed)
        failed = []
    reasons = failed or ["the kernel shows it, and NVML does not: it may have fallen off the bus (dmesg: Xid 79)"]
    yield from (UnreadGpu(pci=pci, reason=reasons[min(at, len(reasons) - 1)]) for at, pci in enumerate(missing))


def _driver(pynvml: Any) -> str | None:  # noqa: ANN401
    try:
        version = pynvml.nvmlSystemGetDriverVersion()
    except (AttributeError, ValueError, pynvml.NVMLError):
        return None
    return version if isinstance(version, str) else None


def _device(pci: str, asked: _Questions) -> GpuDevice:
    name = asked.ask("nvmlDeviceGetName")
    return GpuDevice(
        pci=pci,
        name=name if isinstance(name, str) else None,
        sm_clock_target_mhz=asked.number("nvmlDeviceGetApplicationsClock", CLOCK_SM)
        or asked.number("nvmlDeviceGetMaxClockInfo", CLOCK_SM),
        memory_clock_most_mhz=asked.number("nvmlDeviceGetMaxClockInfo", CLOCK_MEMORY),
        slowdown_celsius=asked.number("nvmlDeviceGetTemperatureThreshold", 1),
        power_limit_watts=asked.watts("nvmlDeviceGetEnforcedPowerLimit"),
        pcie_generation_most=asked.number("nvmlDeviceGetMaxPcieLinkGeneration"),
        pcie_width_most=asked.number("nvmlDeviceGetMaxPcieLinkWidth"),
        numa_node=_numa_node(asked),
    )


def _numa_node(asked: _Questions) -> int | None:
    """Return the one node of the host's memory that is nearest; None where there are several, or none is told."""
    masks = asked.ask("nvmlDeviceGetMemoryAffinity", MASKS, AFFINITY_OF_NODE)
    try:
        nodes = [64 * word + bit for word, mask in enumerate(masks or ()) for bit in range(64) if int(mask) >> bit & 1]
    except (TypeError, ValueError):
        return None
    return nodes[0] if len(nodes) == 1 else None


def _holds(asked: _Questions) -> frozenset[Hold] | None:
    bits = asked.number("nvmlDeviceGetCurrentClocksEventReasons")
    if bits is None:  # as it was called before nvidia-ml-py 12.535
        bits = asked.number("nvmlDeviceGetCurrentClocksThrottleReasons")
    return None if bits is None else frozenset(hold for bit, hold in HOLDS.items() if bits & bit)


def _pending_pages(asked: _Questions) -> bool | None:
    """Return whether pages wait to be retired: before Ampere memory had no spare rows."""
    pending = asked.number("nvmlDeviceGetRetiredPagesPendingStatus")
    return None if pending is None else bool(pending)


def _violation_ns(asked: _Questions, policy: int) -> int | None:
    time = getattr(asked.ask("nvmlDeviceGetViolationStatus", policy), "violationTime", None)
    return time if isinstance(time, int) and time <= MOST_COUNT else None


def _links(asked: _Questions) -> range:
    return range(getattr(asked.pynvml, "NVML_NVLINK_MAX_LINKS", FEWEST_LINKS))


def _switched(asked: _Questions, up: Sequence[int]) -> int | None:
    """Return how many active links end at a switch; None where the driver does not tell of all."""
    kinds = [asked.number("nvmlDeviceGetNvLinkRemoteDeviceType", link) for link in up]
    return None if not kinds or None in kinds else sum(kind == SWITCH for kind in kinds)


def _generation(asked: _Questions, up: Sequence[int]) -> int | None:
    """Return the generation of the slowest active link; None where it is not told, or not known here."""
    told = [GENERATION_OF.get(asked.number("nvmlDeviceGetNvLinkVersion", link) or 0) for link in up]
    return None if None in told else min((each for each in told if each is not None), default=None)


def _link_errors(asked: _Questions) -> dict[GpuCount, int | None]:
    """Return the errors of all links together; None where no link tells."""
    links = [link for link in _links(asked) if asked.number("nvmlDeviceGetNvLinkState", link)]
    told: dict[GpuCount, int | None] = {
        name: _sum(asked.number("nvmlDeviceGetNvLinkErrorCounter", link, kind) for link in links for kind in kinds)
        for name, kinds in LINK_ERRORS.items()
    }
    if told[GpuCount.NVLINK_RECOVERY] is None and links:
        told[GpuCount.NVLINK_RECOVERY] = _recoveries(asked, links)
    return told


def _recoveries(asked: _Questions, links: list[int]) -> int | None:
    values = asked.ask("nvmlDeviceGetFieldValues", [(LINK_RECOVERIES, link) for link in links])
    return None if values is None else _sum(int(each.value.ullVal) for each in values if each.nvmlReturn == 0)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [each for each in counts if each is not None]
    return sum(known) if known else None
