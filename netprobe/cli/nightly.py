"""``netprobe nightly``: a check, its history, its page, and a summary that is printed where there is news.

The order makes it safe to kill at any moment: the run is on disk before anything is said of it, and it counts as told
only once the summary was printed. So a night that is cut short is told again by the next one, and none is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.cli.measuring import Audience, measure
from netprobe.cli.nightly_text import Night, summary
from netprobe.cli.options import Judging, Keeping, Where
from netprobe.cli.output import PAGE, PLAIN_WIDTH, rendered, write_report
from netprobe.cli.reading import Judged, bars, exhibited
from netprobe.cli.remembering import made_digest
from netprobe.cli.streams import print_text, tell
from netprobe.cli.unattended import quiet_remark, refuse_ranks
from netprobe.contracts import RenderOptions
from netprobe.errors import NetprobeError, StoreError, UnavailableError
from netprobe.history.judge import judge_history
from netprobe.history.levels import is_judged
from netprobe.history.nights import history_of
from netprobe.history.since import Looked, news_of, standing_of, worst_of
from netprobe.model.limits import Limits
from netprobe.model.nightly import Standing
from netprobe.model.plan import Plan
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode, Verdict
from netprobe.store.acknowledged import read_acknowledged
from netprobe.store.files import PAGE_FILE
from netprobe.store.history import Rows, read_rows, run_directories
from netprobe.store.lock import holder_here, locked
from netprobe.store.nightly import HISTORY_PAGE, HISTORY_TEXT, LOCK, read_told, write_told

if TYPE_CHECKING:
    from netprobe.cli.history_text import Shown

Measuring = Callable[[Audience], int]
"""Measures, hands the judged run to the audience, and returns an exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Where nights are kept, and how they are judged and told."""

    folder: Path
    judging: Judging
    always: bool = False
    """Print the summary also where there is no news."""


def nightly(wish: Wish, plan: Plan, ranks: int | None, where: Where, seed: int | None) -> int:
    """Measure tonight, and tell what is new; the exit code of the worse of the run's verdict and its history's."""
    refuse_ranks("nightly")
    keeping = Keeping(out=wish.folder, seed=seed)
    return one_night(wish, lambda audience: measure(plan, ranks, where, keeping, audience))


def one_night(wish: Wish, measuring: Measuring) -> int:
    """Go through a night, alone in its folder; ``measuring`` is the only step that needs hosts."""
    try:
        wish.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{wish.folder} cannot be made: {error.strerror}", remedy="another --out") from error
    with locked(wish.folder / LOCK, holder_here()):
        taken: list[tuple[Judged, Path]] = []
        audience = Audience(
            judging=wish.judging, take=lambda found, run: taken.append((found, run)), remark=quiet_remark
        )
        code = measuring(audience)
        if not taken:
            tell("netprobe: nightly: nothing was measured, so that there is nothing to tell; it was interrupted")
            return code
        return _told(wish, *taken[0])


def _told(wish: Wish, found: Judged, run: Path) -> int:
    """Look back, print what is new, and note that it was told; return the night's exit code."""
    limits, _ = bars(wish.judging)
    troubles: list[str] = []
    looked, rows = _looked(wish.folder, found, limits, troubles)
    before = _before(wish.folder, troubles)
    report = found.report
    news = news_of(before, standing_of(report, looked, limits), report.hosts)
    drawings = Drawings(
        page=lambda: _page(wish.judging, found, run),
        history=lambda: None if looked is None else _history_text(looked),
        history_page=lambda: None if looked is None or rows is None else _history_page(looked, limits, rows),
    )
    files = _written(wish.folder, run, drawings, troubles)
    night = Night(
        report=report,
        looked=looked,
        news=news,
        limits=limits,
        run=run,
        folder=wish.folder,
        error=found.run.header.error,
        files=files,
        troubles=tuple(troubles),
    )
    if (news.is_news or troubles or wish.always) and (problem := print_text(summary(night))) is not None:
        raise StoreError(f"the summary could not be printed, {problem}", remedy="the next night, which tells it again")
    write_told(wish.folder, news.now)
    if report.run_status is RunStatus.INTERRUPTED:
        return ExitCode.INTERRUPTED
    # A history that cannot be read has not cleared anybody.
    return worst_of((report.verdict, news.now.history or Verdict.INCONCLUSIVE)).exit_code


def _looked(
    folder: Path, found: Judged, limits: Limits, troubles: list[str]
) -> tuple[Looked, Rows] | tuple[None, None]:
    """Return the history with tonight, under the same limits; nothing where it cannot be read."""
    try:
        rows = read_rows(run_directories(folder), made_digest)
        profile = found.report.profile
        history = history_of(rows, profile=profile, acknowledged=read_acknowledged(folder)).history
    except NetprobeError as error:
        troubles.append(str(error))
        return None, None
    return Looked(history=history, report=judge_history(history, limits)), rows


def _before(folder: Path, troubles: list[str]) -> Standing | None:
    """Return what was told last; where that cannot be read, everything is told again."""
    try:
        return read_told(folder)
    except StoreError as error:
        troubles.append(str(error))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawings:
    """What draws each file; None is for one that cannot be drawn."""

    page: Callable[[], str | None]
    history: Callable[[], str | None]
    history_page: Callable[[], str | None]


def _written(folder: Path, run: Path, drawings: Drawings, troubles: list[str]) -> tuple[tuple[str, Path], ...]:
    """Write what there is to read: pages where their libraries are there, and the history as a text."""
    files = []
    for name, file, draw in (
        ("page", run / PAGE_FILE, drawings.page),
        ("history", folder / HISTORY_TEXT, drawings.history),
        ("nights", folder / HISTORY_PAGE, drawings.history_page),
    ):
        try:
            drawn = draw()
            if drawn is not None:
                write_report(file, drawn)
                files.append((name, file))
        except UnavailableError:
            continue  # an extra that nobody has to install
        except StoreError as error:
            troubles.append(str(error))
    return tuple(files)


def _page(judging: Judging, found: Judged, run: Path) -> str:
    from netprobe.reporters._document import refuse_missing

    refuse_missing()  # before what is drawn is worked out
    return rendered(found.report, PAGE, RenderOptions(), partial(exhibited, run, judging, found))


def _history_text(looked: Looked) -> str:
    from netprobe.cli.history_text import drawn

    return drawn(looked.report, looked.history, _shown(looked), RenderOptions(width=PLAIN_WIDTH))


def _history_page(looked: Looked, limits: Limits, rows: Rows) -> str:
    from netprobe.cli.history_page import page

    return page(looked.report, looked.history, _shown(looked), limits, rows)


def _shown(looked: Looked) -> "Shown":
    from netprobe.cli.history_text import Shown

    trends = tuple(each for each in looked.history.trends if is_judged(each))
    return Shown(trends=trends, since=None, every=False)
