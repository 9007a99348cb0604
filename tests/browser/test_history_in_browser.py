"""The page of a history in Chromium: drawn, whole without a script, on a telephone, in the dark, and asking nobody."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from history_samples import FACTS, Site, flap, history_from
from opened_pages import Opened

from netprobe.cli.history_page import page
from netprobe.cli.history_text import Shown
from netprobe.history.judge import judge_history
from netprobe.model.limits import Limits
from netprobe.store.history import rows_of_frames

pytestmark = pytest.mark.browser

HOSTILE = '</script><img src=x onerror="window.wasObeyed=1">'


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    upgraded = {**FACTS, f"NIC firmware {HOSTILE}"[:20]: HOSTILE}
    site = Site(
        hosts=4,
        factor={"node03 mlx5_1": lambda night: 0.9 if night >= 41 else 1.0},
        facts_at=lambda night, host: upgraded if night >= 50 else FACTS,
        gone={"node04": 48},
        seen={55: [flap(HOSTILE)]},
    )
    history = history_from(site)
    shown = Shown(trends=history.trends, since=None, every=False)
    file = tmp_path_factory.mktemp("history") / "page.html"
    text = page(judge_history(history, Limits()), history, shown, Limits(), rows_of_frames({}, []))
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def opened(chromium, file):
    return Opened(chromium, file, viewport={"width": 1200, "height": 900})


def test_it_asks_for_nothing_but_itself_and_obeys_no_name(opened, file):
    assert opened.asked == [file.as_uri()]
    assert opened.complaints == []
    assert opened.page.evaluate("window.wasObeyed") is None
    assert HOSTILE in opened.page.locator("#reported").inner_text()


def test_each_trend_is_drawn_with_its_band_and_what_changed(opened):
    drawings = opened.page.locator("figure.drawing .plot")

    assert drawings.count() == 2
    assert drawings.first.locator(".scatterlayer .trace").count() >= 3
    assert drawings.first.locator(".shapelayer path").count() == 1
    assert not opened.page.locator("figure.drawing .still").first.is_visible()


def test_pointing_at_a_night_tells_its_date(opened):
    area = opened.page.locator("figure.drawing .nsewdrag").last
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    label = opened.page.locator("figure.drawing .hoverlayer .hovertext")
    for at in range(1, 40):  # closer than the reach of a pointer, wherever the line is
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * at / 40)
        if label.count():
            break

    label.first.wait_for()
    assert "2026-0" in label.first.text_content()


def test_without_a_script_drawings_and_tables_are_there(chromium, file):
    page = Opened(chromium, file, has_script=False, viewport={"width": 1200, "height": 900}).page

    assert page.locator("figure.drawing svg.chart").first.is_visible()
    assert page.locator(".calendar table").count() == 3
    assert "node03 mlx5_1" in page.locator("#levels").inner_text()


def test_on_a_telephone_nothing_is_wider_than_the_screen(opened):
    with opened.as_wide_as(390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_on_paper_the_nights_are_unfolded_and_still_pictures_stand_in(opened):
    page = opened.page
    page.emulate_media(media="print")
    try:
        assert page.locator(".plot:visible").count() == 0
        assert page.locator("#nights details table").is_visible()
        assert page.locator("figure.drawing svg.chart").first.is_visible()
    finally:
        page.emulate_media(media="screen")
