"""The documentation: pages made from the code say what the code says, and the site is whole and fetches nothing."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from docpages.described import described
from docpages.detectors import all_detectors, detector_page
from docpages.metrics import FIGURES, quantities, unit_of
from docpages.pages import generated_pages
from docpages.places import PAGES, elsewhere, relinked
from docpages.prose import inline, prose
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.report import PairSummary
from netprobe.model.series import Metric
from netprobe.store.gpus_table import gpus_schema
from netprobe.store.series_table import series_schema

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("id", sorted(all_detectors()))
def test_a_detectors_page_has_all_that_explain_has(id):
    detector = all_detectors()[id]

    page = detector_page(detector)

    for text in (detector.cause, detector.evidence, detector.remedy):
        assert prose(text) in page
    declared = {each.name: each for each in fields(Limits)}
    for name in detector.limits:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert declared[name].metadata["unit"] in row
        assert inline(declared[name].metadata["reason"]) in row


@pytest.mark.parametrize("id", sorted(all_detectors()))
def test_the_source_that_a_page_names_is_there(id):
    source, cases = re.findall(
        r"`((?:netprobe|tests)/[^`]+)`", detector_page(all_detectors()[id]).split("## Source")[1]
    )

    assert import_module(source.removesuffix(".py").replace("/", ".")).DETECTOR.id == id
    assert (ROOT / cases).is_dir()


def test_every_limit_is_told_with_who_reads_it():
    page = generated_pages()["limits.md"]

    for each in fields(Limits):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{each.name}` |")]
        readers = {id for id, detector in all_detectors().items() if each.name in detector.limits}
        assert set(re.findall(r"\]\(detectors/([a-z-]+)\.md\)", row)) == readers


def test_every_metric_meaning_and_figure_is_told_with_its_unit():
    rows = {
        line.split("|")[1].strip().strip("`"): line
        for line in generated_pages()["metrics.md"].splitlines()
        if "|" in line
    }

    for each in (*Metric, *Meaning):
        assert each.value in rows
    numbers = {name for name, kind in gpus_schema().items() if kind.is_numeric()}
    numbers |= {each.name for record in FIGURES for each in quantities(record)}
    assert numbers <= set(rows)


def test_a_name_that_ends_in_a_unit_has_that_unit():
    names = ("p99_ns", "typical_gbps", "gbps", "celsius_most", "sm_clock_least_mhz")

    assert [unit_of(name) for name in names] == ["ns", "Gb/s", "Gb/s", "°C", "MHz"]
    assert all(unit_of(name) == "ns" for name in series_schema() if name.endswith("_ns"))
    assert unit_of("busbw_gigabytes_per_s") == "GB/s"
    assert unit_of("pairs") == "number"


def test_words_beside_a_field_are_found_below_and_behind_it():
    assert described(Metric)["ROUND_TRIP"] == "there and back; latency is half of it"
    assert described(PairSummary)["typical_gbps"] == "For streaming probes."
    assert described(PairSummary)["pairs"] == ""


@given(st.text(alphabet="ab`*_<>[]|#\\ &"))
def test_nothing_that_stands_in_code_becomes_markup_or_a_column(text):
    told = inline(text)

    outside = re.sub(r"``[^`]+``|`[^`]+`", "", told)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_<>\[\]|#]", outside)


@pytest.mark.parametrize("file", sorted([*PAGES, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]))
def test_a_link_between_files_leads_somewhere_in_the_repository_as_well(file):
    for target in LINK.findall((ROOT / file).read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            assert (ROOT / file).parent.joinpath(target.split("#")[0]).exists(), target


def test_links_that_leave_the_folder_of_a_file_are_those_of_pages_on_the_site():
    assert relinked("[a](../reports/README.md#x)", "docs/history.md") == "[a](format.md#x)"
    assert relinked("[a](../docs/bursts.md)", "reports/README.md") == "[a](bursts.md)"
    assert (
        relinked("[a](docs/scale.md) [b](https://x.org/y.md)", "CONTRIBUTING.md")
        == "[a](scale.md) [b](https://x.org/y.md)"
    )
    assert relinked("[a](../limits.md)", "docs/detectors/mtu.md") == "[a](../limits.md)"
    assert set(elsewhere(ROOT)) == {page for file, page in PAGES.items() if file != "README.md"}


@pytest.fixture(scope="module")
def site(need, tmp_path_factory):
    """The site as ``scripts/docs site`` writes it, which no warning passes."""
    need("docs", importlib.util.find_spec("material") is not None, "mkdocs-material: pip install 'netprobe[docs]'")
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs", "site", "--out", out], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return out


def test_the_site_has_every_page_and_leads_to_each_detector(site):
    listed = (site / "detectors" / "index.html").read_text(encoding="utf-8")

    for id in all_detectors():
        assert (site / "detectors" / f"{id}.html").is_file()
        assert f'href="{id}.html"' in listed
    for path in (ROOT / "docs").glob("*.md"):
        assert (site / f"{path.stem}.html").is_file()


def test_no_page_of_the_site_fetches_anything_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?https?:|<link(?![^>]*canonical)[^>]*href=\"?https?:|url\(https?:|@import"
    )

    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(all_detectors())
    assert [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))] == []
    assert [
        sheet.name for sheet in site.rglob("*.css") if re.search(r"url\([\"']?https?:|@import", sheet.read_text())
    ] == []


def test_a_link_that_leads_nowhere_ends_the_build(need, tmp_path):
    need("docs", importlib.util.find_spec("material") is not None, "mkdocs-material: pip install 'netprobe[docs]'")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](gone.md)")
    (tmp_path / "mkdocs.yml").write_text(
        re.search(r"validation:.*?\n\n", (ROOT / "mkdocs.yml").read_text(), re.DOTALL)[0] + "site_name: x\n"
    )

    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", tmp_path / "mkdocs.yml"],
        capture_output=True,
        check=False,
    )

    assert built.returncode == 1
