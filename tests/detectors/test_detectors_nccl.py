"""NCCL that fell back: to sockets, to host memory, to fewer NICs, to one that is far from the GPU."""

from dataclasses import replace

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.detectors.nccl_fallback import DETECTOR
from netprobe.model.limits import Limits
from netprobe.model.nccl import Direction, NcclFacts, NcclWay
from netprobe.model.plan import Path, Plan, Scope, Stage

THREE = 'hosts = ["node1", "node2", "node3"]\n'
NIC = '[[nics]]\nname = "mlx5_0"\n'
SECOND = '[[nics]]\nname = "mlx5_1"\nnetdev = "eth1"\n'
DIRECT = '[[nccl]]\ndevices = ["mlx5_0"]\ndirect = 8\n'
SOCKETS = '[[nccl]]\non = ["node2"]\nnetwork = "Socket"\ndirect = 0\nstaged = 8\ndevices = []\n'
STAGED = '[[nccl]]\non = ["node2"]\ndirect = 0\nstaged = 8\n'


def found(*blocks):
    return findings("nccl-fallback", THREE + "".join(blocks))


def untold(*blocks):
    return gaps("nccl-fallback", THREE + "".join(blocks))


def test_one_host_over_sockets_where_rdma_is_active_blocks_and_is_to_be_left_out():
    (told,) = found(NIC, DIRECT, SOCKETS)

    assert (told.subjects, told.hosts, told.severity, told.confidence) == (("node2",), ("node2",), "blocks", "high")
    assert told.facts[0].expected == "RDMA by mlx5_0"


def test_a_whole_fabric_over_sockets_leaves_nobody_out():
    (told,) = found(NIC, '[[nccl]]\nnetwork = "Socket"\nstaged = 8\n')

    assert (told.subjects, told.hosts, told.severity) == (("node1", "node2", "node3"), (), "blocks")


def test_sockets_that_carried_nothing_yet_degrade():
    (told,) = found(NIC, '[[nccl]]\nnetwork = "Socket"\n')

    assert told.severity == "degrades"


def test_hosts_without_an_active_port_have_nothing_better_than_sockets():
    down = '[[nics]]\nname = "mlx5_0"\nport = { state = "DOWN" }\n'

    assert found(down, '[[nccl]]\nnetwork = "Socket"\nstaged = 8\n') == []


def test_software_rdma_is_no_better_than_sockets():
    soft = '[[nics]]\nname = "rxe0"\nport = { pci = "none", node_guid = "0000" }\n'

    assert found(soft, '[[nccl]]\nnetwork = "Socket"\nstaged = 8\n') == []


def test_without_inventories_the_other_hosts_of_the_job_show_that_rdma_is_there():
    (told,) = found(DIRECT, SOCKETS)

    assert (told.subjects, told.confidence) == (("node2",), "medium")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('[["NCCL_IB_DISABLE", "1"]]', "unset NCCL_IB_DISABLE=1"),
        ('[["NCCL_NET", "Socket"]]', "unset NCCL_NET=Socket"),
        ('[["NCCL_IB_HCA", "mlx5_7"]]', "NCCL_IB_HCA=mlx5_7: let it name"),
        ("[]", "/dev/infiniband"),
    ],
)
def test_what_keeps_nccl_from_rdma_is_named(settings, says):
    (told,) = found(NIC, DIRECT, SOCKETS, f"set = {{ settings = {settings} }}\n")

    assert says in told.next_action


def test_a_plug_ins_network_is_no_fallback():
    assert found(NIC, '[[nccl]]\nnetwork = "AWS Libfabric"\ndirect = 8\n') == []


def test_connections_through_host_memory_degrade_and_what_is_not_known_of_the_host_lowers_confidence():
    (told,) = found(NIC, DIRECT, STAGED)

    assert (told.subjects, told.severity, told.confidence) == (("node2",), "degrades", "medium")
    assert told.facts[0].observed == "100 %"


def test_where_the_inventory_says_why_gpudirect_is_off_the_other_detector_tells_it():
    assert found(NIC, '[[systems]]\nset = { gpu_direct = "none" }\n', DIRECT, STAGED) == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("has_gpu_direct = true", "NCCL finds them too far from the GPUs"),
        ("has_gpu_direct = false", "modprobe nvidia-peermem"),
        ('settings = [["NCCL_NET_GDR_LEVEL", "LOC"]]', "unset NCCL_NET_GDR_LEVEL=LOC; modprobe"),
    ],
)
def test_what_keeps_nccl_from_gpudirect_is_named(said, says):
    (told,) = found(NIC, DIRECT, STAGED, f"set = {{ {said} }}\n")

    assert says in told.next_action


