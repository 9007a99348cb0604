"""Pairs that are slow though both ends are fast, measured again with other UDP source ports of RoCE.

Equal links are chosen by a hash of addresses and ports: another port is another way, if there are several. Each port
has its own stage, and its rounds come twice, apart in time. Does not handle: MPI, whose connections stay what they are
while its ranks live; InfiniBand, where the way follows from the address of the destination.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netprobe.model.plan import Path, Stage

FLOWS: Final = "flows-"
"""What the ids of these stages begin with; ``rdma-bandwidth`` and the port follow."""
PORTS: Final = (50_021, 53_187, 57_402, 61_668)
"""Any four of the 16,384 that RoCE v2 uses: of two equal links all four take the same one with probability 1/8."""
REPEATS: Final = 2

Rounds = tuple[tuple[tuple[int, int], ...], ...]


def flow_stages(planned: Stage, rounds: Rounds) -> tuple[Stage, ...]:
    """Return the stages that measure the rounds of pairs with each port, as planned, at the largest size.

    None where it was asked for a source port: that is the way somebody wants to be measured.
    """
    rdma = planned.rdma
    if planned.path is not Path.VERBS or rdma is None or rdma.source_port is not None or not rounds:
        return ()
    return tuple(
        replace(
            planned,
            id=f"{FLOWS}rdma-{planned.probe}-{port}",
            sizes_bytes=(max(planned.sizes_bytes),),
            rounds=rounds * REPEATS,
            rdma=replace(rdma, source_port=port),
        )
        for port in PORTS
    )


def can_vary_ports(link_layers: Sequence[str | None]) -> bool:
    """Return whether the ports of all ranks are of RoCE."""
    return bool(link_layers) and set(link_layers) == {"Ethernet"}
