"""The commands that nobody watches: ``nightly`` from cron; what it does is imported late."""

from pathlib import Path
from typing import Annotated

import typer

from netprobe.cli.options import AllPairs, Bursts, Judging, OnGpus, Rdma, Where, directory

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
