"""The parts of the soft-RoCE lab that need no guest: archives, kernels, the cache, apt's answers, the guest's news."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netlab.errors import UNSUPPORTED, LabError
from rdmalab import cache
from rdmalab.archive import Entry, archive
from rdmalab.initramfs import Errand, command, settings
from rdmalab.kernel import Kernel, parse_dependencies
from rdmalab.machine import has_kvm, require
from rdmalab.qemu import Machine, arguments
from rdmalab.run import TRIES, Done, run
from rdmalab.suite import Apt, mirror_of, newest_version, parts, refusal
from rdmalab.watch import BOOT_S, HOSTS_S, Course, last_words

NAMES = st.text("abcdefghij-_.0123456789", min_size=1, max_size=40).filter(lambda name: name not in (".", ".."))
MODULES_DEP = """kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz:
kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: kernel/net/udp-tunnel.ko.xz
"""
TARGETS = """bookworm-security bookworm-security main http://one.example/debian-security/
nodistro nodistro main http://two.example/
bookworm bookworm contrib http://three.example/debian/
bookworm bookworm main http://three.example/debian/
"""
PANIC = """[    0.1] Linux version
mount: mounting root on /new failed: No such file or directory
[    6.7] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000ff00
[    6.8] Call Trace:
"""
OOPS = """[    3.0] 9p: Installing v9fs
[    3.1] Oops: int3: 0000 [#1] SMP
[    3.2] Kernel panic - not syncing: Fatal exception
"""

# Stands in for qemu: finds the three files that it is to write to, and notes that it was started once more.
QEMU = """#!/bin/sh
for word; do
    case $word in file,id=*) word=${{word#file,id=}}; eval "${{word%%,*}}=${{word#*path=}}" ;; esac
done
echo >> {calls}
call=$(wc -l < {calls})
{then}
"""
PANICS = 'echo "[    3.1] Oops: int3: 0000" > $console'
BEGINS = "echo up > $news; echo ready > $news"


def unpacked(content, folder):
    """Have another program read an archive."""
    done = subprocess.run(["busybox", "cpio", "-i", "-d"], input=content, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}


@given(files=st.dictionaries(NAMES, st.binary(max_size=100), max_size=5))
def test_archives_are_aligned_and_end_with_a_trailer(files):
    content = archive(Entry(path=name, content=each) for name, each in files.items())

    assert len(content) % 4 == 0
    assert content.count(b"TRAILER!!!\0") == 1
    assert all(name.encode() + b"\0" in content for name in files)


def test_an_archive_is_what_cpio_reads(possible, tmp_path):
    entries = [Entry(path="bin"), Entry(path="bin/odd", content=b"abc"), Entry(path="empty", content=b"")]

    found = unpacked(archive(entries), tmp_path)

    assert list(found) == ["bin", "bin/odd", "empty"]
    assert found["bin/odd"].read_bytes() == b"abc"
    assert found["bin/odd"].stat().st_mode & 0o777 == 0o755


def test_a_module_comes_after_what_it_needs():
    assert parse_dependencies(MODULES_DEP)["9p"] == (
        "kernel/fs/netfs/netfs.ko.xz", "kernel/net/9p/9pnet.ko.xz", "kernel/fs/9p/9p.ko.xz"
    )  # fmt: skip


@pytest.fixture
def kernel(tmp_path):
    (tmp_path / "modules.dep").write_text(MODULES_DEP)
    (tmp_path / "modules.builtin").write_text("kernel/drivers/virtio/virtio-pci.ko\n")
    return Kernel(version="7.3.4", modules=tmp_path)


def test_a_built_in_module_has_no_file_and_a_shared_one_is_named_once(kernel):
    files = kernel.module_files(("virtio_pci", "9pnet", "9p"))

    assert [path.name for path in files] == ["9pnet.ko.xz", "netfs.ko.xz", "9p.ko.xz"]


def test_a_kernel_without_a_module_is_refused(kernel):
    with pytest.raises(LabError, match=r"kernel 7\.3\.4 in .* has no overlay; try: rdma-lab fetch"):
        kernel.module_files(("9p", "overlay"))


def test_the_mirror_is_that_of_this_release():
    assert mirror_of("bookworm", TARGETS) == "http://three.example/debian/"
    assert mirror_of("trixie", TARGETS) is None


def test_the_newest_version_is_what_the_metapackage_needs():
    assert newest_version("Depends: linux-base-amd64 (= 7.3.4-1), linux-image-7.3.4+deb13-amd64 (= 7.3.4-1)\n") == (
        "7.3.4+deb13-amd64"
    )
    assert newest_version("") is None


class Shelf(Apt):
    """A suite of two packages, of which one needs the other, and what it needs besides is no kernel's."""

    def described(self, package):
        shelf = {
            "linux-image-7.3-amd64": "Depends: kmod, linux-modules-7.3-amd64 (= 7.3-1), linux-modules-7.3-amd64-dbg",
            "linux-modules-7.3-amd64": "Depends: kmod, linux-image-7.3-amd64",
        }
        return shelf.get(package, "")


def test_a_kernel_in_parts_is_fetched_whole(tmp_path):
    shelf = Shelf(suite="trixie-backports", directory=tmp_path)

    assert parts(shelf, "7.3-amd64") == ("linux-image-7.3-amd64", "linux-modules-7.3-amd64")


def fetched(version):
    """Return a stand-in for fetching, and how often it was asked."""
    asked = []

    def fetch(suite, directory):
        asked.append(suite)
        (directory / "modules").mkdir()
        return version

    return fetch, asked


def test_a_kernel_is_fetched_once_and_again_on_demand(tmp_path):
    fetch, asked = fetched("7.9.1")

    kernels = [cache.kernel(tmp_path, "trixie-backports", fetch, is_fresh=is_fresh) for is_fresh in (0, 0, 1)]

    assert {kernel.version for kernel in kernels} == {"7.9.1"}
    assert kernels[0].modules.is_dir()
    assert asked == ["trixie-backports"] * 2


def test_the_newest_kernel_is_the_one_with_the_highest_number(tmp_path):
    for version in ("7.9.1", "7.10.0"):
        cache.kernel(tmp_path, "trixie-backports", fetched(version)[0], is_fresh=True)

    assert cache.kernel(tmp_path, "trixie-backports", fetched("6.1")[0]).version == "7.10.0"


def test_what_was_cut_off_is_no_kernel_and_is_removed(tmp_path):
    def dying(suite, directory):
        (directory / "half").touch()
        raise LabError("the network is gone")

    left = tmp_path / "trixie-backports/unfinished-of-one-that-was-killed"
    left.mkdir(parents=True)
    with pytest.raises(LabError):
        cache.kernel(tmp_path, "trixie-backports", dying)

    assert [path.name for path in (tmp_path / "trixie-backports").iterdir()] == ["lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(LabError, match="--cache"):
        cache.kernel(tmp_path / "file", "trixie-backports", fetched("7.3")[0])


def test_the_cache_is_where_users_keep_theirs(tmp_path):
    assert str(cache.directory(None, {"XDG_CACHE_HOME": "/x"})) == "/x/rdma-lab"
    assert str(cache.directory(None, {"HOME": "/home/u"})) == "/home/u/.cache/rdma-lab"
    assert cache.directory(tmp_path, {"XDG_CACHE_HOME": "/x"}) == tmp_path


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"uid": 1000}, "needs root"),
        ({"uid": 0, "architecture": "aarch64"}, "these are for aarch64"),
        ({"uid": 0, "architecture": "x86_64", "find": lambda tool: None}, "qemu-system-x86_64 is missing"),
        (
            {"uid": 0, "architecture": "x86_64", "find": lambda tool: None if tool == "rdma" else tool},
            "rdma is missing; try: apt-get install iproute2",
        ),
    ],
)
def test_what_a_machine_lacks_is_named(here, said):
    with pytest.raises(LabError, match=re.escape(said)) as raised:
        require(**here)
    assert raised.value.exit_code == UNSUPPORTED


