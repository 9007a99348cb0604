"""Threads as ranks, each with the NCCL transport over the fake."""

import threading

from fake_nccl import FakeWorld

from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld
from netprobe.transports.nccl import NcclTransport


def on_ranks(work, ranks=2, *, world=None, patience_s=20.0):
    """Run ``work(transport, rank)`` on every rank; return what they returned, errors included, by rank."""
    world = FakeWorld() if world is None else world
    shared = LoopbackWorld(ranks)
    results = [None] * ranks

    def main(rank):
        try:
            library = world.opens(rank, {})
            transport = NcclTransport(
                LoopbackTransport(shared, rank),
                LoopbackControl(shared, rank),
                library,
                library.communicator(ranks, library.unique_id(), rank),
                patience_s=patience_s,
            )
            results[rank] = work(transport, rank)
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
