"""The table of expectations: what is shipped, what a site puts before it, and what is no table."""

import tomllib
from importlib.resources import files

import pytest

from netprobe.errors import PlanError
from netprobe.judge.expectations import load_expectations
from netprobe.model.expectation import Kind
from netprobe.model.plan import Memory, Path

SHIPPED = load_expectations()
ENTRY = {
    "probe": '"bandwidth"',
    "memory": '"host"',
    "payload": '"1M"',
    "line_ratio": "0.9",
    "kind": '"gate"',
    "source": '"us"',
}


def entry(**changes):
    lines = {**ENTRY, **changes}
    return "[[expectation]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)


@pytest.fixture
def site_file(tmp_path):
    def write(text):
        path = tmp_path / "site.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("each", SHIPPED, ids=lambda each: f"{each.source} {each.probe} {each.gpu}")
def test_every_shipped_figure_says_where_it_is_from_and_gives_one_figure(each):
    figures = [each.line_ratio, each.busbw_gigabytes_per_s, each.memory_gigabytes_per_s, each.latency_ns]

    assert each.source
    assert sum(figure is not None for figure in figures) == 1
    assert not each.is_site


def test_every_shipped_figure_of_a_gpu_or_a_collective_names_the_gpu_and_its_memory():
    of_gpus = [each for each in SHIPPED if each.memory is not Memory.HOST]

    assert of_gpus
    assert all(each.gpu for each in of_gpus)
    assert all(each.memory is Memory.DEVICE for each in SHIPPED if each.path is Path.NCCL)


def test_the_shipped_gates_are_those_of_the_sources():
    gates = {
        (each.source, each.gpu, each.link_gbps): each.line_ratio
        for each in SHIPPED
        if each.probe == "bandwidth" and each.memory is Memory.DEVICE
    }

    assert gates == {
        ("Azure/azurehpc-health-checks", "H100", 400): 380 / 400,
        ("Azure/azurehpc-health-checks", "H200", 400): 360 / 400,
        ("Azure/azurehpc-health-checks", "A100", 200): 180 / 200,
        ("oracle-quickstart/oci-hpc", "A100", 100): 96 / 100,
        ("oracle-quickstart/oci-hpc", "MI300X", 400): 350 / 400,
    }


def test_the_document_lists_every_shipped_figure_with_its_source():
    from pathlib import Path as File

    text = (File(__file__).parents[2] / "docs/expectations.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    shipped = tomllib.loads(files("netprobe.judge").joinpath("expectations.toml").read_text())["expectation"]

    for each in shipped:
        figure = (
            each.get("line_ratio")
            or each.get("busbw_gigabytes_per_s")
            or each.get("memory_gigabytes_per_s")
            or each["latency_ns"]
        )
        words = (f"`{each['probe']}`", each["source"], f"{figure}", each["kind"], each["payload"])
        assert any(all(word in row for word in words) for row in rows), each


def test_a_site_goes_before_what_is_shipped_and_leaves_the_rest(site_file):
    table = load_expectations(site_file(entry(line_ratio="0.97")))

    assert (table[0].line_ratio, table[0].is_site, table[0].kind) == (0.97, True, Kind.GATE)
    assert table[1:] == SHIPPED


def test_a_site_that_replaces_the_table_has_its_own_figures_alone(site_file):
    (only,) = load_expectations(site_file("replace = true\n" + entry()))

    assert only.source == "us"


@pytest.mark.parametrize(("text", "left"), [("", SHIPPED), ("replace = false\n", SHIPPED), ("replace = true\n", ())])
def test_a_file_without_entries_changes_nothing_unless_it_replaces(site_file, text, left):
    assert load_expectations(site_file(text)) == left


def test_pairs_go_over_verbs_and_collectives_over_nccl_unless_a_site_says_mpi(site_file):
    collective = {"line_ratio": None, "busbw_gigabytes_per_s": "300", "probe": '"allreduce"'}
    text = entry() + entry(**collective) + entry(**collective, path='"mpi"')

    assert [each.path for each in load_expectations(site_file(text))[:3]] == [Path.VERBS, Path.NCCL, Path.MPI]


BAD = {
    "unknown field": (entry(rack="3"), "expectation 1: Object contains unknown field `rack`"),
    "missing field": (entry(source=None), "expectation 1: Object missing required field `source`"),
    "empty source": (entry(source='""'), "expectation 1: source: Expected `str` of length >= 1"),
    "wrong type": (entry(line_ratio='"much"'), "expectation 1: line_ratio: Expected `float | null`, got `str`"),
    "unknown probe": (entry(probe='"jitter"'), "probe: nothing is expected of 'jitter'"),
    "barrier": (entry(probe='"barrier"'), "probe: nothing is expected of 'barrier'"),
    "unknown memory": (entry(memory='"gpu"'), "memory: Invalid enum value 'gpu'"),
    "unknown kind": (entry(kind='"guess"'), "kind: Invalid enum value 'guess'"),
    "no size": (entry(payload='"large"'), "payload: 'large' is not a size"),
    "size of nothing": (entry(payload="0"), "payload: nothing is moved by 0 bytes"),
    "share above all": (entry(line_ratio="1.02"), "line_ratio: is a share of the line rate, at most 1, not 1.02"),
    "share of nothing": (entry(line_ratio="0.0"), "line_ratio: must be a number above 0"),
    "no number": (entry(line_ratio="nan"), "line_ratio: must be a number above 0, not nan"),
    "infinite link": (entry(link_gbps="inf"), "link_gbps: must be a number above 0, not inf"),
    "no figure": (entry(line_ratio=None), "bandwidth takes one figure, line_ratio, not none"),
    "two figures": (entry(latency_ns="9.0"), "bandwidth takes one figure, line_ratio, not line_ratio and latency_ns"),
    "figure of another": (entry(probe='"latency"'), "latency takes one figure, latency_ns, not line_ratio"),
    "trait of another": (entry(hosts="2"), "hosts means nothing for bandwidth"),
    "share of unknown NICs": (entry(probe='"allreduce"'), "line_ratio: of allreduce needs link_gbps and nics"),
    "pairs over NCCL": (entry(path='"nccl"'), "path: nobody expects anything of bandwidth over nccl"),
    "no queue pair": (entry(queue_pairs="0"), "queue_pairs: Expected `int` >= 1"),
    "same key twice": (entry() + entry(line_ratio="0.8"), "expectation 2 has the key of expectation 1"),
    "key twice in one": (entry() + "line_ratio = 0.8\n", "is no TOML"),
    "unknown at the top": ("replce = true\n", "there is no 'replce' at its top; try: replace"),
    "replace by a word": ('replace = "yes"\n', "replace must be true or false, not 'yes'"),
    "one table": ('[expectation]\nprobe = "latency"\n', "expectation must be a list of tables"),
    "list of words": ('expectation = ["latency"]\n', "expectation 1: Expected `object`, got `str`"),
    "no TOML": ("[[expectation]\n", "is no TOML"),
    "no text": (b"\xff\xfe\x00", "is not text in UTF-8"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_what_is_no_table_is_told_in_one_line_that_names_file_and_entry(site_file, text, says):
    with pytest.raises(PlanError) as caught:
        load_expectations(site_file(text))

    message = str(caught.value)
    assert "site.toml" in message
    assert says in message
    assert "; try: " in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"nowhere\.toml cannot be read"):
        load_expectations(tmp_path / "nowhere.toml")
