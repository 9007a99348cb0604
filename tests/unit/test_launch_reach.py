"""Hosts are asked before anything is started: do they have an address, do they answer, is netprobe there?"""

import os
import subprocess
import sys

import pytest

from netprobe.launch.reach import python_words, unusable
from netprobe.launch.remote import TIMED_OUT, Answer
from netprobe.launch.resolve import away_and_unknown, resolve_by_system
from netprobe.model.standing import Benched, Fate

ADDRESSES = {
    "me": {"10.0.0.1"},
    "me-ib": {"10.0.0.1"},
    "node1": {"10.0.0.2"},
    "node2": {"10.0.0.3"},
    "lo": {"127.0.0.1"},
}


def resolve(host):
    return frozenset(ADDRESSES[host]) if host in ADDRESSES else None


def asked_of(answers):
    """Return a way to ask that gives these answers."""
    return lambda hosts, argv, timeout_s: {host: answers.get(host, Answer(code=0)) for host in hosts}


def test_hosts_without_an_address_are_told_and_the_others_are_not():
    _, unknown = away_and_unknown(["node1", "node7", "node8"], resolve, own_name="me")

    assert [each.host for each in unknown] == ["node7", "node8"]
    assert {each.fate for each in unknown} == {Fate.UNREACHABLE}
    assert "no address" in unknown[0].detail


def test_only_other_hosts_have_to_be_reached():
    away, unknown = away_and_unknown(["me", "me-ib", "lo", "node1", "node2"], resolve, own_name="me")

    assert (away, unknown) == (("node1", "node2"), ())


def test_a_host_is_itself_by_its_short_name_too():
    assert away_and_unknown(["me"], resolve, own_name="me.cluster.example")[0] == ()


def test_the_system_resolver_knows_localhost_and_not_nonsense():
    assert resolve_by_system("localhost")
    assert resolve_by_system("no-such-host.invalid") is None


@pytest.mark.parametrize(
    ("answer", "fate", "detail"),
    [
        (Answer(code=255, error="ssh: No route to host"), Fate.UNREACHABLE, "ssh: No route to host"),
        (Answer(code=TIMED_OUT, error="no answer for 30 s"), Fate.UNREACHABLE, "no answer for 30 s"),
        (Answer(code=127, error="env: python: No such file"), Fate.UNUSABLE, "env: python: No such file"),
        (Answer(code=1, error="No module named 'netprobe'"), Fate.UNUSABLE, "No module named 'netprobe'"),
        (Answer(code=1), Fate.UNUSABLE, "exit code 1"),
    ],
)
def test_a_host_that_cannot_be_used_is_benched_with_its_own_words(answer, fate, detail):
    found = unusable(["node1", "node2"], "/venv/bin/python", {}, asked_of({"node2": answer}))

    assert found == (Benched(host="node2", fate=fate, detail=detail),)


def test_hosts_that_answer_are_all_usable():
    assert unusable(["node1", "node2"], "python", {}, asked_of({})) == ()


def test_what_is_run_finds_netprobe_and_gets_its_argument_as_it_is(tmp_path):
    argument = "with space:'quoted' $HOME"
    words = python_words(sys.executable, {}, "import netprobe; print(sys.argv[1])", argument)

    done = subprocess.run(words, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True)

    assert done.stdout.decode() == f"{argument}\n"


def test_the_python_path_of_this_process_goes_along_when_there_is_one(tmp_path):
    assert f"PYTHONPATH={tmp_path}" in python_words("python", {"PYTHONPATH": str(tmp_path)}, "")
    assert not [word for word in python_words("python", {}, "") if word.startswith("PYTHONPATH")]
