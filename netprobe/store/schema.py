"""The JSON schemas of what is written as JSON, made from the records: ``python -m netprobe.store.schema DIR``."""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from netprobe.model.comparison import COMPARISON_FORMAT, ComparisonDocument
from netprobe.model.inventory import INVENTORY_FORMAT, Inventories
from netprobe.model.report import REPORT_FORMAT, Report
from netprobe.model.run import RUN_FORMAT, RunHeader

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def published_schemas() -> dict[str, bytes]:
    """Return the text of each schema file by its name in reports/schema."""
    return {
        f"run-{RUN_FORMAT}.json": _document("run", RUN_FORMAT, RunHeader),
        f"inventory-{INVENTORY_FORMAT}.json": _document("inventory", INVENTORY_FORMAT, Inventories),
        f"report-{REPORT_FORMAT}.json": _document("report", REPORT_FORMAT, Report),
        f"comparison-{COMPARISON_FORMAT}.json": _document("comparison", COMPARISON_FORMAT, ComparisonDocument),
    }


def write_schemas(directory: Path) -> None:
    """Write all schema files of the current formats; those of older formats stay as they are."""
    for name, text in published_schemas().items():
        (directory / name).write_bytes(text)


def _document(what: str, number: int, kind: type[Any]) -> bytes:
    schema = msgspec.json.schema(kind)
    # The root record is where a reader looks for the format, so there it is a fact and not just an integer.
    schema["$defs"][kind.__name__]["properties"]["format"] = {"const": number}
    title = f"netprobe {what}.json, format {number}"
    document = {"$schema": DIALECT, "$id": f"netprobe:{what}-{number}", "title": title, **schema}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
