"""What NCCL took, in a line for each kind of host: version, network, algorithms by size, what was forced."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from netprobe.model.nccl import SOCKETS, NcclChoice
from netprobe.model.report import NcclSummary
from netprobe.reporters._wording import counted, fold, message_size, visible

FORCING: Final = ("NCCL_ALGO", "NCCL_PROTO")
"""Variables that choose for NCCL."""


def nccl_lines(rows: Iterable[NcclSummary]) -> tuple[str, ...]:
    """Return ``NCCL 2.21.5 on n[0-1]: IB, GPUDirect · AllReduce RING LL 8 B to 4K · forced: NCCL_ALGO=RING``."""
    return tuple(_line(row) for row in rows)


def _line(row: NcclSummary) -> str:
    version = "NCCL" if row.version is None else f"NCCL {visible(row.version)}"
    forced = [f"{name}={visible(value)}" for name, value in row.settings if name in FORCING]
    parts = (
        _network(row),
        *_algorithms(row.choices),
        f"forced: {', '.join(forced)}" if forced else "",
    )
    return f"{version} on {fold(row.hosts)} ({counted(row.ranks, 'rank')}): " + " · ".join(filter(None, parts))


def _network(row: NcclSummary) -> str:
    network = "network not told" if row.network is None else visible(row.network)
    if row.is_gpu_direct is None or row.network == SOCKETS:
        return network
    return f"{network}, {'GPUDirect' if row.is_gpu_direct else 'not all by GPUDirect'}"


def _algorithms(choices: Sequence[NcclChoice]) -> list[str]:
    """Return ``AllReduce TREE LL 8 B to 64K``; sizes that follow on each other with the same choice are one span."""
    if not choices:
        return ["algorithms not told"]
    spans = []
    for (operation, algorithm, protocol), same in groupby(
        choices, key=lambda each: (each.operation, each.algorithm, each.protocol)
    ):
        sizes = [each.size_bytes for each in same]
        first, last = message_size(sizes[0]), message_size(sizes[-1])
        span = first if first == last else f"{first} to {last}"
        spans.append(" ".join(visible(word) for word in (operation, algorithm, protocol) if word) + f" {span}")
    return spans
