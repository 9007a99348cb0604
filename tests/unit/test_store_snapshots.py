"""Snapshots travel as one file, come back as they were, and anything else is one clear error."""

import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import inventory

from netprobe.errors import FormatError, StoreError
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot
from netprobe.store.snapshots import read_snapshot, write_snapshot

VALUES = {"rdma/mlx5_0/1/out_of_sequence": 5, "ethtool/eth0/rx_prio3_pause": 7}
SNAPSHOT = Snapshot(
    format=SNAPSHOT_FORMAT,
    netprobe="0.1.0",
    taken="2026-11-24T02:00:00Z",
    inventory=inventory("node7"),
    readings=(Reading(at_ns=1, values=VALUES), Reading(at_ns=2_000_000_001, values=VALUES)),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "node7.netprobe.tar.gz"
    write_snapshot(path, SNAPSHOT)
    return path


def packed(path, *members):
    with tarfile.open(path, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_snapshot_comes_back_as_it_was(file):
    assert read_snapshot(file) == SNAPSHOT


def test_whoever_unpacks_it_by_hand_finds_a_note(file):
    with tarfile.open(file) as archive:
        note = archive.extractfile("README.txt").read().decode()

    assert "Evidence of node7" in note
    assert f"netprobe config --from-snapshot {file.name}" in note


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"nowhere.tar.gz cannot be read: No such file"):
        read_snapshot(tmp_path / "nowhere.tar.gz")


@pytest.mark.parametrize("keep", [0, 1, 20, 200, 400])
def test_a_file_that_was_cut_short_is_said_to_be(file, keep):
    file.write_bytes(file.read_bytes()[:keep])

    with pytest.raises(FormatError, match=r"is no snapshot, or was cut short|has no snapshot.json"):
        read_snapshot(file)


def test_another_tarball_is_no_snapshot(tmp_path):
    with pytest.raises(FormatError, match=r"has no snapshot.json"):
        read_snapshot(packed(tmp_path / "a.tar.gz", ("../../etc/passwd", b"root")))


def test_a_newer_format_asks_for_an_upgrade(file):
    with tarfile.open(file) as archive:
        body = archive.extractfile("snapshot.json").read().replace(b'"format": 1', b'"format": 99')
    packed(file, ("snapshot.json", body))

    with pytest.raises(FormatError, match=r"in format 99; this netprobe reads up to 1; try: pip install --upgrade"):
        read_snapshot(file)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"missing/a.tar.gz cannot be written"):
        write_snapshot(tmp_path / "missing" / "a.tar.gz", SNAPSHOT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_whatever_the_file_holds_it_is_a_snapshot_or_an_error_of_the_store(file, data):
    body = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    spoilt = file.with_name("spoilt.tar.gz")
    spoilt.write_bytes(body)

    try:
        assert isinstance(read_snapshot(spoilt), Snapshot)
    except StoreError as error:
        assert "\n" not in str(error)
