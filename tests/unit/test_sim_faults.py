"""Files of faults: all of the catalogue can be read, what nobody understands is refused, and draws follow the seed."""

from pathlib import Path

import numpy as np
import pytest

from netprobe.errors import PlanError
from netprobe.model.topology import Leaf, Topology
from netprobe.registry import detectors
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import TEMPLATES, default_topology, fabric_of
from netprobe.sim.faults import inject, parse_faults, read_faults

FILES = sorted((Path(__file__).parents[1] / "sim/faults").glob("*.toml"))
LOSSY = '[[fault]]\nkind = "lossy-link"\n'


def injected(text, nics=64, seed=1):
    fabric = fabric_of(default_topology(nics))
    condition = healthy(fabric, np.random.default_rng(0))
    return inject([parse_faults(text, "f.toml")], fabric, condition, seed), condition


def test_there_is_a_file_for_each_of_the_48_faults():
    assert [path.name[:3] for path in FILES] == [f"F{number:02d}" for number in range(1, 49)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_its_fault_and_says_what_is_to_be_said_of_it(path):
    file = read_faults(path)

    assert path.stem.startswith(file.fault)
    assert file.title
    assert file.is_exercised is not bool(file.expected)
    assert not file.is_exercised or set(file.detectors) & detectors().keys() or file.fault == "F07"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[fault]]\nkind = "lossy-lnik"', "there is no kind 'lossy-lnik'; try: lossy-link"),
        (f"{LOSSY}los = 1e-3", "lossy-link has no 'los'; try: loss"),
        (f'{LOSSY}direction = "up"', "direction is 'up'; try: in or out"),
        (f'{LOSSY}loss = "much"', "loss must be a number, or a range of two, not 'much'"),
        (f"{LOSSY}loss = [1e-2, 1e-5]", "loss begins above its end"),
        (f"{LOSSY}loss = -1", "loss must be a number"),
        (f"{LOSSY}at = 3", "at must be the name of a place, not 3"),
        (f'detector = ["mtu"]\n{LOSSY}', "there is no 'detector' at its top; try: detectors"),
        ("", "holds no [[fault]]"),
        ("fault = 3", "holds no [[fault]]"),
        ("[[fault", "is no TOML"),
    ],
)
def test_what_nobody_understands_is_refused_in_one_line(text, complaint):
    with pytest.raises(PlanError) as refused:
        parse_faults(text, "f.toml")

    assert complaint in str(refused.value)
    assert "f.toml" in str(refused.value)
    assert "\n" not in str(refused.value).partition("is no TOML")[0]


def test_a_place_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(PlanError, match="there is no NIC 'node0003 mlx5_9' in this fabric; try: node0003 mlx5"):
        injected(f'{LOSSY}at = "node0003 mlx5_9"')


def test_a_fault_is_put_where_it_was_asked_for_and_nowhere_else():
    [truth], condition = injected(f'{LOSSY}at = "node0003 mlx5_1"\ndirection = "in"\nloss = 1e-3')

    assert (truth.culprit, truth.hosts, truth.aliases) == ("node0003 mlx5_1", ("node0003",), ("leaf02 Ethernet3",))
    assert np.flatnonzero(condition.loss_in).tolist() == [2 * 4 + 1]
    assert condition.loss_in.max() == 1e-3
    assert not condition.loss_out.any()


def test_the_same_seed_draws_the_same_and_another_one_something_else():
    first, second, other = (injected(LOSSY, seed=seed)[0] for seed in (1, 1, 2))

    assert first == second
    assert first != other


@pytest.mark.parametrize("seed", range(5))
def test_two_faults_are_on_two_hosts(seed):
    (first, second), _ = injected(LOSSY + LOSSY, nics=8, seed=seed)

    assert first.hosts != second.hosts


def test_values_are_drawn_from_their_range():
    drawn = [injected(f"{LOSSY}loss = [1e-5, 1e-2]", seed=seed)[0][0].values["loss"] for seed in range(60)]

    assert min(drawn) >= 1e-5
    assert max(drawn) <= 1e-2
    assert sum(value < 3e-4 for value in drawn) == pytest.approx(30, abs=12)


@pytest.mark.parametrize("nics", TEMPLATES)
def test_default_fabrics_have_as_many_nics_and_are_not_oversubscribed(nics):
    fabric = fabric_of(default_topology(nics))

    assert fabric.nics == nics
    assert (fabric.uplinks.sum(axis=1) >= np.bincount(fabric.leaf)).all()
    assert all(len(set(fabric.rail[fabric.leaf == leaf].tolist())) == 1 for leaf in range(len(fabric.leaves)))


def test_another_number_of_nics_is_refused():
    with pytest.raises(PlanError, match="there is no fabric of 12 NICs"):
        default_topology(12)


def test_a_host_on_two_leaves_is_refused():
    leaves = (Leaf(switch="a", hosts="n[1-3]"), Leaf(switch="b", hosts="n[3-4]"))

    with pytest.raises(PlanError, match="n3 is on b, and before that it was on a"):
        fabric_of(Topology(leaves=leaves))


def test_a_host_without_one_of_the_rails_is_refused():
    leaves = (Leaf(switch="a", hosts="n[1-3]", rail=0), Leaf(switch="b", hosts="n[1-2]", rail=1))

    with pytest.raises(PlanError, match="n3 is on no leaf of rail 1"):
        fabric_of(Topology(leaves=leaves))
