"""Two readings between which nothing moved: who sends pauses then is a storm, and no slow receiver."""

import json

import pytest

from netprobe.cli.app import main
from netprobe.model.verdict import ExitCode

HOSTS = ("n1", "n2", "n3", "n4")
LINK = "link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev eth0\n"
MARKS = "/sys/class/infiniband/mlx5_0/ports/1/hw_counters/{name}:{value}\n"
A_GIGABYTE = 10**9
HALF_A_MINUTE_US = 30_000_000


def text_of(grown, *, has_bytes):
    """Return what a host's tools print after its counters grew; before that they stood at 5,000."""
    names = ["rx_prio3_pause_duration", "tx_prio3_pause_duration", "rx_discards_phy"]
    names += ["rx_bytes_phy", "tx_bytes_phy"] * has_bytes
    marks = "".join(MARKS.format(name=name, value=7) for name in ("np_ecn_marked_roce_packets", "np_cnp_sent"))
    counts = "".join(f"     {name}: {5_000 + grown.get(name, 0)}\n" for name in names)
    return f"{LINK}{marks}ethtool -S eth0\nNIC statistics:\n{counts}"


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests two readings of each host and returns the exit code and the JSON.

    n4 asks others to stop half the time, and they are told to stop a tenth of it.
    """

    def run(moved_bytes, *, has_bytes=True):
        names = []
        for host in HOSTS:
            paused = (
                {"tx_prio3_pause_duration": HALF_A_MINUTE_US}
                if host == "n4"
                else {"rx_prio3_pause_duration": 6_000_000}
            )
            moved = dict.fromkeys(("rx_bytes_phy", "tx_bytes_phy"), moved_bytes.get(host, 0))
            for number, grown in enumerate(({}, {**paused, **moved})):
                path = tmp_path / f"{host}.{number}"
                path.write_text(text_of(grown, has_bytes=has_bytes))
                names.append(f"{host}={path}")
        code = main(["ingest", *names, "--elapsed", "60s", "--format", "json"])
        told = json.loads(capsys.readouterr().out)
        return code, {each["detector"]: each for each in told["findings"]}, told

    return run


def test_a_port_that_pauses_while_nothing_moves_anywhere_is_a_storm_and_marks_were_not_exercised(ingest):
    code, findings, told = ingest({})

    assert code == ExitCode.FAULTY
    assert list(findings) == ["pause-storm"]
    assert findings["pause-storm"]["subjects"] == ["n4 mlx5_0"]
    assert "50 % of the time while it moves nothing (between readings)" in findings["pause-storm"]["summary"]
    assert any("switches mark was not exercised" in gap["reason"] for gap in told["gaps"])
    assert not any("not read while nothing ran" in gap["reason"] for gap in told["gaps"])


def test_the_same_pauses_with_traffic_are_a_slow_receiver_and_switches_that_do_not_mark(ingest):
    code, findings, told = ingest(dict.fromkeys(HOSTS, A_GIGABYTE))

    assert code == ExitCode.FAULTY
    assert set(findings) == {"pause-source", "ecn-inactive"}
    assert "under load" in findings["pause-source"]["summary"]
    assert any("not read while nothing ran" in gap["reason"] for gap in told["gaps"])


def test_a_port_that_pauses_and_moves_nothing_is_a_storm_while_others_work(ingest):
    _, findings, told = ingest(dict.fromkeys(HOSTS[:3], A_GIGABYTE))

    assert list(findings) == ["pause-storm"]
    assert any("not read while nothing ran" in gap["reason"] for gap in told["gaps"])


def test_bytes_that_nobody_counts_are_not_taken_for_none(ingest):
    _, findings, _ = ingest({}, has_bytes=False)

    assert set(findings) == {"pause-source", "ecn-inactive"}


def test_a_login_and_lldp_are_no_load(ingest):
    _, findings, _ = ingest(dict.fromkeys(HOSTS, 60_000_000))
    assert list(findings) == ["pause-storm"]

    _, findings, _ = ingest(dict.fromkeys(HOSTS, 80_000_000))
    assert "pause-storm" not in findings