def test_receiving_counts_where_both_directions_are_told_since_some_gpus_send_through_host_memory_on_purpose():
    ways = (
        NcclWay(kind="NET", detail="IB", device=0, direction=Direction.SEND, connections=8),
        NcclWay(kind="NET", detail="IB", device=0, direction=Direction.RECEIVE, is_gpu_direct=True, connections=8),
    )
    nothing = evidence_in(THREE)

    told = DETECTOR.detect(replace(nothing, nccl=(NcclFacts(host="node1", network="IB", ways=ways),)), Limits())

    assert list(told) == []


def test_connections_that_receive_with_gpudirect_are_fine():
    receiving = '[[nccl]]\ndevices = ["mlx5_0"]\ndirect = 8\ndirection = "receive"\n'

    assert found(NIC, receiving) == []


def test_an_active_nic_that_is_not_used_is_named():
    (told,) = found(NIC, SECOND, DIRECT)[:1]

    assert (told.subjects, told.confidence) == (("node1",), "high")
    assert told.facts[0].observed == "not mlx5_1"


def test_a_list_of_devices_is_how_the_site_wants_it():
    listed = 'set = { settings = [["NCCL_IB_HCA", "mlx5_0"]] }\n'

    assert found(NIC, SECOND, DIRECT, listed) == []


def test_a_port_of_the_default_route_is_not_missed():
    management = SECOND + "net = { is_default_route = true }\n"

    assert found(NIC, management, DIRECT) == []


def test_without_inventories_a_host_with_fewer_ports_than_most_is_named():
    two = '[[nccl]]\ndevices = ["mlx5_0", "mlx5_1"]\ndirect = 8\n'

    (told,) = found(two, '[[nccl]]\non = ["node3"]\ndevices = ["mlx5_0"]\n')

    assert (told.subjects, told.hosts, told.confidence) == (("node3",), ("node3",), "medium")


GPU = '[[gpus]]\naddress = "0000:1b:00.0"\npci = { numa_node = 0, path = ["0000:00:01.0", "0000:10:00.0"] }\n'
NEAR = NIC + 'pci = { address = "0000:17:00.0", path = ["0000:00:01.0", "0000:10:00.0"] }\n'
FAR = SECOND + (
    'pci = { address = "0000:97:00.0", numa_node = 1, path = ["0000:80:01.0"] }\nport = { pci = "0000:97:00.0" }\n'
)
BOTH = '[[nccl]]\ndevices = ["mlx5_0", "mlx5_1"]\ndirect = 8\nset = { gpu_pci = "0000:1b:00.0" }\n'


def test_a_gpu_whose_connections_all_avoid_its_nearest_nic_is_told():
    (told,) = found(GPU, NEAR, FAR, BOTH, '[[nccl]]\non = ["node2"]\nby = 1\n')

    assert (told.subjects, told.hosts) == (("node2",), ())
    assert told.facts[0].observed == "mlx5_1"
    assert told.facts[0].expected.startswith("mlx5_0")


def test_what_nccl_warned_of_keeps_the_verdict_from_being_healthy():
    (told,) = untold(NIC, DIRECT, '[[nccl]]\non = ["node2"]\nset = { warnings = ["Got completion with error 12"] }\n')

    assert told.undermines
    assert told.reason == "NCCL warned on node2: Got completion with error 12"


def test_a_log_that_ends_before_its_channels_were_connected_is_a_gap():
    (told,) = untold(NIC, '[[nccl]]\ndevices = ["mlx5_0"]\n')

    assert "no connection between hosts" in told.reason


def test_nothing_is_said_where_nccl_was_not_used():
    assert found(NIC) == untold(NIC) == []


def test_a_run_over_nccl_knows_by_itself_whether_it_went_on_after_a_warning():
    own = Stage(id="nccl", probe="allreduce", scope=Scope.WORLD, sizes_bytes=(8,), path=Path.NCCL)
    facts = NcclFacts(host="node1", network="IB", warnings=("odd",))
    evidence = replace(evidence_in(THREE), plan=Plan(profile="test", seed=0, stages=(own,)), nccl=(facts,))

    (told,) = DETECTOR.detect(evidence, Limits())

    assert not told.undermines
