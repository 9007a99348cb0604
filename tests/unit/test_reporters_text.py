"""Console and Markdown: the verdict first, nothing left out, and nothing obeyed that another machine sent."""

import os
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from sample_reports import (
    SAMPLES,
    collective,
    corruption,
    healthy_laptop,
    inconclusive,
    latency,
    layer,
    report,
    slow_link,
)

from netprobe.contracts import RenderOptions
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.plan import Memory, Path, Scope
from netprobe.model.run import RunStatus
from netprobe.registry import reporters
from netprobe.reporters._wording import fold, message_size, percent, visible

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HOSTILE = (
    "node\x1b[31mred",
    "[red]node[/red]",
    "node\nHEALTHY",
    "node\u202eedon",
    "n" * 300,
    "<script>alert(1)</script>",
    "a|b`c`",
    "@group:*",
    "node[1-99999999]",
)


def console(given_report, **options):
    return reporters()["console"].render(given_report, RenderOptions(**options))


def markdown(given_report):
    return reporters()["markdown"].render(given_report, RenderOptions())


def finding(*subjects, **changes):
    fields = {
        "detector": "slow-host",
        "severity": Severity.DEGRADES,
        "confidence": Confidence.HIGH,
        "subjects": subjects,
        "hosts": subjects,
        "summary": "sends at half the fleet's median",
        "next_action": "look at its cable",
    }
    return Finding(**{**fields, **changes})


def healthy_line(text):
    return next(line for line in text.splitlines() if "healthy hosts:" in line)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_first_word_is_the_verdict(sample):
    given_report = SAMPLES[sample]()

    assert console(given_report).startswith(f"{given_report.verdict}  ")
    assert markdown(given_report).startswith(f"## {given_report.verdict}: ")


def test_the_first_lines_say_how_much_was_tested_and_which_run_it_was():
    wide, narrow = (console(slow_link(), width=width).splitlines() for width in (120, 80))

    assert wide[0].startswith("FAULTY  64 hosts · 64 ranks · coverage 100 % · 1 min 48 s  ")
    assert wide[0].endswith("  run 2026-11-23T02-00-00Z-7f3a")
    assert narrow[:2] == [
        "FAULTY  64 hosts · 64 ranks · coverage 100 % · 1 min 48 s",
        "        run 2026-11-23T02-00-00Z-7f3a",
    ]


@pytest.mark.parametrize(
    ("status", "told"),
    [(RunStatus.RUNNING, "cut short"), (RunStatus.INTERRUPTED, "interrupted"), (RunStatus.FAILED, "failed")],
)
def test_a_run_that_did_not_end_well_says_so_in_its_first_line(status, told):
    assert console(replace(inconclusive(), run_status=status)).splitlines()[0].endswith(f"· {told}")


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_but_those_made_to_be_copied(sample, width):
    lines = console(SAMPLES[sample](), width=width, verbose=True).splitlines()

    too_wide = [
        line
        for line in lines
        if cell_len(line) > width and not re.match(r" +(retest|healthy hosts|usable hosts with findings):", line)
    ]

    assert [line for line in too_wide if width >= 80] == []
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("sample", SAMPLES)
def test_without_colour_there_is_nothing_but_text(sample):
    assert "\x1b" not in console(SAMPLES[sample]())


@pytest.mark.parametrize("sample", SAMPLES)
def test_colour_adds_nothing_but_colour(sample):
    coloured = console(SAMPLES[sample](), color=True)

    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert re.sub(r" +$", "", plain, flags=re.MULTILINE) == console(SAMPLES[sample]())


def test_the_environment_changes_nothing(monkeypatch):
    before = console(slow_link(), color=True)
    for name, value in {"NO_COLOR": "1", "COLUMNS": "40", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)

    assert console(slow_link(), color=True) == before
    assert os.environ["TERM"] == "dumb"


def test_what_blocks_comes_before_what_degrades_and_the_sure_before_the_unsure():
    findings = (
        finding("w", severity=Severity.WARNS),
        finding("low", severity=Severity.BLOCKS, confidence=Confidence.LOW),
        finding("d"),
        finding("high", severity=Severity.BLOCKS, confidence=Confidence.HIGH),
    )

    text = console(report(("a", "b"), findings=findings))

    order = [text.index(f"slow-host  {name} ") for name in ("high", "low", "d", "w")]
    assert order == sorted(order)


def test_findings_that_say_the_same_are_folded_and_others_are_not():
    findings = (finding("node01"), finding("node02"), finding("node03"), finding("node09", summary="receives slowly"))

    for text in (console(report(("a",), findings=findings)), markdown(report(("a",), findings=findings))):
        assert text.count("node[01-03]") == 1
        assert text.count("sends at half") == 1
        assert "receives slowly" in text


def test_a_flood_of_findings_is_cut_with_a_count_unless_all_are_wanted():
    findings = tuple(finding(f"node{number}", summary=f"loses {number} %") for number in range(50))
    flooded = report(("a",), findings=findings)

    assert "… and 30 more findings; -v prints all of them" in console(flooded)
    assert console(flooded, verbose=True).count("loses") == 50
    assert markdown(flooded).count("loses") == 50


