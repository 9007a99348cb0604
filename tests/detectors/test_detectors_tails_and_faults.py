"""Jitter, stragglers and corruption: who is blamed beyond the minimal pairs."""

import pytest
from detector_scenario import findings, gaps

from netprobe.model.finding import Confidence, Severity

FIVE = 'hosts = ["n1", "n2", "n3", "n4", "n5"]\n'


def latency(odd="", p99_us=2.2, scope="between-hosts"):
    return f'[[pairs]]\nprobe = "latency"\nsize = "8"\nscope = "{scope}"\nus = 2.0\np99_us = {p99_us}\nodd = [{odd}]\n'


def with_tail(*pairs):
    return ", ".join(f'{{ between = ["{a}", "{b}"], p99_us = 500.0 }}' for a, b in pairs)


def allreduce(late, size="8", us=60.0):
    return f'[[collectives]]\nprobe = "allreduce"\nsize = "{size}"\nus = {us}\nlate_us = {late}\n'


def fault(at, sender=None, probe="bandwidth", path="mpi"):
    origin = "" if sender is None else f"from = {sender}\n"
    return f'[[faults]]\nat = {at}\n{origin}path = "{path}"\nprobe = "{probe}"\nxor_mask = 0xff\n'


def test_a_host_with_tails_towards_most_partners_is_named_and_they_are_not():
    (finding,) = findings("jitter", FIVE + latency(with_tail(("n2", "n1"), ("n2", "n3"), ("n2", "n5"))))

    assert finding.hosts == finding.subjects == ("n2",)
    assert finding.severity is Severity.DEGRADES
    assert "its partners (quiet with others)" in finding.excluded


def test_a_tail_that_all_share_blames_nobody():
    (finding,) = findings("jitter", FIVE + latency(p99_us=500.0))

    assert finding.subjects == ("all pairs",)
    assert finding.hosts == ()
    assert "nobody stands out" in finding.summary


def test_a_laptop_is_only_warned_and_told_that_no_fabric_was_involved():
    (finding,) = findings("jitter", 'hosts = ["laptop", "laptop"]\n' + latency(p99_us=500.0, scope="within-host"))

    assert finding.severity is Severity.WARNS
    assert finding.confidence is Confidence.LOW
    assert finding.hosts == ()
    assert "no fabric was involved" in finding.summary


def test_two_hosts_have_nobody_to_compare_a_tail_with():
    (finding,) = findings("jitter", 'hosts = ["n1", "n2"]\n' + latency(p99_us=500.0))

    assert finding.severity is Severity.WARNS
    assert finding.subjects == ("n1 <-> n2",)


def test_a_tail_within_a_host_among_quiet_hosts_is_that_hosts():
    hosts = '["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"]'
    text = f"hosts = {hosts}\n" + latency(scope="within-host", odd='{ from = "n3", p99_us = 900.0 }')

    (finding,) = findings("jitter", text)

    assert finding.hosts == ("n3",)
    assert finding.excluded == ("the network (no byte left the host)",)


def test_series_without_a_hundred_iterations_are_a_gap():
    text = FIVE + '[[pairs]]\nprobe = "bandwidth"\nsize = "8M"\ngbps = 400.0\n'

    (gap,) = gaps("jitter", text)

    assert "100 iterations" in gap.reason
    assert findings("jitter", text) == []


def test_a_late_rank_that_differs_from_size_to_size_is_noise():
    text = FIVE + allreduce("{ 1 = 50.0 }") + allreduce("{ 2 = 50.0 }", "64") + allreduce("{ 3 = 50.0 }", "512")

    assert findings("straggler", text) == []
    assert gaps("straggler", text) == []


def test_a_rank_that_is_late_by_a_sliver_of_every_operation_costs_nothing():
    text = FIVE + allreduce("{ 1 = 50.0 }", "8M", us=900.0) + allreduce("{ 1 = 50.0 }", "64M", us=9000.0)

    assert findings("straggler", text) == []


def test_lateness_is_the_ranks_and_counts_where_the_operation_is_long_as_well():
    text = FIVE + allreduce("{ 1 = 50.0 }") + allreduce("{ 1 = 50.0 }", "8M", us=900.0)

    (finding,) = findings("straggler", text)

    assert finding.subjects == ("n2:1",)
    assert "83 % of the operation" in finding.summary


def test_with_two_ranks_the_later_one_is_named():
    (finding,) = findings("straggler", 'hosts = ["n1", "n2"]\n' + allreduce("{ 0 = 50.0 }"))

    assert finding.subjects == ("n1:0",)
    assert finding.confidence is Confidence.MEDIUM


def test_ranks_that_all_come_late_have_no_straggler():
    assert findings("straggler", FIVE + allreduce("{ 1 = 50.0, 2 = 50.0, 3 = 50.0 }")) == []


