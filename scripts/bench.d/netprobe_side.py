"""netprobe's side of scripts/bench, on each rank: OPERATION SIZE:ITERATIONS..., prints sizes and ns on rank 0.

``pingpong``, ``stream``, ``allreduce``, ``ring`` and ``bursts`` print the median iteration, as the C programs do.
``netpipe`` prints what NetPIPE does: half a round trip of one buffer that is sent and received into, the best of seven
means.
"""

import sys
import time

import numpy as np

from netprobe.buffers.host import HostBuffer
from netprobe.contracts import Collective, Stamps, StepPace
from netprobe.model.collective import SHAPES
from netprobe.transports.mpi import MpiTransport, open_mpi

WINDOW = 64
NETPIPE_TRIALS = 7
STEP_WORK = 1 << 18  # as in bursts.c
COLLECTIVES = {"allreduce": "allreduce", "ring": "traced_ring"}


def series(transport: MpiTransport, operation: str, send: HostBuffer, receive: HostBuffer, iterations: int) -> Stamps:
    """Run the operation once over these buffers; both ranks call."""
    leads, peer, size_bytes = transport.rank == 0, 1 - transport.rank, send.size_bytes
    if operation == "stream":
        address = send.address if leads else receive.address
        return transport.stream(
            sends=leads, peer=peer, address=address, size_bytes=size_bytes, window=WINDOW, iterations=iterations
        )
    if operation in COLLECTIVES:
        return transport.collective(_sum_of_floats(COLLECTIVES[operation], send, receive), iterations=iterations)
    if operation == "bursts":
        return _bursts(transport, _sum_of_floats("allreduce", send, receive), iterations)
    return transport.pingpong(
        initiates=leads,
        peer=peer,
        send=send.address,
        receive=receive.address,
        size_bytes=size_bytes,
        iterations=iterations,
    )


def _bursts(transport: MpiTransport, call: Collective, iterations: int) -> Stamps:
    """Return what steps took, from one end to the next, as stamps."""
    pace = StepPace(start_ns=time.monotonic_ns(), period_ns=0, work=STEP_WORK, work_limit_ns=10**10, buckets=1)
    steps = transport.bursts(call, pace, steps=iterations)
    return np.concatenate([steps.began[:1], steps.left])


def figure(operation: str, stamps: Stamps) -> float:
    """Return what the other side prints of its own iterations, in ns."""
    elapsed_ns = np.diff(stamps)
    if operation != "netpipe":
        return float(np.median(elapsed_ns))
    trials = elapsed_ns.reshape(NETPIPE_TRIALS, -1)
    return float(trials.mean(axis=1).min() / 2)


def _sum_of_floats(shape: str, send: HostBuffer, receive: HostBuffer) -> Collective:
    count = send.size_bytes // 4
    return Collective(
        shape=SHAPES[shape],
        send_address=send.address,
        receive_address=receive.address,
        send_count=count,
        receive_count=count,
        dtype="float32",
        op="sum",
        root=0,
        in_place=False,
    )


def _measure(transport: MpiTransport, operation: str, size_bytes: int, iterations: int) -> float:
    send = HostBuffer(size_bytes)
    receive = send if operation == "netpipe" else HostBuffer(size_bytes)
    send.array.fill(1)
    receive.array.fill(1)  # as the C programs do: sums of ones, not of what a poisoned buffer holds
    series(transport, operation, send, receive, 1 + iterations // 10)
    return figure(operation, series(transport, operation, send, receive, iterations))


def main(operation: str, *steps: str) -> None:
    """Measure each SIZE:ITERATIONS."""
    mpi = open_mpi()
    transport = MpiTransport(mpi, mpi.COMM_WORLD.Dup())
    for step in steps:
        size_bytes, iterations = map(int, step.split(":"))
        elapsed_ns = _measure(transport, operation, size_bytes, iterations)
        if transport.rank == 0:
            print(size_bytes, elapsed_ns, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
