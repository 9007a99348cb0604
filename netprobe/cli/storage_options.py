"""Options of reads from a file system beside all-reduces, and what they mean."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from netprobe.errors import PlanError
from netprobe.plan.storage import StorageWish
from netprobe.units import parse_rate


def _storage(*names: str, **settings: Any) -> Any:  # noqa: ANN401 - what typer.Option takes and returns
    return typer.Option(*names, rich_help_panel="Storage", show_default=False, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Options of reads from a file system beside all-reduces."""

    storage: Annotated[
        str | None,
        _storage(metavar="FILE", help="Read this file on every host beside all-reduces, and alone: who slows whom."),
    ] = None
    storage_rate: Annotated[
        str | None, _storage(help="At which each host reads, as in 2GB/s; as fast as it goes by default.")
    ] = None


def storage_wish_of(reads: Reads) -> StorageWish:
    """Return what options of storage mean; PlanError names the option that means nothing."""
    if reads.storage_rate is None:
        return StorageWish(path=reads.storage)
    try:
        return StorageWish(path=reads.storage, rate_bytes_per_s=parse_rate(reads.storage_rate))
    except ValueError as error:
        raise PlanError(f"--storage-rate: {error}") from error
