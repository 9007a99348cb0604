"""``netprobe ingest`` of what NCCL logs: the facts, the finding, and what is not called healthy."""

import json

import pytest
from nccl_logs import VERSION, WITHOUT_DRIVER, rank_log

from netprobe.cli.app import main
from netprobe.ingest.recognise import read_text
from netprobe.model.verdict import ExitCode

PORT = "/sys/class/infiniband/mlx5_0/ports/1/state:4: ACTIVE\n"


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests texts, and returns the exit code and the JSON."""

    def run(*texts):
        names = []
        for number, (host, text) in enumerate(texts):
            path = tmp_path / f"{number}.txt"
            path.write_text(text)
            names.append(str(path) if host is None else f"{host}={path}")
        code = main(["ingest", *names, "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def job(**second):
    """Return the log of two ranks on two hosts; ``second`` is how the second one differs."""
    return f"{VERSION}\n{rank_log('node1')}{rank_log('node2', rank=1, **second)}"


def test_a_job_over_rdma_with_gpudirect_is_fine(ingest):
    code, told = ingest((None, job()))

    assert code == ExitCode.HEALTHY
    assert told["nccl_hosts"] == ["node1", "node2"]


def test_a_host_without_gpudirect_is_named(ingest):
    code, told = ingest((None, job(suffix="")))

    assert code == ExitCode.DEGRADED
    assert [(each["detector"], each["subjects"]) for each in told["findings"]] == [("nccl-fallback", ["node2"])]


def test_sockets_block_where_a_file_of_the_host_shows_an_active_port(ingest):
    sockets = rank_log("node1", network="Socket", ports=(), suffix="")

    code, told = ingest((None, sockets), ("node1.site.example", PORT))

    assert code == ExitCode.FAULTY
    assert told["findings"][0]["subjects"] == ["node1.site.example"]


def test_sockets_of_hosts_of_which_nothing_is_known_are_no_verdict(ingest):
    code, told = ingest((None, rank_log("node1", network="Socket", ports=(), suffix="")))

    assert code == ExitCode.INCONCLUSIVE
    assert any("whether these hosts have RDMA ports is not known" in gap["reason"] for gap in told["gaps"])


def test_a_log_of_one_host_is_of_whom_it_was_said_to_be(ingest):
    _, told = ingest(("gpu17", rank_log("pod-3")))

    assert told["nccl_hosts"] == ["gpu17"]


def test_what_nccl_warned_of_is_no_verdict(ingest):
    code, told = ingest((None, WITHOUT_DRIVER))

    assert code == ExitCode.INCONCLUSIVE
    assert any("NCCL warned on vm: Cuda failure" in gap["reason"] for gap in told["gaps"])


def test_prefixes_of_launchers_and_times_are_no_trouble():
    lines = job().splitlines()
    pasted = "\n".join(f"[1,{number % 2}]<stdout>:2026-11-28 10:00:00 {line}" for number, line in enumerate(lines))
    pasted = "\n".join(f"> {line}" for line in pasted.splitlines())

    told = read_text(pasted, "paste").nccl

    assert {(each.host, way.device) for each in told for way in each.ways} == {
        ("node1", 0), ("node1", 1), ("node2", 0), ("node2", 1),
    }  # fmt: skip


def test_a_table_of_nccl_tests_may_stand_between_lines_of_the_log():
    table = (
        "#       size         count    type   redop    root     time   algbw   busbw #wrong\n"
        "     1048576        262144   float     sum      -1    61.17   17.14   30.00      0\n"
    )

    told = read_text(rank_log("node1") + table + rank_log("node2", rank=1), "paste")

    assert (len(told.nccl), len(told.benchmarks), told.unread) == (2, 1, 0)
