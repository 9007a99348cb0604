"""kill -9 at any moment: what was acknowledged can be read, and nothing is there in part.

The writers come from a fork server that has polars loaded, so that many can be killed in a short time.
"""

import multiprocessing
import os
import random
import sys
import time
from multiprocessing import forkserver

import pytest
from store_endless_writer import ROWS, write_stages_for_ever

from netprobe.store.reader import read_run

KILLS = 32
MOST_STAGES = 6
LONGEST_WAIT_S = 0.02  # some three stages of a writer that does nothing but write: kills fall into every step


@pytest.fixture(scope="module")
def fork_server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["polars", "store_endless_writer"])
    with pytest.MonkeyPatch.context() as environment:
        # What is preloaded is looked for before the server takes over our sys.path (Python issue 117378).
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def last_acknowledged(receiver, last):
    while receiver.poll():
        try:
            last = receiver.recv()
        except EOFError:
            break
    return last


def stages_of_a_killed_writer(fork_server, root, stages, wait_s):
    """Return how many stages a writer acknowledged that was killed some time after it had acknowledged ``stages``."""
    receiver, sender = fork_server.Pipe(duplex=False)
    with receiver:
        writer = fork_server.Process(target=write_stages_for_ever, args=(str(root), sender))
        writer.start()
        sender.close()
        last = receiver.recv()
        while last < stages:
            last = receiver.recv()
        time.sleep(wait_s)
        writer.kill()
        writer.join()
        writer.close()
        return last_acknowledged(receiver, last)


def test_a_killed_writer_leaves_every_finished_stage_and_no_part_of_another(tmp_path, fork_server):
    chance = random.Random(4711)
    for kill in range(KILLS):
        root = tmp_path / str(kill)
        stages, wait_s = chance.randrange(MOST_STAGES), chance.uniform(0, LONGEST_WAIT_S)

        acknowledged = stages_of_a_killed_writer(fork_server, root, stages, wait_s)
        run = read_run(root / "run")

        found = [outcome.stage for outcome in run.header.outcomes]
        assert len(found) in (acknowledged, acknowledged + 1)
        assert found == [f"stage-{index}" for index in range(len(found))]
        assert len(run.series) == ROWS * len(found)
        assert run.header.status == "running"
