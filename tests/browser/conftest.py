"""The browser that opens pages."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium(need):
    """A headless Chromium of this machine; closed with its module, for its event loop is the thread's till then."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    need("browser", found is not None, f"none of {', '.join(NAMES)} is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        need("browser", False, "playwright is not installed: pip install 'netprobe[browser]'")
    # Chromium's own sandbox refuses root, which containers and CI run as.
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=unboxed)
        yield browser
        browser.close()
