"""The report as one page, to look at and to hand around (_document)."""

from typing import Any, Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.exhibits import Exhibits
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._colours import LEVELS, hexadecimal, palette
from netprobe.reporters._document import MARKS, chart_words, counts_of, page_of
from netprobe.reporters._figures import figures_of, notes_on
from netprobe.reporters._gpus import COPIES_NOTE, copy_figures, map_figures
from netprobe.reporters._layers import NOTE, layer_figures
from netprobe.reporters._nccl import nccl_lines
from netprobe.reporters._page_charts import (
    Chart,
    collectives_chart,
    expectation_notes,
    latency_chart,
    spread_rows,
)
from netprobe.reporters._page_maps import map_sections, map_words
from netprobe.reporters._page_tables import (
    counter_section,
    finding_cards,
    gap_lines,
    retests,
    setting_rows,
    stage_rows,
)
from netprobe.reporters._payload import Payload
from netprobe.reporters._wording import (
    devices_of,
    endpoint_of,
    fold,
    gpu_of,
    made_by,
    measured_of,
    scale_of,
    short_name,
)

TEMPLATE: Final = "report.html.j2"
MEANINGS: Final = {
    Verdict.HEALTHY: "everything planned was tested and is within limits",
    Verdict.DEGRADED: "it works, with findings that cost performance or predict failure",
    Verdict.FAULTY: "do not start the job; the culprits are named below",
    Verdict.INCONCLUSIVE: "nothing can be said: a control failed, too little was tested, or measuring ended early",
}
LEGEND_STEPS: Final = 9
ROOM_BYTES: Final = 3_500_000
"""For arrays of maps: with plotly.js and the tables a page stays below 6 MB, which most mails still take."""


def render(report: Report, options: RenderOptions) -> str:
    """Return the page; UnavailableError where jinja2 or plotly is not installed."""
    exhibits = options.exhibits
    charts = _charts(report, exhibits)
    payload = Payload(ROOM_BYTES)
    words = {
        "charts": {name: chart_words(chart) for name, chart in charts.items() if chart is not None},
        **({} if exhibits is None else map_words(exhibits, payload)),
    }
    has_drawings = bool(words["charts"]) or (exhibits is not None and bool(exhibits.maps))
    told = {**_told(report, exhibits), "charts": charts}
    return page_of(TEMPLATE, told, words if has_drawings else {}, payload.blocks)


def _told(report: Report, exhibits: Exhibits | None) -> dict[str, Any]:
    """Return everything that is words or tables."""
    of_gpus = (*map_figures(report), *copy_figures(report, only_slow=False))
    own = [*([NOTE] if report.layers else []), *([COPIES_NOTE] if any(each.copies for each in report.gpus) else [])]
    fitness = fitness_of(report)
    return {
        "report": report,
        "verdict": report.verdict.value,
        "mark": MARKS[report.verdict],
        "meaning": MEANINGS[report.verdict],
        "counts": counts_of(report),
        "run_name": short_name(report.run_id),
        "scale": scale_of(report),
        "made_by": made_by(report),
        "cards": finding_cards(report),
        "undermining": gap_lines([gap for gap in report.gaps if gap.undermines]),
        "gaps": gap_lines([gap for gap in report.gaps if not gap.undermines]),
        "not_tested": gap_lines(report.not_tested),
        "measured": measured_of(report),
        "healthy": fold(fitness.healthy),
        "with_findings": fold(fitness.with_findings),
        "victims": fold(fitness.victims),
        "left_out": fold({host: None for each in report.findings for host in each.hosts}),
        "retests": retests(report),
        "exhibits": exhibits,
        "maps": () if exhibits is None else map_sections(exhibits),
        "spreads": () if exhibits is None else spread_rows(exhibits),
        "expectation_notes": expectation_notes(report, exhibits),
        "counters": None if exhibits is None else counter_section(exhibits),
        "settings": () if exhibits is None else setting_rows(exhibits),
        "stages": () if exhibits is None else stage_rows(exhibits.stages),
        "figures": (*layer_figures(report.layers), *figures_of(report, samples=True), *of_gpus),
        "notes": (*own, *notes_on(report), *devices_of(report), *nccl_lines(report.nccl)),
        "ends": (*map(endpoint_of, report.endpoints), *map(gpu_of, report.gpus)),
        "launched_by": " ".join(report.launch.argv),
        "scale_colours": tuple(
            hexadecimal(palette()[step * (LEVELS - 1) // (LEGEND_STEPS - 1)]) for step in range(LEGEND_STEPS)
        ),
    }


def _charts(report: Report, exhibits: Exhibits | None) -> dict[str, Chart | None]:
    return {
        "latency": None if exhibits is None else latency_chart(exhibits),
        "collectives": collectives_chart(report, exhibits),
    }


REPORTER = Reporter(
    id="html",
    title="one page to look at and to hand around, with maps and curves",
    render=render,
    draws_exhibits=True,
    suffixes=(".html", ".htm"),
)
