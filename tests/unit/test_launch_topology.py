"""Which leaf switch each host is on, as sites of Slurm have written it down already."""

import string

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.launch.topology import parse_topology, read_topology

FABRIC = """\
# rack 1
SwitchName=leaf1 Nodes=h[1-4]
SwitchName=leaf2 Nodes=h[5-8]  # rack 2
SwitchName=spine Switches=leaf[1-2]
"""


def leaf_of(text):
    """Return the switch of each host."""
    return {host: leaf.switch for leaf in parse_topology(text, "topology.conf") for host in NodeSet(leaf.hosts)}


def refused(text):
    with pytest.raises(PlanError) as caught:
        parse_topology(text, "topology.conf")
    message = str(caught.value)
    assert message.startswith("--topology topology.conf")
    assert "\n" not in message
    return message


def test_a_leaf_is_a_switch_with_nodes():
    leaves = parse_topology(FABRIC, "topology.conf")

    assert [(leaf.switch, leaf.hosts) for leaf in leaves] == [("leaf1", "h[1-4]"), ("leaf2", "h[5-8]")]


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
    ],
)
def test_a_typo_is_named_with_its_line(line, told):
    message = refused(f"# fine\nSwitchName=leaf1 \\\nNodes=h[1-4]\n{line}\nSwitchName=leaf3 Nodes=h9\n")

    assert "line 4" in message
    assert told in message


@pytest.mark.parametrize("text", ["", "# nothing", "SwitchName=spine Switches=leaf[1-2]", "BlockSizes=4"])
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


WORDS = st.sampled_from(["SwitchName", "Nodes", "=", " ", "\n", "\\\n", "h[1-3]", "h2", "leaf1", '"', "#", ",", "["])


@given(st.text() | st.lists(WORDS).map("".join) | st.text(alphabet=string.printable))
def test_any_text_is_a_topology_or_a_plan_error(text):
    try:
        leaves = parse_topology(text, "topology.conf")
    except PlanError as error:
        assert "\n" not in str(error)
    else:
        assert leaves
        assert all(leaf.switch and NodeSet(leaf.hosts) for leaf in leaves)
