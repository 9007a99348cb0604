"""A page that needs nothing else: no network, no server, and without a script it is still whole.

Everything is there as words, tables and pictures; a script, where it runs, puts drawings that can be searched in the
place of pictures. plotly.js comes compressed, which makes of 4.8 MB less than 2, and a Content-Security-Policy lets
the two scripts run that are named by their hashes, and nothing else; nothing is ever fetched.

Names and messages from other machines are escaped by the template, and never part of a script: they are in a block of
base64 that the script reads, and that cannot end it.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netprobe.errors import UnavailableError
from netprobe.model.finding import Severity
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._page_charts import Chart
from netprobe.reporters._payload import compressed, packed_words
from netprobe.reporters._svg import Scale
from netprobe.reporters._wording import counted, visible

if TYPE_CHECKING:
    import jinja2

NEEDED: Final = "pip install 'netprobe[html]'"
SCRIPT: Final = "report.js"
STYLE: Final = "report.css"
MARKS: Final = {Verdict.HEALTHY: "✔", Verdict.DEGRADED: "▲", Verdict.FAULTY: "✖", Verdict.INCONCLUSIVE: "?"}


def page_of(template: str, told: Mapping[str, Any], drawings: Mapping[str, Any], blocks: Sequence[str] = ()) -> str:
    """Return a page; UnavailableError where jinja2 or plotly is not installed.

    ``told`` is what the template says; ``drawings`` what the script draws, empty where that is nothing; ``blocks`` are
    the arrays of these.
    """
    refuse_missing()
    script = _text_of(SCRIPT)
    library = _plotly() if drawings else ""
    page = _environment().get_template(template).render(
        **told,
        style=_text_of(STYLE),
        script=script,
        policy=_policy([script, library] if drawings else []),
        has_drawings=bool(drawings),
        library=_compressed_library() if drawings else "",
        words=packed_words(dict(drawings)) if drawings else "",
        blocks=blocks,
    )  # fmt: skip
    return page.rstrip("\n") + "\n"


def refuse_missing() -> None:
    """Raise UnavailableError, with what to install, where a page cannot be made."""
    try:
        import jinja2  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise UnavailableError(f"a page needs {error.name}, which is not installed", remedy=NEEDED) from error


def counts_of(report: Report) -> tuple[tuple[str, str], ...]:
    """Return how many findings of each severity there are, in words."""
    told = [(severity, sum(each.severity is severity for each in report.findings)) for severity in Severity]
    return tuple(
        (severity.value, f"{counted(count, 'finding')} {_verb(severity, count)}") for severity, count in told if count
    )


def _verb(severity: Severity, count: int) -> str:
    plural = {Severity.BLOCKS: "block", Severity.DEGRADES: "degrade", Severity.WARNS: "warn"}[severity]
    return severity.value if count == 1 else plural


def chart_words(chart: Chart) -> dict[str, Any]:
    """Return what the script draws a chart from."""
    return {
        "lines": [
            {"name": visible(line.name), "x": line.x, "y": _known(line.y), "expected": line.is_expected}
            for line in chart.lines
        ],
        "across": _axis_words(chart.across),
        "up": _axis_words(chart.up),
        "outlines": chart.behind.outlines,
        "marks": [(place, visible(text)) for place, text in chart.behind.marks],
        "labels": [visible(label) for label in chart.labels],
    }


def _known(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


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
