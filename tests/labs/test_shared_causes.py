"""What no host is to blame for, or a host only now and then: a trunk that carries too little, loss in bursts."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from netlab.attempts import attempt, find_netprobe
from netlab.faults import Direction, Fault, Kind
from netlab.trials import TRIALS

LAB = str(Path(__file__).parents[2] / "scripts/lab")
LOSES = Fault(kind=Kind.LOSS, target="h6", direction=Direction.RX, amount=0.2)
LASTS_S, PAUSES_S = 0.05, 0.45


@pytest.fixture(scope="session")
def netprobe():
    return find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))


@pytest.fixture
def topology(lab, tmp_path):
    file = tmp_path / "topology.conf"
    file.write_bytes(subprocess.check_output([LAB, "topology", "--name", lab.name]))
    return file


@contextmanager
def now_and_then(lab, fault):
    """Put a fault in place for a moment, again and again."""
    is_over = threading.Event()

    def alternate():
        while not is_over.wait(PAUSES_S):
            lab.inject(fault)
            is_over.wait(LASTS_S)
            lab.clear(fault.target)

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def test_a_trunk_that_carries_too_little_is_the_leafs_and_no_hosts(lab, netprobe, tmp_path, topology):
    trunk = Fault(kind=Kind.RATE, target="leaf2", amount=lab.shape.rate_bps / 4)
    trial = replace(TRIALS[0], strike=lambda lab, _: lab.inject(trunk), options=("--topology", str(topology)))

    outcome = attempt(lab, netprobe, tmp_path / "runs", trial, "leaf2")

    assert [detector for detector, _, _ in outcome.findings] == ["oversubscribed"], outcome.output
    assert any("leaf2" in subject for _, subjects, _ in outcome.findings for subject in subjects), outcome.output


def test_loss_that_comes_and_goes_is_loss_at_its_host_and_not_jitter_of_others(lab, netprobe, tmp_path):
    with now_and_then(lab, LOSES):
        outcome = attempt(lab, netprobe, tmp_path / "runs", None, "")

    assert [finding[:2] for finding in outcome.findings] == [("packet-loss", ("h6",))], outcome.output
    assert "(rx)" in outcome.findings[0][2]
