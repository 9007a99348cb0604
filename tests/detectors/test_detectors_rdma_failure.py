"""Pairs that cannot go on over RDMA: who is named, what is said of it, and what both ends have that cannot meet."""

import pytest
from detector_scenario import findings, gaps

HOSTS = ("node1", "node2", "node3", "node4")


def scenario(*blocks, hosts=HOSTS, mpi=True):
    over = "".join(
        f"""
[[pairs]]
probe = "latency"
size = "8"
us = 2.0
path = "{path}"
"""
        for path in (("mpi", "verbs") if mpi else ("verbs",))
    )
    names = ", ".join(f'"{host}"' for host in hosts)
    return f"hosts = [{names}]\n" + '[[nics]]\nname = "mlx5_0"\n[[endpoints]]\n' + over + "\n".join(blocks)


def failure(where, cause='status = "RETRY_EXC_ERR"', phase="first message"):
    return f'[[failures]]\n{where}\nphase = "{phase}"\ncause = {{ {cause} }}\n'


BAD_HOST = 'on = "node2"'


def failed(*blocks, **options):
    return findings("rdma-failure", scenario(*blocks, **options))


def test_a_pair_is_named_where_both_ends_work_with_others():
    (found,) = failed(failure('between = ["node1", "node3"]'))

    assert (found.subjects, found.hosts, found.confidence) == (("node1 <-> node3",), (), "high")
    assert "node1 and node3 themselves (they work with others)" in found.excluded
    assert found.retest == "netprobe run latency --transport verbs --hosts node1,node3"


def test_two_hosts_cannot_outvote_each_other():
    (found,) = failed(failure(BAD_HOST), hosts=("node1", "node2"))

    assert (found.subjects, found.confidence) == (("node1 <-> node2",), "medium")
    assert "nobody to compare with" in found.summary


def test_of_three_hosts_the_one_whose_partners_work_with_each_other_is_named():
    (found,) = failed(failure(BAD_HOST), hosts=HOSTS[:3])

    assert (found.subjects, found.confidence) == (("node2",), "medium")


def test_where_nobody_works_with_anybody_it_is_the_fabric():
    (found,) = failed(failure(""))

    assert (found.subjects, found.hosts, found.severity) == (("fabric",), (), "blocks")
    assert found.summary.startswith("6 of 6 pairs of hosts cannot use RDMA")


@pytest.mark.parametrize(
    ("cause", "phase", "words"),
    [
        ('status = "RETRY_EXC_ERR"', "first message", "a filter or ACL (UDP 4791)"),
        ('status = "RETRY_EXC_ERR"', "later", "packets that are lost, a link that went down"),
        ('call = "ibv_modify_qp to RTR", error = "Invalid argument"', "set-up", "show_gids at both ends"),
        ('call = "ibv_modify_qp to RTR", error = "Network is unreachable"', "set-up", "ip route get"),
        ('call = "ibv_modify_qp to RTR", error = "Connection timed out"', "set-up", "ip neigh at both ends"),
        ('status = "RNR_RETRY_EXC_ERR"', "later", "a receiver that stands still"),
        ('status = "REM_ACCESS_ERR"', "first message", "memory that was freed or registered anew"),
    ],
)
def test_what_to_check_follows_from_what_was_said_and_when(cause, phase, words):
    (found,) = failed(failure(BAD_HOST, cause, phase))

    assert found.subjects == ("node2",)
    assert words in found.next_action


def test_the_code_of_the_nic_is_told_in_words_where_its_driver_is_known():
    (found,) = failed(failure(BAD_HOST, 'status = "RETRY_EXC_ERR", vendor_error = 129, after_messages = 0'))

    assert found.facts[0].observed == "RETRY_EXC_ERR, vendor error 0x81 (no acknowledgement)"


def test_a_call_that_needs_no_peer_blames_its_own_end_though_one_pair_alone_failed():
    refused = 'call = "ibv_reg_mr", error = "Cannot allocate memory", rank = 2'

    (found,) = failed(failure('between = ["node1", "node3"]', refused, "set-up"))

    assert (found.subjects, found.hosts, found.confidence) == (("node3",), ("node3",), "medium")
    assert "ulimit -l" in found.next_action


def test_a_nic_that_may_not_reach_its_own_memory_blames_its_own_end():
    (found,) = failed(failure(BAD_HOST, 'status = "LOC_PROT_ERR", vendor_error = 81, rank = 1'))

    assert (found.subjects, found.confidence) == (("node2",), "high")
    assert "vendor error 0x51 (key or mapping of memory)" in found.facts[0].observed


def test_who_is_gone_is_no_failure_of_rdma():
    gone = '[[benched]]\nhost = "node2"\nfate = "host unreachable"\nstage = "rdma-latency-between-hosts"\n'

    assert failed(failure(BAD_HOST), gone) == []


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        ('[[endpoints]]\non = ["node2"]\nset = { gid_kind = "IB/RoCE v1", gid_index = 0 }\n', "of different kinds"),
        (
            '[[endpoints]]\non = ["node2"]\nset = { gid = "fe80:0000:0000:0000:0000:0000:0000:0002" }\n',
            "of different families",
        ),
        ('[[endpoints]]\non = ["node2"]\nset = { link_layer = "InfiniBand" }\n', "of different networks"),
        ('[[nics]]\nname = "mlx5_0"\non = ["node2"]\nnet = { mtu_bytes = 1500 }\n', "MTUs of their interfaces differ"),
        ('[[nics]]\nname = "mlx5_0"\non = ["node2"]\nport = { state = "DOWN" }\n', "a port is not ACTIVE"),
    ],
)
def test_what_cannot_meet_goes_before_what_the_nic_said(odd, what):
    (found,) = failed(failure(BAD_HOST), odd)

    assert found.subjects == ("node2",)
    assert found.summary.index(what) < found.summary.index("RETRY_EXC_ERR")
    assert "; if it stays: ping between" in found.next_action
    assert any(what in fact.basis for fact in found.facts)