def test_clocks_that_were_never_compared_are_a_gap():
    (gap,) = gaps("straggler", "clocks = false\n" + FIVE + allreduce("{ 1 = 50.0 }"))

    assert "clocks were not compared" in gap.reason


def test_ranks_that_share_a_cpu_are_not_called_late():
    text = 'hosts = ["n1", "n1", "n2", "n3"]\ncpus = { n1 = 1 }\n' + allreduce("{ 1 = 50.0 }")

    assert findings("straggler", text) == []
    assert "wait for a CPU" in gaps("straggler", text)[0].reason


def test_a_host_that_faults_have_in_common_is_blamed():
    (finding,) = findings("corruption", FIVE + fault(1, 0) + fault(2, 1))

    assert finding.hosts == ("n2",)
    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.HIGH)
    assert "with 2 partners (n1, n3)" in finding.summary


def test_unrelated_faults_are_a_finding_for_each_pair():
    found = findings("corruption", FIVE + fault(1, 0) + fault(1, 0) + fault(3, 2))

    assert [finding.subjects for finding in found] == [("n1", "n2"), ("n3", "n4")]
    assert "2 faults" in found[0].summary


PORTS = '[[endpoints]]\n[[endpoints]]\non = ["n2"]\nset = { device = "mlx5_3", port = 2 }\n'


def test_wrong_bytes_over_rdma_are_told_with_both_ports_and_the_direction():
    (finding,) = findings("corruption", FIVE + PORTS + fault(1, 0, path="verbs"))

    assert "data from n1 to n2 is corrupted" in finding.summary
    assert "from n1:0 (mlx5_0) to n2:1 (mlx5_3/2) over RDMA" in finding.summary
    assert finding.facts[0].metric.endswith("from n1:0 (mlx5_0) to n2:1 (mlx5_3/2) over RDMA")


def test_over_mpi_nobody_knows_the_ports():
    (finding,) = findings("corruption", FIVE + PORTS + fault(1, 0))

    assert "from n1:0 to n2:1 over MPI" in finding.summary
    assert "mlx5" not in finding.summary


def test_without_endpoints_the_ranks_alone_are_told():
    (finding,) = findings("corruption", FIVE + fault(1, 0, path="verbs"))

    assert "from n1:0 to n2:1 over RDMA" in finding.summary


def test_wrong_bytes_of_both_directions_have_none():
    (finding,) = findings("corruption", FIVE + fault(1, 0) + fault(0, 1))

    assert "data between n1 and n2, both ways, is corrupted" in finding.summary


@pytest.mark.parametrize(
    ("faults", "role"),
    [
        (fault(1, 0) + fault(1, 2), ", in what it receives"),
        (fault(0, 1) + fault(2, 1), ", in what it sends"),
        (fault(0, 1) + fault(1, 2), ""),
    ],
)
def test_a_host_that_corrupts_one_direction_alone_is_told_with_it(faults, role):
    (finding,) = findings("corruption", FIVE + faults)

    assert f"corrupts data with 2 partners (n1, n3){role}: 2 faults" in finding.summary


def test_a_fault_between_ranks_of_one_host_is_that_hosts():
    (finding,) = findings("corruption", 'hosts = ["n1", "n1", "n2"]\n' + fault(1, 0))

    assert finding.hosts == ("n1",)


def test_a_collectives_wrong_result_names_who_received_it_and_blames_no_host():
    (finding,) = findings("corruption", FIVE + fault(2, probe="allreduce") + fault(4, probe="allreduce"))

    assert finding.subjects == ("n3:2", "n5:4")
    assert finding.hosts == ()


@pytest.mark.parametrize("checked", [0, 1])
def test_a_fault_is_a_fault_however_little_was_checked(checked):
    assert findings("corruption", f"checked_iterations = {checked}\n" + FIVE + fault(1, 0))


def test_a_barrier_carries_no_data_so_that_nothing_was_left_unchecked():
    barrier = FIVE + "checked_iterations = 0\n" + allreduce("{}").replace("allreduce", "barrier")

    assert gaps("corruption", barrier) == []
    assert len(gaps("corruption", barrier + allreduce("{}"))) == 1


@pytest.mark.parametrize(
    ("hosts", "scope", "retest"),
    [
        ('["n1", "n2"]', "between-hosts", "netprobe run bandwidth --hosts n1,n2 -b 64K -e 64K --all-pairs"),
        ('["vm", "vm"]', "within-host", "netprobe run bandwidth -b 64K -e 64K --all-pairs --ranks 2"),
    ],
)
def test_the_retest_of_a_tail_repeats_its_probe_and_size(hosts, scope, retest):
    pairs = f'[[pairs]]\nprobe = "bandwidth"\nsize = "64K"\nscope = "{scope}"\ngbps = 100.0\np99_us = 5000.0\n'

    assert {finding.retest for finding in findings("jitter", f"hosts = {hosts}\n{pairs}")} == {retest}
