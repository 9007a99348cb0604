"""Findings print commands that people type as root: no name of a host or interface may end one and begin another."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
from detector_scenario import findings
from history_scenario import Scenario as NightsScenario
from history_scenario import history_of, limits_of

from netprobe.model.finding import Finding
from netprobe.registry import history_detectors

SCENARIOS = [
    path for path in sorted(Path(__file__).parent.glob("*/fires.toml")) if path.parent.name not in history_detectors()
]
ON_NIGHTS = [Path(__file__).parent / id / "fires.toml" for id in sorted(history_detectors())]
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


@pytest.mark.parametrize("path", ON_NIGHTS, ids=lambda path: path.parent.name)
def test_a_name_of_a_host_ends_no_command_of_history(path):
    text = path.read_text().partition("[[expect]]")[0]
    quoted = re.sub(r'"([^"\n]*)\bnode([12])\b', rf'"\1h\2;{HOSTILE}', text)
    scenario = msgspec.toml.decode(re.sub(r"\bnode([12])\b", rf'"h\1;{HOSTILE}"', quoted), type=NightsScenario)

    answers = list(history_detectors()[path.parent.name].detect(history_of(scenario), limits_of(scenario)))

    assert answers
    for found in answers:
        assert isinstance(found, Finding)
        assert ";" not in words_of(found.retest or "")


@pytest.mark.parametrize(
    "path", [each for each in SCENARIOS if 'name = "mlx5_0"' in each.read_text()], ids=lambda path: path.parent.name
)
def test_a_name_of_an_interface_ends_no_command(path):
    for found in found_in(path, r'(?m)^name = "mlx5_0"$', f'name = "mlx5_0"\nnetdev = "{INTERFACE}"'):
        assert INTERFACE not in found.next_action.replace(f"'{INTERFACE}'", "")
