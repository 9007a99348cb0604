"""Which port and address a rank uses for RDMA, and what is said where there is none."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import UnavailableError
from netprobe.inventory.rdma_choice import choose_endpoint, gid_title, refuse_path_mtu
from netprobe.model.inventory import Gid, RdmaPort
from netprobe.model.rdma import RdmaOptions

V1, V2 = "IB/RoCE v1", "RoCE v2"
LOCAL = "fe80:0000:0000:0000:0000:00ff:fe00:0001"
LOCAL_V4 = "0000:0000:0000:0000:0000:ffff:a9fe:0001"
IPV4 = "0000:0000:0000:0000:0000:ffff:0a01:0001"
OTHER_IPV4 = "0000:0000:0000:0000:0000:ffff:0a02:0001"
IPV6 = "2001:0db8:0000:0000:0000:0000:0000:0001"
UNSET = ":".join(["0000"] * 8)
ANY = RdmaOptions()


def gid(index, address=IPV4, kind=V2, netdev="eth0"):
    return Gid(index=index, address=address, kind=kind, netdev=netdev)


USUAL = (gid(3),)


def port(name="mlx5_0", *, gids=USUAL, state="ACTIVE", physical="LinkUp", rate=400.0, layer="Ethernet"):
    device, _, number = name.partition("/")
    return RdmaPort(
        device=device, port=int(number or 1), link_layer=layer, state=state, physical_state=physical, rate_gbps=rate,
        driver="mlx5_core", netdev="eth0", pci=None, firmware=None, board=None, model=None, node_guid=None, gids=gids,
    )  # fmt: skip


def entry(*gids):
    return choose_endpoint((port(gids=gids),), ANY, 0)


BEST_FIRST = ((IPV4, V2), (IPV6, V2), (IPV4, V1), (IPV6, V1), (LOCAL, V2), (LOCAL_V4, V1))


@pytest.mark.parametrize(("better", "worse"), list(pairwise(BEST_FIRST)))
def test_the_better_kind_of_address_is_taken_wherever_it_stands(better, worse):
    for first, second in ((better, worse), (worse, better)):
        found = entry(gid(0, *first), gid(1, *second))
        assert (found.gid, found.gid_kind) == better


def test_among_equals_the_lowest_index_is_taken():
    assert entry(gid(7), gid(5, OTHER_IPV4), gid(6)).gid_index == 5


def test_a_link_local_address_alone_is_used_and_said_to_stay_below_routers():
    found = entry(gid(0, LOCAL, V1), gid(1, LOCAL))

    assert found.gid_index == 1
    assert "cannot cross a router" in found.why
    assert entry(gid(0, LOCAL), gid(1)).why == ""


def test_the_address_of_the_ports_own_interface_goes_before_that_of_a_vlan():
    found = entry(gid(2, netdev="eth0.100"), gid(5, netdev="eth0"))

    assert (found.gid_index, found.netdev, found.why) == (5, "eth0", "")


def test_a_vlan_is_taken_where_the_interface_itself_has_no_such_address_and_that_is_told():
    found = entry(gid(1, LOCAL, netdev="eth0"), gid(4, netdev="eth0.100"))

    assert (found.gid_index, found.netdev) == (4, "eth0.100")
    assert found.why == "the address is that of eth0.100, as eth0 itself has none as good"


def test_an_address_whose_interface_is_not_told_counts_as_the_ports_own():
    assert entry(gid(1, netdev=None), gid(2, netdev="eth0")).gid_index == 1


def test_infiniband_uses_the_first_entry_and_says_nothing_of_routers():
    ib = port(layer="InfiniBand", gids=(gid(0, LOCAL, V1, None), gid(1, IPV6, V1, None)))

    found = choose_endpoint((ib,), ANY, 0)

    assert (found.gid_index, found.link_layer, found.why) == (0, "InfiniBand", "")


RAILS = tuple(port(f"mlx5_{number}") for number in range(4))


@pytest.mark.parametrize(("place", "name"), [(0, "mlx5_0"), (1, "mlx5_1"), (3, "mlx5_3"), (4, "mlx5_0")])
def test_each_rank_of_a_host_has_its_own_rail(place, name):
    assert choose_endpoint(RAILS, ANY, place).name == name


def test_ports_that_are_down_are_no_rails():
    ports = (replace(RAILS[0], state="DOWN"), *RAILS[1:])

    assert [choose_endpoint(ports, ANY, place).name for place in range(3)] == ["mlx5_1", "mlx5_2", "mlx5_3"]


def test_slow_ports_are_left_out_and_named_unless_they_are_asked_for():
    ports = (port("mlx5_0", rate=25.0), *RAILS[1:])

    assert choose_endpoint(ports, ANY, 0).name == "mlx5_1"
    assert choose_endpoint(ports, ANY, 0).why == "active port 1 of 3; left out as slower: mlx5_0"
    assert choose_endpoint(ports, RdmaOptions(device="mlx5_0"), 2).name == "mlx5_0"


@pytest.mark.parametrize("rate", [200.0, None])
def test_a_port_that_came_up_at_half_its_rate_or_does_not_tell_stays_a_rail(rate):
    assert choose_endpoint((port("mlx5_0", rate=rate), *RAILS[1:]), ANY, 0).name == "mlx5_0"


@pytest.mark.parametrize(("wish", "name"), [("mlx5_0", "mlx5_0"), ("mlx5_0/1", "mlx5_0"), ("mlx5_0/2", "mlx5_0/2")])
def test_a_port_is_asked_for_by_its_name(wish, name):
    found = choose_endpoint((port(), port("mlx5_0/2")), RdmaOptions(device=wish), 1)

    assert (found.name, found.why) == (name, "")


def refusal(ports, wish=ANY):
    with pytest.raises(UnavailableError) as caught:
        choose_endpoint(ports, wish, 0)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_host_without_devices_says_so():
    assert refusal(()).problem == "there is no RDMA device"


def test_a_device_that_is_not_there_brings_up_its_nearest_name():
    assert refusal(RAILS, RdmaOptions(device="mlx5_9")).remedy in {each.name for each in RAILS}
    assert refusal(RAILS[:2], RdmaOptions(device="bnxt")).remedy == "mlx5_0, mlx5_1"


def test_ports_that_are_all_down_are_told_with_their_states():
    down = port(state="DOWN", physical="Disabled", rate=None)
    ports = (down, replace(down, device="mlx5_1", state="INIT", physical_state="LinkUp"))

    error = refusal(ports)

    assert error.problem == (
        "no RDMA port is active: mlx5_0 is DOWN (physical Disabled), mlx5_1 is INIT (physical LinkUp)"
    )
    assert "ip link set dev eth0 up" in error.remedy
    assert refusal(ports, RdmaOptions(device="mlx5_1")).problem == "mlx5_1 is INIT (physical LinkUp)"


@pytest.mark.parametrize("gids", [(), (gid(0, UNSET, None), gid(1, UNSET, None))])
def test_a_port_without_any_address_asks_for_one(gids):
    error = refusal((port(gids=gids),))

    assert error.problem == "mlx5_0 has no address: no entry of its GID table is set"
    assert "dev eth0" in error.remedy


def test_an_index_that_is_empty_brings_up_those_that_are_not():
    error = refusal((port(gids=(gid(1, LOCAL), gid(3))),), RdmaOptions(gid_index=5))

    assert error.problem == "GID 5 of mlx5_0 is empty"
    assert error.remedy == "--gid-index with one of: 1 RoCE v2 fe80::ff:fe00:1, 3 RoCE v2 10.1.0.1"


def test_an_index_that_is_asked_for_is_used_even_if_another_is_better():
    found = choose_endpoint((port(gids=(gid(1, LOCAL), gid(3))),), RdmaOptions(gid_index=1), 0)

    assert (found.gid_index, found.why) == (1, "")
    assert gid_title(gid(3)) == "GID 3 RoCE v2 10.1.0.1"


@given(
    st.lists(
        st.builds(
            gid, st.integers(0, 255), st.sampled_from([LOCAL, LOCAL_V4, IPV4, IPV6, UNSET, "nonsense"]),
            st.sampled_from([V1, V2, None]), st.sampled_from(["eth0", "eth0.7", None]),
        ), unique_by=lambda each: each.index,
    )
)  # fmt: skip
def test_whatever_the_table_holds_a_link_local_address_never_wins_over_another(gids):
    try:
        found = entry(*gids)
    except UnavailableError:
        assert all(each.address in (UNSET, "nonsense") for each in gids)
        return
    assert found.gid in (IPV4, IPV6) or not {each.address for each in gids} & {IPV4, IPV6}


@pytest.mark.parametrize(("mtu", "most"), [(1500, 1024), (4191, 2048), (4192, 4096), (9000, 4096)])
def test_a_path_mtu_that_does_not_fit_the_interface_is_refused_with_one_that_does(mtu, most):
    endpoint = entry(gid(3))
    for wish in (256, 512, 1024, 2048, 4096):
        if wish <= most:
            refuse_path_mtu(endpoint, RdmaOptions(path_mtu_bytes=wish), mtu)
            continue
        with pytest.raises(UnavailableError, match=rf"eth0 has an MTU of {mtu}; try: --path-mtu {most}"):
            refuse_path_mtu(endpoint, RdmaOptions(path_mtu_bytes=wish), mtu)


def test_an_interface_that_does_not_tell_its_mtu_refuses_nothing():
    refuse_path_mtu(entry(gid(3)), RdmaOptions(path_mtu_bytes=4096), None)
