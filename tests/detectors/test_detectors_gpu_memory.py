"""RDMA in the four combinations of host and GPU memory: who is named, why, and when nobody can be."""

from itertools import product

import pytest
from detector_scenario import answers, findings, gaps
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.finding import Confidence, Severity

HOSTS = ("node1", "node2", "node3")
WAYS = {"dh": ("device", "host"), "hd": ("host", "device"), "dd": ("device", "device")}
NEAR = '["0000:15:01.0", "0000:16:00.0"]'


def only(found):
    assert len(found) == 1, found
    return found[0]


def fabric(*, gpu_path=NEAR, gpu_numa=0, gpu_direct="dma-buf", size="8M", host_gbps=392.0, extra="", **rates):
    """Three hosts with a GPU and a NIC each; ``dh={"node2": 190.0}``: what a host's pairs do in its own role."""
    text = f"""
hosts = {list(HOSTS)}
{extra}
[[nics]]
name = "mlx5_0"
pci = {{ path = {NEAR}, is_access_control_known = true }}

[[gpus]]
address = "0000:1b:00.0"
pci = {{ path = {gpu_path}, numa_node = {gpu_numa}, is_access_control_known = true }}

[[systems]]
set = {{ gpu_direct = "{gpu_direct}" }}

[[endpoints]]

[[pairs]]
probe = "bandwidth"
path = "verbs"
size = "{size}"
gbps = {host_gbps}
"""
    for way, (send, receive) in WAYS.items():
        told = rates.get(way, {})
        if told is None:
            continue
        end = "to" if way == "hd" else "from"
        odd = ", ".join(f'{{ {end} = "{host}", gbps = {gbps} }}' for host, gbps in told.items())
        text += f"""
[[pairs]]
probe = "bandwidth"
path = "verbs"
size = "{size}"
gbps = 388.0
send_memory = "{send}"
receive_memory = "{receive}"
odd = [{odd}]
"""
    return text


def test_gpus_that_keep_their_rate_are_examined_and_clean():
    assert answers("gpudirect-off", fabric()) == []


def test_a_host_that_sends_slowly_from_its_gpu_is_named_and_its_partners_are_not():
    found = only(findings("gpudirect-off", fabric(dh={"node2": 190.0}, dd={"node2": 190.0})))

    assert (found.subjects, found.hosts) == (("node2",), ("node2",))
    assert (found.severity, found.confidence) == (Severity.DEGRADES, Confidence.HIGH)
    assert found.summary.startswith("sends from GPU memory at 48 % of host memory's rate (RDMA bandwidth 8M)")
    assert found.facts[0].metric == "node2:1 sends from GPU memory; GPU 0000:1b:00.0 and mlx5_0 (PIX)"
    assert (found.facts[0].observed, found.facts[0].expected) == ("190 Gb/s (48 %)", "at least 314 Gb/s")
    assert "the other ends (they used host memory)" in found.excluded


def test_a_host_that_receives_slowly_into_its_gpu_is_named():
    found = only(findings("gpudirect-off", fabric(hd={"node3": 100.0}, dd={})))

    assert found.subjects == ("node3",)
    assert found.summary.startswith("receives into GPU memory at 26 % of host memory's rate")


def test_a_host_that_is_slow_both_ways_is_one_finding():
    found = only(findings("gpudirect-off", fabric(dh={"node2": 190.0}, hd={"node2": 230.0})))

    assert found.summary.startswith(
        "sends from GPU memory at 48 % and receives into GPU memory at 59 % of host memory's"
    )


def test_a_gpu_below_the_nics_switch_is_not_said_to_cross_the_root_complex_and_one_on_the_other_cpu_is():
    near = only(findings("gpudirect-off", fabric(dh={"node2": 190.0})))
    far = only(findings("gpudirect-off", fabric(dh={"node2": 190.0}, gpu_path='["0000:97:01.0"]', gpu_numa=1)))

    assert "though GPUDirect is there (dma-buf), and both are below one switch" in near.summary
    assert "lspci -vvv | grep ACSCtl" in near.next_action
    assert "GPUDirect works, and crosses the root complex between GPU and NIC (SYS)" in far.summary
    assert "no NIC is nearer" in far.next_action


