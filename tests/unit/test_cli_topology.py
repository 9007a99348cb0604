"""``--topology`` on the command line: what is refused before any rank starts, and whom a file has left out."""

from dataclasses import replace

import pytest
from store_samples import ranks, ready

from netprobe.cli.app import main
from netprobe.cli.meeting import MeetingSink
from netprobe.cli.placing import unplaced


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.mark.parametrize("command", [("check",), ("run", "latency")])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("SwitchName=leaf1 Nodes=h[1-2]\nSwitchName=leaf2 Nodes=h2", "line 2: h2 is on leaf2"),
        ("SwitchName=leaf1 Nodes=h[1-", "line 1: 'h[1-'"),
        ("", "names no switch with nodes"),
    ],
)
def test_a_bad_topology_is_one_line_with_exit_code_4(capsys, tmp_path, command, content, told):
    path = tmp_path / "topology.conf"
    if content is not None:
        path.write_text(content)

    assert main([*command, "--topology", str(path), "--out", str(tmp_path / "runs")]) == 4

    captured = capsys.readouterr()
    assert captured.err.startswith(f"netprobe: --topology {path}")
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_hosts_that_a_topology_has_left_out_are_named_once(capsys):
    kept = Kept()
    sink = MeetingSink(kept, unplaced)
    met = replace(ready(4), ranks=tuple(replace(rank, leaf=None if rank.rank else "leaf1") for rank in four_hosts()))

    sink.emit(met)
    sink.emit(met)

    assert kept.records == [met, met]
    assert capsys.readouterr().err == (
        "netprobe: --topology says nothing of node[1-3]: their leaf switches are unknown\n"
    )


def test_nothing_is_said_where_every_host_has_its_leaf(capsys):
    MeetingSink(Kept(), unplaced).emit(
        replace(ready(4), ranks=tuple(replace(rank, leaf="leaf1") for rank in four_hosts()))
    )

    assert capsys.readouterr().err == ""


def four_hosts():
    return tuple(replace(rank, host=f"node{rank.rank}") for rank in ranks(4))
