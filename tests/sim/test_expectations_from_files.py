"""Runs over RDMA from files, held against the shipped table and a site's own, by the command line."""

import json
from dataclasses import replace

import pytest

from netprobe.cli.app import main
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.inventory import HostInventory, RdmaPort
from netprobe.model.plan import Memory
from netprobe.sim.rdma import RdmaFaults, rdma_run
from netprobe.sim.screening import Screening, SlowHost
from netprobe.store.whole import write_whole

H100 = "NVIDIA H100 80GB HBM3"
HOSTS = 8
PORT = RdmaPort(
    device="mlx5_0", port=1, link_layer="Ethernet", state="ACTIVE", physical_state="LinkUp", rate_gbps=400.0,
    driver="mlx5_core", netdev="eth0", pci="0000:17:00.0", firmware="28.40.1000", board="MT_0000000838",
    model="MT4129", forces_no_class=True, node_guid=None,
)  # fmt: skip
SITE = """
[[expectation]]
probe = "bandwidth"
memory = "host"
payload = "1M"
line_ratio = 0.99
kind = "gate"
source = "acceptance"
"""


def run_over_rdma(*, queue_pairs=8, memory=Memory.HOST, gpu=None, ratio=1.0):
    """Return a run of 8 hosts that do about 384 Gb/s of 400 times ``ratio``, all alike."""
    slow = tuple(SlowHost(host=host, sends_ratio=ratio) for host in range(HOSTS))
    run = rdma_run(
        Screening(hosts=HOSTS, sizes_bytes=(8 << 20,), iterations=20, pair_noise_ratio=0.001, slow_hosts=slow),
        RdmaFaults(),
    )
    header = run.header
    stages = tuple(
        replace(
            stage, rdma=replace(stage.rdma, queue_pairs=queue_pairs), send_memory=memory, receive_memory=memory
        )
        for stage in header.plan.stages
    )  # fmt: skip
    gpus = tuple(
        GpuEndpoint(
            rank=each.rank,
            ordinal=0,
            pci="0000:18:00.0",
            name=gpu,
            memory_bytes=80 << 30,
            driver="12.8",
            runtime="12.8",
        )
        for each in header.ranks
        if gpu is not None
    )
    return replace(
        run,
        header=replace(header, plan=replace(header.plan, stages=stages), gpus=gpus),
        inventories=tuple(HostInventory(host=each.host, rdma_ports=(PORT,)) for each in header.ranks),
    )


@pytest.fixture
def judged(tmp_path, capsys):
    def judge(run, *arguments):
        directory = write_whole(run, tmp_path)
        main(["judge", "--format", "json", *arguments, str(directory)])
        report = json.loads(capsys.readouterr().out)
        expected = [each for each in report["findings"] if each["detector"] == "expectation"]
        return expected, [each["reason"] for each in report["gaps"] if "expectation" in each["topic"]]

    return judge


def test_a_healthy_fabric_reaches_the_shipped_figures(judged):
    assert judged(run_over_rdma()) == ([], [])


def test_a_fabric_that_is_slow_alike_everywhere_falls_short_of_the_shipped_figures(judged):
    (finding,), _ = judged(run_over_rdma(ratio=0.9))

    assert (finding["severity"], finding["subjects"]) == ("degrades", ["fabric"])
    assert "Mellanox/ngc_multinode_perf" in finding["summary"]


def test_gpu_memory_is_held_against_the_figure_of_its_gpu(judged):
    (finding,), gaps = judged(run_over_rdma(memory=Memory.DEVICE, gpu=H100, ratio=0.97))

    assert "gate of Azure/azurehpc-health-checks" in finding["summary"]
    assert gaps == [
        "latency of RDMA was not held against what is expected: the table of expectations has no figure for "
        "latency of GPU memory over verbs"
    ]


def test_one_queue_pair_is_held_to_what_it_can_do(judged):
    findings, (gap,) = judged(run_over_rdma(queue_pairs=1, ratio=0.8))

    assert findings == []
    assert "what one queue pair can do" in gap


def test_a_site_asks_for_more_than_is_shipped(judged, tmp_path):
    (tmp_path / "site.toml").write_text(SITE)

    (finding,), _ = judged(run_over_rdma(), "--expectations", str(tmp_path / "site.toml"))

    assert "gate of this site: acceptance" in finding["summary"]


def test_a_site_that_replaces_the_table_by_nothing_has_the_rate_of_ports_alone(judged, tmp_path):
    (tmp_path / "site.toml").write_text("replace = true\n")

    findings, (gap,) = judged(run_over_rdma(ratio=0.5), "--expectations", str(tmp_path / "site.toml"))

    assert findings == []
    assert gap.startswith("bandwidth of RDMA was held against 40 % of the rate of its ports alone")


@pytest.mark.parametrize("command", ["judge", "report"])
def test_a_table_without_sense_is_one_line_and_exit_code_4(tmp_path, capsys, command):
    site = tmp_path / "site.toml"
    site.write_text(SITE.replace("0.99", "1.99"))
    directory = write_whole(run_over_rdma(), tmp_path)

    assert main([command, "--expectations", str(site), str(directory)]) == 4

    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "site.toml: expectation 1: line_ratio: is a share of the line rate, at most 1, not 1.99" in told


@pytest.mark.parametrize("command", [["check"], ["run", "latency"]])
def test_a_table_without_sense_is_refused_before_anything_is_measured(tmp_path, capsys, command):
    (tmp_path / "site.toml").write_text("replace = 1\n")

    assert main([*command, "--expectations", str(tmp_path / "site.toml"), "--out", str(tmp_path / "runs")]) == 4

    assert "replace must be true or false" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_report_judges_again_where_a_table_is_given(tmp_path, capsys):
    (tmp_path / "site.toml").write_text(SITE)
    directory = write_whole(run_over_rdma(), tmp_path)

    main(["report", "--format", "json", "--expectations", str(tmp_path / "site.toml"), str(directory)])

    assert "gate of this site: acceptance" in capsys.readouterr().out


def test_explain_tells_where_the_table_is_and_how_to_override_it(capsys):
    assert main(["explain", "expectation"]) == 0

    told = capsys.readouterr().out
    assert "netprobe/judge/expectations.toml" in told
    assert "--expectations FILE" in told
    assert "replace = true" in told
