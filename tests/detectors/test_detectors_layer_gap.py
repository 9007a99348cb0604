"""MPI and NCCL against verbs on the same pairs: which layer loses, on whose hosts, and when nothing is judged."""

import pytest
from detector_scenario import answers, evidence_in, findings

from netprobe.locate.layers import layer_tables
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.plan import Memory, Path

HOSTS = tuple(f"node{number}" for number in range(1, 7))
GPU = {"send_memory": "device", "receive_memory": "device"}


def only(found):
    assert len(found) == 1, found
    return found[0]


def layer(path, gbps, *, size="8M", odd="", probe="bandwidth", **fields):
    lines = "".join(f'{name} = "{value}"\n' for name, value in fields.items() if name != "only")
    lines += f"only = {fields['only']}\n" if "only" in fields else ""
    return (
        f'[[pairs]]\nprobe = "{probe}"\npath = "{path}"\nsize = "{size}"\ngbps = {gbps}\n'
        f"odd = [{odd}]\n{lines}\n"
    )  # fmt: skip


def fabric(*layers, hosts=HOSTS, nic="", before=""):
    return (
        f'hosts = {list(hosts)}\n{before}\n[[nics]]\nname = "mlx5_0"\n{nic}\n[[endpoints]]\n' + "".join(layers)
    )  # fmt: skip


VERBS, VERBS_GPU = layer("verbs", 392.0), layer("verbs", 388.0, **GPU)


def test_layers_that_keep_their_rate_are_examined_and_clean():
    assert answers("layer-gap", fabric(VERBS, layer("mpi", 371.0), VERBS_GPU, layer("nccl", 360.0, **GPU))) == []


def test_mpi_that_loses_on_all_hosts_is_told_and_blames_nobody_since_a_job_may_bring_another():
    gap = only(answers("layer-gap", fabric(VERBS, layer("mpi", 23.0))))

    assert gap.reason.startswith("MPI keeps 5.9 % of the rate of verbs on the same pairs: 23.0 Gb/s of 392 Gb/s")
    assert not gap.undermines
    assert "tcp instead of rc" in gap.remedy
    assert "UCX_NET_DEVICES" in gap.remedy


def test_nccl_that_loses_on_all_hosts_degrades_and_says_what_to_look_at():
    found = only(findings("layer-gap", fabric(VERBS, VERBS_GPU, layer("nccl", 201.0, **GPU))))

    assert found.severity is Severity.DEGRADES
    assert (
        "NCCL keeps 52 % of the rate of verbs on the same pairs: 201 Gb/s of 388 Gb/s (GPU memory, 8M)" in found.summary
    )
    for word in ("NCCL_DEBUG=INFO", "NCCL_IB_HCA", "NCCL_IB_QPS_PER_CONNECTION", "NCCL_NET_GDR_LEVEL"):
        assert word in found.next_action


def test_two_libraries_that_lose_are_told_apart():
    told = answers("layer-gap", fabric(VERBS_GPU, layer("mpi", 189.0, **GPU), layer("nccl", 201.0, **GPU)))

    of_mpi, of_nccl = (only([each for each in told if isinstance(each, kind)]) for kind in (Gap, Finding))
    assert of_mpi.reason.startswith("MPI keeps")
    assert "built for CUDA" in of_mpi.remedy
    assert of_nccl.summary.startswith("NCCL keeps")


def test_one_library_that_loses_on_both_kinds_of_memory_is_one_finding_with_a_fact_of_each():
    odd = '{ from = "node4", gbps = 90.0 }, { to = "node4", gbps = 95.0 }'
    of_mpi = layer("mpi", 371.0, odd=odd), layer("mpi", 371.0, odd=odd, **GPU)
    found = only(findings("layer-gap", fabric(VERBS, VERBS_GPU, *of_mpi)))

    assert [fact.metric for fact in found.facts] == ["MPI bandwidth 8M, host memory", "MPI bandwidth 8M, GPU memory"]


def test_a_host_on_which_alone_a_library_loses_is_named():
    odd = '{ from = "node4", gbps = 90.0 }, { to = "node4", gbps = 95.0 }'

    found = only(findings("layer-gap", fabric(VERBS, layer("mpi", 371.0, odd=odd))))

    assert (found.subjects, found.hosts) == (("node4",), ("node4",))
    assert (found.severity, found.confidence) == (Severity.DEGRADES, Confidence.HIGH)
    assert "what all hosts share (MPI keeps 95 % on other pairs)" in found.excluded
    assert found.retest == "netprobe check --hosts node4,node1,node2"


def test_a_pair_that_no_host_explains_is_named_as_a_pair():
    odd = '{ between = ["node1", "node2"], gbps = 90.0 }'

    found = only(findings("layer-gap", fabric(VERBS, layer("mpi", 371.0, odd=odd))))

    assert (found.subjects, found.hosts, found.confidence) == (("node1 <-> node2",), (), Confidence.MEDIUM)


@pytest.mark.parametrize(("ends", "answer"), [("node1 node2", Finding), ("node1 node4", Gap)])
def test_a_pair_behind_two_leaves_may_share_an_uplink_and_one_behind_a_leaf_does_not(ends, answer):
    one, other = ends.split()
    leaves = 'leaves = { leaf1 = ["node1", "node2", "node3"], leaf2 = ["node4", "node5", "node6"] }'
    odd = f'{{ between = ["{one}", "{other}"], gbps = 250.0 }}'

    told = only(answers("layer-gap", fabric(VERBS, layer("mpi", 371.0, odd=odd), before=leaves)))

    assert isinstance(told, answer)
    assert "MPI keeps 64 %" in (told.summary if isinstance(told, Finding) else told.reason)


