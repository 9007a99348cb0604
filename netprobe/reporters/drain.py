"""A script that prints the commands which take blocked hosts out of Slurm or Kubernetes. It runs none of them.

Only hosts that a blocking finding asks to leave out: never a victim, never one that was not tested. What is printed is
a quoted here-document, in which the shell expands nothing; in the commands each name and reason is one quoted word.
"""

import shlex
from collections.abc import Iterator
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.finding import Finding, Severity
from netprobe.model.report import Report
from netprobe.reporters._host_lists import is_host, listed, others
from netprobe.reporters._wording import short_name, visible

LONGEST_REASON: Final = 200
"""Slurm shows a reason in one column of sinfo -R."""
TAINT: Final = "netprobe"
EFFECT: Final = "NoSchedule"

END: Final = "END_OF_COMMANDS"
"""No line of the text can be this: each begins with a command or a mark of a comment."""

_FRAME: Final = """\
#!/bin/sh
{head}
#
# This prints commands and runs none. Read them; then, for example:
#   sh drain.sh slurm | sh
set -eu

slurm() {{
    cat <<'{end}'
{slurm}
{end}
}}

kubernetes() {{
    cat <<'{end}'
{kubernetes}
{end}
}}

case "${{1-all}}" in
slurm) slurm ;;
kubernetes) kubernetes ;;
all)
    slurm
    kubernetes
    ;;
*)
    echo 'usage: sh drain.sh [slurm|kubernetes]' >&2
    exit 2
    ;;
esac
"""


def render(report: Report, _options: RenderOptions) -> str:
    """Return the script."""
    blamed = [(host, _blocking(report, host)) for host in fitness_of(report).blocked if is_host(host)]
    return _FRAME.format(
        head="\n".join(f"# {line}" for line in _head(report)),
        slurm="\n".join(("# Slurm", *(_slurm(report, *each) for each in blamed))),
        kubernetes="\n".join(("# Kubernetes", *(line for each in blamed for line in _kubernetes(*each)))),
        end=END,
    )


def _head(report: Report) -> Iterator[str]:
    fitness = fitness_of(report)
    run = f"netprobe run {short_name(report.run_id)}, {visible(report.started)}: {report.verdict}"
    yield run
    named = tuple(host for host in fitness.blocked if is_host(host))
    yield f"blamed by findings that block: {listed(named) if named else 'no host'}"
    unnamed = tuple(host for host in fitness.blocked if not is_host(host))
    if unnamed:
        yield f"blamed, and without a command since the name could mean other hosts: {listed(unnamed)}"
    yield from (f"not drained: {line}" for line in others(fitness))


def _blocking(report: Report, host: str) -> Finding:
    """Return the first finding that blocks and asks to leave a host out; the worst come first."""
    return next(each for each in report.findings if each.severity is Severity.BLOCKS and host in each.hosts)


def _slurm(report: Report, host: str, finding: Finding) -> str:
    reason = f"reason={_reason(report, finding)}"
    return shlex.join(["scontrol", "update", f"nodename={host}", "state=drain", reason])


def _reason(report: Report, finding: Finding) -> str:
    where = f" (confidence {finding.confidence}, run {short_name(report.run_id)})"
    text = visible(f"netprobe: {finding.detector}: {finding.summary}")
    room = LONGEST_REASON - len(where)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + where


def _kubernetes(host: str, finding: Finding) -> Iterator[str]:
    yield shlex.join(["kubectl", "cordon", host])
    yield shlex.join(["kubectl", "taint", "nodes", host, f"{TAINT}={finding.detector}:{EFFECT}", "--overwrite"])


REPORTER = Reporter(
    id="drain",
    title="a script that prints the commands to drain blocked hosts, and runs none",
    render=render,
    suffixes=(".sh",),
)
