"""Ports that go away and come back while somebody watches their counters."""

from itertools import pairwise

import pytest

from netprobe.cli.unwatched import Watched, places_of, untold, watched
from netprobe.cli.watching import Watching, rows_between
from netprobe.model.snapshot import Reading
from netprobe.units import NS_PER_S

ALL = Watching(interval_s=1.0, per_second=False, shows_all=True)
GROWN = Watching(interval_s=1.0, per_second=False, shows_all=False)


def reading(second, **ports):
    """Return what ports counted: each (link_downed, out_of_sequence)."""
    values = {}
    for device, counts in ports.items():
        for name, value in zip(("link_downed", "out_of_sequence"), counts, strict=True):
            values[f"rdma/{device}/1/{name}"] = value
    return Reading(at_ns=second * NS_PER_S, values=values)


def lines_of(*readings):
    """Return the lines that stand with each reading but the first."""
    now, told = Watched(seen=places_of(readings[0])), []
    for before, after in pairwise(readings):
        now = watched(now, before, after)
        told.append(list(untold(now, before, after)))
    return told


def test_a_port_that_is_gone_is_told_with_how_long_until_it_is_back_which_is_told_too():
    with_both, without = {"mlx5_0": (1, 1), "mlx5_1": (1, 1)}, {"mlx5_0": (1, 1)}

    told = lines_of(reading(0, **with_both), reading(1, **without), reading(5, **without), reading(9, **with_both))

    assert [[line.partition(":")[0] for line in lines] for lines in told] == [["gone"], ["gone"], ["back"]]
    assert told[0][0].startswith("gone: mlx5_1: no counters")
    assert told[1][0].startswith("gone: mlx5_1 (4.00 s ago): no counters")
    assert told[2][0].startswith("back: mlx5_1, 8.00 s after it was missed")


def test_that_a_port_came_back_stays_on_the_screen_for_a_while_and_no_longer():
    there, away = {"mlx5_0": (1, 1)}, {}

    told = lines_of(reading(0, **there), reading(1, **away), reading(2, **there), reading(30, **there),
                    reading(90, **there))  # fmt: skip

    assert [bool(lines) for lines in told] == [True, True, True, False]


def test_a_port_that_went_again_is_gone_and_not_back():
    there, away = {"mlx5_0": (1, 1)}, {}

    *_, last = lines_of(reading(0, **there), reading(1, **away), reading(2, **there), reading(3, **away))

    assert [line.partition(":")[0] for line in last] == ["gone"]


@pytest.mark.parametrize("watching", [ALL, GROWN])
def test_a_port_that_was_away_between_two_readings_and_began_anew_shows_no_growth(watching):
    # link_downed went from 3 to 1; out_of_sequence rose to 9 from 0, not from 5.
    before, after = reading(0, mlx5_0=(3, 5), mlx5_1=(0, 5)), reading(1, mlx5_0=(1, 9), mlx5_1=(0, 9))

    rows = rows_between(before, after, watching)
    [lines] = lines_of(before, after)

    assert {row.port for row in rows} == {"mlx5_1"}
    assert [line.partition(", so")[0] for line in lines] == ["restarted: mlx5_0: its counters went back"]


def test_a_port_that_comes_back_with_less_shows_growth_from_its_return_on():
    readings = [reading(0, mlx5_0=(3, 50)), reading(1), reading(2, mlx5_0=(0, 1)), reading(3, mlx5_0=(0, 4))]

    shown = [[(row.name, row.growth) for row in rows_between(*each, GROWN)] for each in pairwise(readings)]

    assert shown == [[], [], [("out_of_sequence", 3)]]


def test_a_level_that_sinks_is_no_restart():
    values = {"rdma/mana_0/1/current_rate": 50, "rdma/mana_0/1/out_of_sequence": 1}
    before = Reading(at_ns=0, values=values)
    after = Reading(at_ns=1, values={"rdma/mana_0/1/current_rate": 40, "rdma/mana_0/1/out_of_sequence": 2})

    assert [row.growth for row in rows_between(before, after, GROWN)] == [1]
