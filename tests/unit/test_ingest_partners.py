"""Losses at other hosts that damage at one port explains, or does not, where nobody tells who sent to whom."""

import json
from dataclasses import replace

import pytest
from store_samples import inventory

from netprobe.cli.app import main
from netprobe.judge.partners import HostCounts, with_partners
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot
from netprobe.store.snapshots import write_snapshot

DAMAGE = "ethtool/eth0/rx_crc_errors_phy"
HOLE = "rdma/mlx5_0/1/out_of_sequence"
NAK = "rdma/mlx5_0/1/packet_seq_err"
TIMEOUT = "rdma/mlx5_0/1/local_ack_timeout_err"
DISCARD = "ethtool/eth0/rx_discards_phy"
FLAP = "rdma/mlx5_0/1/link_downed"
ICRC = "rdma/mlx5_0/1/rx_icrc_encapsulated"
OWN_NAK = "rdma/mlx5_1/1/packet_seq_err"
NAMES = (DAMAGE, HOLE, NAK, TIMEOUT, DISCARD, FLAP, ICRC, OWN_NAK)
HURT = {DAMAGE: 900, HOLE: 300}
AT_NOON, AT_ONE, AT_TWO = 12, 13, 14


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests snapshots: of each host, when each was taken and what had grown since the last."""

    def run(**hosts):
        paths = []
        for host, readings in hosts.items():
            counts = dict.fromkeys(NAMES, 0)
            for hour, grown in readings:
                counts = {name: count + grown.get(name, 0) for name, count in counts.items()}
                path = tmp_path / f"{host}-{hour}.netprobe.tar.gz"
                write_snapshot(path, snapshot(host, hour, counts))
                paths.append(str(path))
        main(["ingest", *paths, "--format", "json"])
        return json.loads(capsys.readouterr().out)["findings"]

    return run


def of_host(host):
    """Return an inventory whose address no other host has; hosts called ib… are on another fabric."""
    told = inventory(host)
    [port] = told.rdma_ports
    [gid] = port.gids
    address = f"::ffff:10.1.0.{host[-1:]}"
    layer = "InfiniBand" if host.startswith("ib") else port.link_layer
    return replace(told, rdma_ports=(replace(port, link_layer=layer, gids=(replace(gid, address=address),)),))


def snapshot(host, hour, counts):
    return Snapshot(
        format=SNAPSHOT_FORMAT, netprobe="0", taken=f"2026-11-24T{hour}:00:00Z", inventory=of_host(host),
        readings=(Reading(at_ns=hour * 3600 * 10**9, values=counts),),
    )  # fmt: skip


def between(grown):
    """Return two readings an hour apart."""
    return [(AT_NOON, {}), (AT_ONE, grown)]


def subjects(findings):
    return {(each["detector"], each["subjects"][0]) for each in findings}


def only(findings, detector):
    [found] = [each for each in findings if each["detector"] == detector]
    return found


ALONE = {("physical-errors", "n1 mlx5_0")}
APART = {*ALONE, ("counters", "n2 mlx5_0")}
HINT = "damage was seen at n1 mlx5_0"


def test_what_partners_lost_to_a_damaged_port_is_told_with_the_damage(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 200}), n3=between({TIMEOUT: 90}))

    assert subjects(findings) == ALONE
    damage = only(findings, "physical-errors")
    assert damage["summary"].endswith("probably also why 2 other ports lost packets in the same time")
    told = {fact["metric"]: fact["observed"] for fact in damage["facts"]}
    assert "packet_seq_err" in told["n2 mlx5_0 probably lost to it"]
    assert "local_ack_timeout_err" in told["n3 mlx5_0 probably lost to it"]
    assert damage["hosts"] == ["n1"]


def test_losses_without_damage_stand_as_they_are(ingest):
    findings = ingest(n1=between({HOLE: 300}), n2=between({NAK: 200}))

    assert subjects(findings) == {("counters", "n1 mlx5_0"), ("counters", "n2 mlx5_0")}
    assert all("damage" not in each["next_action"] for each in findings)


def test_a_loss_at_another_time_is_not_of_the_damage(ingest):
    findings = ingest(n1=between(HURT), n2=[(AT_ONE + 1, {}), (AT_TWO + 1, {NAK: 200})])

    assert subjects(findings) == APART
    assert HINT not in only(findings, "counters")["next_action"]


def test_a_loss_in_another_window_of_the_same_files_is_not_of_the_damage(ingest):
    quiet = [(AT_NOON, {}), (AT_ONE, {})]

    together = ingest(n1=[*quiet, (AT_TWO, HURT)], n2=[*quiet, (AT_TWO, {NAK: 200})])
    apart = ingest(n1=[*between(HURT), (AT_TWO + 1, {})], n2=[(AT_NOON, {}), (AT_TWO, {}), (AT_TWO + 1, {NAK: 200})])

    assert subjects(together) == ALONE
    assert subjects(apart) == APART


def test_who_counts_holes_and_found_none_told_nobody_that_packets_are_missing(ingest):
    findings = ingest(n1=between({DAMAGE: 900}), n2=between({NAK: 200}))

    assert subjects(findings) == APART
    assert HINT not in only(findings, "counters")["next_action"]


def test_a_larger_loss_than_damage_stands_and_begins_with_the_damage(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 901}))

    assert subjects(findings) == APART
    assert only(findings, "counters")["next_action"].startswith(HINT)


def test_a_loss_that_is_too_large_hides_none_that_is_not(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 901}), n3=between({NAK: 100}))

    assert subjects(findings) == APART
    assert "1 other port lost packets" in only(findings, "physical-errors")["summary"]


def test_losses_that_only_together_are_larger_than_the_damage_all_stand(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 600}), n3=between({NAK: 600}))

    assert subjects(findings) == {*APART, ("counters", "n3 mlx5_0")}


def test_what_is_lost_on_the_way_to_the_partner_is_lost_elsewhere(ingest):
    alone = ingest(n1=between(HURT), n2=between({HOLE: 50}))
    as_well = ingest(n1=between(HURT), n2=between({HOLE: 50, NAK: 200}))

    assert subjects(alone) == subjects(as_well) == APART
    assert HINT not in only(alone, "counters")["next_action"]
    assert only(as_well, "counters")["next_action"].startswith(HINT)


def test_two_damaged_ports_share_a_loss_that_nobody_can_divide(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 200}), n3=between(HURT))

    assert subjects(findings) == {*APART, ("physical-errors", "n3 mlx5_0")}
    assert only(findings, "counters")["next_action"].startswith(f"{HINT}, n3 mlx5_0")


def test_a_loss_on_another_kind_of_fabric_is_not_of_the_damage(ingest):
    findings = ingest(n1=between(HURT), ib2=between({NAK: 200}))

    assert ("counters", "ib2 mlx5_0") in subjects(findings)
    assert HINT not in only(findings, "counters")["next_action"]


def test_a_link_that_went_down_elsewhere_is_another_cause(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 200}), n3=between({FLAP: 4}))

    assert ("counters", "n2 mlx5_0") in subjects(findings)


def test_packets_that_were_changed_before_the_last_link_explain_no_loss_of_partners(ingest):
    findings = ingest(n1=between({ICRC: 900, HOLE: 300}), n2=between({NAK: 200}))

    assert ("counters", "n2 mlx5_0") in subjects(findings)


def test_another_port_of_the_same_host_is_no_partner(ingest):
    findings = ingest(n1=between({**HURT, OWN_NAK: 200}))

    assert ("counters", "n1 mlx5_1") in subjects(findings)


def test_a_loss_that_goes_on_after_the_damage_is_not_of_it(ingest):
    later = (AT_TWO + 1, {})
    findings = ingest(
        n1=[*between(HURT), (AT_TWO, {}), later], n2=[*between({NAK: 100}), (AT_TWO, {}), (15, {NAK: 90})]
    )

    assert subjects(findings) == APART


def test_where_a_port_drops_packets_the_damage_is_not_the_only_cause(ingest):
    findings = ingest(n1=between(HURT), n2=between({NAK: 200}), n3=between({DISCARD: 70}))

    assert ("counters", "n2 mlx5_0") in subjects(findings)


def texts(tmp_path, host, number, **counts):
    path = tmp_path / f"{host}-{number}.txt"
    path.write_text("".join(f"/sys/class/infiniband/mlx5_0/ports/1/hw_counters/{k}:{v}\n" for k, v in counts.items()))
    return f"{host}={path}"


def test_of_files_without_times_the_same_test_is_assumed_and_said(tmp_path, capsys):
    files = [
        texts(tmp_path, "n1", 1, rx_icrc_encapsulated=0, symbol_error=0, out_of_sequence=0),
        texts(tmp_path, "n1", 2, rx_icrc_encapsulated=0, symbol_error=900, out_of_sequence=300),
        texts(tmp_path, "n2", 1, packet_seq_err=5),
        texts(tmp_path, "n2", 2, packet_seq_err=205),
    ]
    main(["ingest", *files, "--format", "json"])

    findings = json.loads(capsys.readouterr().out)["findings"]
    assert subjects(findings) == ALONE
    assert "if the readings are of one test" in only(findings, "physical-errors")["facts"][-1]["basis"]


def test_of_files_without_times_the_nth_window_of_one_host_is_that_of_another(tmp_path, capsys):
    hurt = [{"symbol_error": count, "out_of_sequence": count} for count in (0, 900, 900)]
    files = [texts(tmp_path, "n1", number, **counts) for number, counts in enumerate(hurt)]
    files += [texts(tmp_path, "n2", number, packet_seq_err=count) for number, count in enumerate((5, 5, 205))]
    main(["ingest", *files, "--format", "json"])

    assert subjects(json.loads(capsys.readouterr().out)["findings"]) == APART


@pytest.mark.parametrize("assumed", [None, "n1", "n2"])
def test_readings_that_were_only_taken_to_be_of_one_host_explain_nothing(assumed):
    counted = {"n1": HURT, "n2": {NAK: 200}}
    hosts = [
        HostCounts(
            inventory=of_host(host),
            readings=[Reading(at_ns=0, values=dict.fromkeys(grown, 0)), Reading(at_ns=9, values=grown)],
            moments_ns=(),
            is_assumed=host == assumed,
        )
        for host, grown in counted.items()
    ]
    damage, loss = (
        Finding(
            detector=detector, severity=Severity.DEGRADES, confidence=Confidence.LOW, subjects=(subject,), hosts=(),
            summary="s", facts=(Fact(metric="mlx5_0 packet_seq_err", observed="200", expected="0", basis="b"),),
        )
        for detector, subject in sorted(APART, reverse=True)
    )  # fmt: skip

    assert len(with_partners([damage, loss], hosts)) == (1 if assumed is None else 2)
