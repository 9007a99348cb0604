"""The kernel's word on interfaces: with real sockets, on this machine and on a pair of interfaces made for it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from netprobe.contracts import LinkSettings
from netprobe.system.here import this_system
from netprobe.system.netlink import KernelNetlink

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
ROOT = Path(__file__).parents[2]
HOSTILE = ["", "lo", "nosuch0", "x" * 16, "x" * 5000, "µ" * 8, "a\0b", "../lo", "\udcff", "%s%n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_interface_with_nothing_to_tell_is_empty(name):
    netlink = KernelNetlink()

    assert netlink.statistics(name) == {}
    assert netlink.qos(name) is None
    assert netlink.link(name).speed_gbps is None


def test_an_interface_that_is_not_there_has_no_settings():
    assert KernelNetlink().link("nosuch0") == LinkSettings()


def test_without_pyroute2_nothing_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroute2.netlink.nlsocket", None)
    monkeypatch.setitem(sys.modules, "netprobe.system.ethtool", None)
    netlink = KernelNetlink()

    assert (netlink.statistics("lo"), netlink.link("lo"), netlink.qos("lo")) == ({}, LinkSettings(), None)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_sockets_are_closed_with_their_owner():
    before = open_files()
    netlinks = [KernelNetlink() for _ in range(5)]
    for netlink in netlinks:
        netlink.link("lo")
        netlink.qos("lo")

    assert open_files() == before + 5
    netlinks.clear()
    del netlink
    assert open_files() == before


def run_python(code: str, *prefix: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = (*prefix, sys.executable, "-W", "error", "-X", "dev", "-c", textwrap.dedent(code))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_pyroute2_is_loaded_by_the_first_question_and_not_before():
    loaded = run_python("""
        import sys
        import netprobe.cli.app, netprobe.session.worker
        from netprobe.system.here import this_system
        system = this_system()
        print("pyroute2" in sys.modules)
        system.netlink.statistics("lo")
        print("pyroute2" in sys.modules)
    """)

    assert loaded.split() == ["False", "True"]


def test_threads_that_end_leave_no_socket_and_no_warning():
    told = run_python("""
        import threading
        from netprobe.system.netlink import KernelNetlink
        netlink, told = KernelNetlink(), []
        ask = lambda: told.append((dict(netlink.statistics("lo")), netlink.qos("lo")))
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(told == [({}, None)] * 4)
    """)

    assert told.strip() == "True"


@pytest.fixture(scope="module")
def namespace(need):
    """Return what a command is started with to have a network of its own."""
    prefix = ("unshare", "--net", "--mount")
    try:
        refused = subprocess.run((*prefix, "ip", "link"), capture_output=True, text=True, check=False)
    except OSError as error:
        need("lab", False, str(error))
    need("lab", refused.returncode == 0, f"a network namespace needs root: {refused.stderr.strip()}")
    return prefix


def test_a_virtual_interface_tells_its_counters_and_settings(namespace):
    told = run_python(
        """
        import subprocess
        from netprobe.system.netlink import KernelNetlink
        for command in ("link add left type veth peer name right", "link set left up", "link set right up"):
            subprocess.run(["ip", *command.split()], check=True)
        netlink = KernelNetlink()
        statistics, link = netlink.statistics("left"), netlink.link("left")
        print(statistics["peer_ifindex"] > 0, link.speed_gbps, link.fec, netlink.qos("left"))
        """,
        *namespace,
    )

    assert told.split() == ["True", "10.0", "None", "None"]


def test_counters_that_come_and_go_are_read_as_they_are(namespace):
    told = run_python(
        """
        import subprocess
        from pyroute2.ethtool.ioctl import IoctlEthtool
        from netprobe.system.netlink import KernelNetlink
        queues = "numrxqueues 4 numtxqueues 4"
        subprocess.run(["ip", *f"link add left {queues} type veth peer name right {queues}".split()], check=True)
        netlink, setting = KernelNetlink(), IoctlEthtool("left")
        def queues_counted(queue_count):
            channels = setting.get_channels()
            channels.rx_count = queue_count
            setting.set_channels(channels)
            return sum(name.endswith("_xdp_packets") for name in netlink.statistics("left"))
        print(queues_counted(1), queues_counted(4), queues_counted(2))
        setting.close()
        """,
        *namespace,
    )

    assert told.split() == ["1", "4", "2"]


def test_this_machines_interfaces_can_be_asked():
    system = this_system()

    for interface in sorted(each.name for each in (system.root / "sys/class/net").iterdir()):
        assert all(name == name.strip() != "" for name in system.netlink.statistics(interface))
        assert isinstance(system.netlink.link(interface), LinkSettings)
