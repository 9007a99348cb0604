"""The commands that nobody watches: ``nightly`` from cron and ``gate`` before a job; what they do is imported late."""

from pathlib import Path
from typing import Annotated

import typer

from netprobe.cli.options import AllPairs, Bursts, Judging, Keeping, OnGpus, Rdma, Where, directory

LimitsFile = Annotated[Path | None, typer.Option("--limits", help="TOML file that overrides limits.")]
Expectations = Annotated[Path | None, typer.Option(help="TOML file of what to expect here, before the shipped table.")]
Ranks = Annotated[int | None, typer.Option("--ranks", "-n", min=1, help="Ranks in all; 2 on one host.")]


def nightly(
    *,
    out: Annotated[
        Path,
        typer.Option(
            envvar="NETPROBE_RUNS",
            parser=directory,
            metavar="PATH",
            help="The folder of all nights; one run at a time.",
        ),
    ],
    profile: Annotated[str, typer.Option("--profile", "-p", help="quick, pretrain, nightly or deep.")] = "nightly",
    budget: Annotated[str | None, typer.Option(help="Shorten the plan to fit, as in 10m.")] = None,
    ranks: Ranks = None,
    all_pairs: AllPairs = False,
    seed: Annotated[int | None, typer.Option(help="Draw other partners.")] = None,
    limits: LimitsFile = None,
    expectations: Expectations = None,
    always: Annotated[bool, typer.Option("--always", help="Print the summary also where nothing is new.")] = False,
    where: Where,
    bursts: Bursts,
    rdma: Rdma,
    gpus: OnGpus,
) -> int:
    """Check, look back at all nights, and print a summary only where something is new.

    New are: the first night, another verdict, findings that open, get worse or close, and a run that did not complete.
    Exits with the worse of the run's verdict and its history's.
    """
    from netprobe.cli.nightly import Wish
    from netprobe.cli.nightly import nightly as go_through
    from netprobe.cli.planning import check_plan

    plan = check_plan(profile, budget, rdma, gpus, bursts, all_pairs=all_pairs)
    judging = Judging(limits=limits, expectations=expectations)
    return go_through(Wish(folder=out, judging=judging, always=always), plan, ranks, where, seed)


def gate(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND...", help="What to start; {hosts}, {hostfile} and {count} in it are replaced."),
    ],
    *,
    profile: Annotated[str, typer.Option("--profile", "-p", help="quick, pretrain, nightly or deep.")] = "quick",
    budget: Annotated[str, typer.Option(help="What the check may take, as in 60s or 5m.")] = "60s",
    min_hosts: Annotated[
        int | None, typer.Option("--min-hosts", min=1, help="Start with so many healthy hosts; by default all.")
    ] = None,
    allow_degraded: Annotated[
        bool, typer.Option("--allow-degraded", help="Also with findings that do not block a job.")
    ] = False,
    ranks: Ranks = None,
    limits: LimitsFile = None,
    expectations: Expectations = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print the report on standard error.")] = False,
    where: Where,
    keeping: Keeping,
    rdma: Rdma,
    gpus: OnGpus,
) -> int:
    """Check quickly, and start a command on the healthy hosts only.

    The command gets NETPROBE_HEALTHY_HOSTS, NETPROBE_EXCLUDE_HOSTS and NETPROBE_HOSTFILE, and its exit code is passed
    on. Where the hosts are not fit it is not started: exits with 1, 2 or 3 as a check does.
    """
    from netprobe.cli.gating import Job
    from netprobe.cli.gating import gate as go_through
    from netprobe.cli.planning import check_plan
    from netprobe.judge.admission import Terms

    job = Job(
        command=tuple(command),
        terms=Terms(fewest_hosts=min_hosts, allows_degraded=allow_degraded),
        judging=Judging(limits=limits, expectations=expectations, verbose=verbose),
    )
    return go_through(job, check_plan(profile, budget, rdma, gpus), ranks, where, keeping)
