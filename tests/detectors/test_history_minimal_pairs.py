"""Every detector on histories fires, goes quiet a hair apart, and says when it cannot tell."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from detector_scenario import agrees
from history_scenario import history_of, limits_of, load
from test_detectors_minimal_pairs import HAIR, leaves

from netprobe.model.limits import Limits
from netprobe.registry import detectors, history_detectors

HERE = Path(__file__).parent
WITHOUT_GAP = {"recurring"}
"""What was reported was reported: there is nothing that it could not tell."""


def answers_to(id, name):
    scenario = load(HERE / id / f"{name}.toml")
    return scenario, list(history_detectors()[id].detect(history_of(scenario), limits_of(scenario)))


def values_of(id, name):
    parsed = tomllib.loads((HERE / id / f"{name}.toml").read_text())
    return leaves({key: value for key, value in parsed.items() if key != "expect"})


def scenarios():
    return [
        (id, path.stem)
        for id in sorted(history_detectors())
        for path in sorted((HERE / id).glob("*.toml"))
        if path.stem in {"fires", "quiet", "gap"}
    ]


@pytest.mark.parametrize(("id", "name"), scenarios())
def test_a_detector_on_histories_answers_as_its_scenario_expects(id, name):
    scenario, answers = answers_to(id, name)

    assert len(answers) == len(scenario.expect), answers
    for answer, expected in zip(answers, scenario.expect, strict=True):
        assert agrees(answer, expected), answer


@pytest.mark.parametrize("id", sorted(history_detectors()))
def test_it_goes_quiet_by_one_number_that_is_a_hair_away(id):
    _, fired = answers_to(id, "fires")
    _, silent = answers_to(id, "quiet")
    first, second = values_of(id, "fires"), values_of(id, "quiet")

    assert fired
    assert silent == []
    assert first.keys() == second.keys()
    ((a, b),) = [(first[place], second[place]) for place in first if first[place] != second[place]]
    assert type(a) is type(b)
    assert abs(a - b) <= HAIR * max(abs(a), abs(b))


@pytest.mark.parametrize("id", sorted(history_detectors()))
def test_it_has_all_scenarios_and_all_that_explain_prints(id):
    detector = history_detectors()[id]
    wanted = {"fires", "quiet"} | (set() if id in WITHOUT_GAP else {"gap"})

    assert wanted <= {path.stem for path in (HERE / id).glob("*.toml")}
    assert id == detector.id
    assert id not in detectors()
    assert all(len(text.strip()) > 60 for text in (detector.cause, detector.evidence, detector.remedy))
    assert set(detector.limits) <= {each.name for each in fields(Limits)}
