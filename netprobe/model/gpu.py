"""Which GPU each rank uses, as it was when the ranks met; and how the GPUs of hosts did while stages ran."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class CopyWay(StrEnum):
    """From where to where a GPU copies."""

    TO_GPU = "host to GPU"
    FROM_GPU = "GPU to host"
    WITHIN_GPU = "within the GPU"
    TO_PEER = "GPU to GPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRate:
    """What one GPU copied, pinned memory at the host's end; the quickest of a few, by the GPU's own clock."""

    way: CopyWay
    size_bytes: int
    gbps: float
    """Of the bytes that were copied, each counted once."""
    expected_gbps: float | None = None
    """What carries it can at most, as judging finds out; None as long as nobody has, and where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEndpoint:
    """The GPU whose memory a rank sends from and receives into."""

    rank: int
    ordinal: int
    """As CUDA numbers what this process may see, from 0."""
    pci: str
    """Its address on the bus, as in ``0000:18:00.0``."""
    name: str
    memory_bytes: int
    driver: str
    """The CUDA version that the driver goes up to, as in ``12.8``."""
    runtime: str
    """The CUDA version that netprobe's libraries are built for."""
    takes_mpi: bool | None = None
    """Whether MPI was handed addresses of its memory; False: messages were copied by way of the host's. None: not
    tried."""
    nic: str | None = None
    """The RDMA port nearest to it, which this rank uses; None where there is none, or nobody knows."""
    why: str = ""
    """How it came to this GPU and NIC, where there was a choice."""
    copies: tuple[CopyRate, ...] = ()
    """Measured before anything else, one rank of a host after the other."""


class Hold(StrEnum):
    """Why a GPU's clock is below what it could be; NVML calls them clocks event reasons."""

    IDLE = "idle"
    APPLICATION_CLOCKS = "application clocks"
    POWER_CAP = "software power cap"
    HARDWARE = "hardware slowdown"
    """Set together with the two below, and alone where the driver does not tell which of them it is."""
    SYNC_BOOST = "sync boost"
    SOFTWARE_THERMAL = "software thermal slowdown"
    HARDWARE_THERMAL = "hardware thermal slowdown"
    POWER_BRAKE = "power brake"
    DISPLAY_CLOCKS = "display clocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """What does not change about a GPU while it works; what the driver does not tell is None."""

    pci: str
    """Its address as the kernel spells it, ``0000:18:00.0``."""
    name: str | None = None
    sm_clock_target_mhz: int | None = None
    """The application clock, where one is set; else the largest."""
    memory_clock_most_mhz: int | None = None
    slowdown_celsius: int | None = None
    """From there on the hardware slows it down."""
    power_limit_watts: float | None = None
    pcie_generation_most: int | None = None
    """What the GPU and its slot could do together."""
    pcie_width_most: int | None = None
    numa_node: int | None = None
    """Nearest to it as the driver tells; None where it names none, or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLevels:
    """What a GPU shows at one moment; what the driver does not tell is None."""

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    holds: frozenset[Hold] | None = None
    celsius: int | None = None
    power_watts: float | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    silence: str | None = None
    """Why it told nothing, in the driver's words; None where it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCondition:
    """What is asked of a GPU once a stage: it takes longer, and changes seldom."""

    links: int | None = None
    """NVLinks that it has; None where it has none, or the driver does not tell."""
    links_active: int | None = None
    links_switched: int | None = None
    """Active ones that end at a switch, by which any other GPU is reached."""
    link_generation: int | None = None
    """Of NVLink: 3 on A100, 4 on H100."""
    remap_pending: bool | None = None
    """Rows of its memory wait to be replaced by spare ones, at the next reset."""
    remap_failed: bool | None = None
    """No spare rows were left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadGpu:
    """A GPU, or all of a host's, of which the driver tells nothing."""

    pci: str | None
    """None: all of the host."""
    reason: str
    """In one line, with what to try where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSurvey:
    """The GPUs of a host."""

    driver: str | None = None
    """The version of NVIDIA's driver."""
    devices: tuple[GpuDevice, ...] = ()
    unread: tuple[UnreadGpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuWindow:
    """What the samples of one GPU showed during a stage; what none of them told is None.

    A sample is busy unless the driver says that the GPU is idle: an idle one lowers its clock, and its PCIe generation.
    """

    stage: str
    rank: int
    """The first of its host, which asked."""
    pci: str | None
    """None: of all GPUs of the host, none of which told anything."""
    name: str | None = None
    silence: str | None = None
    """Why it told nothing, or nothing more; None where it always answered."""
    samples: int = 0
    """Those with an answer."""
    samples_busy: int = 0
    samples_held: int = 0
    """Those in which one of FAULTY_HOLDS was told, busy or not."""
    holds: Mapping[Hold, int] = field(default_factory=dict)
    """By reason: the samples in which it held the clock down; several may be true at once."""
    sm_clock_least_mhz: int | None = None
    """Over busy samples."""
    sm_clock_typical_mhz: float | None = None
    """Median over busy samples."""
    sm_clock_held_mhz: float | None = None
    """Median over the samples that are counted as held."""
    sm_clock_target_mhz: int | None = None
    memory_clock_typical_mhz: float | None = None
    """Median over busy samples."""
    memory_clock_most_mhz: int | None = None
    celsius_most: int | None = None
    slowdown_celsius: int | None = None
    power_most_watts: float | None = None
    power_limit_watts: float | None = None
    pcie_generation_best: int | None = None
    """The highest in any busy sample: what it can reach."""
    pcie_generation_most: int | None = None
    pcie_width_least: int | None = None
    """Over busy samples."""
    pcie_width_most: int | None = None
    links: int | None = None
    links_active_least: int | None = None
    """At the start and at the end of the stage."""
    links_switched_least: int | None = None
    link_generation: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuGrowth:
    """What the counters of one GPU grew by over a stage, by the values of GpuCount."""

    stage: str
    rank: int
    """The first of its host, which read them."""
    pci: str
    elapsed_ns: int
    grown: Mapping[str, int]
    """A counter that the driver does not have is absent."""


FAULTY_HOLDS: Final = (Hold.HARDWARE_THERMAL, Hold.POWER_BRAKE, Hold.SOFTWARE_THERMAL, Hold.HARDWARE)
"""Reasons that no healthy GPU has, the most telling first.

The others are not: a large GPU under load is at its power cap, clocks may be set on purpose, and who has nothing to do
is idle.
"""


class GpuCount(StrEnum):
    """What the driver counts of a GPU since it was loaded; nothing of it goes back."""

    ECC_CORRECTED = "ecc_corrected"
    ECC_UNCORRECTED = "ecc_uncorrected"
    NVLINK_CRC = "nvlink_crc"
    """Flow-control and data packets with a wrong check sum, over all links; they are sent again."""
    NVLINK_REPLAY = "nvlink_replay"
    NVLINK_RECOVERY = "nvlink_recovery"
    """Links that had to be trained again."""
    PCIE_REPLAY = "pcie_replay"
    THERMAL_NS = "thermal_ns"
    """Time that heat held its clock down."""
    RELIABILITY_NS = "reliability_ns"
    """Time that its clock was held down to be safe; a voltage too low, say."""
    BOARD_LIMIT_NS = "board_limit_ns"
