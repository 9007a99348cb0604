"""MPI and RDMA between the same hosts: judged each by itself, told together, and never held against each other."""

import pytest
from detector_scenario import answers, findings, gaps

HOSTS = 'hosts = ["node1", "node2", "node3", "node4", "node5"]\n'


def pairs(probe, path, figure, *odd, size="8M"):
    lines = ", ".join(odd)
    return f'[[pairs]]\nprobe = "{probe}"\nsize = "{size}"\npath = "{path}"\n{figure}\nodd = [{lines}]\n'


def bandwidth(path, gbps, *odd):
    return pairs("bandwidth", path, f"gbps = {gbps}", *odd)


def latency(path, us, *odd, tail=""):
    return pairs("latency", path, f"us = {us}\n{tail}", *odd, size="8")


@pytest.mark.parametrize("id", ["slow-host", "slow-link", "slow-pair", "asymmetry", "jitter"])
def test_a_fleet_that_is_ten_times_faster_over_rdma_has_no_finding(id):
    both = bandwidth("mpi", 40.0) + bandwidth("verbs", 390.0) + latency("mpi", 15.0) + latency("verbs", 1.8)

    assert findings(id, HOSTS + both) == []


def test_a_slow_pair_says_over_what_and_is_one_finding_where_it_is_over_both():
    slow = '{ between = ["node1", "node2"], gbps = %s }'

    (rdma,) = findings("slow-pair", HOSTS + bandwidth("mpi", 40.0) + bandwidth("verbs", 390.0, slow % 200.0))
    (both,) = findings(
        "slow-pair", HOSTS + bandwidth("mpi", 40.0, slow % 20.0) + bandwidth("verbs", 390.0, slow % 200.0)
    )

    assert "(RDMA bandwidth 8M)" in rdma.summary
    assert rdma.retest.startswith("netprobe run bandwidth --transport verbs --hosts node1,node2")
    assert "(RDMA bandwidth 8M)" in both.summary
    assert {fact.metric.partition(",")[0] for fact in both.facts} == {"bandwidth 8M", "RDMA bandwidth 8M"}


def test_latency_over_rdma_of_a_host_whose_ranks_wait_for_a_cpu_tells_of_the_scheduler():
    late = '{ from = "node2", us = 9.0 }, { to = "node2", us = 9.0 }'
    measured = latency("verbs", 1.8, late)

    (found,) = findings("slow-host", HOSTS + measured)
    crowded = answers("slow-host", HOSTS.replace("]", ', "node2"]') + "cpus = { node2 = 1 }\n" + measured)

    assert (found.hosts, "RDMA latency 8 B" in found.summary) == (("node2",), True)
    assert not any("node2" in getattr(each, "hosts", ()) for each in crowded)


def test_long_tails_over_rdma_alone_name_the_host_though_mpi_is_quiet():
    tails = '{ from = "node2", p99_us = 90.0 }, { to = "node2", p99_us = 90.0 }'
    quiet = latency("mpi", 15.0, tail="p99_us = 18.0")

    (found,) = findings("jitter", HOSTS + quiet + latency("verbs", 1.8, tails, tail="p99_us = 2.5"))

    assert found.hosts == ("node2",)
    assert "(RDMA latency 8 B)" in found.summary


EXPECTED = "limits = { expected_bandwidth_gbps = 390.0, expected_latency_ns = 2000.0 }\n"


def test_what_a_site_expects_is_held_against_rdma_where_that_was_measured():
    slow_mpi = bandwidth("mpi", 40.0) + latency("mpi", 15.0)
    good = bandwidth("verbs", 388.0) + latency("verbs", 1.9)

    (missed,) = findings("expectation", HOSTS + EXPECTED + slow_mpi)
    (short,) = findings("expectation", HOSTS + EXPECTED + slow_mpi + bandwidth("verbs", 190.0) + latency("verbs", 1.9))

    assert findings("expectation", HOSTS + EXPECTED + slow_mpi + good) == []
    assert "(bandwidth 8M)" in missed.summary or "(latency 8 B)" in missed.summary
    assert "(RDMA bandwidth 8M)" in short.summary
    assert "MPI" not in short.next_action


def test_latency_is_held_against_mpi_where_rdma_told_of_bandwidth_alone():
    text = HOSTS + EXPECTED + bandwidth("verbs", 388.0) + latency("mpi", 15.0)

    (found,) = findings("expectation", text)

    assert "(latency 8 B)" in found.summary
    assert gaps("expectation", text) == []
