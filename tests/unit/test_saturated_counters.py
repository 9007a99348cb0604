"""Counters that stand at their largest value count nothing any more: said where somebody looks, and never 0."""

import io
import json
from contextlib import redirect_stdout

import pytest
from test_session_host import on_ranks, rank

from netprobe.catalogue.keys import CounterKey, Origin
from netprobe.catalogue.resetting import OTHERWISE, reset_remedy
from netprobe.cli.app import main
from netprobe.cli.unwatched import Watched, untold
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
    lines = tuple(untold(Watched(seen=frozenset()), reading(mlx5_0=before), reading(mlx5_0=after)))

    assert ["saturated: mlx5_0 link_downed: at the largest value" in line for line in lines] == [True] * is_told


def test_watching_a_full_counter_shows_no_growth_of_0_and_is_no_clean_result(tmp_path):
    told = io.StringIO()

    with redirect_stdout(told):
        code = watch_counters(host(tmp_path, link_downed=FULL), NOW, goes_on=False)

    assert code == 3
    assert "saturated: mlx5_0 link_downed" in told.getvalue()


def port_text(**values):
    return "".join(f"/sys/class/infiniband/mlx5_1/ports/1/counters/{name}:{value}\n" for name, value in values.items())


def ingested(tmp_path, capsys, *texts):
    """Return the exit code and the JSON of readings of one host, a minute apart."""
    names = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
        names.append(f"n1={tmp_path / f'{number}.txt'}")
    code = main(["ingest", *names, "--elapsed", "60s", "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("local_link_integrity_errors", 15),
        ("excessive_buffer_overrun_errors", 15),
        ("link_downed", 255),
        ("link_error_recovery", 255),
        ("symbol_error", 65_535),
        ("port_rcv_errors", 65_535),
        ("port_xmit_discards", 65_535),
        ("port_xmit_wait", 2**32 - 1),
    ],
)
@pytest.mark.parametrize("below", [0, 1])
def test_a_counter_that_stood_full_between_two_readings_is_named_with_its_port_and_its_reset(
    tmp_path, capsys, name, largest, below
):
    text = port_text(**{name: largest - below})

    _, told = ingested(tmp_path, capsys, text, text)

    full = [gap for gap in told["gaps"] if "saturated:" in gap["reason"]]
    assert [gap["reason"].partition(": at the")[0] for gap in full] == [f"n1 mlx5_1: saturated: {name}"] * (1 - below)
    assert all("perfquery -R -C mlx5_1 -P 1" in gap["remedy"] for gap in full)
    assert told["findings"] == []


@pytest.mark.parametrize(("others", "expected"), [({}, 3), ({"symbol_error": 4}, 0), ({"port_rcv_packets": 9}, 3)])
def test_a_port_whose_only_counters_of_trouble_are_full_is_not_well(tmp_path, capsys, others, expected):
    text = port_text(link_downed=FULL, **others)

    assert ingested(tmp_path, capsys, text, text)[0] == expected


def test_a_counter_that_filled_up_grew_by_at_least_that_much_and_leaves_no_gap_of_its_own(tmp_path, capsys):
    _, told = ingested(tmp_path, capsys, port_text(link_downed=ALMOST), port_text(link_downed=FULL))

    assert not any("saturated:" in gap["reason"] for gap in told["gaps"])
    assert any("at least 1" in fact["observed"] for each in told["findings"] for fact in each["facts"])


def test_counters_of_32_bits_that_wrap_count_on_at_their_largest_value(tmp_path, capsys):
    text = "/sys/class/infiniband/hfi1_0/ports/1/hw_counters/SwLinkDown,32:{}\n"

    _, told = ingested(tmp_path, capsys, text.format(2**32 - 1), text.format(1))

    assert not any("saturated:" in gap["reason"] for gap in told["gaps"])
    assert any("2" in fact["observed"] for each in told["findings"] for fact in each["facts"])


@pytest.mark.parametrize(
    ("device", "port", "command"),
    [
        ("mlx5_1", 2, "perfquery -R -C mlx5_1 -P 2"),
        ("lid2052", 35, "perfquery -R 2052 35"),
        ("hfi1_1", 1, "opapmaquery -h 2 -o clearportstatus -n 0x2"),
        ("a;reboot", 1, "perfquery -R -C 'a;reboot' -P 1"),
    ],
)
def test_the_reset_of_each_port_is_a_command_that_can_be_pasted(device, port, command):
    key = CounterKey(origin=Origin.RDMA, device=device, port=port, name="link_downed")

    assert reset_remedy([key, key]).split("; ") == [*command.split("; "), OTHERWISE]
