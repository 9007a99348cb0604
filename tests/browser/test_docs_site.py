"""The documentation in Chromium, from files: it is drawn, it is searched, and it asks nobody for anything."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from opened_pages import Opened

pytestmark = pytest.mark.browser
SCRIPT = Path(__file__).parents[2] / "scripts" / "docs"


@pytest.fixture(scope="session")
def site(need, tmp_path_factory):
    need("docs", importlib.util.find_spec("material") is not None, "mkdocs-material: pip install 'netprobe[docs]'")
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, SCRIPT, "site", "--out", out], capture_output=True, check=True)
    return out


@pytest.fixture
def opened(chromium, site):
    page = Opened(chromium, site / "index.html", drawn=None)
    yield page
    page.context.close()


def test_it_is_read_and_searched_from_files_alone(opened, site):
    opened.page.locator(".md-search__input").first.click()
    opened.page.locator(".md-search__input").first.press_sequentially("slow-host")
    opened.page.locator(".md-search-result__item a[href*='slow-host']").first.wait_for()

    assert {url for url in opened.asked if not url.startswith((site.as_uri(), "data:", "about:"))} == set()


def test_a_page_of_a_detector_is_two_clicks_away(opened):
    opened.page.goto(opened.page.url.replace("index.html", "detectors/index.html"))
    opened.page.locator("article a", has_text="slow-link").first.click()

    assert opened.page.locator("h1").inner_text().startswith("slow-link")
