"""Scenarios that a network engineer can write: a few lines of TOML become the Evidence that a detector reads.

hosts = ["node1", "node2", "node3"]       # one rank each, in order; a host named twice has two ranks
cpus = { node1 = 4 }                      # CPUs its ranks may use; as many as ranks when not given
limits = { host_loss_ratio = 0.05 }       # overrides
clock_error_us = 1.0                      # of every rank but rank 0; clocks = false: never compared
planned_pairs = 6                         # what coverage counts; measured_pairs likewise
checked_iterations = 1                    # 0: the data was not compared

[[pairs]]                                 # one probe at one size, every ordered pair of ranks on distinct hosts
probe = "bandwidth"                       # bandwidth, bidirectional (gbps) or latency (us)
size = "8M"
gbps = 400.0                              # what all pairs do; p99_us where tails matter
odd = [{ from = "node2", gbps = 300.0 }]  # except these: from, to, or between = ["node1", "node2"]

[[collectives]]
probe = "allreduce"
size = "8"
us = 60.0
late_us = { "3" = 21.0 }                  # median lateness of ranks; the others are punctual

[[faults]]
at = 1                                    # receiving rank; from = 0 is the sender, absent for a collective
xor_mask = 0x10                           # bits that differed; 0 is no fault

[[expect]]                                # the detector's answers, in order; only what is written is compared
kind = "finding"                          # or "gap"
severity = "blocks"
subjects = ["node2"]
"""

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from netprobe.model.endpoint import Clock, Rank
from netprobe.model.evidence import ArrivalTable, Coverage, Evidence, GroupResult, PairTable
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan, Scope
from netprobe.model.series import Fault, Metric
from netprobe.registry import detectors
from netprobe.units import parse_size

ENOUGH_SAMPLES = 1000
NS_PER_US = 1000.0


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Odd(Strict, rename={"sender": "from"}):
    sender: str | None = None
    to: str | None = None
    between: tuple[str, str] | None = None
    gbps: float | None = None
    us: float | None = None
    p99_us: float | None = None


class Pairs(Strict):
    probe: Literal["bandwidth", "bidirectional", "latency"]
    size: str
    scope: Scope = Scope.BETWEEN_HOSTS
    gbps: float | None = None
    us: float | None = None
    p99_us: float | None = None
    odd: list[Odd] = []


class Collective(Strict):
    probe: str
    size: str
    us: float
    late_us: dict[str, float] = {}


class FaultLine(Strict, rename={"sender": "from"}):
    at: int
    xor_mask: int
    sender: int | None = None
    probe: str = "bandwidth"
    size: str = "8M"
    first_offset_bytes: int = 4096
    wrong_bytes: int = 1


class Expected(Strict):
    kind: Literal["finding", "gap"]
    severity: str | None = None
    confidence: str | None = None
    subjects: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    undermines: bool | None = None
    says: str = ""


class Scenario(Strict):
    hosts: list[str]
    cpus: dict[str, int] = {}
    limits: dict[str, float] = {}
    clock_error_us: float = 1.0
    clocks: bool = True
    planned_pairs: int = 0
    measured_pairs: int = 0
    checked_iterations: int = 1
    pairs: list[Pairs] = []
    collectives: list[Collective] = []
    faults: list[FaultLine] = []
    expect: list[Expected] = []


def load(path: Path) -> Scenario:
    return msgspec.toml.decode(path.read_bytes(), type=Scenario)


def answers(id: str, text: str) -> list[Finding | Gap]:
    """Return what a detector answers to a scenario written in place."""
    scenario = msgspec.toml.decode(text, type=Scenario)
    return list(detectors()[id].detect(evidence_of(scenario), limits_of(scenario)))


def evidence_in(text: str) -> Evidence:
    return evidence_of(msgspec.toml.decode(text, type=Scenario))


def findings(id: str, text: str) -> list[Finding]:
    return [answer for answer in answers(id, text) if isinstance(answer, Finding)]


def gaps(id: str, text: str) -> list[Gap]:
    return [answer for answer in answers(id, text) if isinstance(answer, Gap)]


def limits_of(scenario: Scenario) -> Limits:
    return Limits(**scenario.limits)


def evidence_of(scenario: Scenario) -> Evidence:
    ranks = _ranks(scenario)
    clocks = tuple(
        Clock(
            offset_ns=0,
            drift_ratio=0.0,
            at_ns=0,
            error_bound_ns=scenario.clock_error_us * NS_PER_US if rank.rank else 0,
        )
        for rank in ranks
    )
    return Evidence(
        plan=Plan(profile="scenario", seed=0, stages=()),
        ranks=ranks,
        clocks=clocks if scenario.clocks else (),
        pairs=tuple(_table(ranks, pairs) for pairs in scenario.pairs),
        groups=tuple(_group(ranks, each) for each in scenario.collectives),
        arrivals=tuple(_arrivals(ranks, each) for each in scenario.collectives),
        faults=tuple(_fault(line) for line in scenario.faults if line.xor_mask),
        coverage=Coverage(
            ranks=len(ranks),
            hosts=len(set(scenario.hosts)),
            stages_planned=("stage",),
            stages_finished=("stage",),
            pairs_planned=scenario.planned_pairs,
            pairs_measured=scenario.measured_pairs,
            untested_ranks=(),
            bytes_moved=0,
            checked_iterations=scenario.checked_iterations,
        ),
        gaps=(),
        run_error=None,
    )


