"""What is said of recordings of real machines, beside their totals: remarks that are no findings."""

import pytest
from ingest_samples import FIXTURES, text_of

from netprobe.cli.app import main
from netprobe.model.verdict import ExitCode

SUBNET = """\
CA   134  1 0x7cfe9003003b4bde 4x EDR - SW  1719 10 0x7cfe9003009ce5b0 ( 'o0001 HCA-1' - 'ib-i1l1s01' )
SW  2052 37 0x506b4b03005c2740 4x ???                                    'ib-i4l1s01'
SW  1781 80 0x08c0eb0300add20e 4x SDR                                    'ib-i7l2s01'
"""


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests one text and returns its exit code and its output in one line."""

    def run(text):
        (tmp_path / "1.txt").write_text(text)
        code = main(["ingest", str(tmp_path / "1.txt")])
        return code, " ".join(capsys.readouterr().out.split())

    return run


def host(name):
    return (FIXTURES / "hosts" / name).read_text()


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (text_of("ethtool-mlx5.txt"), "no RDMA traffic"),
        (text_of("ethtool-mlx5.txt"), "PFC cannot be judged: no counter of pauses by priority"),
        (text_of("ethtool-bnxt_en.txt"), "rx_total_ring_discards 655,430,134 is 0.099 % of the frames received"),
        (host("mlx5.txt"), "req_cqe_error 3,481, of which 80 were flushed (req_cqe_flush_error)"),
        (host("mlx5.txt"), "resp_cqe_error 8,109, of which 4,708 were flushed (resp_cqe_flush_error)"),
        (host("mlx5-h100.txt"), "mlx5_1 reset needed:"),
        (host("mlx5-h100.txt"), "suspicious: mlx5_0, mlx5_1, mlx5_bond_0 show the same values"),
        (text_of("perfquery.txt"), "congestion at some time: port_xmit_discards 20,046 with port_xmit_wait 41,864,608"),
    ],
)
def test_totals_are_told_with_what_they_mean(ingest, text, remark):
    code, out = ingest(text)

    assert remark in out
    assert code == ExitCode.INCONCLUSIVE


def test_links_that_are_all_up_are_judged(ingest):
    code, out = ingest(text_of("rdma-link.json"))

    assert code == ExitCode.HEALTHY
    assert "4 links" in out
    assert "all ACTIVE" in out
    assert "nothing could be judged" not in out


def test_a_link_that_is_down_is_told_and_nobody_knows_whether_it_is_used(ingest):
    code, out = ingest(text_of("rdma-link.json").replace("ACTIVE", "DOWN", 1))

    assert code == ExitCode.INCONCLUSIVE
    assert "1 of 4 RDMA ports are not ACTIVE: ionic_0 DOWN" in out


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (SUBNET, "has 2 ports of an InfiniBand subnet without a link"),
        (host("hfi1-file-list.txt"), "names of files in sysfs without their values"),
    ],
)
def test_what_is_known_and_not_judged_is_told_as_such(ingest, text, what):
    code, out = ingest(text)

    assert code == ExitCode.INCONCLUSIVE
    assert what in out


def test_ports_with_priorities_of_their_own_have_no_such_remark(ingest):
    assert "PFC cannot be judged" not in ingest(text_of("ethtool-ice.txt"))[1]


def test_what_grows_on_one_port_alone_is_not_suspicious(ingest):
    assert "suspicious" not in ingest(text_of("rdma-statistic.json"))[1]


def test_ports_without_one_counter_are_told_as_not_looked_at_and_ports_with_some_are_not(ingest):
    unseen = "no counters were handed over, so losses, errors and pauses were not looked at"
    link = "link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev eth0\n"
    counted = "/sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_buffer:7\n"

    assert unseen in ingest(link)[1]
    assert unseen not in ingest(link + counted)[1]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_traffic_class_that_no_paste_tells_is_told_as_not_known(tmp_path, capsys, is_told):
    text = text_of("qos.txt")
    if not is_told:
        text = "\n".join(each for each in text.splitlines() if "tos" not in each and "tclass" not in each)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(text)

    main(["ingest", *(f"{name}={tmp_path / name}" for name in ("a", "b", "c"))])

    told = " ".join(capsys.readouterr().out.split())
    assert ("the traffic class of RDMA could not be read on 3 RDMA ports" in told) is not is_told
