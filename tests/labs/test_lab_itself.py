"""The lab is what it says: data crosses its cables, faults hit what they name and nothing else, and nothing stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest
from netlab import groups
from netlab.commands import in_network
from netlab.errors import UNSUPPORTED, LabError
from netlab.faults import Direction, Fault, Kind
from netlab.lab import Lab
from netlab.network import ETHERNET_BYTES
from netlab.shape import DATA_DEVICE, Shape, rate_of
from netlab.state import folder_of

LAB = str(Path(__file__).parents[2] / "scripts/lab")
DEADLINE_S = 60
SMALL = Shape(hosts=2, leaves=1)
MIB = 1 << 20

SEND = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), timeout=float(sys.argv[3])) as wire:
    wire.sendall(bytes(int(sys.argv[2])))
    wire.shutdown(socket.SHUT_WR)
    wire.recv(1)
"""
RECEIVE = """
import socket, time
with socket.create_server(("", 7000)) as door:
    print("ready", flush=True)
    wire, _ = door.accept()
    began, got = time.monotonic(), 0
    while chunk := wire.recv(1 << 20):
        got += len(chunk)
    print(got, time.monotonic() - began)
    wire.sendall(b"x")
"""
# Stands in for nft: puts a fault in place, and then goes wrong. $PPID is the lab's command, as nsenter becomes this.
NFT = """#!/bin/sh
rules=$(cat)
echo "$rules" | {nft} "$@" || exit
case "$rules" in *drop*) {then};; esac
"""
AS_NOBODY = """
import os, sys
from netlab.cli import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
IN_THE_MIDDLE_S = (0.05, 0.15, 0.3, 0.5)


def send(lab, source, target, size_bytes, patience_s=20):
    """Send bytes over the fabric; return Gb/s, or None when they do not arrive."""
    receiver = lab.popen([sys.executable, "-c", RECEIVE], host=target, stdout=subprocess.PIPE, text=True)
    with receiver:
        try:
            assert receiver.stdout.readline() == "ready\n"
            words = [lab.shape.host(target).data_address, str(size_bytes), str(patience_s)]
            sent = lab.run([sys.executable, "-c", SEND, *words], host=source, capture_output=True, timeout=DEADLINE_S)
            if sent.returncode != 0:
                return None
            got, elapsed_s = receiver.stdout.readline().split()
            assert int(got) == size_bytes
            return 8e-9 * size_bytes / float(elapsed_s)
        finally:
            receiver.kill()


def ask(lab, host, command="hostname"):
    """Ask a host from the login host, as a launcher does."""
    return lab.run([str(lab.agent), host, command], capture_output=True, text=True, timeout=DEADLINE_S)


def counter(lab, host, name):
    shown = lab.run(
        ["cat", f"/sys/class/net/{DATA_DEVICE}/statistics/{name}"], host=host, capture_output=True, text=True
    )
    return int(shown.stdout)


def inject(lab, kind, target, amount=None, direction=Direction.BOTH):
    lab.inject(Fault(kind=kind, target=target, amount=amount, direction=direction))


def lost_packets(lab):
    [(_, packets)] = lab.faults()
    return packets


def traces(name):
    """What a lab could leave: processes, namespaces, mounts, control groups."""
    of_processes = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if folder_of(name).as_posix().encode() in read(path)
    ]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
    return {"processes": of_processes, "mounts": mounts, "groups": [each for each in groups.labs() if each == name]}


def read(path):
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile
        return b""


def gone(name):
    """Wait until no process of a lab is left, and return what else is."""
    deadline = time.monotonic() + DEADLINE_S
    while traces(name)["processes"] and time.monotonic() < deadline:
        time.sleep(0.05)
    return traces(name)


def interfaces():
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def start_up(name, *more):
    return subprocess.Popen(
        [LAB, "up", "--name", name, "--hosts", "3", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_hosts_have_names_and_addresses_of_their_own_and_know_each_other(lab):
    answered = ask(lab, "h3", "hostname; getent hosts h8; cat /proc/1/comm; ls /sys/class/net")

    name, neighbour, *_, mg = answered.stdout.split("\n")[:-1]
    assert name == "h3"
    assert neighbour.split() == ["10.78.0.8", "h8"]
    assert mg == "mg0"
    assert "eth0" not in answered.stdout


def test_data_between_hosts_crosses_both_their_cables_in_packets_of_one_mtu(lab):
    sent, got = counter(lab, "h1", "tx_bytes"), counter(lab, "h8", "rx_bytes")
    packets = counter(lab, "h1", "tx_packets")

    assert send(lab, "h1", "h8", 4 * MIB) is not None

    sent, got = counter(lab, "h1", "tx_bytes") - sent, counter(lab, "h8", "rx_bytes") - got
    packets = counter(lab, "h1", "tx_packets") - packets
    assert sent > 4 * MIB
    assert got > 4 * MIB
    assert lab.shape.mtu_bytes / 2 < sent / packets <= lab.shape.mtu_bytes + ETHERNET_BYTES


def test_shared_memory_does_not_reach_another_host(lab):
    lab.run(["touch", "/dev/shm/only-here"], host="h1", check=True)

    assert "only-here" not in ask(lab, "h2", "ls /dev/shm").stdout
    assert "only-here" in ask(lab, "h1", "ls /dev/shm").stdout


def test_processes_of_a_host_are_seen_on_no_other(lab):
    with lab.popen(["sleep", "123.25"], host="h1") as sleeping:
        try:
            assert "123.25" not in ask(lab, "h2", "ps ax | grep [1]23.25").stdout
            assert "123.25" not in lab.run(["ps", "ax"], host="login", capture_output=True, text=True).stdout
        finally:
            sleeping.kill()


def test_the_agent_is_like_ssh_in_words_environment_and_exit_code(lab):
    words = ["-a", "-x", "-oConnectTimeout=5", "-l", "root", "-p22", "-xl", "root", "root@h4"]
    answered = lab.run(
        [str(lab.agent), *words, "echo", "'a  b'", "$HOME:$UCX_TLS;", "exit", "9"], capture_output=True, text=True
    )

    assert (answered.returncode, answered.stdout) == (9, f"a  b {Path.home()}:\n")


def test_a_command_gets_the_signals_sent_to_the_one_who_waits_for_it(lab):
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    with lab.popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout.readline() == "ready\n"
        waiting.send_signal(signal.SIGINT)
        said, _ = waiting.communicate(timeout=DEADLINE_S)

    assert (waiting.returncode, said) == (5, "interrupted\n")


def test_a_command_dies_with_the_one_who_waits_for_it(lab):
    with lab.popen(
        ["sh", "-c", "echo ready; exec sleep 321.25"], host="h5", stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout.readline() == "ready\n"
        waiting.kill()

    assert "321.25" not in ask(lab, "h5", "sleep 0.2; ps ax | grep [3]21.25").stdout


def has_its_rate(lab, gbps):
    """Full rate, less headers and what a busy machine takes; a little more for the burst of a port."""
    return 0.6 < gbps * 1e9 / lab.shape.rate_bps < 1.05


def test_the_rate_holds(lab):
    assert has_its_rate(lab, send(lab, "h1", "h5", 8 * MIB))


def test_another_rate_holds_in_its_direction_until_it_is_cleared(lab):
    inject(lab, Kind.RATE, "h2", rate_of("40mbit"), Direction.RX)

    into, out_of = send(lab, "h1", "h2", MIB), send(lab, "h2", "h1", 8 * MIB)
    lab.clear()

    assert into < 0.045
    assert has_its_rate(lab, out_of)
    assert has_its_rate(lab, send(lab, "h1", "h2", 8 * MIB))


def test_a_slow_trunk_is_slow_between_leaves_only(lab):
    inject(lab, Kind.RATE, "leaf1", rate_of("40mbit"))

    assert send(lab, "h1", "h8", MIB) < 0.045
    assert has_its_rate(lab, send(lab, "h1", "h2", 8 * MIB))


def test_loss_takes_its_share_of_single_packets_in_its_direction_only(lab):
    inject(lab, Kind.LOSS, "h3", 0.01, Direction.TX)
    packets = counter(lab, "h3", "tx_packets")

    assert send(lab, "h3", "h6", 16 * MIB, patience_s=50) is not None

    packets = counter(lab, "h3", "tx_packets") - packets
    assert packets > 16 * MIB / lab.shape.mtu_bytes
    assert 0.002 < lost_packets(lab) / packets < 0.03

    inject(lab, Kind.LOSS, "h3", 1.0, Direction.RX)
    inject(lab, Kind.LOSS, "h3", 1e-6, Direction.TX)
    taken = {fault.direction: packets for fault, packets in lab.faults()}
    assert set(taken) == {Direction.TX, Direction.RX}


def test_a_partition_is_silent_and_leaves_the_rest_and_the_launcher_alone(lab):
    inject(lab, Kind.PARTITION, "h1,h2/h5")

    assert send(lab, "h1", "h5", 1000, 1) is None
    assert send(lab, "h5", "h2", 1000, 1) is None
    assert send(lab, "h3", "h5", 1000) is not None
    assert send(lab, "h1", "h2", 1000) is not None
    assert ask(lab, "h5").returncode == 0


def test_loss_on_a_path_spares_other_paths_of_the_same_hosts(lab):
    inject(lab, Kind.PATH_LOSS, "h2/h5", 1.0)

    assert send(lab, "h2", "h5", 1000, 1) is None
    assert send(lab, "h2", "h6", 1000) is not None
    assert send(lab, "h1", "h5", 1000) is not None


def test_an_mtu_black_hole_lets_small_messages_through(lab):
    inject(lab, Kind.MTU, "h4", 1500)

    assert send(lab, "h4", "h1", 1000) is not None
    assert send(lab, "h4", "h1", 100_000, 2) is None
    assert lost_packets(lab) > 0


def test_a_host_that_is_cut_off_does_not_answer_and_lives_on(lab):
    lab.run(["touch", "/dev/shm/still-here"], host="h7", check=True)
    inject(lab, Kind.CUT, "h7")

    cut = ask(lab, "h7")
    lab.clear(host="h7")

    assert (cut.returncode, cut.stdout) == (255, "")
    assert cut.stderr.startswith("ssh: connect to host h7 port 22: ")
    assert "still-here" in ask(lab, "h7", "ls /dev/shm").stdout


def test_a_killed_host_does_not_answer_until_it_is_revived_with_nothing_of_its_past(lab):
    lab.run(["touch", "/dev/shm/before"], host="h7", check=True)
    lab.kill_host("h7")

    assert ask(lab, "h7").returncode == 255
    assert send(lab, "h1", "h6", 1000) is not None
    assert lab.revive() == ("h7",)
    revived = ask(lab, "h7", "hostname; ls /dev/shm").stdout.split()
    assert revived[0] == "h7"
    assert "before" not in revived
    assert has_its_rate(lab, send(lab, "h1", "h7", 8 * MIB))


def test_a_killed_host_is_revived_although_something_keeps_its_old_network(lab):
    network = f"/proc/{lab.state.holders['h7'].pid}/ns/net"
    script = "echo ready; exec sleep 100"
    with subprocess.Popen(["nsenter", f"--net={network}", "sh", "-c", script], stdout=subprocess.PIPE) as staying:
        try:
            assert staying.stdout.readline() == b"ready\n"
            lab.kill_host("h7")

            assert lab.revive() == ("h7",)
            assert send(lab, "h1", "h7", 1000) is not None
        finally:
            staying.kill()


def test_a_paused_host_holds_its_processes_and_lets_them_go_on(lab):
    with lab.popen(["sh", "-c", "echo ready; exec sleep 100"], host="h6", stdout=subprocess.PIPE) as sleeping:
        assert sleeping.stdout.readline() == b"ready\n"
        inject(lab, Kind.PAUSE, "h6")
        paused = lab.run(["ps", "-o", "stat=", "-C", "sleep"], host="h6", capture_output=True, text=True).stdout
        lab.resume("h6")
        resumed = lab.run(["ps", "-o", "stat=", "-C", "sleep"], host="h6", capture_output=True, text=True).stdout
        sleeping.kill()

    assert paused.startswith("T")
    assert resumed.startswith("S")


def test_a_rank_is_stalled_or_killed_by_itself(lab):
    rank = ["sh", "-c", "while :; do :; done", "netprobe.session"]
    with lab.popen(rank, host="h6", env={**os.environ, "NETPROBE_JOB": "x"}) as running:
        while not lab.ranks("h6"):
            time.sleep(0.02)
        inject(lab, Kind.STALL, "h6")
        [pid] = lab.ranks("h6")
        before = processor_ticks(pid)
        time.sleep(0.3)
        assert processor_ticks(pid) == before
        assert ask(lab, "h6").returncode == 0
        lab.resume("h6")
        time.sleep(0.3)
        assert processor_ticks(pid) > before

        assert lab.kill_rank("h6") == pid
        assert running.wait(timeout=DEADLINE_S) == 128 + signal.SIGKILL


def processor_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_processor_noise_takes_its_share_of_new_processes_too(lab):
    inject(lab, Kind.CPU, "h1", 0.2)

    counted = (
        "import time; e = time.monotonic() + 1; n = 0\nwhile time.monotonic() < e: n += 1\nprint(time.process_time())"
    )
    used = lab.run([sys.executable, "-c", counted], host="h1", capture_output=True, text=True)

    assert float(used.stdout) < 0.35


def test_a_fault_that_the_kernel_does_not_know_is_refused(lab):
    ended = subprocess.run(
        ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem"], capture_output=True
    )
    if ended.returncode == 0:
        pytest.skip("this kernel has netem")

    with pytest.raises(LabError, match="no netem") as refused:
        inject(lab, Kind.DELAY, "h1", 5)

    assert refused.value.exit_code == UNSUPPORTED
    assert lab.faults() == ()


def inject_with(then, lab, folder):
    """Inject a loss by command, with an nft that does something when it has put the rules in place."""
    shim = folder / "nft"
    shim.write_text(NFT.format(nft=which("nft"), then=then))
    shim.chmod(0o755)
    argv = [LAB, "inject", "loss", "--name", lab.name, "--host", "h3", "--rate", "0.5"]
    environ = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=DEADLINE_S)


def tables(lab):
    return in_network(lab.state.fabric, ("nft", "list", "tables")).split("\n")[:-1]


@pytest.mark.parametrize(("then", "code"), [("exit 1", 3), ("kill -TERM $PPID; exec sleep 60", 128 + signal.SIGTERM)])
def test_a_fault_that_fails_or_is_ended_half_way_is_taken_back(lab, tmp_path, then, code):
    ended = inject_with(then, lab, tmp_path)

    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert (lab.faults(), tables(lab)) == ((), [])


def test_a_fault_whose_command_is_killed_half_way_is_known_to_clear(lab, tmp_path):
    ended = inject_with("kill -KILL $PPID", lab, tmp_path)

    assert ended.returncode == -signal.SIGKILL
    assert [fault.target for fault, _ in lab.faults()] == ["h3"]
    assert len(tables(lab)) == 1
    lab.clear()
    assert tables(lab) == []


def test_a_stall_without_a_rank_is_refused_and_not_on_record(lab):
    with pytest.raises(LabError, match="no rank"):
        inject(lab, Kind.STALL, "h6")

    assert lab.faults() == ()


@pytest.mark.parametrize(
    "words", [["list"], ["faults"], ["down"], ["clear"], ["up"], ["run", "--", "true"]], ids=lambda words: words[0]
)
def test_without_root_it_says_in_one_line_what_to_try(lab, words):
    environ = {**os.environ, "PYTHONPATH": str(Path(LAB).with_name("lab.d"))}
    named = [] if words == ["list"] else ["--name", lab.name]
    argv = [sys.executable, "-c", AS_NOBODY, words[0], *named, *words[1:]]

    refused = subprocess.run(argv, env=environ, cwd="/", capture_output=True, text=True, timeout=DEADLINE_S)

    assert (refused.returncode, refused.stdout) == (UNSUPPORTED, "")
    assert refused.stderr.startswith("lab: ")
    assert refused.stderr.endswith("; try: sudo\n")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("target", ["h9", "login", "eth0", "h0", "leaf3", "h1/h1"])
def test_what_is_not_the_labs_is_refused(lab, target):
    with pytest.raises(LabError):
        inject(lab, Kind.LOSS, target, 0.1)


@pytest.mark.parametrize("name", ["..", "a/b", "", "A", "-x"])
def test_what_cannot_be_a_labs_name_is_refused(possible, name):
    with pytest.raises(LabError):
        Lab.up(SMALL, name)


def test_up_again_is_no_error_but_another_shape_is(lab):
    assert Lab.up(lab.shape, lab.name) == (lab, False)
    with pytest.raises(LabError, match="is up with"):
        Lab.up(SMALL, lab.name)


def test_a_lab_leaves_nothing_and_touches_nothing_outside(other_name):
    before = interfaces()

    lab, _ = Lab.up(SMALL, other_name)
    during = interfaces()
    lab.run(["sleep", "0"], check=True)
    assert lab.down() is True

    assert during == before
    assert interfaces() == before
    assert traces(other_name) == {"processes": [], "mounts": [], "groups": []}
    assert not folder_of(other_name).exists()
    assert lab.down() is False


def test_killing_the_fabric_ends_every_process_and_the_next_up_begins_anew(other_name):
    lab, _ = Lab.up(SMALL, other_name)

    os.kill(lab.state.fabric.pid, signal.SIGKILL)

    left = gone(other_name)
    assert (left["processes"], left["mounts"]) == ([], [])
    assert Lab.up(SMALL, other_name)[1] is True


def test_a_lab_that_does_not_outlive_its_maker_goes_when_the_maker_is_killed(other_name):
    up = f"Lab.up(Shape(hosts=2, leaves=1), {other_name!r}, outlives_maker=False)"
    script = f"from netlab.lab import Lab, Shape\n{up}\nprint('up', flush=True)\ninput()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environ = {**os.environ, "PYTHONPATH": str(Path(LAB).with_name("lab.d"))}
    with subprocess.Popen([sys.executable, "-c", script], env=environ, **pipes) as maker:
        assert maker.stdout.readline() == b"up\n"
        assert traces(other_name)["processes"]
        maker.kill()

    assert gone(other_name)["processes"] == []


@pytest.mark.parametrize("delay_s", IN_THE_MIDDLE_S)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_nothing_that_the_next_down_does_not_remove(other_name, delay_s, number):
    with start_up(other_name) as starting:
        time.sleep(delay_s)
        starting.send_signal(number)
        code = starting.wait(timeout=DEADLINE_S)

    if code != 0:  # else it was quicker
        assert gone(other_name)["processes"] == []
    Lab(name=other_name).down()
    assert traces(other_name) == {"processes": [], "mounts": [], "groups": []}
    assert not folder_of(other_name).exists()
