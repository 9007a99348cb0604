"""The commands on many runs: ``history``, ``baseline`` and ``compare``; what they do is imported when they run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netprobe.cli.completing import detector_names, format_names
from netprobe.cli.options import Judging, directory
from netprobe.errors import PlanError

history_app = typer.Typer(name="history", invoke_without_command=True, rich_markup_mode=None)
baseline_app = typer.Typer(name="baseline", no_args_is_help=True, rich_markup_mode=None)

Runs = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        envvar="NETPROBE_RUNS",
        parser=directory,
        metavar="PATH",
        help="The folder of run directories; your state directory by default.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which part of a history is wanted."""

    runs: Path | None = None
    profile: str | None = None
    host: str | None = None
    metric: str | None = None
    since: str | None = None


Named = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, - _ and .")]
Run = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run directory, or the beginning of its name; the newest by default."),
]
LimitsFile = Annotated[Path | None, typer.Option("--limits", help="TOML file that overrides limits.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every row.")]
Fails = Annotated[bool, typer.Option("--fail-on-regression", help="Exit with 1 where anything is worse.")]


@history_app.callback()
def history(
    context: typer.Context,
    *,
    runs: Runs = None,
    host: Annotated[str | None, typer.Option(help="This host alone, each of its NICs.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="bandwidth, latency, latency-p99, loss, busbw, …, or a part of a title.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Show 30d or 8w up to the newest run; findings rest on all nights.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Runs of this profile; nightly by default.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 0, 1, 2 or 3 by what is open.")] = False,
    limits: LimitsFile = None,
    output_format: Annotated[
        str,
        typer.Option("--format", help="console, json, markdown, or another of report's.", autocompletion=format_names),
    ] = "console",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write one page: calendar, trends, levels, findings, what changed."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every figure behind a finding, every NIC.")] = False,
) -> int:
    """Look back at the runs of many nights: what is open, what changed, how each NIC and host does against itself.

    A folder of run directories is all it needs. What is missing is told as missing since when, and runs that cannot be
    read are named and left out.
    """
    if context.invoked_subcommand is not None:
        _refuse_lost_options(context, context.invoked_subcommand)
        return 0
    from netprobe.cli.looking_back import look_back

    choice = Choice(runs=runs, profile=profile, host=host, metric=metric, since=since)
    return look_back(choice, Judging(limits=limits, format=output_format, html=html, verbose=verbose), checks=check)


def _refuse_lost_options(context: typer.Context, command: str) -> None:
    """Refuse options before a command that has its own: ``history --runs A prune`` would prune another folder."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            option = parameter.opts[0]
            raise PlanError(f"{option} stands before {command}", remedy=f"netprobe history {command} … {option} …")


@history_app.command()
def ack(
    detector: Annotated[str, typer.Argument(help="As printed, such as link-flap.", autocompletion=detector_names)],
    subject: Annotated[str, typer.Argument(help="As printed, such as 'node17 mlx5_3'.")],
    *,
    note: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    runs: Runs = None,
) -> int:
    """Close a finding: somebody knows of it. It opens again when it is seen again."""
    from netprobe.cli.looking_back import acknowledge_finding

    return acknowledge_finding(detector, subject, note, runs)


@history_app.command()
def prune(
    *,
    keep: Annotated[str, typer.Option(help="Runs younger than this stay whole, as in 90d.")] = "90d",
    whole: Annotated[
        bool, typer.Option("--whole", help="Remove digests and reports too: those nights are forgotten.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would go.")] = False,
    runs: Runs = None,
) -> int:
    """Make room: of old runs only digest and report stay, which history needs.

    Never a run that a baseline was made of, or that an open finding rests on.
    """
    from netprobe.cli.pruning import prune_runs

    return prune_runs(runs, keep, whole=whole, goes_ahead=yes)


@baseline_app.callback()
def baseline() -> None:
    """Keep a run to hold later ones against, for hosts that are still what they were."""


@baseline_app.command("set")
def set_(
    name: Named,
    run: Run = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Where there is one of this name.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also a run that is not HEALTHY.")] = False,
    runs: Runs = None,
) -> int:
    """Make a run a baseline: a copy of its digest, which no pruning removes."""
    from netprobe.cli.baselining import set_named

    return set_named(name, run, runs, replaces=replace, forces=force)


@baseline_app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="All by default.")] = None, *, runs: Runs = None
) -> int:
    """List baselines, or say what hosts one is of."""
    from netprobe.cli.baselining import show as show_baselines

    return show_baselines(name, runs)


@baseline_app.command()
def diff(
    name: Named,
    run: Run = None,
    *,
    runs: Runs = None,
    limits: LimitsFile = None,
    verbose: Verbose = False,
    fail_on_regression: Fails = False,
) -> int:
    """Hold a run against a baseline: figures of hosts whose hardware, firmware, driver, MPI and rates are the same."""
    from netprobe.cli.baselining import show_diff

    return show_diff(name, run, runs, limits, verbose=verbose, fails=fail_on_regression)


def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="A run directory, or the beginning of its name.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    *,
    runs: Runs = None,
    limits: LimitsFile = None,
    output_format: Annotated[str, typer.Option("--format", help="console or json.")] = "console",
    verbose: Verbose = False,
    fail_on_regression: Fails = False,
) -> int:
    """Say what differs between two runs, and how surely: figures, hosts, settings, versions."""
    from netprobe.cli.comparing import Showing, compare_runs

    showing = Showing(format=output_format, verbose=verbose)
    return compare_runs(before, after, runs, limits, showing=showing, fails=fail_on_regression)
