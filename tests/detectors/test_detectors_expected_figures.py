"""Rates against the table of expectations: pairs over RDMA by memory, GPU and queue pairs; collectives of GPUs."""

from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import evidence_in
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.judge.expectations import load_expectations
from netprobe.model.evidence import GroupResult
from netprobe.model.expectation import Expectation, Kind
from netprobe.model.finding import Finding, Gap, Severity
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Path, Plan, Scope, Stage
from netprobe.model.rdma import RdmaOptions
from netprobe.registry import detectors

SHIPPED = load_expectations()
H100 = "NVIDIA H100 80GB HBM3"
FOUR = 'hosts = ["n1", "n2", "n3", "n4"]\n'
PORTS = '[[endpoints]]\n[[nics]]\nname = "mlx5_0"\n'
INFINIBAND = '[[endpoints]]\nset = { link_layer = "InfiniBand" }\n'
GIB = 1 << 30


def stream(gbps, size="8M", odd=""):
    return f'[[pairs]]\nprobe = "bandwidth"\npath = "verbs"\nsize = "{size}"\ngbps = {gbps}\nodd = [{odd}]\n'


def pings(us, size="8"):
    return f'[[pairs]]\nprobe = "latency"\npath = "verbs"\nsize = "{size}"\nus = {us}\n'


def gpus_of(ranks, name):
    return tuple(
        GpuEndpoint(
            rank=each.rank, ordinal=each.local_index, pci=f"0000:{each.local_index:02x}:00.0", name=name,
            memory_bytes=80 << 30, driver="12.8", runtime="12.8",
        )
        for each in ranks
    )  # fmt: skip


def measured(text, *, memory=Memory.HOST, gpu=None, queue_pairs=8, table=SHIPPED, groups=()):
    """Return a scenario's evidence with what scenarios do not tell: memories, GPUs, queue pairs, a table."""
    evidence = evidence_in(text)
    stages = tuple(
        Stage(
            id=each.stage, probe=each.probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=(each.size_bytes,), path=each.path,
            rdma=RdmaOptions(queue_pairs=queue_pairs),
        )
        for each in evidence.pairs
    )  # fmt: skip
    return replace(
        evidence,
        plan=Plan(profile="scenario", seed=0, stages=stages),
        pairs=tuple(replace(each, send_memory=memory, receive_memory=memory) for each in evidence.pairs),
        gpus=() if gpu is None else gpus_of(evidence.ranks, gpu),
        expectations=table,
        groups=groups,
    )


def answers(evidence, **limits):
    return list(detectors()["expectation"].detect(evidence, Limits(**limits)))


def found(evidence, **limits):
    return [each for each in answers(evidence, **limits) if isinstance(each, Finding)]


def told(evidence, **limits):
    return [each for each in answers(evidence, **limits) if isinstance(each, Gap)]


@pytest.mark.parametrize(
    ("ports", "options", "at_least"),
    [
        (PORTS, {}, 360.0),
        (PORTS + INFINIBAND, {}, 390.0),
        (PORTS, {"memory": Memory.DEVICE, "gpu": H100}, 380.0),
        (PORTS, {"memory": Memory.DEVICE, "gpu": "NVIDIA H200"}, 360.0),
        (PORTS, {"memory": Memory.DEVICE, "gpu": "AMD Instinct MI300X"}, 350.0),
        (PORTS, {"queue_pairs": 1}, 0.9 * 284.0),
    ],
    ids=["host", "host, InfiniBand", "H100", "H200", "MI300X", "one queue pair"],
)
def test_a_hair_below_a_figure_degrades_and_a_hair_above_is_silence(ports, options, at_least):
    below, above = (measured(FOUR + ports + stream(at_least * ratio), **options) for ratio in (0.995, 1.001))

    (finding,) = found(below)
    assert (finding.severity, finding.subjects) == (Severity.DEGRADES, ("fabric",))
    assert found(above) == []


def test_far_below_a_gate_blocks():
    (finding,) = found(measured(FOUR + PORTS + stream(269.0)))

    assert finding.severity is Severity.BLOCKS
    assert found(measured(FOUR + PORTS + stream(271.0)))[0].severity is Severity.DEGRADES


def test_a_finding_cites_the_source_and_the_key_of_its_figure():
    (finding,) = found(measured(FOUR + PORTS + stream(300.0), memory=Memory.DEVICE, gpu=H100))

    assert finding.summary == (
        "6 of 6 pairs of hosts fall short of what is expected; the worst: 300 Gb/s is 21 % below the expected 380 Gb/s "
        "(RDMA bandwidth 8M, GPU memory; gate of Azure/azurehpc-health-checks)"
    )
    assert finding.facts[0].basis == (
        "gate of Azure/azurehpc-health-checks (GPU memory, H100, 400 Gb/s, from 8 queue pairs, from 8M)"
    )
    assert "nvidia_peermem" in finding.next_action


