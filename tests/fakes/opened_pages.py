"""A page in a browser."""

from contextlib import contextmanager

DEADLINE_MS = 60_000  # a loaded machine is no failure


class Opened:
    """A page in a browser, with what it asked for and what it complained of."""

    def __init__(self, browser, file, *, has_script=True, drawn="html[data-drawn]", **options):
        self.asked, self.complaints = [], []
        self.context = browser.new_context(java_script_enabled=has_script, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(DEADLINE_MS)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(file.as_uri())
        if has_script and drawn:
            self.page.wait_for_selector(drawn, state="attached")

    @contextmanager
    def as_wide_as(self, width):
        """Give the page another width for a while, and wait until it is drawn for that."""
        before = self.page.viewport_size
        self._resize({"width": width, "height": 800})
        try:
            yield self.page
        finally:
            self._resize(before)

    def _resize(self, size):
        self.page.set_viewport_size(size)
        self.page.wait_for_selector(f'html[data-drawn="{size["width"]}"]', state="attached")
