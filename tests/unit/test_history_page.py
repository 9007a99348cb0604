"""The page of a history: all of it in words, bounded, nothing fetched, and nothing obeyed that a host is called."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from history_samples import FACTS, Site, flap, history_from, on, rows_of
from hypothesis import given
from hypothesis import strategies as st

from netprobe.cli.app import main
from netprobe.cli.history_page import page
from netprobe.cli.history_page_nights import months_of
from netprobe.cli.history_text import Shown
from netprobe.history.bands import band_of
from netprobe.history.change_points import change_points
from netprobe.history.judge import judge_history
from netprobe.history.levels import levels_of
from netprobe.history.nights import history_of
from netprobe.history.standing import State, standings
from netprobe.history.trend_rows import condensed
from netprobe.model.history import Acknowledgement, History, Night, Trend, Unit
from netprobe.model.limits import Limits
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict
from netprobe.reporters._svg import Band, Behind, Line, Scale, curve, line_chart, pieces
from netprobe.store.digest import write_digest
from netprobe.store.history import rows_of_frames

NOBODY = rows_of_frames({}, [])
LIMITS = Limits()
UPGRADED = {**FACTS, "NIC firmware": "28.40.1000"}
TROUBLED = Site(
    hosts=4,
    factor={"node03 mlx5_1": lambda night: 0.9 if night >= 41 else 1.0},
    facts_at=lambda night, host: UPGRADED if night >= 50 else FACTS,
    gone={"node04": 48},
    seen={20: [flap("node02 mlx5_1")], 55: [flap("node02 mlx5_1")]},
)


def drawn(history, *, every=False, host=None, rows=NOBODY, since=None):
    trends = history.trends
    shown = Shown(trends=trends, since=since, every=every, host=host)
    return page(judge_history(history, LIMITS), history, shown, LIMITS, rows)


def section(text, name):
    return text[text.index(f'<section id="{name}">') :].partition("</section>")[0]


@pytest.fixture(scope="module")
def troubled():
    return drawn(history_from(TROUBLED))


def test_findings_levels_reports_and_changes_are_all_there_in_words(troubled):
    assert "took no part since 2026-02-18" in section(troubled, "findings")
    assert re.search(r"2026-02-11</td><td>node03 mlx5_1</td>.*worse", section(troubled, "levels"))
    assert "<td>open again</td><td>2026-02-25</td>" in section(troubled, "reported")
    assert "NIC firmware: 28.39.1002 → 28.40.1000" in section(troubled, "changes")


def test_each_night_has_its_verdict_in_the_calendar_and_in_the_table(troubled):
    nights = section(troubled, "nights")

    assert 'class="degraded" title="2026-01-21: DEGRADED"' in nights
    assert len(re.findall('title="[^"]*: HEALTHY"', nights)) == 58
    assert nights.count("<td>complete</td>") == 60


def test_of_several_runs_of_a_day_the_calendar_shows_the_worst():
    start = datetime(2026, 5, 9, 1, tzinfo=UTC)
    verdicts = (Verdict.HEALTHY, Verdict.FAULTY, None)
    runs = [
        Night(run=str(hour), started=start + timedelta(hours=hour), status=RunStatus.COMPLETE, profile="quick",
              verdict=verdict, label="")
        for hour, verdict in enumerate(verdicts)
    ]  # fmt: skip

    (month,) = months_of(runs)
    told = [cell for week in month.weeks for cell in week if cell.mark]

    assert [(cell.day, cell.said) for cell in told] == [("9", "2026-05-09: FAULTY, the worst of 3 runs")]


def test_a_trend_has_a_drawing_and_a_row_for_whoever_stands_out(troubled):
    trends = section(troubled, "trends")

    assert trends.count('<svg class="chart"') == 2
    assert '<polygon class="band"' in trends
    assert "<td>median of 8</td>" in trends
    assert "<td>node03 mlx5_1</td>" in trends
    assert "none; last 2026-02-17" in trends


def test_one_host_is_drawn_against_the_fleet():
    history = history_from(TROUBLED)
    (trend,) = [each for each in history.trends if len(each.subjects) > 1]
    own = replace(trend, subjects=trend.subjects[:2], hosts=trend.hosts[:2], values=trend.values[:, :2])
    shown = Shown(trends=(own,), since=None, every=True, host="node01")

    text = page(judge_history(history, LIMITS), history, shown, LIMITS, NOBODY)

    assert "<title>HEALTHY" not in text
    assert "history of node01" in text
    assert all(
        f"<td>{who}</td>" in section(text, "trends") for who in ("median of 8", "node01 mlx5_0", "node01 mlx5_1")
    )
    assert "node02" not in section(text, "reported")


def test_runs_that_cannot_be_read_are_named_with_the_reason(tmp_path, capsys):
    for digest in Site(hosts=3, nics=1, nights=9).digests():
        (tmp_path / "runs" / digest.run).mkdir(parents=True)
        write_digest(tmp_path / "runs" / digest.run / "digest.parquet", digest)
    (tmp_path / "runs" / "torn").mkdir()
    (tmp_path / "runs" / "torn" / "run.json").write_text("{")
    file = tmp_path / "page.html"

    code = main(["history", "--runs", str(tmp_path / "runs"), "--html", str(file)])

    assert code == 0
    assert f"page: {file}" in capsys.readouterr().err
    assert re.search(r"<td>torn</td><td>.*is damaged", section(file.read_text(encoding="utf-8"), "left-out"))


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys):
    code = main(["history", "--runs", str(tmp_path), "--html", str(tmp_path / "no" / "page.html")])

    assert code == 4
    assert "cannot be written" in capsys.readouterr().err


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "node\u202eedon",
    "n\x1b[31m\nH",
)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:8].encode("unicode_escape").decode())
def test_a_hostile_name_is_text_wherever_it_is_told(name):
    site = Site(hosts=3, nics=1, nights=9, seen={8: [flap(f"{name} mlx5_0", name, detector=name)]})
    digests = [
        replace(
            each,
            figures=(*each.figures, replace(each.figures[0], subject=f"{name} mlx5_0", host=name, value=50.0 + index)),
            facts=tuple(replace(fact, value=f"{name}{index}") for fact in each.facts),
        )
        for index, each in enumerate(site.digests())
    ]
    plain = drawn(history_from(Site(hosts=3, nics=1, nights=9)))
    attacked = drawn(history_of(rows_of(digests)).history)

    assert attacked.count("<script") == plain.count("<script")
    assert "<img" not in attacked
    assert not {"\u202e", "\x1b"} & set(attacked)
    assert "49" not in section(attacked, "levels") or "{{" not in name


def test_a_page_names_no_address_and_its_policy_allows_none(troubled):
    assert "default-src &#39;none&#39;" in troubled or "default-src 'none'" in troubled
    assert not re.search(r'(?:src|href|action)="(?!#)', troubled)


def test_the_same_history_makes_the_same_page(troubled):
    assert drawn(history_from(TROUBLED)) == troubled


def test_400_nights_of_512_nics_that_all_have_trouble_make_less_than_6_mb():
    nights, nics, chance = 400, 512, np.random.default_rng(3)
    names = tuple(f"node{nic // 8:03d} mlx5_{nic % 8}" for nic in range(nics))
    base = history_from(Site(hosts=2, nics=1, nights=nights))
    values = 390.0 * np.exp(chance.normal(0, 0.05, (nights, nics)))
    values[300:, ::2] *= 0.8
    sightings = history_from(
        Site(hosts=1, nics=1, nights=2, seen={1: [flap(each, each.split()[0]) for each in names]})
    ).seen
    trends = tuple(
        Trend(title=f"stream {title}", metric="bandwidth", unit=Unit.GBPS, subjects=names,
              hosts=tuple(each.split()[0] for each in names), values=values)
        for title in range(11)
    )  # fmt: skip
    seen = tuple(replace(each, nights=tuple(range(390, 400))) for each in sightings)
    history = History(
        nights=base.nights, trends=trends, seen=seen, hosts=tuple(dict.fromkeys(each.split()[0] for each in names)),
        fingerprints=np.tile(np.arange(nights)[:, None] % 2, (1, 64)), facts=(FACTS, UPGRADED),
    )  # fmt: skip

    text = drawn(history)

    assert len(text.encode()) < 6_000_000
    assert re.search(r"and [\d,]+ more of them", section(text, "reported"))
    assert "488 others" in section(text, "trends")


def test_a_finding_is_closed_by_somebody_and_opened_by_being_seen_again():
    seen = {night: [flap("node02 mlx5_0")] for night in (2, 3, 8)}
    ack = Acknowledgement(detector="link-flap", subject="node02 mlx5_0", at=on(5))
    later = replace(ack, at=on(9))

    def told(nights, *acknowledged):
        site = Site(hosts=3, nics=1, nights=nights, seen=seen)
        (standing,) = standings(history_from(site, acknowledged=acknowledged), LIMITS)
        return standing.state, standing.opened

    assert told(10) == (State.OPEN, 2)
    assert told(10, ack) == (State.AGAIN, 8)
    assert told(10, later) == (State.CLOSED, 2)
    assert told(40) == (State.QUIET, 2)


def test_a_level_that_was_reached_again_is_two_change_points():
    dip = Site(hosts=4, nics=1, factor={"node02 mlx5_0": lambda night: 0.8 if 20 <= night < 40 else 1.0})
    history = history_from(dip)

    found = [point for levels in levels_of(history, LIMITS) for point in change_points(levels)]

    assert [(each.subject, each.night) for each in found] == [("node02 mlx5_0", 20), ("node02 mlx5_0", 40)]
    assert found[0].log_change < 0 < found[1].log_change


@given(st.lists(st.one_of(st.floats(1.0, 1e6), st.just(np.nan)), max_size=40), st.sampled_from([Unit.GBPS, Unit.NS]))
def test_a_band_is_of_the_nights_before_and_known_only_after_enough_of_them(values, unit):
    told = np.array(values, dtype=np.float64)
    trend = Trend(title="t", metric="latency", unit=unit, subjects=("fleet",), hosts=(None,), values=told[:, None])

    band = band_of(told, trend, LIMITS)

    for night in range(len(told)):
        before = told[max(night - int(LIMITS.own_nights), 0) : night]
        known = before[np.isfinite(before)]
        assert np.isfinite(band.low[night]) == (len(known) >= LIMITS.fewest_nights)
        if len(known) >= LIMITS.fewest_nights:
            assert band.low[night] <= np.exp(np.median(np.log(known))) * 1.000001
            assert band.high[night] * 1.000001 >= np.exp(np.median(np.log(known)))


def test_what_is_not_judged_has_no_band():
    trend = Trend(
        title="t", metric="loss", unit=Unit.RATIO, subjects=("a",), hosts=("a",), values=np.full((20, 1), 1e-6)
    )

    assert band_of(trend.values[:, 0], trend, LIMITS) is None


@given(st.lists(st.one_of(st.floats(0.0, 1e6), st.just(float("nan"))), max_size=40))
def test_a_line_is_broken_where_nothing_was_measured(values):
    rows = [(float(at), value) for at, value in enumerate(values)]
    parts = list(pieces(rows))

    assert [row for part in parts for row in part] == [row for row in rows if row[1] == row[1]]
    assert all(b[0] - a[0] == 1 for part in parts for a, b in pairwise(part))
    assert curve(values, reach_ratio=0.05).count("<polyline") == len(parts)


def test_a_drawing_with_a_band_has_it_behind_the_lines():
    nan = float("nan")
    band = Band(name="usual", x=(0.0, 1.0, 2.0), low=(nan, 1.0, 1.0), high=(nan, 3.0, 3.0))
    scale = Scale(title="", ticks=((0.0, "0"), (4.0, "4")), is_log=False)

    text = line_chart(
        [Line(name="a", x=(0.0, 1.0, 2.0), y=(2.0, nan, 2.0))], scale, scale, label="",
        behind=Behind(band=band, marks=((1.0, "<b>"),)),
    )  # fmt: skip

    assert text.index("<polygon") < text.index("<circle")
    assert "<polyline" not in text
    assert "&lt;b&gt;" in text


@given(st.lists(st.one_of(st.floats(1.0, 1e6), st.just(np.nan)), max_size=90), st.integers(1, 30))
def test_condensed_nights_are_the_medians_of_what_is_known_of_them(values, most):
    told = np.array(values, dtype=np.float64)
    parts = np.array_split(told, min(most, len(told))) if len(told) else []

    expected = [np.median(known) if len(known := part[np.isfinite(part)]) else np.nan for part in parts]

    np.testing.assert_allclose(condensed(told, most), expected)