def test_what_is_slow_from_host_memory_is_not_looked_for_at_gpus():
    (finding,) = found(measured(FOUR + PORTS + stream(300.0), gpu=H100))

    assert "nvidia_peermem" not in finding.next_action


def test_a_host_below_its_figure_with_all_partners_is_named():
    odd = ", ".join(f'{{ between = ["n2", "{other}"], gbps = 330.0 }}' for other in ("n1", "n3", "n4"))

    (finding,) = found(measured(FOUR + PORTS + stream(390.0, odd=odd)))

    assert finding.hosts == ("n2",)


def test_ranks_that_share_a_port_share_what_is_expected_of_it():
    two_each = 'hosts = ["n1", "n1", "n2", "n2"]\n' + PORTS

    assert found(measured(two_each + stream(181.0))) == []
    assert len(found(measured(two_each + stream(179.0)))) == 1


def test_short_windows_are_given_their_round_trip():
    # 16 messages of 1 MiB take 0.34 ms at 400 Gb/s; ten microseconds of it are 3 %
    assert found(measured(FOUR + PORTS + stream(352.0, size="1M"))) == []
    assert len(found(measured(FOUR + PORTS + stream(345.0, size="1M")))) == 1


def test_host_figures_are_not_used_for_gpu_memory_and_the_gap_names_the_gpu():
    evidence = measured(FOUR + PORTS + stream(300.0), memory=Memory.DEVICE, gpu="NVIDIA L40S")

    (gap,) = answers(evidence)

    assert gap.reason == (
        "bandwidth of RDMA was held against 40 % of the rate of its ports alone: "
        "the table of expectations has no figure for NVIDIA L40S"
    )


def test_gpu_figures_are_not_used_for_host_memory():
    of_gpus = tuple(each for each in SHIPPED if each.memory is Memory.DEVICE)

    (gap,) = answers(measured(FOUR + PORTS + stream(300.0), gpu=H100, table=of_gpus))

    assert gap.reason.endswith("no figure for bandwidth of host memory over verbs")


def test_limits_are_of_host_memory_and_go_before_the_table():
    text = FOUR + PORTS + stream(300.0)

    assert answers(measured(text), expected_bandwidth_gbps=300.0) == []
    (finding,) = found(measured(text, memory=Memory.DEVICE, gpu=H100), expected_bandwidth_gbps=300.0)
    assert "Azure" in finding.summary


def test_a_site_goes_before_the_shipped_table():
    own = Expectation(
        probe="bandwidth", path=Path.VERBS, memory=Memory.HOST, kind=Kind.GATE, source="ours", payload_bytes=1,
        line_ratio=0.6, is_site=True,
    )  # fmt: skip

    assert answers(measured(FOUR + PORTS + stream(300.0), table=(own, *SHIPPED))) == []


def test_what_one_queue_pair_can_do_is_told_as_that():
    (gap,) = answers(measured(FOUR + PORTS + stream(300.0), queue_pairs=1))

    assert gap.reason == (
        "RDMA bandwidth of host memory was held against what one queue pair can do, 71 % of the line rate: "
        "90 % (Mellanox/ngc_multinode_perf) is asked of 8 and more"
    )
    assert gap.remedy == "netprobe run bandwidth --transport verbs -q 8 -b 8M -e 8M"


def test_where_no_figure_holds_most_of_the_line_rate_is_still_asked():
    slow = (
        PORTS.replace('"mlx5_0"', '"mlx5_0"\nport = { rate_gbps = 200.0 }')
        + "[[endpoints]]\nset = { rate_gbps = 200.0 }\n"
    )

    (gap,) = answers(measured(FOUR + slow + stream(81.0), queue_pairs=1))
    assert "no figure for one queue pair (its figures hold from 8)" in gap.reason
    assert len(found(measured(FOUR + slow + stream(79.0), queue_pairs=1))) == 1


def test_bonds_are_not_held_against_the_table():
    name = '"mlx5_bond_0"'
    bond = f"[[endpoints]]\nset = {{ device = {name} }}\n[[nics]]\nname = {name}\nport = {{ device = {name} }}\n"

    (gap,) = answers(measured(FOUR + bond + stream(200.0)))

    assert "no figure for bonds" in gap.reason


