"""Does this host's MPI take addresses of a GPU's memory? Tried in a process of its own: a wrong guess is no exception.

An MPI library that knows no GPU reads the address as one of the host's and dies of it, or, worse, moves other bytes.
The child sends to itself by MPI, a short message and a long one, and compares what came on the GPU.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.buffers._cupy import open_gpu
from netprobe.buffers.cuda import CudaBuffer
from netprobe.contracts import Gpu
from netprobe.environment import launcher_environment
from netprobe.errors import NetprobeError
from netprobe.model.plan import Memory
from netprobe.transports.mpi import open_mpi

TRIED_BYTES: Final = (8, 1 << 20)  # eager, and by rendezvous
LONGEST_S: Final = 30.0  # loading CUDA and MPI takes 2
WRONG_BYTES: Final = 10
NOT_TRIED: Final = 11
SEED: Final = 5
OF_A_JOB: Final = (
    "SLURM_", "PMI_", "PMIX_", "PALS_", "OMPI_MCA_ess", "OMPI_MCA_orte_", "OMPI_MCA_pmix",
)  # fmt: skip
"""Open MPI 4 and srun tell a process by more than its rank that it has a launcher, which the child has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it."""

    is_aware: bool
    why: str = ""
    """Why not, in a few words."""


def tried(ordinal: int) -> Sequence[str]:
    """Return the command that tries this GPU."""
    return (sys.executable, "-m", "netprobe.session.cuda_trial", str(ordinal))


def try_in_child(command: Sequence[str], environ: Mapping[str, str], longest_s: float = LONGEST_S) -> Trial:
    """Run the trial as a process outside of the job, and say how it ended."""
    try:
        done = subprocess.run(
            command,
            env=alone(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(is_aware=False, why=f"a trial did not end within {longest_s:g} s")
    except OSError as error:
        return Trial(is_aware=False, why=f"a trial could not be started: {error.strerror}")
    return Trial(is_aware=True) if done.returncode == 0 else Trial(is_aware=False, why=_why(done))


def alone(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what makes a process a part of somebody's job: the child is alone."""
    kept = launcher_environment(environ, {})
    return {name: value for name, value in kept.items() if not name.startswith(OF_A_JOB)}


def _why(done: "subprocess.CompletedProcess[bytes]") -> str:
    if done.returncode < 0:
        return f"a trial was ended by {signal.Signals(-done.returncode).name}"
    if done.returncode == 128 + signal.SIGSEGV:  # a library that catches it and leaves
        return "a trial was ended by SIGSEGV"
    if done.returncode == WRONG_BYTES:
        return "a trial moved wrong bytes"
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"a trial failed: {last or f'exit code {done.returncode}'}"


def main(arguments: Sequence[str], opens: Callable[[int], Gpu] = open_gpu) -> int:
    """Try, as the child; return its exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is an answer here, and leaves no core on every host
    try:
        open_mpi()  # before the GPU, as ranks do: some libraries look at its start for a device that is in use
        gpu = opens(int(arguments[0]))
        return 0 if all(_arrives(gpu, size_bytes) for size_bytes in TRIED_BYTES) else WRONG_BYTES
    except NetprobeError as error:
        print(error, file=sys.stderr)
        return NOT_TRIED


def _arrives(gpu: Gpu, size_bytes: int) -> bool:
    """Send a pattern from the GPU to the GPU, over MPI's path to ourselves."""
    mpi = open_mpi()
    send, receive = (CudaBuffer(gpu, Memory.DEVICE, size_bytes) for _ in range(2))
    pattern = {"seed": SEED, "rank": 0, "iteration": 0, "offset_bytes": 0, "size_bytes": size_bytes}
    send.fill_pattern(**pattern)
    to, into = ((mpi.memory.fromaddress(each.address, size_bytes), mpi.BYTE) for each in (send, receive))
    request = mpi.COMM_SELF.Irecv(into, source=0)
    mpi.COMM_SELF.Send(to, dest=0)
    request.Wait()
    return receive.verify_pattern(**pattern) is None


if __name__ == "__main__":
    # Not sys.exit: MPI's own end may hang or die once it has seen memory that it does not know.
    os._exit(main(sys.argv[1:]))
