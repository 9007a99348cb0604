"""The commands of ``netprobe`` and the one place where errors become a line and an exit code.

Commands are declared here with their options; what they do lives in the modules beside, imported when they run, so that
``--help`` answers at once.
"""

import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from netprobe import __version__
from netprobe.cli.completing import detector_names, probe_names
from netprobe.cli.gathering import Whom
from netprobe.cli.help import GroupedHelp
from netprobe.cli.history_app import baseline_app, compare, history_app
from netprobe.cli.options import (
    AllPairs,
    Bursts,
    Excluded,
    Judging,
    Keeping,
    OnGpus,
    Rdma,
    RdmaTuning,
    RunDirectory,
    Where,
    burst_wish_of,
    directory,
    duration_ns,
    size_bytes,
    wish_of,
    with_options,
)
from netprobe.cli.storage_options import Reads, storage_wish_of
from netprobe.cli.streams import print_text, tell
from netprobe.cli.unattended_app import gate, nightly
from netprobe.errors import LaunchError, NetprobeError, PlanError
from netprobe.launch.surroundings import rank_of
from netprobe.model.plan import Carriers
from netprobe.model.verdict import ExitCode
from netprobe.units import NS_PER_S

app = typer.Typer(
    name="netprobe",
    help="Is the fabric fit for a training job, and if not, what is to be fixed first?\n\n"
    "Exit codes: 0 healthy, 1 degraded, 2 faulty (do not start the job), 3 inconclusive, 4 usage or set-up error, "
    "130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"netprobe {__version__}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(cls=GroupedHelp)
@with_options(where=Where, keeping=Keeping, judging=Judging, bursts=Bursts, reads=Reads, rdma=Rdma, gpus=OnGpus)
def check(
    *,
    profile: Annotated[str, typer.Option("--profile", "-p", help="quick, pretrain, nightly or deep.")] = "quick",
    budget: Annotated[str | None, typer.Option(help="Shorten the plan to fit, as in 120s or 5m.")] = None,
    ranks: Annotated[int | None, typer.Option("--ranks", "-n", min=1, help="Ranks in all; 2 on one host.")] = None,
    all_pairs: AllPairs = False,
    where: Where,
    keeping: Keeping,
    judging: Judging,
    bursts: Bursts,
    reads: Reads,
    rdma: Rdma,
    gpus: OnGpus,
) -> int:
    """Measure the fabric and judge it.

    Without options: two ranks on this host, or all hosts of the Slurm allocation it runs in. Under mpirun or srun the
    processes themselves are the ranks, and rank 0 judges.
    """
    from netprobe.cli.measuring import measure, reader
    from netprobe.cli.planning import check_plan
    from netprobe.plan.storage import with_storage

    plan = check_plan(profile, budget, rdma, gpus, bursts, all_pairs=all_pairs)
    return measure(with_storage(plan, storage_wish_of(reads)), ranks, where, keeping, reader(judging))


@app.command(cls=GroupedHelp)
@with_options(
    where=Where, keeping=Keeping, judging=Judging, bursts=Bursts, reads=Reads, rdma=Rdma, tuning=RdmaTuning, gpus=OnGpus
)
def run(
    probe: Annotated[
        str,
        typer.Argument(
            help="latency, bandwidth, reach, incast, bursts, or a collective such as allreduce.",
            autocompletion=probe_names,
        ),
    ],
    *,
    begin: Annotated[str, typer.Option("--minbytes", "-b", help="Smallest message, as in 8 or 64K.")] = "8",
    end: Annotated[str, typer.Option("--maxbytes", "-e", help="Largest message, as in 8M or 1G.")] = "8M",
    factor: Annotated[
        float | None, typer.Option("--stepfactor", "-f", help="Multiply sizes by this; 2 by default.")
    ] = None,
    step: Annotated[str | None, typer.Option("--stepbytes", "-i", help="Add this to sizes instead.")] = None,
    iterations: Annotated[
        int | None, typer.Option("--iters", "-n", min=1, help="Timed iterations a size; else as many as fit --series.")
    ] = None,
    warmup: Annotated[int, typer.Option("--warmup-iters", "-w", min=0, help="Warm-up iterations a size.")] = 5,
    checks: Annotated[int, typer.Option("--check", "-c", min=0, help="Iterations with compared data; 0: none.")] = 1,
    dtype: Annotated[str, typer.Option("--datatype", "-d", help="int8 to float64, float16, bfloat16.")] = "float32",
    op: Annotated[str, typer.Option("--op", "-o", help="sum, prod, max or min.")] = "sum",
    root: Annotated[int, typer.Option("--root", "-r", min=0, help="Root rank of broadcast and reduce.")] = 0,
    window: Annotated[int, typer.Option("--window", "-W", min=1, help="Messages in flight when streaming.")] = 64,
    all_pairs: AllPairs = False,
    series: Annotated[str, typer.Option(help="Time for one size in one round.")] = "200ms",
    ranks: Annotated[int | None, typer.Option("--ranks", min=1, help="Ranks in all; 2 on one host.")] = None,
    where: Where,
    keeping: Keeping,
    judging: Judging,
    bursts: Bursts,
    reads: Reads,
    rdma: Rdma,
    tuning: RdmaTuning,
    gpus: OnGpus,
) -> int:
    """Run one probe over a sweep of sizes.

    -b -e -f -i -n -w -c mean what they mean to nccl-tests.
    """
    from netprobe.cli.measuring import measure, reader
    from netprobe.plan.single import SingleProbe, plan_for_probe

    single = SingleProbe(
        probe=probe,
        begin_bytes=size_bytes("-b", begin),
        end_bytes=size_bytes("-e", end),
        factor=factor,
        step_bytes=None if step is None else size_bytes("-i", step),
        iterations=iterations,
        warmup_iterations=warmup,
        check_iterations=checks,
        dtype=dtype,
        op=op,
        root=root,
        window=window,
        all_pairs=all_pairs,
        series_budget_ns=duration_ns("--series", series),
        carriers=rdma.transport or Carriers.MPI,
        wish=wish_of(rdma, tuning),
        memories=gpus.memory,
        bursts=burst_wish_of(bursts),
        storage=storage_wish_of(reads),
    )
    return measure(replace(plan_for_probe(single), gpu_map=gpus.places), ranks, where, keeping, reader(judging))


@app.command()
@with_options(judging=Judging)
def judge(run_directory: RunDirectory, *, judging: Judging) -> int:
    """Judge a run directory again.

    With other limits, or with a newer netprobe; needs neither cluster nor MPI, and leaves the run as it is.
    """
    from netprobe.cli.reading import judge_again

    return judge_again(run_directory, judging)


@app.command()
@with_options(judging=Judging)
def report(
    run_directory: RunDirectory,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file instead.")
    ] = None,
    judging: Judging,
) -> int:
    """Print a run's report again, in any format.

    A run that was killed is judged up to its last finished stage.
    """
    from netprobe.cli.reading import show_report

    return show_report(run_directory, judging, output)


