"""The whole judging half on simulated screenings: the culprit and nobody else, and nothing in clean fleets."""

import pytest

from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.verdict import Verdict
from netprobe.sim.screening import Screening, SlowHost, SlowPair, host_name, screening_run
from netprobe.store.series_table import series_of, series_schema

FEW = {"iterations": 20, "sizes_bytes": (8 << 20,)}


def judged(**options):
    return judge(screening_run(Screening(**{**FEW, **options})), Limits())


@pytest.mark.parametrize("seed", range(20))
def test_one_slow_sender_among_64_hosts_is_named_and_nobody_else(seed):
    culprit = (13 * seed) % 64

    report = judged(hosts=64, seed=seed, slow_hosts=(SlowHost(host=culprit, sends_ratio=0.7),))

    assert [(each.detector, each.hosts) for each in report.findings] == [("slow-link", (host_name(culprit),))]
    assert report.verdict is Verdict.FAULTY
    assert "sends" in report.findings[0].summary
    assert len(report.healthy_hosts) == 63


@pytest.mark.parametrize("seed", range(50))
def test_a_clean_fleet_has_no_finding(seed):
    hosts, noise = 8 + (seed * 7) % 57, 0.01 + 0.01 * (seed % 2)

    report = judged(hosts=hosts, seed=seed, pair_noise_ratio=noise)

    assert report.findings == ()
    assert report.verdict is Verdict.HEALTHY


@pytest.mark.parametrize("seed", range(5))
def test_several_culprits_of_different_kinds_are_told_apart(seed):
    slow = (
        SlowHost(host=3, sends_ratio=0.6),
        SlowHost(host=20, receives_ratio=0.8),
        SlowHost(host=33, latency_ratio=2.0),
    )

    report = judged(hosts=64, seed=seed, slow_hosts=slow)

    assert {(each.detector, *each.hosts) for each in report.findings} == {
        ("slow-link", host_name(3)),
        ("slow-link", host_name(20)),
        ("slow-host", host_name(33)),
    }


def test_a_slow_path_names_its_pair_and_leaves_out_nobody():
    clean = screening_run(Screening(hosts=16, seed=4, **FEW))
    src, dst = clean.header.outcomes[1].planned_pairs[0]

    both = judged(
        hosts=16,
        seed=4,
        slow_pairs=(SlowPair(src=src, dst=dst, rate_ratio=0.5), SlowPair(src=dst, dst=src, rate_ratio=0.5)),
    )
    one = judged(hosts=16, seed=4, slow_pairs=(SlowPair(src=src, dst=dst, rate_ratio=0.5),))

    assert [(each.detector, each.hosts) for each in both.findings] == [("slow-pair", ())]
    assert [(each.detector, each.hosts) for each in one.findings] == [("asymmetry", ())]
    assert one.findings[0].subjects == (f"{host_name(src)} -> {host_name(dst)}",)
    assert one.verdict is Verdict.DEGRADED
    assert len(one.healthy_hosts) == 16


def test_a_host_that_is_slow_on_all_its_rails_is_one_finding():
    report = judged(hosts=8, ranks_per_host=4, slow_hosts=(SlowHost(host=5, sends_ratio=0.5, receives_ratio=0.5),))

    assert [each.subjects for each in report.findings] == [(host_name(5),)]


def test_more_noise_than_fault_names_nobody():
    report = judged(hosts=32, pair_noise_ratio=0.3, slow_hosts=(SlowHost(host=5, sends_ratio=0.9),))

    assert report.findings == ()


def test_the_same_screening_gives_the_same_run_and_its_rows_are_real_series():
    first, second = (screening_run(Screening(hosts=4, seed=9, **FEW)) for _ in range(2))

    assert first.series.equals(second.series)
    assert first.series.schema == series_schema()
    for row in series_of(first.series):
        assert row.histogram.total == row.iterations
        assert row.min_ns <= row.slowest[0].elapsed_ns == row.max_ns
