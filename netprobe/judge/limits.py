"""A site's own limits: a TOML file of ``name = number`` lines, with the names of model.limits.Limits."""

import math
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.limits import Limits
from netprobe.registry import suggestion

SHARES: Final = frozenset(
    {"pair_loss_ratio", "host_loss_ratio", "host_block_ratio", "asymmetry_ratio", "coverage_ratio"}
)
"""Limits that are a part of a whole: nothing can lose more than all of it."""


def load_limits(path: Path) -> Limits:
    """Return the shipped limits with those of the file put over them; PlanError that names file and key."""
    known = tuple(each.name for each in fields(Limits))
    overrides: dict[str, float] = {}
    for key, value in _parsed(path, _text_of(path)).items():
        if key not in known:
            raise PlanError(f"{path}: there is no limit called {key!r}", remedy=suggestion(key, known))
        overrides[key] = _checked(path, key, value)
    return replace(Limits(), **overrides)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not text in UTF-8", remedy="a TOML file of name = number lines") from error
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}", remedy="the path of a TOML file") from error


def _parsed(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PlanError(f"{path} is no TOML: {error}", remedy="lines such as host_loss_ratio = 0.05") from error


def _checked(path: Path, key: str, value: object) -> float:
    example = f"{key} = {getattr(Limits(), key)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"{path}: {key} must be a number, not {value!r}", remedy=example)
    if not math.isfinite(value) or value < 0:
        raise PlanError(f"{path}: {key} must be a number from 0 upwards, not {value}", remedy=example)
    if key in SHARES and value > 1:
        raise PlanError(f"{path}: {key} is a share, from 0 to 1, not {value}", remedy=example)
    return float(value)
