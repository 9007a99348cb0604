"""Simulated runs over MPI, verbs and NCCL in host and GPU memory, judged from the files that they leave behind."""

import json

import pytest

from netprobe.cli.app import main
from netprobe.model.verdict import ExitCode
from netprobe.sim.gpus import GpuFaults, gpu_run
from netprobe.sim.screening import Screening, SlowHost, host_name
from netprobe.store.whole import write_whole

SIZES = {"iterations": 20, "sizes_bytes": (8 << 20,)}


@pytest.fixture
def judged(tmp_path, capsys):
    """Return a function that simulates, writes, judges the files, and returns the exit code, findings and report."""

    def judge(*, hosts=8, seed=0, slow_hosts=(), combinations=3, **faults):
        screening = Screening(**SIZES, hosts=hosts, seed=seed, slow_hosts=slow_hosts)
        run = gpu_run(screening, GpuFaults(**faults), combinations=combinations)
        code = main(["judge", "--format", "json", str(write_whole(run, tmp_path))])
        report = json.loads(capsys.readouterr().out)
        return code, [(each["detector"], each["subjects"]) for each in report["findings"]], report

    return judge


def gaps_of(report, detector):
    return [gap["reason"] for gap in report["gaps"] if detector in gap["topic"]]


@pytest.mark.parametrize("seed", range(4))
def test_layers_and_gpus_that_are_well_are_healthy(judged, seed):
    code, findings, report = judged(hosts=4 + 4 * seed, seed=seed)

    assert (code, findings) == (ExitCode.HEALTHY, [])
    assert gaps_of(report, "layer-gap") == gaps_of(report, "gpudirect-off") == []


def test_the_report_has_every_layer_on_every_memory_with_its_ratio(judged):
    _, _, report = judged()

    told = {
        (each["path"], each["send_memory"], each["receive_memory"]): (each["ratio"], each["of_path"])
        for each in report["layers"]
        if each["probe"] == "bandwidth"
    }
    assert list(told) == [
        ("verbs", "host", "host"), ("verbs", "host", "device"), ("verbs", "device", "host"),
        ("verbs", "device", "device"), ("mpi", "host", "host"), ("nccl", "device", "device"),
    ]  # fmt: skip
    assert told["verbs", "host", "host"] == (None, None)
    assert told["mpi", "host", "host"] == (pytest.approx(0.95, abs=0.02), "verbs")
    assert told["nccl", "device", "device"] == (pytest.approx(0.93, abs=0.02), "verbs")


@pytest.mark.parametrize("seed", range(3))
def test_a_gpu_on_the_other_cpu_is_one_finding_that_says_so(judged, seed):
    culprit = (3 * seed) % 8

    code, findings, report = judged(seed=seed, far=frozenset({culprit}))

    (found,) = report["findings"]
    assert findings == [("gpudirect-off", [host_name(culprit)])]
    assert "crosses the root complex between GPU and NIC (SYS)" in found["summary"]
    assert code == ExitCode.FAULTY
    assert host_name(culprit) not in report["healthy_hosts"]


@pytest.mark.parametrize("seed", range(3))
def test_a_host_without_the_module_is_one_finding_with_what_was_measured(judged, seed):
    culprit = (5 * seed) % 8

    _, findings, report = judged(seed=seed, staged=frozenset({culprit}))

    (found,) = report["findings"]
    assert findings == [("gpudirect-off", [host_name(culprit)])]
    assert found["summary"].startswith("neither a peer-memory module nor dma-buf")
    assert "measured: sends from GPU memory at " in found["summary"]


def test_a_bus_that_reads_slowly_is_told_from_one_that_writes_slowly(judged):
    _, findings, report = judged(reads_slowly=frozenset({6}))

    assert findings == [("gpudirect-off", [host_name(6)])]
    assert report["findings"][0]["summary"].startswith("sends from GPU memory at ")
    assert "receives" not in report["findings"][0]["summary"]


def test_a_link_that_is_slow_for_host_memory_as_well_is_no_gpus_fault(judged):
    _, findings, _ = judged(slow_hosts=(SlowHost(host=2, sends_ratio=0.5),))

    assert findings == [("slow-link", [host_name(2)])]


def test_a_slow_link_does_not_hide_a_slow_gpu_of_another_host(judged):
    _, findings, _ = judged(slow_hosts=(SlowHost(host=2, sends_ratio=0.5),), far=frozenset({5}))

    assert sorted(findings) == [("gpudirect-off", [host_name(5)]), ("slow-link", [host_name(2)])]


def test_nccl_that_loses_half_everywhere_is_named_and_mpi_is_not(judged):
    code, findings, report = judged(nccl_ratio=0.52)

    assert findings == [("layer-gap", ["fabric"])]
    assert report["findings"][0]["summary"].startswith("NCCL keeps 52 % of the rate of verbs on the same pairs")
    assert code == ExitCode.DEGRADED
    assert len(report["healthy_hosts"]) == 8


def test_mpi_over_sockets_on_a_fabric_of_rdma_is_told_and_no_fault_of_the_fabric(judged):
    code, findings, report = judged(mpi_ratio=0.06)

    assert (code, findings) == (ExitCode.HEALTHY, [])
    (gap,) = gaps_of(report, "layer-gap")
    assert "nobody is blamed, since a job may bring another MPI" in gap


def test_two_combinations_of_four_leave_a_gap(judged):
    _, findings, report = judged(combinations=1)

    (gap,) = gaps_of(report, "gpudirect-off")
    assert findings == []
    assert "(not between the same ranks at 1M and more: GPU → host, host → GPU)" in gap
