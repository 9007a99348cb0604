"""Half of what was planned is missing: the verdict is open or names the culprit, and never guesses at somebody else."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.verdict import Verdict
from netprobe.sim.screening import Screening, SlowHost, host_name, screening_run

HOSTS, NICS_PER_HOST = 128, 8
FEW = {"iterations": 10, "sizes_bytes": (8 << 20,)}
CULPRIT = 77


def fleet(*slow, seed):
    return screening_run(
        Screening(hosts=HOSTS, ranks_per_host=NICS_PER_HOST, matchings=4, seed=seed, slow_hosts=slow, **FEW)
    )


def at_random(run, seed):
    kept = np.random.default_rng(seed).random(len(run.series)) < 0.5
    return replace(run, series=run.series.filter(pl.Series(kept)))


def of_half_of_the_hosts(run, _seed):
    alive = HOSTS // 2 * NICS_PER_HOST  # of the others nothing came, and so nothing of whoever met them
    return replace(run, series=run.series.filter((pl.col("src") < alive) | (pl.col("dst") < alive)))


def of_the_first_rounds(run, _seed):
    return replace(run, series=run.series.filter(pl.col("round_index") < pl.col("round_index").max().over("stage") / 2))


def one_way_only(run, _seed):
    return replace(run, series=run.series.filter(pl.col("src") < pl.col("dst")))


WAYS = (at_random, of_half_of_the_hosts, of_the_first_rounds, one_way_only)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("halved", WAYS)
def test_half_of_1024_nics_matrix_names_the_culprit_or_nobody(halved, seed):
    run = halved(fleet(SlowHost(host=CULPRIT, sends_ratio=0.6), seed=seed), seed)

    report = judge(run, Limits())

    assert {host for finding in report.findings for host in finding.hosts} <= {host_name(CULPRIT)}
    # Of a culprit that has too few partners left, a pair with it at one end is what can be told.
    paths = [subject for finding in report.findings if not finding.hosts for subject in finding.subjects]
    assert all(host_name(CULPRIT) in path for path in paths)
    assert report.verdict is Verdict.INCONCLUSIVE or (report.findings and report.verdict is Verdict.FAULTY)


@pytest.mark.parametrize("halved", WAYS)
def test_half_of_a_healthy_matrix_blames_nobody_and_is_not_healthy(halved):
    report = judge(halved(fleet(seed=7), 7), Limits())

    assert report.findings == ()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.healthy_hosts == ()


def test_a_culprit_whose_every_row_is_missing_is_not_replaced_by_another():
    run = fleet(SlowHost(host=CULPRIT, sends_ratio=0.6), seed=1)
    own = range(CULPRIT * NICS_PER_HOST, (CULPRIT + 1) * NICS_PER_HOST)
    unseen = replace(run, series=run.series.filter(~(pl.col("src").is_in(own) | pl.col("dst").is_in(own))))

    report = judge(unseen, Limits())

    assert report.findings == ()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert set(report.coverage.untested_ranks) == set(own)
