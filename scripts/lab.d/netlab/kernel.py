"""What this machine's kernel can do beyond what every lab needs."""

import subprocess

from netlab.errors import UNSUPPORTED, LabError


def require_netem() -> None:
    """Raise LabError when this kernel cannot delay packets. Asked in a network namespace that is gone at once."""
    attempt = ("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
    if subprocess.run(attempt, capture_output=True, check=False).returncode != 0:
        raise LabError(
            "this kernel has no netem, so nothing can be delayed",
            remedy="a kernel with sch_netem (modprobe sch_netem)",
            exit_code=UNSUPPORTED,
        )
