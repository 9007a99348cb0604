"""JUnit, SARIF and JSON lines: what CI servers, viewers and logs read in a report."""

import json
import xml.etree.ElementTree as ET
from dataclasses import fields, replace
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from sample_reports import SAMPLES, nodes, report

from netprobe.contracts import RenderOptions
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.plan import RAILS, Scope
from netprobe.model.report import TogetherSummary, UnderLoad
from netprobe.model.run import HISTORY, Launch
from netprobe.model.verdict import Verdict
from netprobe.registry import detectors, history_detectors, reporters
from netprobe.reporters._examined import NEEDS

FORMATS = Path(__file__).parents[1] / "fixtures" / "formats"
JUNIT = xmlschema.XMLSchema(FORMATS / "junit-10.xsd")
SARIF = Draft7Validator(json.loads((FORMATS / "sarif-2.1.0.json").read_text()))
HOSTILE = ("<script>", 'a"b', "a&b", "]]>", "\x00\x1b[31m", "\ud800", "\ufffe", "‮", "a\nb", "", "x" * 10_000)


def written(format, of_report):
    return reporters()[format].render(of_report, RenderOptions())


def junit(of_report):
    """Return the cases of a document by suite and name: passed, or the tag and message."""
    text = written("junit", of_report)
    JUNIT.validate(text)
    found = {}
    for suite in ET.fromstring(text.encode("utf-8")):
        for case in suite:
            [(tag, message)] = [(each.tag, each.get("message")) for each in case][:1] or [("passed", "")]
            found[suite.get("name"), case.get("name")] = (tag, message)
    return found


def sarif(of_report):
    log = json.loads(written("sarif", of_report))
    SARIF.validate(log)
    [run] = log["runs"]
    return run


def lines(of_report):
    return [json.loads(line) for line in written("jsonl", of_report).splitlines()]


def blamed(host, **changes):
    finding = Finding(
        detector="slow-link",
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(host,),
        summary="sends slowly",
    )
    return replace(finding, **changes)


def test_it_is_known_of_every_detector_what_it_needs():
    assert set(NEEDS) == set(detectors())


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_host_has_a_case_for_every_detector(sample):
    of_report = SAMPLES[sample]()

    cases = junit(of_report)

    assert set(cases) >= {(host, detector) for host in of_report.hosts for detector in detectors()}


@pytest.mark.parametrize("sample", SAMPLES)
def test_all_cases_pass_only_where_the_run_is_healthy(sample):
    root = ET.fromstring(written("junit", SAMPLES[sample]()).encode())

    is_green = root.get("failures") == root.get("errors") == "0"
    assert is_green is (SAMPLES[sample]().verdict is Verdict.HEALTHY)
    for counted, tag in (("failures", "failure"), ("errors", "error")):
        assert int(root.get(counted)) == sum(case.find(tag) is not None for case in root.iter("testcase"))
    assert int(root.get("tests")) == len(list(root.iter("testcase")))


def test_a_culprits_case_fails_with_the_findings_text():
    text = written("junit", SAMPLES["slow-link"]())

    [failure] = ET.fromstring(text.encode()).findall(
        "testsuite[@name='node17']/testcase[@name='slow-link']/failure[@type='blocks']"
    )
    assert failure.get("message").startswith("blocks: slow-link: node17: sends at 143 Gb/s")
    assert "retest: netprobe check --hosts node17,node02,node40" in failure.text


def test_a_case_of_another_host_passes_where_the_detector_could_look():
    assert junit(SAMPLES["slow-link"]())["node18", "slow-link"] == ("passed", "")


def test_a_path_that_is_to_blame_fails_a_case_of_the_run_and_of_no_host():
    cases = junit(SAMPLES["slow-link"]())

    assert cases["run", "slow-pair: node09 -> node52"][0] == "failure"
    assert cases["node09", "slow-pair"] == cases["node52", "slow-pair"] == ("passed", "")


