"""``netprobe gate`` with real processes: who is started, with what, which signals reach it, which code comes back."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly_samples import measuring

from netprobe.cli.app import main
from netprobe.cli.gating import Job, filled, hostfile_text, pass_gate
from netprobe.cli.options import Judging
from netprobe.judge.admission import Terms
from netprobe.launch.hosts import parse_hostfile
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode

HERE = Path(__file__).parent
TELLS = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getpid()]))"
WAITS = """
import os, signal, sys
def leave(number, frame):
    print(number, flush=True)
    os._exit(7)
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
    signal.signal(each, leave)
print("ready", flush=True)
while True:
    signal.pause()
"""


def gate(tmp_path, *command, slow="", fewest=8):
    """Start a gate on eight simulated hosts."""
    path = os.pathsep.join([str(HERE), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-m", "gate_without_hosts", str(tmp_path), slow, str(fewest), "--", *command],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_is_told_its_hosts_and_takes_the_place_of_the_gate(tmp_path):
    command = [sys.executable, "-c", TELLS, "--nodes={count}", "{hosts}", "{hostfile}", "{other} $HOME; *"]

    process = gate(tmp_path, *command, slow="3", fewest=7)
    out, error = process.communicate()
    words, environment, pid = json.loads(out)

    assert process.returncode == 0
    assert pid == process.pid
    healthy = "node[0001-0003,0005-0008]"
    assert words == ["--nodes=7", healthy, environment["NETPROBE_HOSTFILE"], "{other} $HOME; *"]
    assert environment["NETPROBE_HEALTHY_HOSTS"] == healthy
    assert environment["NETPROBE_EXCLUDE_HOSTS"] == "node0004"
    hosts = parse_hostfile(Path(environment["NETPROBE_HOSTFILE"]).read_text(), "hosts")
    assert [each.host for each in hosts] == [f"node{number:04d}" for number in (1, 2, 3, 5, 6, 7, 8)]
    assert error.count("\n") == 1
    assert "FAULTY, 7 of 8 hosts healthy, without node0004 (slow-link node0004); the command starts" in error


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_the_commands_exit_code_is_passed_on(tmp_path, code):
    process = gate(tmp_path, sys.executable, "-c", f"raise SystemExit({code})")
    process.communicate()

    assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_command(tmp_path, number):
    process = gate(tmp_path, sys.executable, "-c", WAITS)
    assert process.stdout.readline() == "ready\n"

    process.send_signal(number)
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (7, f"{number.value}\n")


def test_a_command_that_a_signal_ends_is_seen_as_such(tmp_path):
    process = gate(tmp_path, sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate()

    assert process.returncode == -signal.SIGKILL


def test_the_command_finds_signals_as_a_shell_would_have_left_them(tmp_path):
    """Python ignores SIGPIPE, and a child that ignores it too would go on writing for nobody."""
    told = "grep -E 'SigIgn|SigBlk' /proc/self/status"
    by_gate, _ = gate(tmp_path, "/bin/sh", "-c", told).communicate()

    assert by_gate == subprocess.run(["/bin/sh", "-c", told], capture_output=True, text=True, check=True).stdout


def test_where_too_few_hosts_are_healthy_the_command_is_never_started(tmp_path):
    process = gate(tmp_path / "runs", sys.executable, "-c", f"open({str(tmp_path / 'started')!r}, 'w')", slow="3")
    out, error = process.communicate()

    assert process.returncode == ExitCode.FAULTY
    assert out == ""
    assert not (tmp_path / "started").exists()
    assert not list(tmp_path.rglob("gate.hosts"))
    assert error.count("\n") == 1
    assert "FAULTY, 7 of 8 hosts healthy, without node0004 (slow-link node0004)" in error
    assert "7 of 8 hosts are healthy, and 8 are needed: the command was not started" in error


def refused(tmp_path, capsys, *, terms=Terms(), **fault):  # noqa: B008 - frozen
    job = Job(command=("true",), terms=terms, judging=Judging())
    return pass_gate(job, measuring(tmp_path, **fault)), capsys.readouterr().err


def test_a_check_that_was_interrupted_starts_nothing(tmp_path, capsys):
    code, error = refused(tmp_path, capsys, status=RunStatus.INTERRUPTED, code=ExitCode.INTERRUPTED)

    assert code == ExitCode.INTERRUPTED
    assert "the command was not started" in error


def test_a_check_that_failed_starts_nothing(tmp_path, capsys):
    assert refused(tmp_path, capsys, status=RunStatus.FAILED)[0] == ExitCode.INCONCLUSIVE


def test_a_refusal_never_ends_with_0(tmp_path, capsys):
    code, error = refused(tmp_path, capsys, terms=Terms(fewest_hosts=9))

    assert code == ExitCode.INCONCLUSIVE
    assert "HEALTHY, 8 of 8 hosts healthy" in error
    assert "and 9 are needed" in error


@pytest.mark.parametrize("name", ["node1\nevil", "a,b", "-x", "n[1-9]", "@all", "$(id)", "\x1b[31m"])
def test_a_host_that_calls_itself_what_no_list_can_hold_lets_nobody_through(tmp_path, capsys, name):
    def renamed(audience):
        def take(found, run):
            report = replace(found.report, hosts=(name,), healthy_hosts=(name,))
            audience.take(replace(found, report=report), run)

        return measuring(tmp_path)(replace(audience, take=take))

    job = Job(command=("true",), terms=Terms(), judging=Judging())

    assert pass_gate(job, renamed) == ExitCode.INCONCLUSIVE
    error = capsys.readouterr().err
    assert "is no host name that a job could be given" in error
    assert error.removesuffix("\n").isprintable()


def test_where_nothing_was_measured_nothing_starts(capsys):
    job = Job(command=("true",), terms=Terms(), judging=Judging())

    assert pass_gate(job, lambda audience: ExitCode.HEALTHY) == ExitCode.INCONCLUSIVE
    assert "was not started" in capsys.readouterr().err


def test_the_report_is_printed_on_standard_error_where_it_is_asked_for(tmp_path, capsys):
    job = Job(command=("true",), terms=Terms(), judging=Judging(verbose=True))

    pass_gate(job, measuring(tmp_path, slow=(3,)))

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("FAULTY  8 hosts")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gate"], "COMMAND"),
        (["gate", "--"], "COMMAND"),
        (["gate", "--", "no-such-command-here"], "no command that can be started"),
        (["gate", "--budget", "soon", "--", "true"], "--budget"),
        (["gate", "--min-hosts", "0", "--", "true"], "--min-hosts"),
    ],
)
def test_what_is_mistyped_is_one_line_and_nothing_is_measured(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("NETPROBE_RUNS", str(tmp_path))

    assert main(arguments) == ExitCode.SETUP_ERROR

    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_options_behind_the_first_word_are_the_commands_own(capsys):
    assert main(["gate", "no-such-command-here", "--budget", "soon"]) == ExitCode.SETUP_ERROR

    assert "no-such-command-here" in capsys.readouterr().err


def test_it_is_no_rank_of_somebody_elses_launcher(monkeypatch, capsys):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")

    assert main(["gate", "--", "true"]) == ExitCode.SETUP_ERROR
    assert "starts them itself" in capsys.readouterr().err


names = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True), min_size=1, max_size=20, unique=True)


@given(names)
def test_a_hostfile_is_read_back_as_it_was_written(hosts):
    assert [each.host for each in parse_hostfile(hostfile_text(hosts), "hosts")] == hosts


@given(st.lists(st.text(alphabet="abc{}$ *;", max_size=12), max_size=5))
def test_words_without_a_placeholder_reach_the_command_as_they_are(words):
    assert filled(words, ("node1",), Path("/x")) == tuple(words)


def test_a_value_is_not_searched_for_placeholders_again():
    assert filled(["{hostfile}"], ("node1",), Path("/runs{count}/gate.hosts")) == ("/runs{count}/gate.hosts",)