def test_two_hosts_are_a_pair_and_neither_is_blamed():
    found = only(findings("layer-gap", fabric(VERBS, layer("mpi", 90.0), hosts=HOSTS[:2])))

    assert (found.subjects, found.hosts) == (("node1 <-> node2",), ())


@pytest.mark.parametrize("verbs_gbps", [20.0, 150.0])
def test_what_verbs_do_not_reach_themselves_is_no_librarys_fault(verbs_gbps):
    assert answers("layer-gap", fabric(layer("verbs", verbs_gbps), layer("mpi", verbs_gbps / 3))) == []


def test_a_site_that_expects_more_of_verbs_hears_of_that_first():
    layers = layer("verbs", 300.0), layer("mpi", 100.0)

    assert only(answers("layer-gap", fabric(*layers))).reason.startswith("MPI keeps 33 %")
    assert answers("layer-gap", fabric(*layers, before="limits = { expected_bandwidth_gbps = 380.0 }")) == []


def test_software_rdma_is_never_judged_whichever_layer_is_faster():
    soft = 'port = { pci = "none", node_guid = "0250:56ff:fe00:0001" }'

    assert answers("layer-gap", fabric(layer("verbs", 9.0), layer("mpi", 1.0), nic=soft)) == []
    assert answers("layer-gap", fabric(layer("mpi", 9.0, **GPU), layer("nccl", 1.0, **GPU), nic=soft)) == []
    assert answers("layer-gap", fabric(layer("verbs", 1.0), layer("mpi", 9.0), nic=soft)) == []


def test_ports_of_which_nobody_knows_whether_they_are_hardware_are_a_gap():
    text = fabric(VERBS, layer("mpi", 23.0)).replace('[[nics]]\nname = "mlx5_0"\n', "")

    gap = only(answers("layer-gap", text))

    assert gap.reason.startswith("whether the RDMA ports of node1, node2, node3, node4 and 2 more are hardware")


def test_pairs_of_hosts_whose_ranks_wait_for_cpus_are_left_out_and_that_is_said():
    odd = '{ from = "node4", gbps = 90.0 }, { to = "node4", gbps = 95.0 }'
    waits = '[[counters]]\non = "node4"\ngrown = { "process/run_delay_ns" = 300000000 }\n'

    gap = only(answers("layer-gap", fabric(VERBS, layer("mpi", 371.0, odd=odd)) + waits))

    assert gap.reason.startswith("ranks of node4 wait for a CPU")


def test_messages_below_a_mebibyte_tell_nothing_of_bandwidth():
    gap = only(answers("layer-gap", fabric(layer("verbs", 380.0, size="512K"), layer("mpi", 90.0, size="512K"))))

    assert "such messages tell what each of them costs" in gap.reason
    assert answers("layer-gap", fabric(layer("verbs", 380.0, size="512K"), layer("mpi", 370.0, size="512K"))) == []


def test_nccl_which_starts_kernels_is_not_judged_by_a_mebibyte():
    small = {"size": "1M", **GPU}
    gap = only(answers("layer-gap", fabric(layer("verbs", 380.0, **small), layer("nccl", 190.0, **small))))

    assert gap.reason.startswith("NCCL keeps 50 % of the rate of verbs (GPU memory, 1M): such messages tell")


def test_sizes_a_factor_of_eight_apart_are_compared_and_said_and_more_are_not():
    near = only(answers("layer-gap", fabric(layer("verbs", 392.0, size="8M"), layer("mpi", 90.0, size="1M"))))
    far = only(answers("layer-gap", fabric(layer("verbs", 392.0, size="16M"), layer("mpi", 90.0, size="1M"))))

    assert "(host memory, 1M against 8M)" in near.reason
    assert "MPI was measured at other sizes" in far.reason


def test_the_largest_size_that_both_have_is_taken():
    layers = layer("verbs", 392.0), layer("verbs", 380.0, size="1M"), layer("mpi", 200.0, size="1M")

    assert "200 Gb/s of 380 Gb/s (host memory, 1M)" in only(answers("layer-gap", fabric(*layers))).reason


def test_the_faster_of_two_layers_below_is_what_nccl_is_held_against():
    one_queue_pair, rails = layer("verbs", 284.0, **GPU), layer("mpi", 390.0, **GPU)

    found = only(findings("layer-gap", fabric(one_queue_pair, rails, layer("nccl", 240.0, **GPU))))

    assert "NCCL keeps 62 % of the rate of MPI" in found.summary


def test_pairs_in_common_alone_are_compared():
    apart = layer("mpi", 90.0, only=[["node1", "node2"]])
    told = answers("layer-gap", fabric(layer("verbs", 392.0, only=[["node3", "node4"]]), apart))
    (table,) = layer_tables(evidence_in(fabric(VERBS, apart)).pairs)

    assert "MPI and verbs were measured with different pairs" in only(told).reason
    assert table.against(table.layer(Path.MPI, (Memory.HOST, Memory.HOST))).pairs == 2


def test_mpi_on_gpu_memory_without_verbs_there_is_a_gap():
    gap = only(answers("layer-gap", fabric(VERBS, layer("mpi", 371.0), layer("mpi", 100.0, **GPU))))

    assert gap.reason.startswith("MPI was measured with GPU memory, and verbs were not")


def test_a_fabric_without_rdma_has_no_layers_and_no_gap():
    assert answers("layer-gap", fabric(layer("mpi", 23.0))) == []
