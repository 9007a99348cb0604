"""What datagrams tell: hosts and paths that lose, MTUs that are too small on the way, NICs without stamps."""

import pytest
from detector_scenario import findings, gaps

HOSTS = ("node1", "node2", "node3", "node4", "node5")


def scenario(*lines, hosts=HOSTS, blocks=""):
    names = ", ".join(f'"{host}"' for host in hosts)
    base = f"""hosts = [{names}]
[[nics]]
name = "mlx5_0"
[[endpoints]]
[[pairs]]
probe = "latency"
size = "8"
us = 2.0
path = "verbs"
"""
    return base + "".join(lines) + blocks


def datagrams(size=64, *lost, more=""):
    return f"[[datagrams]]\nsize = {size}\nlost = [{', '.join(lost)}]\n{more}\n"


def lost(what, count):
    return f"{{ {what}, count = {count} }}"


def loss(*lines, **options):
    return findings("packet-loss", scenario(*lines, **options))


@pytest.mark.parametrize(("role", "words"), [("from", "what it sends (tx)"), ("to", "what it should receive (rx)")])
def test_a_host_that_loses_with_everybody_is_named_in_its_role(role, words):
    (found,) = loss(datagrams(64, lost(f'{role} = "node2"', 3)))

    assert (found.subjects, found.hosts, found.confidence) == (("node2",), ("node2",), "high")
    assert words in found.summary
    assert "12 of 4,000 datagrams" in found.summary
    assert found.retest.startswith("netprobe run reach --transport verbs --hosts node2,")


def test_two_lost_datagrams_of_a_direction_are_a_hiccup():
    assert loss(datagrams(64, lost('from = "node2"', 2))) == []


def test_a_direction_that_nothing_else_explains_is_a_path():
    (found,) = loss(datagrams(64, lost('from = "node2", to = "node4"', 9)))

    assert (found.subjects, found.hosts, found.severity) == (("node2 -> node4",), (), "blocks")


def test_two_groups_that_lose_with_each_other_are_joined_badly():
    between = [
        lost(f'between = ["{a}", "{b}"]', 20) for a in ("node1", "node3") for b in ("node2", "node4")
    ]  # fmt: skip

    (found,) = loss(datagrams(64, *between), hosts=HOSTS[:4])

    assert found.hosts == ()
    assert "on all ways between these hosts" in found.summary


def test_a_pair_that_could_not_go_on_is_told_of_by_rdma_failure_alone():
    failed = '[[failures]]\nbetween = ["node2", "node4"]\n'

    assert loss(datagrams(64, lost('between = ["node2", "node4"]', 900)), blocks=failed) == []


def nic_counts(missing):
    return f"""
[[counted]]
span = "rounds"
grown = {{ "rdma-sent-packets" = 9e5, "rdma-received-packets" = 9e5, "out-of-sequence" = 0 }}
[[counted]]
span = "rounds"
grown = {{ "sequence-nak" = 0, "ack-timeout" = 0 }}
[[counted]]
span = "rounds"
on = ["node2"]
grown = {{ "sequence-nak" = {missing}, "ack-timeout" = {missing} }}
"""


def test_what_the_nics_have_named_is_not_named_again():
    told = loss(datagrams(64, lost('from = "node2"', 50)), blocks=nic_counts(400))
    alone = loss(datagrams(64, lost('from = "node2"', 50)), blocks=nic_counts(0))

    assert [found.subjects for found in told] == [("node2 mlx5_0",)]
    assert [found.subjects for found in alone] == [("node2",)]


def black_hole(count, small=0, between='from = "node2"'):
    return scenario(datagrams(64, lost(between, small)), datagrams(4096, lost(between, count)))


def test_large_ones_that_all_vanish_are_an_mtu_and_no_loss():
    text = black_hole(1000)

    (found,) = findings("rdma-failure", text)
    assert (found.subjects, found.severity, found.confidence) == (("node2",), "blocks", "high")
    assert "datagrams of 64 B arrive, of 4096 B do not: the MTU on the way is smaller" in found.summary
    assert "PFC" not in found.summary + found.next_action
    assert "MTU of every switch port" in found.next_action
    assert findings("packet-loss", text) == []


def test_large_ones_of_which_one_arrives_are_a_loss_and_no_mtu():
    text = black_hole(999)

    assert findings("rdma-failure", text) == []
    assert [found.subjects for found in findings("packet-loss", text)] == [("node2",)]


def test_what_loses_small_ones_as_well_is_no_mtu():
    text = black_hole(1000, small=600)

    assert findings("rdma-failure", text) == []
    assert [found.subjects for found in findings("packet-loss", text)] == [("node2",)]


def test_an_mtu_on_the_way_explains_connections_that_stand_still():
    silent = '[[failures]]\non = "node2"\nphase = "later"\ncause = { waited_ns = 3000000000, after_messages = 40 }\n'

    (found,) = findings("rdma-failure", black_hole(1000) + silent)
    (unexplained,) = findings("rdma-failure", scenario(datagrams(64), blocks=silent))

    assert found.subjects == unexplained.subjects == ("node2",)
    assert "the MTU on the way" in found.summary
    assert "PFC" not in found.next_action
    assert "PFC" in unexplained.next_action


def test_a_pair_with_a_small_mtu_between_is_named_by_both_ends():
    (found,) = findings("rdma-failure", black_hole(1000, between='between = ["node2", "node4"]'))

    assert (found.subjects, found.hosts) == (("node2 <-> node4",), ())


def stamps(line):
    return [gap.reason for gap in gaps("coverage", scenario(datagrams(64, more=line))) if "wire" in gap.reason]


def test_nics_that_stamp_nothing_are_told_once_and_by_host_where_some_do():
    assert stamps("") == []
    assert stamps("stamped = false") == [
        "time on the wire cannot be told from time in hosts: the NICs do not stamp completions"
    ]
    assert stamps("stamped_odd = { node2 = false, node3 = false }") == [
        "time on the wire cannot be told from time in hosts: the NICs of node2, node3 do not stamp completions"
    ]


@pytest.mark.parametrize(("between", "is_explained"), [(["node1", "node3", "node4"], True), (["node1"], False)])
def test_an_mtu_that_most_pairs_of_a_host_have_seen_explains_the_rest(between, is_explained):
    seen = [lost(f'between = ["node2", "{other}"]', 1000) for other in between]
    failed = '[[failures]]\non = "node2"\nphase = "later"\ncause = { status = "RETRY_EXC_ERR", after_messages = 40 }\n'

    found = findings("rdma-failure", scenario(datagrams(64), datagrams(4096, *seen), blocks=failed))

    assert [each.subjects for each in found] == [("node2",)]
    assert ("the MTU on the way" in found[0].summary) is is_explained
