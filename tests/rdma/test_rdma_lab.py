"""Hosts of the soft-RoCE lab are hosts: devices of their own, a fabric that carries and loses, and nothing left."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from netlab.errors import UNSUPPORTED
from netlab.processes import has_ended

RDMA_LAB = str(Path(__file__).parents[2] / "scripts/rdma-lab")
DEADLINE_S = 180
HOSTS = ("h1", "h2", "h3", "h4")
CLOSING = r"rdma-lab: exit {code} · boot [\d.]+ s \((1 try|\d tries)\) · hosts [\d.]+ s · command [\d.]+ s"
AS_NOBODY = """
import os, sys
from rdmalab.cli import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(["run", "--", "true"]))
"""


def average_ms(said):
    """Return the round-trip time that a ping found."""
    return float(re.search(r"= [\d.]+/([\d.]+)/", said)[1])


def test_each_host_sees_one_device_of_the_same_name_and_the_login_host_none(guest_results):
    seen = guest_results("10-devices")

    assert [seen.text(f"{name}.devices").split() for name in HOSTS] == [["rxe0"]] * 4
    assert seen.text("login.devices") == ""
    assert [seen.text(f"{name}.hostname").strip() for name in (*HOSTS, "login")] == [*HOSTS, "login"]


def test_the_second_address_of_each_device_is_rocev2_over_ipv4(guest_results):
    seen = guest_results("10-devices")

    for number, name in enumerate(HOSTS, start=1):
        address, kind, device = seen.text(f"{name}.gid").splitlines()
        assert address == f"0000:0000:0000:0000:0000:ffff:0a01:{number:04x}"
        assert (kind, device) == ("RoCE v2", "roce0")


def test_ports_are_active_and_carry_4096_bytes(guest_results):
    seen = guest_results("10-devices")

    for name in HOSTS:
        assert "ACTIVE" in seen.text(f"{name}.state")
        assert re.search(r"active_mtu:\s+4096", seen.text(f"{name}.devinfo"))


def test_messages_to_another_leaf_cross_the_trunk_as_rocev2(guest_results):
    traffic = guest_results("20-traffic")
    [crossed] = traffic.numbers("trunk").values()
    sent = traffic.numbers("after")["sent_pkts"] - traffic.numbers("before")["sent_pkts"]

    assert crossed == sent >= 100 * 65536 // 4096
    assert int(traffic.text("answers")) > 0


def test_messages_on_the_same_leaf_stay_on_it(guest_results):
    traffic = guest_results("20-traffic")

    assert traffic.numbers("trunk-after-neighbour") == traffic.numbers("trunk")


def test_loss_is_told_by_retries_of_the_sender_and_gaps_at_the_receiver(guest_results):
    loss = guest_results("30-loss")

    def grown(name, host):
        return loss.numbers(f"lossy.{host}")[name] - loss.numbers(f"before.{host}")[name]

    assert grown("completer_retry_err", "h1") > 0
    assert grown("out_of_seq_request", "h2") > 0
    assert grown("out_of_seq_request", "h1") == 0


def test_clear_heals(guest_results):
    loss = guest_results("30-loss")

    # Not retries: a busy machine answers so late that some are made for nothing.
    for host, name in (("h1", "rcvd_seq_err"), ("h2", "out_of_seq_request")):
        assert loss.numbers(f"healed.{host}")[name] == loss.numbers(f"lossy.{host}")[name]
    assert loss.numbers("healed.h2")["rdma_recvs"] - loss.numbers("lossy.h2")["rdma_recvs"] == 500


def test_a_delay_counts_both_ways_and_for_one_host_only(guest_results):
    faults = guest_results("40-faults")

    assert average_ms(faults.text("delay")) > 40 > average_ms(faults.text("delay-elsewhere"))
    assert average_ms(faults.text("trunk-delay")) > 40 > average_ms(faults.text("trunk-delay-same-leaf"))


def test_a_rate_holds_back_what_a_host_sends(guest_results):
    bits, bits_per_ms = 8 * 8000, 1000

    assert average_ms(guest_results("40-faults").text("rate")) > bits / bits_per_ms


def test_large_packets_vanish_at_a_port_with_a_small_mtu(guest_results):
    faults = guest_results("40-faults")

    assert "lost" not in faults.text("mtu-small")
    assert "lost" in faults.text("mtu-large")
    assert "lost" not in faults.text("mtu-healed")


def test_an_mtu_set_wrongly_on_a_host_shows_in_its_device(guest_results):
    faults = guest_results("40-faults")

    assert re.search(r"active_mtu:\s+1024", faults.text("host-mtu"))
    assert re.search(r"active_mtu:\s+4096", faults.text("host-mtu-healed"))


def test_faults_at_one_place_add_up_and_go_together(guest_results):
    faults = guest_results("40-faults")

    assert all(word in faults.text("together") for word in ("delay 1ms", "loss 2%", "reorder 25%"))
    assert "netem" not in faults.text("together-healed")
    assert "lost" in faults.text("lost")


def test_a_loss_without_its_unit_is_refused(guest_results):
    assert "PERCENT%" in guest_results("40-faults").text("refused")


def test_a_pulled_cable_is_a_port_that_is_down_on_its_host_alone(guest_results):
    link = guest_results("50-link")

    assert "DOWN" in link.text("down")
    assert "ACTIVE" in link.text("down-elsewhere")
    assert link.numbers("after")["link_downed"] == link.numbers("before")["link_downed"] + 1
    assert "ACTIVE" in link.text("up")


def test_a_command_streams_its_output_and_gives_its_exit_code(rdma_lab):
    done = rdma_lab("run", "--hosts", "1", "--", "sh", "-c", "echo out; echo err > /dev/stderr; pwd; exit 7")

    assert (done.returncode, done.stdout) == (7, "out\nerr\n/job\n")
    assert re.fullmatch(CLOSING.format(code=7), done.stderr.splitlines()[-1])


def test_a_command_that_takes_too_long_is_ended(rdma_lab):
    done = rdma_lab("run", "--hosts", "1", "--timeout", "1", "--", "sleep", "600")

    assert done.returncode == 124
    assert "rdma-lab: the command took more than 1 s; try: --timeout 2" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_guest_ends_with_the_command_that_started_it(possible, number):
    with subprocess.Popen([RDMA_LAB, "run", "--", "sleep", "600"], stderr=subprocess.DEVNULL) as lab:
        try:
            guest = guest_of(lab.pid)
            lab.send_signal(number)
            lab.wait(DEADLINE_S)
        finally:
            lab.kill()

    assert_ends(guest)


def guest_of(pid):
    """Return the process that is the guest, once there is one."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("qemu"):
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no guest was started")


