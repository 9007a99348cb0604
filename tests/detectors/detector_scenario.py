"""Scenarios that a network engineer can write: a few lines of TOML become the Evidence that a detector reads.

hosts = ["node1", "node2", "node3"]       # one rank each, in order; a host named twice has two ranks
cpus = { node1 = 4 }                      # CPUs its ranks may use; as many as ranks when not given
leaves = { leaf1 = ["node1", "node2"] }    # the leaf switch of hosts; absent: nobody told
limits = { host_loss_ratio = 0.05 }       # overrides
clock_error_us = 1.0                      # of every rank but rank 0; clocks = false: never compared
planned_pairs = 6                         # what coverage counts; measured_pairs likewise
checked_iterations = 1                    # 0: the data was not compared
run_error = "no rank ever met another"    # why the run ended early
unexplained = "hung in latency, round 3"  # a halt of which nobody could be named

[[pairs]]                                 # one probe at one size, every ordered pair of ranks on distinct hosts
probe = "bandwidth"                       # bandwidth, bidirectional (gbps) or latency (us)
size = "8M"
path = "verbs"                            # absent: mpi
gbps = 400.0                              # what all pairs do; p99_us where tails matter
across_gbps = 200.0                       # what pairs of different leaves do; across_us likewise; absent: the same
odd = [{ from = "node2", gbps = 300.0 }]  # except these: from, to, or between = ["node1", "node2"]; also max_ms, min_us
                                          # or leaves = ["leaf1", "leaf2"]: from one to the other
only = [["node1", "node2"]]               # pairs of hosts that were measured; absent: all
send_memory = "device"                    # host, device, pinned, managed; receive_memory likewise; absent: host

[[collectives]]
probe = "allreduce"
size = "8"
us = 60.0
late_us = { "3" = 21.0 }                  # median lateness of ranks; the others are punctual

[[hops]]                                  # a traced ring of all ranks; each hop is from a rank to the next
size = "32M"
us = 900.0                                # what every hop held up in an iteration
operation_us = 2000.0
messages = 96                             # that each carried in an iteration
odd = [{ from = "node2", to = "node3", us = 1800.0 }]  # except these

[[noise]]                                 # what ranks lost while they only computed; a later line changes the earlier
on = "node2"                              # absent: every host
lost_ratio = 0.001
detours = 25
longest_us = 5.0
quantum_us = 5.0
beat_ms = 4.0                             # absent: they keep none
cpu = 3                                   # where it stayed; absent: it moved

[[shapes]]                                # a series of a pair of hosts that is no single hump
between = ["node1", "node2"]
probe = "latency"
size = "8"
modes_us = [4.0, 6.0]                     # two speeds; the slower with this share of the iterations
high_share = 0.4
quarters_us = [4.0, 5.0]                  # or: medians of the first quarter and the last
[[loaded]]                                # round trips of these pairs of hosts, each in a turn of its own
pairs = [["node1", "node2"]]
background = "incast"                     # all-to-all, incast, streams: what loads the fabric beside them
p99_us = 4.0                              # alone, half of a round trip; again_p99_us: afterwards; absent: the same
loaded_p99_us = 30.0                      # beside load
odd = [{ between = ["node1", "node2"], loaded_p99_us = 50.0 }]  # except these; again_p99_us likewise

[[incast]]                                # a round of many to one; with one sender it is what the others are held to
to = "node1"
senders = ["node2", "node3"]
gbps = [190.0, 190.0]                     # of each

[[victim]]                                # a flow before, beside and after an incast of two senders
flow = ["node4", "node5"]
hot = "node1"
senders = ["node2", "node3"]
gbps = [380.0, 200.0, 380.0]

[[rails]]                                 # pairs of hosts in turns, both ways; each host has two ranks
pairs = [["node1", "node2"]]
gbps = [200.0, 200.0]                     # of each flow, of one rail alone and of both at once
odd = [{ between = ["node1", "node2"], gbps = [200.0, 150.0] }]  # except these

[[storage]]                               # all-reduces and reads on all hosts: before, together, after
path = "/scratch/file"
rate_gbps = 16.0                          # at which each host was to read; absent: as fast as it goes
size = "8M"
us = [300.0, 310.0, 300.0]                # of an all-reduce; p99_us where tails matter, blocks where reads are few
gbps = [16.0, 16.0, 16.0]                 # of each host; odd = { node2 = [16.0, 8.0, 16.0] }: except these

[[counters]]                              # what systems counted in each round they took part in; lines add up
on = "node2"                              # absent: every host
with = "node3"                            # only in its rounds with this host; "everybody": only in collectives
grown = { "tcp/RetransSegs" = 5 }         # process/ and cgroup/ of each rank, all else of the host
                                          # a round takes a second; each ordered pair of [[pairs]] has its own

[[faults]]
at = 1                                    # receiving rank; from = 0 is the sender, absent for a collective
path = "mpi"                              # or verbs; what carried it
xor_mask = 0x10                           # bits that differed; 0 is no fault

[[interfaces]]                            # every host has one of these, with an address of its own
network = "10.1.0.0/24"
mtu = 9000
odd = { node2 = 1500 }                    # except these hosts, which have another MTU

[[benched]]                               # a host that was taken out on the way
host = "node2"
fate = "process stopped"                  # as reports say it: host unreachable, process gone, ...
detail = "process 7 is stopped"
stage = "latency"                         # absent: before the ranks had met; round = 3, of the run then
with = ["node3"]                          # whom it was measuring with

[[stuck]]                                 # two hosts that measured and did not move, and neither can be named
between = ["node2", "node3"]

[[paths]]                                 # every host has tried every other over this network, and was answered
network = "10.1.0.0/24"
mtu = 9000
lost = [{ from = "node2", packets = "large" }]  # except these: from, to, or between; large: small ones pass, or all
large_tried = true                        # false: whole packets could not be sent
answered = true                           # false: nobody was answered by anybody

[[endpoints]]                             # every rank uses one of these for RDMA; a later line changes the earlier
on = ["node2"]                            # absent: every host
set = { gid_kind = "IB/RoCE v1" }         # fields of model.rdma.RdmaEndpoint; each host has an address of its own

[[failures]]                              # pairs of hosts that could not go on over RDMA: they have no rows over verbs
on = "node2"                              # all its pairs; or between = ["node1", "node2"]; absent: all pairs
phase = "first message"                   # set-up, first message, later
cause = { call = "ibv_poll_cq", status = "RETRY_EXC_ERR" }  # fields of model.rdma.Breakdown
happened = true                           # false: it did not

[[datagrams]]                             # every host sends every other so many of this size, and they arrive
size = 64
sent = 1000
stamped = true                            # false: the NICs stamp nothing; stamped_odd = { node2 = false }
lost = [{ from = "node2", count = 5 }]    # except these: from, to, or between

[[nccl]]                                  # what NCCL's log says on every host, one process each
on = ["node2"]                            # absent: every host; a later line changes what earlier ones say
network = "IB"                            # Socket, or a plug-in's
devices = ["mlx5_0"]                      # that it uses, numbered from 0
direct = 90                               # connections to other hosts with GPUDirect; staged: without, by device 0
set = { saw_no_rdma = true }              # other fields of model.nccl.NcclFacts

[[expect]]                                # the detector's answers, in order; only what is written is compared
kind = "finding"                          # or "gap"
severity = "blocks"
subjects = ["node2"]

[[steps]]: see step_scenario

[[nics]], [[gpus]], [[gpu_windows]], [[gpu_grown]], [[systems]], [[counted]]: see nic_scenario

[[gpu_endpoints]]                         # GPUs whose memory ranks use
rank = 0
pci = "0000:18:00.0"
to_gpu_gbps = 440.0                       # what it copied; absent: not measured
from_gpu_gbps = 440.0
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from nic_scenario import (
    CountedLine,
    GpuGrownLine,
    GpuLine,
    GpuWindowLine,
    NicLine,
    SystemLine,
    gpu_growths,
    gpu_windows,
    inventories,
    port_table,
)
from step_scenario import StepLine, step_table

from netprobe.model.endpoint import Clock, Interface, Rank, ranks_by_host
from netprobe.model.evidence import (
    NO_COUNTERS,
    ArrivalTable,
    Background,
    CounterTable,
    Coverage,
    DatagramTable,
    Evidence,
    GroupResult,
    HopTable,
    LoadedTable,
    LoadFlows,
    NoiseTable,
    PairTable,
    Shape,
    StorageTable,
)
from netprobe.model.finding import Finding, Gap
from netprobe.model.gpu import CopyRate, CopyWay, GpuEndpoint
from netprobe.model.inventory import HostInventory
from netprobe.model.limits import Limits
from netprobe.model.nccl import Direction, NcclDevice, NcclFacts, NcclWay
from netprobe.model.plan import Memory, Plan, Scope
from netprobe.model.plan import Path as Carrier
from netprobe.model.rdma import Breakdown, FailurePhase, PairFailure, RdmaEndpoint
from netprobe.model.series import Fault, Metric
from netprobe.model.standing import Benched, Fate, PathAnswer, StuckPair
from netprobe.registry import detectors
from netprobe.units import NS_PER_S, parse_size

ENOUGH_SAMPLES = 1000
NS_PER_US = 1000.0
NS_PER_MS = 1e6
ROUND_NS = 1e9


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Odd(Strict, rename={"sender": "from"}):
    sender: str | None = None
    to: str | None = None
    between: tuple[str, str] | None = None
    leaves: tuple[str, str] | None = None
    gbps: float | None = None
    us: float | None = None
    p99_us: float | None = None
    max_ms: float | None = None
    min_us: float | None = None


class Pairs(Strict):
    probe: Literal["bandwidth", "bidirectional", "latency"]
    size: str
    path: Carrier = Carrier.MPI
    scope: Scope = Scope.BETWEEN_HOSTS
    gbps: float | None = None
    us: float | None = None
    p99_us: float | None = None
    odd: list[Odd] = []
    across_gbps: float | None = None
    across_us: float | None = None
    only: list[tuple[str, str]] = []
    send_memory: Memory = Memory.HOST
    receive_memory: Memory = Memory.HOST


class EndpointLine(Strict, rename={"traits": "set"}):
    on: tuple[str, ...] = ()
    traits: dict[str, Any] = {}


class FailureLine(Strict):
    on: str | None = None
    between: tuple[str, str] | None = None
    phase: FailurePhase = FailurePhase.FIRST_MESSAGE
    cause: dict[str, Any] = {}
    probe: str = "latency"
    happened: bool = True

    def is_of(self, a: str, b: str) -> bool:
        is_between = self.between is None or {a, b} == set(self.between)
        return self.happened and is_between and self.on in (None, a, b)


class Collective(Strict):
    probe: str
    size: str
    us: float
    late_us: dict[str, float] = {}


class HopLine(Strict):
    size: str
    us: float
    operation_us: float
    messages: int = 96
    odd: list[Odd] = []


class NoiseLine(Strict):
    on: str | None = None
    lost_ratio: float | None = None
    detours: int | None = None
    longest_us: float | None = None
    quantum_us: float | None = None
    beat_ms: float | None = None
    cpu: int | None = None


class ShapeLine(Strict):
    between: tuple[str, str]
    probe: str = "latency"
    size: str = "8"
    modes_us: tuple[float, float] | None = None
    high_share: float = 0.4
    quarters_us: tuple[float, float] | None = None


class OddLoaded(Strict):
    between: tuple[str, str]
    loaded_p99_us: float | None = None
    again_p99_us: float | None = None


class LoadedLine(Strict):
    pairs: list[tuple[str, str]]
    p99_us: float
    loaded_p99_us: float
    again_p99_us: float | None = None
    background: Background = Background.ALL_TO_ALL
    odd: list[OddLoaded] = []


class IncastLine(Strict):
    to: str
    senders: list[str]
    gbps: list[float]


class VictimLine(Strict):
    flow: tuple[str, str]
    hot: str
    senders: list[str]
    gbps: tuple[float, float, float]


class OddRails(Strict):
    between: tuple[str, str]
    gbps: list[float]


class RailsLine(Strict):
    pairs: list[tuple[str, str]]
    gbps: list[float]
    odd: list[OddRails] = []


class StorageLine(Strict):
    size: str
    us: list[float]
    gbps: list[float]
    p99_us: list[float] = []
    odd: dict[str, list[float]] = {}
    path: str = "/scratch/file"
    rate_gbps: float | None = None
    blocks: float = 1000.0


class CounterLine(Strict, rename={"peer": "with"}):
    grown: dict[str, float]
    on: str | None = None
    peer: str | None = None


class FaultLine(Strict, rename={"sender": "from"}):
    at: int
    xor_mask: int
    sender: int | None = None
    path: Carrier = Carrier.MPI
    probe: str = "bandwidth"
    size: str = "8M"
    first_offset_bytes: int = 4096
    wrong_bytes: int = 1


class InterfaceLine(Strict):
    network: str = "10.1.0.0/24"
    mtu: int = 9000
    name: str = "eth1"
    odd: dict[str, int] = {}


class BenchedLine(Strict, rename={"peers": "with", "round_number": "round"}):
    host: str
    fate: Fate
    detail: str = "seen"
    stage: str | None = None
    round_number: int = 3
    peers: tuple[str, ...] = ()
    waited_s: float = 9.0


class StuckLine(Strict, rename={"round_number": "round"}):
    between: tuple[str, str]
    stage: str = "latency"
    round_number: int = 3
    waited_s: float = 9.0


class NcclLine(Strict, rename={"traits": "set"}):
    on: tuple[str, ...] = ()
    network: str | None = None
    devices: tuple[str, ...] | None = None
    direct: int | None = None
    staged: int | None = None
    direction: Direction | None = None
    by: int | None = None
    traits: dict[str, Any] = {}


class Lost(Strict, rename={"sender": "from"}):
    packets: Literal["large", "all"]
    sender: str | None = None
    to: str | None = None
    between: tuple[str, str] | None = None

    def loses(self, src: str, dst: str) -> bool:
        is_between = self.between is None or {src, dst} == set(self.between)
        return is_between and self.sender in (None, src) and self.to in (None, dst)


class LostDatagrams(Strict, rename={"sender": "from"}):
    count: int
    sender: str | None = None
    to: str | None = None
    between: tuple[str, str] | None = None

    def is_of(self, src: str, dst: str) -> bool:
        is_between = self.between is None or {src, dst} == set(self.between)
        return is_between and self.sender in (None, src) and self.to in (None, dst)


class DatagramLine(Strict):
    size: int
    sent: int = 1000
    stamped: bool = True
    stamped_odd: dict[str, bool] = {}
    lost: list[LostDatagrams] = []


class PathLines(Strict):
    network: str = "10.1.0.0/24"
    mtu: int = 9000
    lost: list[Lost] = []
    large_tried: bool = True
    answered: bool = True


class GpuEndpointLine(Strict):
    rank: int
    pci: str
    to_gpu_gbps: float | None = None
    from_gpu_gbps: float | None = None
    within_gpu_gbps: float | None = None
    to_peer_gbps: float | None = None


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
    leaves: dict[str, list[str]] = {}
    cpus: dict[str, int] = {}
    limits: dict[str, float] = {}
    clock_error_us: float = 1.0
    clocks: bool = True
    planned_pairs: int = 0
    measured_pairs: int = 0
    checked_iterations: int = 1
    pairs: list[Pairs] = []
    collectives: list[Collective] = []
    hops: list[HopLine] = []
    noise: list[NoiseLine] = []
    shapes: list[ShapeLine] = []
    loaded: list[LoadedLine] = []
    incast: list[IncastLine] = []
    storage: list[StorageLine] = []
    rails: list[RailsLine] = []
    victim: list[VictimLine] = []
    counters: list[CounterLine] = []
    faults: list[FaultLine] = []
    run_error: str | None = None
    unexplained: str | None = None
    interfaces: list[InterfaceLine] = []
    benched: list[BenchedLine] = []
    stuck: list[StuckLine] = []
    paths: list[PathLines] = []
    nics: list[NicLine] = []
    gpus: list[GpuLine] = []
    gpu_windows: list[GpuWindowLine] = []
    gpu_grown: list[GpuGrownLine] = []
    gpu_endpoints: list[GpuEndpointLine] = []
    systems: list[SystemLine] = []
    counted: list[CountedLine] = []
    endpoints: list[EndpointLine] = []
    failures: list[FailureLine] = []
    datagrams: list[DatagramLine] = []
    nccl: list[NcclLine] = []
    steps: list[StepLine] = []
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
    pairs = tuple(_table(ranks, pairs, scenario.failures) for pairs in scenario.pairs)
    counters = _counters(scenario, ranks, pairs)
    hosts = inventories(scenario.hosts, scenario.nics, scenario.gpus, scenario.systems)
    return Evidence(
        plan=Plan(profile="scenario", seed=0, stages=()),
        ranks=ranks,
        clocks=clocks if scenario.clocks else (),
        pairs=pairs,
        groups=tuple(_group(ranks, each) for each in scenario.collectives),
        arrivals=tuple(_arrivals(ranks, each) for each in scenario.collectives),
        hops=tuple(_hops(ranks, each) for each in scenario.hops),
        steps=tuple(step_table(ranks, each) for each in scenario.steps),
        noise=_noise(scenario.noise, ranks),
        shapes=tuple(_shape(each, ranks) for each in scenario.shapes),
        loaded=tuple(_loaded(ranks, each) for each in scenario.loaded),
        storage=tuple(_storage(ranks, each) for each in scenario.storage),
        flows_together=(
            *_incast(ranks, scenario.incast),
            *_victims(ranks, scenario.victim),
            *_rails(ranks, scenario.rails),
        ),
        faults=tuple(_fault(line) for line in scenario.faults if line.xor_mask),
        fault_paths=tuple(line.path for line in scenario.faults if line.xor_mask),
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
        gaps=() if scenario.unexplained is None else (Gap(topic="run", reason=scenario.unexplained),),
        run_error=scenario.run_error,
        counters=counters,
        waiting_ratio=_waiting_ratio(counters, ranks),
        benched=tuple(_benched(line, ranks) for line in scenario.benched),
        paths=tuple(path for lines in scenario.paths for path in _paths(lines, scenario.hosts)),
        stuck_pairs=tuple(_stuck(line) for line in scenario.stuck),
        inventories=hosts,
        gpu_windows=gpu_windows(scenario.hosts, scenario.gpu_windows),
        gpu_growths=gpu_growths(scenario.hosts, scenario.gpu_grown),
        endpoints=tuple(_endpoints(scenario.endpoints, ranks)),
        gpus=tuple(map(_gpu_endpoint, scenario.gpu_endpoints)) or tuple(_gpus(hosts, ranks)),
        failures=tuple(_failures(scenario.failures, ranks)),
        datagrams=_datagrams(scenario.datagrams, ranks),
        nccl=tuple(_nccl(scenario.nccl, scenario.hosts)),
        ports=port_table(hosts, scenario.counted, pairs, tuple(scenario.hosts)),
    )


def _nccl(lines: list[NcclLine], hosts: list[str]) -> Iterator[NcclFacts]:
    for number, host in enumerate(hosts):
        own = [line for line in lines if not line.on or host in line.on]
        told: dict[str, Any] = {"network": "IB", "devices": (), "direct": 0, "staged": 0, "direction": None, "by": 0}
        traits: dict[str, Any] = {}
        for line in own:
            told |= {name: value for name in told if (value := getattr(line, name)) is not None}
            traits |= {name: _tuples(value) for name, value in line.traits.items()}
        if own:
            yield NcclFacts(
                host=host,
                pid=100 + number,
                rank=number,
                ranks=len(hosts),
                network=told["network"],
                devices=tuple(NcclDevice(index=i, ports=(name,)) for i, name in enumerate(told["devices"])),
                ways=tuple(
                    NcclWay(kind="NET", detail=told["network"], device=told["by"], direction=told["direction"],
                            is_gpu_direct=is_direct, connections=count)
                    for is_direct, count in ((True, told["direct"]), (False, told["staged"]))
                    if count
                ),
                **traits,
            )  # fmt: skip


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _gpu_endpoint(line: GpuEndpointLine) -> GpuEndpoint:
    return GpuEndpoint(
        rank=line.rank, ordinal=0, pci=line.pci, name="NVIDIA H100 80GB HBM3", memory_bytes=80 << 30, driver="12.8",
        runtime="12.8",
        copies=tuple(
            CopyRate(way=way, size_bytes=64 << 20, gbps=rate)
            for way, rate in (
                (CopyWay.TO_GPU, line.to_gpu_gbps), (CopyWay.FROM_GPU, line.from_gpu_gbps),
                (CopyWay.WITHIN_GPU, line.within_gpu_gbps), (CopyWay.TO_PEER, line.to_peer_gbps),
            )
            if rate is not None
        ),
    )  # fmt: skip


def _datagrams(lines: list[DatagramLine], ranks: tuple[Rank, ...]) -> DatagramTable:
    rows = [
        (line, src, dst, sum(lost.count for lost in line.lost if lost.is_of(src.host, dst.host)))
        for line in lines
        for src in ranks
        for dst in ranks
        if src.host != dst.host
    ]
    return DatagramTable(
        stage=("rdma-reach-between-hosts",) * len(rows),
        round_index=np.zeros(len(rows), dtype=np.int64),
        src=np.array([src.rank for _, src, _, _ in rows], dtype=np.int64),
        dst=np.array([dst.rank for _, _, dst, _ in rows], dtype=np.int64),
        size_bytes=np.array([line.size for line, *_ in rows], dtype=np.int64),
        sent=np.array([line.sent for line, *_ in rows], dtype=np.int64),
        arrived=np.array([line.sent - lost for line, _, _, lost in rows], dtype=np.int64),
        source_stamps=np.array(
            [line.stamped_odd.get(src.host, line.stamped) for line, src, _, _ in rows], dtype=np.bool_
        ),
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
        interfaces = () if place else tuple(_interface(line, host, number) for line in scenario.interfaces)
        ranks.append(
            Rank(
                rank=number,
                host=host,
                local_index=place,
                cpus=tuple(range(cpus)),
                pid=100 + number,
                interfaces=interfaces,
                leaf=next((leaf for leaf, own in scenario.leaves.items() if host in own), None),
            )
        )
    return tuple(ranks)


def _interface(line: InterfaceLine, host: str, number: int) -> Interface:
    address = f"{line.network.rpartition('.')[0]}.{number + 1}"
    return Interface(name=line.name, address=address, network=line.network, mtu_bytes=line.odd.get(host, line.mtu))


def _benched(line: BenchedLine, ranks: tuple[Rank, ...]) -> Benched:
    has_met = line.stage is not None
    return Benched(
        host=line.host,
        fate=line.fate,
        detail=line.detail,
        ranks=tuple(ranks_by_host(ranks).get(line.host, ())) if has_met else (),
        stage=line.stage,
        round_index=line.round_number - 1 if has_met else None,
        peers=line.peers,
        last_stage=line.stage if has_met and line.round_number > 1 else None,
        last_round_index=line.round_number - 2 if has_met and line.round_number > 1 else None,
        waited_ns=int(line.waited_s * NS_PER_S),
    )


def _stuck(line: StuckLine) -> StuckPair:
    return StuckPair(
        hosts=line.between,
        stage=line.stage,
        round_index=line.round_number - 1,
        waited_ns=int(line.waited_s * NS_PER_S),
    )


def _paths(lines: PathLines, hosts: list[str]) -> list[PathAnswer]:
    names = list(dict.fromkeys(hosts))
    return [_path(lines, src, dst) for src in names for dst in names if src != dst]


def _path(lines: PathLines, src: str, dst: str) -> PathAnswer:
    lost = {each.packets for each in lines.lost if each.loses(src, dst)}
    small = lines.answered and "all" not in lost
    return PathAnswer(
        src=src,
        dst=dst,
        interface="eth1",
        network=lines.network,
        mtu_bytes=lines.mtu,
        small=small,
        full=small and "large" not in lost if lines.large_tried else None,
    )


def _endpoints(lines: list[EndpointLine], ranks: tuple[Rank, ...]) -> Iterator[RdmaEndpoint]:
    hosts = list(ranks_by_host(ranks))
    for rank in ranks:
        fitting = [line.traits for line in lines if not line.on or rank.host in line.on]
        gid = f"0000:0000:0000:0000:0000:ffff:0a01:{hosts.index(rank.host) + 1:04x}"
        if fitting:
            endpoint = RdmaEndpoint(
                rank=rank.rank, device="mlx5_0", port=1, link_layer="Ethernet", gid_index=3, gid=gid,
                gid_kind="RoCE v2", netdev="eth0", rate_gbps=400.0,
            )  # fmt: skip
            yield replace(endpoint, **{name: value for traits in fitting for name, value in traits.items()})


def _failures(lines: list[FailureLine], ranks: tuple[Rank, ...]) -> Iterator[PairFailure]:
    for line in lines:
        for a in ranks:
            for b in ranks:
                if a.rank < b.rank and a.host != b.host and line.is_of(a.host, b.host):
                    cause = {"rank": a.rank, "call": "ibv_poll_cq", "phase": line.phase} | line.cause
                    yield PairFailure(
                        stage=f"rdma-{line.probe}-between-hosts", probe=line.probe, round_index=0, src=a.rank,
                        dst=b.rank, size_bytes=8, cause=Breakdown(**cause),
                    )  # fmt: skip


def _counters(scenario: Scenario, ranks: tuple[Rank, ...], pairs: tuple[PairTable, ...]) -> CounterTable:
    """Return a window for each rank of each round: both ends of a pair, everybody in a collective."""
    if not scenario.counters:
        return NO_COUNTERS
    windows = [(each.probe, 0, rank, "everybody") for each in scenario.collectives for rank in ranks]
    for table in pairs:
        for round_index, ends in enumerate(zip(table.src.tolist(), table.dst.tolist(), strict=True)):
            a, b = (ranks[number] for number in ends)
            windows += [(table.stage, round_index, own, peer.host) for own, peer in ((a, b), (b, a))]
    names = dict.fromkeys(name for line in scenario.counters for name in line.grown)
    return CounterTable(
        stage=tuple(stage for stage, _, _, _ in windows),
        round_index=np.array([round_index for _, round_index, _, _ in windows]),
        rank=np.array([rank.rank for _, _, rank, _ in windows]),
        elapsed_ns=np.full(len(windows), ROUND_NS),
        grown={
            name: np.array([_grown(scenario.counters, name, rank, peer) for _, _, rank, peer in windows])
            for name in names
        },
    )


def _grown(lines: list[CounterLine], name: str, rank: Rank, peer: str) -> float:
    if rank.local_index and not name.startswith(("process/", "cgroup/")):
        return np.nan
    fitting = [line for line in lines if line.on in (None, rank.host) and line.peer in (None, peer)]
    counted = [line.grown[name] for line in fitting if name in line.grown]
    return float(sum(counted)) if counted else np.nan


def _waiting_ratio(counters: CounterTable, ranks: tuple[Rank, ...]) -> dict[str, float]:
    waited_ns = counters.grown.get("process/run_delay_ns", np.full(len(counters.stage), np.nan))
    ratios = {}
    for host in dict.fromkeys(rank.host for rank in ranks):
        own = np.array([ranks[number].host == host for number in counters.rank], dtype=bool) & np.isfinite(waited_ns)
        if own.any():
            ratios[host] = float(waited_ns[own].sum() / counters.elapsed_ns[own].sum())
    return ratios


def _table(ranks: tuple[Rank, ...], pairs: Pairs, failures: list[FailureLine]) -> PairTable:
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
        and not (pairs.path is Carrier.VERBS and any(each.is_of(a.host, b.host) for each in failures))
        and (not pairs.only or any({a.host, b.host} == set(each) for each in pairs.only))
    ]
    size_bytes = parse_size(pairs.size)
    latency = pairs.probe == "latency"
    bytes_per_iteration = 2 * size_bytes if latency else 16 * size_bytes
    typical = [_typical_ns(pairs, _odd(pairs, a, b), bytes_per_iteration) for a, b in rows]
    return PairTable(
        stage=_stage(pairs),
        probe=pairs.probe,
        metric=Metric.ROUND_TRIP if latency else Metric.WINDOW,
        scope=pairs.scope,
        size_bytes=size_bytes,
        bytes_per_iteration=bytes_per_iteration,
        window=1 if latency else 16,
        directed=directed,
        src=np.array([a.rank for a, _ in rows], dtype=np.int64),
        dst=np.array([b.rank for _, b in rows], dtype=np.int64),
        round_index=np.arange(len(rows)),
        samples=np.full(len(rows), ENOUGH_SAMPLES),
        min_ns=np.array([2 * NS_PER_US * (_odd(pairs, a, b).min_us or np.nan) for a, b in rows]),
        p50_ns=np.array([p50 for p50, _ in typical]),
        p99_ns=np.array([p99 for _, p99 in typical]),
        p999_ns=np.full(len(rows), np.nan),
        max_ns=np.array(
            [
                p99 if odd.max_ms is None else odd.max_ms * NS_PER_MS
                for (_, p99), odd in zip(typical, (_odd(pairs, a, b) for a, b in rows), strict=True)
            ]
        ),
        total_ns=np.array([p50 * ENOUGH_SAMPLES for p50, _ in typical]),
        path=pairs.path,
        send_memory=pairs.send_memory,
        receive_memory=pairs.receive_memory,
    )


def _stage(pairs: Pairs) -> str:
    over = {Carrier.MPI: "", Carrier.VERBS: "rdma-", Carrier.NCCL: "nccl-"}[pairs.path]
    is_of_host = {pairs.send_memory, pairs.receive_memory} == {Memory.HOST}
    memories = "" if is_of_host else f"-{pairs.send_memory}-to-{pairs.receive_memory}"
    return f"{over}{pairs.probe}-{pairs.scope}{memories}"


def _gpus(hosts: Mapping[str, HostInventory], ranks: tuple[Rank, ...]) -> Iterator[GpuEndpoint]:
    """Yield the GPU of each rank: the first rank of a host uses its first, and so on."""
    for rank in ranks:
        own = hosts[rank.host].gpus if rank.host in hosts else ()
        if rank.local_index < len(own):
            yield GpuEndpoint(
                rank=rank.rank, ordinal=rank.local_index, pci=own[rank.local_index].address, name="NVIDIA H100",
                memory_bytes=80 << 30, driver="12.8", runtime="12.8",
            )  # fmt: skip


def _odd(pairs: Pairs, a: Rank, b: Rank) -> Odd:
    is_across = None not in (a.leaf, b.leaf) and a.leaf != b.leaf
    for odd in pairs.odd:
        if odd.leaves is not None and (a.leaf, b.leaf) != odd.leaves:
            continue
        if odd.between is not None and {a.host, b.host} != set(odd.between):
            continue
        if odd.sender in (None, a.host) and odd.to in (None, b.host):
            return odd
    return Odd(gbps=pairs.across_gbps, us=pairs.across_us) if is_across else Odd()


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


def _hops(ranks: tuple[Rank, ...], each: HopLine) -> HopTable:
    ends = [(rank, ranks[(rank.rank + 1) % len(ranks)]) for rank in ranks]
    return HopTable(
        stage="traced_ring",
        probe="traced_ring",
        size_bytes=parse_size(each.size),
        iterations=ENOUGH_SAMPLES,
        messages=each.messages,
        src=np.array([a.rank for a, _ in ends]),
        dst=np.array([b.rank for _, b in ends]),
        bytes_per_iteration=np.full(len(ends), parse_size(each.size)),
        p50_ns=np.array(
            [NS_PER_US * next((odd.us for odd in each.odd if _is_of(odd, a, b)), each.us) for a, b in ends]
        ),
        operation_p50_ns=NS_PER_US * each.operation_us,
    )


def _noise(lines: list[NoiseLine], ranks: tuple[Rank, ...]) -> NoiseTable:
    told: list[dict[str, Any]] = []
    for rank in ranks if lines else ():
        own: dict[str, Any] = {"lost_ratio": 0.001, "detours": 25, "longest_us": 5.0, "quantum_us": 5.0}
        for line in lines:
            if line.on in (None, rank.host):
                own |= {name: value for name in line.__struct_fields__ if (value := getattr(line, name)) is not None}
        told.append(own)

    def column(name: str, scale: float = 1.0) -> np.ndarray:
        return np.array([scale * each.get(name, np.nan) for each in told])

    return NoiseTable(
        stage=("host_noise",) * len(told),
        rank=np.arange(len(told)),
        cpu=np.array([each.get("cpu", -1) for each in told], dtype=np.int64),
        quantum_ns=column("quantum_us", NS_PER_US),
        total_ns=np.full(len(told), 80 * NS_PER_MS),
        lost_ns=column("lost_ratio", 80 * NS_PER_MS),
        detours=np.array([each["detours"] for each in told], dtype=np.int64),
        detour_max_ns=column("longest_us", NS_PER_US),
        beat_ns=column("beat_ms", NS_PER_MS),
        wake_p50_ns=np.full(len(told), 60 * NS_PER_US),
        wake_p99_ns=np.full(len(told), 90 * NS_PER_US),
    )


def _shape(line: ShapeLine, ranks: tuple[Rank, ...]) -> Shape:
    src, dst = (next(rank.rank for rank in ranks if rank.host == host) for host in line.between)
    return Shape(
        probe=line.probe, path=Carrier.MPI, memory=(Memory.HOST, Memory.HOST), size_bytes=parse_size(line.size),
        metric=Metric.ROUND_TRIP, bytes_per_iteration=2 * parse_size(line.size), src=src, dst=dst,
        modes_ns=None if line.modes_us is None else (line.modes_us[0] * NS_PER_US, line.modes_us[1] * NS_PER_US),
        high_share=None if line.modes_us is None else line.high_share,
        quarters_ns=(
            None if line.quarters_us is None else (line.quarters_us[0] * NS_PER_US, line.quarters_us[1] * NS_PER_US)
        ),
    )  # fmt: skip


def _rank_on(host: str, ranks: tuple[Rank, ...]) -> int:
    return next(rank.rank for rank in ranks if rank.host == host)


def _loaded(ranks: tuple[Rank, ...], line: LoadedLine) -> LoadedTable:
    def times(values: list[float]) -> np.ndarray:
        return np.array([[p99, 2 * p99, 3 * p99, 4 * p99] for p99 in values]) * NS_PER_US

    odd = [next((odd for odd in line.odd if set(odd.between) == set(pair)), OddLoaded(pair)) for pair in line.pairs]
    ends = np.array([[_rank_on(host, ranks) for host in pair] for pair in line.pairs])
    again = line.p99_us if line.again_p99_us is None else line.again_p99_us
    return LoadedTable(
        stage="loaded_latency-between-hosts",
        scope=Scope.BETWEEN_HOSTS,
        size_bytes=8,
        turn=np.arange(len(ends)),
        src=ends[:, 0],
        dst=ends[:, 1],
        background=(line.background,) * len(ends),
        alone_ns=times([line.p99_us for _ in odd]),
        loaded_ns=times([each.loaded_p99_us or line.loaded_p99_us for each in odd]),
        again_ns=times([each.again_p99_us or again for each in odd]),
    )


def _flows(probe: str, ranks: tuple[Rank, ...], rows: list[tuple[int, str, str, float]]) -> LoadFlows:
    gbps = np.array([rate for *_, rate in rows])
    return LoadFlows(
        stage=f"{probe}-between-hosts",
        probe=probe,
        scope=Scope.BETWEEN_HOSTS,
        size_bytes=1 << 20,
        round_index=np.array([index for index, *_ in rows]),
        src=np.array([_rank_on(src, ranks) for _, src, _, _ in rows]),
        dst=np.array([_rank_on(dst, ranks) for _, _, dst, _ in rows]),
        gbps=gbps,
        p99_ns=np.full(len(rows), np.nan),
        max_ns=8 * (8 << 20) / gbps,
    )


def _rails(ranks: tuple[Rank, ...], lines: list[RailsLine]) -> Iterator[LoadFlows]:
    of_host: dict[str, list[int]] = {}
    for rank in ranks:
        of_host.setdefault(rank.host, []).append(rank.rank)
    for line in lines:
        odd = {frozenset(each.between): each.gbps for each in line.odd}
        rows = []
        for turn, (one, other) in enumerate(line.pairs):
            alone, together = odd.get(frozenset((one, other)), line.gbps)
            rails = list(zip(of_host[one], of_host[other], strict=True))
            for phase in range(len(rails) + 1):
                rate, own = (together, rails) if phase == len(rails) else (alone, [rails[phase]])
                index = turn * (len(rails) + 1) + phase
                rows += [(index, *ends, rate) for a, b in own for ends in ((a, b), (b, a))]
        index, src, dst, gbps = (np.array(column) for column in zip(*rows, strict=True))
        yield LoadFlows(
            stage="rails-between-hosts", probe="rails", scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20,
            round_index=index, src=src, dst=dst, gbps=gbps, p99_ns=np.full(len(rows), np.nan), max_ns=1e6 / gbps,
        )  # fmt: skip


def _storage(ranks: tuple[Rank, ...], line: StorageLine) -> StorageTable:
    readers = [rank for rank in ranks if rank.local_index == 0]
    return StorageTable(
        stage="storage",
        size_bytes=parse_size(line.size),
        path=line.path,
        rate_gbps=line.rate_gbps,
        reduced_p50_ns=NS_PER_US * np.array(line.us),
        reduced_p99_ns=NS_PER_US * np.array(line.p99_us or [np.nan] * 3),
        rank=np.array([rank.rank for rank in readers]),
        read_gbps=np.array([line.odd.get(rank.host, line.gbps) for rank in readers]),
        read_p99_ns=np.full((len(readers), 3), np.nan),
        read_blocks=np.full((len(readers), 3), line.blocks),
    )


def _incast(ranks: tuple[Rank, ...], lines: list[IncastLine]) -> Iterator[LoadFlows]:
    rows = [
        (index, src, line.to, rate)
        for index, line in enumerate(lines)
        for src, rate in zip(line.senders, line.gbps, strict=True)
    ]
    if rows:
        yield _flows("incast", ranks, rows)


def _victims(ranks: tuple[Rank, ...], lines: list[VictimLine]) -> Iterator[LoadFlows]:
    rows = [
        row
        for turn, line in enumerate(lines)
        for row in (
            *((3 * turn + phase, *line.flow, rate) for phase, rate in enumerate(line.gbps)),
            *((3 * turn + 1, src, line.hot, 380.0 / len(line.senders)) for src in line.senders),
        )
    ]
    if rows:
        yield _flows("victim", ranks, rows)


def _is_of(odd: Odd, a: Rank, b: Rank) -> bool:
    return odd.sender in (None, a.host) and odd.to in (None, b.host)


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