def test_a_busybox_that_needs_libraries_is_refused(tmp_path):
    (tmp_path / "busybox").write_bytes(b"\x7fELF" + bytes(500) + b"/lib64/ld-linux-x86-64.so.2")

    with pytest.raises(LabError, match="apt-get install busybox-static"):
        require(uid=0, architecture="x86_64", find=lambda tool: tool, busybox=tmp_path / "busybox")


@pytest.mark.parametrize(
    ("flags", "device", "is_used"), [("fpu vmx", "kvm", True), ("fpu", "kvm", False), ("fpu svm", "none", False)]
)
def test_kvm_takes_a_device_and_a_processor(tmp_path, flags, device, is_used):
    (tmp_path / "kvm").touch()
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")

    assert has_kvm(tmp_path / device, tmp_path / "cpuinfo") is is_used


def test_settings_and_the_command_are_what_a_shell_reads_back(kernel, tmp_path):
    errand = Errand(hosts=2, mtu_bytes=1500, command=(), path="/a dir:/b", is_shared=False)
    (tmp_path / "settings").write_bytes(settings(kernel, errand))
    (tmp_path / "command").write_bytes(command(("printf", "%s|", "it's", "two words", "$HOME")))

    script = f'. {tmp_path}/settings; printf "%s|" "$HOSTS" "$MTU" "$IS_SHARED" "$PATH"'
    for argv, said in (
        (["sh", "-c", script], "2|1500||/a dir:/b|"),
        (["sh", str(tmp_path / "command")], "it's|two words|$HOME|"),
    ):
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == said


