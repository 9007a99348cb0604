"""A screening of a fabric that does not exist: random pairs, latency and bandwidth, with the faults that you ask for.

Times come from a rate and a latency with log-normal noise, once for each pair (placement, other traffic) and once for
each iteration. Data are always right. Does not handle: queues, congestion, loss; nothing here interacts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.histogram import bin_of
from netprobe.model.plan import Pairing, Plan, Scope, Stage
from netprobe.model.run import RUN_FORMAT, Launch, RunHeader, RunStatus, StageOutcome
from netprobe.model.series import Metric, Phase
from netprobe.plan.pairing import Round, both_ways, rounds_between
from netprobe.plan.rounds import planned_pairs
from netprobe.store.counters_table import counters_schema
from netprobe.store.reader import Run
from netprobe.store.series_table import series_schema, with_later_columns

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ROUND_TRIP_NS: Final = 3_800.0  # 1.9 µs each way: a RoCE fabric of two switch layers
MESSAGE_NS: Final = 120.0  # what a CPU needs to post one message
RATE_BYTES_PER_NS: Final = 48.0  # 384 Gb/s: what a 400G port leaves for payload
WARMUP_SHARE: Final = 10  # a tenth as many iterations, as the probes do
SLOWEST_KEPT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowHost:
    """A host whose rates are multiplied; 1 leaves a figure as it is."""

    host: int
    sends_ratio: float = 1.0
    receives_ratio: float = 1.0
    latency_ratio: float = 1.0
    """Above 1 for a host that answers late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowPair:
    """A path whose rate is multiplied, from one host to another."""

    src: int
    dst: int
    rate_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What to simulate."""

    hosts: int
    ranks_per_host: int = 1
    matchings: int = 3
    seed: int = 0
    noise_seed: int | None = None
    """Of times, where the pairs are those of another screening; None: as ``seed``."""
    sizes_bytes: tuple[int, ...] = (64 << 10, 8 << 20)
    """Of the bandwidth stage; latency has 8 bytes."""
    window: int = 16
    iterations: int = 200
    pair_noise_ratio: float = 0.01
    iteration_noise_ratio: float = 0.02
    slow_hosts: tuple[SlowHost, ...] = ()
    slow_pairs: tuple[SlowPair, ...] = ()


def host_name(host: int) -> str:
    """Return the name of a simulated host."""
    return f"node{host + 1:04d}"


def screening_run(screening: Screening) -> Run:
    """Return the run that such a fabric would leave behind; the same screening gives the same run."""
    import polars as pl

    random = np.random.default_rng(screening.seed if screening.noise_seed is None else screening.noise_seed)
    stages = _stages(screening)
    by_host = np.arange(screening.hosts * screening.ranks_per_host).reshape(screening.hosts, -1).tolist()
    rounds = rounds_between(by_host, Pairing.SCREENING, screening.matchings, screening.seed)
    rounds_of = (rounds, both_ways(rounds))
    frames = [_stage_frame(screening, stage, each, random) for stage, each in zip(stages, rounds_of, strict=True)]
    outcomes = tuple(
        StageOutcome(stage=stage.id, rounds=len(each), planned_pairs=planned_pairs(each), elapsed_ns=1_000_000_000)
        for stage, each in zip(stages, rounds_of, strict=True)
    )
    counters = pl.DataFrame(schema=counters_schema())
    return Run(header=_header(screening, stages, outcomes), series=pl.concat(frames), counters=counters)


def _stages(screening: Screening) -> tuple[Stage, Stage]:
    latency = Stage(
        id="latency-between-hosts",
        probe="latency",
        scope=Scope.BETWEEN_HOSTS,
        sizes_bytes=(8,),
        matchings=screening.matchings,
    )
    bandwidth = Stage(
        id="bandwidth-between-hosts",
        probe="bandwidth",
        scope=Scope.BETWEEN_HOSTS,
        sizes_bytes=screening.sizes_bytes,
        matchings=screening.matchings,
        window=screening.window,
    )
    return latency, bandwidth


def _header(screening: Screening, stages: Sequence[Stage], outcomes: tuple[StageOutcome, ...]) -> RunHeader:
    ranks = tuple(
        Rank(
            rank=host * screening.ranks_per_host + place, host=host_name(host), local_index=place, cpus=(place,), pid=1
        )
        for host in range(screening.hosts)
        for place in range(screening.ranks_per_host)
    )
    return RunHeader(
        format=RUN_FORMAT,
        id=f"simulated-{screening.hosts}-{screening.seed}",
        netprobe="simulated",
        started="2026-01-01T00:00:00.000Z",
        finished="2026-01-01T00:00:20.000Z",
        status=RunStatus.COMPLETE,
        plan=Plan(profile="screening", seed=screening.seed, stages=tuple(stages), transport="simulated"),
        launch=Launch(method="simulated", argv=(), mpi=""),
        ranks=ranks,
        clocks=tuple(Clock(offset_ns=0, drift_ratio=0.0, at_ns=0, error_bound_ns=1000.0) for _ in ranks),
        calibration=Calibration(clock_read_ns=20.0, empty_iteration_ns=25.0),
        outcomes=outcomes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Columns that all rows of a stage have, shape (rows,)."""

    round_index: IntArray
    src: IntArray
    dst: IntArray
    size_bytes: IntArray


