"""Simulated NICs that count, written as run directories, judged from the files: the culprit and nobody else."""

import json
from dataclasses import replace

import polars as pl
import pytest

from netprobe.catalogue.keys import key_of
from netprobe.cli.app import main
from netprobe.model.verdict import ExitCode
from netprobe.sim.nics import NicFaults, with_nics
from netprobe.sim.screening import Screening, screening_run
from netprobe.store.whole import write_whole

FEW = {"hosts": 8, "iterations": 100, "sizes_bytes": (8 << 20,)}


@pytest.fixture
def judged(tmp_path, capsys):
    """Return a function that simulates, writes, judges the files, and returns the exit code and the findings."""

    def judge(faults=None, unread=None, lost=None, **screening):
        run = with_nics(screening_run(Screening(**{**FEW, **screening})), faults)
        if unread is not None:
            run = replace(run, counters=run.counters.filter(~unread))
        if lost is not None:
            more = pl.col("growth") + pl.when(lost).then(300).otherwise(0)
            run = replace(run, counters=run.counters.with_columns(growth=more))
        directory = write_whole(run, tmp_path)
        code = main(["judge", "--format", "json", str(directory)])
        report = json.loads(capsys.readouterr().out)
        return code, [(each["detector"], each["subjects"], each["summary"]) for each in report["findings"]], report

    return judge


@pytest.mark.parametrize("hosts", [3, 8, 33])
@pytest.mark.parametrize("seed", range(3))
def test_a_clean_fabric_has_no_finding(judged, seed, hosts):
    code, findings, _ = judged(seed=seed, hosts=hosts)

    assert findings == []
    assert code == ExitCode.HEALTHY


@pytest.mark.parametrize("host", [0, 2, 7])
def test_a_host_behind_a_port_without_pfc_is_named_with_that_port(judged, host):
    code, [(detector, subjects, summary)], report = judged(NicFaults(pfc_missing=frozenset({host})))

    assert (code, detector, subjects) == (ExitCode.DEGRADED, "pfc-missing", [f"node000{host + 1} mlx5_0"])
    assert "is never told to stop" in summary
    assert "does no flow control" in summary
    assert f"node000{host + 1}" not in report["healthy_hosts"]


@pytest.mark.parametrize("host", [0, 4, 7])
def test_a_nic_that_pauses_while_idle_is_named_and_its_victims_are_not(judged, host):
    code, [(detector, subjects, summary)], _ = judged(NicFaults(pauses_idle=frozenset({host})))

    assert (code, detector, subjects) == (ExitCode.FAULTY, "pause-storm", [f"node000{host + 1} mlx5_0"])
    assert "while nothing runs" in summary
    assert {"ecn-inactive", "pause-victim", "pfc-missing"} <= set(summary.partition("also seen: ")[2].split(", "))


@pytest.mark.parametrize("victims", [(1,), (1, 5), (0, 1, 2, 3, 5, 6, 7)])
def test_victims_of_a_storm_that_lose_in_rounds_of_two_hosts_are_not_blamed(judged, victims):
    is_round = pl.col("round_index").is_not_null() & pl.col("rank").is_in(victims)
    lost = is_round & pl.col("counter").str.contains("packet_seq_err|roce_adp_retrans|local_ack_timeout_err")

    code, [(detector, subjects, summary)], _ = judged(NicFaults(pauses_idle=frozenset({4})), lost=lost)

    assert (code, detector, subjects) == (ExitCode.FAULTY, "pause-storm", ["node0005 mlx5_0"])
    assert "packet-loss" in summary.partition("also seen: ")[2]


def test_damage_on_a_cable_is_the_cables_and_not_a_loss_of_its_partners(judged):
    code, [(detector, subjects, _)], _ = judged(NicFaults(loses_receiving=frozenset({1})))

    assert (code, detector, subjects) == (ExitCode.DEGRADED, "physical-errors", ["node0002 mlx5_0"])


def test_a_host_that_cannot_drain_is_the_source_of_pauses_and_its_pcie_link_the_reason(judged):
    code, findings, _ = judged(NicFaults(narrow_pcie=frozenset({5})))

    assert code == ExitCode.FAULTY
    assert ["node0006 mlx5_0"] in [subjects for _, subjects, _ in findings]
    assert {"node0006"} == {subject.split()[0] for _, subjects, _ in findings for subject in subjects}
    assert any("8 of 16 lanes" in summary or "x8" in summary for _, _, summary in findings)


def test_two_faults_at_once_are_two_findings(judged):
    faults = NicFaults(pfc_missing=frozenset({2}), pauses_idle=frozenset({4}))

    code, findings, _ = judged(faults)

    assert code == ExitCode.FAULTY
    assert sorted((detector, subjects[0]) for detector, subjects, _ in findings) == [
        ("pause-storm", "node0005 mlx5_0"),
        ("pfc-missing", "node0003 mlx5_0"),
    ]


OF_NICS = pl.col("counter").map_elements(lambda name: key_of(name) is not None, return_dtype=pl.Boolean)
OF_THE_FOURTH = OF_NICS & (pl.col("rank") == 3)


@pytest.mark.parametrize(
    ("unread", "ports", "when"),
    [
        (OF_NICS, "node0001 mlx5_0, node0002 mlx5_0", "was read: what"),
        (OF_THE_FOURTH, "node0004 mlx5_0", "was read: what"),
        (OF_THE_FOURTH & (pl.col("stage") == "alltoall"), "node0004 mlx5_0", "was read in alltoall, though"),
    ],
    ids=["of all", "of one", "of one that went away"],
)
def test_a_nic_whose_counters_were_not_read_is_not_taken_for_healthy(judged, unread, ports, when):
    code, findings, report = judged(unread=unread)

    assert (code, findings) == (ExitCode.INCONCLUSIVE, [])
    [reason] = [gap["reason"] for gap in report["gaps"] if gap["undermines"]]
    assert ports in reason
    assert when in reason


def test_a_round_whose_counters_are_missing_is_covered_by_those_of_its_stage(judged):
    code, findings, _ = judged(unread=OF_THE_FOURTH & pl.col("round_index").eq_missing(0))

    assert (code, findings) == (ExitCode.HEALTHY, [])
