"""What history keeps of a run, and how two runs are held against each other."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from history_samples import FACTS, Site
from hypothesis import given
from hypothesis import strategies as st

from netprobe.history.baseline import diff
from netprobe.history.comparing import Measured, Timed, compare
from netprobe.history.digests import digest_of
from netprobe.history.facts import fingerprint
from netprobe.history.figures import Samples
from netprobe.history.trend_rows import sparkline
from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.comparison import Course
from netprobe.model.history import FLEET, Baseline, Unit
from netprobe.model.limits import Limits
from netprobe.plan.profiles import plan_for
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.night import night
from netprobe.store.series_table import with_digest

HOSTS, NICS, PARTNERS = 64, 8, 5


@pytest.fixture(scope="module")
def simulated():
    run, _ = night(fabric_of(default_topology(8), 400.0), [], plan_for("quick"), 3)
    return run, digest_of(run.header, evidence_of(run), judge(run, Limits()))


def test_what_goes_over_rdma_is_of_nics_and_what_goes_over_mpi_is_of_hosts(simulated):
    _, digest = simulated
    subjects = {figure.title: set() for figure in digest.figures}
    for figure in digest.figures:
        subjects[figure.title].add(figure.subject)

    hosts = {fact.host for fact in digest.facts}
    assert len(hosts) == 8
    assert subjects["bandwidth 1M, sends"] == hosts
    (of_nics,) = [own for title, own in subjects.items() if title.startswith("RDMA bandwidth") and "sends" in title]
    assert of_nics == {f"{host} mlx5_0" for host in hosts}
    assert any(own == {FLEET} for own in subjects.values())


def test_a_figure_is_the_median_over_partners(simulated):
    run, digest = simulated
    host = run.header.ranks[0].host
    sent = run.series.filter(
        pl.col("stage") == "bandwidth-between-hosts", pl.col("phase") == "timed", pl.col("metric") == "window_ns",
        pl.col("size_bytes") == 1 << 20, pl.col("src") == 0,
    )  # fmt: skip
    rates = 8 * with_digest(sent)["bytes_per_iteration"].to_numpy() / with_digest(sent)["p50_ns"].to_numpy()
    (figure,) = [each for each in digest.figures if (each.title, each.subject) == ("bandwidth 1M, sends", host)]

    assert figure.value == pytest.approx(float(np.median(rates)))
    assert figure.samples == len(rates)


def test_a_run_that_was_cut_short_keeps_its_findings_and_no_figures(simulated):
    run, _ = simulated
    digest = digest_of(run.header, None, judge(run, Limits()))

    assert (digest.figures, digest.facts) == ((), ())
    assert digest.verdict is not None


@given(st.dictionaries(st.sampled_from(["NIC", "kernel", "MPI"]), st.sampled_from(["1", "2"])))
def test_a_fingerprint_is_the_same_for_the_same_facts_alone(facts):
    changed = {**facts, "NIC firmware": "28.40"}

    assert fingerprint(dict(reversed(facts.items()))) == fingerprint(facts)
    assert fingerprint(changed) != fingerprint(facts)


def measured(seed, *, slow=(), share=0.9, fleet=1.0, iterations=400, collective=1.0):
    chance = np.random.default_rng(seed)
    subjects = tuple(f"node{host:02d} mlx5_{nic}" for host in range(HOSTS) for nic in range(NICS))
    owner = np.repeat(np.arange(len(subjects)), PARTNERS)
    level = np.array([share if subject in slow else 1.0 for subject in subjects]) * fleet
    samples = Samples(
        title="RDMA bandwidth 8M, sends", metric="bandwidth", unit=Unit.GBPS, owner=owner,
        values=390 * level[owner] * np.exp(chance.standard_t(4, len(owner)) * 0.005), subjects=subjects,
        hosts=tuple(subject.split()[0] for subject in subjects),
    )  # fmt: skip
    timed = Timed(
        title="allreduce 128M", unit=Unit.GIGABYTES_PER_S, values=180 * collective * (1 + chance.normal(0, 0.01, 50)),
        counts=np.full(50, iterations // 50),
    )  # fmt: skip
    return Measured(
        digest=Site(nights=1).night(0), pairs=(samples,), trended=frozenset({samples.title}), collectives=(timed,),
        configuration=(("profile", "nightly"), ("variable UCX_TLS", str(seed % 2))),
    )  # fmt: skip


def test_of_five_hundred_nics_that_are_well_none_is_called_changed():
    found = compare(measured(1), measured(2), Limits())

    assert found.tested == HOSTS * NICS
    assert (found.single, found.worse) == ((), ())


def test_the_nic_that_got_slower_is_the_one_that_is_named():
    found = compare(measured(1), measured(2, slow=("node17 mlx5_3",)), Limits())

    assert [(each.subject, each.course) for each in found.single] == [("node17 mlx5_3", Course.WORSE)]
    assert found.single[0].ratio == pytest.approx(-0.1, abs=0.02)


def test_an_upgrade_is_one_change_and_not_five_hundred():
    found = compare(measured(1), measured(2, fleet=0.9), Limits())

    assert found.single == ()
    assert [(each.subject, each.course) for each in found.fleet if each.course is not Course.SAME] == [
        (FLEET, Course.WORSE)
    ]


def test_what_got_better_is_told_as_such_and_fails_nothing():
    found = compare(measured(2, fleet=0.9), measured(1, collective=1.1), Limits())

    assert found.worse == ()
    assert {each.course for each in found.fleet} == {Course.BETTER}


def test_of_two_iterations_nothing_can_be_tested():
    few = replace(measured(1), collectives=(replace_counts(measured(1).collectives[0], 2),))

    found = compare(few, few, Limits())

    assert [each.course for each in found.fleet] == [Course.SAME, Course.UNTESTED]


def replace_counts(timed, count):
    return replace(timed, values=timed.values[:count], counts=timed.counts[:count] // timed.counts[:count])


def test_settings_and_facts_that_differ_are_listed():
    after = measured(2)
    upgraded = Site(nights=1, facts_at=lambda night, host: {**FACTS, "kernel": "6.8"}).night(0)

    found = compare(measured(1), replace(after, digest=upgraded), Limits())

    assert found.configuration == ("variable UCX_TLS: 1 → 0",)
    assert [(what, len(hosts)) for what, hosts in found.facts] == [("kernel: 5.15.0-91 → 6.8", 8)]


def test_a_baseline_is_worse_from_the_limit_on_and_not_below():
    site = Site(hosts=3, nics=1, nights=1, noise=0.0)
    baseline = Baseline(name="good", set_at=site.night(0).started, digest=site.night(0))

    def deviations(share):
        slow = Site(hosts=3, nics=1, nights=1, noise=0.0, factor={"node02 mlx5_0": lambda night: share})
        return [each.figure.subject for each in diff(baseline, slow.night(0), Limits()).deviations]

    assert deviations(0.951) == []
    assert deviations(0.949) == ["node02 mlx5_0"]


@given(st.lists(st.one_of(st.just(np.nan), st.floats(1, 1000)), max_size=80), st.integers(1, 60))
def test_a_sparkline_fits_and_marks_what_was_not_measured(values, width):
    line = sparkline(np.array(values, dtype=np.float64), width)

    assert len(line) <= width
    assert set(line) <= set("▁▂▃▄▅▆▇█·")
    assert ("·" * len(line) == line) == (not np.isfinite(values).any()) or not line
