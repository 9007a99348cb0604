"""Who must be measured again, and with whom, before anybody is called bad.

A suspect meets two partners that nothing is held against; a pair whose ends look good is repeated itself. What is slow
again with good partners is the host's, and what only the pair shows is the path's.

Does not handle: ranks within a host, and collectives; there is nobody else to pair them with.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, TypeVar

import numpy as np

from netprobe.locate.placement import Placement, placement_of
from netprobe.model.counters import CounterWindow
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import PairTable
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.series import Series
from netprobe.plan.flows import Rounds, flow_stages
from netprobe.plan.suspicion import HostPair, Suspicion, suspicions, tables_of
from netprobe.registry import probes

SECOND_PASS: Final = "second-pass-"
"""What the ids of these stages begin with; ``rdma-`` where they go over verbs, and the probe follow."""
FEWEST_HOSTS: Final = 4  # a suspect, two good partners, and one more that says who is good
PARTNERS: Final = 2
MOST_SUSPECTS: Final = 4  # hosts, and as many pairs; who has more has a problem of the fabric, which no pair explains

T = TypeVar("T", int, HostPair)


def second_pass(
    plan: Plan,
    ranks: tuple[Rank, ...],
    series: Iterable[Series],
    windows: Sequence[CounterWindow] = (),
    *,
    absent: frozenset[str] = frozenset(),
    varies_ports: bool = False,
) -> tuple[Stage, ...]:
    """Return the stages that suspects of a finished plan call for; none without suspects, or below four hosts.

    ``ranks`` are all of the run, by number. Hosts of ``absent`` are neither tested again nor partners. A suspect gets
    partners on two leaves, where leaves are known. MPI and RDMA have suspects and stages of their own; whoever is
    suspected over either is nobody's partner. What was measured in memory of GPUs is not measured again. With
    ``varies_ports``, for ranks on RoCE, pairs that are slow though their ends are not have stages of several ports.
    """
    placement = placement_of(ranks)
    tables = tuple(table for table in tables_of(series, plan.stages, placement) if table.is_of_host)
    present = _present(tables, placement, absent)
    if len(present) < FEWEST_HOSTS:
        return ()
    found = {path: suspicions(tables, windows, placement, path) for path in Path}
    touched = {host for both in found.values() for suspicion in both for host in suspicion.touched()}
    good = [host for host in present if host not in touched]
    random.Random(plan.seed).shuffle(good)
    hosts = placement.host_of.tolist()
    leaf_of = {host: rank.leaf for host, rank in zip(hosts, ranks, strict=True) if rank.leaf is not None}
    stages = []
    for path, (bandwidth, latency) in found.items():
        own = tuple(table for table in tables if table.path is path)
        able = frozenset(_present(own, placement, absent))
        if len(able) < FEWEST_HOSTS:
            continue
        draw = _Draw(good=tuple(host for host in good if host in able), met=_met(own, placement), leaf_of=leaf_of)
        for names, suspicion in ((("bandwidth", "bidirectional"), bandwidth), (("latency",), latency)):
            planned = next((stage for name in names for stage in plan.stages if _is_between(stage, name, path)), None)
            pairs = _pairs_to_measure(suspicion, able, draw)
            if planned is not None and pairs:
                stages.append(_stage(planned, pairs, placement))
            if planned is not None and varies_ports and "latency" not in names:
                alone = _unexplained(suspicion, able)
                stages += flow_stages(planned, _rounds(planned, alone, placement))
    return tuple(stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draw:
    """What partners are drawn from."""

    good: tuple[int, ...]
    """In random order."""
    met: dict[int, set[int]]
    leaf_of: dict[int, str]

    def partners(self, suspect: int, times_used: dict[int, int]) -> list[int]:
        """Return two good partners: on different leaves, not met yet, and not already busy with other suspects."""
        drawn: list[int] = []
        order = {host: index for index, host in enumerate(self.good)}
        while len(drawn) < min(PARTNERS, len(self.good)):
            leaves = {self.leaf_of[host] for host in drawn if host in self.leaf_of}
            left = [host for host in self.good if host not in drawn]
            drawn.append(
                min(
                    left,
                    key=lambda host: (
                        self.leaf_of.get(host) in leaves,
                        host not in self.leaf_of,
                        host in self.met.get(suspect, ()),
                        times_used.get(host, 0),
                        order[host],
                    ),
                )
            )
        return drawn


def _stage(planned: Stage, pairs: list[HostPair], placement: Placement) -> Stage:
    """Return the stage that measures pairs of hosts again as planned: over the same path, with the same options."""
    over = "rdma-" if planned.path is Path.VERBS else ""
    return replace(planned, id=f"{SECOND_PASS}{over}{planned.probe}", rounds=_rounds(planned, pairs, placement))


def _rounds(planned: Stage, pairs: list[HostPair], placement: Placement) -> Rounds:
    """Return the rounds of ranks in which these pairs of hosts meet, in the directions that the probe tells apart."""
    probe = probes()[planned.probe]
    rounds: list[tuple[tuple[int, int], ...]] = []
    for disjoint in _disjoint(pairs):
        forward = tuple(
            ends
            for a, b in disjoint
            for ends in zip(
                placement.ranks_on(placement.hosts[a]), placement.ranks_on(placement.hosts[b]), strict=False
            )
        )
        rounds.append(forward)
        if probe.both_directions:
            rounds.append(tuple((b, a) for a, b in forward))
    return tuple(rounds)


def _is_between(stage: Stage, probe: str, path: Path) -> bool:
    is_meant = stage.probe == probe and stage.path is path and not stage.needs_gpu
    return is_meant and stage.scope is Scope.BETWEEN_HOSTS and bool(stage.sizes_bytes)


def _pairs_to_measure(suspicion: Suspicion, present: frozenset[int], draw: _Draw) -> list[HostPair]:
    suspects = [host for host in _worst(suspicion.hosts) if host in present][:MOST_SUSPECTS]
    times_used: dict[int, int] = {}
    pairs: list[HostPair] = []
    for suspect in suspects:
        for partner in draw.partners(suspect, times_used):
            times_used[partner] = times_used.get(partner, 0) + 1
            pairs.append((suspect, partner))
    return pairs + _unexplained(suspicion, present)


def _unexplained(suspicion: Suspicion, present: frozenset[int]) -> list[HostPair]:
    """Return the worst pairs whose ends look good."""
    left = [
        pair for pair in _worst(suspicion.pairs) if present.issuperset(pair) and not suspicion.hosts.keys() & set(pair)
    ]
    return left[:MOST_SUSPECTS]


def _worst(losses: Mapping[T, float]) -> list[T]:
    return sorted(losses, key=lambda each: (losses[each], each))


def _disjoint(pairs: list[HostPair]) -> list[list[HostPair]]:
    """Return the pairs in as few rounds as a first fit finds; no host is in two pairs of a round."""
    rounds: list[list[HostPair]] = []
    for pair in pairs:
        free = next((each for each in rounds if not set(pair) & set(chain.from_iterable(each))), None)
        if free is None:
            rounds.append([pair])
        else:
            free.append(pair)
    return rounds


def _met(tables: tuple[PairTable, ...], placement: Placement) -> dict[int, set[int]]:
    met: dict[int, set[int]] = {}
    for table in tables:
        ends = zip(placement.host_of[table.src].tolist(), placement.host_of[table.dst].tolist(), strict=True)
        for a, b in set(ends):
            met.setdefault(a, set()).add(b)
            met.setdefault(b, set()).add(a)
    return met


def _present(tables: tuple[PairTable, ...], placement: Placement, absent: frozenset[str]) -> list[int]:
    """Return the hosts that were measured and are still there, in order."""
    ends = [placement.host_of[each] for table in tables for each in (table.src, table.dst)]
    measured = np.unique(np.concatenate(ends)).tolist() if ends else []
    return [host for host in measured if placement.hosts[host] not in absent]