def test_facts_are_shown_when_asked_for():
    given_report = slow_link()

    assert "at least 290 Gb/s" not in console(given_report)
    assert "at least 290 Gb/s" in console(given_report, width=120, verbose=True)
    assert "at least 290 Gb/s" in markdown(given_report)


def test_a_retest_stays_on_one_line_to_be_copied():
    command = "netprobe check --hosts " + ",".join(f"rack{number}-gpu" for number in range(30))

    lines = console(report(("a",), findings=(finding("a", retest=command),))).splitlines()

    assert any(line.endswith(command) for line in lines)


def test_healthy_hosts_stay_on_one_line_however_many():
    hosts = tuple(f"rack{number}-{'x' * number}" for number in range(40))

    line = healthy_line(console(report(hosts)))

    assert all(host in line for host in hosts)


def test_no_healthy_host_is_said_as_such():
    assert healthy_line(console(report(("a",), healthy_hosts=()))) == "  healthy hosts: none"


def test_victims_are_told_apart_from_healthy_hosts():
    storm = finding("a", victims=("b",))
    for draw in (console, markdown):
        told = draw(report(("a", "b", "c"), findings=(storm,), healthy_hosts=("c",))).lower()
        assert "victims of others' faults" in told
        assert "victims of others" not in draw(report(("a", "b", "c"), healthy_hosts=("c",))).lower()


def test_gaps_that_undermine_the_verdict_come_first_and_say_so():
    gaps = (Gap(topic="jitter", reason="no peers"), Gap(topic="coverage", reason="half was measured", undermines=True))

    for text in (console(report(("a",), gaps=gaps)), markdown(report(("a",), gaps=gaps))):
        assert text.index("coverage: half") < text.index("jitter: no peers")
        assert "without this there is no verdict" in text


def test_what_was_not_tested_is_said_with_what_to_try():
    for text in (console(healthy_laptop()), markdown(healthy_laptop())):
        assert "rdma: this host has no RDMA device" in text
        assert "try: --hosts" in text


def test_topics_that_share_a_reason_are_told_together():
    assert "slow-link, slow-pair: one host has nothing" in console(healthy_laptop())


def test_small_figures_carry_what_measuring_costs():
    text = console(healthy_laptop())

    assert "an empty iteration costs 27.9 ns (one clock read: 24.6 ns)" in text


@pytest.mark.parametrize(("typical_us", "is_marked"), [(0.0696, True), (0.0699, False)])
def test_a_figure_is_marked_when_a_fifth_of_its_iteration_is_measuring(typical_us, is_marked):
    row = latency(Scope.WITHIN_HOST, 8, typical_us, 1.0, 2.0)

    text = console(report(("a",), pairs=(row,)))

    assert (" ns* " in text) is is_marked
    assert ("* an empty iteration is more than 20 % of this figure" in text) is is_marked


def test_without_calibration_nothing_is_claimed_about_it():
    text = console(replace(healthy_laptop(), calibration=None, clock_error_bound_ns=None))

    assert "clock" not in text


def test_absent_figures_are_a_dash_and_never_zero():
    rows = (collective("allreduce", 4096, 9.0, 2, p99_ns=None, wrong_bytes=None),)

    line = next(line for line in console(report(("a",), groups=rows)).splitlines() if "allreduce" in line)

    figures = ["8.82", "µs", "–", "19.8", "µs", "9.00", "µs", "0.46", "0.46", "–"]
    assert line.split() == ["allreduce", "4", "KiB", *figures]


def test_a_collective_shows_its_median_and_says_that_its_bandwidth_is_of_the_mean():
    text = console(slow_link(), width=100)

    assert re.search(r"operation +size +typical +p99 +max +mean ", text)
    assert "typical is the median; algbw and busbw are of the mean, as in nccl-tests" in text
    assert "as in nccl-tests" not in console(inconclusive())


@pytest.mark.parametrize(("width", "gone"), [(80, set()), (70, {"algbw", "mean"}), (60, {"algbw", "mean", "max"})])
def test_where_room_is_short_columns_are_left_out_whole_and_wrong_bytes_stay(width, gone):
    rows = (collective("reducescatter", 64 << 20, 7020.0, 32, wrong_bytes=2), collective("barrier", 0, 9.0, 32))

    text = console(report(("a",), groups=rows), width=width)

    table = text[text.index("collectives of") :]
    shown = {"typical", "p99", "max", "mean", "algbw", "busbw", "wrong"} & set(table.split("barrier")[0].split())
    assert shown == {"typical", "p99", "max", "mean", "algbw", "busbw", "wrong"} - gone
    assert "2 B" in table


def test_how_many_samples_there_are_is_shown_when_asked_for():
    given_report = healthy_laptop()

    assert "samples" not in console(given_report, width=120)
    for text in (console(given_report, width=120, verbose=True), markdown(given_report)):
        assert "80,000" in text
        assert "110,000" in text


