"""Losses of RDMA by direction: what both ends count adds up to one row, and overtaking follows the leaves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.placement import placement_of
from netprobe.locate.rdma_loss import overtaken, rdma_loss
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import PairTable
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Path, Scope
from netprobe.model.ports import PairCounts, PortTable
from netprobe.model.series import Metric

SENT = 100_000.0


def ports_of(hosts, naks, *, nics=("mlx5_0",), arrived=None):
    """Return ports whose hosts met each other once; ``naks[src, dst]`` packets of a direction were asked for again."""
    ports = [(host, nic) for host in range(hosts) for nic in nics]
    rows = [(port, peer) for port, (host, _) in enumerate(ports) for peer in range(hosts) if peer != host]
    own = [ports[port][0] for port, _ in rows]
    grown = {
        Meaning.SEQUENCE_NAK: [naks.get((host, peer), 0.0) for host, (_, peer) in zip(own, rows, strict=True)],
        Meaning.OUT_OF_SEQUENCE: [naks.get((peer, host), 0.0) for host, (_, peer) in zip(own, rows, strict=True)],
        Meaning.ACK_TIMEOUT: [0.0 for _ in rows],
        Meaning.RDMA_SENT_PACKETS: [SENT for _ in rows],
    }
    if arrived is not None:
        grown[Meaning.RDMA_RECEIVED_PACKETS] = [arrived for _ in rows]
    return PortTable(
        host=tuple(f"h{host}" for host, _ in ports),
        name=tuple(nic for _, nic in ports),
        netdev=tuple("eth0" for _ in ports),
        spans={},
        pairs=PairCounts(
            stage=tuple("bandwidth" for _ in rows),
            round_index=np.arange(len(rows)),
            port=np.array([port for port, _ in rows], dtype=np.int64),
            peer=tuple(f"h{peer}" for _, peer in rows),
            is_sender=np.ones(len(rows), dtype=np.bool_),
            grown={meaning: np.array(values) for meaning, values in grown.items()},
        ),
    )


def placed(hosts):
    return placement_of(
        tuple(Rank(rank=host, host=f"h{host}", local_index=0, cpus=(0,), pid=1, interfaces=()) for host in range(hosts))
    )


def late_directions(ports, hosts, *, leaf, damaged=None):
    loss = rdma_loss(ports, (), placed(hosts))
    bad = np.zeros(len(ports.host), dtype=np.bool_) if damaged is None else damaged
    late = overtaken(loss, leaf=np.array(leaf), damaged=bad)
    return {(int(a), int(b)) for a, b in zip(loss.rows.src[late], loss.rows.dst[late], strict=True)}


CROSSING = {(a, b): 50.0 for a in range(4) for b in range(4) if (a < 2) is not (b < 2)}
"""Two leaves of two hosts; holes between the leaves alone."""


def test_a_direction_is_counted_once_though_both_ends_count_it():
    loss = rdma_loss(ports_of(3, {(0, 1): 7.0}), (), placed(3))
    (row,) = np.flatnonzero(loss.rows.lost)

    assert (loss.rows.src[row], loss.rows.dst[row], loss.rows.lost[row]) == (0, 1, 7.0)
    assert loss.rows.out_of_order[row] == 7.0


def test_ports_talk_to_the_port_of_the_same_name():
    loss = rdma_loss(ports_of(2, {}, nics=("mlx5_0", "mlx5_1")), (), placed(2))

    assert sorted(zip(loss.rows.src.tolist(), loss.rows.dst.tolist(), strict=True)) == [(0, 2), (1, 3), (2, 0), (3, 1)]


def test_holes_between_leaves_alone_are_overtaking():
    assert late_directions(ports_of(4, CROSSING), 4, leaf=[0, 0, 1, 1]) == set(CROSSING)


def test_holes_within_a_leaf_as_well_are_loss():
    assert late_directions(ports_of(4, {**CROSSING, (0, 1): 50.0}), 4, leaf=[0, 0, 1, 1]) == set()


def test_holes_of_some_are_loss_when_nobody_knows_the_leaves():
    assert late_directions(ports_of(4, CROSSING), 4, leaf=[-1] * 4) == set()


def test_a_port_that_drops_has_losses_between_leaves_too():
    damaged = np.array([True, False, False, False])

    late = late_directions(ports_of(4, CROSSING), 4, leaf=[0, 0, 1, 1], damaged=damaged)

    assert late == {ends for ends in CROSSING if 0 not in ends}


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_packets_that_are_missing_decide_whatever_the_leaves_say(holes, gone):
    ports = ports_of(4, {(0, 2): float(holes)}, arrived=SENT - gone)

    late = late_directions(ports, 4, leaf=[0, 0, 1, 1])

    assert late == ({(0, 2)} if 2 * gone < holes else set())


def test_a_run_without_rounds_has_no_rows():
    loss = rdma_loss(ports_of(1, {}), (), placed(1))

    assert len(loss.rows.src) == 0


def streams(stage, path, size_bytes):
    nothing = np.full(1, np.nan)
    return PairTable(
        stage=stage, probe="bandwidth", metric=Metric.WINDOW, scope=Scope.BETWEEN_HOSTS, size_bytes=size_bytes,
        bytes_per_iteration=size_bytes, window=1, directed=True, src=np.array([0]), dst=np.array([1]),
        round_index=np.array([0]), samples=np.array([1]), min_ns=nothing, p50_ns=nothing, p99_ns=nothing,
        p999_ns=nothing,
        max_ns=nothing, total_ns=nothing, path=path,
    )  # fmt: skip


def with_rounds_of(ports, *stages):
    """Return ports that counted the same in rounds of several stages."""
    rows, times = ports.pairs, len(stages)
    return replace(
        ports,
        pairs=replace(
            rows,
            stage=tuple(stage for stage in stages for _ in rows.stage),
            round_index=np.tile(rows.round_index, times),
            port=np.tile(rows.port, times),
            peer=rows.peer * times,
            is_sender=np.tile(rows.is_sender, times),
            grown={meaning: np.tile(values, times) for meaning, values in rows.grown.items()},
        ),
    )


WHOLE = int(SENT) * 4096
"""Bytes that all packets of a round can carry."""


@pytest.mark.parametrize(("over_mpi_bytes", "rounds"), [(WHOLE, 2), (100 * WHOLE, 1)])
def test_rounds_of_mpi_count_where_its_traffic_went_over_rdma_and_only_there(over_mpi_bytes, rounds):
    ports = with_rounds_of(ports_of(2, {(0, 1): 7.0}), "bandwidth", "rdma-bandwidth")
    tables = (streams("bandwidth", Path.MPI, over_mpi_bytes), streams("rdma-bandwidth", Path.VERBS, WHOLE))

    loss = rdma_loss(ports, tables, placed(2), verbs={"rdma-bandwidth"})

    assert loss.rows.is_counted.all()
    assert loss.rows.rounds.tolist() == [rounds, rounds]
    assert loss.rows.lost.tolist() == [7.0 * rounds, 0.0]
