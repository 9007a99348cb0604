"""Links of an InfiniBand subnet, as three tools list them, and those that are slower than their like."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_samples import read

from netprobe.cli.app import main
from netprobe.errors import FormatError
from netprobe.ingest.recognise import read_text
from netprobe.model.verdict import ExitCode

SPEEDS = {"SDR": "2.5", "EDR": "25.78125", "HDR": "53.125", "NDR": "106.25"}
HOSTS = 6
PAIRS = [(f"n{number} mlx5_0", 100 + number, number) for number in range(1, HOSTS + 1)]
"""(description, LID, the switch's port) of each host."""


def as_pairs(trained):
    """Return ``ibnetdiscover -p`` of hosts below leaf1, which has LID 7, each link from both ends."""
    lines = []
    for name, lid, port in PAIRS:
        width, speed = trained.get(name, (4, "EDR"))
        host, leaf = f"CA {lid:5} 1 0x7cfe9003003b4b{port:02x}", f"SW 7 {port} 0x7cfe9003009ce5b0"
        lines.append(f"{host} {width}x {speed} - {leaf} ( '{name}' - 'leaf1' )\n")
        lines.append(f"{leaf} {width}x {speed} - {host} ( 'leaf1' - '{name}' )\n")
    return "".join(lines)


def as_topology(trained):
    """Return what plain ``ibnetdiscover`` prints of them."""
    lines = ["#\n# Topology file: generated on Sun Nov 29 09:00:00 2026\n#\n"]
    lines += ["vendid=0x2c9\ndevid=0xcb20\nswitchguid=0x7cfe9003009ce5b0(7cfe9003009ce5b0)\n"]
    lines += ['Switch\t36 "S-7cfe9003009ce5b0"\t\t# "leaf1" enhanced port 0 lid 7 lmc 0\n']
    for name, lid, port in PAIRS:
        width, speed = trained.get(name, (4, "EDR"))
        guid = f"7cfe9003003b4b{port:02x}"
        lines.append(f'[{port}]\t"H-{guid}"[1]({guid}) \t\t# "{name}" lid {lid} {width}x{speed}\n')
    for name, lid, port in PAIRS:
        width, speed = trained.get(name, (4, "EDR"))
        guid = f"7cfe9003003b4b{port:02x}"
        lines.append(f'\nCa\t1 "H-{guid}"\t\t# "{name}"\n')
        lines.append(f'[1]({guid}) \t"S-7cfe9003009ce5b0"[{port}]\t\t# lid {lid} lmc 0 "leaf1" lid 7 {width}x{speed}\n')
    return "".join(lines)


def as_linkinfo(trained, remark=""):
    """Return what ``iblinkinfo`` prints of them, and of a port without a cable."""
    lines = []
    for name, lid, port in PAIRS:
        width, speed = trained.get(name, (4, "EDR"))
        link = f"==( {width}X {SPEEDS[speed]:>14} Gbps Active/  LinkUp)==>"
        said = remark if name in trained else ""
        lines.append(f"CA: {name}:\n")
        lines.append(
            f'      0x7cfe9003003b4b{port:02x} {lid:6}    1[  ] {link}       7 {port:4}[  ] "leaf1" ({said})\n'
        )
    lines.append("Switch: 0x7cfe9003009ce5b0 leaf1:\n")
    for name, lid, port in PAIRS:
        width, speed = trained.get(name, (4, "EDR"))
        link = f"==( {width}X {SPEEDS[speed]:>14} Gbps Active/  LinkUp)==>"
        said = remark if name in trained else ""
        lines.append(f'           7 {port:4}[  ] {link} {lid:6}    1[  ] "{name}" ({said})\n')
    lines.append('           7   36[  ] ==(                Down/ Polling)==>             [  ] "" ( )\n')
    return "".join(lines)


FORMATS = pytest.mark.parametrize("told", [as_pairs, as_topology, as_linkinfo], ids=["pairs", "topology", "linkinfo"])


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests a text and returns its exit code and its JSON."""

    def run(text):
        (tmp_path / "subnet.txt").write_text(text)
        code = main(["ingest", str(tmp_path / "subnet.txt"), "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@FORMATS
def test_each_link_is_read_once_with_both_ends_width_and_speed(told):
    found = read_text(told({}), "f")

    ends = {tuple(end.subject for end in link.ends) for link in found.subnet}
    assert ends == {(f"leaf1 {port}", name) for name, _, port in PAIRS}
    assert {(link.width, link.speed) for link in found.subnet} == {(4, "EDR")}
    assert len(found.subnet) == HOSTS
    assert found.unread == 0


@FORMATS
@pytest.mark.parametrize(("trained", "shown"), [((1, "EDR"), "1X EDR"), ((4, "SDR"), "4X SDR")])
def test_a_link_that_is_narrower_or_slower_than_its_like_is_a_downgrade_of_that_host(ingest, told, trained, shown):
    code, found = ingest(told({"n3 mlx5_0": trained}))

    [finding] = found["findings"]
    assert code == ExitCode.DEGRADED
    assert (finding["detector"], finding["subjects"]) == ("link-downgrade", ["n3 mlx5_0"])
    assert (
        f"leaf1 3 - n3 mlx5_0 came up at {shown}, where 5 other links of hosts to switches have 4X EDR"
        in (finding["summary"])
    )


@FORMATS
def test_links_that_are_all_alike_are_clean(ingest, told):
    code, found = ingest(told({}))

    assert (code, found["findings"]) == (ExitCode.HEALTHY, [])


@FORMATS
def test_many_slower_links_are_another_kind_of_host_and_nobody_is_blamed(ingest, told):
    _, found = ingest(told({name: (2, "EDR") for name, _, port in PAIRS if port <= 3}))

    assert found["findings"] == []
    assert any("so none can be told to be too slow" in gap["reason"] for gap in found["gaps"])


def test_what_iblinkinfo_says_that_both_ends_could_do_needs_no_others(ingest):
    slow = {name: (1, "EDR") for name, _, port in PAIRS if port <= 3}

    code, found = ingest(as_linkinfo(slow, remark=" Could be 4X"))

    assert code == ExitCode.DEGRADED
    assert sorted(each["subjects"][0] for each in found["findings"]) == ["n1 mlx5_0", "n2 mlx5_0", "n3 mlx5_0"]
    assert all("both ends could do 4X" in each["summary"] for each in found["findings"])


def test_what_iblinkinfo_says_of_speeds_is_read_with_its_unit_and_by_its_name():
    text = as_linkinfo({"n1 mlx5_0": (4, "SDR")}, remark="Could be 14.0625 Gbps").replace(
        "2.5 Gbps", "10.0 Gbps (FDR10)"
    )

    [link] = [link for link in read_text(text, "f").subnet if link.could_be is not None]

    assert (link.shown, link.could_be) == ("4X FDR10", "14.0625 Gbps")


def test_ports_without_a_link_are_counted_and_no_downgrade(ingest):
    text = as_pairs({}) + "SW 7 80 0x7cfe9003009ce5b0 4x SDR                                    'leaf1'\n"

    _, found = ingest(text)

    assert found["findings"] == []
    assert any("1 ports of an InfiniBand subnet without a link" in gap["reason"] for gap in found["gaps"])


def test_of_a_real_listing_each_link_is_read_and_ports_without_one_are_left_alone():
    found = read("ibnetdiscover-pairs.txt")

    assert [(*(end.subject for end in link.ends), link.shown) for link in found.subnet] == [
        ("o0001 HCA-1", "ib-i1l1s01 10", "4X EDR"),
        ("o0002 HCA-1", "ib-i1l1s01 11", "4X EDR"),
        ("p0001 HCA-1", "ib-i4l1s01 35", "4X EDR"),
        ("ib-i1l2s01 1", "ib-i1l1s01 1", "4X EDR"),
    ]
    assert (found.unread, [each.lines for each in found.unjudged]) == (0, [2])


@given(st.data())
def test_a_listing_that_is_cut_or_damaged_never_fails(data):
    text = data.draw(st.sampled_from([as_pairs({}), as_topology({}), as_linkinfo({})]))
    start = data.draw(st.integers(0, len(text)))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[start + data.draw(st.integers(0, 40)) :]

    try:
        found = read_text(damaged, "f")
    except FormatError:
        return
    assert all(link.width for link in found.subnet)
