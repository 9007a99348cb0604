"""What a hop of a ring is charged: on rings whose every hop and rank we know."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netprobe.stats.hops import hop_ns

NS = st.floats(1.0, 1e6)


def ring_stamps(transfer_ns, reduce_ns, entry_ns, pieces):
    """Return (sent, ready, done) of each rank's messages, shape (ranks, messages), as kernels/host/ring.c stamps them.

    Hop i leads from rank i - 1 to rank i, and carries one message after the other, each in ``transfer_ns[i]``; rank i
    begins at ``entry_ns[i]`` and is busy with each message for ``reduce_ns[i]`` before it takes the next.
    """
    ranks = len(transfer_ns)
    messages = 2 * (ranks - 1) * pieces
    sent, ready, done = (np.zeros((ranks, messages)) for _ in range(3))
    sent[:, :pieces] = np.array(entry_ns)[:, None]
    free_at, carried = np.array(entry_ns, dtype=float), np.zeros(ranks)
    for message in range(messages):
        for rank in range(ranks):
            carried[rank] = max(carried[rank], sent[rank - 1, message]) + transfer_ns[rank]
        for rank in range(ranks):
            ready[rank, message] = free_at[rank]
            done[rank, message] = max(free_at[rank], carried[rank])
            free_at[rank] = done[rank, message] + reduce_ns[rank]
            if message + pieces < messages:
                sent[rank, message + pieces] = free_at[rank]
    return sent, ready, done


def charged(transfer_ns, reduce_ns, entry_ns, pieces):
    sent, ready, done = ring_stamps(transfer_ns, reduce_ns, entry_ns, pieces)
    return hop_ns(np.roll(sent, 1, axis=0), ready, done)


@st.composite
def rings(draw):
    ranks = draw(st.integers(2, 7))
    each = st.lists(NS, min_size=ranks, max_size=ranks)
    return draw(each), draw(each), draw(each), draw(st.integers(1, 5))


@given(rings())
def test_no_hop_is_charged_more_than_it_takes_however_late_or_slow_the_others_are(ring):
    transfer_ns = np.array(ring[0])

    assert (charged(*ring) <= transfer_ns[:, None] * (1 + 1e-9) + 1e-3).all()


@given(st.integers(3, 7), st.data(), st.integers(2, 6))
def test_the_slowest_hop_is_charged_most_and_its_victims_what_they_take(ranks, data, pieces):
    slow = data.draw(st.integers(0, ranks - 1))
    transfer_ns = [1000.0] * ranks
    transfer_ns[slow] = data.draw(st.floats(2000.0, 50_000.0))

    per_hop = charged(transfer_ns, [100.0] * ranks, [0.0] * ranks, pieces).sum(axis=1)

    assert int(np.argmax(per_hop)) == slow
    messages = 2 * (ranks - 1) * pieces
    others = np.delete(per_hop, slow)
    assert (others <= 1000.0 * messages * (1 + 1e-9)).all()
    assert per_hop[slow] >= (transfer_ns[slow] - 100.0) * messages * 0.99


def test_a_rank_that_comes_late_is_charged_to_no_hop():
    on_time = charged([1000.0] * 4, [100.0] * 4, [0.0] * 4, 3)

    late = charged([1000.0] * 4, [100.0] * 4, [0.0, 0.0, 1e6, 0.0], 3)

    assert late.max() <= on_time.max()


def test_a_rank_that_reduces_slowly_is_charged_to_no_hop():
    assert charged([1000.0] * 4, [100.0, 100.0, 50_000.0, 100.0], [0.0] * 4, 3).max() <= 1000.0 + 1e-6


def test_clocks_that_disagree_make_no_negative_time():
    assert hop_ns(np.array([50.0]), np.array([10.0]), np.array([20.0])).tolist() == [0.0]
