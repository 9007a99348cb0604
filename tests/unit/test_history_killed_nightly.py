"""kill -9 a nightly run at any moment: every night before it is still there, whole, and what is not is said."""

import multiprocessing
import os
import random
import sys
import time
from multiprocessing import forkserver

import pytest
from history_endless_nights import write_nights_for_ever

from netprobe.cli.remembering import made_digest
from netprobe.history.nights import history_of
from netprobe.store.history import read_rows, run_directories

KILLS = 50
MOST_NIGHTS = 3
LONGEST_WAIT_S = 0.03  # about a night of a writer that does nothing but write: kills fall into every step


@pytest.fixture(scope="module")
def fork_server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["polars", "history_endless_nights"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def nights_of_a_killed_writer(fork_server, root, nights, wait_s):
    receiver, sender = fork_server.Pipe(duplex=False)
    with receiver:
        writer = fork_server.Process(target=write_nights_for_ever, args=(str(root), sender))
        writer.start()
        sender.close()
        last = 0
        while last < nights:
            last = receiver.recv()
        time.sleep(wait_s)
        writer.kill()
        writer.join()
        writer.close()
        while receiver.poll():
            try:
                last = receiver.recv()
            except EOFError:
                break
        return last


def test_whenever_a_nightly_run_is_killed_the_history_before_it_is_whole(tmp_path, fork_server):
    chance = random.Random(1202)
    for kill in range(KILLS):
        root = tmp_path / str(kill)
        nights, wait_s = chance.randrange(1, MOST_NIGHTS), chance.uniform(0, LONGEST_WAIT_S)

        finished = nights_of_a_killed_writer(fork_server, root, nights, wait_s)
        rows = read_rows(run_directories(root), made_digest)
        history = history_of(rows).history

        complete = [night for night in history.nights if night.is_complete]
        assert len(complete) in (finished, finished + 1)
        assert len(history.nights) + len(rows.skipped) - len(complete) <= 1
        with_figures = [trend for trend in history.trends if trend.title.startswith("RDMA")]
        assert all((trend.values[:finished] > 0).all() for trend in with_figures)

    assert read_rows(run_directories(root), made_digest).runs.equals(rows.runs)
