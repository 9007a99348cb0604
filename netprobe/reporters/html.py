"""The report as one page that needs nothing else: no network, no server, and without a script it is still whole.

Everything is there as words, tables and pictures; a script, where it runs, puts drawings that can be searched in the
place of pictures. plotly.js comes compressed, which makes of 4.8 MB less than 2, and a Content-Security-Policy lets
the two scripts run that are named by their hashes, and nothing else; nothing is ever fetched.

Names and messages from other machines are escaped by the template, and never part of a script: they are in a block of
base64 that the script reads, and that cannot end it.
"""

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.errors import UnavailableError
from netprobe.locate.fitness import fitness_of
from netprobe.model.exhibits import Exhibits
from netprobe.model.finding import Severity
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._colours import LEVELS, hexadecimal, palette
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
from netprobe.reporters._payload import Payload, compressed, packed_words
from netprobe.reporters._svg import Scale
from netprobe.reporters._wording import (
    counted,
    devices_of,
    endpoint_of,
    fold,
    gpu_of,
    made_by,
    measured_of,
    scale_of,
    short_name,
    visible,
)

if TYPE_CHECKING:
    import jinja2

NEEDED: Final = "pip install 'netprobe[html]'"
TEMPLATE: Final = "report.html.j2"
SCRIPT: Final = "report.js"
STYLE: Final = "report.css"
MARKS: Final = {Verdict.HEALTHY: "✔", Verdict.DEGRADED: "▲", Verdict.FAULTY: "✖", Verdict.INCONCLUSIVE: "?"}
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
    refuse_missing()
    exhibits = options.exhibits
    charts = _charts(report, exhibits)
    payload = Payload(ROOM_BYTES)
    words = {
        "charts": {name: _chart_words(chart) for name, chart in charts.items() if chart is not None},
        **({} if exhibits is None else map_words(exhibits, payload)),
    }
    has_drawings = bool(words["charts"]) or (exhibits is not None and bool(exhibits.maps))
    script = _text_of(SCRIPT)
    library = _plotly() if has_drawings else ""
    page = _environment().get_template(TEMPLATE).render(
        **_told(report, exhibits),
        charts=charts,
        style=_text_of(STYLE),
        script=script,
        policy=_policy([script, library] if has_drawings else []),
        has_drawings=has_drawings,
        library=_compressed_library() if has_drawings else "",
        words=packed_words(words) if has_drawings else "",
        blocks=payload.blocks,
    )  # fmt: skip
    return page.rstrip("\n") + "\n"


def refuse_missing() -> None:
    """Raise UnavailableError, with what to install, where a page cannot be made."""
    try:
        import jinja2  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise UnavailableError(f"a page needs {error.name}, which is not installed", remedy=NEEDED) from error


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
        "counts": _counts(report),
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


def _counts(report: Report) -> tuple[tuple[str, str], ...]:
    """Return how many findings of each severity there are, in words."""
    told = [(severity, sum(each.severity is severity for each in report.findings)) for severity in Severity]
    return tuple(
        (severity.value, f"{counted(count, 'finding')} {_verb(severity, count)}") for severity, count in told if count
    )


def _verb(severity: Severity, count: int) -> str:
    plural = {Severity.BLOCKS: "block", Severity.DEGRADES: "degrade", Severity.WARNS: "warn"}[severity]
    return severity.value if count == 1 else plural


def _charts(report: Report, exhibits: Exhibits | None) -> dict[str, Chart | None]:
    return {
        "latency": None if exhibits is None else latency_chart(exhibits),
        "collectives": collectives_chart(report, exhibits),
    }


def _chart_words(chart: Chart) -> dict[str, Any]:
    return {
        "lines": [
            {"name": visible(line.name), "x": line.x, "y": line.y, "expected": line.is_expected} for line in chart.lines
        ],
        "across": _axis_words(chart.across),
        "up": _axis_words(chart.up),
    }


def _axis_words(scale: Scale) -> dict[str, Any]:
    return {"title": scale.title, "ticks": scale.ticks, "log": scale.is_log}


def _policy(scripts: list[str]) -> str:
    """Return what a browser may do: run these scripts, and nothing that leaves the page."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _environment() -> "jinja2.Environment":
    import jinja2

    def shown(value: object) -> object:
        """Make a word of another machine visible; what is already markup is our own."""
        return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_text_of),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text_of(name: str) -> str:
    return (_folder() / name).read_text(encoding="utf-8")


def _folder() -> Path:
    """Return where the template is: beside the package in a checkout, inside it once installed."""
    checkout = Path(__file__).parents[2] / "reports" / "html"
    return checkout if checkout.is_dir() else Path(str(resources.files("netprobe.reports"))) / "html"


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _compressed_library() -> str:
    return compressed(_plotly().encode("utf-8"))


REPORTER = Reporter(
    id="html",
    title="one page to look at and to hand around, with maps and curves",
    render=render,
    draws_exhibits=True,
    suffixes=(".html", ".htm"),
)
