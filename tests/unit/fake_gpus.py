"""GPUs that are not there: a driver's library as nvidia-ml-py shows it, and a GpuSystem that answers as it is told."""

import threading
from types import SimpleNamespace

from netprobe.model.gpu import GpuCondition, GpuDevice, GpuLevels, GpuSurvey, Hold

LOST, RESET, UNSUPPORTED, NO_LIBRARY, MISMATCH, NO_PERMISSION = 15, 16, 3, 12, 18, 4
PCI = "0000:18:00.0"


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value

    def __str__(self):
        return {LOST: "GPU is lost", UNSUPPORTED: "Not Supported", NO_LIBRARY: "NVML Shared Library Not Found"}.get(
            self.value, f"NVML Error with code {self.value}"
        )


H100 = {
    "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
    "nvmlDeviceGetApplicationsClock": 1980,
    "nvmlDeviceGetMaxClockInfo": {(1,): 1980, (2,): 2619},
    "nvmlDeviceGetClockInfo": {(1,): 1755, (2,): 2619},
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetTemperatureThreshold": {(1,): 87},
    "nvmlDeviceGetPowerUsage": 698_500,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetCurrPcieLinkGeneration": 5,
    "nvmlDeviceGetMaxPcieLinkGeneration": 5,
    "nvmlDeviceGetCurrPcieLinkWidth": 16,
    "nvmlDeviceGetMaxPcieLinkWidth": 16,
    "nvmlDeviceGetPcieReplayCounter": 2,
    "nvmlDeviceGetTotalEccErrors": {(0, 0): 7, (1, 0): 1},
    "nvmlDeviceGetRemappedRows": (3, 1, 1, 0),
    "nvmlDeviceGetViolationStatus": {
        (1,): SimpleNamespace(referenceTime=1, violationTime=5_000_000),
        (3,): SimpleNamespace(referenceTime=1, violationTime=0),
    },
    "nvmlDeviceGetNvLinkState": {(link,): int(link != 3) for link in range(18)},
    "nvmlDeviceGetNvLinkRemoteDeviceType": {(link,): 2 for link in range(18)},
    "nvmlDeviceGetNvLinkVersion": {(link,): 6 for link in range(18)},
    "nvmlDeviceGetNvLinkErrorCounter": {(link, kind): [1, 0, 10, 100][kind] for link in range(18) for kind in range(4)},
}
"""What each function says of one GPU; by its arguments where it has any. What is not here is not supported."""


class FakeNvml:
    """As the module ``pynvml``: each GPU is a table as H100, or an error that each question ends with."""

    NVMLError = NVMLError
    NVML_NVLINK_MAX_LINKS = 36

    def __init__(self, *gpus, opens=None, bus_ids=None):
        self._gpus = gpus
        self._opens = opens
        self._bus_ids = bus_ids or [f"00000000:{0x18 + index:02X}:00.0" for index in range(len(gpus))]
        self.initialised = 0

    def nvmlInit(self):
        self.initialised += 1
        if self._opens is not None:
            raise NVMLError(self._opens)

    def nvmlDeviceGetCount(self):
        return len(self._gpus)

    def nvmlSystemGetDriverVersion(self):
        return "570.86.15"

    def nvmlDeviceGetHandleByIndex(self, index):
        if isinstance(self._gpus[index], int):
            raise NVMLError(self._gpus[index])
        return index

    def nvmlDeviceGetPciInfo(self, handle):
        return SimpleNamespace(busId=self._bus_ids[handle])

    def __getattr__(self, name):
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)
        return lambda handle, *arguments: self._answer(self._gpus[handle], name, arguments)

    @staticmethod
    def _answer(gpu, name, arguments):
        if "error" in gpu:
            raise NVMLError(gpu["error"])
        told = gpu.get(name)
        if isinstance(told, dict):
            told = told.get(arguments)
        if told is None:
            raise NVMLError(UNSUPPORTED)
        return told


BUSY = GpuLevels(
    sm_clock_mhz=1980, memory_clock_mhz=2619, holds=frozenset(), celsius=60, power_watts=600.0, pcie_generation=5,
    pcie_width=16,
)  # fmt: skip
IDLE = GpuLevels(
    sm_clock_mhz=345, memory_clock_mhz=2619, holds=frozenset({Hold.IDLE}), celsius=35, power_watts=70.0,
    pcie_generation=1, pcie_width=16,
)  # fmt: skip
HOT = GpuLevels(
    sm_clock_mhz=990, memory_clock_mhz=2619, holds=frozenset({Hold.HARDWARE, Hold.HARDWARE_THERMAL}), celsius=88,
    power_watts=400.0, pcie_generation=5, pcie_width=16,
)  # fmt: skip
WELL = GpuCondition(links=18, links_active=18, remap_pending=False, remap_failed=False)


class FakeGpus:
    """A GpuSystem of one GPU that gives one answer after another, the last one for ever; ``enough`` is set by it."""

    def __init__(self, *levels, conditions=(WELL,), counts=({},), survey=None):
        self._levels = list(levels)
        self._conditions = list(conditions)
        self._counts = list(counts)
        self._survey = survey or GpuSurvey(
            driver="570.86.15",
            devices=(GpuDevice(pci=PCI, name="NVIDIA H100 80GB HBM3", sm_clock_target_mhz=1980, slowdown_celsius=87),),
        )
        self.enough = threading.Event()
        self.asked = 0

    def survey(self):
        return self._survey

    def levels(self, pci):
        self.asked += 1
        return self._next(self._levels, tells=True)

    def condition(self, pci):
        return self._next(self._conditions)

    def counters(self, pci):
        return self._next(self._counts)

    def _next(self, answers, *, tells=False):
        if len(answers) > 1:
            return answers.pop(0)
        if tells:
            self.enough.set()
        return answers[0]
