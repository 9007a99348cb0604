"""What reports say of GPUs: the map of ranks, and copies."""

import pytest
from sample_reports import report

from netprobe.contracts import RenderOptions
from netprobe.model.gpu import CopyRate, CopyWay
from netprobe.model.report import GpuSummary
from netprobe.registry import reporters

WIDE = RenderOptions(width=200)


def gpu(rank=0, *, slow=False, expected_gbps=460.8):
    return GpuSummary(
        rank=rank, host=f"node{rank:02}", ordinal=rank, pci=f"0000:1{rank}:00.0", name="H100", nic="mlx5_0",
        why="below one switch (PIX)", takes_mpi=True, driver="12.8", copies_are_slow=slow,
        copies=(
            CopyRate(way=CopyWay.TO_GPU, size_bytes=64 << 20, gbps=230.4, expected_gbps=expected_gbps),
            CopyRate(way=CopyWay.TO_PEER, size_bytes=64 << 20, gbps=900.0),
        ),
    )  # fmt: skip


def rendered(format, *gpus, options=WIDE):
    hosts = tuple(dict.fromkeys(each.host for each in gpus)) or ("node00",)
    return reporters()[format].render(report(hosts, gpus=gpus), options)


def test_a_ticket_has_the_gpu_and_the_nic_of_each_rank_and_why():
    text = rendered("markdown", gpu(0), gpu(1))

    assert "the GPU and the NIC of each rank" in text
    assert "| node00:0 | 0 | 0000:10:00.0 | H100 | mlx5\\_0 | below one switch (PIX) |" in text
    assert "| node01:1 | 1 | 0000:11:00.0 |" in text


def test_a_ticket_has_all_copies_with_the_share_where_it_is_known():
    text = rendered("markdown", gpu())

    assert "| node00:0 | 0000:10:00.0 | 230 Gb/s (50 %) | 900 Gb/s |" in text
    assert "in brackets: of what carries a copy at most" in text


def test_the_console_shows_copies_of_gpus_that_are_slow_and_of_no_others():
    assert "copies of GPUs" not in rendered("console", gpu(0), gpu(1))

    text = rendered("console", gpu(0), gpu(1, slow=True))

    assert "copies of GPUs that are slow" in text
    assert "230 Gb/s (50 %)" in text
    assert "node00:0" not in text


@pytest.mark.parametrize("format", ["console", "markdown"])
def test_a_report_without_gpus_has_no_word_of_them(format):
    assert "copies" not in rendered(format)