def agrees(answer: Finding | Gap, expected: Expected) -> bool:
    if isinstance(answer, Gap):
        told = {"kind": "gap", "undermines": answer.undermines}
        text = answer.reason
    else:
        told = {name: getattr(answer, name) for name in ("severity", "confidence", "subjects", "hosts")}
        told["kind"] = "finding"
        text = answer.summary + " ".join(f"{fact.metric} {fact.observed}" for fact in answer.facts)
    wanted = {name: getattr(expected, name) for name in expected.__struct_fields__ if name != "says"}
    return expected.says in text and all(told.get(name) == value for name, value in wanted.items() if value is not None)


def _ranks(scenario: Scenario) -> tuple[Rank, ...]:
    ranks = []
    for number, host in enumerate(scenario.hosts):
        place = scenario.hosts[:number].count(host)
        cpus = scenario.cpus.get(host, scenario.hosts.count(host))
        ranks.append(Rank(rank=number, host=host, local_index=place, cpus=tuple(range(cpus)), pid=100 + number))
    return tuple(ranks)


def _table(ranks: tuple[Rank, ...], pairs: Pairs) -> PairTable:
    directed = pairs.probe == "bandwidth"
    is_within = pairs.scope is Scope.WITHIN_HOST
    rows = [
        (a, b)
        for a in ranks
        for b in ranks
        if a is not b
        and (a.host == b.host) is is_within
        and (directed or a.rank < b.rank)
        and (is_within or a.local_index == b.local_index)
    ]
    size_bytes = parse_size(pairs.size)
    latency = pairs.probe == "latency"
    bytes_per_iteration = 2 * size_bytes if latency else 16 * size_bytes
    typical = [_typical_ns(pairs, _odd(pairs, a, b), bytes_per_iteration) for a, b in rows]
    return PairTable(
        stage=f"{pairs.probe}-{pairs.scope}",
        probe=pairs.probe,
        metric=Metric.ROUND_TRIP if latency else Metric.WINDOW,
        scope=pairs.scope,
        size_bytes=size_bytes,
        bytes_per_iteration=bytes_per_iteration,
        window=1 if latency else 16,
        directed=directed,
        src=np.array([a.rank for a, _ in rows], dtype=np.int64),
        dst=np.array([b.rank for _, b in rows], dtype=np.int64),
        round_index=np.zeros(len(rows), dtype=np.int64),
        samples=np.full(len(rows), ENOUGH_SAMPLES),
        p50_ns=np.array([p50 for p50, _ in typical]),
        p99_ns=np.array([p99 for _, p99 in typical]),
        p999_ns=np.full(len(rows), np.nan),
        max_ns=np.array([p99 for _, p99 in typical]),
        total_ns=np.array([p50 * ENOUGH_SAMPLES for p50, _ in typical]),
    )


def _odd(pairs: Pairs, a: Rank, b: Rank) -> Odd:
    for odd in pairs.odd:
        if odd.between is not None and {a.host, b.host} != set(odd.between):
            continue
        if odd.sender in (None, a.host) and odd.to in (None, b.host):
            return odd
    return Odd()


def _typical_ns(pairs: Pairs, odd: Odd, bytes_per_iteration: int) -> tuple[float, float]:
    """Return p50 and p99 of a sample; a latency is half of one."""
    if pairs.probe == "latency":
        p50_ns = 2 * NS_PER_US * (odd.us or pairs.us)
    else:
        p50_ns = 8 * bytes_per_iteration / (odd.gbps or pairs.gbps)
    p99_us = odd.p99_us or pairs.p99_us
    return p50_ns, np.nan if p99_us is None else p99_us * NS_PER_US * (2 if pairs.probe == "latency" else 1)


def _group(ranks: tuple[Rank, ...], each: Collective) -> GroupResult:
    return GroupResult(
        stage=each.probe,
        probe=each.probe,
        size_bytes=parse_size(each.size),
        dtype="float32",
        op="sum",
        root=None,
        in_place=False,
        ranks=len(ranks),
        iterations=ENOUGH_SAMPLES,
        mean_ns=each.us * NS_PER_US,
        p50_ns=each.us * NS_PER_US,
        p99_ns=None,
        max_ns=each.us * NS_PER_US,
        wrong_bytes=0,
    )


def _arrivals(ranks: tuple[Rank, ...], each: Collective) -> ArrivalTable:
    late_ns = np.array([each.late_us.get(str(rank.rank), 0.0) * NS_PER_US for rank in ranks])
    return ArrivalTable(
        stage=each.probe,
        probe=each.probe,
        size_bytes=parse_size(each.size),
        iterations=ENOUGH_SAMPLES,
        rank=np.arange(len(ranks)),
        arrival_p50_ns=late_ns,
        arrival_p99_ns=late_ns,
        exit_p50_ns=late_ns,
        operation_p50_ns=each.us * NS_PER_US,
    )


def _fault(line: FaultLine) -> Fault:
    return Fault(
        rank=line.at,
        peer=line.sender,
        probe=line.probe,
        size_bytes=parse_size(line.size),
        iteration=0,
        first_offset_bytes=line.first_offset_bytes,
        wrong_bytes=line.wrong_bytes,
        xor_mask=line.xor_mask,
    )
