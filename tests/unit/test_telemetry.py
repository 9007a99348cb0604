"""What the system's files tell, and that nothing in them can stop a measurement."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.catalogue.keys import key_of
from netprobe.registry import sources
from netprobe.system.files import LARGEST_COUNT, count_of
from netprobe.system.here import recorded_system, this_system
from netprobe.telemetry import ethtool_by_second, interfaces, interrupts, processor, scheduling, tcp

SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 -1 5920 3356 412 3 18 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
Udp: 35 0 2 36 1
"""
NETSTAT = """TcpExt: SyncookiesSent TCPTimeouts TCPOrigDataSent TCPOFOQueue
TcpExt: 0 31 3000 77
IpExt: InNoRoutes TCPTimeouts
IpExt: 9 9
"""
DEV = """Inter-|   Receive                               |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:    3193   29    0    0    0     0          0         0   3193   29    0    0    0     0       0          0
  ifb0:       0    0    0    0    0     0          0         0      0    0    0    0    0     0       0          0
  eth0: 273534222 5932  1    2    3     4          5         6 332664 3375    7    8    9    10      11         12
eth0.7:100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0
"""
V1_GROUPS = "4:memory:/pod\n3:cpu,cpuacct:/pod/one\n0::/\n"
PARSERS = (
    lambda text: dict(tcp.parse(text)),
    interfaces.parse,
    scheduling.parse_schedstat,
    scheduling.parse_status,
    scheduling.parse_throttling,
    lambda text: list(scheduling.parse_groups(text)),
    lambda text: processor.parse(text, 10_000_000),
    interrupts.parse_allowed,
    lambda text: interrupts.parse(text, frozenset({0, 1})),
)


@pytest.fixture
def system(tmp_path):
    """Return a function that writes files of a system below a root, and returns the system."""

    def write(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return recorded_system(tmp_path)

    return write


def test_tcp_counters_are_taken_by_the_kernels_names(system):
    root = system({"proc/net/snmp": SNMP, "proc/net/netstat": NETSTAT})

    assert tcp.SOURCE.read(root) == {
        "tcp/InSegs": 5920,
        "tcp/OutSegs": 3356,
        "tcp/RetransSegs": 412,
        "tcp/InErrs": 3,
        "tcp/InCsumErrors": 0,
        "tcp/TCPTimeouts": 31,
        "tcp/TCPOrigDataSent": 3000,
        "tcp/TCPOFOQueue": 77,
        "udp/InErrors": 2,
        "udp/RcvbufErrors": 1,
    }


def test_a_counter_that_the_kernel_lacks_is_absent_and_not_zero(system):
    assert "tcp/TCPTimeouts" not in tcp.SOURCE.read(system({"proc/net/snmp": SNMP}))


def test_interfaces_that_carried_something_are_counted(system):
    counters = interfaces.SOURCE.read(system({"proc/net/dev": DEV, "sys/class/net/eth0/carrier_changes": "2\n"}))

    assert {name.partition("/")[0] for name in counters} == {"eth0", "eth0.7"}
    assert (counters["eth0/rx_bytes"], counters["eth0/rx_dropped"], counters["eth0/rx_frame"]) == (273534222, 2, 4)
    assert (counters["eth0/tx_bytes"], counters["eth0/tx_dropped"], counters["eth0/tx_carrier"]) == (332664, 8, 11)
    assert counters["eth0/carrier_changes"] == 2
    assert "eth0.7/carrier_changes" not in counters


def test_interfaces_that_are_excluded_are_not_read(system):
    of = replace(system({"proc/net/dev": DEV}), excluded=frozenset({"eth0"}))

    assert {name.partition("/")[0] for name in interfaces.SOURCE.read(of)} == {"eth0.7"}


def test_of_many_interfaces_the_busiest_are_counted(system):
    lines = [f"veth{n}: {n} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0" for n in range(100)]

    counters = interfaces.SOURCE.read(system({"proc/net/dev": "\n".join(lines)}))

    names = {name.partition("/")[0] for name in counters}
    assert len(names) == interfaces.MOST_INTERFACES
    assert "veth99" in names


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 16, "bell\x07"])
def test_a_name_that_no_interface_has_is_left_out(name):
    assert interfaces.parse(f"{name}: " + " ".join(["1"] * 16)) == {}


def test_a_thread_tells_how_long_it_ran_and_waited(system):
    root = system(
        {
            "proc/thread-self/schedstat": "105978 63384 2\n",
            "proc/thread-self/status": "Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n",
        }
    )

    assert scheduling.SOURCE.read(root) == {
        "process/run_ns": 105978,
        "process/run_delay_ns": 63384,
        "process/voluntary_switches": 5,
        "process/involuntary_switches": 7,
    }


def test_throttling_of_version_1_is_in_ns_and_that_of_version_2_in_us(system):
    v1 = system({"proc/self/cgroup": V1_GROUPS, "sys/fs/cgroup/cpu,cpuacct/pod/one/cpu.stat": "throttled_time 9000\n"})
    assert scheduling.SOURCE.read(v1) == {"cgroup/throttled_ns": 9000}

    v2 = system({"proc/self/cgroup": "0::/pod/one\n", "sys/fs/cgroup/pod/one/cpu.stat": "throttled_usec 9\n"})
    assert scheduling.SOURCE.read(v2) == {"cgroup/throttled_ns": 9000}


