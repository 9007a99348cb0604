"""How a report reaches its reader: width and colour of the terminal there is, or of none."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from netprobe.cli.options import Judging
from netprobe.cli.streams import print_text, tell
from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError, StoreError
from netprobe.launch.surroundings import External, detect
from netprobe.model.exhibits import Exhibits
from netprobe.model.report import Report
from netprobe.registry import pick, reporters
from netprobe.store.files import write_atomically

PLAIN_WIDTH = 80  # a mail from cron, a log, a ticket
WIDEST = 120  # longer lines are harder to read, not easier
PAGE: Final = "html"
CONSOLE: Final = "console"

Exhibiting = Callable[[], Exhibits]
"""Reads and computes what can be drawn of a run, when a format asks for it; StoreError where it cannot be read."""


def print_report(report: Report, judging: Judging, directory: Path, exhibiting: Exhibiting) -> None:
    """Write the report to standard output in the format asked for; ``directory`` is the run's."""
    text = rendered(report, format_of(judging), render_options(verbose=judging.verbose), exhibiting)
    problem = print_text(text)
    if problem is not None:
        tell(f"netprobe: the report could not be printed, {problem}; try: netprobe report {directory}")


def format_of(judging: Judging, output: Path | None = None) -> str:
    """Return the format that was asked for, else what the name of the file means, else the one for readers."""
    if judging.format is not None:
        return judging.format
    name = "" if output is None else output.name.lower()
    endings = {suffix: each.id for each in reporters().values() for suffix in each.suffixes}
    fitting = max((suffix for suffix in endings if name.endswith(suffix)), key=len, default=None)  # .sarif.json
    return CONSOLE if fitting is None else endings[fitting]


def rendered(report: Report, format: str, options: RenderOptions, exhibiting: Exhibiting) -> str:
    """Return the report in a format, without what single pairs reached where the files of a run cannot be read."""
    reporter = pick("format", reporters(), format)
    if reporter.draws_exhibits:
        try:
            options = replace(options, exhibits=exhibiting())
        except StoreError as error:
            tell(f"netprobe: without maps and curves, or figures of single hosts, as {error}")
    return reporter.render(report, options)


def write_page(report: Report, file: Path | None, exhibiting: Exhibiting) -> None:
    """Write the page where one was asked for; StoreError where the file cannot be written."""
    if file is not None:
        write_report(file, rendered(report, PAGE, RenderOptions(), exhibiting))
        tell(f"page: {file}")


def write_report(file: Path, text: str) -> None:
    """Replace a file with a report in one step; StoreError where it cannot be written."""
    try:
        write_atomically(file, text.encode("utf-8"))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}", remedy="another file") from error


def refuse_output(judging: Judging, output: Path | None = None) -> None:
    """Refuse what would only be noticed after measuring: a mistyped format, no library, no such directory."""
    reporter = pick("format", reporters(), format_of(judging, output))
    if reporter.id == PAGE or judging.html is not None:
        from netprobe.reporters._document import refuse_missing

        refuse_missing()
    if reporter.id == PAGE and output is None and is_readers_terminal(sys.stdout):
        raise PlanError("a page is nothing to read on a terminal", remedy="--html FILE")
    for file in (judging.html, output):
        if file is not None and file.is_dir():
            raise PlanError(f"{file} is a directory", remedy=f"{file / 'report.html'}")
        if file is not None and not file.parent.is_dir():
            raise PlanError(f"{file} cannot be written: there is no directory {file.parent}", remedy="another file")


def render_options(*, verbose: bool) -> RenderOptions:
    """Return how to draw for whoever reads standard output."""
    is_terminal = is_readers_terminal(sys.stdout)
    width = min(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, WIDEST) if is_terminal else PLAIN_WIDTH
    return RenderOptions(width=width, color=is_terminal and not os.environ.get("NO_COLOR"), verbose=verbose)


def print_drawn(text: str) -> None:
    """Write a text to standard output; say so where that is not possible."""
    problem = print_text(text)
    if problem is not None:
        tell(f"netprobe: the text could not be printed, {problem}")


def is_readers_terminal(stream: TextIO | None) -> bool:
    """Whether somebody reads the stream on a terminal that can do more than print lines."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return not isinstance(detect(os.environ), External)  # Open MPI gives rank 0 a terminal of its own, read by nobody
