"""``netprobe doctor``: what this host can measure, and for the rest why not and what to do."""

import os
import platform
import shutil
import textwrap
from importlib import metadata
from pathlib import Path

from netprobe.cli.answers import Answer
from netprobe.cli.output import PLAIN_WIDTH
from netprobe.cli.streams import print_text
from netprobe.errors import NetprobeError
from netprobe.model.verdict import ExitCode


def examine(root: Path = Path("/")) -> int:
    """Print what this host can measure; exit 0 when MPI with host memory can, 4 when it cannot."""
    from netprobe.cli.doctor_rdma import rdma_answers

    essentials, rdma = _essentials(), rdma_answers(root)
    can_measure = all(answer.can is not False for answer in essentials)
    lines = map(_lines, (*essentials, *_surroundings(root), *rdma))
    print_text("\n".join((*lines, "", _conclusion(rdma, can_measure=can_measure), "")))
    return ExitCode.HEALTHY if can_measure else ExitCode.SETUP_ERROR


def _conclusion(rdma: tuple[Answer, ...], *, can_measure: bool) -> str:
    """Return the last sentence: of MPI, without which nothing starts, and of RDMA."""
    from netprobe.cli.doctor_rdma import verdict_on_rdma

    if not can_measure:
        return "This host cannot measure yet."
    return f"This host can measure MPI with host memory, {verdict_on_rdma(rdma)}."


def _lines(answer: Answer) -> str:
    mark = {True: "yes", False: "NO", None: "-"}[answer.can]
    remedy = f"; try: {answer.remedy}" if answer.remedy and not answer.can else ""
    head = f"{mark:<4} {answer.topic:<10} "
    return textwrap.fill(
        answer.seen + remedy,
        PLAIN_WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _essentials() -> tuple[Answer, ...]:
    return (_python(), _native_kernels(), _mpi4py(), _launcher(), _cpus(), _loopback())


def _python() -> Answer:
    return Answer(topic="python", can=True, seen=f"{platform.python_version()} on {platform.machine()}")


def _native_kernels() -> Answer:
    try:
        from netprobe.session.calibration import calibrate

        cost = calibrate()
    except ImportError as error:
        return Answer(topic="kernels", can=False, seen=str(error), remedy="pip install --force-reinstall netprobe")
    return Answer(
        topic="kernels",
        can=True,
        seen=f"one clock read {cost.clock_read_ns:.0f} ns, one empty timed iteration {cost.empty_iteration_ns:.0f} ns",
    )


def _mpi4py() -> Answer:
    try:
        version = metadata.version("mpi4py")
    except metadata.PackageNotFoundError:
        return Answer(topic="mpi4py", can=False, seen="not installed", remedy="pip install 'netprobe[mpi]'")
    return Answer(topic="mpi4py", can=True, seen=version)


def _launcher() -> Answer:
    from netprobe.launch.find import find_launchers, search_here

    try:
        found = find_launchers(search_here(os.environ, in_allocation="SLURM_JOB_ID" in os.environ, named=None))
    except NetprobeError as error:
        return Answer(topic="launcher", can=False, seen=str(error))
    seen = ", ".join(f"{each.path} ({each.family})" for each in found)
    return Answer(topic="launcher", can=True, seen=seen)


def _cpus() -> Answer:
    from netprobe.session.host import usable_cpus

    cpus = usable_cpus()
    return Answer(topic="cpus", can=True, seen=f"{len(cpus)} usable" if cpus else "the system does not tell")


def _loopback() -> Answer:
    """Measure on threads: it shows that the tool itself works, whatever the fabric does."""
    from netprobe.session.selftest import self_test

    error = self_test()
    if error is not None:
        return Answer(topic="self-test", can=False, seen=error, remedy="report this; it is a defect of netprobe")
    return Answer(topic="self-test", can=True, seen="an all-reduce and a stream on two threads, data compared")


def _surroundings(root: Path) -> tuple[Answer, ...]:
    from netprobe.cli.doctor_gpus import gpu_health_answers
    from netprobe.session.host import has_gpu

    in_slurm = "SLURM_JOB_ID" in os.environ
    return (
        Answer(
            topic="ssh",
            can=None,
            seen=shutil.which("ssh") or "no ssh client: --hosts needs one, a Slurm allocation does not",
        ),
        Answer(topic="slurm", can=None, seen="inside an allocation" if in_slurm else "not inside an allocation"),
        _gpu(is_present=has_gpu(root)),
        *gpu_health_answers(root),
    )


def _gpu(*, is_present: bool) -> Answer:
    """Say whether memory of GPUs can be tested here; nobody is asked where no driver shows any."""
    if not is_present:
        return Answer(topic="gpu", can=None, seen="no GPU on this host")
    from netprobe.buffers._cupy import visible_gpus

    try:
        found = visible_gpus(os.environ)
    except NetprobeError as error:
        return Answer(topic="gpu", can=False, seen=f"GPU present; {error.problem}", remedy=error.remedy or "")
    return Answer(topic="gpu", can=True, seen=f"memory of {found} GPU{'s' if found != 1 else ''} can be tested (CUDA)")
