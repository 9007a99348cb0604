"""Which leaf switch each host is on, as sites of Slurm have written it down already."""

import json
import string
import tomllib
from dataclasses import replace

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.launch.topology import parse_topology, read_topology
from netprobe.model.inventory import HostInventory, Inventories, Neighbour, NetDevice, RdmaPort
from netprobe.model.topology import Leaf
from netprobe.store.encoding import json_document

PORT = RdmaPort(
    device="mlx5_1", port=1, link_layer="Ethernet", state="ACTIVE", physical_state=None, rate_gbps=None, driver=None,
    netdev="eth1", pci=None, firmware=None, board=None, model=None, node_guid=None,
)  # fmt: skip

FABRIC = """\
# rack 1
SwitchName=leaf1 Nodes=h[1-4]
SwitchName=leaf2 Nodes=h[5-8]  # rack 2
SwitchName=spine Switches=leaf[1-2]
"""


def leaf_of(text):
    """Return the switch of each host."""
    return {host: leaf.switch for leaf in parse_topology(text, "topology.conf") for host in NodeSet(leaf.hosts)}


def refused(text, name="topology.conf"):
    with pytest.raises(PlanError) as caught:
        parse_topology(text, name)
    message = str(caught.value)
    assert message.startswith(f"--topology {name}")
    assert "\n" not in message
    return message


def test_a_leaf_is_a_switch_with_nodes():
    leaves = parse_topology(FABRIC, "topology.conf")

    assert [(leaf.switch, leaf.hosts) for leaf in leaves] == [("leaf1", "h[1-4]"), ("leaf2", "h[5-8]")]
    assert {leaf.spines for leaf in leaves} == {("spine",)}


def test_spines_are_the_switches_right_above_a_leaf():
    text = f"{FABRIC}SwitchName=other Switches=leaf2\nSwitchName=core Switches=spine,other"

    assert [leaf.spines for leaf in parse_topology(text, "topology.conf")] == [("spine",), ("spine", "other")]


def test_switches_that_are_above_each_other_are_refused_with_the_line_of_one_of_them():
    message = refused(
        "SwitchName=leaf1 Nodes=h1\nSwitchName=a Switches=leaf1,b\nSwitchName=b Switches=a\nSwitchName=top Switches=a"
    )

    assert "line 2: a is above itself" in message


@pytest.mark.parametrize(
    "text",
    [
        "switchname=leaf1 NODES=h[1-2]",
        "Nodes=h[1-2] LinkSpeed=100 SwitchName=leaf1",
        'SwitchName = leaf1  Nodes = "h1, h2"',
        "SwitchName=leaf1 \\\n  Nodes=h1,h2",
        "SwitchName=leaf1 \\ # rack 1\nNodes=h[1-2]\\",
        "SwitchName=leaf1 Nodes=h1\nSwitchName=leaf1 Nodes=h2",
        "\n\nTopologyParam=RouteTree\nSwitchName=leaf1 Nodes=h1,h2,h1",
    ],
)
def test_the_same_is_written_in_many_ways(text):
    assert leaf_of(text) == {"h1": "leaf1", "h2": "leaf1"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SwitchName=leaf2 Nodes=h[5-", "'h[5-'"),
        ("SwitchName=leaf2 Nodes=@rack2", "'@rack2'"),
        ("SwitchName=leaf2 Nodes=", "'Nodes='"),
        ("SwitchName=leaf2 Nodes=h5 Nodes=h6", "'Nodes=h6'"),
        ("SwitchName=leaf2, h5", "'h5'"),
        ("Include other.conf", "'Include'"),
        ("Switch=leaf2 Nodes=h5", "names no switch"),
        ("SwitchName=leaf2 Nodes=h4", "h4 is on leaf2, and before that it was on leaf1"),
        ("SwitchName=spine Switches=leaf[1-2]", "leaf2 is no switch of this file"),
        ("SwitchName=leaf1 Switches=leaf1", "leaf1 is above itself"),
    ],
)
def test_a_typo_is_named_with_its_line(line, told):
    message = refused(f"# fine\nSwitchName=leaf1 \\\nNodes=h[1-4]\n{line}\nSwitchName=leaf3 Nodes=h9\n")

    assert "line 4" in message
    assert told in message


