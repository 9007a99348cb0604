"""What NCCL said of itself, as reports show it: hosts that are alike together."""

from collections.abc import Iterable, Sequence

from netprobe.model.nccl import NcclChoice, NcclFacts
from netprobe.model.report import NcclSummary

PREFIX = "NCCL_"
OWN_MEETING_BYTES = 1
"""Before each batch the transport meets by a reduction of one byte, which nobody wants to know of."""


def nccl_summaries(facts: Sequence[NcclFacts], environment: Iterable[tuple[str, str]]) -> tuple[NcclSummary, ...]:
    """Return one row for each version, network and use of GPUDirect; what was chosen is known of some ranks alone.

    ``environment``: of the run, of which NCCL's variables are kept: what forced a choice is among them.
    """
    alike: dict[tuple[str | None, str | None, bool | None], list[NcclFacts]] = {}
    for each in facts:
        alike.setdefault((each.version, each.network, _by_gpu_direct(each)), []).append(each)
    own = {name: value for name, value in environment if name.startswith(PREFIX)}
    return tuple(
        NcclSummary(
            hosts=tuple(dict.fromkeys(each.host for each in group)),
            ranks=len(group),
            version=version,
            network=network,
            is_gpu_direct=is_gpu_direct,
            choices=_choices(group),
            settings=tuple(sorted({**dict(pair for each in group for pair in each.settings), **own}.items())),
        )
        for (version, network, is_gpu_direct), group in alike.items()
    )


def _by_gpu_direct(facts: NcclFacts) -> bool | None:
    """Return whether a NIC reaches the GPU by itself on all ways to other hosts; None where no way is known."""
    ways = facts.network_ways
    return all(each.is_gpu_direct for each in ways) if ways else None


def _choices(group: Iterable[NcclFacts]) -> tuple[NcclChoice, ...]:
    told = dict.fromkeys(choice for each in group for choice in each.choices if choice.size_bytes > OWN_MEETING_BYTES)
    return tuple(sorted(told, key=lambda each: (each.operation or "", each.size_bytes)))
