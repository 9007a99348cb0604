"""Run the tools that shape networks inside a network namespace, and never in another one than was meant."""

import os
import subprocess
from collections.abc import Sequence
from shutil import which
from typing import Final

from netlab.errors import UNSUPPORTED, LabError
from netlab.processes import Held

_PACKAGES: Final = {
    **dict.fromkeys(("ip", "tc"), "iproute2"),
    **dict.fromkeys(("unshare", "nsenter", "mount", "setsid"), "util-linux"),
    "nft": "nftables",
}


def require_tools() -> None:
    """Raise LabError when this machine cannot hold a lab."""
    if os.geteuid() != 0:
        raise LabError("a lab needs namespaces, and these need root", remedy="sudo", exit_code=UNSUPPORTED)
    for tool, package in _PACKAGES.items():
        if which(tool) is None:
            raise LabError(f"{tool} is missing", remedy=f"apt-get install {package}", exit_code=UNSUPPORTED)


def in_network(held: Held, argv: Sequence[str], stdin: str = "") -> str:
    """Run a command in a holder's network namespace and return what it prints; LabError when it fails."""
    opened = held.network()
    try:
        done = subprocess.run(
            ("nsenter", f"--net=/proc/self/fd/{opened}", "--", *argv),
            input=stdin, capture_output=True, text=True, pass_fds=(opened,), check=False,
        )  # fmt: skip
    finally:
        os.close(opened)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise LabError(f"{' '.join(argv)}: {said[0]}")
    return done.stdout


def ip(held: Held, lines: Sequence[str]) -> None:
    """Run ip commands in one go."""
    in_network(held, ("ip", "-batch", "-"), "\n".join(lines) + "\n")


def nft(held: Held, rules: str) -> None:
    """Apply a set of nftables rules, all or none."""
    in_network(held, ("nft", "-f", "-"), rules)