def test_a_quota_of_an_outer_group_counts_as_well(system):
    root = system(
        {
            "proc/self/cgroup": "0::/pod/one\n",
            "sys/fs/cgroup/pod/one/cpu.stat": "nr_throttled 0\nthrottled_usec 0\n",
            "sys/fs/cgroup/pod/cpu.stat": "nr_throttled 3\nthrottled_usec 40\n",
        }
    )

    assert scheduling.SOURCE.read(root) == {"cgroup/throttled_ns": 40_000, "cgroup/nr_throttled": 3}


def test_in_a_container_the_top_of_the_mount_is_its_group(system):
    root = system({"proc/self/cgroup": "0::/../outer/pod\n", "sys/fs/cgroup/cpu.stat": "throttled_usec 7\n"})

    assert scheduling.SOURCE.read(root) == {"cgroup/throttled_ns": 7000}


def test_steal_is_told_beside_the_time_that_was_used(system):
    root = system({"proc/stat": "cpu  100 1 20 5000 9 3 4 50 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"})

    counters = processor.SOURCE.read(root)

    assert counters["cpu/busy_ns"] / counters["cpu/steal_ns"] == pytest.approx(128 / 50)
    assert processor.parse("cpu 1 2 3\n", 1) == {}


@pytest.mark.parametrize("id", sorted(sources()))
def test_every_source_reads_this_machine_and_an_empty_one(id, tmp_path):
    source = sources()[id]

    here = source.read(this_system())

    assert here or source.in_stages or source.in_seconds or not Path("/proc/thread-self").exists()
    assert all((name.count("/") == 1 or key_of(name)) and 0 <= count <= LARGEST_COUNT for name, count in here.items())
    assert source.read(recorded_system(tmp_path)) == {}


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text())
def test_no_text_stops_a_parser(parse, text):
    parse(text)


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.lists(st.sampled_from([*"0123456789 :\n/,-", "cpu", "Tcp", "eth0", "InSegs", "throttled_usec", "²"])))
def test_no_torn_file_stops_a_parser(parse, text):
    parse("".join(text))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"9" * 100_000])
def test_bytes_that_are_no_text_are_no_counts(content, tmp_path):
    for path in ("proc/net/snmp", "proc/net/dev", "proc/stat", "proc/thread-self/schedstat", "proc/self/cgroup"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)

    assert all(source.read(recorded_system(tmp_path)) == {} for source in sources().values())


def test_directories_in_place_of_files_are_absent(tmp_path):
    (tmp_path / "proc/net/snmp").mkdir(parents=True)

    assert tcp.SOURCE.read(recorded_system(tmp_path)) == {}


@pytest.mark.parametrize("text", ["", "-1", "1.5", "²", "1" * 20, str(LARGEST_COUNT + 1)])
def test_what_is_no_count_is_absent(text):
    assert count_of(text) is None


def test_the_largest_count_is_kept():
    assert count_of(str(LARGEST_COUNT)) == LARGEST_COUNT


INTERRUPTS = """            CPU0       CPU2       CPU3
   0:         40          0          1   IO-APIC   2-edge      timer
  33:        100        200        300   PCI-MSI 524288-edge      mlx5_comp0@pci:0000:18:00.0
 LOC:       1000       2000       3000   Local timer interrupts
 TLB:          1          2          3   TLB shootdowns
 CAL:         10         20         30   Function call interrupts
 ERR:          7
"""


def test_interrupts_are_those_of_the_cpus_that_a_rank_may_use(system):
    status = "Name:\tx\nCpus_allowed_list:\t2-3\nMems_allowed_list:\t0\n"
    root = system({"proc/thread-self/status": status, "proc/interrupts": INTERRUPTS})

    assert interrupts.SOURCE.read(root) == {
        "interrupts/devices": 501,
        "interrupts/timer": 5000,
        "interrupts/function_calls": 55,
    }


@pytest.mark.parametrize("allowed", ["", "Cpus_allowed_list:\tx", "Cpus_allowed_list:\t0-999999999999"])
def test_where_a_rank_may_run_has_to_be_known_for_its_interrupts(system, allowed):
    root = system({"proc/thread-self/status": allowed, "proc/interrupts": INTERRUPTS})

    assert interrupts.SOURCE.read(root) == {}


def test_interrupts_and_switches_of_a_host_are_told_beside_what_the_hypervisor_took():
    text = "cpu 1 2 3 4 5 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 900 1 2\nctxt 50\nsoftirq 70 1 2\n"

    assert processor.parse(text, 10) == {
        "cpu/steal_ns": 80,
        "cpu/busy_ns": 190,
        "cpu/interrupt_ns": 130,
        "cpu/interrupts": 900,
        "cpu/context_switches": 50,
        "cpu/softirqs": 70,
    }


@pytest.mark.parametrize("name", ["tx_prio3_pause", "rx_discards_phy", "rx_crc_errors_phy", "rx_prio3_pause_duration"])
def test_pauses_discards_and_damage_are_read_by_second(name):
    assert ethtool_by_second.is_sign(name)


@pytest.mark.parametrize("name", ["rx_bytes_phy", "tx_packets", "nobody_knows_this_pause"])
def test_traffic_and_what_nobody_knows_are_not_read_by_second(name):
    assert not ethtool_by_second.is_sign(name)