@pytest.mark.parametrize("ports", ["", "[[endpoints]]\n", PORTS + 'port = { pci = "none" }\n'])
def test_ports_that_are_not_known_have_no_figure(ports):
    (gap,) = answers(measured(FOUR + ports + stream(1.0)))

    assert gap.reason == "absolute rates were not judged: nobody said what to expect"


@pytest.mark.parametrize(("us", "count"), [(4.9, 0), (5.1, 1), (60.0, 1)])
def test_latency_beyond_its_gate_degrades_and_never_blocks(us, count):
    findings = found(measured(FOUR + PORTS + pings(us)))

    assert [each.severity for each in findings] == [Severity.DEGRADES] * count


def test_a_latency_of_the_limits_goes_before_the_table():
    assert answers(measured(FOUR + PORTS + pings(9.0)), expected_latency_ns=9000.0) == []


def allreduce(busbw, ranks, *, size=8 * GIB, path=Path.NCCL, memory=Memory.DEVICE, **changes):
    elapsed_ns = size / busbw * 2 * (ranks - 1) / ranks
    fields = {
        "stage": "allreduce", "probe": "allreduce", "size_bytes": size, "dtype": "float32", "op": "sum", "root": None,
        "in_place": False, "ranks": ranks, "iterations": 20, "mean_ns": elapsed_ns, "p50_ns": elapsed_ns,
        "p99_ns": None, "max_ns": elapsed_ns, "wrong_bytes": 0, "path": path, "memory": memory, **changes,
    }  # fmt: skip
    return GroupResult(**fields)


def on_hosts(*names, each=8):
    return f"hosts = [{', '.join(f'{name!r}' for name in names for _ in range(each))}]\n".replace("'", '"')


def own_port_for_each_gpu():
    lines = [f'[[nics]]\nname = "mlx5_{number}"\nnetdev = "eth{number}"\n' for number in range(8)]
    return "".join(lines) + "[[endpoints]]\n"


def with_own_ports(evidence):
    """Let each rank of a host use its own port."""
    endpoints = tuple(
        replace(each, device=f"mlx5_{evidence.ranks[each.rank].local_index}") for each in evidence.endpoints
    )
    hosts = {
        host: replace(
            inventory,
            rdma_ports=tuple(replace(port, device=f"mlx5_{n}") for n, port in enumerate(inventory.rdma_ports)),
        )
        for host, inventory in evidence.inventories.items()
    }
    return replace(evidence, endpoints=endpoints, inventories=hosts)


@pytest.mark.parametrize(
    ("name", "at_least"),
    [
        (H100, 460.0),
        ("NVIDIA H200", 431.0),
        ("NVIDIA A100-SXM4-80GB", 228.0),
        ("AMD Instinct MI300X", 314.0),
    ],
)
def test_an_all_reduce_within_a_host_a_hair_below_its_gate_names_the_host(name, at_least):
    below, above = (
        measured(on_hosts("n1"), gpu=name, groups=(allreduce(at_least * ratio, 8),)) for ratio in (0.999, 1.001)
    )

    (finding,) = answers(below)
    assert (finding.severity, finding.hosts) == (Severity.DEGRADES, ("n1",))
    assert "Azure/azurehpc-health-checks" in finding.summary
    assert answers(above) == []


@pytest.mark.parametrize(("busbw", "severity"), [(762.0, []), (760.0, [Severity.DEGRADES]), (600.0, [Severity.BLOCKS])])
def test_what_is_only_typical_may_be_missed_by_the_margin_of_a_pair(busbw, severity):
    evidence = measured(on_hosts("n1"), gpu="NVIDIA B200", groups=(allreduce(busbw, 8, size=16 * GIB),))

    assert [each.severity for each in answers(evidence)] == severity


@pytest.mark.parametrize(("busbw", "count"), [(332.0, 0), (330.0, 1)])
def test_an_all_reduce_of_two_hosts_is_held_against_all_their_nics(busbw, count):
    text = on_hosts("n1", "n2") + own_port_for_each_gpu()
    evidence = with_own_ports(measured(text, gpu=H100, groups=(allreduce(busbw, 16),)))

    findings = answers(evidence)

    assert len(findings) == count
    assert all(each.subjects == ("fabric",) and not each.hosts for each in findings)
    assert all("368.0 GB/s" in each.summary and "nccl-tests#290" in each.summary for each in findings)