@app.command()
def show(
    run_directory: RunDirectory,
    what: Annotated[
        str | None, typer.Argument(help="bandwidth, latency, loss or tails; without it all of them.")
    ] = None,
    *,
    by: Annotated[
        str | None, typer.Option(help="What rows and columns are: nic, host or leaf; what has room by default.")
    ] = None,
) -> int:
    """Show pairs as a map, and latencies as distributions, on the terminal.

    What a run measured, not what is wrong with it: report says that.
    """
    from netprobe.cli.showing import show_run

    return show_run(run_directory, what, by)


@app.command()
@with_options(whom=Whom)
def inventory(
    *,
    output_format: Annotated[str, typer.Option("--format", help="console or json.")] = "console",
    whom: Whom,
) -> int:
    """Show what hosts are made of: NICs, interfaces, PCI, settings.

    One host in full; of several, what differs from most. Under mpirun or srun: the hosts of its ranks.
    """
    from netprobe.cli.inventorying import show_inventory

    return show_inventory(whom, output_format)


@app.command()
def counters(
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    per_second: Annotated[bool, typer.Option("--per-second", help="Rates instead of growth.")] = False,
    interval: Annotated[str, typer.Option(help="Between two readings; 1s at least.")] = "2s",
    every: Annotated[bool, typer.Option("--all", "-a", help="Also counters that did not grow.")] = False,
    exclude: Excluded = None,
) -> int:
    """Show what the NICs of this host count now, the worst first."""
    from netprobe.cli.watching import SHORTEST_S, Watching, watch_counters
    from netprobe.system.here import this_system

    interval_s = duration_ns("--interval", interval) / NS_PER_S
    if interval_s < SHORTEST_S:
        raise PlanError(f"--interval {interval}: NICs are not asked more often than once a second", remedy="1s")
    watching = Watching(interval_s=interval_s, per_second=per_second, shows_all=every)
    return watch_counters(this_system(excluded=exclude or ()), watching, goes_on=watch)


