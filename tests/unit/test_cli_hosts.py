"""What `inventory`, `config` and `snapshot` print of hosts, and what they end with."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from store_samples import inventory

from netprobe.cli.app import main
from netprobe.cli.snapshotting import snapshot_of
from netprobe.launch.gathering import gather
from netprobe.launch.remote import Answer
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Snapshot
from netprobe.model.verdict import ExitCode
from netprobe.reporters._wording import TOO_LITTLE
from netprobe.store.encoding import json_line
from netprobe.store.snapshots import read_snapshot, write_snapshot
from netprobe.system.here import recorded_system


@pytest.fixture
def snapshots(tmp_path):
    """Return a function that writes a snapshot of each inventory, and returns the options that name them."""

    def write(*inventories):
        options = []
        for each in inventories:
            path = tmp_path / f"{len(options)}.tar.gz"
            taken = "2026-11-24T02:00:00Z"
            write_snapshot(
                path,
                Snapshot(format=SNAPSHOT_FORMAT, netprobe="0.1.0", taken=taken, inventory=each, readings=()),
            )
            options += ["--from-snapshot", str(path)]
        return options

    return write


def with_mtu(host, mtu_bytes):
    sample = inventory(host)
    return replace(sample, net_devices=(replace(sample.net_devices[0], mtu_bytes=mtu_bytes),), gaps=())


def test_one_host_is_shown_in_full(snapshots, capsys):
    code = main(["inventory", *snapshots(with_mtu("node7", 9000))])

    shown = capsys.readouterr().out
    assert code == ExitCode.HEALTHY
    assert shown.startswith("1 host  node7\n")
    assert "rate        400 Gb/s" in shown
    assert "lossless priorities  3" in shown


def test_of_several_hosts_only_what_differs_is_shown(snapshots, capsys):
    hosts = [with_mtu(f"node{number}", 9000) for number in range(1, 4)]

    code = main(["inventory", *snapshots(*hosts, with_mtu("node4", 1500))])

    shown = capsys.readouterr().out
    assert code == ExitCode.HEALTHY
    assert "4 hosts  node[1-4]" in shown
    assert [line.split() for line in shown.splitlines()[2:4]] == [
        ["part", "fact", "most", "have", "others"],
        ["eth0", "MTU", "9000", "1500:", "node4"],
    ]


def test_hosts_that_are_alike_are_said_to_be(snapshots, capsys):
    main(["inventory", *snapshots(*(with_mtu(f"node{number}", 9000) for number in range(3)))])

    assert "all of them are alike" in capsys.readouterr().out


def test_what_a_host_could_not_read_is_told_and_counts(snapshots, capsys):
    sample = replace(with_mtu("node1", 9000), gaps=(Gap(topic="pci", reason="/sys/bus/pci may not be read"),))

    main(["inventory", *snapshots(sample, with_mtu("node2", 9000))])

    assert "pci: /sys/bus/pci may not be read (node1)" in capsys.readouterr().out


def test_an_inventory_for_programs_is_that_of_run_directories(snapshots, capsys):
    main(["inventory", "--format", "json", *snapshots(with_mtu("node7", 9000))])

    document = json.loads(capsys.readouterr().out)
    assert document["format"] == 1
    assert document["hosts"][0]["rdma_ports"][0]["device"] == "mlx5_0"


@pytest.mark.parametrize("command", ["inventory", "config"])
def test_names_from_elsewhere_move_no_cursor(snapshots, capsys, command):
    hostile = replace(with_mtu("node\x1b[2J7", 9000), gaps=(Gap(topic="x\x07", reason="a\nb\x1b]0;t\x07"),))

    main([command, *snapshots(hostile, with_mtu("[red]node8", 1500))])

    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[red]node8" in shown


def test_settings_of_a_host_without_rdma_are_not_called_fine(snapshots, capsys):
    code = main(["config", *snapshots(HostInventory(host="laptop"))])

    shown = capsys.readouterr().out
    assert code == ExitCode.INCONCLUSIVE
    assert "0 RDMA ports: nothing to audit" in shown


def with_class(host, traffic_class):
    sample = with_mtu(host, 9000)
    return replace(sample, rdma_ports=(replace(sample.rdma_ports[0], traffic_class=traffic_class, gids=()),))


@pytest.mark.parametrize(("of_the_odd", "expected"), [(104, ExitCode.HEALTHY), (None, ExitCode.INCONCLUSIVE)])
def test_settings_are_not_called_fine_where_a_host_does_not_tell_what_decides(snapshots, capsys, of_the_odd, expected):
    hosts = [with_class(f"node{number}", 104) for number in range(3)]

    code = main(["config", *snapshots(*hosts, with_class("node3", of_the_odd))])

    shown = " ".join(capsys.readouterr().out.split())
    assert code == expected
    assert (TOO_LITTLE in shown) is (expected == ExitCode.INCONCLUSIVE)
    assert ("traffic class of mlx5_0 on node3 is not set, or not told" in shown) is (expected == ExitCode.INCONCLUSIVE)


def test_a_format_that_is_none_is_refused_before_anybody_is_asked(capsys):
    assert main(["config", "--format", "yaml", "--from-snapshot", "/nowhere"]) == ExitCode.SETUP_ERROR
    assert capsys.readouterr().err == "netprobe: there is no format called 'yaml' here; try: console or json\n"


def test_a_snapshot_that_cannot_be_read_is_one_line(capsys):
    assert main(["inventory", "--from-snapshot", "/nowhere.tar.gz"]) == ExitCode.SETUP_ERROR
    assert capsys.readouterr().err.startswith("netprobe: /nowhere.tar.gz cannot be read: No such file")


def test_hosts_and_snapshots_exclude_each_other(capsys):
    assert main(["inventory", "--hosts", "a", "--from-snapshot", "/b"]) == ExitCode.SETUP_ERROR
    assert "--hosts and --from-snapshot both say" in capsys.readouterr().err


def test_a_snapshot_has_two_readings_with_a_pause_between_them(tmp_path):
    paused, ticks = [], iter([5, 2_000_000_005])

    taken = snapshot_of(
        recorded_system(tmp_path), "node7", datetime(2026, 11, 24, 2, tzinfo=UTC), paused.append, lambda: next(ticks)
    )

    assert [each.at_ns for each in taken.readings] == [5, 2_000_000_005]
    assert paused == [2.0]
    assert (taken.inventory.host, taken.taken) == ("node7", "2026-11-24T02:00:00Z")


def test_a_snapshot_is_written_where_it_is_asked_for(tmp_path, capsys):
    path = tmp_path / "here.tar.gz"

    assert main(["snapshot", "--scrub", "--out", str(path)]) == ExitCode.HEALTHY

    assert capsys.readouterr().out.startswith(str(path))
    assert read_snapshot(path).is_scrubbed


def test_counters_are_not_read_more_often_than_once_a_second(capsys):
    assert main(["counters", "--interval", "100ms"]) == ExitCode.SETUP_ERROR
    assert "not asked more often than once a second; try: 1s" in capsys.readouterr().err


def answering(answers):
    return lambda hosts, argv, timeout_s: {host: answers[host] for host in hosts}


def test_hosts_are_known_by_the_name_they_were_asked_by():
    line = json_line(inventory("localhost.localdomain")).decode()

    told = gather(["node1"], (), {}, answering({"node1": Answer(code=0, lines=("motd", line))}))

    assert [each.host for each in told.inventories] == ["node1"]
    assert told.gaps == ()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(code=255, error="ssh: connect to host node1 port 22: No route to host"), "No route to host"),
        (Answer(code=0, lines=("Welcome",)), "its answer cannot be read"),
        (Answer(code=0), "exit code 0"),
    ],
)
def test_a_host_that_tells_nothing_is_a_gap_with_its_last_words(answer, why):
    told = gather(["node1"], (), {}, answering({"node1": answer}))

    assert told.inventories == ()
    assert [(gap.topic, why in gap.reason) for gap in told.gaps] == [("node1", True)]


def test_what_is_not_to_be_read_travels_to_every_host():
    asked = []

    def ask(hosts, argv, timeout_s):
        asked.append(argv)
        return {host: Answer(code=1) for host in hosts}

    gather(["node1"], ("mlx5_7", "eth9"), {}, ask)

    assert asked[0][-2:] == ("mlx5_7", "eth9")
    assert Path(asked[0][1]).name.startswith("python")


def test_the_sites_own_list_of_cables_places_interfaces(snapshots, tmp_path, capsys):
    cables = tmp_path / "cables.csv"
    cables.write_text("host,netdev,switch,port\nnode7,eth0,leaf3,Ethernet1/7\nnode8,eth0,leaf4,Ethernet1/8\n")

    main(["inventory", "--format", "json", "--cables", str(cables), *snapshots(with_mtu("node7", 9000))])

    (device,) = json.loads(capsys.readouterr().out)["hosts"][0]["net_devices"]
    assert (device["neighbour"]["system"], device["neighbour"]["port"]) == ("leaf3", "Ethernet1/7")


@pytest.mark.parametrize(
    ("text", "told"), [("node7,eth0,leaf3\n", "line 1 has 3 columns"), (None, "No such file or directory")]
)
def test_a_list_of_cables_that_is_none_is_one_line(tmp_path, capsys, text, told):
    cables = tmp_path / "cables.csv"
    if text is not None:
        cables.write_text(text)

    assert main(["inventory", "--cables", str(cables)]) == ExitCode.SETUP_ERROR

    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
