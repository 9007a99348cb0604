"""What the doctor says of RDMA, from files of a host and from what is installed."""

from pathlib import Path

import pytest
from host_trees import write

from netprobe.cli.doctor import examine
from netprobe.cli.doctor_rdma import (
    Software,
    device_files_answer,
    locks_all,
    memlock_answer,
    parse_release,
    rdma_answers,
    verdict_on_rdma,
)

LIMITS = "Max locked memory         {limit}              {limit}              bytes"
MAPS = (
    "7f0 r-xp 00000000 08:01 42 /usr/lib/x86_64-linux-gnu/libibverbs.so.1.14.44.0\n"
    "7f1 r-xp 00000000 08:01 43 /usr/lib/x86_64-linux-gnu/libc.so.6\n"
)
INSTALLED = Software(library="libibverbs.so.1 of rdma-core 44", pyverbs="44 with pyverbs.enums")
LOCKED = 1 << 30


def host(root, *ports, locked=LOCKED, files=("uverbs0",), capabilities="0" * 16):
    """Write a host with these (device, state, gids) ports."""
    tree = {
        "proc/self/limits": LIMITS.format(limit=locked),
        "proc/self/status": f"Name:\tpython\nCapEff:\t{capabilities}",
        **{f"dev/infiniband/{name}": "" for name in files},
    }
    for device, state, gids in ports:
        folder = f"sys/class/infiniband/{device}/ports/1"
        tree |= {
            f"{folder}/link_layer": "Ethernet", f"{folder}/state": state, f"{folder}/phys_state": "3: Disabled",
            **{f"{folder}/gids/{index}": address for index, address in gids.items()},
            **{f"{folder}/gid_attrs/types/{index}": "RoCE v2" for index in gids},
        }  # fmt: skip
    return write(root, tree)


GIDS = {1: "fe80:0000:0000:0000:0000:00ff:fe00:0001", 3: "0000:0000:0000:0000:0000:ffff:0a01:0001"}
UP = ("mlx5_0", "4: ACTIVE", GIDS)
DOWN = ("mlx5_1", "1: DOWN", GIDS)


def told(root, software=INSTALLED):
    return {answer.topic: answer for answer in rdma_answers(root, lambda: software)}


def test_each_port_is_told_with_the_address_it_would_be_used_by(tmp_path):
    answers = told(host(tmp_path, UP, DOWN))

    assert answers["rdma"].seen == "mlx5_0 ACTIVE, GID 3 RoCE v2 10.1.0.1; mlx5_1 is DOWN (physical Disabled)"
    assert [answers[topic].can for topic in ("rdma", "verbs", "access", "memlock")] == [True] * 4
    assert verdict_on_rdma(answers.values()) == "and RDMA"


@pytest.mark.parametrize(
    ("ports", "seen"),
    [([DOWN], "mlx5_1 is DOWN (physical Disabled)"), ([("mlx5_0", "4: ACTIVE", {})], "mlx5_0 has no address")],
)
def test_devices_that_cannot_be_used_say_why_and_what_to_try(tmp_path, ports, seen):
    answer = told(host(tmp_path, *ports))["rdma"]

    assert answer.can is False
    assert answer.seen.startswith(seen)
    assert answer.remedy


def test_a_link_local_address_is_said_to_stay_below_routers(tmp_path):
    answer = told(host(tmp_path, ("mlx5_0", "4: ACTIVE", {1: GIDS[1]})))["rdma"]

    assert "fe80::ff:fe00:1 (only a link-local address, which cannot cross a router)" in answer.seen


def test_a_host_without_devices_lacks_nothing(tmp_path):
    bare = Software(library=OSError("cannot open shared object file"), pyverbs=ImportError("not installed"))

    answers = told(tmp_path, bare)

    assert list(answers) == ["rdma", "verbs", "pyverbs"]
    assert all(answer.can is None and not answer.remedy for answer in answers.values())
    assert verdict_on_rdma(answers.values()) == "and has no RDMA device"


def test_a_device_without_the_library_cannot_be_used_yet(tmp_path):
    bare = Software(library=OSError("cannot open shared object file"), pyverbs=ImportError("not installed"))

    answers = told(host(tmp_path, UP), bare)

    assert (answers["verbs"].can, answers["pyverbs"].can) == (False, None)
    assert "libibverbs1" in answers["verbs"].remedy
    assert "cython<3.1" in answers["pyverbs"].remedy
    assert verdict_on_rdma(answers.values()) == "but not RDMA yet: verbs"


def test_devices_that_are_not_handed_over_or_closed_are_told(tmp_path):
    assert "--device /dev/infiniband" in device_files_answer(tmp_path).remedy
    root = host(tmp_path, UP, files=("uverbs0", "uverbs1", "rdma_cm"))

    answer = device_files_answer(root, lambda path: path.name != "uverbs1")

    assert (answer.can, answer.seen) == (False, "/dev/infiniband/uverbs1: no right to read and write")
    assert device_files_answer(root).seen == "/dev/infiniband: uverbs0, uverbs1"


NEEDED = 128 << 20


@pytest.mark.parametrize(
    ("locked", "can"), [(8 << 20, False), (NEEDED - 1, False), (NEEDED, True), ("unlimited", True)]
)
def test_a_rank_needs_to_lock_both_of_its_buffers(tmp_path, locked, can):
    answer = memlock_answer(host(tmp_path, locked=locked))

    assert answer.can is can
    assert "a rank registers 128M" in answer.seen


def test_a_privileged_rank_may_lock_anything(tmp_path):
    assert memlock_answer(host(tmp_path, locked=65_536, capabilities="0000000000004000")).can is True
    assert memlock_answer(host(tmp_path, locked=65_536, capabilities="0000000000003fff")).can is False
    assert memlock_answer(tmp_path / "nothing").can is None


@pytest.mark.parametrize(("status", "may"), [("", False), ("CapEff:\t000001ffffffffff\n", True), ("CapEff:\tx", False)])
def test_capabilities_that_are_not_told_are_none(status, may):
    assert locks_all(status) is may


def test_the_release_of_the_library_is_in_the_name_of_its_file():
    assert parse_release(MAPS) == "44"
    assert parse_release("7f0 r-xp 00000000 08:01 42 /opt/lib/libibverbs.so.1.15.59.0") == "59"
    assert parse_release("7f0 r-xp 00000000 08:01 42 /opt/lib/libibverbs.so.1") is None


def test_the_last_sentence_tells_of_mpi_and_of_rdma(tmp_path, capsys):
    code = examine(host(tmp_path, UP, files=()))

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("NO   access") for line in lines)
    last = lines[-1]
    assert "RDMA yet: access" in last if code == 0 else last == "This host cannot measure yet."
    assert max(map(len, lines)) <= 80


def test_this_very_host_is_examined_without_an_error():
    assert {answer.topic for answer in rdma_answers(Path("/"))} >= {"rdma", "verbs", "pyverbs"}
