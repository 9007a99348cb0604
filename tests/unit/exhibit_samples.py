"""Small exhibits for the tests of maps and pages: a few ranks, and pairs as (from, to, value)."""

import numpy as np
from sample_reports import report

from netprobe.model.exhibits import (
    Exhibits,
    Figure,
    PairMap,
    Percentile,
    Places,
    PortGrowth,
    SettingDifference,
    Spread,
    StageCoverage,
    Witness,
)
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.plan import Path, Scope


def places(hosts, per_host=1, *, nics=None, leaves=(), leaf_of=(), name="host{}"):
    ranks = hosts * per_host
    return Places(
        hosts=tuple(name.format(number) for number in range(hosts)),
        host_of=np.arange(ranks) // per_host,
        nics=tuple(nics) if nics is not None else (None,) * ranks,
        leaves=tuple(leaves),
        leaf_of=np.array(leaf_of, dtype=np.int64),
    )


def pair_map(figure, pairs, **changes):
    src, dst, value = (np.array(column) for column in zip(*(pair[:3] for pair in pairs), strict=True))
    fields = {
        "figure": figure,
        "probe": figure.value,
        "scope": Scope.BETWEEN_HOSTS,
        "path": Path.VERBS,
        "size_bytes": 8,
        "src": src,
        "dst": dst,
        "value": value.astype(np.float64),
        "typical": float(np.median(value)),
        "directed": True,
    }
    return PairMap(**{**fields, **changes})


def bandwidth_map(pairs):
    return pair_map(Figure.BANDWIDTH, pairs, size_bytes=8 << 20)


def latency_map(pairs):
    return pair_map(Figure.LATENCY, pairs, directed=False)


def loss_map(pairs):
    weight = np.array([pair[3] for pair in pairs])
    return pair_map(Figure.LOSS, pairs, weight=weight, typical=None, size_bytes=None, witness=Witness.NICS)


def spread(**changes):
    shares = (0.5, 0.9, 0.99, 0.999)
    fields = {
        "probe": "latency",
        "scope": Scope.BETWEEN_HOSTS,
        "path": Path.VERBS,
        "size_bytes": 8,
        "samples": 4_000,
        "min_ns": 1_500.0,
        "max_ns": 90_000.0,
        "points": tuple(
            Percentile(share=share, elapsed_ns=2_000.0 * (1 + index)) for index, share in enumerate(shares)
        ),
        "density": (5, 900, 3000, 80, 0, 0, 1, 14),
    }
    return Spread(**{**fields, **changes})


def exhibits(hosts=3, *, slow=2, name="host{}", **changes):
    """Every pair of some hosts with two NICs each, one of them slow and losing as it sends."""
    told = places(hosts, 2, nics=("mlx5_0", "mlx5_1") * hosts, name=name)
    pairs = [(i, j) for i in range(2 * hosts) for j in range(2 * hosts) if i // 2 != j // 2]
    is_slow = [i // 2 == slow for i, _ in pairs]
    fields = {
        "places": told,
        "maps": (
            bandwidth_map([(i, j, 120.0 if bad else 380.0) for (i, j), bad in zip(pairs, is_slow, strict=True)]),
            latency_map([(i, j, 2_000.0 + 10 * i) for i, j in pairs if i < j]),
            loss_map([(i, j, 2e-4 if bad else 0.0, 1e6) for (i, j), bad in zip(pairs, is_slow, strict=True)]),
        ),
        "spreads": (spread(), spread(size_bytes=4096), spread(probe="barrier", scope=Scope.WORLD, size_bytes=0)),
        "growths": (
            PortGrowth(
                host=told.hosts[slow], port="mlx5_0", meaning="symbol-error", unit="", total=12.0,
                by_stage=(0.0, 12.0, None), idle_before=0.0, idle_after=None,
            ),
        ),
        "counted_stages": ("latency", "bandwidth", "allreduce"),
        "ports_read": 2 * hosts,
        "settings": (
            SettingDifference(
                part="mlx5_0", topic="firmware", usual="28.40", agreeing=hosts - 1, others=(("28.36", told.hosts[:1]),)
            ),
        ),
        "hosts_told": hosts,
        "stages": (
            StageCoverage(stage="bandwidth", pairs_planned=24, pairs_failed=1, rounds=6, is_finished=True),
            StageCoverage(stage="allreduce", pairs_planned=0, pairs_failed=0, rounds=0, is_finished=False),
        ),
    }  # fmt: skip
    return Exhibits(**{**fields, **changes})


def hostile_report(name):
    """A report in which whatever another machine can name is this name."""
    finding = Finding(
        detector=name,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(name,),
        hosts=(name,),
        summary=name,
        facts=(Fact(metric=name, observed=name, expected=name, basis=name),),
        excluded=(name,),
        next_action=name,
        retest=name,
    )
    gap = Gap(topic=name, reason=name, remedy=name, undermines=True)
    return report((name, "node02"), run_id=name, started=name, findings=(finding,), gaps=(gap,), healthy_hosts=(name,))
