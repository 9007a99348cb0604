"""Sizes and factors of the collectives, as nccl-tests defines them, so that figures agree to the digit.

n ranks, ``size`` in bytes as printed in the first column:

=================  ============================  ==============
operation          size                          busbw / algbw
=================  ============================  ==============
all-reduce, ring   one rank's buffer             2 (n-1) / n
reduce-scatter     one rank's whole input        (n-1) / n
all-gather         one rank's whole output       (n-1) / n
all-to-all         one rank's whole input        (n-1) / n
broadcast, reduce  the buffer                    1
send/recv ring     one message                   1
=================  ============================  ==============

algbw is size / time. Source: doc/PERFORMANCE.md and the per-operation sources of NVIDIA nccl-tests 2.19.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveShape:
    """How a size in bytes becomes buffers, for n ranks."""

    id: str
    nccl_name: str
    """What nccl-tests calls the test, printed in its last line."""
    reduces: bool
    rooted: bool
    has_in_place: bool
    chunked: bool
    """The size is split into n equal chunks, one for each rank; it is rounded down to a multiple of n."""
    busbw_factor: Callable[[int], float]
    """busbw = algbw * factor(n)."""


def _share_of_others(ranks: int) -> float:
    return (ranks - 1) / ranks


def _twice_the_share(ranks: int) -> float:
    return 2 * (ranks - 1) / ranks


def _one(_ranks: int) -> float:
    return 1.0


def _shape(id: str, nccl_name: str, factor: Callable[[int], float], **traits: bool) -> CollectiveShape:
    defaults = {"reduces": False, "rooted": False, "has_in_place": True, "chunked": False}
    return CollectiveShape(id=id, nccl_name=nccl_name, busbw_factor=factor, **{**defaults, **traits})


TRACED_RING = "traced_ring"
"""An all-reduce of netprobe's own, made of messages between neighbours; no library offers it as one call."""

SHAPES: dict[str, CollectiveShape] = {
    shape.id: shape
    for shape in (
        _shape("allreduce", "all_reduce_perf", _twice_the_share, reduces=True),
        _shape("allgather", "all_gather_perf", _share_of_others, chunked=True),
        _shape("reducescatter", "reduce_scatter_perf", _share_of_others, reduces=True, chunked=True),
        _shape("alltoall", "alltoall_perf", _share_of_others, chunked=True),
        _shape("broadcast", "broadcast_perf", _one, rooted=True, has_in_place=False),  # MPI_Bcast has one buffer
        _shape("reduce", "reduce_perf", _one, reduces=True, rooted=True),
        _shape("sendrecv", "sendrecv_perf", _one, has_in_place=False),
        _shape("barrier", "barrier_perf", _one, has_in_place=False),
        _shape(TRACED_RING, "traced_ring_perf", _twice_the_share, reduces=True, has_in_place=False),
    )
}

CALLS: tuple[str, ...] = tuple(id for id in SHAPES if id != TRACED_RING)
"""What libraries offer as one call each."""
