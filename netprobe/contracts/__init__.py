"""The edges: what a transport, a control plane, a probe, a detector and a reporter must offer.

A new probe, source of counters, detector or reporter is one file with one upper-case constant (PROBE, SOURCE,
DETECTOR, REPORTER) that netprobe.registry finds. Transports and control planes are implemented twice, for MPI ranks
and for threads.
"""

from netprobe.contracts.judging import Detector, HistoryDetector, RenderOptions, Reporter
from netprobe.contracts.memory import Allocation, Buffer, Gpu, Mismatch
from netprobe.contracts.probing import Assignment, Bench, CpuMeter, Kept, Probe, ProbeResult
from netprobe.contracts.session import Control, Sink, Whereabouts
from netprobe.contracts.system import GpuSystem, LinkSettings, Netlink, Source, System
from netprobe.contracts.transport import (
    MOST_FLOW_STAMPS,
    SHORTEST_WINDOW_NS,
    BurstSteps,
    Collective,
    Datagrams,
    Flights,
    FlowLoad,
    RingTrace,
    Stamps,
    StepPace,
    Transport,
    most_stamps,
)

__all__ = [
    "MOST_FLOW_STAMPS",
    "SHORTEST_WINDOW_NS",
    "Allocation",
    "Assignment",
    "Bench",
    "Buffer",
    "BurstSteps",
    "Collective",
    "Control",
    "CpuMeter",
    "Datagrams",
    "Detector",
    "Flights",
    "FlowLoad",
    "Gpu",
    "GpuSystem",
    "HistoryDetector",
    "Kept",
    "LinkSettings",
    "Mismatch",
    "Netlink",
    "Probe",
    "ProbeResult",
    "RenderOptions",
    "Reporter",
    "RingTrace",
    "Sink",
    "Source",
    "Stamps",
    "StepPace",
    "System",
    "Transport",
    "Whereabouts",
    "most_stamps",
]
