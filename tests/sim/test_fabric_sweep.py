"""Every fault that netprobe measures, once on 8 NICs and some on 64: found, and nobody who is well is blamed.

scripts/accuracy does the same with many seeds and larger fabrics, and writes docs/accuracy.md.
"""

import zlib
from pathlib import Path

import pytest

from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.plan.profiles import plan_for
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.faults import read_faults
from netprobe.sim.night import night
from netprobe.sim.score import scored

FILES = [read_faults(path) for path in sorted((Path(__file__).parent / "faults").glob("*.toml"))]
EXERCISED = [file for file in FILES if file.is_exercised]
OPEN = frozenset({"F28"})
"""Of which docs/accuracy.md says that some are missed."""
ON_64 = ("F01", "F05", "F09", "F31", "F38", "F41")


def played(file, nics):
    seed = zlib.crc32(f"{file.fault} {nics} 0".encode())
    run, injected = night(fabric_of(default_topology(nics)), [file], plan_for("pretrain"), seed)
    return scored(judge(run, Limits()), injected)


@pytest.mark.parametrize("file", [each for each in EXERCISED if each.fault not in OPEN], ids=lambda file: file.fault)
def test_a_fault_among_8_nics_is_found_and_no_host_that_is_well_is_blamed(file):
    result = played(file, 8)

    assert all(score.is_found and score.is_right_cause for score in result.scores)
    assert result.victims == ()


@pytest.mark.parametrize("file", [each for each in EXERCISED if each.fault in ON_64], ids=lambda file: file.fault)
def test_a_fault_among_64_nics_is_named_first(file):
    result = played(file, 64)

    assert all(score.is_found and score.is_first and score.is_right_cause for score in result.scores)
    assert (result.victims, result.false_alarms) == ((), ())


@pytest.mark.parametrize("file", [each for each in EXERCISED if each.fault in OPEN], ids=lambda file: file.fault)
def test_a_fault_that_is_missed_today_is_played_and_judged_all_the_same(file):
    assert len(played(file, 8).scores) == 1
