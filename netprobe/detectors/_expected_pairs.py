"""What the table of expectations says of pairs of ranks between hosts, over RDMA."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from netprobe.detectors._line_rates import FEWEST_BYTES, known_ports, nics_by_host, same
from netprobe.detectors._words import between_hosts, percent, probe_title
from netprobe.locate.expected import (
    MEMORY_WORDS,
    Lack,
    Traits,
    better_with_more,
    counted_queue_pairs,
    expectation_for,
    with_queue_pairs,
)
from netprobe.locate.paths import is_latency
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.expectation import Expectation
from netprobe.model.finding import Gap
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.model.rdma import Operation, RdmaEndpoint

BOND: Final = "bond"
"""In the names of RDMA devices that are two ports at once, over which queue pairs are spread by chance."""
LIMITS_REMEDY: Final = "expected_bandwidth_gbps in --limits"
OF_BONDS: Final = Lack(what="bonds, over whose ports queue pairs are spread by chance", remedy=LIMITS_REMEDY)
ONE_WAY: Final = (Operation.SEND, Operation.WRITE, Operation.WRITE_IMMEDIATE)
"""Verbs whose latency is half a round trip."""

Answer = Expectation | Lack


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """A table over RDMA, and what its rows are held against, or what the table of expectations lacks for them."""

    table: PairTable
    answers: tuple[Answer, ...]
    """By row."""
    by_traits: Mapping[Traits | None, Answer]
    """The same, once for each kind of pair; None for those with a bond at an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What figures ask of one end of a pair."""

    is_bond: bool
    gpu: str | None
    nics: int
    link_gbps: float
    link_layer: str | None


def streams_of_known_ports(evidence: Evidence) -> list[PairTable]:
    """Return one-way bandwidth over RDMA, the largest size for each memory, where all ports tell their rates."""
    streams = [each for each in _over_rdma(evidence) if each.probe == "bandwidth" and each.size_bytes >= FEWEST_BYTES]
    largest: dict[object, int] = {}
    for table in streams:
        largest[table.sweep] = max(largest.get(table.sweep, 0), table.size_bytes)
    return [table for table in streams if table.size_bytes == largest[table.sweep]]


def latencies_of_known_ports(evidence: Evidence) -> list[PairTable]:
    """Return latency over RDMA, the smallest size for each memory, where all ports tell their rates."""
    pings = [each for each in _over_rdma(evidence) if is_latency(each) and each.operation in (None, *ONE_WAY)]
    smallest: dict[object, int] = {}
    for table in pings:
        smallest[table.sweep] = min(smallest.get(table.sweep, table.size_bytes), table.size_bytes)
    return [table for table in pings if table.size_bytes == smallest[table.sweep]]


def _over_rdma(evidence: Evidence) -> list[PairTable]:
    known = known_ports(evidence)
    return [
        table
        for table in between_hosts(evidence)
        if table.path is Path.VERBS and {*table.src.tolist(), *table.dst.tolist()} <= known.keys()
    ]


def held_against(evidence: Evidence, table: PairTable) -> Held:
    """Return what each row is held against; the ports of all rows are known."""
    ports, nics = known_ports(evidence), nics_by_host(evidence)
    gpus = {each.rank: each.name for each in evidence.gpus}
    kinds: dict[_End, int] = {}
    kind_of = {
        rank: kinds.setdefault(_end(port, gpus.get(rank), nics[evidence.ranks[rank].host]), len(kinds))
        for rank, port in ports.items()
    }
    ends, queue_pairs = tuple(kinds), _queue_pairs(evidence, table)
    rows = [(kind_of[src], kind_of[dst]) for src, dst in zip(table.src.tolist(), table.dst.tolist(), strict=True)]
    traits = {(a, b): _traits(table, ends[a], ends[b], queue_pairs) for a, b in dict.fromkeys(rows)}
    answers = {
        each: OF_BONDS if each is None else expectation_for(each, evidence.expectations)
        for each in dict.fromkeys(traits.values())
    }
    by_ends = {key: answers[each] for key, each in traits.items()}
    return Held(
        table=table,
        answers=tuple(by_ends[row] for row in rows),
        by_traits=answers,
    )


def _end(port: RdmaEndpoint, gpu: str | None, nics: int) -> _End:
    return _End(
        is_bond=BOND in port.device, gpu=gpu, nics=nics, link_gbps=port.rate_gbps or 0.0, link_layer=port.link_layer
    )


def _traits(table: PairTable, a: _End, b: _End, queue_pairs: int) -> Traits | None:
    """Return what rows between two such ends were measured on; None where one is a bond."""
    if a.is_bond or b.is_bond:
        return None
    return Traits(
        probe=table.probe,
        path=table.path,
        memory=same((table.send_memory, table.receive_memory)),
        size_bytes=table.size_bytes,
        gpu=same((a.gpu, b.gpu)),
        nics=same((a.nics, b.nics)),
        link_gbps=min(a.link_gbps, b.link_gbps),
        link_layer=same((a.link_layer, b.link_layer)),
        queue_pairs=queue_pairs,
    )


def _queue_pairs(evidence: Evidence, table: PairTable) -> int:
    """Return how many queue pairs each pair of ranks had; one where the plan does not tell, as by default."""
    stages = (stage for stage in evidence.plan.stages if stage.id == table.stage)
    return next((stage.rdma.queue_pairs for stage in stages if stage.rdma is not None), 1)


def lacking_figures(evidence: Evidence, held: Held, limits: Limits) -> Iterator[Gap]:
    """Yield what the table of expectations lacks, and what was asked of such rows instead."""
    asked = (
        "latency of RDMA was not held against what is expected"
        if is_latency(held.table)
        else f"bandwidth of RDMA was held against {percent(limits.line_rate_ratio)} of the rate of its ports alone"
    )
    for lack in dict.fromkeys(answer for answer in held.by_traits.values() if isinstance(answer, Lack)):
        if evidence.expectations:
            why, remedy = f"the table of expectations has no figure for {lack.what}", lack.remedy
        else:
            why, remedy = "nobody said what to expect", LIMITS_REMEDY
        yield Gap(topic="expectation", reason=f"{asked}: {why}", remedy=remedy)


def weaker_figures(evidence: Evidence, held: Held) -> Iterator[Gap]:
    """Yield what rows were held against only because they had too few queue pairs for more."""
    told: dict[tuple[float, float], Gap] = {}
    for traits, chosen in held.by_traits.items():
        if traits is None or isinstance(chosen, Lack):
            continue
        better = better_with_more(traits, evidence.expectations, chosen)
        if better is None or chosen.line_ratio is None or better.line_ratio is None:
            continue
        told[chosen.line_ratio, better.line_ratio] = Gap(
            topic="expectation",
            reason=f"{probe_title(traits.probe, traits.path)} of {MEMORY_WORDS[chosen.memory]} was held against what "
            f"{counted_queue_pairs(chosen.queue_pairs)} can do, {percent(chosen.line_ratio)} of the line rate: "
            f"{percent(better.line_ratio)} ({better.source}) is asked of {better.queue_pairs} and more",
            remedy=with_queue_pairs(traits.probe, better.queue_pairs, traits.memory),
        )
    yield from told.values()
