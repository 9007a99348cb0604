"""One nightly run at a time in a folder: real processes, real flock."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netprobe.errors import StoreError
from netprobe.model.verdict import ExitCode
from netprobe.store.lock import Holder, locked

HOLDS = """
import sys, time
from pathlib import Path
from netprobe.store.lock import holder_here, locked
with locked(Path(sys.argv[1]), holder_here()):
    print("held", flush=True)
    time.sleep(60)
"""
HERE = Holder(host="node1", pid=7, since=datetime(2026, 1, 1, 2, tzinfo=UTC))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "nightly.lock"


@pytest.fixture
def other(file):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_whoever_comes_second_is_told_who_holds_it_and_since_when(file, other):
    with pytest.raises(StoreError, match=f"is in use: process {other.pid} on .* has held its lock since 2") as refused:
        locked(file, HERE).__enter__()

    assert refused.value.exit_code is ExitCode.SETUP_ERROR


def test_a_lock_goes_with_its_holder_even_when_that_is_killed(file, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()

    with locked(file, HERE):
        pass


def test_it_can_be_taken_again_and_names_nobody_in_between(file):
    for _ in range(2):
        with locked(file, HERE):
            assert b"node1" in file.read_bytes()
        assert file.read_bytes() == b""


def test_what_lies_in_the_file_locks_nothing(file):
    file.write_text("another tool was here\n")

    with locked(file, HERE), pytest.raises(StoreError, match="process 7 on 'node1'"):
        locked(file, HERE).__enter__()


def test_a_hostile_holder_is_shown_and_not_obeyed(file):
    evil = Holder(host="\x1b[31m\nnode", pid=7, since=HERE.since)

    with locked(file, evil), pytest.raises(StoreError) as refused:
        locked(file, HERE).__enter__()

    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_child_that_outlives_its_parent_does_not_hold_the_lock(file):
    with locked(file, HERE):
        inherited = [int(each.name) for each in Path("/proc/self/fd").iterdir() if each.resolve() == file]
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=inherited)

    try:
        assert len(inherited) == 1
        with locked(file, HERE):
            pass
    finally:
        child.communicate(b"\n")


def test_it_names_nobody_after_a_night_that_failed(file):
    with pytest.raises(ValueError, match="failed"), locked(file, HERE):
        raise ValueError("failed")

    assert file.read_bytes() == b""


def test_a_folder_that_is_not_there_is_a_set_up_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        locked(tmp_path / "none" / "lock", HERE).__enter__()
