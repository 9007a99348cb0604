"""What the emulated cluster is tried with, on the simulated fabric: the same detector, and the same host named."""

import pytest
from netlab.trials import TRIALS

from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.plan.profiles import plan_for
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.faults import parse_faults
from netprobe.sim.night import night

LIKE = {
    "1 % of what it sends is lost": 'kind = "lossy-link"\nat = "{host} mlx5_0"\ndirection = "out"\nloss = 0.01',
    "its port sends at a third of the rate":
        'kind = "slow-port"\nat = "{host} mlx5_0"\nshare = "0.33"\ndirection = "out"',
    "its port receives at a third of the rate":
        'kind = "slow-port"\nat = "{host} mlx5_0"\nshare = "0.33"\ndirection = "in"',
    "nine tenths of its processor are taken away": 'kind = "noisy-host"\nat = "{host}"\nwaits = 0.9\ncause = "quota"',
    "it goes down": 'kind = "dead-host"\nat = "{host}"\nfate = "host unreachable"',
}  # fmt: skip
"""Faults of the lab by name, as they are put into the simulated fabric."""


@pytest.mark.parametrize("trial", [each for each in TRIALS if each.name in LIKE], ids=lambda trial: trial.name)
@pytest.mark.parametrize("host", ["node0002", "node0007"])
def test_the_simulated_fault_is_told_as_the_one_of_the_lab(trial, host):
    fault = parse_faults("[[fault]]\n" + LIKE[trial.name].format(host=host), "like the lab")

    report = judge(night(fabric_of(default_topology(8)), [fault], plan_for("quick"), 3)[0], Limits())

    named = [each for each in report.findings if each.hosts]
    assert {each.detector for each in named} == {trial.detector}
    assert {subject.partition(" ")[0] for each in named for subject in each.subjects} == set(trial.subjects(host))
    assert any(trial.says in each.summary for each in named)


def test_every_fault_that_is_compared_is_one_of_the_lab():
    assert LIKE.keys() <= {trial.name for trial in TRIALS}