def assert_ends(pid):
    deadline = time.monotonic() + DEADLINE_S
    while not has_ended(pid):
        assert time.monotonic() < deadline, f"process {pid} is left"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--hosts", "0", "--", "true"], "0 is not 1 to 16 hosts"),
        (["run", "--mtu", "wide", "--", "true"], "wide is not 1280 to 9216 bytes"),
        (["run", "--timeout", "0", "--", "true"], "0 is not 1 to 86400 seconds"),
        (["run"], "COMMAND"),
        ([], "COMMAND"),
    ],
)
def test_wrong_arguments_are_named(words, said):
    done = subprocess.run([sys.executable, RDMA_LAB, *words], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_machine_without_qemu_is_told_what_to_install(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("what is missing is looked for as root alone")
    done = subprocess.run(
        [sys.executable, RDMA_LAB, "run", "--", "true"],
        capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False,
    )  # fmt: skip

    assert done.returncode == UNSUPPORTED
    assert done.stderr == "rdma-lab: qemu-system-x86_64 is missing; try: apt-get install qemu-system-x86\n"


def test_a_user_who_is_not_root_is_told_so():
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    lab_d = str(Path(RDMA_LAB).with_name("lab.d"))
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": lab_d}, check=False,
    )  # fmt: skip

    assert done.returncode == UNSUPPORTED
    assert done.stderr.startswith("rdma-lab: the guest shares this machine's files, and needs root; try: sudo")