def test_a_nic_that_is_nearer_than_the_one_in_use_is_named():
    other = '[[nics]]\nname = "mlx5_1"\nnetdev = "eth1"\nport = { pci = "0000:9a:00.0" }\n'
    other += 'pci = { address = "0000:9a:00.0", path = ["0000:97:01.0"], numa_node = 1 }\n'
    text = fabric(dh={"node2": 190.0}, gpu_path='["0000:97:01.0"]', gpu_numa=1) + other

    found = only(findings("gpudirect-off", text))

    assert "give each rank the NIC nearest to its GPU: mlx5_1 (PIX) for GPU 0000:1b:00.0" in found.next_action


def test_where_the_way_to_the_nic_is_not_known_the_finding_says_so_and_is_less_sure():
    text = fabric(dh={"node2": 190.0}, gpu_path="[]", gpu_numa='"none"').replace("0000:1b:00.0", "0001:01:00.0")

    found = only(findings("gpudirect-off", text))

    assert found.confidence is Confidence.MEDIUM
    assert "how far is not known" in found.summary


def test_what_was_measured_of_a_host_without_a_module_is_evidence_of_that_one_finding():
    text = fabric(dh={"node2": 150.0}, dd={"node2": 150.0})
    text += '[[systems]]\non = ["node2"]\nset = { gpu_direct = "none" }\n'

    found = only(findings("gpudirect-off", text))

    assert found.subjects == ("node2",)
    assert found.summary.startswith("neither a peer-memory module nor dma-buf")
    assert "measured: sends from GPU memory at 38 % of host memory's rate (RDMA bandwidth 8M)" in found.summary
    assert [fact.observed for fact in found.facts] == ["none", "150 Gb/s (38 %)", "388 Gb/s (99 %)"]


def test_a_missing_module_is_less_sure_where_gpu_memory_keeps_its_rate():
    text = fabric() + '[[systems]]\non = ["node2"]\nset = { gpu_direct = "none" }\n'

    found = only(findings("gpudirect-off", text))

    assert (found.subjects, found.confidence) == (("node2",), Confidence.MEDIUM)
    assert "measured" not in found.summary
    assert found.facts[-1].observed == "388 Gb/s (99 %)"


def test_bridges_that_redirect_explain_a_slow_gpu():
    text = fabric(dh=dict.fromkeys(HOSTS, 200.0), dd=dict.fromkeys(HOSTS, 200.0))
    text = text.replace(
        "numa_node = 0, is_access", 'numa_node = 0, access_control = ["0000:17:01.0"], is_access'
    )  # below the switch that both share

    found = only(findings("gpudirect-off", text))

    assert found.summary.startswith(
        "bridges between GPU and NIC redirect to the root complex (ACS): 0000:17:01.0; measured"
    )


def test_an_iommu_that_translates_is_more_than_a_warning_where_a_gpu_is_slow():
    text = fabric(dh={"node2": 190.0}, gpu_direct="peer-memory") + '[[systems]]\nset = { iommu = "translated" }\n'

    found = {each.subjects: each.severity for each in findings("gpudirect-off", text)}

    assert found == {("node2",): Severity.DEGRADES, ("node1", "node3"): Severity.WARNS}


def test_an_iommu_that_translates_does_not_hide_what_is_slow_from_gpu_to_gpu():
    text = fabric(dd=dict.fromkeys(HOSTS, 190.0)) + '[[systems]]\nset = { iommu = "translated" }\n'

    found = {each.subjects: each.severity for each in findings("gpudirect-off", text)}

    assert found == {HOSTS: Severity.WARNS, ("fabric",): Severity.DEGRADES}


