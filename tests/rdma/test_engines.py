"""Native verbs and rdma-core's own bindings agree, with each other and on the same wire, and see the same devices."""

import json

import pytest

ENGINES = ("native", "pyverbs")
SERIES = ("pingpong", "stream", "stream back", "exchange")
TOLD_BY_VERBS = ("device", "port", "link_layer", "state", "netdev", "node_guid", "gids")


@pytest.fixture(scope="module")
def rows(guest_results):
    """Return what both ranks found of every series."""
    scenario = guest_results("65-engines")
    return [row | {"rank": rank} for rank in (0, 1) for row in json.loads(scenario.text(f"rank{rank}.json"))]


@pytest.mark.parametrize("first", ENGINES)
@pytest.mark.parametrize("second", ENGINES)
@pytest.mark.parametrize("operation", ["send", "write", "write-imm", "read"])
def test_every_byte_arrives_whichever_engine_is_at_either_end(rows, first, second, operation):
    moved = [row for row in rows if row["engines"] == [first, second] and row["operation"] == operation]

    assert [row for row in moved if "failed" in row or not row["is_right"]] == []
    assert {(row["rank"], row["size_bytes"], row["series"]) for row in moved} == {
        (rank, size, series) for rank in (0, 1) for size in (1, 8, 4096, 65536) for series in SERIES
    }


@pytest.mark.parametrize("first", ENGINES)
@pytest.mark.parametrize("second", ENGINES)
def test_atomics_add_up_whichever_engine_is_at_either_end(rows, first, second):
    moved = [row for row in rows if row["engines"] == [first, second] and row["operation"] == "atomic"]

    assert [row for row in moved if "failed" in row or not row["is_right"]] == []
    assert len(moved) == 2 * 3


def test_whoever_starts_is_timed(rows):
    started = [row for row in rows if row.get("series") == "pingpong" and row["rank"] == 0]

    assert started and all(row["is_timed"] for row in started)


@pytest.mark.parametrize("rank", [0, 1])
def test_pyverbs_and_the_kernels_files_tell_the_same_of_devices(guest_results, rank):
    found = json.loads(guest_results("65-engines").text(f"devices{rank}.json"))

    by_verbs = [{name: seen["port"][name] for name in TOLD_BY_VERBS} for seen in found["pyverbs"]]
    by_kernel = [{name: port[name] for name in TOLD_BY_VERBS} for port in found["kernel"]]

    assert by_verbs == by_kernel and len(by_verbs) == 1
    assert found["pyverbs"][0]["active_mtu_bytes"] == 4096
