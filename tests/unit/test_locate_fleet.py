"""What differs between hosts is told fact by fact, against what most of them have."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from store_samples import inventory

from netprobe.locate.fleet import FactName, differences, facts_of, priorities

FIRMWARE = FactName("mlx5_0", "firmware")


def with_firmware(host, firmware):
    sample = inventory(host)
    return replace(sample, rdma_ports=(replace(sample.rdma_ports[0], firmware=firmware),))


def test_hosts_that_are_alike_differ_in_nothing():
    assert differences([inventory("a"), inventory("b"), inventory("c")]) == ()


def test_the_odd_host_is_told_with_its_value_and_that_of_the_others():
    hosts = [with_firmware(name, "28.40") for name in "abc"] + [with_firmware("d", "28.39")]

    (found,) = differences(hosts)

    assert (found.name, found.usual, found.agreeing) == (FIRMWARE, "28.40", 3)
    assert found.others == (("28.39", ("d",)),)


def test_of_two_hosts_nobody_knows_which_is_right():
    (found,) = differences([with_firmware("a", "28.40"), with_firmware("b", "28.39")])

    assert not found.has_usual
    assert found.others == (("28.39", ("b",)), ("28.40", ("a",)))


def test_halves_have_no_usual_value_either():
    hosts = [with_firmware(name, version) for name, version in zip("abcd", ["1", "1", "2", "2"], strict=True)]

    (found,) = differences(hosts)

    assert not found.has_usual
    assert found.others == (("1", ("a", "b")), ("2", ("c", "d")))


def test_what_one_host_does_not_have_is_absent_and_not_a_value():
    hosts = [inventory(name) for name in "abc"]
    hosts[1] = replace(hosts[1], rdma_ports=())

    found = {each.name: each for each in differences(hosts)}

    assert found[FIRMWARE].usual == "28.40.1000"
    assert found[FIRMWARE].others == ((None, ("b",)),)


def test_addresses_and_identities_are_no_facts_of_a_fleet():
    sample = inventory("a")
    other = replace(
        sample,
        host="b",
        rdma_ports=(replace(sample.rdma_ports[0], node_guid="1", gids=()),),
        net_devices=(replace(sample.net_devices[0], addresses=("10.1.0.9/24",)),),
    )

    assert differences([sample, other]) == ()


def test_lossless_priorities_read_as_operators_write_them():
    assert priorities((False,) * 3 + (True,) + (False,) * 4) == "3"
    assert priorities((True, False, False, True)) == "0,3"
    assert priorities((False,) * 8) == "none"
    assert priorities((None,) * 8) is None
    assert priorities(None) is None


def test_every_fact_has_a_text():
    assert all(text for _, text in facts_of(inventory()))
    assert dict(facts_of(inventory()))[FactName("eth0", "lossless priorities")] == "3"


@given(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9))
def test_every_host_is_on_one_side_of_each_difference(versions):
    hosts = [with_firmware(f"n{number}", version) for number, version in enumerate(versions)]

    for found in differences(hosts):
        odd = [host for _, own in found.others for host in own]
        assert len(odd) + found.agreeing == len(hosts)
        assert len(set(odd)) == len(odd)
        assert not found.has_usual or 2 * found.agreeing > len(hosts)
