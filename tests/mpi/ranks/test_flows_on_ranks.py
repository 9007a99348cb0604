"""Flows on MPI ranks: many to one and all to all, the right bytes from each, ended by whoever receives."""

import time

import numpy as np
import pytest

from netprobe.buffers.host import HostBuffer
from netprobe.contracts import FlowLoad
from netprobe.model.plan import LOADED_LATENCY, Plan, Scope, Stage
from netprobe.model.record import RoundFinished
from netprobe.plan.task import Task
from netprobe.session.worker import Session

SIZES = (8, 100_000)  # eager and rendezvous
MS = 1_000_000


def load_of(rank, senders_of, size_bytes, duration_ns):
    """Return this rank's flows, where ``senders_of`` has the senders of each receiver; and its two buffers."""
    receives_from = tuple(senders_of.get(rank, ()))
    send, receive = HostBuffer(size_bytes), HostBuffer(size_bytes * max(len(receives_from), 1))
    send.fill_pattern(seed=3, rank=rank, iteration=0, offset_bytes=0, size_bytes=size_bytes)
    receive.poison()
    load = FlowLoad(
        sends_to=tuple(to for to, senders in senders_of.items() if rank in senders),
        receives_from=receives_from, send=send.address, receive=receive.address, size_bytes=size_bytes, window=3,
        duration_ns=duration_ns,
    )  # fmt: skip
    return load, send, receive


def is_right(load, receive):
    return all(
        receive.verify_pattern(
            seed=3, rank=peer, iteration=0, offset_bytes=index * load.size_bytes, size_bytes=load.size_bytes
        )
        is None
        for index, peer in enumerate(load.receives_from)
    )


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("shape", ["many to one", "all to all"])
def test_every_flow_brings_its_own_bytes_until_its_receiver_stops_it(transport, control, together, size_bytes, shape):
    ranks = range(transport.size)
    receivers = ranks if shape == "all to all" else ranks[:1]
    senders_of = {to: [rank for rank in ranks if rank != to] for to in receivers}

    for _ in range(2):  # a message that was left over would be found by the second
        load, _send, receive = load_of(transport.rank, senders_of, size_bytes, 20 * MS)
        begun_ns = time.monotonic_ns()
        stamps = transport.flows(load)
        together(len(stamps) == len(load.receives_from))
        together(all(len(each) >= 2 and (np.diff(each) >= 0).all() for each in stamps), stamps)
        together(all(each[-1] - begun_ns >= 20 * MS for each in stamps), "stopped early")
        together(is_right(load, receive), "wrong bytes")
        control.barrier()


def test_a_rank_without_flows_returns_at_once(transport, together):
    load, _, _ = load_of(transport.rank, {}, 8, 20 * MS)

    together(transport.flows(load) == ())


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)


def test_latency_is_measured_beside_flows_of_other_ranks(transport, control, together):
    stage = Stage(
        id="loaded", probe=LOADED_LATENCY, scope=Scope.WITHIN_HOST, sizes_bytes=(8,), load_bytes=100_000, window=2,
        matchings=1, series_budget_ns=40 * MS,
    )  # fmt: skip
    sink = Kept() if control.rank == 0 else None
    session = Session(
        transport=transport, control=control, sink=sink, calibration=None, environment=(), pause=lambda _s: None
    )

    session.run(Task(plan=Plan(profile="test", seed=1, stages=(stage,))))

    told = [] if sink is None else [s for each in sink.records if isinstance(each, RoundFinished) for s in each.series]
    kinds = {each.metric.value for each in told}
    missed = [] if sink is None else [g for each in sink.records if isinstance(each, RoundFinished) for g in each.gaps]
    wanted = {"alone_ns", "flow_ns"} if control.rank == 0 and control.size >= 4 else set()
    together(kinds >= wanted and ("loaded_ns" in kinds or bool(missed) or not wanted), (kinds, missed))
    together(not any(each.faults for each in told))
