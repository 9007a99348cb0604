"""Which pairs cannot go on over RDMA, and what their ends see of it."""

from typing import Final

from netprobe.model.plan import REACH, Stage
from netprobe.model.rdma import Breakdown, FailurePhase
from netprobe.sim.condition import Condition
from netprobe.sim.loss import PACKET_BYTES

NO_ANSWER: Final = "RETRY_EXC_ERR"
VENDOR_ERROR: Final = 0x81  # of mlx5, beside RETRY_EXC_ERR


def refusal_of(condition: Condition, stage: Stage, src: int, dst: int) -> tuple[int | None, Breakdown] | None:
    """Return the size at which a pair breaks and how; None for one that works."""
    for rank in (src, dst):
        if rank in condition.refuses:
            call = "ibv_reg_mr" if "memory" in condition.refuses[rank] else "ibv_create_qp"
            return None, Breakdown(rank=rank, phase=FailurePhase.SET_UP, call=call, error=condition.refuses[rank])
    if _is_cut(condition, src, dst) or condition.misaddressed[src] or condition.misaddressed[dst]:
        return stage.sizes_bytes[0], _no_answer(src, FailurePhase.FIRST_MESSAGE, 0)
    largest = min(condition.path_mtu[src], condition.path_mtu[dst])
    too_large = [size for size in stage.sizes_bytes if min(size, PACKET_BYTES) > largest]
    if too_large and stage.probe != REACH:
        passed = 1_000 * (len(stage.sizes_bytes) - len(too_large))
        phase = FailurePhase.LATER if passed else FailurePhase.FIRST_MESSAGE
        return too_large[0], _no_answer(src, phase, passed)
    return None


def _is_cut(condition: Condition, src: int, dst: int) -> bool:
    return any((src in one and dst in other) or (dst in one and src in other) for one, other in condition.cut)


def _no_answer(rank: int, phase: FailurePhase, passed: int) -> Breakdown:
    return Breakdown(
        rank=rank, phase=phase, call="ibv_poll_cq", status=NO_ANSWER, vendor_error=VENDOR_ERROR, after_messages=passed
    )