@pytest.mark.parametrize(
    ("result", "options", "lacks"),
    [
        (allreduce(10.0, 8, size=64 << 20), {"gpu": H100}, "64M of allreduce (its figures hold from 8G)"),
        (allreduce(10.0, 8), {"gpu": "NVIDIA L40S"}, "NVIDIA L40S"),
        (allreduce(10.0, 8), {}, "GPUs whose names are not known, or not the same"),
        (allreduce(10.0, 8, path=Path.MPI), {"gpu": H100}, "allreduce over mpi"),
        (allreduce(10.0, 8, probe="alltoall"), {"gpu": H100}, "alltoall over nccl"),
        (allreduce(10.0, 5), {"gpu": H100}, "GPUs whose names are not known, or not the same"),
    ],
    ids=["small", "other GPU", "no GPU known", "MPI", "other collective", "other crew"],
)
def test_a_collective_without_a_figure_is_a_gap_that_says_what_is_missing(result, options, lacks):
    (gap,) = answers(measured(on_hosts("n1"), groups=(result,), **options))

    assert gap.reason.endswith(f"the table of expectations has no figure for {lacks}")
    assert not gap.undermines


def test_nics_that_are_not_known_are_missing_for_a_collective_between_hosts():
    (gap,) = answers(measured(on_hosts("n1", "n2"), gpu=H100, groups=(allreduce(10.0, 16),)))

    assert gap.reason.endswith("no figure for hosts whose NICs are not known, or not as many")


def test_collectives_of_host_memory_are_not_held_against_anything():
    result = allreduce(1.0, 8, path=Path.MPI, memory=Memory.HOST)

    assert answers(measured(on_hosts("n1"), gpu=H100, groups=(result,))) == []


def test_the_quickest_way_at_the_largest_size_counts():
    groups = (allreduce(100.0, 8, size=GIB), allreduce(300.0, 8, dtype="float16"), allreduce(470.0, 8, in_place=True))

    assert answers(measured(on_hosts("n1"), gpu=H100, groups=groups)) == []


RATES = st.lists(st.floats(1.0, 420.0), min_size=12, max_size=12)
QUICKER = st.lists(st.floats(1.0, 3.0), min_size=12, max_size=12)
EVIDENCE = {
    "host": measured(FOUR + PORTS + stream(100.0)),
    "one queue pair": measured(FOUR + PORTS + stream(100.0), queue_pairs=1),
    "GPU": measured(FOUR + PORTS + stream(100.0), memory=Memory.DEVICE, gpu=H100),
    "unknown GPU": measured(FOUR + PORTS + stream(100.0), memory=Memory.DEVICE, gpu="NVIDIA L40S"),
}


def at_rates(evidence, rates):
    (table,) = evidence.pairs
    return replace(evidence, pairs=(replace(table, p50_ns=8 * table.bytes_per_iteration / np.array(rates)),))


def shorts(evidence):
    """Return the pairs of ranks that fall short, before anybody asks whose fault it is."""
    from netprobe.detectors._expected_pairs import held_against
    from netprobe.detectors._shortfalls import below_line_rate, below_table

    (table,) = evidence.pairs
    answers = held_against(evidence, table).answers
    below = [*below_table(evidence, table, answers, Limits()), *below_line_rate(evidence, table, answers, Limits())]
    return {(each.src, each.dst, blocks) for each in below for blocks in {False, each.blocks}}


@pytest.mark.parametrize("evidence", EVIDENCE.values(), ids=EVIDENCE)
@settings(max_examples=50, deadline=None)
@given(rates=RATES, quicker=QUICKER)
def test_a_pair_that_is_quicker_never_falls_short_where_it_did_not(evidence, rates, quicker):
    faster = [rate * factor for rate, factor in zip(rates, quicker, strict=True)]

    assert shorts(at_rates(evidence, faster)) <= shorts(at_rates(evidence, rates))


@settings(max_examples=50, deadline=None)
@given(gbps=st.floats(1.0, 420.0), factor=st.floats(1.0, 3.0), kind=st.sampled_from(list(EVIDENCE)))
def test_a_fabric_that_is_quicker_as_a_whole_has_no_more_findings(gbps, factor, kind):
    slower, faster = (found(at_rates(EVIDENCE[kind], [rate] * 12)) for rate in (gbps, gbps * factor))

    assert len(faster) <= len(slower)


@settings(max_examples=50, deadline=None)
@given(busbw=st.floats(1.0, 600.0), factor=st.floats(1.0, 3.0))
def test_a_collective_that_is_quicker_has_no_more_findings(busbw, factor):
    slower, faster = (
        answers(measured(on_hosts("n1"), gpu=H100, groups=(allreduce(rate, 8),))) for rate in (busbw, busbw * factor)
    )

    assert len(faster) <= len(slower)
