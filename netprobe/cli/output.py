"""How a report reaches its reader: width and colour of the terminal there is, or of none."""

import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from netprobe.cli.options import Judging
from netprobe.cli.streams import print_text, tell
from netprobe.contracts import RenderOptions
from netprobe.launch.surroundings import External, detect
from netprobe.model.report import Report
from netprobe.registry import pick, reporters

PLAIN_WIDTH = 80  # a mail from cron, a log, a ticket
WIDEST = 120  # longer lines are harder to read, not easier


def print_report(report: Report, judging: Judging, directory: Path) -> None:
    """Write the report to standard output in the format asked for; ``directory`` is the run's."""
    options = render_options(verbose=judging.verbose)
    problem = print_text(pick("format", reporters(), judging.format).render(report, options))
    if problem is not None:
        tell(f"netprobe: the report could not be printed, {problem}; try: netprobe report {directory}")


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