def addressed(host, address):
    return f'[[nics]]\nname = "mlx5_0"\non = ["{host}"]\nnet = {{ addresses = ["{address}"] }}\n'


def test_subnets_that_differ_are_told_where_nobody_else_crosses_them():
    own = [addressed(host, f"10.1.0.{number}/31") for number, host in enumerate(HOSTS, start=1)]

    (crossed,) = failed(failure('between = ["node1", "node2"]'), *own)
    alone = failed(failure(""), *own, hosts=("node1", "node2"))

    assert "subnets" not in crossed.summary  # node3 is in the subnet of node2, and meets node1
    assert "their addresses are in different subnets" in alone[0].summary
    assert any(fact.observed == "10.1.0.0/31" for fact in alone[0].facts)


def test_what_not_all_failed_pairs_have_is_no_cause():
    odd = '[[endpoints]]\non = ["node1"]\nset = { gid_kind = "IB/RoCE v1" }\n'

    (found,) = failed(failure(BAD_HOST), odd)

    assert "kinds" not in found.summary


def test_a_run_without_rdma_has_nothing_to_say():
    text = scenario().replace("[[endpoints]]", "").replace('path = "verbs"', 'path = "mpi"')

    assert findings("rdma-failure", text) == gaps("rdma-failure", text) == []


def test_addresses_that_carried_messages_are_not_why_they_stopped_and_large_packets_may_be():
    kinds = '[[endpoints]]\non = ["node2"]\nset = { gid_kind = "IB/RoCE v1" }\n'
    mtu = '[[nics]]\nname = "mlx5_0"\non = ["node2"]\nnet = { mtu_bytes = 1500 }\n'

    (found,) = failed(failure(BAD_HOST, phase="later"), kinds, mtu)

    assert "kinds" not in found.summary
    assert "the MTUs of their interfaces differ" in found.summary


def test_what_a_nic_says_of_its_own_side_needs_no_look_at_the_addresses():
    kinds = '[[endpoints]]\non = ["node2"]\nset = { gid_kind = "IB/RoCE v1" }\n'

    (found,) = failed(failure(BAD_HOST, 'status = "LOC_PROT_ERR", rank = 1'), kinds)

    assert "kinds" not in found.summary


@pytest.mark.parametrize("call", ["ibv_modify_qp to RTR", "ibv_create_ah"])
def test_who_finds_no_way_to_a_peer_is_not_to_blame_for_it(call):
    unanswered = f'call = "{call}", error = "Connection timed out", rank = 0'

    (found,) = failed(failure(BAD_HOST, unanswered, "set-up"))

    assert found.subjects == ("node2",)
    assert "nobody answered for the other end's address" in found.summary


def behind_leaves(*blocks, leaves=3, width=3):
    """Return leaves of hosts named after them, every pair of which is tried."""
    names = {f"leaf{leaf}": [f"l{leaf}n{nic}" for nic in range(1, width + 1)] for leaf in range(1, leaves + 1)}
    told = ", ".join(f"{leaf} = {own}".replace("'", '"') for leaf, own in names.items())
    hosts = [host for own in names.values() for host in own]
    top, _, rest = scenario(*blocks, hosts=hosts).partition("\n")
    return f"{top}\nleaves = {{ {told} }}\n{rest}"


def across(near, far, width=3, spared=()):
    """Return failures of all pairs between two leaves, but for some."""
    ends = ((f"l{near}n{a}", f"l{far}n{b}") for a in range(1, width + 1) for b in range(1, width + 1))
    return "".join(failure(f'between = ["{a}", "{b}"]') for a, b in ends if (a, b) not in spared)


def test_a_leaf_that_reaches_none_of_the_others_is_one_finding():
    (found,) = findings("rdma-failure", behind_leaves(across(1, 2), across(1, 3)))

    assert (found.subjects, found.hosts) == (("leaf leaf1",), ("l1n1", "l1n2", "l1n3"))
    assert found.summary.startswith(
        "leaf leaf1: 18 of 18 pairs of NICs cannot reach NICs behind leaf2, leaf3 over RDMA"
    )
    assert "the other leaves (leaf2, leaf3 reach each other)" in found.excluded


def test_two_leaves_that_do_not_reach_each_other_are_named_together_and_their_hosts_are_not():
    (found,) = findings("rdma-failure", behind_leaves(across(1, 2), leaves=2))

    assert (found.subjects, found.hosts) == (("leaf leaf1 <-> leaf leaf2",), ())
    assert "UDP 4791" in found.next_action


def test_a_single_pair_across_that_works_is_enough_to_blame_no_leaf():
    found = findings("rdma-failure", behind_leaves(across(1, 2, spared=[("l1n1", "l2n1")]), leaves=2))

    assert all("leaf" not in subject for each in found for subject in each.subjects)


def test_a_host_that_fails_with_everybody_is_no_leaf_and_is_named_beside_one():
    alone = failure('on = "l2n1"')

    assert [each.subjects for each in findings("rdma-failure", behind_leaves(alone))] == [("l2n1",)]
    both = findings("rdma-failure", behind_leaves(across(1, 2, spared=[(f"l1n{n}", "l2n1") for n in (1, 2, 3)]),
                                                  across(1, 3), alone))  # fmt: skip
    assert {each.subjects for each in both} == {("leaf leaf1",), ("l2n1",)}


def test_where_no_leaf_reaches_another_it_is_the_fabric():
    (found,) = findings("rdma-failure", behind_leaves(across(1, 2), across(1, 3), across(2, 3)))

    assert found.subjects == ("fabric",)
