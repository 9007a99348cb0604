"""The dashboard: every panel asks for metrics that the reporter writes, and Grafana finds what it needs in it."""

import json
import re
from pathlib import Path

import pytest
from exhibit_samples import exhibits
from prometheus_client.parser import text_string_to_metric_families
from sample_reports import SAMPLES

from netprobe.contracts import RenderOptions
from netprobe.reporters._metrics import METRICS
from netprobe.reporters.prometheus import REPORTER

DASHBOARD = json.loads((Path(__file__).parents[2] / "reports" / "grafana" / "netprobe.json").read_text())
PANELS = DASHBOARD["panels"]
BY_NAME = {each.name: each for each in METRICS}
ADDED = {"instance"}
"""By whoever scrapes."""
SELECTOR = re.compile(r"(netprobe_\w+)(?:\{([^}]*)\})?")


def expressions():
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_every_metric_that_is_asked_for_is_written():
    asked = {name for expression in expressions() for name, _ in SELECTOR.findall(expression)}

    assert asked
    assert asked <= set(BY_NAME)


def test_every_metric_is_on_the_dashboard_or_is_known_to_be_for_alerts_and_queries_alone():
    asked = {name for expression in expressions() for name, _ in SELECTOR.findall(expression)}

    assert set(BY_NAME) - asked == {
        "netprobe_moved_bytes",
        "netprobe_collective_p50_seconds",
        "netprobe_collective_p99_seconds",
    }


def test_every_label_that_is_asked_for_is_one_of_its_metric():
    for expression in expressions():
        for name, selector in SELECTOR.findall(expression):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert labels <= {*BY_NAME[name].labels, *ADDED}, expression
        grouped = {label for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in group.split(", ")}
        known = {label for name, _ in SELECTOR.findall(expression) for label in BY_NAME[name].labels}
        assert grouped <= known, expression


def test_every_label_in_a_legend_is_one_of_its_metrics():
    for panel in PANELS:
        for target in panel["targets"]:
            known = {label for name, _ in SELECTOR.findall(target["expr"]) for label in BY_NAME[name].labels}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known


def test_a_value_that_is_asked_for_is_written_by_a_run():
    text = REPORTER.render(SAMPLES["slow-link"](), RenderOptions(exhibits=exhibits()))
    written = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}

    # The sample holds no sensitivity.
    asked = {name for expression in expressions() for name, _ in SELECTOR.findall(expression)}
    assert asked - written == {"netprobe_detectable_loss_ratio"}


@pytest.mark.parametrize("key", ["title", "uid", "schemaVersion", "time", "templating", "panels"])
def test_what_grafana_needs_is_there(key):
    assert DASHBOARD[key]


def test_the_data_source_is_the_readers_choice():
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    sources = [each["datasource"] for panel in PANELS for each in (panel, *panel["targets"])]
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in sources)


def test_panels_do_not_overlap_and_fit_the_width():
    cells = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_every_panel_says_what_it_shows():
    assert all(panel["title"] and panel["description"] for panel in PANELS)


def test_the_verdicts_are_named_by_their_exit_codes():
    from netprobe.model.verdict import Verdict

    [panel] = [each for each in PANELS if each["title"] == "Verdict"]
    options = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {code: each["text"] for code, each in options.items()} == {str(int(v.exit_code)): v.value for v in Verdict}
