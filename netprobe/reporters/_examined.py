"""Whether a report shows that a detector had anything to look at, for formats that say of each check that it passed.

A detector of GPUs is silent on a host that has none; that is no pass. What is not in the table is not said to have
passed either.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

from netprobe.contracts import Detector, HistoryDetector
from netprobe.model.plan import RAILS, Path, Scope
from netprobe.model.report import Report
from netprobe.model.run import HISTORY
from netprobe.registry import detectors, history_detectors


class Need(Enum):
    """What has to be in a report before silence of a detector means anything."""

    HOSTS = auto()
    DATA = auto()
    PAIRS = auto()
    RDMA = auto()
    GPU = auto()
    NCCL = auto()
    LAYERS = auto()
    LOAD = auto()
    RAILS = auto()
    STORAGE = auto()
    COLLECTIVES = auto()
    STEPS = auto()
    NOISE = auto()


_BY_NEED: Final = {
    Need.HOSTS: ("config-drift", "coverage", "dead-host", "firmware-mismatch", "hung-host"),
    Need.DATA: ("corruption",),
    Need.PAIRS: (
        "asymmetry", "expectation", "jitter", "leaf-fault", "mtu", "oversubscribed", "packet-loss", "partition",
        "slow-host", "slow-link", "slow-pair",
    ),
    Need.RDMA: (
        "counters", "ecn-inactive", "gid-mismatch", "link-downgrade", "link-flap", "missing-nic", "mtu-mismatch",
        "one-sided-marking", "out-of-order", "pause-source", "pause-storm", "pause-victim", "pcie-downgrade",
        "pfc-missing", "pfc-wrong-priority", "physical-errors", "rail-miswired", "rdma-failure", "rnr-stall",
        "same-subnet", "wrong-nic",
    ),
    Need.GPU: ("affinity", "gpu-throttle", "gpudirect-off", "nvlink-degraded"),
    Need.NCCL: ("nccl-fallback",),
    Need.LAYERS: ("layer-gap",),
    Need.LOAD: ("congestion", "head-of-line", "headroom", "incast"),
    Need.RAILS: ("rail-contention",),
    Need.STORAGE: ("storage-interference",),
    Need.COLLECTIVES: ("slow-hop", "straggler"),
    Need.STEPS: ("stalled-step", "step-drift"),
    Need.NOISE: ("host-noise",),
}  # fmt: skip
NEEDS: Final = {detector: need for need, own in _BY_NEED.items() for detector in own}


def _uses_nccl(report: Report) -> bool:
    return any(row.path is Path.NCCL for row in report.pairs) or any(row.path is Path.NCCL for row in report.groups)


def _has_load(report: Report) -> bool:
    load = report.under_load
    return bool(load.loaded or load.fan_ins or any(row.probe != RAILS for row in load.together))


def _has_rails(report: Report) -> bool:
    return any(row.probe == RAILS for row in report.under_load.together)


_IS_THERE: Final[Mapping[Need, tuple[Callable[[Report, str], bool], str]]] = {
    Need.HOSTS: (lambda _report, _host: True, ""),
    Need.DATA: (lambda report, _host: report.coverage.checked_iterations > 0, "no data was compared"),
    Need.PAIRS: (
        lambda report, _host: any(row.scope is Scope.BETWEEN_HOSTS for row in report.pairs),
        "no pair of hosts was measured",
    ),
    Need.RDMA: (lambda report, host: any(each.host == host for each in report.endpoints), "no rank there used RDMA"),
    Need.GPU: (lambda report, host: any(each.host == host for each in report.gpus), "no rank there used a GPU"),
    Need.NCCL: (lambda report, _host: _uses_nccl(report), "NCCL was not measured"),
    Need.LAYERS: (lambda report, _host: bool(report.layers), "no two layers were measured on the same pairs"),
    Need.LOAD: (lambda report, _host: _has_load(report), "nothing was measured under load"),
    Need.RAILS: (lambda report, _host: _has_rails(report), "no rails were measured all at once"),
    Need.STORAGE: (lambda report, _host: bool(report.under_load.storage), "no reads beside all-reduces were measured"),
    Need.COLLECTIVES: (lambda report, _host: bool(report.groups), "no collective was measured"),
    Need.STEPS: (lambda report, _host: bool(report.steps), "no bursts were measured"),
    Need.NOISE: (lambda report, _host: report.noise is not None, "no rank was measured alone"),
}


def checks_of(report: Report) -> Mapping[str, Detector | HistoryDetector]:
    """Return the detectors that made a report: of one run, or of many."""
    return history_detectors() if _is_history(report) else detectors()


def _is_history(report: Report) -> bool:
    return report.launch.method == HISTORY


def unexamined(report: Report, detector: str, host: str) -> str | None:
    """Return why a detector's silence on a host says nothing; None where it means that nothing is wrong."""
    if _is_history(report) and detector in history_detectors():
        return None
    if detector not in NEEDS:
        return "nothing tells whether this was examined"
    is_there, reason = _IS_THERE[NEEDS[detector]]
    return None if is_there(report, host) else reason
