"""Counters that stand at their largest value count nothing any more: said where somebody looks, and never 0."""

import io
from contextlib import redirect_stdout

import pytest
from test_session_host import on_ranks, rank

from netprobe.cli.unwatched import places_of, untold
from netprobe.cli.watching import Watching, watch_counters
from netprobe.model.snapshot import Reading
from netprobe.session.saturation import saturated_gaps
from netprobe.system.here import recorded_system

FULL, ALMOST = 255, 254
NOW = Watching(interval_s=0.0, per_second=False, shows_all=False)


def host(root, device="mlx5_0", link_downed=0):
    folder = root / "sys/class/infiniband" / device / "ports/1/counters"
    folder.mkdir(parents=True)
    (folder / "link_downed").write_text(f"{link_downed}\n")
    return recorded_system(root)


def reading(**values):
    return Reading(at_ns=0, values={f"rdma/{device}/1/link_downed": value for device, value in values.items()})


@pytest.mark.parametrize(("value", "topics"), [(FULL, ["counters"]), (ALMOST, [])])
def test_a_counter_that_is_full_when_ranks_meet_leaves_a_gap_and_one_below_it_does_not(tmp_path, value, topics):
    system, ranks = host(tmp_path, link_downed=value), (rank(0, "a"), rank(1, "a"), rank(2, "b"))

    gaps = on_ranks(3, lambda control: saturated_gaps(control, ranks, system))[0]

    assert [gap.topic for gap in gaps] == topics
    assert all("mlx5_0 link_downed of [a-b]" in gap.reason or "mlx5_0 link_downed of a,b" in gap.reason for gap in gaps)


@pytest.mark.parametrize(("before", "after", "is_told"), [(FULL, FULL, True), (ALMOST, FULL, False), (0, 0, False)])
def test_growth_beyond_the_largest_value_is_told_as_not_known(before, after, is_told):
    lines = tuple(untold(["mlx5_0"], reading(mlx5_0=before), reading(mlx5_0=after)))

    assert ["saturated: mlx5_0 link_downed: at the largest value" in line for line in lines] == [True] * is_told


def test_a_port_that_was_there_and_is_gone_is_told_until_it_is_back():
    both, one = reading(mlx5_0=1, mlx5_1=1), reading(mlx5_0=1)
    seen = places_of(both)

    assert [line.partition(": no")[0] for line in untold(seen, one, one)] == ["gone: mlx5_1"]
    assert list(untold(seen, one, both)) == []


def test_watching_a_full_counter_shows_no_growth_of_0_and_is_no_clean_result(tmp_path):
    told = io.StringIO()

    with redirect_stdout(told):
        code = watch_counters(host(tmp_path, link_downed=FULL), NOW, goes_on=False)

    assert code == 3
    assert "saturated: mlx5_0 link_downed" in told.getvalue()
