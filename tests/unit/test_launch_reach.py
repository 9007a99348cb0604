import os
import shlex
import subprocess
import sys

import pytest

from netprobe.errors import LaunchError, UnavailableError
from netprobe.launch.reach import reach_over_ssh, refuse_unreachable, remote_command
from netprobe.launch.resolve import refuse_unknown, resolve_by_system

ADDRESSES = {
    "me": {"10.0.0.1"},
    "me-ib": {"10.0.0.1"},
    "node1": {"10.0.0.2"},
    "node2": {"10.0.0.3"},
    "lo": {"127.0.0.1"},
}
FAKE_SSH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
host=$1; shift
case $host in dead*) echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255;; esac
exec sh -c "$*"
"""


def resolve(host):
    return frozenset(ADDRESSES[host]) if host in ADDRESSES else None


def test_unknown_hosts_are_named_together():
    with pytest.raises(LaunchError, match=r"^node\[7-8\] have no address"):
        refuse_unknown(["node1", "node7", "node8"], resolve, own_name="me")


def test_only_other_hosts_have_to_be_reached():
    remote = refuse_unknown(["me", "me-ib", "lo", "node1", "node2"], resolve, own_name="me")

    assert remote == ("node1", "node2")


def test_the_system_resolver_knows_localhost_and_not_nonsense():
    assert resolve_by_system("localhost")
    assert resolve_by_system("no-such-host.invalid") is None


def test_hosts_that_cannot_be_reached_are_named_with_the_first_reason():
    def reach(hosts, command):
        return {"node2": "No route to host", "node3": "Permission denied"}

    with pytest.raises(LaunchError) as caught:
        refuse_unreachable(["node1", "node2", "node3"], "/venv/bin/python", {}, reach)

    assert str(caught.value).startswith("node[2-3] cannot be used: node2 says 'No route to host'; try: ssh node2 ")


@pytest.mark.parametrize("variable", ["HYDRA_LAUNCHER_EXEC", "OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent"])
def test_nothing_is_tried_over_ssh_when_the_launcher_uses_something_else(variable):
    def reach(hosts, command):
        raise AssertionError("asked")

    refuse_unreachable(["node1"], "python", {variable: "/opt/agent"}, reach)
    refuse_unreachable([], "python", {}, reach)


def test_the_command_tried_is_one_that_a_shell_takes_whole(tmp_path):
    command = remote_command(sys.executable, f"{tmp_path}/with space:'quoted'")

    assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == 0
    assert shlex.split(command)[1] == f"PYTHONPATH={tmp_path}/with space:'quoted'"


def test_ssh_is_run_on_all_hosts_and_failures_come_back_by_host(tmp_path, monkeypatch):
    ssh = tmp_path / "ssh"
    ssh.write_text(FAKE_SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    failures = reach_over_ssh(["node1", "dead1"], remote_command(sys.executable, os.environ.get("PYTHONPATH")))
    missing = reach_over_ssh(["node1"], remote_command("/nonexistent/python", None))

    assert failures == {"dead1": "ssh: connect to host dead1 port 22: No route to host"}
    assert "No such file" in missing["node1"]


def test_a_host_without_an_ssh_client_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnavailableError, match="no ssh client"):
        reach_over_ssh(["node1"], "true")
