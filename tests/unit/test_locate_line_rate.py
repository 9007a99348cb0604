"""What a receiver could have at best: of the NICs that carry data, and of a pair where no NIC tells."""

from dataclasses import replace

import numpy as np
import pytest
from judge_samples import all_pairs, run_of
from store_samples import inventory

from netprobe.judge.evidence import evidence_of
from netprobe.locate.line_rate import line_rates
from netprobe.model.plan import Scope
from netprobe.model.rdma import RdmaEndpoint
from netprobe.model.report import LineBasis

BETWEEN = Scope.BETWEEN_HOSTS
PAIR_GBPS = 8 * (16 << 20) / 300_000


def on(hosts, inventories=(), endpoints=()):
    told = {each.host: each for each in inventories}
    return replace(evidence_of(run_of(all_pairs(), hosts=hosts)), inventories=told, endpoints=tuple(endpoints))


def ports(host, *rates):
    sample = inventory(host)
    return replace(
        sample,
        rdma_ports=tuple(
            replace(sample.rdma_ports[0], device=f"mlx5_{index}", rate_gbps=rate) for index, rate in enumerate(rates)
        ),
    )


def endpoint(rank, device, rate_gbps):
    return RdmaEndpoint(
        rank=rank, device=device, port=1, link_layer="Ethernet", gid_index=3, gid="::", gid_kind="RoCE v2",
        netdev=None, rate_gbps=rate_gbps,
    )  # fmt: skip


def test_a_rank_has_its_hosts_port():
    told = line_rates(on("abcd", [ports(host, 400.0) for host in "abcd"]), BETWEEN)

    assert told.basis is LineBasis.NIC
    assert told.gbps.tolist() == [400.0] * 4


def test_ranks_of_a_host_share_a_port_and_have_one_each_where_there_are_enough():
    one = line_rates(on("aabb", [ports(host, 400.0) for host in "ab"]), BETWEEN)
    several = line_rates(on("aabb", [ports(host, 400.0, 400.0, 400.0) for host in "ab"]), BETWEEN)

    assert one.gbps.tolist() == [200.0] * 4
    assert several.gbps.tolist() == [400.0] * 4


def test_a_port_for_management_is_not_what_data_goes_over():
    told = line_rates(on("abcd", [ports(host, 25.0, 400.0) for host in "abcd"]), BETWEEN)

    assert told.gbps.tolist() == [400.0] * 4


def test_the_port_that_a_rank_uses_goes_before_what_its_host_has_unless_it_is_software():
    endpoints = [endpoint(0, "mlx5_0", 100.0), endpoint(1, "rxe_0", 2.5)]

    told = line_rates(on("abcd", [ports(host, 400.0) for host in "abcd"], endpoints), BETWEEN)

    assert told.gbps.tolist() == [100.0, 400.0, 400.0, 400.0]


def test_without_rdma_it_is_the_interface_that_has_an_address_and_does_not_lead_out():
    def without_rdma(host):
        sample = inventory(host)
        (net,) = sample.net_devices
        data = replace(net, addresses=("10.1.0.1/24",), speed_gbps=100.0)
        other = replace(net, name="eth1", addresses=("10.9.0.1/24",), is_default_route=True, speed_gbps=200.0)
        unused = replace(net, name="eth2", speed_gbps=800.0)
        return replace(sample, rdma_ports=(), net_devices=(data, other, unused))

    told = line_rates(on("abcd", [without_rdma(host) for host in "abcd"]), BETWEEN)

    assert told.gbps.tolist() == [100.0] * 4


@pytest.mark.parametrize("known", ["", "abc"])
def test_where_the_rate_of_one_is_not_known_all_are_held_against_a_pair(known):
    told = line_rates(on("abcd", [ports(host, 400.0) for host in known]), BETWEEN)

    assert told.basis is LineBasis.PAIR
    assert told.gbps == pytest.approx(np.full(4, PAIR_GBPS), rel=0.01)


def test_without_rates_and_pairs_nothing_is_known():
    silent = replace(on("abcd"), pairs=())

    assert line_rates(silent, BETWEEN) is None


def test_within_a_host_there_is_no_nic_in_between():
    assert line_rates(on("abcd", [ports(host, 400.0) for host in "abcd"]), Scope.WITHIN_HOST) is None
