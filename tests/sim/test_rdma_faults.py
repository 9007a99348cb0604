"""Simulated pairs that cannot go on over RDMA, written as run directories and judged from the files."""

import json

import pytest

from netprobe.cli.app import main
from netprobe.model.rdma import Breakdown, FailurePhase
from netprobe.model.verdict import ExitCode
from netprobe.sim.rdma import RdmaFaults, rdma_run
from netprobe.sim.screening import Screening, SlowHost, host_name
from netprobe.store.whole import write_whole

SIZES = {"iterations": 20, "sizes_bytes": (8 << 20,)}
TIMED_OUT = Breakdown(rank=0, phase=FailurePhase.SET_UP, call="ibv_modify_qp to RTR", error="Connection timed out")


@pytest.fixture
def judged(tmp_path, capsys):
    """Return a function that simulates, writes, judges the files, and returns the exit code, findings and report."""

    def judge(faults=None, *, hosts=16, seed=0, slow_over_mpi=(), slow_over_rdma=()):
        over_rdma = Screening(**SIZES, hosts=hosts, seed=seed, slow_hosts=slow_over_rdma)
        over_mpi = Screening(**SIZES, hosts=hosts, seed=seed + 1000, slow_hosts=slow_over_mpi)
        directory = write_whole(rdma_run(over_rdma, faults or RdmaFaults(), over_mpi), tmp_path)
        code = main(["judge", "--format", "json", str(directory)])
        report = json.loads(capsys.readouterr().out)
        return code, [(each["detector"], each["subjects"]) for each in report["findings"]], report

    return judge


@pytest.mark.parametrize("seed", range(20))
def test_a_host_that_nobody_reaches_is_named_alone(judged, seed):
    hosts = 4 + 3 * seed
    culprit = (7 * seed) % hosts

    code, findings, report = judged(RdmaFaults(hosts=(culprit,)), hosts=hosts, seed=seed)

    assert findings == [("rdma-failure", [host_name(culprit)])]
    assert code == ExitCode.FAULTY
    assert host_name(culprit) not in report["healthy_hosts"]
    assert len(report["healthy_hosts"]) == hosts - 1


@pytest.mark.parametrize("seed", range(20))
def test_a_fabric_on_which_all_works_has_no_finding(judged, seed):
    code, findings, _ = judged(hosts=3 + 2 * seed, seed=seed)

    assert findings == []
    assert code == ExitCode.HEALTHY


@pytest.mark.parametrize("seed", range(5))
def test_two_hosts_that_nobody_reaches_are_two_findings(judged, seed):
    _, findings, _ = judged(RdmaFaults(hosts=(2, 9)), hosts=24, seed=seed)

    assert sorted(findings) == [("rdma-failure", [host_name(2)]), ("rdma-failure", [host_name(9)])]


def test_a_path_that_does_not_work_names_its_pair_and_leaves_out_nobody(judged):
    run = rdma_run(Screening(**SIZES, hosts=16), RdmaFaults())
    path = run.header.outcomes[0].planned_pairs[0]

    code, findings, report = judged(RdmaFaults(paths=(path,)))

    assert findings == [("rdma-failure", [" <-> ".join(sorted(map(host_name, path)))])]
    assert (code, len(report["healthy_hosts"])) == (ExitCode.FAULTY, 16)


def test_what_all_pairs_share_is_the_fabrics(judged):
    code, findings, report = judged(RdmaFaults(everything=True, cause=TIMED_OUT))

    assert findings == [("rdma-failure", ["fabric"])]
    assert code == ExitCode.FAULTY
    assert (
        "ibv_modify_qp to RTR: Connection timed out while the connection was made" in report["findings"][0]["summary"]
    )
    assert "a host that is gone (MPI works on all of these)" in report["findings"][0]["excluded"]


def test_a_pair_that_failed_is_no_pair_that_is_missing(judged):
    _, _, report = judged(RdmaFaults(hosts=(3,)))

    coverage = report["coverage"]
    assert coverage["pairs_failed"] > 0
    assert coverage["pairs_measured"] + coverage["pairs_failed"] == coverage["pairs_planned"]
    assert not any("coverage" in gap["topic"] for gap in report["gaps"])


def test_a_host_that_is_slow_over_mpi_alone_is_told_to_be_normal_over_rdma(judged):
    slow = SlowHost(host=5, sends_ratio=0.6)

    _, findings, report = judged(slow_over_mpi=(slow,))

    assert findings == [("slow-link", [host_name(5)])]
    assert "its RDMA path (normal in the same run)" in report["findings"][0]["excluded"]
    assert all("RDMA" not in fact["metric"] for fact in report["findings"][0]["facts"])


def test_a_host_that_is_slow_over_rdma_alone_is_told_so(judged):
    slow = SlowHost(host=5, sends_ratio=0.6)

    _, findings, report = judged(slow_over_rdma=(slow,))

    assert findings == [("slow-link", [host_name(5)])]
    assert "(RDMA bandwidth 8M)" in report["findings"][0]["summary"]
    assert "its MPI path (normal in the same run)" in report["findings"][0]["excluded"]
    assert "--transport verbs" in report["findings"][0]["retest"]


def test_a_host_that_is_slow_over_both_is_one_finding_with_the_facts_of_both(judged):
    slow = SlowHost(host=5, sends_ratio=0.6)

    _, findings, report = judged(slow_over_mpi=(slow,), slow_over_rdma=(slow,))

    (found,) = report["findings"]
    assert findings == [("slow-link", [host_name(5)])]
    assert {fact["metric"] for fact in found["facts"]} == {"bandwidth 8M, sends", "RDMA bandwidth 8M, sends"}
    assert not any("path (normal" in each for each in found["excluded"])


@pytest.mark.parametrize("seed", range(10))
def test_a_fabric_whose_mpi_goes_over_slow_tcp_is_not_compared_with_its_rdma(judged, seed):
    everybody = tuple(SlowHost(host=host, sends_ratio=0.1, latency_ratio=10.0) for host in range(12))

    code, findings, _ = judged(hosts=12, seed=seed, slow_over_mpi=everybody)

    assert (code, findings) == (ExitCode.HEALTHY, [])


def test_two_hosts_that_measure_nothing_but_rdma_and_cannot_are_a_fault_and_no_healthy_hosts(tmp_path, capsys):
    run = rdma_run(Screening(**SIZES, hosts=2), RdmaFaults(everything=True))

    code = main(["judge", "--format", "json", str(write_whole(run, tmp_path))])

    report = json.loads(capsys.readouterr().out)
    assert [(each["detector"], each["subjects"]) for each in report["findings"]] == [
        ("rdma-failure", ["node0001 <-> node0002"])
    ]
    assert (code, report["healthy_hosts"]) == (ExitCode.FAULTY, [])
