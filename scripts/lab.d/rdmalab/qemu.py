"""Start the guest, and end it with whatever becomes of this process."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_KERNEL_WORDS: Final = (
    "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off nokaslr "
    "tsc=reliable no_timer_check random.trust_cpu=on"
)
"""A kernel that stumbles ends the guest at once; the clock of an emulated processor fails its usual tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The virtual machine."""

    image: Path
    cores: int
    has_kvm: bool
    memory: str = "2G"
    job: Path | None = None
    """What the guest sees as /job; a directory in its memory when None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A running one. The pipes end when it does."""

    process: "subprocess.Popen[bytes]"
    console: int
    """What its kernel says."""
    news: int
    """How far it is, a line each."""
    output: int
    """What the command prints."""
    complaints: IO[bytes]
    """Of qemu itself."""


@contextmanager
def started(machine: Machine, initramfs: bytes) -> Iterator[Guest]:
    """Yield a guest that has just been switched on; it is off when the block is left."""
    pipes = [os.pipe() for _ in range(3)]
    archive = _in_memory(initramfs)
    ends = [writing for _, writing in pipes]
    with tempfile.TemporaryFile() as complaints:
        argv = arguments(machine, archive, *ends)
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints, pass_fds=(archive, *ends)
        )
        for each in (archive, *ends):
            os.close(each)
        console, news, output = (reading for reading, _ in pipes)
        try:
            yield Guest(process=process, console=console, news=news, output=output, complaints=complaints)
        finally:
            process.kill()
            process.wait()
            for each in (console, news, output):
                os.close(each)


def arguments(machine: Machine, archive: int, console: int, news: int, output: int) -> Sequence[str]:
    """Return the command of a guest, given the open files that it has."""
    accelerator, processor = ("kvm", "host") if machine.has_kvm else ("tcg,thread=multi", "max")
    # The kernel kills the emulator when this process dies, be it by a signal that nobody can catch.
    return (
        "setpriv", "--pdeathsig", "KILL", "--",
        "qemu-system-x86_64", "-name", "rdma-lab", "-machine", "q35", "-accel", accelerator, "-cpu", processor,
        "-smp", str(machine.cores), "-m", machine.memory,
        "-nodefaults", "-no-user-config", "-vga", "none", "-display", "none", "-monitor", "none", "-no-reboot",
        "-kernel", str(machine.image), "-initrd", _opened(archive), "-append", _KERNEL_WORDS,
        *_shared("machine", Path("/"), ",readonly=on"),
        *(() if machine.job is None else _shared("job", machine.job)),
        "-chardev", f"file,id=console,path={_opened(console)}", "-serial", "chardev:console",
        "-device", "virtio-serial-pci",
        *_port("news", 1, news),
        *_port("output", 2, output),
        "-device", "virtio-rng-pci",
    )  # fmt: skip


def _shared(tag: str, path: Path, options: str = "") -> tuple[str, ...]:
    """Share a directory; a comma in its name is doubled, as qemu asks."""
    where = str(path).replace(",", ",,")
    return (
        "-fsdev", f"local,id={tag},path={where},security_model=none,multidevs=remap{options}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    )  # fmt: skip


def _port(name: str, number: int, opened: int) -> tuple[str, ...]:
    """Give the guest /dev/vport…pNUMBER, which writes to a file of this process."""
    return (
        "-chardev", f"file,id={name},path={_opened(opened)}",
        "-device", f"virtserialport,chardev={name},nr={number}",
    )  # fmt: skip


def _opened(number: int) -> str:
    return f"/proc/self/fd/{number}"


def _in_memory(content: bytes) -> int:
    """Return an open file that no directory holds, so that none is left behind."""
    opened = os.memfd_create("initramfs")
    with open(opened, "wb", closefd=False) as file:
        file.write(content)
    return opened
