"""Is a path slow whatever way its packets take, or only on one of several equal ways?

Switches choose among equal links by a hash of addresses and ports (ECMP, RFC 2992). Between the same two ports of NICs
only the UDP source port of RoCE can be varied: what is slow with one every time, and not with another, lies on a link
that not all of them take; what is slow with every one lies where all of them pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.model.evidence import FloatArray, FlowTable

FEWEST_REPEATS: Final = 2  # of each port: once is chance


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowAnswer:
    """What the ports of one direction between two ranks showed."""

    src: int
    dst: int
    bytes_per_iteration: int
    slow_ports: tuple[int, ...]
    """Slow every time, against the best that this pair did with any port."""
    fine_ports: tuple[int, ...]
    """Never slow."""
    slow_ns: float
    """The median of the slowest port; of all, where none stands out."""
    best_ns: float

    @property
    def moves(self) -> bool:
        """Whether the slowness goes with the port."""
        return bool(self.slow_ports and self.fine_ports)


def flow_answers(flows: FlowTable, loss_ratio: float) -> Iterator[FlowAnswer]:
    """Yield an answer for each direction that was measured with several ports, each of them at least twice.

    A port is slow that lacks more than ``loss_ratio`` of the best rate of the pair each time; one that does so only
    sometimes is neither slow nor fine.
    """
    for src, dst in np.unique(np.column_stack([flows.src, flows.dst]), axis=0).tolist():
        own = (flows.src == src) & (flows.dst == dst)
        times = {port: flows.p50_ns[own & (flows.source_port == port)] for port in _ports(flows, own)}
        times = {port: measured for port, measured in times.items() if len(measured) >= FEWEST_REPEATS}
        if len(times) > 1:
            yield _answer(src, dst, int(flows.bytes_per_iteration[own][0]), times, loss_ratio)


def _ports(flows: FlowTable, own: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[int]:
    ports: list[int] = np.unique(flows.source_port[own]).tolist()
    return ports


def _answer(
    src: int, dst: int, bytes_per_iteration: int, times: dict[int, FloatArray], loss_ratio: float
) -> FlowAnswer:
    best_ns = min(float(measured.min()) for measured in times.values())
    bound_ns = best_ns / (1 - loss_ratio)
    return FlowAnswer(
        src=src,
        dst=dst,
        bytes_per_iteration=bytes_per_iteration,
        slow_ports=tuple(port for port, measured in times.items() if measured.min() > bound_ns),
        fine_ports=tuple(port for port, measured in times.items() if measured.max() <= bound_ns),
        slow_ns=max(float(np.median(measured)) for measured in times.values()),
        best_ns=best_ns,
    )