@pytest.mark.parametrize("text", ["", "# nothing", "SwitchName=leaf1\nSwitchName=spine Switches=leaf1", "BlockSizes=4"])
def test_a_file_without_leaves_is_refused(text):
    assert "SwitchName=leaf1" in refused(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00binary"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path, content):
    path = tmp_path / "topology.conf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PlanError, match="--topology") as caught:
        read_topology(path)

    assert str(path) in str(caught.value)


@st.composite
def fabrics(draw):
    """Hosts on leaves, and a text that says so."""
    counts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    switches = [f"{draw(st.sampled_from('sL'))}{index}" for index in range(len(counts))]
    expected, lines = {}, []
    for switch, count in zip(switches, counts, strict=True):
        hosts = [f"n{len(expected) + place:03d}" for place in range(count)]
        expected |= dict.fromkeys(hosts, switch)
        gap = draw(st.sampled_from([" ", "\t", "  \\\n "]))
        lines += [f"SwitchName={switch}{gap}Nodes={','.join(hosts)}", *draw(st.sampled_from([(), ("",), ("# x",)]))]
    return expected, "\n".join(lines)


@settings(max_examples=30)  # folding node sets takes ms
@given(fabrics())
def test_every_host_is_found_on_its_leaf(fabric):
    expected, text = fabric

    assert leaf_of(text) == expected


OWN = """
[[leaf]]
switch = "leaf1"
hosts = "h[1-2]"
rail = 0
spines = ["spine1", "spine2"]
uplinks = 2

[[leaf]]
switch = "leaf2"
hosts = "h[1-2]"
rail = 1
"""
OWN_LEAVES = (
    Leaf(switch="leaf1", hosts="h[1-2]", rail=0, spines=("spine1", "spine2"), uplinks=2),
    Leaf(switch="leaf2", hosts="h[1-2]", rail=1),
)


@pytest.mark.parametrize("name", ["fabric.toml", "fabric.TOML", "fabric"])
def test_toml_tells_rails_spines_and_uplinks(name):
    assert parse_topology(OWN, name) == OWN_LEAVES


@pytest.mark.parametrize("name", ["fabric.json", "fabric"])
def test_json_tells_the_same(name):
    assert parse_topology(json.dumps(tomllib.loads(OWN)), name) == OWN_LEAVES


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("switch = ", "swich = ", "unknown field `swich` - at `$.leaf[0]`"),
        ('switch = "leaf2"', "", "missing required field `switch` - at `$.leaf[1]`"),
        ("rail = 0", 'rail = "0"', "Expected `int | null`, got `str` - at `$.leaf[0].rail`"),
        ("rail = 0", "rail = -1", "`$.leaf[0].rail`"),
        ("uplinks = 2", "uplinks = 0", "`$.leaf[0].uplinks`"),
        ("uplinks = 2", "uplinks = = 2", "line 7"),
        ("h[1-2]", "h[1-", "leaf 1 (leaf1): 'h[1-'"),
        ("h[1-2]", "@rack", "leaf 1 (leaf1): '@rack'"),
        ('"leaf1"', '"a leaf"', "`$.leaf[0].switch`"),
        ('["spine1", "spine2"]', '["spine1", "spine1"]', "leaf 1 (leaf1) names a spine twice"),
        ('["spine1", "spine2"]', '["leaf1"]', "leaf 1 (leaf1) is its own spine"),
        ('["spine1", "spine2"]', '["leaf2"]', "leaf2 is a leaf, and a spine of leaf1"),
        ("rail = 1", "rail = 0", "h1 is on leaf2 with rail 0, and before that it was on leaf1"),
        ("rail = 1", "", "h1 is on leaf2 and on leaf1, with a rail on one of them and with all"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_by_field_or_line(old, new, told):
    assert told in refused(OWN.replace(old, new, 1), "fabric.toml")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("leaf = []", "f.toml"),
        ("", "f.toml"),
        ("{}", "f.json"),
        ("[[]]", "f.json"),
        ("{", "f"),
        ("[" * 99_999, "f.json"),
        ("a = " + "[" * 99_999, "f.toml"),
        ("", "f.csv"),
        ("h1,eth0,leaf1", "f.csv"),
        ('{"net_devices": [1]}', "f"),
    ],
)
def test_a_file_of_any_kind_that_tells_of_no_leaf_is_refused(text, name):
    assert "; try: " in refused(text, name)


def test_cables_to_one_switch_make_a_leaf_and_cables_to_several_make_rails():
    text = "host,netdev,switch,port\nh1,eth10,L2,1\nh1,eth9,L1,1\nh2,eth9,L1,2\nh2,eth10,L2,2\nh3,a,L3,1\nh3,b,L3,2\n"

    assert (
        parse_topology(text, "cables.csv")
        == parse_topology(text, "cables")
        == (
            Leaf(switch="L1", hosts="h[1-2]", rail=0),
            Leaf(switch="L2", hosts="h[1-2]", rail=1),
            Leaf(switch="L3", hosts="h3"),
        )
    )


def test_a_cable_with_two_ends_is_refused_with_its_line():
    assert "line 2" in refused("h1,eth0,L1,1\nh1,eth0,L2,1\n", "cables.csv")


def test_an_inventory_with_lldp_neighbours_is_a_topology_without_its_network_of_management():
    def device(name, switch):
        return NetDevice(
            name=name, state="up", mtu_bytes=None, speed_gbps=None, driver=None, pci=None,
            neighbour=Neighbour(system=switch, port="1"),
        )  # fmt: skip

    told = Inventories(
        format=1,
        hosts=tuple(
            HostInventory(
                host=host,
                rdma_ports=tuple(replace(PORT, device=f"mlx5_{at}", netdev=f"eth{at}") for at in (1, 2)),
                net_devices=(device("eth0", "management"), device("eth1", "L1"), device("eth2", "L2")),
            )
            for host in ("h1", "h2")
        ),
    )

    assert parse_topology(json_document(told).decode(), "inventory.json") == (
        Leaf(switch="L1", hosts="h[1-2]", rail=0),
        Leaf(switch="L2", hosts="h[1-2]", rail=1),
    )


WORDS = st.sampled_from(
    ["SwitchName", "Nodes", "Switches", "=", " ", "\n", "\\\n", "h[1-3]", "h2", "leaf1", '"', "#", ",", "[",
     "[[leaf]]\n",
     'switch = "a"\n', 'hosts = "h1"\n', "rail = 1\n", 'spines = ["a"]\n', "{", "}", ":", '"leaf"', "h1,eth0,a,1\n"]
)  # fmt: skip
NAMES = st.sampled_from(["topology.conf", "f.toml", "f.json", "f.csv", "f"])


@given(st.text() | st.lists(WORDS).map("".join) | st.text(alphabet=string.printable), NAMES)
def test_any_text_is_a_topology_or_a_plan_error(text, name):
    try:
        leaves = parse_topology(text, name)
    except PlanError as error:
        assert "\n" not in str(error)
    else:
        assert leaves
        assert all(leaf.switch and NodeSet(leaf.hosts) for leaf in leaves)