def test_all_hosts_alike_leave_out_nobody():
    found = only(findings("gpudirect-off", fabric(dh=dict.fromkeys(HOSTS, 190.0))))

    assert (found.subjects, found.hosts) == (HOSTS, ())


def test_pairs_that_are_slow_from_gpu_to_gpu_alone_blame_no_host():
    found = only(findings("gpudirect-off", fabric(dd={"node1": 190.0})))

    assert found.subjects == ("node1 -> node2", "node1 -> node3")
    assert found.hosts == ()
    assert "each end alone keeps its rate" in found.summary


def test_two_combinations_of_four_say_that_it_is_slow_and_not_at_which_end():
    told = answers("gpudirect-off", fabric(dh=None, hd=None, dd=dict.fromkeys(HOSTS, 190.0)))

    found, gap = told
    assert found.subjects == ("fabric",)
    assert "which end it is, was not measured" in found.summary
    assert "at 1M and more: GPU → host, host → GPU)" in gap.reason


def test_gpus_and_nics_that_were_never_measured_together_are_a_gap():
    gap = only(gaps("gpudirect-off", fabric(dh=None, hd=None, dd=None)))

    assert (
        "what GPU memory costs was not measured over RDMA, though node1, node2, node3 have GPUs and NICs" in gap.reason
    )


def test_gpus_and_nics_of_which_mpi_alone_was_measured_are_a_gap():
    text = fabric(dh=None, hd=None, dd=None).replace('path = "verbs"', 'path = "mpi"')

    assert "host memory, GPU → host" in only(gaps("gpudirect-off", text)).reason


def test_settings_alone_ask_for_no_measurement():
    text = fabric(dh=None, hd=None, dd=None).partition("[[pairs]]")[0]

    assert answers("gpudirect-off", text) == []


def test_software_rdma_is_not_judged():
    soft = '[[nics]]\nname = "mlx5_0"\nport = { pci = "none", node_guid = "0001" }\n'

    assert answers("gpudirect-off", fabric(dh={"node2": 190.0}) + soft) == []


def test_hosts_whose_ranks_wait_for_cpus_are_not_judged():
    waits = "".join(
        f'[[counters]]\non = "{host}"\ngrown = {{ "process/run_delay_ns" = 300000000 }}\n' for host in HOSTS
    )

    told = answers("gpudirect-off", fabric(dh={"node2": 190.0}) + waits)

    assert "no two ranks have RDMA ports that are known to be hardware" in only(told).reason


def test_small_messages_tell_nothing_of_the_bus_and_that_is_said():
    gap = only(answers("gpudirect-off", fabric(size="64K", dh={"node2": 100.0})))

    assert "not between the same ranks at 1M and more: host memory, GPU → host" in gap.reason


RATES = st.floats(min_value=20.0, max_value=400.0)


@given(
    st.fixed_dictionaries({way: st.fixed_dictionaries(dict.fromkeys(HOSTS, RATES)) for way in WAYS}),
    st.fixed_dictionaries({way: st.fixed_dictionaries(dict.fromkeys(HOSTS, st.floats(1.0, 3.0))) for way in WAYS}),
)
def test_faster_gpus_never_make_a_finding_where_there_was_none_and_blame_nobody_else(rates, gains):
    faster = {way: {host: rates[way][host] * gains[way][host] for host in HOSTS} for way in WAYS}

    before, after = (findings("gpudirect-off", fabric(**each)) for each in (rates, faster))

    assert before or not after
    named_before, named_after = (
        {name for each in told for name in each.subjects} & set(HOSTS) for told in (before, after)
    )
    assert named_after <= named_before


@pytest.mark.parametrize(("way", "host"), list(product(("dh", "hd"), HOSTS)))
def test_a_hair_decides(way, host):
    limit = 0.8 * 392.0

    assert findings("gpudirect-off", fabric(**{way: {host: limit - 0.1}, "dd": {}}))
    assert not findings("gpudirect-off", fabric(**{way: {host: limit + 0.1}, "dd": {}}))
