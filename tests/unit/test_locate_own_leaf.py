import numpy as np
import pytest

from netprobe.locate.loss import LossRows, blame_loss
from netprobe.locate.own_leaf import cleared_by_own_leaf

LEAF_OF = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SENT = 1_000_000.0


def rows_of(lost, sent=SENT):
    """Return all directions between eight NICs, on two leaves of four, with what ``lost(src, dst)`` says."""
    pairs = [(src, dst) for src in range(8) for dst in range(8) if src != dst]
    src, dst = (np.array(ends, dtype=np.int64) for ends in zip(*pairs, strict=True))
    missing = np.array([float(lost(a, b)) for a, b in pairs])
    none = np.zeros(len(pairs))
    return LossRows(
        src=src, dst=dst, sent=np.full(len(pairs), sent), retransmitted=missing, lost=missing, timeouts=none,
        out_of_order=none, rounds=none.astype(np.int64), stalled_rounds=none.astype(np.int64), refused=none,
        needed=none,
    )  # fmt: skip


def blamed(rows):
    lossy = rows.lost >= 100
    return {each.host for each in blame_loss(rows, lossy, cleared_by_own_leaf(rows, lossy, LEAF_OF)).hosts}


def crosses(src, dst):
    return LEAF_OF[src] != LEAF_OF[dst]


def test_a_nic_that_loses_across_alone_is_cleared_by_pairs_within_its_leaf():
    rows = rows_of(lambda src, dst: 1000 * (src in {1, 2} and crosses(src, dst)))

    assert blamed(rows) == set()


@pytest.mark.parametrize("sends", [True, False])
def test_a_nic_that_loses_within_its_leaf_as_well_is_to_blame(sends):
    rows = rows_of(lambda src, dst: 1000 * ((src if sends else dst) == 2))

    assert blamed(rows) == {2}


def test_who_is_cleared_as_a_sender_may_still_lose_what_it_should_receive():
    rows = rows_of(lambda src, dst: 1000 * (dst == 1) + 1000 * (src == 1 and crosses(src, dst)))
    lossy = rows.lost >= 100

    as_sender, as_receiver = cleared_by_own_leaf(rows, lossy, LEAF_OF)

    assert (as_sender[1], as_receiver[1]) == (True, False)


@pytest.mark.parametrize(("sent", "is_cleared"), [(12_000.0, True), (8_000.0, False)])
def test_too_few_packets_within_a_leaf_clear_nobody(sent, is_cleared):
    """A loss of 0.03 % lets three partners show ten losses of 34,000 packets or more."""
    rows = rows_of(lambda src, dst: sent * 3e-4 * (src == 1 and crosses(src, dst)), sent=sent)

    assert cleared_by_own_leaf(rows, rows.lost > 0, LEAF_OF)[0][1] == is_cleared


def test_where_leaves_are_not_known_nobody_is_cleared():
    rows = rows_of(lambda src, dst: 1000 * (src == 1 and crosses(src, dst)))

    as_sender, as_receiver = cleared_by_own_leaf(rows, rows.lost > 0, np.full(8, -1))

    assert not as_sender.any()
    assert not as_receiver.any()
