"""A host that loses alike with everybody is not cleared by partners with whom it happens to lose too little to tell."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.faint_loss import faint_rows
from netprobe.locate.loss import LossRows, blame_loss, is_lossy

HOSTS = 4
PAIRS = [(a, b) for a in range(HOSTS) for b in range(HOSTS) if a != b]


def rows_of(lost, sent=600.0):
    """Return all pairs of four hosts; ``lost`` packets of 600 by direction."""
    src, dst = np.array(PAIRS, dtype=np.int64).T
    gone = np.array([lost.get(pair, 0) for pair in PAIRS], dtype=float)
    nothing = np.zeros(len(PAIRS))
    return LossRows(
        src=src,
        dst=dst,
        sent=np.full(len(PAIRS), sent),
        retransmitted=gone,
        lost=gone,
        timeouts=nothing,
        out_of_order=nothing,
        rounds=np.ones(len(PAIRS), dtype=np.int64),
        stalled_rounds=np.zeros(len(PAIRS), dtype=np.int64),
        refused=nothing,
        needed=nothing,
    )


def blamed(rows):
    blame = blame_loss(rows, is_lossy(rows, smallest_ratio=1e-4, fewest=3))
    return [(each.host, each.sends) for each in blame.hosts], [PAIRS[row] for row in blame.paths]


@pytest.mark.parametrize(
    ("lost", "hosts", "paths"),
    [
        ({(2, 0): 4, (2, 1): 2, (2, 3): 1}, [(2, True)], []),
        ({(0, 2): 4, (1, 2): 2, (3, 2): 1}, [(2, False)], []),
        ({(2, 0): 11, (2, 1): 2, (2, 3): 2}, [(2, True)], []),
        ({(2, 0): 11, (2, 1): 2, (2, 3): 2, (0, 1): 2, (1, 3): 2, (3, 0): 2, (0, 3): 2}, [], [(2, 0)]),
        ({(2, 0): 4}, [], [(2, 0)]),
        ({(2, 0): 40, (2, 1): 1}, [], [(2, 0)]),
        ({(2, 0): 4, (1, 3): 1}, [], [(2, 0)]),
        ({(2, 0): 2, (2, 1): 2, (2, 3): 2}, [], []),
    ],
    ids=[
        "a sender",
        "a receiver",
        "unevenly",
        "everybody some",
        "one path",
        "a path and a hiccup",
        "somebody else's hiccup",
        "hiccups alone",
    ],
)
def test_few_lost_packets_name_a_host_where_it_loses_alike_with_all_partners(lost, hosts, paths):
    assert blamed(rows_of(lost)) == (hosts, paths)


def test_a_direction_that_nobody_counted_is_not_faint():
    rows = rows_of({(2, 0): 4, (2, 1): 2, (2, 3): 1})
    uncounted = replace(rows, sent=np.where((rows.src == 2) & (rows.dst != 0), np.nan, rows.sent))

    assert blamed(uncounted) == ([], [(2, 0)])


@given(seed=st.integers(0, 10_000), host=st.integers(0, HOSTS - 1), sends=st.booleans())
def test_one_percent_of_few_hundred_packets_never_blames_a_host_that_loses_nothing(seed, host, sends):
    dice = np.random.default_rng(seed)
    lost = {pair: int(dice.poisson(5.0)) for pair in PAIRS if pair[0 if sends else 1] == host}

    hosts, _ = blamed(rows_of(lost))

    assert set(hosts) <= {(host, sends)}


def test_one_percent_of_few_hundred_packets_names_the_host_nearly_always():
    named = 0
    for seed in range(200):
        dice = np.random.default_rng(seed)
        named += blamed(rows_of({pair: int(dice.poisson(5.0)) for pair in PAIRS if pair[0] == 2}))[0] == [(2, True)]

    assert named >= 190


def test_where_nothing_is_lossy_nothing_is_faint():
    rows = rows_of({(2, 0): 2})

    assert not faint_rows(rows.src, rows.dst, rows.sent, rows.lost, counted=rows.is_counted, lossy=rows.lost > 9).any()