def test_a_host_with_a_warning_is_usable_and_not_called_healthy():
    warned = finding("vm", hosts=(), severity=Severity.WARNS)
    path = finding("a <-> b", hosts=())
    of_rank = finding("b:1", hosts=())

    text = console(report(("a", "b", "vm"), findings=(warned, path, of_rank)))

    assert healthy_line(text) == "  healthy hosts: a"
    assert "  usable hosts with findings: b,vm\n" in text
    assert "**Usable hosts with findings:** `vm`" in markdown(report(("a", "vm"), findings=(warned,)))
    assert "usable" not in console(report(("a", "b"), findings=(path,)))


def test_stages_that_had_nothing_to_measure_are_counted_apart():
    of_one_host = replace(report(("a",)).coverage, stages_empty=3)

    assert "5 of 5 stages (3 had nothing to measure) ·" in console(report(("a",), coverage=of_one_host), width=120)
    assert "nothing to measure" not in console(report(("a",)))


def test_wrong_bytes_are_counted_in_the_table():
    assert "2 B" in next(line for line in console(corruption()).splitlines() if "float32" in line)


def test_a_report_of_nothing_is_a_report():
    nothing = report((), healthy_hosts=(), calibration=None, not_tested=(), elapsed_ns=None)

    for text in (console(nothing), markdown(nothing)):
        assert "0 hosts" in text
        assert "healthy hosts" in text.lower()


def full_of(name):
    facts = (Fact(metric=name, observed=name, expected=name, basis=name),)
    return report(
        (name, "b"),
        findings=(finding(name, summary=f"{name} is slow", facts=facts, retest=f"netprobe check --hosts {name}"),),
        gaps=(Gap(topic=name, reason=name, remedy=name),),
        pairs=(latency(Scope.BETWEEN_HOSTS, 8, 1.0, 2.0, 3.0, pairs=2, worst=(name, "b:1", 2.0)),),
    )


def split_colour(text):
    colour = r"\x1b\[[0-9;]*m"
    return re.sub(colour, "", text), set(re.findall(colour, text))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("color", [False, True])
def test_a_hostile_host_name_is_shown_and_not_obeyed(name, color):
    rest, colours = split_colour(console(full_of(name), color=color, verbose=True))

    assert colours == split_colour(console(full_of("node"), color=color, verbose=True))[1]
    assert all(each.isprintable() or each == "\n" for each in rest)
    assert visible(name)[:30] in rest
    assert not any(line.startswith("HEALTHY") for line in rest.splitlines()[1:])


def columns_of(text):
    return [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_host_name_does_not_leave_its_place_in_markdown(name):
    text = markdown(full_of(name))

    assert all(each.isprintable() or each == "\n" for each in text)
    assert columns_of(text) == columns_of(markdown(full_of("node")))
    outside_code = re.sub(r"`[^`]*`", "", text)
    assert not re.search(r"(?<!\\)<", outside_code)


@UNHURRIED
@given(st.text(max_size=60))
def test_any_text_can_be_shown(text):
    assert all(each.isprintable() for each in visible(text))


@UNHURRIED
@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_names_can_be_folded(names):
    folded = fold(names)

    assert all(each.isprintable() for each in folded)


def test_names_are_folded_as_operators_write_them():
    assert fold(["node03", "node01", "node02", "gw", "node01"]) in ("gw,node[01-03]", "node[01-03],gw")
    assert fold(["node1:0", "node1 -> node2"]) == "node1:0, node1 -> node2"
    assert fold([]) == ""


@pytest.mark.parametrize(
    ("ratio", "shown"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50 %"), (0.4286, "42.8 %"), (0.0, "0 %")]
)
def test_a_share_is_rounded_down_so_that_all_means_all(ratio, shown):
    assert percent(ratio) == shown


@pytest.mark.parametrize(("size_bytes", "shown"), [(8, "8 B"), (1000, "1000 B"), (4096, "4 KiB"), (1 << 30, "1 GiB")])
def test_sizes_have_their_unit(size_bytes, shown):
    assert message_size(size_bytes) == shown


@pytest.mark.parametrize("kinds", [2, 4, 8])
def test_layers_fit_a_terminal_and_the_common_memories_are_never_cut(kinds):
    memories = [(send, receive) for send in Memory for receive in Memory]
    chosen = sorted(memories, key=lambda each: {Memory.PINNED, Memory.MANAGED} & set(each) != set())[:kinds]
    rows = tuple(
        layer("bandwidth", path, 388.0, 0.97, memories=each, of=(Path.VERBS, chosen[0]))
        for path in (Path.VERBS, Path.MPI)
        for each in chosen
    )

    text = console(report(("node01", "node02"), layers=rows))
    lines = text.partition("layer by layer")[2].partition("in brackets")[0].splitlines()

    assert max(cell_len(line) for line in text.splitlines() if not line.startswith("  retest")) <= 80
    assert any(line.split() == ["verbs", *["388", "Gb/s", "(97", "%)"] * min(kinds, 4)] for line in lines)
    assert markdown(report(("node01", "node02"), layers=rows)).count("388 Gb/s (97 %)") == 2 * kinds


def test_a_report_without_layers_has_no_table_and_no_note_of_them():
    assert "layer" not in console(slow_link())
