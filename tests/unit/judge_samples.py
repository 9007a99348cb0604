"""Small runs for the tests of the judge: a few ranks, one stage of pairs, one collective."""

import numpy as np

from netprobe.model.endpoint import Clock, Rank
from netprobe.model.histogram import histogram_of
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.run import RUN_FORMAT, Launch, RunHeader, RunStatus, StageOutcome
from netprobe.model.series import Metric, Phase, Series
from netprobe.store.counters_table import counters_frame_of
from netprobe.store.reader import Run
from netprobe.store.series_table import frame_of


def series(src, dst, samples, **changes):
    values = np.asarray(samples, dtype=np.int64)
    fields = {
        "stage": "bandwidth",
        "probe": "bandwidth",
        "metric": Metric.WINDOW,
        "phase": Phase.TIMED,
        "round_index": 0,
        "size_bytes": 1 << 20,
        "bytes_per_iteration": 16 << 20,
        "window": 16,
        "dtype": "uint8",
        "op": None,
        "root": None,
        "in_place": False,
        "slowest": (),
        "faults": (),
        "checked_iterations": 2,
        **changes,
    }
    return Series(
        src=src,
        dst=dst,
        iterations=len(values),
        total_ns=int(values.sum()),
        min_ns=int(values.min()),
        max_ns=int(values.max()),
        histogram=histogram_of(values),
        **fields,
    )


def collective(metric, src, samples, **changes):
    fields = {
        "stage": "allreduce",
        "probe": "allreduce",
        "metric": metric,
        "size_bytes": 4096,
        "bytes_per_iteration": 4096 if metric is Metric.OPERATION else 0,
        "window": 1,
        "dtype": "float32",
        "op": "sum",
        **changes,
    }
    return series(src, None, samples, **fields)


def header(hosts, stages, planned, **changes):
    ranks = tuple(
        Rank(rank=number, host=host, local_index=hosts[:number].count(host), cpus=(number,), pid=100 + number)
        for number, host in enumerate(hosts)
    )
    fields = {
        "format": RUN_FORMAT,
        "id": "sample",
        "netprobe": "0",
        "started": "2026-01-01T00:00:00.000Z",
        "finished": "2026-01-01T00:00:10.500Z",
        "status": RunStatus.COMPLETE,
        "plan": Plan(
            profile="test",
            seed=0,
            stages=tuple(Stage(id=id, probe=id, scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,)) for id in stages),
        ),
        "launch": Launch(method="local", argv=(), mpi=""),
        "ranks": ranks,
        "clocks": tuple(Clock(offset_ns=0, drift_ratio=0.0, at_ns=0, error_bound_ns=300.0 * r.rank) for r in ranks),
        "outcomes": tuple(
            StageOutcome(stage=id, rounds=1, planned_pairs=planned.get(id, ()), elapsed_ns=1) for id in stages
        ),
        **changes,
    }
    return RunHeader(**fields)


def run_of(rows, *, hosts=("n0", "n1", "n2", "n3"), stages=("bandwidth",), planned=None, windows=(), **changes):
    if planned is None:
        planned = {
            id: tuple(sorted({(r.src, r.dst) for r in rows if r.stage == id and r.dst is not None})) for id in stages
        }
    return Run(
        header=header(tuple(hosts), tuple(stages), planned, **changes),
        series=frame_of(rows),
        counters=counters_frame_of(windows),
    )


def all_pairs(ranks=4, elapsed_ns=300_000, **changes):
    return [series(a, b, [elapsed_ns] * 200, **changes) for a in range(ranks) for b in range(ranks) if a != b]
