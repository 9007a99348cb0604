"""Which switch port is at the other end: out of lldpcli's layouts, and out of a site's own list."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import FormatError
from netprobe.inventory.lldp import parse, parse_site, with_neighbours
from netprobe.model.inventory import HostInventory, Neighbour, NetDevice


def body(switch, port, descr="to node3"):
    return {
        "via": "LLDP",
        "rid": "1",
        "age": "0 day, 01:12:13",
        "chassis": {
            switch: {"id": {"type": "mac", "value": "00:11:22:33:44:55"}, "descr": "SONiC", "mgmt-ip": "10.0.0.1"}
        },
        "port": {"id": {"type": "ifname", "value": port}, "descr": descr, "ttl": "120"},
    }


def body0(name, switch, port):
    return {
        "name": name,
        "via": "LLDP",
        "chassis": [{"id": [{"type": "mac", "value": "00:11:22:33:44:55"}], "name": [{"value": switch}]}],
        "port": [{"id": [{"type": "ifname", "value": port}], "descr": [{"value": "to node3"}]}],
    }


def told(interface):
    return json.dumps({"lldp": {"interface": interface}})


def test_one_neighbour_is_read():
    neighbours = parse(told({"eth0": body("leaf1", "Ethernet12")}), "lldp.json")

    assert neighbours == {"eth0": Neighbour(system="leaf1", port="Ethernet12", origin="lldp.json")}


def test_several_neighbours_are_read():
    neighbours = parse(told([{"eth0": body("leaf1", "Ethernet0")}, {"eth1": body("leaf2", "Ethernet4")}]), "f")

    assert {netdev: (each.system, each.port) for netdev, each in neighbours.items()} == {
        "eth0": ("leaf1", "Ethernet0"),
        "eth1": ("leaf2", "Ethernet4"),
    }


def test_the_layout_json0_is_read():
    text = json.dumps({"lldp": [{"interface": [body0("eth0", "leaf1", "swp1"), body0("eth1", "leaf1", "swp2")]}]})

    assert {netdev: (each.system, each.port) for netdev, each in parse(text, "f").items()} == {
        "eth0": ("leaf1", "swp1"),
        "eth1": ("leaf1", "swp2"),
    }


def test_a_switch_without_a_name_is_called_by_its_identifier():
    nameless = {**body("", "swp1"), "chassis": {"id": {"type": "mac", "value": "00:11:22:33:44:55"}}}

    assert parse(told({"eth0": nameless}), "f")["eth0"].system == "00:11:22:33:44:55"


def test_a_port_that_is_known_by_its_address_is_called_by_its_description():
    by_address = {**body("leaf1", "x"), "port": {"id": {"type": "mac", "value": "00:11:22:33:44:66"}, "descr": "swp7"}}

    assert parse(told({"eth0": by_address}), "f")["eth0"].port == "swp7"


def test_an_interface_that_hears_of_two_switches_has_no_neighbour():
    text = told(
        [{"eth0": body("leaf1", "Ethernet0")}, {"eth0": body("leaf2", "Ethernet0")}, {"eth1": body("leaf1", "x")}]
    )

    assert list(parse(text, "f")) == ["eth1"]


@pytest.mark.parametrize("interface", [{}, [], {"eth0": {}}, {"eth0": "up"}, {"eth0": {"chassis": {"leaf1": 7}}}])
def test_an_interface_without_a_neighbour_is_absent(interface):
    assert parse(told(interface), "f") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"a": 1}', "[" * 100_000, '{"lldp": {"interface": '])
def test_a_file_of_something_else_is_one_error(text):
    with pytest.raises(FormatError, match=r"^lldp\.json"):
        parse(text, "lldp.json")


def test_a_sites_list_is_read():
    text = 'host,netdev,switch,port\n# rack 7\n\nnode1,eth0,leaf1,Ethernet0\r\nnode1, eth1 ,leaf2,"Ethernet0,1"\n'

    assert parse_site(text, "ports.csv") == {
        ("node1", "eth0"): Neighbour(system="leaf1", port="Ethernet0", origin="ports.csv"),
        ("node1", "eth1"): Neighbour(system="leaf2", port="Ethernet0,1", origin="ports.csv"),
    }


@pytest.mark.parametrize("line", ["node1,eth0,leaf1", "node1,eth0,leaf1,", "a,b,c,d,e", "node1,eth0,leaf1,swp2"])
def test_a_line_that_is_wrong_is_named(line):
    with pytest.raises(FormatError, match=r"ports\.csv line 2"):
        parse_site(f"node1,eth0,leaf1,swp1\n{line}\n", "ports.csv")


def test_neighbours_are_put_beside_their_interfaces():
    device = dict.fromkeys(("state", "mtu_bytes", "speed_gbps", "driver", "pci"))
    inventory = HostInventory(
        host="node1", net_devices=(NetDevice(name="eth0", **device), NetDevice(name="eth1", **device))
    )
    neighbour = Neighbour(system="leaf1", port="swp1")

    known = with_neighbours(inventory, {"eth1": neighbour})

    assert [each.neighbour for each in known.net_devices] == [None, neighbour]


def refused_or(parse, text):
    try:
        return parse(text, "f")
    except FormatError as error:
        assert str(error).startswith("f")
        return {}


words = st.sampled_from(["lldp", "interface", "name", "eth0", "chassis", "port", "id", "type", "value", "mac", "descr"])
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=30,
)


@given(trees)
def test_no_tree_stops_the_parser(tree):
    for neighbour in refused_or(parse, json.dumps({"lldp": tree})).values():
        assert neighbour.system
        assert neighbour.port


@given(st.text())
def test_no_text_stops_the_parsers(text):
    refused_or(parse, text)
    refused_or(parse_site, text)


@given(st.integers(0, 500), st.text(max_size=10))
def test_no_damage_stops_the_parser(place, insertion):
    text = told([{"eth0": body("leaf1", "Ethernet0")}])
    at = place % len(text)
    refused_or(parse, text[:at] + insertion + text[at + len(insertion) :])
