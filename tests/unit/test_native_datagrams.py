"""Datagrams by native code, over a libibverbs that loses, holds back and stamps them as the test wants."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "kernels/host"
PINGER, ANSWERER = 0, 1
WIRE_NS, TURN_NS = 100, 40


@pytest.fixture(scope="module")
def library(need, tmp_path_factory):
    compiler = shutil.which("cc")
    need("wheel", compiler is not None, "a C compiler")
    built = tmp_path_factory.mktemp("fake") / "libfake.so"
    command = [compiler, "-std=c11", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", f"-I{KERNELS}"]
    subprocess.run([*command, "-o", built, HERE / "fake_libibverbs.c", "-lpthread"], check=True)
    return str(built)


@pytest.fixture
def told(library):
    """Return a function that runs series between two devices of the library."""

    def run(*series, devices=("plain0", "plain1")):
        command = [sys.executable, str(HERE / "datagrams_in_process.py"), library]
        done = subprocess.run(
            [*command, json.dumps(devices), json.dumps(series)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_where_nothing_is_lost_every_ping_has_its_echo(told):
    (series,) = told({"most": 300})

    assert (series["pings"], series["echoes"]) == ([300, 300], [300, 300])
    assert series["in_time"] + series["late"] == 300


def test_a_datagram_is_as_large_as_the_mtu_lets_it_be(told):
    small, large = told({"size": 64}, {"size": 2048})

    assert small["largest"] == [2048, 2048]
    assert (large["pings"], large["echoes"]) == ([100, 100], [100, 100])


@pytest.mark.parametrize(
    ("loser", "pings", "echoes"), [(PINGER, [100, 90], [90, 90]), (ANSWERER, [100, 100], [100, 90])]
)
def test_what_is_lost_is_lost_in_one_direction(told, loser, pings, echoes):
    (series,) = told({"lose": [[loser, 10, 8]]})

    assert (series["pings"], series["echoes"]) == (pings, echoes)


def test_an_echo_that_comes_late_has_arrived_all_the_same(told):
    (series,) = told({"most": 35, "hold": [[ANSWERER, 10]]})

    assert (series["pings"], series["echoes"]) == ([35, 35], [35, 35])
    assert series["late"] >= 3
    assert series["in_time"] + series["late"] == 35


def test_large_ones_vanish_and_small_ones_arrive(told):
    small, large = told({"lose": [[PINGER, 1, 1000]]}, {"size": 2048})

    assert small["pings"] == [100, 100]
    assert large["pings"] == [64, 0]  # after so many in a row it is clear


def test_a_series_after_a_bad_one_counts_its_own_alone(told):
    _, good = told({"lose": [[ANSWERER, 3, 8]]}, {"lose": [[ANSWERER, 0, 0]]})

    assert (good["pings"], good["echoes"]) == ([100, 100], [100, 100])


def test_stamps_of_both_nics_tell_the_wire_from_the_hosts(told):
    (series,) = told({"most": 200}, devices=("stamp0", "stamp1"))

    assert series["pings"] == series["echoes"] == [200, 200]
    assert len(series["wire_ns"]) > 100
    assert abs(median(series["responding_ns"]) - TURN_NS) <= 2  # by a clock of 500 MHz
    assert abs(median(series["wire_ns"]) - 2 * WIRE_NS) <= 2
    assert all(each > 0 for each in series["probing_ns"])


def test_stamps_at_one_end_alone_tell_nothing(told):
    (series,) = told({}, devices=("stamp0", "plain1"))

    assert "wire_ns" not in series
    assert series["pings"] == series["echoes"] == [100, 100]


def test_a_device_without_datagrams_says_so(told):
    assert "makes no queue pairs for datagrams" in told({}, devices=("iwarp0", "iwarp0"))["missing"]
