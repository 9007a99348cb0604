"""``netprobe config``: how hosts are set, what is wrong with it, and the command that would mend each."""

from datetime import UTC, datetime
from pathlib import Path

from netprobe.cli.gathering import Whom, gathered
from netprobe.cli.output import print_drawn, render_options
from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.judge.audit import Audit, audit
from netprobe.judge.limits import load_limits
from netprobe.launch.gathering import Gathered
from netprobe.model.limits import Limits
from netprobe.model.verdict import ExitCode

FORMATS = ("console", "json")


def audit_hosts(whom: Whom, limits_file: Path | None, output_format: str, *, verbose: bool) -> int:
    """Print what is wrong with the settings of hosts; return 0, 1 or 2 by the worst, 3 when too little was told."""
    if output_format not in FORMATS:
        raise PlanError(f"there is no format called {output_format!r} here", remedy=" or ".join(FORMATS))
    limits = Limits() if limits_file is None else load_limits(limits_file)
    told = gathered(whom)
    if told is None:
        return ExitCode.HEALTHY
    found = _audited(told, limits)
    options = render_options(verbose=verbose)
    print_drawn(_json(found) if output_format == "json" else _text(found, options))
    return found.exit_code


def _audited(told: Gathered, limits: Limits) -> Audit:
    from netprobe.ingest.run_of import HostEvidence, run_of

    hosts = [HostEvidence(inventory=inventory) for inventory in told.inventories]
    return audit(run_of(hosts, profile="config", now=datetime.now(UTC)), limits, told.gaps)


def _result(found: Audit) -> str:
    from netprobe.reporters._wording import NOTHING_WRONG, TOO_LITTLE, counted

    if found.findings:
        return counted(len(found.findings), "finding")
    if not found.ports:
        return "nothing to audit"
    return NOTHING_WRONG if found.exit_code is ExitCode.HEALTHY else TOO_LITTLE


def _json(found: Audit) -> str:
    from netprobe.store.encoding import json_document

    return json_document(found).decode()


def _text(found: Audit, options: RenderOptions) -> str:
    from rich.text import Text

    from netprobe.reporters._wording import counted, fold
    from netprobe.reporters.console import console_for, print_findings, print_gaps, without_trailing_spaces

    console = console_for(options)
    with console.capture() as captured:
        scale = f"settings of {counted(len(found.hosts), 'host')}, {counted(found.ports, 'RDMA port')}"
        console.print(Text(f"{scale}: {_result(found)}", style="bold"))
        console.print(Text(f"  {fold(found.hosts)}" if found.hosts else "  nobody told anything"), soft_wrap=True)
        console.print()
        print_findings(console, found.findings, options)
        print_gaps(console, "not told", found.gaps)
    return without_trailing_spaces(captured.get())
