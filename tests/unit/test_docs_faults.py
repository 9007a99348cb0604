"""docs/faults.md against the code: no detector without a row, no row that cites a test that is not there."""

import re
from pathlib import Path

import pytest

from netprobe.registry import detectors

ROOT = Path(__file__).parents[2]
FAULTS = (ROOT / "docs/faults.md").read_text()
README = (ROOT / "README.md").read_text()
CITED = sorted(set(re.findall(r"`(test_[a-z_0-9]+|tests/[a-z_/0-9]+)`", FAULTS)))


@pytest.mark.parametrize("id", sorted(detectors()))
def test_every_detector_is_told_of(id):
    assert f"`{id}`" in FAULTS or f"`{id}`" in README


@pytest.mark.parametrize("cited", CITED)
def test_a_test_that_is_cited_is_there(cited):
    place = ROOT / cited
    found = place.is_dir() or any((ROOT / "tests").rglob(f"{place.name}.py"))

    assert found


def test_a_row_that_promises_a_minimal_pair_has_one():
    rows = [line.split("|") for line in FAULTS.splitlines() if "minimal pair" in line and line.startswith("|")]
    promised = {id for row in rows for id in re.findall(r"`([a-z-]+)`", row[3])}

    assert promised
    assert all((ROOT / "tests/detectors" / id / "fires.toml").exists() for id in promised)
