"""Packets to closed ports over the real loopback: kernels answer, and that is all there is to it.

A path that drops packets takes a namespace and root: the labs have those.
"""

import socket
import time

import pytest

from netprobe.launch.pathcheck import PORT, WAIT_S, Target, answers_of

LOOPBACK = "127.0.0.0/8"


@pytest.fixture(scope="module", autouse=True)
def kernel_answers(need):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(2.0)
        sender.connect(("127.0.0.1", PORT))
        sender.send(b"\0")
        try:
            sender.recv(1)
        except ConnectionRefusedError:
            return
        except TimeoutError:
            pass
    need("icmp", False, "a kernel that answers a closed UDP port, and nobody on port 33434")


def target(address, dst="h2"):
    return Target(src="h1", dst=dst, address=address, network=LOOPBACK)


def local_address(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, PORT))
        return sender.getsockname()[0]


def mtus(*addresses, mtu_bytes=9000):
    return {local_address(address): ("lo", mtu_bytes) for address in addresses}


def test_small_and_large_packets_are_answered_by_a_kernel_where_nobody_listens():
    (answer,) = answers_of([target("127.0.0.2")], mtus("127.0.0.2"))

    assert (answer.src, answer.dst, answer.network) == ("h1", "h2", LOOPBACK)
    assert (answer.interface, answer.mtu_bytes) == ("lo", 9000)
    assert (answer.small, answer.full) == (True, True)


def test_all_targets_are_tried_at_once_and_answers_come_in_their_order():
    addresses = [f"127.0.0.{number}" for number in range(2, 22)]
    targets = [target(address, dst=f"h{number}") for number, address in enumerate(addresses)]
    began = time.monotonic()

    answers = answers_of(targets, mtus(*addresses))

    assert [each.dst for each in answers] == [each.dst for each in targets]
    assert all(each.small for each in answers)
    assert time.monotonic() - began < WAIT_S * len(targets)


def test_whole_packets_are_not_tried_from_an_address_of_which_nothing_is_known():
    (answer,) = answers_of([target("127.0.0.2")], {})

    assert (answer.small, answer.full, answer.interface) == (True, None, "")


def test_somebody_who_listens_and_says_nothing_is_silent_without_a_word_to_the_sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.9", PORT))

        (answer,) = answers_of([target("127.0.0.9")], mtus("127.0.0.9"))

    assert (answer.small, answer.full) == (False, False)


def test_a_packet_larger_than_any_may_be_never_leaves_and_the_small_one_does():
    (answer,) = answers_of([target("127.0.0.2")], mtus("127.0.0.2", mtu_bytes=66_000))

    assert (answer.small, answer.full) == (True, False)


def test_no_targets_take_no_time():
    assert answers_of([], {}) == ()
