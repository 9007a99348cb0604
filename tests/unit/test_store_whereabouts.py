"""A rank's position, read through /proc from outside of the rank."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from netprobe.model.standing import Position
from netprobe.store.whereabouts import NAME, ROOM_BYTES, SharedWhereabouts, Unwatched, position_of

OWN = Path("/proc/self")
NOTES = """
from netprobe.store.whereabouts import SharedWhereabouts
noted = SharedWhereabouts("h7")
noted.known_as(3, "h7")
noted.measures("latency", 4, 5)
print("noted", flush=True)
input()
"""


@pytest.fixture(autouse=True)
def memfd(need):
    need("memfd", hasattr(os, "memfd_create") and (OWN / "fd").is_dir(), "memfd and /proc; Linux has them")


def own_memories():
    """Return the descriptors of this process that hold a position."""
    found = set()
    for link in (OWN / "fd").iterdir():
        with suppress(OSError):  # the one through which this folder is read
            if NAME in str(link.readlink()):
                found.add(int(link.name))
    return found


@pytest.fixture
def noted():
    """A rank's notes, in memory of this process."""
    before = own_memories()
    notes = SharedWhereabouts("h1")
    notes.descriptor = (own_memories() - before).pop()
    yield notes
    os.close(notes.descriptor)


@pytest.fixture
def place(noted, tmp_path):
    """Read the notes as if this process had no others."""
    memory = tmp_path / NAME
    memory.symlink_to(f"/proc/{os.getpid()}/fd/{noted.descriptor}")
    (tmp_path / "process/fd").mkdir(parents=True)
    (tmp_path / "process/fd/0").symlink_to("/dev/null")
    (tmp_path / "process/fd/3").symlink_to(memory)
    return lambda: position_of(tmp_path / "process")


def test_a_rank_that_has_just_begun_waits_for_the_others_and_has_no_number(place):
    assert place() == Position(
        rank=None, host="h1", stage=None, round_index=None, peer=None, is_measuring=False, steps=1
    )


def test_a_rank_is_known_by_the_number_and_the_host_name_of_its_run(noted, place):
    noted.known_as(3, "node7")
    noted.waits("latency", 2, 1_000)

    seen = place()

    assert (seen.rank, seen.host, seen.stage, seen.round_index) == (3, "node7", "latency", 2)
    assert not seen.is_measuring


def test_a_rank_that_measures_says_with_whom_and_afterwards_no_more(noted, place):
    noted.measures("latency", 2, 5)
    inside = place()
    noted.waits("latency", 2, 1_000)
    outside = place()

    assert (inside.peer, inside.is_measuring) == (5, True)
    assert (outside.peer, outside.is_measuring) == (None, False)


def test_every_call_and_every_note_is_a_step(noted, place):
    first = place().steps
    for _ in range(5):
        noted.step()
    noted.measures("latency", 0, None)

    assert place().steps == first + 6


def test_a_shorter_note_leaves_nothing_of_a_longer_one(noted, place):
    noted.waits("a-stage-with-a-long-name" * 5, 100_000, 1_000)
    noted.waits("b", 1, 1_000)

    assert place().stage == "b"


def test_a_note_that_does_not_fit_is_no_position_and_no_error(noted, place):
    noted.waits("x" * 2 * ROOM_BYTES, 1, 1_000)

    assert place() is None


def test_a_process_that_notes_nothing_has_no_position(tmp_path):
    (tmp_path / "fd").mkdir()
    (tmp_path / "fd/0").symlink_to("/dev/null")
    (tmp_path / "fd/3").symlink_to(tmp_path / "gone")

    assert position_of(tmp_path) is None
    assert position_of(Path("/proc/0")) is None


@pytest.mark.parametrize("content", [b"", b"short", bytes(ROOM_BYTES), b"\1" * ROOM_BYTES])
def test_damaged_notes_are_no_position(tmp_path, content):
    fd = tmp_path / "fd"
    fd.mkdir()
    memory = tmp_path / NAME
    memory.write_bytes(content)
    (fd / "3").symlink_to(memory)

    assert position_of(tmp_path) is None


def test_another_process_is_seen_where_it_is():
    with subprocess.Popen(
        [sys.executable, "-c", NOTES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "noted\n"
        seen = position_of(Path(f"/proc/{child.pid}"))
        child.stdin.close()

    assert (seen.rank, seen.host, seen.stage, seen.round_index, seen.peer) == (3, "h7", "latency", 4, 5)


def test_a_rank_that_nobody_would_ask_notes_nothing():
    before = own_memories()
    unwatched = Unwatched()
    unwatched.known_as(1, "h1")
    unwatched.measures("latency", 0, 1)
    unwatched.step()

    assert own_memories() == before
