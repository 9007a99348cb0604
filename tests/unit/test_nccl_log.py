"""NCCL's log, read: what each kind of line says, and that nothing which is pasted breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nccl_logs import VERSION, WITHOUT_DRIVER, rank_log

from netprobe.model.nccl import Direction
from netprobe.transports.nccl_log import NcclLog, parse_nccl_log

PREFIX = "node1:100:200 [0] NCCL INFO "
PIECES = st.sampled_from(
    [
        *rank_log("node1").splitlines(), *WITHOUT_DRIVER.splitlines(), VERSION, PREFIX, "\0",
        "NET/IB : Using [0]={[0] mlx5_2:1/RoCE, [1] mlx5_3:1/RoCE} ", "NCCL WARN ", "[999]", "busId ffffffffffffffff ",
        "Channel 01/0 : 0[0] -> 1[0] via ", "\u0661\u0662", "a" * 300 + ":", ":1:2 ", "\r",
    ]
)  # fmt: skip


def only(text):
    """Return the facts of the one process that a text is of."""
    [facts] = parse_nccl_log(text)
    return facts


def said(line):
    """Return what one line of a process says."""
    return only(PREFIX + line)


def way(words):
    """Return the way that one connection goes."""
    [found] = said(words).ways
    return found


def test_a_log_tells_version_network_devices_rank_and_gpu():
    facts = only(f"{VERSION}\n{rank_log('node1', rank=1)}")

    assert (facts.version, facts.cuda, facts.network) == ("2.21.5", "12.4", "IB")
    assert (facts.host, facts.pid, facts.rank, facts.ranks, facts.gpu_pci) == ("node1", 101, 1, 2, "0000:18:00.0")
    assert [(each.index, each.ports, each.link) for each in facts.devices] == [
        (0, ("mlx5_0",), "RoCE"),
        (1, ("mlx5_1",), "RoCE"),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/IB/3/GDRDMA", ("NET", "IB", 3, "send", True, None)),
        ("Channel 01 : 2[c7000] -> 0[87000] [receive] via NET/IB/5", ("NET", "IB", 5, "receive", False, None)),
        ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/IB/0(7)/GDRDMA/Shared", ("NET", "IB", 0, "send", True, 7)),
        ("Channel 00/0 : 0[0] -> 8[0] [send] via NET/IB/0/GDRDMA(PCI)", ("NET", "IB", 0, "send", True, None)),
        ("Channel 00/0 : 1[0] -> 2[0] [receive] via NET/IBext_v8/1", ("NET", "IBext_v8", 1, "receive", False, None)),
        ("Channel 00/0 : 1[0] -> 2[0] via NET/AWS Libfabric/1/GDRDMA", ("NET", "AWS Libfabric", 1, None, True, None)),
        ("Channel 04/0 : 0[0] -> 7[7] via P2P/CUMEM/read", ("P2P", "CUMEM", None, None, False, None)),
        ("Channel 04/0 : 0[0] -> 7[7] via P2P/IPC", ("P2P", "IPC", None, None, False, None)),
        ("Channel 02 : 0[0] -> 1[1] via SHM/direct/direct", ("SHM", "direct", None, None, False, None)),
        ("CollNet 00/0 : 0 [send] via COLLNET/SHARP/0/GDRDMA", ("COLLNET", "SHARP", 0, "send", True, None)),
    ],
)  # fmt: skip
def test_each_way_of_a_connection_is_known(words, expected):
    found = way(words)

    direction = None if expected[3] is None else Direction(expected[3])
    told = (found.kind, found.detail, found.device, found.direction, found.is_gpu_direct, found.proxy)
    assert told == (*expected[:3], direction, *expected[4:])


def test_connections_that_go_alike_are_counted():
    line = PREFIX + "Channel 00/0 : 0[0] -> 1[0] via P2P/CUMEM\n"

    [found] = only(line * 16).ways

    assert found.connections == 16


def test_devices_that_nccl_takes_for_one_are_one_with_two_ports():
    merged = said("NET/IB : Using [0]={[0] mlx5_2:1/RoCE, [1] mlx5_3:2/RoCE} [1]mlx5_0:1/IB/SHARP [RO]; OOB eth0:1<0>")
    virtual = only(f"{PREFIX}NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB ; OOB eth0:1<0>\n"
                   f"{PREFIX}NET/IB : Made virtual device [2] name=mlx5_0+mlx5_1 speed=800000 ndevs=2")  # fmt: skip

    assert [each.ports for each in merged.devices] == [("mlx5_2", "mlx5_3/2"), ("mlx5_0",)]
    assert [each.ports for each in virtual.devices] == [("mlx5_0",), ("mlx5_1",), ("mlx5_0", "mlx5_1")]


def test_sockets_and_their_interfaces_are_told_and_that_no_rdma_was_found():
    facts = only(
        f"{PREFIX}NET/IB : No device found.\n"
        f"{PREFIX}NET/Socket : Using [0]eth0:192.0.2.1<0> [1]eth1:fe80::1%eth1<0>\n"
        f"{PREFIX}Using network Socket"
    )

    assert (facts.network, facts.interfaces, facts.saw_no_rdma) == ("Socket", ("eth0", "eth1"), True)


def test_two_processes_that_wrote_at_once_are_told_apart():
    first, second = rank_log("node1"), rank_log("node1", rank=1)
    text = first + second + (
        "node1:100:200 [0] NCCL INFO Channel 03/0 : 0[0] -> 1[0] [send] via NET/IB/0/GDRDMA"
        "node1:101:201 [0] NCCL INFO Channel 03/0 : 1[0] -> 0[0] [send] via NET/IB/1\n"
    )  # fmt: skip

    facts = parse_nccl_log(text)

    assert [(each.host, each.pid) for each in facts] == [("node1", 100), ("node1", 101)]
    assert [[way.is_gpu_direct for way in each.ways if way.direction is Direction.SEND] for each in facts] == [
        [True],
        [False],
    ]


def test_gpus_of_one_process_share_what_it_printed_once():
    text = rank_log("node1") + (
        "node1:100:300 [1] NCCL INFO ncclCommInitAll comm 0x1 rank 1 nranks 2 cudaDev 1 nvmlDev 1 busId 2a000 "
        "commId 0x1 - Init START\n"
    )

    facts = parse_nccl_log(text)

    assert [(each.rank, each.gpu_pci, each.network) for each in facts] == [
        (0, "0000:18:00.0", "IB"),
        (1, "0000:2a:00.0", "IB"),
    ]
    assert facts[1].devices == facts[0].devices


def test_variables_warnings_and_algorithms_are_told():
    facts = only(
        f"{PREFIX}NCCL_IB_HCA set by environment to mlx5_0,mlx5_1.\n"
        f"{PREFIX}AllReduce: 8388608 Bytes -> Algo RING proto SIMPLE channel{{Lo..Hi}}={{0..7}}\n"
        f"{PREFIX}AllReduce: 8 Bytes -> Algo 0 proto 0 time 12.1\n"
        "node1:100:200 [0] misc/ibvwrap.cc:187 NCCL WARN Call to ibv_modify_qp failed with error Network is unreachable"
    )

    assert facts.settings == (("NCCL_IB_HCA", "mlx5_0,mlx5_1"),)
    assert facts.algorithms == ("RING SIMPLE", "TREE LL")
    assert facts.warnings == ("Call to ibv_modify_qp failed with error Network is unreachable",)


def test_what_nccl_printed_where_there_is_no_driver_is_a_warning():
    facts = only(WITHOUT_DRIVER)

    assert (facts.host, facts.network) == ("vm", None)
    assert facts.warnings[0].startswith("Cuda failure")


def test_a_line_of_somebody_else_is_not_taken():
    log = NcclLog()

    assert not log.take("# Using devices")
    assert not log.take("NCCL is a library")
    assert log.facts() == ()


@given(st.lists(st.one_of(PIECES, st.text(max_size=40)), max_size=30).map("".join))
def test_no_text_breaks_it(text):
    for facts in parse_nccl_log(text, "node9"):
        assert len(facts.warnings) <= 8
        assert all(way.connections > 0 for way in facts.ways)


@given(st.binary(max_size=400))
def test_no_bytes_behind_a_prefix_break_it(noise):
    parse_nccl_log(PREFIX + noise.decode("utf-8", errors="replace"))


def test_a_long_line_without_end_costs_no_time():
    parse_nccl_log("NCCL " + "a" * 60_000 + ":1:" * 500)
