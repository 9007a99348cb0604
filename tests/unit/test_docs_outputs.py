"""docs/outputs.md says what the reporters write."""

import re
from pathlib import Path

from sample_reports import slow_link

from netprobe.contracts import RenderOptions
from netprobe.locate.fitness import Fitness
from netprobe.registry import reporters
from netprobe.reporters._metrics import METRICS, MOST_HOSTS, MOST_NICS

TEXT = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")


def table_with(first_column):
    """Return the rows of the table whose first column is called so."""
    after = TEXT.partition(f"| {first_column} |")[2].splitlines()[2:]
    rows = []
    for line in after:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell):
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_the_table_of_metrics_is_the_programs():
    told = [(names(name)[0], unit, names(labels), meaning) for name, unit, labels, meaning in table_with("metric")]

    assert told == [(each.name, each.unit, each.labels, each.meaning) for each in METRICS]


def test_the_table_of_formats_lists_all_of_them_with_their_endings():
    told = {names(name)[0]: names(endings) for name, endings, _ in table_with("format")}

    assert told == {each.id: each.suffixes for each in reporters().values()}


def test_the_help_of_the_option_names_every_format():
    from netprobe.cli.options import Judging

    text = Judging.__annotations__["format"].__metadata__[0].help

    assert set(re.findall(r"[a-z][a-z-]+", text)) >= set(reporters())


def test_the_table_of_groups_is_the_programs():
    told = [name.replace(" ", "_") for name, _ in table_with("group")]

    assert sorted(told) == sorted(Fitness.__dataclass_fields__)


def test_the_limits_of_series_are_the_programs():
    assert f"At most {MOST_HOSTS:,} hosts and {MOST_NICS:,} NICs" in TEXT


def test_the_metrics_shown_are_of_a_sample():
    [shown] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    written = reporters()["prometheus"].render(slow_link(), RenderOptions()).splitlines()

    assert shown
    assert set(shown.splitlines()) <= set(written)


def test_the_alerts_ask_for_metrics_that_exist():
    [alerts] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    asked = set(re.findall(r"netprobe_\w+", alerts))

    assert asked
    assert asked <= {each.name for each in METRICS}
