"""Pauses of interfaces alone, and findings that neither hide each other nor say the same twice."""

import json

import pytest
from store_samples import inventory

from netprobe.cli.app import main
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot
from netprobe.model.verdict import ExitCode
from netprobe.store.snapshots import write_snapshot

PAUSED = "# ethtool -S eth0\nNIC statistics:\n     rx_packets: 100\n     {way}_prio3_pause{kind}: {count}\n"


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests two texts of host n1, ten seconds apart."""

    def run(before, after):
        (tmp_path / "1.txt").write_text(before)
        (tmp_path / "2.txt").write_text(after)
        files = [f"n1={tmp_path / '1.txt'}", f"n1={tmp_path / '2.txt'}"]
        code = main(["ingest", *files, "--elapsed", "10s", "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def between(tmp_path, capsys):
    """Return a function that ingests two snapshots of n1, between which these counters grew within ten seconds."""

    def run(**grown):
        names = [each.replace("__", "/") for each in grown]
        paths = []
        for number, counts in enumerate((dict.fromkeys(names, 0), dict(zip(names, grown.values(), strict=True)))):
            told = Snapshot(
                format=SNAPSHOT_FORMAT, netprobe="0", taken=f"2026-11-24T0{number}:00:00Z", inventory=inventory("n1"),
                readings=(Reading(at_ns=number * 10 * 10**9, values=counts),),
            )  # fmt: skip
            paths.append(tmp_path / f"{number}.netprobe.tar.gz")
            write_snapshot(paths[-1], told)
        main(["ingest", *map(str, paths), "--format", "json"])
        return json.loads(capsys.readouterr().out)["findings"]

    return run


def growths(findings):
    return [fact["metric"] for each in findings if each["detector"] == "counters" for fact in each["facts"]]


@pytest.mark.parametrize(("way", "detector"), [("rx", "pause-victim"), ("tx", "pause-source")])
def test_pauses_of_an_interface_alone_are_judged(ingest, way, detector):
    texts = [PAUSED.format(way=way, kind="_duration", count=count) for count in (0, 5_000_000)]

    code, told = ingest(*texts)
    assert code != ExitCode.HEALTHY
    [finding] = [each for each in told["findings"] if each["detector"] == detector]
    assert finding["subjects"][0].endswith("n1 eth0")


def test_an_interface_without_pauses_is_fine(ingest):
    texts = [PAUSED.format(way="rx", kind="_duration", count=7)] * 2

    assert ingest(*texts)[0] == ExitCode.HEALTHY


def test_frames_alone_without_a_rate_are_not_fine_but_not_told(ingest):
    texts = [PAUSED.format(way="rx", kind="", count=count) for count in (0, 5_000_000)]

    code, told = ingest(*texts)
    assert code == ExitCode.INCONCLUSIVE
    assert any(gap["topic"] == "pauses" and gap["undermines"] for gap in told["gaps"])


def test_an_interface_beside_rdma_ports_that_may_not_use_it_is_not_taken_for_one(ingest):
    link = "link mlx5_0/1 state ACTIVE physical_state LINK_UP\n"
    texts = [link + PAUSED.format(way="rx", kind="_duration", count=count) for count in (0, 5_000_000)]

    code, told = ingest(*texts)
    assert code == ExitCode.INCONCLUSIVE
    assert any("no RDMA port is known to use it" in gap["reason"] for gap in told["gaps"])


@pytest.mark.parametrize("value", [2**64 - 2, 2**64 - 1, 2**63])
def test_values_beyond_all_counters_are_left_out(ingest, value):
    texts = [PAUSED.format(way="rx", kind="_duration", count=count) for count in (0, value)]

    assert ingest(*texts)[1]["findings"] == []


def test_a_link_that_flapped_hides_no_other_trouble_of_its_port(between):
    findings = between(
        rdma__mlx5_0__1__link_downed=3,
        rdma__mlx5_0__1__unrecoverable_err=500,
        rdma__mlx5_0__1__res_tx_pci_err=9,
        rdma__mlx5_0__1__max_retry_exceeded=90,
    )

    assert "link-flap" in {each["detector"] for each in findings}
    told = " ".join(growths(findings))
    for name in ("unrecoverable_err", "res_tx_pci_err", "max_retry_exceeded"):
        assert name in told
    assert "link_downed" not in told


def test_pauses_of_the_interface_are_told_once_with_its_rdma_port(between):
    findings = between(ethtool__eth0__tx_prio3_pause_duration=5_000_000, ethtool__eth0__tx_prio3_pause=900)

    assert [each["subjects"] for each in findings if each["detector"] == "pause-source"] == [["n1 mlx5_0"]]
    assert growths(findings) == []


def test_what_a_finding_of_the_host_tells_is_not_told_of_its_port_again(between):
    findings = between(rdma__mlx5_0__1__out_of_buffer=500_000)

    assert "rnr-stall" in {each["detector"] for each in findings}
    assert growths(findings) == []


def test_what_a_damaged_link_loses_is_not_told_of_its_port_again(between):
    findings = between(
        ethtool__eth0__rx_crc_errors_phy=9_000,
        rdma__mlx5_0__1__out_of_sequence=300,
        rdma__mlx5_0__1__port_rcv_packets=1_000_000,
    )

    assert "physical-errors" in {each["detector"] for each in findings}
    assert growths(findings) == []


def test_growth_is_told_in_its_unit(between):
    findings = between(ethtool__eth0__tx_prio3_pause_duration=120)

    assert "grew by 120 µs between" in " ".join(each["summary"] for each in findings if each["detector"] == "counters")


def test_totals_are_told_in_their_unit(tmp_path, capsys):
    (tmp_path / "1.txt").write_text(PAUSED.format(way="tx", kind="_duration", count=120_000))
    main(["ingest", str(tmp_path / "1.txt")])

    assert "tx_prio3_pause_duration 120 ms" in capsys.readouterr().out
