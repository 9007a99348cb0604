"""The ring all-reduce on MPI ranks: exact whatever its cut, its input left alone, and stamps in the order of events."""

import numpy as np
import pytest

from netprobe.buffers.host import HostBuffer
from netprobe.buffers.rings import PIECE_BYTES, RingCut
from netprobe.contracts import Collective
from netprobe.model.collective import SHAPES
from netprobe.model.plan import DTYPE_BYTES, Plan, Scope, Stage
from netprobe.model.record import RoundFinished
from netprobe.model.series import Metric, Phase
from netprobe.plan.task import Task
from netprobe.session.worker import Session


def ring_of(transport, count, dtype, op):
    """Return a call, with its input written and its output poisoned; and both buffers."""
    send, receive = (HostBuffer(count * DTYPE_BYTES[dtype] + 8) for _ in range(2))
    send.fill_contribution(
        dtype=dtype, op=op, seed=5, rank=transport.rank, iteration=0, ranks=transport.size, count=count
    )
    receive.poison()
    call = Collective(
        shape=SHAPES["traced_ring"], send_address=send.address, receive_address=receive.address, send_count=count,
        receive_count=count, dtype=dtype, op=op, root=0, in_place=False,
    )  # fmt: skip
    return call, send, receive


def is_exact(receive, transport, count, dtype, op):
    found = receive.verify_reduction(dtype=dtype, op=op, seed=5, iteration=0, ranks=transport.size, count=count)
    return found is None


@pytest.mark.parametrize(("dtype", "op"), [("float32", "sum"), ("uint8", "max"), ("bfloat16", "sum")])
def test_a_ring_is_exact_however_its_buffer_is_cut(transport, together, dtype, op):
    if transport.size == 1:
        return
    piece = PIECE_BYTES // DTYPE_BYTES[dtype]
    for count in (1, 7, 1000, 2 * transport.size * piece - 5):
        call, send, receive = ring_of(transport, count, dtype, op)
        before = send.array.copy()

        transport.collective(call, iterations=3)
        together(is_exact(receive, transport, count, dtype, op), f"{count} of {dtype} by {op}")
        receive.poison()
        transport.traced_ring(call, iterations=2)
        together(is_exact(receive, transport, count, dtype, op), f"{count} of {dtype} by {op}, traced")
        together(np.array_equal(send.array, before), "the input was written to")


def test_every_message_of_a_ring_is_stamped_in_the_order_of_events(transport, together):
    if transport.size == 1:
        return
    count = 3 * transport.size * PIECE_BYTES // 4
    call, send, receive = ring_of(transport, count, "float32", "sum")

    trace = transport.traced_ring(call, iterations=3)

    cut = RingCut(count=count, ranks=transport.size, dtype="float32")
    together(trace.sent.shape == trace.ready.shape == trace.done.shape == (3, cut.messages))
    together((trace.done >= trace.ready).all())
    together((np.diff(trace.done, axis=1) >= 0).all() and (np.diff(trace.sent, axis=1) >= 0).all())
    together((trace.ready[:, 1:] >= trace.done[:, :-1]).all(), "a rank waited for two messages at once")
    forwarded = trace.sent[:, cut.pieces :]
    together((forwarded >= trace.done[:, : forwarded.shape[1]]).all(), "a piece went on before it had come")
    together((trace.sent[:, 0] >= trace.entries).all() and (trace.exits >= trace.done[:, -1]).all())
    together(
        send.address == call.send_address and receive.address == call.receive_address, "both were there to the end"
    )


class Records:
    def __init__(self):
        self.series = []

    def emit(self, record):
        if isinstance(record, RoundFinished):
            self.series.extend(record.series)


def test_each_rank_tells_of_the_hop_that_leads_to_it(transport, control, together):
    stage = Stage(
        id="traced_ring", probe="traced_ring", scope=Scope.WORLD, sizes_bytes=(1000, 4 << 20), dtype="float32",
        iterations=4, warmup_iterations=1,
    )  # fmt: skip
    records = Records()
    session = Session(
        transport=transport, control=control, sink=records if control.rank == 0 else None, calibration=None,
        environment=(),
    )  # fmt: skip

    session.run(Task(plan=Plan(profile="test", seed=11, stages=(stage,))))

    told = control.broadcast(records)
    hops = [each for each in told.series if each.metric is Metric.TRANSFER]
    ring = {(rank, (rank + 1) % control.size) for rank in range(control.size)} if control.size > 1 else set()
    for size_bytes in stage.sizes_bytes:
        together({(each.src, each.dst) for each in hops if each.size_bytes == size_bytes} == ring)
    together(not any(each.faults for each in told.series))
    whole = {
        each.size_bytes: each for each in told.series if each.metric is Metric.OPERATION and each.phase is Phase.TIMED
    }
    together(all(whole[each.size_bytes].checked_iterations for each in hops))
