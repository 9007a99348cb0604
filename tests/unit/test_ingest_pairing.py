"""Which readings are of one port, and how much is claimed where nobody says so."""

import json

import pytest
from ingest_samples import FIXTURES, text_of

from netprobe.cli.app import main
from netprobe.ingest.recognise import read_text
from netprobe.ingest.together import together
from netprobe.model.verdict import ExitCode

BLOCK = "NIC statistics:\n     rx_packets: {packets}\n     link_down_events_phy: {downs}\n"


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests texts, each of a host or of none, and returns its exit code and its JSON."""

    def run(*texts, host=None, options=("--elapsed", "10s")):
        names = []
        for number, text in enumerate(texts, start=1):
            path = tmp_path / f"{number}.txt"
            path.write_text(text)
            names.append(str(path) if host is None else f"{host}={path}")
        code = main(["ingest", *names, *options, "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_several_unnamed_lists_in_one_file_are_several_ports():
    text = BLOCK.format(packets=10, downs=0) + BLOCK.format(packets=10, downs=7)

    told = together([read_text(text, "f")], [None], (), None)
    [reading] = told.hosts[0].readings
    assert reading.values["ethtool/nic#1/link_down_events_phy"] == 0
    assert reading.values["ethtool/nic#2/link_down_events_phy"] == 7
    assert not told.assumed


def test_ports_that_differ_are_no_port_that_changed(ingest):
    code, told = ingest(BLOCK.format(packets=10, downs=0) + BLOCK.format(packets=10, downs=7))

    assert code == ExitCode.INCONCLUSIVE
    assert told["findings"] == []


def test_what_rests_on_an_assumed_pairing_claims_little(ingest):
    before, after = BLOCK.format(packets=10, downs=0), BLOCK.format(packets=20, downs=7)

    code, told = ingest(before, after)
    assert code == ExitCode.DEGRADED
    assert {each["confidence"] for each in told["findings"]} == {"low"}
    assert any("do not say which host" in gap["reason"] for gap in told["gaps"])

    code, told = ingest(before, after, host="n1")
    assert code == ExitCode.FAULTY
    assert not any("do not say which" in gap["reason"] for gap in told["gaps"])


def test_unnamed_ports_of_a_named_host_are_paired_by_their_order_which_is_told(ingest):
    before = BLOCK.format(packets=10, downs=0) * 2
    after = BLOCK.format(packets=20, downs=0) + BLOCK.format(packets=20, downs=7)

    code, told = ingest(before, after, host="n1")
    assert code == ExitCode.DEGRADED
    assert any("do not say which port" in gap["reason"] for gap in told["gaps"])


@pytest.mark.parametrize("tree", ["mlx5.txt", "mlx5-h100.txt"])
def test_recordings_of_two_machines_claim_nothing_strong(ingest, tree):
    code, told = ingest((FIXTURES / "hosts" / tree).read_text(), text_of("rocestat.txt"))

    assert code != ExitCode.FAULTY
    assert {each["confidence"] for each in told["findings"]} <= {"low"}
    assert "blocks" not in {each["severity"] for each in told["findings"]}
