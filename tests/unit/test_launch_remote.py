"""Commands on other hosts: over ssh or its stand-in, by srun, or here; each answer within a bound."""

import os
import sys

import pytest

from netprobe.errors import UnavailableError
from netprobe.launch.remote import (
    MOST_AT_ONCE,
    TIMED_OUT,
    Answer,
    agent_of,
    ask_here,
    at_once,
    by_srun,
    by_ssh,
    local_or,
)

FAKE_SSH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do
    case $1 in -o|-l|-p|-i|-F) shift;; esac
    shift
done
host=$1; shift
case $host in dead*) echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255;; esac
export ASKED_HOST=$host
exec sh -c "$*"
"""
FAKE_SRUN = """#!/bin/sh
for word; do
    case $word in
        --nodelist=dead*) echo "srun: error: node is down" >&2; exit 1;;
        --nodelist=*) export ASKED_HOST=${word#--nodelist=};;
        -*) ;;
        *) break;;
    esac
    shift
done
exec "$@"
"""
SAY_HOST = ("sh", "-c", 'echo "on $ASKED_HOST"')


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a script on PATH, and return its path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def put(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return put


def test_this_host_answers_once_in_the_name_of_all():
    answers = ask_here(["h1", "h2"], ["sh", "-c", "echo $$"], 30)

    assert set(answers) == {"h1", "h2"}
    assert answers["h1"] == answers["h2"]
    assert answers["h1"].code == 0


def test_lines_come_without_those_that_are_empty_and_the_last_error_is_kept():
    (answer,) = ask_here(
        ["here"], ["sh", "-c", "echo one; echo; echo ' two '; echo a >&2; echo b >&2; exit 3"], 30
    ).values()

    assert answer == Answer(code=3, lines=("one", "two"), error="b")


def test_a_command_that_takes_too_long_is_cut_off():
    (answer,) = ask_here(["here"], ["sleep", "60"], 1).values()

    assert answer == Answer(code=TIMED_OUT, error="no answer for 1 s")


def test_a_command_that_is_not_there_is_an_answer_too():
    (answer,) = ask_here(["here"], ["/no/such/program"], 30).values()

    assert (answer.code, answer.error) == (127, "No such file or directory")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(code=1, lines=("on output",), error="on errors"), "on errors"),
        (Answer(code=1, lines=("first", "last")), "last"),
        (Answer(code=7), "exit code 7"),
    ],
)
def test_why_there_is_no_better_answer_is_told_in_the_best_words_there_are(answer, why):
    assert answer.why == why


def test_ssh_is_run_for_every_host_and_answers_come_back_by_host(program):
    program("ssh", FAKE_SSH)

    answers = by_ssh()(["node1", "dead1", "node2"], SAY_HOST, 30)

    assert {host: (each.code, each.lines) for host, each in answers.items()} == {
        "node1": (0, ("on node1",)),
        "node2": (0, ("on node2",)),
        "dead1": (255, ()),
    }
    assert answers["dead1"].error == "ssh: connect to host dead1 port 22: No route to host"


def test_words_arrive_as_they_were_though_ssh_hands_them_to_a_shell(program):
    program("ssh", FAKE_SSH)
    odd = "with space:'quoted' $HOME \"x\" ; exit 9"

    answers = by_ssh()(["node1"], [sys.executable, "-c", "import sys; print(sys.argv[1])", odd], 30)

    assert answers["node1"].lines == (odd,)


def test_a_host_that_hangs_costs_its_bound_and_not_the_others_answers(program):
    program("ssh", FAKE_SSH)

    answers = by_ssh()(["node1", "node2"], ["sh", "-c", "[ $ASKED_HOST = node1 ] || exec sleep 60; echo here"], 2)

    assert answers["node1"].lines == ("here",)
    assert (answers["node2"].code, answers["node2"].error) == (TIMED_OUT, "no answer for 2 s")


def test_a_stand_in_for_ssh_takes_its_words(program):
    agent = program("enter", FAKE_SSH)

    assert by_ssh(agent)(["node1"], SAY_HOST, 30)["node1"].lines == ("on node1",)


def test_nobody_is_asked_when_there_is_nobody_to_ask(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert by_ssh()([], SAY_HOST, 30) == {}


def test_a_host_without_an_ssh_client_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnavailableError, match=r"^node\[1-2\] cannot be reached: this host has no ssh client"):
        by_ssh()(["node1", "node2"], SAY_HOST, 30)


def test_srun_is_run_for_every_host_of_an_allocation(program):
    path = program("srun", FAKE_SRUN)

    answers = by_srun(path)(["node1", "dead1"], SAY_HOST, 30)

    assert answers["node1"] == Answer(code=0, lines=("on node1",))
    assert (answers["dead1"].code, answers["dead1"].error) == (1, "srun: error: node is down")


def test_only_other_hosts_are_asked_the_long_way():
    asked = []

    def remote(hosts, argv, timeout_s):
        asked.extend(hosts)
        return {host: Answer(code=0, lines=("away",)) for host in hosts}

    answers = local_or(remote, ["node2"])(["me", "node2", "also-me"], ["echo", "here"], 30)

    assert asked == ["node2"]
    assert {host: each.lines[0] for host, each in answers.items()} == {
        "me": "here",
        "also-me": "here",
        "node2": "away",
    }


@pytest.mark.parametrize(
    ("environ", "agent"),
    [
        ({}, "ssh"),
        ({"HYDRA_LAUNCHER": "ssh"}, "ssh"),
        ({"HYDRA_LAUNCHER_EXEC": "/opt/enter"}, "/opt/enter"),
        ({"HYDRA_LAUNCHER_EXEC": ""}, "ssh"),
        ({"OMPI_MCA_plm_rsh_agent": "/opt/enter : ssh"}, "/opt/enter"),
        ({"PRTE_MCA_plm_ssh_agent": "ssh -q"}, "ssh -q"),
        ({"HYDRA_LAUNCHER": "pbs"}, None),
        ({"I_MPI_HYDRA_BOOTSTRAP": "slurm", "HYDRA_LAUNCHER_EXEC": "/opt/enter"}, None),
    ],
)
def test_hosts_are_reached_as_the_launcher_is_set_to_reach_them(environ, agent):
    assert agent_of(environ) == agent


@pytest.mark.parametrize(
    ("hosts", "descriptors", "allowed", "asked"),
    [(8, 4, 1024, 8), (1000, 4, 1024, 256), (1000, 4, 65_536, MOST_AT_ONCE), (1000, 10, 1024, 102), (0, 4, 1024, 1),
     (8, 4, 1, 1)],
)  # fmt: skip
def test_as_many_hosts_are_asked_at_once_as_descriptors_go(hosts, descriptors, allowed, asked):
    assert at_once(hosts, descriptors, allowed=allowed) == asked
