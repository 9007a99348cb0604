"""How a report reaches its reader: width and colour of the terminal there is, or of none."""

import os
import shutil
import sys

from netprobe.cli.options import Judging
from netprobe.contracts import RenderOptions
from netprobe.model.report import Report
from netprobe.registry import pick, reporters

PLAIN_WIDTH = 80  # a mail from cron, a log, a ticket
WIDEST = 120  # longer lines are harder to read, not easier


def print_report(report: Report, judging: Judging) -> None:
    """Write the report to standard output in the format asked for."""
    is_terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, WIDEST) if is_terminal else PLAIN_WIDTH
    options = RenderOptions(width=width, color=is_terminal and not os.environ.get("NO_COLOR"), verbose=judging.verbose)
    text = pick("format", reporters(), judging.format).render(report, options)
    # A terminal or log that cannot show µ or – gets a question mark, not a traceback.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
    sys.stdout.flush()
