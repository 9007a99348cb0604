"""How a ring cuts a buffer: every element reaches every rank, reduced, whatever the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.buffers import rings
from netprobe.buffers.rings import PIECE_BYTES, RingCut

COUNTS = st.one_of(st.integers(0, 40), st.integers(PIECE_BYTES - 3, 5 * PIECE_BYTES))
CUTS = st.builds(RingCut, count=COUNTS, ranks=st.integers(2, 9), dtype=st.sampled_from(["uint8", "bfloat16", "int32"]))


@given(CUTS)
def test_the_chunks_are_the_whole_buffer_without_gaps(cut):
    end = 0
    for chunk in range(cut.ranks):
        start, length = cut.span(chunk)
        assert start == end
        end += length

    assert end == cut.count


@given(CUTS)
def test_a_chunk_is_its_pieces_one_after_the_other(cut):
    for rank in range(cut.ranks):
        start, length = cut.span(rank)
        sent = [cut.piece(rank, message) for message in range(cut.pieces)]
        assert sum(count for _, count in sent) == length
        assert all(count <= cut.piece_count for _, count in sent)
        for first, count in sent:
            assert first == start or count == 0 or first > start
            start = start if count == 0 else first


@given(CUTS)
def test_a_hop_carries_as_many_bytes_as_its_messages_have(cut):
    for rank in range(cut.ranks):
        before = (rank - 1) % cut.ranks
        elements = sum(cut.piece(before, message)[1] for message in range(cut.messages))
        assert cut.hop_bytes(rank) == elements * rings.DTYPE_BYTES[cut.dtype]


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_what_a_rank_sends_in_a_step_is_what_it_received_in_the_step_before(ranks):
    cut = RingCut(count=10_000_000, ranks=ranks, dtype="float32")

    for rank in range(ranks):
        for message in range(cut.messages - cut.pieces):
            assert cut.piece((rank - 1) % ranks, message) == cut.piece(rank, message + cut.pieces)
