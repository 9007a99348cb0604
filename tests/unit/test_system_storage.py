"""Reading a file at a rate: what is refused, what is counted, and that nothing is ever written."""

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import UnavailableError
from netprobe.model.storage import BLOCK_BYTES
from netprobe.system.storage import STREAMS, FileReads, file_system_in, unreadable

NOBODY = 65534
MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:50 / /scratch rw - lustre mgs:/fs rw
41 22 0:51 / /with\\040space rw - nfs4 server:/home rw
42 40 0:52 / /scratch/local rw - xfs /dev/nvme0n1 rw
"""


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "a file's name with $(spaces)"
    path.write_bytes(os.urandom(BLOCK_BYTES) + b"\0" * (3 * BLOCK_BYTES + 100))
    return path


def test_a_file_is_read_until_it_is_enough_and_stays_as_it_was(large):
    before = large.read_bytes(), large.stat().st_mtime_ns
    reads = FileReads(str(large))

    reads.begin()
    time.sleep(0.05)
    told = reads.end()
    reads.close()

    assert told.problem is None
    assert told.read_bytes > 0
    assert len(told.durations_ns) >= told.read_bytes // BLOCK_BYTES
    assert (told.durations_ns > 0).all()
    assert told.elapsed_ns >= 50_000_000
    assert (large.read_bytes(), large.stat().st_mtime_ns) == before


def test_where_the_page_cache_cannot_be_passed_blocks_are_read_all_the_same_and_that_is_known(large):
    reads = FileReads(str(large), direct=0)

    reads.begin()
    time.sleep(0.05)
    told = reads.end()
    reads.close()

    assert not reads.is_direct
    assert (told.problem, told.read_bytes > 0) == (None, True)


def test_a_set_rate_is_not_exceeded_but_by_the_reads_that_begin_at_once(large):
    reads = FileReads(str(large), rate_bytes_per_s=20 * BLOCK_BYTES)

    reads.begin()
    time.sleep(0.2)
    told = reads.end()
    reads.close()

    assert 0 < len(told.durations_ns) <= 20 * told.elapsed_ns / 1e9 + STREAMS


def test_spans_are_counted_apart(large):
    reads = FileReads(str(large), rate_bytes_per_s=BLOCK_BYTES, first_share=0.5)
    counts = []
    for _ in range(2):
        reads.begin()
        time.sleep(0.02)
        counts.append(len(reads.end().durations_ns))
    reads.close()

    assert max(counts) <= STREAMS


def test_a_file_that_shrinks_meanwhile_is_told(large):
    reads = FileReads(str(large))
    os.truncate(large, 0)

    reads.begin()
    time.sleep(0.05)
    told = reads.end()
    reads.close()

    assert "became shorter while it was read" in told.problem


def test_a_span_that_reads_all_it_may_has_no_rate_and_says_so(large):
    reads = FileReads(str(large), most_bytes=2 * STREAMS * BLOCK_BYTES)

    reads.begin()
    for thread in reads._threads:
        thread.join()
    told = reads.end()
    reads.close()

    assert told.read_bytes <= 2 * STREAMS * BLOCK_BYTES
    assert "32M of" in told.problem


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_bytes(b"1"), "smaller than one read of 4M"),
        (os.mkfifo, "is no file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_what_is_not_fit_to_be_read_is_refused_with_its_name(tmp_path, make, says):
    path = tmp_path / "data"
    make(path)

    assert says in unreadable(str(path))
    assert str(path) in unreadable(str(path))
    with pytest.raises(UnavailableError, match="data"):
        FileReads(str(path))


@contextmanager
def as_anybody():
    """Be nobody in particular for a while, where one may be anybody: root may read everything."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(own)


def test_a_file_without_rights_is_refused():
    with tempfile.NamedTemporaryFile() as file:  # whose folder anybody may enter
        file.truncate(BLOCK_BYTES)
        Path(file.name).chmod(0)

        with as_anybody():
            said = unreadable(file.name)

    assert said == f"{file.name} cannot be read: Permission denied"


def test_a_name_that_no_system_takes_is_refused():
    assert "is no path" in unreadable("a\0b")


def test_a_file_that_is_fit_is_not_refused(large):
    assert unreadable(str(large)) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/passwd", "ext4"),
        ("/scratch", "lustre"),
        ("/scratch/data", "lustre"),
        ("/scratches", "ext4"),
        ("/scratch/local/x", "xfs"),
        ("/with space/x", "nfs4"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_nearest_mount(path, kind):
    assert file_system_in(MOUNTS, path) == kind


@given(st.text(), st.text())
def test_any_list_of_mounts_gives_a_kind_or_none(mounts, path):
    kind = file_system_in(mounts, path)

    assert kind is None or kind in mounts
