"""Completion: scripts for three shells, names of plug-ins without their imports, and files left to the shell."""

import os
import shutil
import subprocess
import sys

import pytest

from netprobe.cli.completing import detector_names, format_names, probe_names
from netprobe.registry import detectors, history_detectors, probes, reporters

SHELLS = {"bash": "complete -o default", "zsh": "#compdef netprobe", "fish": "complete --command netprobe"}


def asked(**variables):
    command = [sys.executable, "-m", "netprobe"]
    ended = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.stdout


def offered(*words):
    line = {"COMP_WORDS": " ".join(("netprobe", *words)), "COMP_CWORD": str(len(words))}
    return asked(_NETPROBE_COMPLETE="complete_bash", **line).split()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_for_a_shell_is_printed(shell):
    assert SHELLS[shell] in asked(_NETPROBE_COMPLETE=f"source_{shell}")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_accepts_its_script(shell, need, tmp_path):
    need(shell, shutil.which(shell) is not None, f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(asked(_NETPROBE_COMPLETE=f"source_{shell}"), encoding="utf-8")

    ended = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_names_come_from_files_and_are_those_of_the_registry():
    assert detector_names("") == sorted({*detectors(), *history_detectors()})
    assert probe_names("") == sorted(probes())
    assert format_names("") == sorted(reporters())


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("explain", "slow-h"), ["slow-hop", "slow-host"]),
        (("history", "ack", "regr"), ["regression"]),
        (("run", "laten"), ["latency"]),
        (("history", "--format", "js"), ["json", "jsonl"]),
    ],
)
def test_what_begins_so_is_offered(words, names):
    assert offered(*words) == names


@pytest.mark.parametrize("words", [("judge",), ("history", "--limits"), ("history", "--runs")])
def test_a_file_is_left_to_the_shell(tmp_path, words):
    (tmp_path / "site.toml").touch()

    assert offered(*words, str(tmp_path / "si")) == []


def test_printing_a_script_writes_nothing_into_a_home(tmp_path):
    asked(_NETPROBE_COMPLETE="source_bash", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))

    assert list(tmp_path.iterdir()) == []
