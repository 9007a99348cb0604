"""What ``netprobe history --html`` writes: many nights as one page that needs nothing else. Names may be hostile."""

from typing import Any, Final

from netprobe.cli.history_page_nights import months_of, night_rows
from netprobe.cli.history_page_tables import Wanted, change_point_table, change_table, skipped_table, standing_table
from netprobe.cli.history_page_trends import Stretch, trend_sections
from netprobe.cli.history_text import Shown, first_night, scale_of_nights
from netprobe.history.nights import skipped_gaps
from netprobe.model.history import History
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._document import MARKS, chart_words, counts_of, page_of
from netprobe.reporters._page_tables import finding_cards, gap_lines
from netprobe.reporters._wording import made_by
from netprobe.store.history import Rows

TEMPLATE: Final = "history.html.j2"
MOST_NIGHTS: Final = 500
"""On one page; older ones are counted. With MOST_TRENDS and the bounds of the tables a page stays below 6 MB."""
MOST_TRENDS: Final = 30
MOST_CARDS: Final = 100
MEANINGS: Final = {
    Verdict.HEALTHY: "nothing is open, and everybody is at the level of its own nights",
    Verdict.DEGRADED: "something is open, or below the level of its own nights",
    Verdict.FAULTY: "do not start the job; what is open is named below",
    Verdict.INCONCLUSIVE: "too little is known of these nights to say",
}


def page(report: Report, history: History, shown: Shown, limits: Limits, rows: Rows) -> str:
    """Return the page; UnavailableError where jinja2 or plotly is not installed."""
    first = max(first_night(history, shown.since), len(history.nights) - MOST_NIGHTS)
    named = {subject for finding in report.findings for subject in finding.subjects}
    stretch = Stretch(history=history, first=first, limits=limits, named=named, every=shown.host is not None)
    sections = tuple(trend_sections(shown.trends[:MOST_TRENDS], stretch))
    wanted = Wanted(history=history, limits=limits, first=first, trends=shown.trends, host=shown.host)
    told = {
        **_verdict(report, history, rows),
        "host": shown.host,
        "first_label": history.nights[first].label,
        "nights_left": first,
        "months": months_of(history.nights[first:]),
        "nights": tuple(night_rows(history, first)),
        "sections": sections,
        "sections_left": max(len(shown.trends) - MOST_TRENDS, 0),
        "points": change_point_table(wanted),
        "standings": standing_table(wanted),
        "changes": change_table(wanted),
        "skipped": skipped_table(rows.skipped),
        "own_nights": f"{limits.own_nights:g}",
    }
    charts = {each.name: chart_words(each.chart) for each in sections}
    return page_of(TEMPLATE, told, {"charts": charts} if charts else {})


def _verdict(report: Report, history: History, rows: Rows) -> dict[str, Any]:
    cards = finding_cards(report)
    told_by_name = tuple(skipped_gaps(rows))
    gaps = [gap for gap in report.gaps if not gap.undermines]
    return {
        "report": report,
        "verdict": report.verdict.value,
        "mark": MARKS[report.verdict],
        "meaning": MEANINGS[report.verdict],
        "counts": counts_of(report),
        "scale": scale_of_nights(report, history),
        "made_by": made_by(report),
        "cards": cards[:MOST_CARDS],
        "cards_left": max(len(cards) - MOST_CARDS, 0),
        "undermining": gap_lines([gap for gap in report.gaps if gap.undermines]),
        "gaps": gap_lines([gap for gap in gaps if gap not in history.gaps]),
        "left_out": gap_lines([gap for gap in gaps if gap in history.gaps and gap not in told_by_name]),
    }
