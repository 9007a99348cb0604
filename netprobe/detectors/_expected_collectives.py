"""What the table of expectations says of collectives of GPUs: busbw at the largest size of each.

Of several data types, in place and out of place, the quickest counts: a figure says what a system can do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netprobe.detectors._line_rates import known_ports, nics_by_host, same
from netprobe.detectors._words import percent, size_title
from netprobe.locate.expected import MEMORY_WORDS, Lack, Traits, cited, expectation_for, key_words
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import Evidence, GroupResult
from netprobe.model.expectation import Expectation, Kind
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Path
from netprobe.stats.rates import busbw_gigabytes_per_s

ID: Final = "expectation"
BITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew:
    """Who took part in a collective."""

    ranks: tuple[Rank, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rank.host for rank in self.ranks))


def of_collectives(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name collectives of GPUs that do not reach their figure, and those that the table has none for."""
    for result, answer in expected_of(evidence):
        if isinstance(answer, Lack):
            yield Gap(
                topic=ID,
                reason=f"{_title(result)} was not held against what is expected: the table of expectations has no "
                f"figure for {answer.what}",
                remedy=answer.remedy,
            )
        else:
            yield from _shortfall(evidence, result, answer, limits)


def expected_of(evidence: Evidence) -> Iterator[tuple[GroupResult, Expectation | Lack]]:
    """Yield the quickest largest result of each collective of GPUs, with its figure or what the table lacks for it."""
    for result in _largest(evidence):
        yield result, expectation_for(_traits(evidence, result), evidence.expectations)


def _largest(evidence: Evidence) -> list[GroupResult]:
    """Return the quickest result at the largest size of each collective, carrier and memory of a GPU."""
    best: dict[tuple[str, Path, Memory], GroupResult] = {}
    for result in evidence.groups:
        if not (memory_of(result).needs_gpu and result.probe != "barrier" and result.p50_ns > 0):
            continue
        key = result.probe, result.path, memory_of(result)
        known = best.get(key)
        if known is None or (result.size_bytes, -result.p50_ns) > (known.size_bytes, -known.p50_ns):
            best[key] = result
    return list(best.values())


def memory_of(result: GroupResult) -> Memory:
    """Return where the bytes lay; NCCL knows no other than a GPU's."""
    return Memory.DEVICE if result.path is Path.NCCL else result.memory


def _traits(evidence: Evidence, result: GroupResult) -> Traits:
    crew = _crew(evidence, result)
    gpus = {each.rank: each for each in evidence.gpus}
    ports, nics = known_ports(evidence), nics_by_host(evidence)
    members = () if crew is None else crew.ranks
    hosts = () if crew is None else crew.hosts
    own = {host: {gpus[rank.rank].pci for rank in members if rank.host == host and rank.rank in gpus} for host in hosts}
    has_all = all(rank.rank in gpus for rank in members)
    return Traits(
        probe=result.probe,
        path=result.path,
        memory=memory_of(result),
        size_bytes=result.size_bytes,
        gpu=same(gpus[rank.rank].name for rank in members) if has_all else None,
        gpus=same(len(each) for each in own.values()) if has_all else None,
        hosts=len(hosts) or None,
        nics=same(nics.get(host) for host in hosts),
        link_gbps=same(ports[rank.rank].rate_gbps if rank.rank in ports else None for rank in members),
    )


def _crew(evidence: Evidence, result: GroupResult) -> _Crew | None:
    """Return who took part: all ranks, or all whose hosts were not taken out; None where it was neither."""
    gone = {each.host for each in evidence.benched}
    staying = tuple(rank for rank in evidence.ranks if rank.host not in gone)
    crews = (evidence.ranks, staying)
    return next((_Crew(ranks=ranks) for ranks in crews if ranks and len(ranks) == result.ranks), None)


def _shortfall(evidence: Evidence, result: GroupResult, entry: Expectation, limits: Limits) -> Iterator[Finding]:
    busbw = busbw_gigabytes_per_s(result.probe, result.size_bytes, result.p50_ns, result.ranks)
    if busbw is None:
        return
    expected = expected_gigabytes_per_s(entry)
    margin = 0.0 if entry.kind is Kind.GATE else limits.pair_loss_ratio
    if busbw >= expected * (1 - min(margin, limits.host_block_ratio)):
        return
    crew = _crew(evidence, result)
    hosts = () if crew is None else crew.hosts
    alone = hosts if len(hosts) == 1 else ()
    blocks = busbw < expected * (1 - limits.host_block_ratio)
    yield Finding(
        detector=ID,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=alone or ("fabric",),
        hosts=alone,
        summary=f"{_title(result)} has a busbw of {busbw:.1f} GB/s, {percent(1 - busbw / expected)} below the "
        f"{expected:.1f} GB/s of the {cited(entry)}",
        facts=(
            Fact(
                metric=f"busbw of {_title(result)}",
                observed=f"{busbw:.1f} GB/s",
                expected=f"{expected:.1f} GB/s",
                basis=f"{cited(entry)} ({key_words(entry)}){f': {entry.note}' if entry.note else ''}",
            ),
        ),
        next_action="see NCCL_DEBUG=INFO for NVLS, the links of each GPU (nvidia-smi nvlink --status) and the fabric "
        "manager of this host"
        if alone
        else "see NCCL_DEBUG=INFO for the NICs and GPUDirect that it took; with NCCL_ALGO=RING it is NICs that are "
        "measured",
    )


def expected_gigabytes_per_s(entry: Expectation) -> float:
    """Return the busbw of a figure: of a share, what all ports of a host carry together (nccl-tests#290)."""
    if entry.busbw_gigabytes_per_s is not None:
        return entry.busbw_gigabytes_per_s
    return (entry.line_ratio or 0.0) * (entry.link_gbps or 0.0) * (entry.nics or 0) / BITS


def _title(result: GroupResult) -> str:
    carrier = "NCCL" if result.path is Path.NCCL else "MPI"
    return f"{carrier} {result.probe} {size_title(result.size_bytes)} of {MEMORY_WORDS[memory_of(result)]}"
