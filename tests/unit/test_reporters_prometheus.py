"""The metrics, as Prometheus and OpenMetrics read them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from exhibit_samples import bandwidth_map, exhibits, latency_map, loss_map, places
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus
from sample_reports import SAMPLES, nodes, report

from netprobe.contracts import RenderOptions
from netprobe.model.exhibits import Exhibits
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.reporters._metrics import METRICS, MOST_HOSTS, MOST_NICS
from netprobe.reporters.prometheus import REPORTER

BASE_UNITS = ("seconds", "bytes", "ratio", "bytes_per_second")


def written(of_report, found=None):
    return REPORTER.render(of_report, RenderOptions(exhibits=found))


def series(text):
    """Return values by name and labels, as node_exporter would read them."""
    found = {}
    for family in read_prometheus(text):
        for sample in family.samples:
            key = (sample.name.removeprefix("netprobe_"), frozenset(sample.labels.items()))
            assert key not in found, "two values of one series"
            found[key] = sample.value
    return found


def values(text, name, *labels):
    """Return the values of a metric by some of its labels."""
    found = {}
    for (own, told), value in series(text).items():
        if own == name:
            found[tuple(dict(told).get(label, "") for label in labels)] = value
    return found


def left_out(text):
    return values(text, "series_left_out", "kind")


@pytest.mark.parametrize("sample", SAMPLES)
def test_both_readers_understand_every_line_alike(sample):
    text = written(SAMPLES[sample](), exhibits())

    families = list(read_openmetrics(text))
    assert {each.type for each in families} == {"gauge"}
    assert {each.name for each in families} <= {each.name for each in METRICS}
    samples = [(each.name, each.labels, each.value) for family in families for each in family.samples]
    assert samples == [(each.name, each.labels, each.value) for family in read_prometheus(text)
                       for each in family.samples]  # fmt: skip


def test_names_and_units_are_those_of_the_guidelines():
    for metric in METRICS:
        assert re.fullmatch(r"netprobe_[a-z][a-z0-9_]*", metric.name)
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
        if metric.unit in ("seconds", "bytes", "ratio", "bytes per second"):
            assert metric.name.endswith("_" + metric.unit.replace(" ", "_"))
        else:
            assert not metric.name.endswith(BASE_UNITS)


def test_no_metric_is_described_twice_and_each_says_what_it_is():
    assert len({each.name for each in METRICS}) == len(METRICS)
    assert all(each.meaning and each.unit for each in METRICS)


def test_the_run_is_told():
    told = series(written(SAMPLES["slow-link"]()))

    plain = {name: value for (name, labels), value in told.items() if not labels}
    assert plain["verdict"] == 2
    assert plain["run_duration_seconds"] == 108
    assert plain["last_run_timestamp_seconds"] == 1_795_399_200
    assert plain["coverage_ratio"] == 1


def test_what_is_not_known_has_no_line():
    text = written(replace(SAMPLES["inconclusive"](), started="yesterday"))

    for absent in ("run_duration_seconds", "last_run_timestamp_seconds", "detectable_loss_ratio", "host_healthy"):
        assert f"netprobe_{absent} " not in text
        assert f"netprobe_{absent}{{" not in text
    assert values(text, "hosts", "fitness")["untold",] == 8


def test_only_healthy_hosts_are_1_and_only_blocked_ones_are_blocked():
    text = written(SAMPLES["slow-link"]())

    healthy, blocked = values(text, "host_healthy", "host"), values(text, "host_blocked", "host")
    assert {host for (host,), value in healthy.items() if not value} == {"node17"}
    assert {host for (host,), value in blocked.items() if value} == {"node17"}


def test_findings_are_counted_by_severity_and_detector():
    assert values(written(SAMPLES["slow-link"]()), "findings", "severity", "detector") == {
        ("blocks", "slow-link"): 1,
        ("degrades", "slow-pair"): 1,
    }


def test_of_streams_the_largest_size_is_told_and_of_round_trips_the_smallest():
    text = written(SAMPLES["slow-link"]())

    assert list(values(text, "bandwidth_bytes_per_second", "probe", "size_bytes")) == [
        ("bandwidth", "8388608"),
        ("bidirectional", "8388608"),
    ]
    assert values(text, "latency_p50_seconds", "size_bytes") == {("8",): pytest.approx(1.83e-6)}
    assert values(text, "latency_p99_seconds", "size_bytes") == {("8",): pytest.approx(2.14e-6)}


def test_a_nic_has_the_median_of_its_pairs_in_each_direction():
    found = Exhibits(
        places=places(3, nics=("mlx5_0",) * 3),
        maps=(
            bandwidth_map([(0, 1, 80.0), (0, 2, 160.0), (1, 0, 40.0)]),
            latency_map([(0, 1, 2_000.0), (0, 2, 4_000.0)]),
            loss_map([(0, 1, 0.5, 100.0), (0, 2, 0.0, 300.0)]),
        ),
    )

    text = written(report(("host0", "host1", "host2")), found)

    speeds = values(text, "host_bandwidth_bytes_per_second", "host", "nic", "direction")
    assert speeds["host0", "mlx5_0", "send"] == 15e9
    assert speeds["host0", "mlx5_0", "receive"] == 5e9
    assert ("host2", "mlx5_0", "send") not in speeds
    assert values(text, "host_latency_p50_seconds", "host")["host0",] == pytest.approx(3e-6)
    assert values(text, "host_loss_ratio", "host", "direction") == {
        ("host0", "send"): 0.125,
        ("host1", "receive"): 0.5,
        ("host2", "receive"): 0,
    }


def test_both_directions_at_once_are_said_to_be_that():
    both = replace(bandwidth_map([(0, 1, 80.0)]), directed=False)

    text = written(report(("host0", "host1")), Exhibits(places=places(2), maps=(both,)))

    assert set(values(text, "host_bandwidth_bytes_per_second", "direction")) == {("both",)}


def test_ranks_that_share_a_nic_are_one_nic():
    found = Exhibits(
        places=places(2, 2, nics=("a", "a", "b", "c")), maps=(bandwidth_map([(0, 2, 80.0), (1, 3, 40.0)]),)
    )

    speeds = values(written(report(("host0", "host1")), found), "host_bandwidth_bytes_per_second", "nic", "direction")

    assert speeds == {("a", "send"): 7.5e9, ("b", "receive"): 10e9, ("c", "receive"): 5e9}


def test_there_is_no_series_of_a_single_pair():
    hosts = 40
    pairs = [(src, dst, 100.0) for src in range(hosts) for dst in range(hosts) if src != dst]
    found = Exhibits(places=places(hosts), maps=(bandwidth_map(pairs), latency_map(pairs)))

    text = written(report(tuple(f"host{number}" for number in range(hosts))), found)

    assert len(series(text)) < 5 * hosts + 40


def test_with_too_many_hosts_the_culprit_keeps_its_series_and_the_rest_is_counted():
    hosts = tuple(f"node{number:04d}" for number in range(MOST_HOSTS + 100))
    culprit = hosts[-1]
    finding = Finding(
        detector="slow-link",
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(culprit,),
        hosts=(culprit,),
        summary="slow",
    )

    text = written(report(hosts, findings=(finding,), healthy_hosts=hosts[:-1]))

    healthy = values(text, "host_healthy", "host")
    assert len(healthy) == MOST_HOSTS
    assert healthy[culprit,] == 0
    assert left_out(text)["host",] == 100
    assert sum(values(text, "hosts", "fitness").values()) == len(hosts)


def test_with_too_many_nics_the_slowest_keep_their_series():
    nics = MOST_NICS + 2
    pairs = [(rank, (rank + 1) % nics, 50.0 if rank == nics - 1 else 100.0) for rank in range(nics)]
    found = Exhibits(places=places(nics), maps=(bandwidth_map(pairs),))

    text = written(report(("host0",)), found)

    speeds = values(text, "host_bandwidth_bytes_per_second", "host", "direction")
    assert speeds[f"host{nics - 1}", "send"] == 6.25e9
    assert len({host for host, _ in speeds}) == MOST_NICS
    assert left_out(text)["nic",] == 2


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\\nb", "</x>", "ü", "a{b}", "#", " ", "\x1b[31m", "‮"])
def test_hostile_names_are_read_back_as_they_are(name):
    text = written(report((name,), healthy_hosts=(name,)))

    assert values(text, "host_healthy", "host") == {(name,): 1}


@pytest.mark.parametrize("name", ["a\ud800b", "a\x00b", "a\rb"])
def test_what_no_reader_takes_is_replaced(name):
    text = written(report((name,), healthy_hosts=(name,)))

    text.encode("utf-8")
    assert values(text, "host_healthy", "host") == {("a\ufffdb",): 1}
    assert list(read_openmetrics(text))


def test_names_that_become_alike_do_not_spoil_the_file():
    names = ("a\x00b", "a\rb")

    assert len(values(written(report(names, healthy_hosts=names)), "host_healthy", "host")) == 1


def test_a_figure_that_is_no_number_is_absent():
    found = Exhibits(places=places(2), maps=(bandwidth_map([(0, 1, np.nan)]),))

    assert not values(written(report(nodes(1, 2)), found), "host_bandwidth_bytes_per_second", "host")
