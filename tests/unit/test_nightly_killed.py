"""Kill ``netprobe nightly`` at any moment: nights before it stay, the lock goes with it, and the next night goes on."""

import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing import forkserver

import pytest
from nightly_endless import nights_for_ever, writing

from netprobe.cli.nightly import Wish, one_night
from netprobe.cli.options import Judging
from netprobe.cli.remembering import made_digest
from netprobe.history.nights import history_of
from netprobe.store.history import read_rows, run_directories
from netprobe.store.nightly import read_told

KILLS = 50
JUDGED_EVERY = 10
LONGEST_WAIT_S = 0.1  # about a night that judges nothing: kills fall into every step of it
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="module")
def fork_server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["polars", "nightly_endless"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def nights_until_killed(fork_server, root, wait_s, number, *, is_judged):
    """Return how many nights had ended for certain."""
    receiver, sender = fork_server.Pipe(duplex=False)
    with receiver:
        process = fork_server.Process(target=nights_for_ever, args=(str(root), sender, is_judged))
        process.start()
        sender.close()
        ended = receiver.recv()
        time.sleep(wait_s)
        os.kill(process.pid, number)
        process.join(10)
        assert process.exitcode is not None
        process.close()
        while receiver.poll():
            try:
                ended = receiver.recv()
            except EOFError:
                break
        return ended


def complete_nights(root):
    history = history_of(read_rows(run_directories(root), made_digest)).history
    return [night.run for night in history.nights if night.is_complete]


def test_whenever_it_is_killed_history_is_whole_and_the_next_night_goes_on(tmp_path, fork_server, capsys):
    chance = random.Random(1202)
    for kill in range(KILLS):
        root = tmp_path / str(kill // 10)  # some folders are killed over again

        wait_s, number = chance.uniform(0, LONGEST_WAIT_S), chance.choice(SIGNALS)
        ended = nights_until_killed(fork_server, root, wait_s, number, is_judged=kill % JUDGED_EVERY == 0)

        nights = complete_nights(root)
        assert len(nights) >= ended - kill % 10  # a killed night may have left a run that is not complete
        told = read_told(root)
        assert told is not None
        assert told.run in nights

    last = len(list(root.glob("2*")))
    one_night(Wish(folder=root, judging=Judging(), always=True), writing(root, last, is_judged=True))
    assert "netprobe nightly: " in capsys.readouterr().out
    assert len(complete_nights(root)) == len(nights) + 1