def test_what_could_not_be_told_is_skipped_with_the_reason():
    cases = junit(SAMPLES["slow-link"]())

    assert cases["node18", "straggler"] == (
        "skipped",
        "node12 has 2 ranks and 1 CPU for them, so lateness there tells of the scheduler; try: one rank for each CPU",
    )


def test_what_was_not_there_to_look_at_is_skipped():
    cases = junit(SAMPLES["healthy-laptop"]())

    assert cases["thinkpad", "nvlink-degraded"] == ("skipped", "no rank there used a GPU")
    assert cases["thinkpad", "pfc-missing"] == ("skipped", "no rank there used RDMA")
    assert cases["thinkpad", "incast"] == ("skipped", "nothing was measured under load")
    assert cases["thinkpad", "rail-contention"] == ("skipped", "no rails were measured all at once")
    assert cases["thinkpad", "storage-interference"] == ("skipped", "no reads beside all-reduces were measured")
    assert cases["run", "between hosts"][0] == "skipped"


def test_rails_alone_are_no_load_that_others_are_judged_by():
    rails = TogetherSummary(
        probe=RAILS, scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20, flows=4, total_gbps=800.0, alone_gbps=800.0,
        kept_ratio=1.0, worst_flow=("node01", "node02"), worst_gbps=800.0,
    )  # fmt: skip

    cases = junit(report(nodes(1, 2), under_load=UnderLoad(together=(rails,))))

    assert cases["node01", "rail-contention"] == ("passed", "")
    assert cases["node01", "incast"] == ("skipped", "nothing was measured under load")


def test_a_victim_is_skipped_and_not_failed():
    of_report = report(
        nodes(1, 2),
        verdict=Verdict.FAULTY,
        findings=(blamed("node01", victims=("node02",)),),
        healthy_hosts=(),
    )

    tag, message = junit(of_report)["node02", "slow-link"]
    assert tag == "skipped"
    assert message.startswith("a victim, not known to be well: blocks: slow-link: node01")


def test_without_a_verdict_the_run_is_an_error_and_no_host_passes():
    cases = junit(SAMPLES["inconclusive"]())

    assert cases["run", "verdict"][0] == "error"
    assert {tag for (suite, _), (tag, _) in cases.items() if suite != "run"} == {"skipped"}


def test_a_history_has_the_detectors_of_histories_and_no_others():
    of_report = report(nodes(1, 2), launch=Launch(method=HISTORY, argv=(), mpi=""), ranks=0, not_tested=())

    cases = junit(of_report)

    assert {name for suite, name in cases if suite == "node01"} == set(history_detectors())
    assert {tag for tag, _ in cases.values()} == {"passed"}
    assert {rule["id"] for rule in sarif(of_report)["tool"]["driver"]["rules"]} == set(history_detectors())


def test_two_findings_of_one_detector_on_one_host_are_one_case():
    findings = (blamed("node01"), blamed("node01", subjects=("node01 mlx5_0",), summary="receives slowly"))

    text = written("junit", report(nodes(1, 2), verdict=Verdict.FAULTY, findings=findings, healthy_hosts=nodes(2)))

    [case] = ET.fromstring(text.encode()).findall("testsuite[@name='node01']/testcase[@name='slow-link']")
    assert len(case) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_within_their_places(name):
    of_report = report((name, "node01"), verdict=Verdict.FAULTY, findings=(blamed(name),), healthy_hosts=nodes(1))

    assert [tag for (_, detector), (tag, _) in junit(of_report).items() if detector == "slow-link"].count(
        "failure"
    ) == 1
    assert len(sarif(of_report)["results"]) == 1
    assert len(lines(of_report)) == 2 + len(of_report.not_tested)


