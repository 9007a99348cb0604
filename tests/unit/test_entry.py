"""A signal that asks to stop ends the command line with 130 and without a traceback, however early it comes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

# Gets a signal while it loads a module.
INTERRUPTED = """
import os, signal, sys
{before}
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupting())
from netprobe.__main__ import main
sys.argv = ["netprobe", "explain", "slow-host"]
raise SystemExit(main())
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST, LATER = "netprobe.cli.app", "netprobe.cli.explaining"


HYDRA = "#!/bin/sh\necho 'HYDRA build details:'\necho 'Version: 4.2'\n"
# ssh to hosts that do not answer: notes that it was tried.
SILENT_SSH = """#!/bin/sh
echo $$ >> "$(dirname "$0")/asked"
exec sleep 600
"""


def explain(module, number, before=""):
    code = INTERRUPTED.format(module=module, number=int(number), before=before)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", [FIRST, LATER], ids=["before any command", "in a command"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it_quietly(module, number):
    ended = explain(module, number)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_ignored(number):
    ended = explain(FIRST, number, before=f"signal.signal({int(number)}, signal.SIG_IGN)")

    assert ended.returncode == 0, ended.stderr
    assert "slow-host" in ended.stdout


def test_python_m_netprobe_is_the_same_program():
    told = subprocess.run([sys.executable, "-m", "netprobe", "--version"], capture_output=True, text=True, check=True)

    assert told.stdout.startswith("netprobe ")


@pytest.fixture
def program(tmp_path):
    """Make a program in tmp_path; return its path."""

    def make(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return make


def is_alive(pid):
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def wait_until(is_so, what):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_hosts_are_reached_ends_it_at_once_and_leaves_nobody_behind(program, tmp_path, number):
    environ = {**os.environ, "HYDRA_LAUNCHER_EXEC": program("ssh", SILENT_SSH), "NETPROBE_RUNS": str(tmp_path / "runs")}
    argv = ["check", "--hosts", "192.0.2.[1-2]", "--mpiexec", program("mpiexec", HYDRA)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    asked = tmp_path / "asked"
    with subprocess.Popen([sys.executable, "-m", "netprobe", *argv], env=environ, **pipes, text=True) as process:
        wait_until(lambda: asked.exists() and len(asked.read_text().split()) == 2, "hosts are asked")
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)  # to reach the hosts would take 30 s

    assert (process.returncode, output, errors) == (130, "", "")
    assert not (tmp_path / "runs").exists()
    wait_until(lambda: not any(is_alive(pid) for pid in asked.read_text().split()), "what asked the hosts is gone")
