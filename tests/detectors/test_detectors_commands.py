"""Findings print commands that people type as root: no name of a host or interface may end one and begin another."""

import re
import shlex
from pathlib import Path

import pytest
from detector_scenario import findings

SCENARIOS = sorted(Path(__file__).parent.glob("*/fires.toml"))
HOSTILE = "touch x"
INTERFACE = f"eth0;{HOSTILE}"


def found_in(path, pattern, name):
    """Return what a detector finds where hosts or interfaces have another name."""
    text = path.read_text().partition("[[expect]]")[0]
    found = findings(path.parent.name, re.sub(pattern, name, text))
    assert found or path.parent.name == "coverage"  # which has gaps alone
    return found


def words_of(command):
    return list(shlex.shlex(command, posix=True, punctuation_chars=True))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_a_name_of_a_host_ends_no_command(path):
    for found in found_in(path, r'"?\bnode([12])\b"?', rf'"h\1;{HOSTILE}"'):
        assert ";" not in words_of(found.retest or "")


@pytest.mark.parametrize(
    "path", [each for each in SCENARIOS if 'name = "mlx5_0"' in each.read_text()], ids=lambda path: path.parent.name
)
def test_a_name_of_an_interface_ends_no_command(path):
    for found in found_in(path, r'(?m)^name = "mlx5_0"$', f'name = "mlx5_0"\nnetdev = "{INTERFACE}"'):
        assert INTERFACE not in found.next_action.replace(f"'{INTERFACE}'", "")
