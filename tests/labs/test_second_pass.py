"""A suspect meets two good partners on different leaves, as the lab's own topology file tells them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from netlab.attempts import attempt, find_netprobe
from netlab.trials import TRIALS

BY_NAME = {trial.name: trial for trial in TRIALS}
LAB = str(Path(__file__).parents[2] / "scripts/lab")


@pytest.fixture(scope="session")
def netprobe():
    return find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))


IS_WHOLE = os.environ.get("NETPROBE_MATRIX") == "whole"
SUSPECTS = (("its port receives at a third of the rate", "h6"), ("1 % of what it sends is lost", "h3"))


@pytest.mark.parametrize(("name", "host"), SUSPECTS if IS_WHOLE else SUSPECTS[:1])
def test_the_good_partners_of_a_suspect_are_on_different_leaves(lab, netprobe, tmp_path, name, host):
    topology = tmp_path / "topology.conf"
    topology.write_bytes(subprocess.check_output([LAB, "topology", "--name", lab.name]))
    trial = replace(BY_NAME[name], options=("--topology", str(topology)))

    outcome = attempt(lab, netprobe, tmp_path / "runs", trial, host)

    assert not outcome.mistakes(trial, host), outcome.output
    run = json.loads((outcome.run / "run.json").read_text())
    host_of = {rank["rank"]: rank["host"] for rank in run["ranks"]}
    leaf_of = {rank["host"]: rank["leaf"] for rank in run["ranks"]}
    assert leaf_of == {each.name: f"leaf{each.leaf}" for each in lab.shape.all_hosts()}
    stages = [stage for stage in run["plan"]["stages"] if stage["id"] == "second-pass-bandwidth"]
    pairs = [{host_of[rank] for rank in pair} for stage in stages for pair in chain.from_iterable(stage["rounds"])]
    partners = set().union(*(pair for pair in pairs if host in pair)) - {host}
    assert len(partners) == 2, outcome.output
    # A busy machine makes suspects of others as well, at worst of a whole leaf.
    suspected = set().union(*(pair for pair in pairs if host not in pair)) - partners
    assert {leaf_of[partner] for partner in partners} == {leaf_of[good] for good in leaf_of.keys() - suspected - {host}}
    assert "leaf switches are unknown" not in " ".join(outcome.output.split())
