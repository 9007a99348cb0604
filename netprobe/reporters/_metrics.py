"""The metrics of the Prometheus format: what each is called, means and is told apart by, and how they are written.

Base units (seconds, bytes, ratios), gauges alone: each run replaces what the one before said. The text is valid as
Prometheus' own exposition format, which node_exporter reads, and as OpenMetrics. A value that is not known has no line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MOST_HOSTS: Final = 1_024
"""Hosts that have series of their own; beyond, those in trouble come first, and the others are in sums alone."""
MOST_NICS: Final = 2_048
"""NICs likewise, the slowest first; of hosts without RDMA, hosts."""

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_NO_TEXT: Final = re.compile(r"[\ud800-\udfff\x00\r]")
"""What UTF-8 cannot hold, and what readers of lines may stumble over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One name, with everything that readers need to know of it."""

    name: str
    unit: str
    """``seconds``, ``bytes per second``, ``ratio``; what is counted where it is a number of something."""
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value, with a label for each that its metric is told apart by."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


def _metric(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=f"netprobe_{name}", unit=unit, meaning=meaning, labels=labels)


_OF_PAIRS: Final = ("probe", "scope", "path", "memory", "size_bytes")
_OF_COLLECTIVES: Final = ("collective", "path", "memory", "size_bytes")

RUN_INFO: Final = _metric(
    "run_info",
    "always 1",
    "which run the others are of; status: complete, or how it ended",
    "run_id", "version", "profile", "launch", "transport", "status",
)  # fmt: skip
VERDICT: Final = _metric("verdict", "exit code", "0 healthy, 1 degraded, 2 faulty, 3 inconclusive")
LAST_RUN: Final = _metric("last_run_timestamp_seconds", "seconds", "when the run began, since 1970 (UTC)")
DURATION: Final = _metric("run_duration_seconds", "seconds", "how long it took; absent when it never ended")
COVERAGE: Final = _metric("coverage_ratio", "ratio", "the share of what was planned that was measured")
MOVED: Final = _metric("moved_bytes", "bytes", "what all probes moved together")
DETECTABLE_LOSS: Final = _metric(
    "detectable_loss_ratio", "ratio", "the smallest loss of a host's packets that would have shown (95 %)"
)
HOSTS: Final = _metric(
    "hosts",
    "hosts",
    "healthy, with-findings (usable all the same), victims, degraded, blocked (to be left out), untold",
    "fitness",
)
FINDINGS: Final = _metric(
    "findings", "findings", "what stands; a detector that found nothing has no line", "severity", "detector"
)
GAPS: Final = _metric("gaps", "gaps", "what could not be told; undermines=true: no verdict without it", "undermines")
HOST_HEALTHY: Final = _metric(
    "host_healthy", "0 or 1", "1: measured, and no finding is about it; absent where nobody can tell", "host"
)
HOST_BLOCKED: Final = _metric(
    "host_blocked", "0 or 1", "1: a finding that blocks asks to leave it out; absent where nobody can tell", "host"
)
HOST_BANDWIDTH: Final = _metric(
    "host_bandwidth_bytes_per_second",
    "bytes per second",
    "the median over its partners, largest messages; direction: send, receive, or both at once, summed",
    "host", "nic", "direction",
)  # fmt: skip
HOST_LATENCY: Final = _metric(
    "host_latency_p50_seconds",
    "seconds",
    "half a round trip of the smallest messages, the median over its partners",
    "host", "nic",
)  # fmt: skip
HOST_LOSS: Final = _metric(
    "host_loss_ratio",
    "ratio",
    "lost of what it sent, or of what was sent to it; packets, datagrams or TCP's segments",
    "host", "nic", "direction",
)  # fmt: skip
BANDWIDTH: Final = _metric(
    "bandwidth_bytes_per_second", "bytes per second", "the median of all pairs, largest messages", *_OF_PAIRS
)
LATENCY_P50: Final = _metric(
    "latency_p50_seconds", "seconds", "half a round trip, the median of all pairs' medians, smallest messages",
    *_OF_PAIRS,
)  # fmt: skip
LATENCY_P99: Final = _metric(
    "latency_p99_seconds",
    "seconds",
    "the same of their 99th percentiles; absent where the samples do not carry it",
    *_OF_PAIRS,
)
BUSBW: Final = _metric(
    "collective_busbw_bytes_per_second",
    "bytes per second",
    "bus bandwidth as nccl-tests defines it, largest size",
    *_OF_COLLECTIVES,
)
COLLECTIVE_P50: Final = _metric(
    "collective_p50_seconds", "seconds", "the median time of the slowest rank, largest size", *_OF_COLLECTIVES
)
COLLECTIVE_P99: Final = _metric(
    "collective_p99_seconds", "seconds", "the 99th percentile of it, where the samples carry one", *_OF_COLLECTIVES
)
LEFT_OUT: Final = _metric(
    "series_left_out", "hosts or NICs", "that have no series of their own, since there are too many", "kind"
)

METRICS: Final = (
    RUN_INFO, VERDICT, LAST_RUN, DURATION, COVERAGE, MOVED, DETECTABLE_LOSS, HOSTS, FINDINGS, GAPS,
    BANDWIDTH, LATENCY_P50, LATENCY_P99, BUSBW, COLLECTIVE_P50, COLLECTIVE_P99,
    HOST_HEALTHY, HOST_BLOCKED, HOST_BANDWIDTH, HOST_LATENCY, HOST_LOSS, LEFT_OUT,
)  # fmt: skip
"""In the order in which they are written."""


def exposition(samples: Iterable[Sample]) -> str:
    """Return samples as text; of two with the same labels the first, for two would make readers refuse all of it."""
    values: dict[str, dict[str, float]] = {}
    for sample in samples:
        values.setdefault(sample.metric.name, {}).setdefault(_labels(sample), sample.value)
    lines = (line for metric in METRICS if metric.name in values for line in _family(metric, values[metric.name]))
    return "".join(f"{line}\n" for line in (*lines, "# EOF"))


def _family(metric: Metric, values: dict[str, float]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.meaning[0].upper()}{metric.meaning[1:]} ({metric.unit})."
    yield f"# TYPE {metric.name} gauge"
    for labels, value in values.items():
        yield f"{metric.name}{labels} {value:.15g}"


def _labels(sample: Sample) -> str:
    pairs = (f'{name}="{_quoted(value)}"' for name, value in zip(sample.metric.labels, sample.labels, strict=True))
    joined = ",".join(pairs)
    return f"{{{joined}}}" if joined else ""


def _quoted(text: str) -> str:
    return _NO_TEXT.sub("\ufffd", text).translate(_ESCAPES)
