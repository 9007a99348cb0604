"""Fan-ins and victims out of rows of flows, and what pairs carry beside."""

import numpy as np
import pytest

from netprobe.locate.loads import fan_ins, victims
from netprobe.model.evidence import LoadFlows
from netprobe.model.plan import Scope


def flows(probe, rows):
    index, src, dst, gbps = (np.array(column) for column in zip(*rows, strict=True))
    return LoadFlows(
        stage=probe, probe=probe, scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20, round_index=index, src=src, dst=dst,
        gbps=gbps.astype(float), p99_ns=np.full(len(rows), np.nan), max_ns=1e9 / gbps,
    )  # fmt: skip


def test_goodput_is_the_sum_and_is_held_against_the_best_of_fewer():
    told = fan_ins(
        flows("incast", [(0, 1, 0, 270), (1, 1, 0, 180), (1, 2, 0, 180), (2, 1, 0, 60), (2, 2, 0, 60), (2, 3, 0, 90)])
    )

    assert told.fan_in.tolist() == [1, 2, 3]
    assert told.goodput_gbps.tolist() == [270, 360, 210]
    assert np.isnan(told.best_gbps[0])
    assert told.best_gbps[1:].tolist() == [270, 360]
    assert told.kept_ratio[2] == pytest.approx(210 / 360)
    assert (told.slowest[2], told.slowest_gbps[2], told.max_ns[2]) == (1, 60, 1e9 / 60)


def test_receivers_of_one_round_are_apart():
    told = fan_ins(
        flows("incast", [(0, 2, 0, 10), (0, 3, 1, 20), (1, 2, 0, 5), (1, 4, 0, 6), (1, 3, 1, 20), (1, 5, 1, 1)])
    )

    assert sorted(zip(told.dst.tolist(), told.fan_in.tolist(), told.goodput_gbps.tolist(), strict=True)) == [
        (0, 1, 10.0), (0, 2, 11.0), (1, 1, 20.0), (1, 2, 21.0),
    ]  # fmt: skip


def victim_rows(before, beside, after, *, turn=0):
    hot = [(3 * turn + 1, 1, 0, 190), (3 * turn + 1, 2, 0, 190)]
    return [(3 * turn, 3, 4, before), (3 * turn + 1, 3, 4, beside), *hot, (3 * turn + 2, 3, 4, after)]


def test_a_victim_is_held_against_the_mean_of_before_and_after():
    told = victims(flows("victim", victim_rows(400, 190, 360)), np.zeros(5, dtype=np.int64))

    assert (told.src.tolist(), told.dst.tolist(), told.hot.tolist(), told.fan_in.tolist()) == ([3], [4], [0], [2])
    assert told.loss_ratio[0] == pytest.approx(0.5)
    assert told.drift_ratio[0] == pytest.approx(0.1)


def test_the_hot_receiver_is_the_one_of_the_same_rail():
    rows = victim_rows(400, 400, 400)

    told = victims(flows("victim", rows), np.array([1, 0, 0, 0, 0]))

    assert told.hot.tolist() == [-1]


def test_a_flow_that_was_not_measured_in_all_three_rounds_is_no_victim():
    rows = [row for row in victim_rows(400, 190, 360) if row[0] != 2]

    assert len(victims(flows("victim", rows), np.zeros(5, dtype=np.int64)).src) == 0