@app.command()
def snapshot(
    *,
    out: Annotated[Path | None, typer.Option(help="The file to write; in this directory by default.")] = None,
    scrub: Annotated[bool, typer.Option("--scrub", help="Replace addresses, GUIDs and names of switches.")] = False,
    exclude: Excluded = None,
) -> int:
    """Write this host's evidence to one file, for somebody who has no access to it.

    Read it with --from-snapshot of inventory and config, and with ingest.
    """
    from netprobe.cli.snapshotting import take_snapshot

    return take_snapshot(out, tuple(exclude or ()), scrub=scrub)


@app.command()
@with_options(whom=Whom)
def config(
    *,
    limits: Annotated[Path | None, typer.Option(help="TOML file that overrides limits.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="console or json.")] = "console",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every figure behind a finding.")] = False,
    whom: Whom,
) -> int:
    """Audit how hosts are set: PFC, ECN, MTU, DSCP, PCIe, affinity.

    Each finding has the command that would mend it. Nothing is measured and nothing is changed.
    """
    from netprobe.cli.auditing import audit_hosts

    return audit_hosts(whom, limits, output_format, verbose=verbose)


@app.command()
def ingest(
    files: Annotated[
        list[str], typer.Argument(metavar="[HOST=]FILE...", help="What other tools printed, or snapshots; - for stdin.")
    ],
    *,
    elapsed: Annotated[
        str | None, typer.Option(help="Time between readings of counters, as in 60s, where files do not tell.")
    ] = None,
    limits: Annotated[Path | None, typer.Option(help="TOML file that overrides limits.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="console or json.")] = "console",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every figure and every total.")] = False,
    out: Annotated[
        Path | None, typer.Option(parser=directory, metavar="PATH", help="Also write a run directory in there.")
    ] = None,
) -> int:
    """Read what other tools printed, and judge what can be judged.

    nccl-tests, rccl-tests, perftest, OSU, IMB; ethtool -S, perfquery, rdma statistic, hw_counters, rocestat; mlnx_qos,
    dcb, lldpcli. Two readings of the same counters, in order, tell what happened between them.
    """
    from netprobe.cli.ingesting import Wish, ingest_files

    elapsed_ns = None if elapsed is None else duration_ns("--elapsed", elapsed)
    wish = Wish(limits=limits, output_format=output_format, verbose=verbose, out=out, elapsed_ns=elapsed_ns)
    return ingest_files(files, wish)


