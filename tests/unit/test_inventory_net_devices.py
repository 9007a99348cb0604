"""Which network interfaces matter, and what is told of them."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from host_trees import link, pci, write
from hypothesis import given
from hypothesis import strategies as st

from netprobe.contracts import LinkSettings
from netprobe.inventory.net_devices import net_devices, parse_default_route
from netprobe.model.inventory import QosSettings
from netprobe.system.here import NoNetlink, recorded_system

NET = "sys/class/net"
ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0
eth1 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
eth2 00000000 010200C0 0002 0 0 0 00000000 0 0 0
"""
OFED = {
    **{f"{NET}/eth0/ecn/roce_np/enable/{priority}": 1 for priority in range(8)},
    **{f"{NET}/eth0/ecn/roce_rp/enable/{priority}": int(priority == 3) for priority in range(8)},
    f"{NET}/eth0/ecn/roce_np/cnp_dscp": 48,
    f"{NET}/eth0/ecn/roce_np/cnp_802p_prio": 6,
    f"{NET}/eth0/qos/trust": "dscp",
}


class Told(NoNetlink):
    def __init__(self, settings=LinkSettings(), qos=None):  # noqa: B008 - frozen
        self._settings = settings
        self._qos = qos

    def link(self, netdev):
        return self._settings

    def qos(self, netdev):
        return self._qos


@pytest.fixture
def system(tmp_path):
    """A system with a NIC eth0 that is up, and a loopback."""
    nic = pci(tmp_path, "0000:16:01.0", "0000:17:00.0")
    write(tmp_path, {f"{nic}/net/eth0/{name}": each for name, each in
                     {"operstate": "up", "mtu": 9000, "speed": 400_000}.items()})  # fmt: skip
    write(tmp_path, {"sys/bus/pci/drivers/mlx5_core/bind": "", f"{NET}/lo/operstate": "unknown"})
    link(tmp_path, f"{nic}/driver", "sys/bus/pci/drivers/mlx5_core")
    link(tmp_path, f"{nic}/net/eth0/device", nic)
    link(tmp_path, f"{NET}/eth0", f"{nic}/net/eth0")
    return recorded_system(tmp_path)


def eth0(system):
    return next(each for each in net_devices(system, ()) if each.name == "eth0")


def test_a_nic_tells_its_state_size_speed_and_place(system):
    told = eth0(system)

    assert (told.state, told.mtu_bytes, told.speed_gbps) == ("up", 9000, 400.0)
    assert (told.driver, told.pci) == ("mlx5_core", "0000:17:00.0")
    assert (told.qos, told.ecn, told.master) == (None, None, None)


@pytest.mark.parametrize(
    ("every", "own", "in_force"), [(None, None, None), (0, 0, 0), (1, 0, 1), (0, 2, 2), (None, 1, 1)]
)
def test_of_two_settings_of_arp_the_larger_is_in_force(system, every, own, in_force):
    settings = {"all": every, "eth0": own}
    told = {f"proc/sys/net/ipv4/conf/{name}/arp_ignore": value for name, value in settings.items()}
    write(system.root, {path: value for path, value in told.items() if value is not None})

    assert eth0(system).arp_ignore == in_force


def test_interfaces_that_lead_nowhere_are_left_out(system):
    write(system.root, {f"{NET}/{name}/mtu": 1500 for name in ("veth1", "bond0", "eth0.7", "eth9")})
    addresses = {"lo": ("127.0.0.1/8",), "veth1": ("fe80::1/64",), "eth0.7": ("10.7.0.1/24", "fe80::2/64")}

    found = net_devices(replace(system, addresses=lambda: addresses), {"bond0", "../../etc"})

    assert [each.name for each in found] == ["bond0", "eth0", "eth0.7"]
    assert found[2].addresses == ("10.7.0.1/24", "fe80::2/64")


def test_an_excluded_interface_is_not_told(system):
    assert net_devices(replace(system, excluded=frozenset({"eth0"})), ()) == ()


def test_what_netlink_tells_is_merged(system):
    settings = LinkSettings(speed_gbps=200.0, autonegotiates=True, fec="RS", pause_receives=False, ring_receive=1024)
    told = eth0(replace(system, netlink=Told(settings)))

    assert (told.speed_gbps, told.autonegotiates, told.fec) == (200.0, True, "RS")
    assert (told.pause_receives, told.pause_sends, told.ring_receive) == (False, None, 1024)


def test_a_driver_that_tells_its_congestion_control_is_heard(system):
    write(system.root, OFED)
    told = eth0(system)

    assert told.ecn.notification_point == (True,) * 8
    assert told.ecn.reaction_point == tuple(priority == 3 for priority in range(8))
    assert (told.ecn.cnp_dscp, told.ecn.cnp_priority) == (48, 6)
    assert told.qos == QosSettings(pfc_enabled=None, trust="dscp", origin="sysfs")


def test_the_drivers_own_word_on_trust_outranks_what_netlink_implies(system):
    qos = QosSettings(pfc_enabled=(False,) * 8, trust="pcp")
    write(system.root, OFED)

    assert eth0(replace(system, netlink=Told(qos=qos))).qos == replace(qos, trust="dscp")


def test_a_priority_that_is_not_told_is_not_off(system):
    write(system.root, {f"{NET}/eth0/ecn/roce_np/enable/3": 1, f"{NET}/eth0/ecn/roce_np/enable/4": "N/A"})

    assert eth0(system).ecn.notification_point == (None, None, None, True, None, None, None, None)


@pytest.mark.parametrize("speed", ["-1", "0", "4294967295", "", "fast"])
def test_a_speed_that_is_not_known_is_none(speed, system):
    write(system.root, {f"{NET}/eth0/speed": speed})

    assert eth0(system).speed_gbps is None


def test_a_member_names_its_bond(system):
    write(system.root, {"sys/devices/virtual/net/bond0/mtu": 9000})
    link(system.root, f"{NET}/bond0", "sys/devices/virtual/net/bond0")
    link(system.root, f"{NET}/eth0/master", "sys/devices/virtual/net/bond0")

    assert eth0(system).master == "bond0"


def test_the_way_out_is_known(system):
    write(system.root, {"proc/net/route": ROUTES})

    assert eth0(system).is_default_route
    assert parse_default_route(ROUTES) == {"eth0"}


@given(text=st.text() | st.lists(st.sampled_from(["eth0", "00000000", "0003", "zz", " ", "\n"])).map("".join))
def test_no_text_stops_the_parser_of_routes(text):
    parse_default_route(text)


@given(
    name=st.sampled_from(["operstate", "mtu", "speed", *(path.removeprefix(f"{NET}/eth0/") for path in OFED)]),
    content=st.binary(max_size=40),
)
def test_any_bytes_are_a_fact_or_none(name, content):
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder), {f"{NET}/eth0/{name}": content})
        (told,) = net_devices(recorded_system(root), {"eth0"})

    assert told.mtu_bytes is None or told.mtu_bytes >= 0
    assert told.speed_gbps is None or told.speed_gbps > 0
    assert told.state is None or told.state.isprintable()