def _stage_frame(
    screening: Screening, stage: Stage, rounds: Sequence[Round], random: np.random.Generator
) -> "pl.DataFrame":
    import polars as pl

    rows = _rows(stage, rounds)
    median_ns = _expected_ns(screening, stage, rows)
    median_ns *= np.exp(random.normal(0.0, screening.pair_noise_ratio, len(median_ns)))
    parts = []
    for phase, iterations in (
        (Phase.WARMUP, max(screening.iterations // WARMUP_SHARE, 1)),
        (Phase.TIMED, screening.iterations),
    ):
        noise = random.normal(0.0, screening.iteration_noise_ratio, (len(median_ns), iterations))
        samples = np.rint(median_ns[:, None] * np.exp(noise)).astype(np.int64)
        parts.append(_series_frame(stage, rows, phase, samples))
    return pl.concat(parts)


def _rows(stage: Stage, rounds: Sequence[Round]) -> _Rows:
    table = np.array(
        [
            (index, src, dst, size_bytes)
            for index, each in enumerate(rounds)
            for src, dst in each.pairs
            for size_bytes in stage.sizes_bytes
        ],
        dtype=np.int64,
    ).reshape(-1, 4)
    return _Rows(round_index=table[:, 0], src=table[:, 1], dst=table[:, 2], size_bytes=table[:, 3])


def _expected_ns(screening: Screening, stage: Stage, rows: _Rows) -> FloatArray:
    """Return what each row takes without noise."""
    src, dst = rows.src // screening.ranks_per_host, rows.dst // screening.ranks_per_host
    hosts = {slow.host: slow for slow in screening.slow_hosts}
    if stage.probe == "latency":
        late = np.array([hosts[each].latency_ratio if each in hosts else 1.0 for each in range(screening.hosts)])
        round_trips: FloatArray = ROUND_TRIP_NS * late[src] * late[dst]
        return round_trips
    sends = np.array([hosts[each].sends_ratio if each in hosts else 1.0 for each in range(screening.hosts)])
    receives = np.array([hosts[each].receives_ratio if each in hosts else 1.0 for each in range(screening.hosts)])
    ratio = sends[src] * receives[dst]
    for slow in screening.slow_pairs:
        ratio[(src == slow.src) & (dst == slow.dst)] *= slow.rate_ratio
    message_ns = np.maximum(MESSAGE_NS, rows.size_bytes / RATE_BYTES_PER_NS)
    windows: FloatArray = (ROUND_TRIP_NS + screening.window * message_ns) / ratio
    return windows


def _series_frame(stage: Stage, rows: _Rows, phase: Phase, samples: IntArray) -> "pl.DataFrame":
    """Return the rows as netprobe.store writes them; ``samples`` in ns, shape (rows, iterations)."""
    import polars as pl

    is_latency = stage.probe == "latency"
    count, iterations = samples.shape
    messages = 2 if is_latency else stage.window
    constant: dict[str, Any] = {
        "stage": stage.id,
        "probe": stage.probe,
        "metric": (Metric.ROUND_TRIP if is_latency else Metric.WINDOW).value,
        "phase": phase.value,
        "window": 1 if is_latency else stage.window,
        "dtype": stage.dtype,
        "op": None,
        "root": None,
        "in_place": False,
        "iterations": iterations,
        "checked_iterations": 2 if phase is Phase.TIMED else 0,
    }
    schema = series_schema()
    columns = {
        "round_index": rows.round_index,
        "src": rows.src,
        "dst": rows.dst,
        "size_bytes": rows.size_bytes,
        "bytes_per_iteration": rows.size_bytes * messages,
        "total_ns": samples.sum(axis=1),
        "min_ns": samples.min(axis=1),
        "max_ns": samples.max(axis=1),
        **_histogram_columns(samples),
        "slowest": _slowest_column(samples),
        "faults": pl.Series([[]] * count, dtype=schema["faults"]),
    }
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(value, dtype=schema[name]).alias(name) for name, value in constant.items()
    )
    return with_later_columns(frame).select(pl.col(name).cast(kind) for name, kind in schema.items())


def _histogram_columns(samples: IntArray) -> "dict[str, pl.Series]":
    """Count all rows' samples at once: a row's bins are told apart by the row's number in front."""
    bins = bin_of(samples)
    span = int(bins.max()) + 1
    keys, counts = np.unique(bins + np.arange(len(bins))[:, None] * span, return_counts=True)
    return {
        "histogram_bins": _as_lists(keys % span, keys // span, len(bins)),
        "histogram_counts": _as_lists(counts, keys // span, len(bins)),
    }


def _as_lists(values: IntArray, row: IntArray, rows: int) -> "pl.Series":
    """Return one list for each row; ``row`` ascends, and every row has a value."""
    import polars as pl

    frame = pl.DataFrame({"row": row, "value": values}).group_by("row", maintain_order=True).agg("value")
    if frame.height != rows:
        raise ValueError("a row without values")
    return frame["value"]


def _slowest_column(samples: IntArray) -> "pl.Series":
    import polars as pl

    kept = min(SLOWEST_KEPT, samples.shape[1])
    order = np.argsort(samples, axis=1, kind="stable")[:, ::-1][:, :kept]
    times = np.take_along_axis(samples, order, axis=1)
    row = np.repeat(np.arange(len(samples)), kept)
    flat = pl.DataFrame({"row": row, "iteration": order.ravel(), "elapsed_ns": times.ravel()})
    return (
        flat.select("row", sample=pl.struct("iteration", "elapsed_ns"))
        .group_by("row", maintain_order=True)
        .agg("sample")
    )["sample"]
