"""Every detector fires, goes quiet and says when it cannot tell; the first two a hair apart.

Numbers differ by a hair. What is a word (the fate of a host) or a yes or no is either the same or another: there it is
one word.
"""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from detector_scenario import agrees, evidence_of, limits_of, load

from netprobe.model.finding import Finding
from netprobe.model.limits import Limits
from netprobe.registry import detectors, history_detectors

HERE = Path(__file__).parent
HAIR = 0.1
"""The largest distance between the numbers of a minimal pair, as a share of the larger one."""


def answers_to(path):
    scenario = load(path)
    detector = detectors()[path.parent.name]
    return scenario, list(detector.detect(evidence_of(scenario), limits_of(scenario)))


def leaves(value, place=()):
    if isinstance(value, dict):
        return {key: leaf for name, each in value.items() for key, leaf in leaves(each, (*place, name)).items()}
    if isinstance(value, list):
        return {key: leaf for index, each in enumerate(value) for key, leaf in leaves(each, (*place, index)).items()}
    return {place: value}


def is_word(value):
    return isinstance(value, str | bool)


def values_of(path):
    parsed = tomllib.loads(path.read_text())
    return leaves({name: value for name, value in parsed.items() if name != "expect"})


@pytest.mark.parametrize("id", sorted(detectors()))
@pytest.mark.parametrize("name", ["fires", "quiet", "gap"])
def test_a_detector_answers_as_its_scenario_expects(id, name):
    scenario, answers = answers_to(HERE / id / f"{name}.toml")

    assert len(answers) == len(scenario.expect), answers
    for answer, expected in zip(answers, scenario.expect, strict=True):
        assert agrees(answer, expected), answer


@pytest.mark.parametrize("id", sorted(detectors()))
def test_fires_finds_something_and_quiet_finds_nothing_and_they_differ_in_one_number_or_one_word(id):
    _, fired = answers_to(HERE / id / "fires.toml")
    _, silent = answers_to(HERE / id / "quiet.toml")
    first, second = values_of(HERE / id / "fires.toml"), values_of(HERE / id / "quiet.toml")

    assert fired
    assert all(isinstance(answer, Finding) or answer.undermines for answer in fired)
    assert silent == []
    assert first.keys() == second.keys()
    changed = [(first[place], second[place]) for place in first if first[place] != second[place]]
    assert len(changed) == 1
    a, b = changed[0]
    assert type(a) is type(b)
    assert id == "corruption" or is_word(a) or abs(a - b) <= HAIR * max(abs(a), abs(b))


@pytest.mark.parametrize("id", sorted(detectors()))
def test_what_explain_prints_is_there(id):
    detector = detectors()[id]

    assert id == detector.id
    assert all(len(text.strip()) > 60 for text in (detector.cause, detector.evidence, detector.remedy))
    assert detector.title
    assert set(detector.limits) <= {each.name for each in fields(Limits)}


def test_every_limit_is_read_by_some_detector():
    told = (*detectors().values(), *history_detectors().values())
    read = {name for detector in told for name in detector.limits}

    assert read == {each.name for each in fields(Limits)}


def test_every_folder_of_scenarios_belongs_to_a_detector():
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == {*detectors(), *history_detectors()}
