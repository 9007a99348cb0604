"""Two snapshots of a switch: what grew at which port and priority, and whose port it is."""

import json

import pytest

from netprobe.cli.app import main

TABLE = """\
admin@leaf1:~$ show pfc counters
  Port Rx    PFC0     PFC3
---------  ------  -------
Ethernet0       0  {rx:>7,}
Ethernet4       0        5

admin@leaf1:~$ show interfaces counters
    IFACE    STATE    RX_DRP    TX_DRP
---------  -------  --------  --------
Ethernet0        U         0  {drops:>8,}
"""
CABLES = "host,netdev,switch,port\nnode1,eth0,leaf1,Ethernet0\n"
NEIGHBOURS = {
    "lldp": {"interface": [{"eth0": {
        "chassis": {"leaf1": {}}, "port": {"id": {"type": "ifname", "value": "Ethernet0"}},
    }}]}
}  # fmt: skip


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests texts, each with the name before it or none, and returns its JSON."""

    def run(*texts):
        names = []
        for number, (owner, text) in enumerate(texts, start=1):
            path = tmp_path / f"{number}.txt"
            path.write_text(text)
            names.append(f"{owner}={path}" if owner else str(path))
        main(["ingest", *names, "--format", "json"])
        return json.loads(capsys.readouterr().out)

    return run


def notes(told):
    return [f"{each['subject']}: {each['text']}" for each in told["notes"]]


def before_and_after():
    return (None, TABLE.format(rx=1_000, drops=7)), (None, TABLE.format(rx=2_234, drops=50))


def test_growth_of_each_port_and_priority_is_a_figure_and_no_finding(ingest):
    told = ingest(*before_and_after())

    assert notes(told) == [
        "leaf1 Ethernet0: packets dropped 43",
        "leaf1 Ethernet0: priority 3: PFC frames received 1,234",
    ]
    assert told["findings"] == []


def gnmi(**counters):
    """Return a notification of counters of one port."""
    path = "interfaces/interface[name=Ethernet8]/state/counters"
    told = {name.replace("_", "-"): value for name, value in counters.items()}
    return None, json.dumps([{"source": "leaf2:57400", "updates": [{"Path": path, "values": {"counters": told}}]}])


def test_wrong_checksums_are_told_once_though_errors_count_them_too(ingest):
    only_damage = ingest(gnmi(in_crc_errors=1, in_errors=1), gnmi(in_crc_errors=6, in_errors=6))
    and_others = ingest(gnmi(in_crc_errors=1, in_errors=1), gnmi(in_crc_errors=6, in_errors=9))

    damage = "leaf2 Ethernet8: frames received with a wrong checksum (CRC) 5"
    assert notes(only_damage) == [damage]
    assert notes(and_others) == [f"{damage}, frames received with any error, wrong checksums among them 8"]


@pytest.mark.parametrize(
    ("leaf", "what"),
    [
        ("in_crc_errors", "frames received with a wrong checksum (CRC)"),
        ("in_fcs_errors", "frames received with a wrong checksum (CRC)"),
        ("in_errors", "frames received with any error, wrong checksums among them"),
        ("out_errors", "frames that could not be sent"),
        ("in_discards", "packets dropped"),
        ("out_discards", "packets dropped"),
    ],
)
def test_each_counter_of_openconfig_is_told_by_its_meaning(ingest, leaf, what):
    told = ingest(gnmi(**{leaf: 1}), gnmi(**{leaf: 6}))

    assert notes(told) == [f"leaf2 Ethernet8: {what} 5"]


def test_two_counters_of_the_same_frames_are_not_added_up(ingest):
    told = ingest(gnmi(in_crc_errors=1, in_fcs_errors=1), gnmi(in_crc_errors=6, in_fcs_errors=6))

    assert notes(told) == ["leaf2 Ethernet8: frames received with a wrong checksum (CRC) 5"]


def test_counters_that_are_not_used_are_counted_and_the_first_are_named(ingest):
    others = {f"in_thing_{number}": number for number in range(8)}

    told = ingest(gnmi(in_discards=1, **others))
    (clean,) = ingest(gnmi(in_discards=1))["files"]

    names = ", ".join(f"in-thing-{number}" for number in range(6))
    assert told["files"][0].endswith(f"8 counters of switches not used ({names} and 2 more)")
    assert "not used" not in clean


def test_without_a_list_of_cables_nobody_knows_whose_ports_they_are(ingest):
    reasons = [gap["reason"] for gap in ingest(*before_and_after())["gaps"]]

    assert "which hosts are attached to leaf1 Ethernet0, leaf1 Ethernet4 is not told" in reasons


@pytest.mark.parametrize("cables", [(None, CABLES), ("node1", json.dumps(NEIGHBOURS))])
def test_a_list_of_cables_names_the_host(ingest, cables):
    told = ingest(*before_and_after(), cables)

    assert "leaf1 Ethernet0 (node1 eth0): packets dropped 43" in notes(told)
    assert "which hosts are attached to leaf1 Ethernet4 is not told" in [gap["reason"] for gap in told["gaps"]]


def test_a_damaged_list_of_cables_is_a_gap(ingest):
    told = ingest(*before_and_after(), (None, CABLES + "node1,eth0,leaf1,Ethernet4\n"))

    assert any("has another port for node1 eth0" in gap["reason"] for gap in told["gaps"])


def test_one_snapshot_is_lifetime_totals(ingest):
    told = ingest((None, TABLE.format(rx=1, drops=1)))

    assert notes(told) == []
    assert any("one file of a switch is lifetime totals" in gap["reason"] for gap in told["gaps"])


def test_two_snapshots_that_are_alike_say_so(ingest):
    same = (None, TABLE.format(rx=1, drops=1))

    assert notes(ingest(same, same)) == ["leaf1: nothing grew between the two snapshots"]


def test_a_switch_that_does_not_name_itself_has_the_name_before_its_file(ingest):
    texts = [text.replace("admin@leaf1:~$ ", "$ ") for _, text in before_and_after()]

    assert "leaf7 Ethernet0: packets dropped 43" in notes(ingest(*(("leaf7", text) for text in texts)))
    told = ingest(*((None, text) for text in texts))
    assert any("do not say which switch they are of" in gap["reason"] for gap in told["gaps"])


def test_the_first_line_says_that_nothing_but_switches_was_read(tmp_path, capsys):
    for number, (_, text) in enumerate(before_and_after()):
        (tmp_path / f"{number}.txt").write_text(text)

    main(["ingest", *(str(tmp_path / f"{number}.txt") for number in (0, 1))])

    assert capsys.readouterr().out.startswith("counters of 1 switch: nothing could be judged\n")
