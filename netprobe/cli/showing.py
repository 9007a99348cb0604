"""``netprobe show``: maps of pairs and distributions of latency on a terminal, from a run directory alone."""

import sys
from pathlib import Path
from typing import Final

from netprobe.cli.options import Judging
from netprobe.cli.output import print_drawn, render_options
from netprobe.cli.reading import exhibited
from netprobe.errors import PlanError
from netprobe.model.exhibits import Exhibits, Figure
from netprobe.model.verdict import ExitCode
from netprobe.registry import suggestion
from netprobe.reporters._sparkline import BARS, PLAIN_BARS

TAILS: Final = "tails"


def show_run(directory: Path, what: str | None, by: str | None) -> int:
    """Print what was asked for, and return 0: this shows what was measured, and judges nothing."""
    known = (*(figure.value for figure in Figure), TAILS)
    if what is not None and what not in known:
        raise PlanError(f"there is nothing called {what!r} to show", remedy=suggestion(what, known))
    if what == TAILS and by is not None:
        raise PlanError("--by says what rows and columns of a map are, and tails have none", remedy="without --by")
    print_drawn(_drawn(exhibited(directory, Judging(), None), what, by))
    return ExitCode.HEALTHY


def _drawn(exhibits: Exhibits, what: str | None, by: str | None) -> str:
    from netprobe.reporters._terminal_maps import terminal_maps, terminal_tails

    parts = []
    if what != TAILS:
        figures = tuple(Figure) if what is None else (Figure(what),)
        parts.append(terminal_maps(exhibits, figures, by, render_options(verbose=False)))
    if what in (TAILS, None):
        parts.append(terminal_tails(exhibits, bars=_bars()))
    return "\n".join(parts)


def _bars() -> str:
    """Return bars that standard output can show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN_BARS
    return BARS
