"""Pages in Chromium: drawn by the script, whole without it, in the dark, on paper, and asking nobody for anything.

One browser and one page for all that only look at it: starting either takes longer than looking.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from exhibit_samples import exhibits, hostile_report
from opened_pages import Opened
from sample_reports import slow_link

from netprobe.contracts import RenderOptions
from netprobe.registry import reporters

pytestmark = pytest.mark.browser

HOSTILE = '</script><img src=x onerror="window.wasObeyed=1"><a href="javascript:window.wasObeyed=1">{}'


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("page") / "page.html", slow_link(), exhibits(hosts=14))


def written(file, given_report, drawn):
    file.write_text(reporters()["html"].render(given_report, RenderOptions(exhibits=drawn)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def lasting(chromium, file):
    return Opened(chromium, file, viewport={"width": 1200, "height": 900})


@pytest.fixture
def opened(lasting):
    """The page as it is at first, whatever other tests have pressed."""
    for group in (".tabs", ".views"):
        lasting.page.locator(f"{group} button").first.click()
    return lasting


def test_a_page_asks_for_nothing_but_itself_and_complains_of_nothing(opened, file):
    assert opened.asked == [file.as_uri()]
    assert opened.complaints == []


def test_maps_and_curves_are_drawn_in_the_place_of_pictures(opened):
    page = opened.page

    assert page.locator("figure.map:not(.aside) .plot .heatmaplayer image").count() == 1
    assert page.locator("figure.drawing .plot .scatterlayer .trace").count() >= 2
    assert not page.locator("figure.map .picture").first.is_visible()


def test_pointing_at_a_cell_tells_both_ways_of_its_pair(opened):
    page = opened.page
    area = page.locator("figure.map:not(.aside) .nsewdrag").first.bounding_box()
    cell = area["width"] / 14

    page.mouse.move(area["x"] + 0.5 * cell, area["y"] + 2.4 * cell)
    page.mouse.move(area["x"] + 0.5 * cell, area["y"] + 2.5 * cell)

    told = page.locator("figure.map:not(.aside) .readout")
    told.filter(has_text="host2 → host0: 120 Gb/s (32 % of typical); the way back 380 Gb/s").wait_for()


def test_every_figure_can_be_looked_at_by_host_and_by_nic(opened):
    page = opened.page
    for tab in page.locator(".tabs button").all():
        tab.click()
        for view in page.locator(".views button").all():
            view.click()
            page.locator("figure.map:not(.aside) .heatmaplayer image").wait_for(state="attached")

    assert page.locator(".views button").all_inner_texts() == ["host by host", "every NIC, by host"]
    assert page.locator("figure.map:not(.aside)").count() == 1
    assert opened.complaints == []


def test_a_page_that_is_made_narrow_is_drawn_anew_for_a_telephone(opened):
    with opened.as_wide_as(390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_a_script_everything_is_there_in_words_and_pictures(chromium, file):
    page = Opened(chromium, file, has_script=False, viewport={"width": 1200, "height": 900}).page

    assert page.locator("figure.map .picture").count() == 3
    assert all(picture.is_visible() for picture in page.locator("figure.map .picture").all())
    assert page.locator("figure.drawing svg.chart").first.is_visible()
    assert not page.locator(".tabs").is_visible()
    assert "slow-link" in page.locator("#findings").inner_text()


def test_on_paper_pictures_stand_in_for_drawings_and_nothing_is_folded_away(opened):
    page = opened.page
    page.emulate_media(media="print")
    try:
        assert page.locator("figure.map .picture:visible").count() == 3
        assert page.locator(".plot:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        page.emulate_media(media="screen")


def test_in_the_dark_words_are_light_on_dark(opened):
    page = opened.page
    page.emulate_media(color_scheme="dark")
    try:
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
    finally:
        page.emulate_media(color_scheme="light")

    assert brightness(ink) > 200 > 60 > brightness(paper)


def brightness(colour):
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3


def test_hostile_names_are_shown_and_not_obeyed_in_drawings_either(chromium, tmp_path):
    drawn = exhibits(hosts=14, name=HOSTILE)
    opened = Opened(chromium, written(tmp_path / "page.html", hostile_report(HOSTILE.format(0)), drawn))

    page = opened.page
    page.locator(".xaxislayer-above text").first.wait_for(state="attached")

    assert page.locator(".xaxislayer-above text").first.text_content().startswith("</script>")
    assert page.locator(".plot a").count() == 0
    assert page.evaluate("window.wasObeyed") is None
    assert len(opened.asked) == 1
    assert opened.complaints == []
