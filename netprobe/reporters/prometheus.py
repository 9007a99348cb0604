"""Metrics for node_exporter's textfile collector, or a Pushgateway: the last run, its hosts, and what they reached.

Few series on purpose: two for each host and five for each NIC at most, never one for a pair; _metrics says how many
hosts and NICs have their own.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import Fitness, fitness_of
from netprobe.model.exhibits import Exhibits
from netprobe.model.plan import Memory
from netprobe.model.report import GroupSummary, PairSummary, Report
from netprobe.reporters import _metrics as m
from netprobe.reporters._host_figures import nic_figures, worst_first
from netprobe.units import NS_PER_S

BYTES_PER_GIGABIT: Final = 1e9 / 8
GIGABYTE: Final = 1e9

Samples = Iterator[m.Sample]


def render(report: Report, options: RenderOptions) -> str:
    """Return all metrics; without exhibits there are none of single NICs."""
    fitness = fitness_of(report)
    return m.exposition(
        (
            *_of_run(report),
            *_of_answers(report, fitness),
            *_of_pairs(report),
            *_of_collectives(report),
            *_of_hosts(fitness),
            *_of_nics(options.exhibits, fitness),
        )
    )


def _sample(metric: m.Metric, value: float | None, *labels: str) -> Samples:
    """Yield a value that is known."""
    if value is not None:
        yield m.Sample(metric=metric, value=value, labels=labels)


def _of_run(report: Report) -> Samples:
    made_by = (report.profile, report.launch.method, report.transport, report.run_status.value)
    yield from _sample(m.RUN_INFO, 1, report.run_id, report.netprobe, *made_by)
    yield from _sample(m.VERDICT, report.exit_code)
    yield from _sample(m.LAST_RUN, _timestamp(report.started))
    yield from _sample(m.DURATION, None if report.elapsed_ns is None else report.elapsed_ns / NS_PER_S)
    yield from _sample(m.COVERAGE, report.coverage.ratio)
    yield from _sample(m.MOVED, report.coverage.bytes_moved if report.ranks else None)  # a history has none
    yield from _sample(m.DETECTABLE_LOSS, None if report.sensitivity is None else report.sensitivity.loss_ratio)


def _timestamp(started: str) -> float | None:
    """Return seconds since 1970; None for a time that cannot be read."""
    try:
        at = datetime.fromisoformat(started)
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _of_answers(report: Report, fitness: Fitness) -> Samples:
    groups = {
        "healthy": fitness.healthy,
        "with-findings": fitness.with_findings,
        "victims": fitness.victims,
        "degraded": fitness.degraded,
        "blocked": fitness.blocked,
        "untold": fitness.untold,
    }
    for name, hosts in groups.items():
        yield from _sample(m.HOSTS, len(hosts), name)
    told = Counter((each.severity.value, each.detector) for each in report.findings)
    for (severity, detector), count in told.items():
        yield from _sample(m.FINDINGS, count, severity, detector)
    for undermines in (False, True):
        count = sum(each.undermines is undermines for each in report.gaps)
        yield from _sample(m.GAPS, count, str(undermines).lower())


def _of_pairs(report: Report) -> Samples:
    """Yield one size of each way of measuring: of streams the largest, of round trips the smallest."""
    chosen: dict[tuple[str, ...], PairSummary] = {}
    for row in report.pairs:
        key: tuple[str, ...] = (row.probe, row.scope.value, row.path.value, _memory(row))
        known = chosen.get(key)
        if known is None or (row.size_bytes > known.size_bytes) is (row.typical_gbps is not None):
            chosen[key] = row
    for key, row in chosen.items():
        labels: tuple[str, ...] = (*key, str(row.size_bytes))
        if row.typical_gbps is not None:
            yield from _sample(m.BANDWIDTH, row.typical_gbps * BYTES_PER_GIGABIT, *labels)
        else:
            yield from _sample(m.LATENCY_P50, row.typical_ns / NS_PER_S, *labels)
            yield from _sample(m.LATENCY_P99, _seconds(row.p99_ns), *labels)


def _memory(row: PairSummary) -> str:
    """Return ``host``, ``device``, or ``device-host`` where the two ends differ."""
    ends: tuple[Memory, Memory] = (row.send_memory, row.receive_memory)
    return "-".join(dict.fromkeys(each.value for each in ends))


def _of_collectives(report: Report) -> Samples:
    """Yield the largest size of each collective, the first of its rows."""
    chosen: dict[tuple[str, ...], GroupSummary] = {}
    for row in report.groups:
        key: tuple[str, ...] = (row.probe, row.path.value, row.memory.value)
        if key not in chosen or row.size_bytes > chosen[key].size_bytes:
            chosen[key] = row
    for key, row in chosen.items():
        labels: tuple[str, ...] = (*key, str(row.size_bytes))
        busbw = row.busbw_gigabytes_per_s
        yield from _sample(m.BUSBW, None if busbw is None else busbw * GIGABYTE, *labels)
        yield from _sample(m.COLLECTIVE_P50, row.p50_ns / NS_PER_S, *labels)
        yield from _sample(m.COLLECTIVE_P99, _seconds(row.p99_ns), *labels)


def _of_hosts(fitness: Fitness) -> Samples:
    told = _worst_hosts_first(fitness)
    healthy, blocked = set(fitness.healthy), set(fitness.blocked)
    for host in told[: m.MOST_HOSTS]:
        yield from _sample(m.HOST_HEALTHY, int(host in healthy), host)
        yield from _sample(m.HOST_BLOCKED, int(host in blocked), host)
    yield from _sample(m.LEFT_OUT, max(len(told) - m.MOST_HOSTS, 0), "host")


def _worst_hosts_first(fitness: Fitness) -> tuple[str, ...]:
    """Return the hosts of which something is told."""
    return (*fitness.blocked, *fitness.degraded, *fitness.victims, *fitness.with_findings, *fitness.healthy)


def _of_nics(exhibits: Exhibits | None, fitness: Fitness) -> Samples:
    if exhibits is None:
        return
    found = nic_figures(exhibits)
    if len(found) > m.MOST_NICS:
        in_trouble = (host for host in _worst_hosts_first(fitness) if host not in fitness.healthy)
        found = tuple(worst_first(found, {host: index for index, host in enumerate(in_trouble)}))
    for each in found[: m.MOST_NICS]:
        for direction, gbps in each.gbps.items():
            yield from _sample(m.HOST_BANDWIDTH, gbps * BYTES_PER_GIGABIT, each.host, each.nic, direction)
        yield from _sample(m.HOST_LATENCY, _seconds(each.latency_ns), each.host, each.nic)
        for direction, ratio in each.loss_ratio.items():
            yield from _sample(m.HOST_LOSS, ratio, each.host, each.nic, direction)
    yield from _sample(m.LEFT_OUT, max(len(found) - m.MOST_NICS, 0), "nic")


def _seconds(elapsed_ns: float | None) -> float | None:
    return None if elapsed_ns is None else elapsed_ns / NS_PER_S


REPORTER = Reporter(
    id="prometheus",
    title="metrics for Prometheus, by node_exporter's textfile collector",
    render=render,
    draws_exhibits=True,
    suffixes=(".prom",),
)
