"""What a run directory holds, against what its log says was measured.

The lab knows netprobe from outside only, so the table of series is opened by the Python of the netprobe that was tried.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from netlab.errors import LabError

_ROWS_BY_STAGE: Final = """
import json, sys, polars
print(json.dumps(dict(polars.read_parquet(sys.argv[1], columns=["stage"]).group_by("stage").len().iter_rows())))
"""


def losses_of(run: Path | None, python: str) -> list[str]:
    """Return what a run lost of its results, a line each; empty when nothing is missing."""
    if run is None or not (run / "report.json").exists():
        return ["there is no report"]
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    header = json.loads((run / "run.json").read_text())
    return losses(events, header["outcomes"], _rows_by_stage(run / "series.parquet", python))


def losses(
    events: Iterable[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]], rows: Mapping[str, int]
) -> list[str]:
    """Compare the finished rounds that a log tells of with the outcomes and the rows of series that were kept."""
    rounds: dict[str, set[int]] = {}
    series: Counter[str] = Counter()
    for event in events:
        if event["kind"] == "round-finished":
            rounds.setdefault(event["stage"], set()).add(event["round_index"])
            series[event["stage"]] += event["series"]
    kept: Counter[str] = Counter()
    for outcome in outcomes:
        kept[outcome["stage"]] += outcome["rounds"]
    short = [
        f"{stage}: {kept[stage]} rounds are kept of {len(each)}"
        for stage, each in rounds.items()
        if kept[stage] < len(each)  # more is no loss: rounds that a halt cost are in a stage's count, not in the log
    ]
    wrong = [
        f"{stage}: {rows.get(stage, 0)} rows of series are kept of {series[stage]}"
        for stage in sorted(series.keys() | rows.keys())
        if rows.get(stage, 0) != series[stage]
    ]
    return short + wrong


def python_of(netprobe: str) -> str:
    """Return the Python that a netprobe runs under: the one beside it, or the one that its first line names."""
    program = Path(netprobe).resolve()
    beside = program.with_name("python")
    if beside.exists():
        return str(beside)
    with program.open("rb") as file:
        first = file.readline().decode(errors="replace")
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    named = next((word for word in words if "python" in Path(word).name), None)
    if named is None:
        raise LabError(f"{program} does not say which Python it runs under", remedy="--netprobe .venvs/…/bin/netprobe")
    return named


def _rows_by_stage(table: Path, python: str) -> dict[str, int]:
    """Return the rows of each stage; none of a table that is missing or cannot be read."""
    asked = subprocess.run((python, "-c", _ROWS_BY_STAGE, str(table)), capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        found: dict[str, int] = json.loads(asked.stdout)
        return found
    if "ModuleNotFoundError" in asked.stderr:
        raise LabError(f"{python} has no polars", remedy="--netprobe with the program of a whole installation")
    return {}
