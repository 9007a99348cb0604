"""What ethtool's answers are taken for, and which interfaces are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.contracts import LinkSettings, System
from netprobe.system import lldp
from netprobe.system.ethtool import distinct, speed_gbps
from netprobe.telemetry import ethtool


class Told:
    """A kernel that tells the same of every interface, and remembers which it was asked about."""

    def __init__(self, **counters):
        self.counters = counters
        self.asked = []

    def statistics(self, netdev):
        self.asked.append(netdev)
        return self.counters

    def link(self, netdev):
        return LinkSettings()

    def qos(self, netdev):
        return None


@pytest.fixture
def host(tmp_path):
    """Return a function that makes a system with these interfaces: name=(driver, flags, RDMA device)."""

    def make(netlink=None, *, excluded=(), **interfaces):
        for name, (driver, flags, rdma) in interfaces.items():
            folder = tmp_path / "sys/class/net" / name
            folder.mkdir(parents=True)
            (folder / "flags").write_text(f"{flags}\n")
            if driver is None:
                continue
            (folder / "device").mkdir()
            (folder / "device/driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
            if rdma:
                (folder / "device/infiniband" / rdma).mkdir(parents=True)
        return System(root=tmp_path, netlink=netlink or Told(), excluded=frozenset(excluded))

    return make


def everything(name):
    return True


def test_counters_are_keyed_by_interface_and_name(host):
    system = host(Told(rx_prio3_pause=7), eth0=("mlx5_core", "0x1003", "mlx5_0"))

    assert ethtool.read(system, everything, everything) == {"ethtool/eth0/rx_prio3_pause": 7}


def test_only_what_is_wanted_is_kept(host):
    system = host(Told(rx_prio3_pause=7, rx0_bytes=9), eth0=("mlx5_core", "0x1003", "mlx5_0"))

    assert list(ethtool.read(system, lambda name: "pause" in name)) == ["ethtool/eth0/rx_prio3_pause"]


def test_a_value_that_the_driver_does_not_know_is_absent(host):
    system = host(Told(frames_rx=2**64 - 1, frames_tx=0), eth0=("ionic", "0x1003", None))

    assert ethtool.read(system, everything, everything) == {"ethtool/eth0/frames_tx": 0}


def test_interfaces_without_a_device_or_down_or_excluded_are_not_asked(host):
    netlink = Told(x=1)
    system = host(
        netlink,
        excluded=["eth8", "mlx5_9"],
        eth0=("mlx5_core", "0x1003", "mlx5_0"),
        eth1=("mlx5_core", "0x1002", "mlx5_1"),
        eth8=("mlx5_core", "0x1003", "mlx5_8"),
        eth9=("mlx5_core", "0x1003", "mlx5_9"),
        bond0=(None, "0x1403", None),
        odd0=("mlx5_core", "up", None),
    )

    ethtool.read(system, everything, everything)

    assert netlink.asked == ["eth0"]


def test_of_very_many_interfaces_those_with_rdma_come_first(host):
    interfaces = {f"eth{n:03}": ("mlx5_core", "0x1003", None) for n in range(50)}
    system = host(**interfaces, zz0=("mlx5_core", "0x1003", "mlx5_0"))

    found = ethtool.interfaces_of(system)

    assert found[0] == "zz0"
    assert len(found) == ethtool.MOST_INTERFACES


@pytest.mark.parametrize(("driver", "waits"), [("mlx5_core", False), ("bnxt_en", True), ("newcomer", True)])
def test_a_driver_that_is_slow_or_not_known_is_waited_for(driver, waits, host):
    system = host(eth0=("mlx5_core", "0x1003", None), eth1=(driver, "0x1003", None))

    assert (ethtool.SOURCE.settling_ns(system) > 1_000_000_000) is waits


def test_without_interfaces_nothing_is_waited_for(host):
    assert ethtool.SOURCE.settling_ns(host()) == 0


@pytest.mark.parametrize("speed_mbps", [0, 2**32 - 1])
def test_a_link_that_is_down_has_no_speed(speed_mbps):
    assert speed_gbps(speed_mbps) is None


def test_speeds_are_in_gbps():
    assert speed_gbps(400_000) == 400.0


def test_names_lose_their_padding_and_those_given_twice_are_left_out():
    assert distinct(
        ["  rx_ok", "rx_bad ", "", "rx_long_name_that_was_cut_here_", "rx_long_name_that_was_cut_here_"]
    ) == (
        "rx_ok",
        "rx_bad",
        None,
        None,
        None,
    )


@given(st.lists(st.text(max_size=31)))
def test_every_name_that_is_left_is_there_once(names):
    kept = [name for name in distinct(names) if name is not None]

    assert len(distinct(names)) == len(names)
    assert len(kept) == len(set(kept))


def test_the_lldp_daemon_is_asked_in_json():
    assert lldp.neighbours_text(lambda command: " ".join(command)) == "lldpcli -f json show neighbors"


def test_a_command_that_is_not_there_or_fails_tells_nothing():
    assert lldp.run(("no-such-command-anywhere",)) is None
    assert lldp.run(("false",)) is None
    assert lldp.run(("echo", "{}")) == "{}\n"