@given(text=st.text())
def test_any_text_of_a_finding_is_valid_xml_and_json(text):
    finding = blamed("node01", summary=text, next_action=text, retest=text, excluded=(text,))
    gap = Gap(topic=text, reason=text, remedy=text)
    of_report = report(nodes(1), verdict=Verdict.FAULTY, findings=(finding,), gaps=(gap,), healthy_hosts=())

    ET.fromstring(written("junit", of_report).encode("utf-8"))
    json.loads(written("sarif", of_report))
    assert len(written("jsonl", of_report).split("\n")) == 5


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_finding_is_a_result_of_a_rule_that_is_described(sample):
    of_report = SAMPLES[sample]()

    run = sarif(of_report)

    rules = run["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} == set(detectors())
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    told = [(rules[each["ruleIndex"]]["id"], each["ruleId"], each["level"]) for each in run["results"]]
    levels = {Severity.BLOCKS: "error", Severity.DEGRADES: "warning", Severity.WARNS: "note"}
    assert told == [(each.detector, each.detector, levels[each.severity]) for each in of_report.findings]


def test_a_result_says_which_part_of_which_host_it_is_of():
    finding = blamed("node01", subjects=("node01 mlx5_0", "node01", "node01 -> node02", "node01:3"))
    run = sarif(report(nodes(1, 2), verdict=Verdict.FAULTY, findings=(finding,)))

    places = [each["logicalLocations"][0] for each in run["results"][0]["locations"]]
    assert places == [
        {"name": "mlx5_0", "fullyQualifiedName": "node01/mlx5_0", "kind": "device"},
        {"name": "node01", "fullyQualifiedName": "node01", "kind": "host"},
        {"name": "node01 -> node02", "fullyQualifiedName": "node01 -> node02"},
        {"name": "3", "fullyQualifiedName": "node01/3", "kind": "device"},
    ]


def test_the_same_finding_has_the_same_fingerprint_whatever_it_measured():
    def fingerprint(finding):
        [result] = sarif(report(nodes(1, 2), findings=(finding,)))["results"]
        return result["partialFingerprints"]

    assert fingerprint(blamed("node01")) == fingerprint(blamed("node01", summary="sends even slower"))
    assert fingerprint(blamed("node01")) != fingerprint(blamed("node02"))
    assert fingerprint(blamed("node01")) != fingerprint(blamed("node01", detector="slow-host"))


def test_a_finding_of_a_detector_that_is_not_known_here_has_a_rule():
    run = sarif(report(nodes(1), findings=(blamed("node01", detector="of-the-future"),)))

    assert run["tool"]["driver"]["rules"][-1] == {"id": "of-the-future"}


def test_what_takes_the_verdict_away_is_a_notification_of_an_error():
    [invocation] = sarif(SAMPLES["inconclusive"]())["invocations"]

    assert [each["level"] for each in invocation["toolExecutionNotifications"]].count("error") == 1
    assert invocation["executionSuccessful"] is False
    assert invocation["startTimeUtc"] == "2026-11-23T02:00:00.000Z"


def test_a_time_that_cannot_be_read_is_absent():
    assert "startTimeUtc" not in sarif(report(nodes(1), started="yesterday"))["invocations"][0]


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_line_stands_for_itself_and_the_first_is_the_run(sample):
    of_report = SAMPLES[sample]()

    told = lines(of_report)

    assert [each["kind"] for each in told] == [
        "run",
        *["finding"] * len(of_report.findings),
        *["gap"] * len(of_report.gaps),
        *["not_tested"] * len(of_report.not_tested),
    ]
    assert {(each["format"], each["run_id"], each["verdict"]) for each in told} == {
        (1, of_report.run_id, of_report.verdict.value)
    }


def test_lines_hold_all_that_findings_and_gaps_do():
    told = {each["kind"]: each for each in lines(SAMPLES["slow-link"]())}

    assert set(told["finding"]) >= {each.name for each in fields(Finding)}
    assert set(told["gap"]) >= {each.name for each in fields(Gap)}
    assert told["run"]["blocked"] == ["node17"]
