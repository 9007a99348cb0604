"""``netprobe gate``: a quick check, and then a job on the healthy hosts, or none.

The job takes the place of this process: signals reach it, its exit code is what the shell sees, and nobody is left
between the two. No shell reads the command.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

from netprobe.cli.measuring import Audience, measure
from netprobe.cli.options import Judging, Keeping, Where
from netprobe.cli.output import PLAIN_WIDTH, rendered, write_report
from netprobe.cli.reading import Judged
from netprobe.cli.streams import tell
from netprobe.cli.unattended import quiet_remark, refuse_ranks
from netprobe.contracts import RenderOptions
from netprobe.errors import LaunchError, PlanError
from netprobe.judge.admission import Admission, Terms, admission
from netprobe.launch.hosts import folded
from netprobe.model.plan import Plan
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode
from netprobe.reporters._host_lists import is_host
from netprobe.reporters._wording import fold, short_name, visible
from netprobe.store.files import HOSTS_FILE

HEALTHY_VARIABLE: Final = "NETPROBE_HEALTHY_HOSTS"
EXCLUDE_VARIABLE: Final = "NETPROBE_EXCLUDE_HOSTS"
HOSTFILE_VARIABLE: Final = "NETPROBE_HOSTFILE"
MOST_NAMED: Final = 4
PLACEHOLDER: Final = re.compile(r"\{(hosts|hostfile|count)\}")
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)

Measuring = Callable[[Audience], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be started, and when."""

    command: tuple[str, ...]
    terms: Terms
    judging: Judging


def gate(job: Job, plan: Plan, ranks: int | None, where: Where, keeping: Keeping) -> int:
    """Check, and become the job; return the verdict's exit code where the job may not start."""
    refuse_ranks("gate")
    return pass_gate(job, lambda audience: measure(plan, ranks, where, keeping, audience))


def pass_gate(job: Job, measuring: Measuring) -> int:
    """Go through the gate; ``measuring`` is the only step that needs hosts."""
    _refuse_missing(job.command)
    taken: list[tuple[Judged, Path]] = []
    audience = Audience(judging=job.judging, take=lambda found, run: taken.append((found, run)), remark=quiet_remark)
    code = measuring(audience)
    if not taken:
        tell("netprobe: gate: nothing was measured, and the command was not started")
        return code or ExitCode.INCONCLUSIVE
    found, run = taken[0]
    if job.judging.verbose:
        tell(rendered(found.report, "console", RenderOptions(width=PLAIN_WIDTH, verbose=True), _no_exhibits).rstrip())
    answer = _with_writable_names(admission(found.report, found.evidence, job.terms))
    if found.report.run_status is not RunStatus.COMPLETE or answer.refusal is not None:
        return _refuse(found, run, answer, code)
    hostfile = (run / HOSTS_FILE).absolute()
    write_report(hostfile, hostfile_text(answer.healthy))
    tell(f"netprobe: gate: {_told(found, answer)}; the command starts")
    return _become(filled(job.command, answer.healthy, hostfile), environment(answer, hostfile, os.environ))


def _with_writable_names(answer: Admission) -> Admission:
    """Refuse healthy hosts that call themselves what no list of hosts can hold: a job would get other hosts."""
    odd = [each for each in answer.healthy if not is_host(each)]
    if not odd or answer.refusal is not None:
        return answer
    return replace(answer, refusal=f"{short_name(odd[0])!r} is no host name that a job could be given")


def hostfile_text(hosts: Sequence[str]) -> str:
    """Return a hostfile that every MPI reads: one host a line."""
    return "".join(f"{host}\n" for host in hosts)


def filled(command: Sequence[str], hosts: Sequence[str], hostfile: Path) -> tuple[str, ...]:
    """Return the command with ``{hosts}``, ``{hostfile}`` and ``{count}`` replaced; other braces stay."""
    values = {"hosts": folded(hosts), "hostfile": str(hostfile), "count": str(len(hosts))}
    return tuple(PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in command)


def environment(answer: Admission, hostfile: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the job finds in its environment."""
    told = {
        HEALTHY_VARIABLE: folded(answer.healthy),
        EXCLUDE_VARIABLE: folded(filter(is_host, answer.left_out)),
        HOSTFILE_VARIABLE: str(hostfile),
    }
    return {**environ, **told}


def _refuse(found: Judged, run: Path, answer: Admission, code: int) -> int:
    """Say in one line why and which hosts; never end with 0."""
    report = found.report
    reason = answer.refusal or f"the check did not complete: {report.run_status.value}"
    tell(
        f"netprobe: gate: {_told(found, answer)}; {reason}: the command was not started; "
        f"try: netprobe report {visible(str(run))}"
    )
    return code or ExitCode.INCONCLUSIVE


def _told(found: Judged, answer: Admission) -> str:
    """Return the verdict, how many hosts are healthy, and who is left out for what."""
    report = found.report
    hosts = len(answer.healthy) + len(answer.left_out)
    told = f"{report.verdict.value}, {len(answer.healthy)} of {hosts} hosts healthy"
    findings = [f"{each.detector} {fold(each.subjects)}".strip() for each in report.findings[:MOST_NAMED]]
    if len(report.findings) > MOST_NAMED:
        findings.append(f"and {len(report.findings) - MOST_NAMED} more findings")
    names = f", without {fold(answer.left_out)}" if answer.left_out else ""
    return told + names + (f" ({'; '.join(findings)})" if findings else "")


def _refuse_missing(command: Sequence[str]) -> None:
    """Refuse what could not be started, before anything is measured; PlanError."""
    if not command:
        raise PlanError("there is no command to start", remedy="netprobe gate --hosts node[01-64] -- COMMAND")
    if shutil.which(command[0]) is None:
        raise PlanError(f"{command[0]!r} is no command that can be started", remedy="its whole path")


def _become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the command; LaunchError where the system refuses."""
    # Python ignores these, and what is ignored stays so: `yes | head` would not end.
    for each in _IGNORED_BY_PYTHON:
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), dict(environ))
    except OSError as error:
        raise LaunchError(f"{command[0]!r} cannot be started: {error.strerror}", remedy="its whole path") from error


def _no_exhibits() -> NoReturn:
    raise AssertionError("a console draws none")
