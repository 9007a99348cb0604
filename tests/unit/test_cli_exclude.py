"""``--exclude`` of `netprobe check` and `run`: what is not to be read goes with the task to every rank."""

import pytest
from store_samples import plan

from netprobe.cli.app import main
from netprobe.cli.measuring import task_of
from netprobe.cli.options import Where


def test_what_is_excluded_goes_to_the_ranks():
    assert task_of(plan(), Where(exclude=["mlx5_0", "eth9"])).excluded == ("mlx5_0", "eth9")
    assert task_of(plan(), Where()).excluded == ()


@pytest.mark.parametrize("command", [("check",), ("run", "latency")])
def test_commands_that_measure_take_it_again_and_again(capsys, tmp_path, command):
    missing = str(tmp_path / "topology.conf")

    assert main([*command, "--exclude", "mlx5_0", "--exclude", "eth9", "--topology", missing]) == 4

    assert f"--topology {missing}" in capsys.readouterr().err