def test_a_guest_without_a_job_has_no_way_to_write_to_this_machine(tmp_path):
    machine = Machine(image=tmp_path / "vmlinuz", cores=2, has_kvm=False)

    shares = [word for word in arguments(machine, 3, 4, 5, 6) if word.startswith("local,")]

    assert len(shares) == 1
    assert shares[0].endswith(",readonly=on")


def test_the_last_words_are_those_of_the_first_program_or_else_the_first_of_the_kernel():
    assert last_words(PANIC) == "mount: mounting root on /new failed: No such file or directory"
    assert last_words(OOPS) == "Oops: int3: 0000 [#1] SMP"
    assert last_words("[    0.1] Linux version\n") is None


def test_news_may_come_in_pieces():
    course = Course(started_s=0.0)
    for part in (b"u", b"p\nready\nend", b"ed 1", b"37\n"):
        course.hear(part)

    assert course.code == 137
    assert None not in (course.up_s, course.ready_s, course.ended_s)


def test_each_stage_has_a_limit_of_its_own():
    course = Course(started_s=100.0)
    assert course.deadline_s(600.0) == 100.0 + BOOT_S
    course.up_s = 110.0
    assert course.deadline_s(600.0) == 110.0 + HOSTS_S
    course.ready_s = 120.0
    assert course.deadline_s(600.0) == 720.0


def test_the_closing_line_counts_tries():
    done = Done(code=0, boot_s=8.24, tries=1, hosts_s=6.1, command_s=30.4)

    assert str(done) == "exit 0 · boot 8.2 s (1 try) · hosts 6.1 s · command 30.4 s"
    assert "(2 tries)" in str(Done(code=1, boot_s=20.0, tries=2, hosts_s=6.1, command_s=1.0))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "E: The repository 'http://x trixie-b Release' does not have a Release file.\n",
            "mirror has no suite trixie-b",
        ),
        (
            "\nE: Failed to fetch http://x Could not connect\nE: Some index\n",
            "Failed to fetch http://x Could not connect",
        ),
        ("", "it said nothing"),
    ],
)
def test_what_apt_could_not_do_is_told_in_one_line(said, told):
    line = str(refusal("trixie-b", said))

    assert told in line
    assert "\n" not in line
    assert "; try: " in line


@pytest.fixture
def guest(tmp_path, monkeypatch):
    """Run a guest that is a script; return what came of it, what was printed, and what was told."""

    def start(then, limit_s=60.0):
        qemu, calls = tmp_path / "qemu-system-x86_64", tmp_path / "calls"
        qemu.write_text(QEMU.format(calls=calls, then=then))
        qemu.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        printed, told = [], []
        machine = Machine(image=tmp_path / "vmlinuz", cores=1, has_kvm=False)
        done = run(machine, b"", limit_s=limit_s, relay=printed.append, tell=told.append)
        return done, b"".join(printed), told

    return start


def test_what_the_command_prints_is_handed_over_and_its_code_returned(guest):
    done, printed, told = guest(f"{BEGINS}; echo hello > $output; echo ended 7 > $news")

    assert (done.code, done.tries, printed, told) == (7, 1, b"hello\n", [])


def test_a_boot_that_dies_is_tried_again(guest):
    done, _, told = guest(f"[ $call -ge {TRIES} ] || {{ {PANICS}; exit 1; }}; {BEGINS}; echo ended 0 > $news")

    assert (done.code, done.tries) == (0, TRIES)
    assert told == [f"the guest did not boot (try {n} of {TRIES}): Oops: int3: 0000" for n in range(1, TRIES)]


def test_a_guest_that_never_boots_is_given_up_with_its_last_words(guest):
    with pytest.raises(LabError, match="does not boot: Oops: int3: 0000; try: "):
        guest(PANICS)


def test_a_qemu_that_refuses_is_quoted(guest):
    with pytest.raises(LabError, match="does not boot: qemu: no memory; try: "):
        guest('echo "qemu: no memory" >&2; exit 1')


def test_a_guest_that_dies_under_the_command_is_not_tried_again(guest, tmp_path):
    with pytest.raises(LabError, match="died while the command ran: Oops: int3: 0000"):
        guest(f"{BEGINS}; {PANICS}")

    assert (tmp_path / "calls").read_text() == "\n"


def test_hosts_that_cannot_be_set_up_are_told_of(guest):
    with pytest.raises(LabError, match="cannot be set up: modprobe: no sch_netem"):
        guest("echo up > $news; echo failed modprobe: no sch_netem > $news")


def test_a_command_beyond_its_limit_ends_with_the_guest(guest):
    done, _, told = guest(f"{BEGINS}; exec sleep 600", limit_s=1.0)

    assert done.code == 124
    assert told == ["the command took more than 1 s; try: --timeout 2"]