@app.command()
def simulate(
    *,
    out: Annotated[Path, typer.Option(parser=directory, metavar="PATH", help="Where the run directory goes.")],
    topology: Annotated[
        Path | None, typer.Option(help="A topology as for check; else a rail-optimised one of --nics.")
    ] = None,
    nics: Annotated[int, typer.Option(help="8, 64, 256 or 1024 NICs, where no topology is given.")] = 64,
    faults: Annotated[
        list[Path] | None, typer.Option(help="TOML file of faults (docs/simulator.md); repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws parts, values and noise; the same gives the same run.")] = 0,
    profile: Annotated[str, typer.Option("--profile", "-p", help="quick, pretrain, nightly or deep.")] = "pretrain",
    line_rate: Annotated[int, typer.Option(help="Of every port in Gb/s: 100, 200 or 400.")] = 400,
) -> int:
    """Write the run directory that a fabric with known faults would leave behind; judge it as any other.

    The truth is written beside it.
    """
    from netprobe.cli.simulate import Simulation
    from netprobe.cli.simulate import simulate as simulate_fabric

    wanted = Simulation(
        topology=topology,
        nics=nics,
        faults=faults or (),
        seed=seed,
        profile=profile,
        line_gbps=float(line_rate),
        out=out,
    )
    return simulate_fabric(wanted)


@app.command()
def doctor() -> int:
    """Say what this host can measure, and why not the rest."""
    from netprobe.cli.doctor import examine

    return examine()


@app.command()
def explain(
    detector: Annotated[
        str | None,
        typer.Argument(help="As printed in a report, such as slow-host.", autocompletion=detector_names),
    ] = None,
) -> int:
    """Explain a detector: cause, evidence, remedy, limits."""
    from netprobe.cli.explaining import explain_detector

    return explain_detector(detector)


app.command(cls=GroupedHelp)(with_options(where=Where, bursts=Bursts, rdma=Rdma, gpus=OnGpus)(nightly))
# Behind the first word of the command all options are its own, with and without --.
app.command(cls=GroupedHelp, context_settings={"allow_interspersed_args": False})(
    with_options(where=Where, keeping=Keeping, rdma=Rdma, gpus=OnGpus)(gate)
)
app.add_typer(history_app)
app.add_typer(baseline_app)
app.command()(compare)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return an exit code of the verdict table, for usage errors as well."""
    try:
        result = app(args=arguments, prog_name="netprobe", standalone_mode=False)
    except (PlanError, LaunchError) as error:
        return _complain_once(str(error))
    except NetprobeError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except SystemExit:  # typer's answer when nobody reads the text of --help or --version any more
        return ExitCode.HEALTHY
    except Exception as error:  # a traceback would end with exit code 1, which means degraded
        if not hasattr(error, "format_message"):
            return _own_defect(error)
        if type(error).__name__ == "NoArgsIsHelpError":  # of the click inside typer, which has moved between releases
            print_text(error.format_message() + "\n")
            return ExitCode.SETUP_ERROR
        return _complain_once(_usage_message(error))
    return int(result or 0)


def _complain(message: str, code: ExitCode) -> int:
    tell(f"netprobe: {message}")
    return code


def _complain_once(message: str) -> int:
    """Say what all ranks of a launcher find wrong, on its rank 0 alone."""
    return ExitCode.SETUP_ERROR if rank_of(os.environ) else _complain(message, ExitCode.SETUP_ERROR)


def _own_defect(error: Exception) -> int:
    if os.environ.get("NETPROBE_TRACEBACK"):
        traceback.print_exception(error)
    return _complain(
        f"internal error: {type(error).__name__}: {' '.join(str(error).split())}; "
        "try: report it with the output of NETPROBE_TRACEBACK=1",
        ExitCode.INCONCLUSIVE,
    )


def _usage_message(error: Exception) -> str:
    """Return the line for an error of the command line parser: what was wrong, and where its help is."""
    context = getattr(error, "ctx", None)
    command = "netprobe" if context is None else context.command_path
    message: str = error.format_message()  # type: ignore[attr-defined]
    return f"{message.rstrip('.')}; try: {command} --help"
