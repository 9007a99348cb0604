"""The command line: parse, call, print, exit."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which
from typing import Final

from netlab.errors import LabError, refused
from netlab.signals import ended_by_signals

from rdmalab import cache, initramfs
from rdmalab.machine import cores, has_kvm, require, require_tool
from rdmalab.qemu import Machine
from rdmalab.run import run
from rdmalab.suite import fetch

Action = Callable[[argparse.Namespace], int]

MOST_HOSTS: Final = 16
SMALLEST_MTU_BYTES: Final = 1280
LARGEST_MTU_BYTES: Final = 9216
DESCRIPTION: Final = """Hosts with soft-RoCE devices in a virtual machine; needs root, x86_64 and qemu.

  rdma-lab run --hosts 4 --out results -- /path/to/script
  rdma-lab fetch

The command runs as root on this machine's own files: what it writes is gone in the end, but for /job, where it starts,
which is --out. It starts on the login host, 10.9.0.254 on the network for management. Each host hN has

  mg0    10.9.0.N on the network for management
  roce0  10.1.0.N, of which rxe0 is the RDMA device; odd hosts are on one leaf switch, even ones on the other

and is reached, for tests and by launchers of MPI, by

  /run/rdma-lab/host h1 COMMAND…     run a command as this host
  /run/rdma-lab/agent h1 COMMAND…    the same for those that expect ssh
  /run/rdma-lab/fault                faults of hosts and of the trunk: without arguments it says which
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked, and return the command's exit code: 3 when the lab cannot do it, 4 when this machine cannot."""
    options = _parser().parse_args(argv)
    action: Action = options.action
    try:
        with ended_by_signals():
            return action(options)
    except (LabError, PermissionError) as error:
        known = error if isinstance(error, LabError) else refused(error)
        _tell(str(known))
        return known.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141  # whoever read what the command prints has gone


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rdma-lab", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    running = commands.add_parser("run", help="run a command in a guest, and return its exit code")
    running.set_defaults(action=_run)
    running.add_argument("--hosts", type=_hosts, default=4, help=f"from 1 to {MOST_HOSTS}; default: 4")
    running.add_argument("--mtu", type=_mtu, default=9000, metavar="BYTES", help="of the fabric; default: 9000")
    running.add_argument("--out", type=Path, metavar="DIR", help="what the guest has as /job; default: kept nowhere")
    running.add_argument("--timeout", type=_seconds, default=600.0, metavar="S", help="for the command; default: 600")
    running.add_argument("command", nargs="+", metavar="COMMAND", help="a path is one from here")
    fetching = commands.add_parser("fetch", help="fetch the suite's newest kernel, even if there is one")
    fetching.set_defaults(action=_fetch)
    for each in (running, fetching):
        each.add_argument("--suite", default="trixie-backports", help="of Debian; default: trixie-backports")
        each.add_argument("--cache", type=Path, metavar="DIR", help="for kernels; default: the user's cache")
    return parser


def _hosts(text: str) -> int:
    return _number(text, 1, MOST_HOSTS, "hosts")


def _mtu(text: str) -> int:
    return _number(text, SMALLEST_MTU_BYTES, LARGEST_MTU_BYTES, "bytes")


def _seconds(text: str) -> float:
    return float(_number(text, 1, 86_400, "seconds"))


def _number(text: str, least: int, most: int, unit: str) -> int:
    if not (text.isdecimal() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text} is not {least} to {most} {unit}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    require()
    kernel = cache.kernel(cache.directory(options.cache, os.environ), options.suite, _fetched)
    job = None if options.out is None else _made(options.out.absolute())
    errand = initramfs.Errand(
        hosts=options.hosts,
        mtu_bytes=options.mtu,
        command=(_found(options.command[0]), *options.command[1:]),
        path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/bin:/sbin:/bin",
        is_shared=job is not None,
    )
    done = run(
        Machine(image=kernel.image, cores=cores(), has_kvm=has_kvm(), job=job),
        initramfs.build(kernel, Path(require_tool("busybox")), errand),
        limit_s=options.timeout,
        relay=_relay,
        tell=_tell,
    )
    _tell(str(done))
    return done.code


def _fetch(options: argparse.Namespace) -> int:
    kernel = cache.kernel(cache.directory(options.cache, os.environ), options.suite, _fetched, is_fresh=True)
    print(f"kernel {kernel.version} is in {kernel.modules}")
    return 0


def _fetched(suite: str, directory: Path) -> str:
    _tell(f"fetching the newest kernel of {suite}")
    return fetch(suite, directory)


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{directory}: {error.strerror}", remedy="--out with a directory") from error
    return directory


def _found(program: str) -> str:
    """Return a program by its whole path, since the guest starts elsewhere; as it is when it is not here."""
    found = which(program)
    return program if found is None else str(Path(found).absolute())


def _relay(part: bytes) -> None:
    while part:
        part = part[os.write(1, part) :]


def _tell(line: str) -> None:
    print(f"rdma-lab: {line}", file=sys.stderr, flush=True)
