"""Signals that ask to stop, as something to wait for."""

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from netprobe.interrupts import interrupts, mortal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def waiting(signals):
    """Return how many signals wait to be read."""
    return len(signals.recv(64)) if select.select([signals], [], [], 0)[0] else 0


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_a_byte_to_read(number):
    with interrupts() as signals:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)

        assert waiting(signals) == 2


def test_what_came_before_or_between_two_inner_ones_is_read_in_the_next():
    with interrupts():
        with interrupts() as first:
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        with interrupts() as second:
            assert waiting(second) == 2
        assert waiting(first) == 0


def test_signals_mean_afterwards_what_they_meant_before():
    before = [signal.getsignal(each) for each in SIGNALS]

    with interrupts(), interrupts():
        pass

    assert [signal.getsignal(each) for each in SIGNALS] == before
    with interrupts() as again:
        assert waiting(again) == 0


def test_other_threads_get_none_even_while_the_main_thread_waits():
    got = []

    def enter():
        with interrupts() as signals:
            got.append(signals)

    with interrupts():
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()

    assert got == [None]


# Holds the interpreter in a call that lets no other thread and no handler run, and says so before.
HELD = """
import ctypes
from netprobe.interrupts import interrupts, mortal
with interrupts(), mortal():
    print("held", flush=True)
    ctypes.PyDLL(None).sleep(600)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_that_is_held_in_a_call_ends_on_the_spot(number):
    with subprocess.Popen([sys.executable, "-c", HELD], stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "held\n"
        held.send_signal(number)
        assert held.wait(timeout=60) == -number


def test_a_signal_that_is_ignored_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with mortal():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_mean_what_they_meant_when_the_call_is_over():
    before = [signal.getsignal(each) for each in SIGNALS]

    with mortal():
        pass

    assert [signal.getsignal(each) for each in SIGNALS] == before
