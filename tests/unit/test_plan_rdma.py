"""What is asked of RDMA becomes stages, or is refused in one line that says what would do."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.model.plan import Carriers, Path, Plan, Scope
from netprobe.model.rdma import Engine, Operation, RdmaOptions
from netprobe.plan.profiles import PROFILES, plan_for
from netprobe.plan.rdma import NOTHING, RANGES, RdmaWish, refuse_slow_failure
from netprobe.plan.single import SingleProbe, plan_for_probe
from netprobe.units import NS_PER_S

USUAL = SingleProbe(
    probe="latency", begin_bytes=8, end_bytes=64, factor=None, step_bytes=None, iterations=None, warmup_iterations=5,
    check_iterations=1, dtype="float32", op="sum", root=0, window=64, all_pairs=False, series_budget_ns=1_000_000,
)  # fmt: skip


def planned(probe="latency", carriers=Carriers.VERBS, single=USUAL, **wish):
    return plan_for_probe(replace(single, probe=probe, carriers=carriers, wish=RdmaWish(**wish))).stages


def only(stages):
    (stage,) = stages
    return stage


def refused(*arguments, **wish):
    with pytest.raises(PlanError) as caught:
        planned(*arguments, **wish)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def test_a_wish_has_every_option_that_a_queue_pair_has():
    assert {each.name for each in fields(RdmaWish)} == {each.name for each in fields(RdmaOptions)} | {"dscp"}


@pytest.mark.parametrize(
    ("carriers", "ids"),
    [
        (Carriers.MPI, ["latency-within-host", "latency-between-hosts"]),
        (Carriers.VERBS, ["rdma-latency-between-hosts"]),
        (Carriers.AUTO, ["latency-within-host", "latency-between-hosts", "rdma-latency-between-hosts"]),
    ],
)
def test_a_probe_goes_over_what_is_wanted(carriers, ids):
    assert [stage.id for stage in planned(carriers=carriers)] == ids


@pytest.mark.parametrize(
    ("probe", "operation"),
    [("latency", Operation.SEND), ("bandwidth", Operation.WRITE), ("bidirectional", Operation.WRITE)],
)
def test_messages_that_go_back_and_forth_are_sent_and_others_written(probe, operation):
    stage = only(planned(probe))

    assert (stage.path, stage.scope, stage.rdma) == (
        Path.VERBS, Scope.BETWEEN_HOSTS, RdmaOptions(operation=operation)
    )  # fmt: skip


@pytest.mark.parametrize("operation", [Operation.SEND, Operation.WRITE_IMMEDIATE, Operation.READ])
@pytest.mark.parametrize("probe", ["latency", "bandwidth", "bidirectional"])
def test_every_verb_but_atomics_carries_every_probe(probe, operation):
    assert only(planned(probe, operation=operation)).rdma.operation is operation


def test_an_atomic_has_one_size_and_no_data_to_compare():
    stage = only(planned(operation=Operation.ATOMIC))

    assert (stage.sizes_bytes, stage.check_iterations) == ((8,), 0)


def test_an_atomic_changes_nothing_of_what_goes_over_mpi():
    assert planned(carriers=Carriers.AUTO, operation=Operation.ATOMIC)[:2] == planned(carriers=Carriers.MPI)


def test_atomics_of_another_size_or_in_a_stream_are_refused():
    assert "8 bytes" in refused("latency", Carriers.VERBS, replace(USUAL, begin_bytes=16), operation=Operation.ATOMIC)
    assert "do not stream" in refused("bandwidth", operation=Operation.ATOMIC)


def test_marking_is_told_as_dscp_or_as_the_whole_octet():
    assert only(planned(dscp=26)).rdma.traffic_class == 104
    assert only(planned(traffic_class=106)).rdma.traffic_class == 106
    assert "--dscp 26, which is traffic class 104" in refused(dscp=26, traffic_class=104)


@pytest.mark.parametrize(("name", "told"), RANGES.items())
def test_a_value_beyond_what_its_field_holds_is_refused_with_the_range(name, told):
    option, least, most = told
    for value in (least - 1, most + 1):
        assert refused(**{name: value}).startswith(f"{option} {value} is out of range; try: {option} with {least} to")


@given(st.sampled_from(sorted(RANGES)), st.data())
def test_a_value_within_its_range_reaches_the_queue_pairs(name, data):
    _, least, most = RANGES[name]
    value = data.draw(st.integers(least, most))

    options = only(planned(**{name: value})).rdma

    assert (options.traffic_class if name == "dscp" else getattr(options, name)) == (value << 2 * (name == "dscp"))


@pytest.mark.parametrize("mtu", [0, 1500, 9000])
def test_an_mtu_that_rdma_does_not_know_is_refused(mtu):
    assert "one of 256, 512, 1024, 2048, 4096" in refused(path_mtu_bytes=mtu)


def test_every_queue_pair_needs_a_source_port():
    assert only(planned(source_port=65_535)).rdma.source_port == 65_535
    assert "--source-port 65534 or less" in refused(source_port=65_535, queue_pairs=2)


@pytest.mark.parametrize(("name", "most"), [("queue_pairs", 8), ("signal_every", 4), ("post_list", 8)])
def test_no_more_can_be_asked_than_there_are_messages_in_flight(name, most):
    narrow = replace(USUAL, window=8)

    assert getattr(only(planned("bandwidth", single=narrow, **{name: most})).rdma, name) == most
    assert "too much for 8 messages in flight" in refused("bandwidth", Carriers.VERBS, narrow, **{name: most + 1})


def test_queue_pairs_share_the_messages_between_completions():
    assert "--signal-every 8, or" in refused("bandwidth", queue_pairs=4, signal_every=9)


def test_messages_above_what_rdma_carries_are_refused():
    large = replace(USUAL, begin_bytes=1 << 30, end_bytes=1 << 30)

    assert only(planned(single=large)).sizes_bytes == (1 << 30,)
    assert "-e 1G" in refused("latency", Carriers.VERBS, replace(large, end_bytes=(1 << 30) + 1, step_bytes=1))


@pytest.mark.parametrize(("name", "value"), [("gid_index", 3), ("device", "mlx5_0"), ("path_mtu_bytes", 1024)])
def test_a_wish_of_rdma_without_rdma_is_refused(name, value):
    assert "has nothing to say to MPI" in refused("latency", Carriers.MPI, **{name: value})
    assert "has nothing to say to MPI" in refused("allreduce", Carriers.AUTO, **{name: value})


def test_collectives_go_over_mpi_alone():
    assert "over RDMA go bandwidth, bidirectional, latency" in refused("allreduce", Carriers.VERBS)
    assert only(planned("allreduce", Carriers.AUTO)).path is Path.MPI


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_goes_over_what_is_wanted_in_the_order_it_has(profile):
    every = plan_for(profile).stages

    for path in Path:
        carried = plan_for(profile, carriers=Carriers(path.value)).stages
        assert carried == tuple(each for each in every if each.path is path)
    assert {each.path for each in every} == set(Path)


def test_a_profiles_stages_over_rdma_take_the_wish_and_keep_their_verb():
    stages = plan_for("quick", wish=RdmaWish(device="mlx5_1", gid_index=3, dscp=26)).stages

    for with_wish, without in zip(stages, plan_for("quick").stages, strict=True):
        if without.path is not Path.VERBS:
            assert with_wish == without
        else:
            wished = replace(without.rdma, device="mlx5_1", gid_index=3, traffic_class=104)
            assert with_wish == replace(without, rdma=wished)


def test_a_pair_may_not_be_tried_for_longer_than_hosts_may_be_silent():
    def plan(**wish):
        return Plan(profile="run", seed=1, stages=planned(**wish))

    refuse_slow_failure(plan(), 8 * NS_PER_S)
    refuse_slow_failure(plan(ack_timeout=18, retry_count=0), 8 * NS_PER_S)
    refuse_slow_failure(plan(ack_timeout=18), 60 * NS_PER_S)
    with pytest.raises(PlanError, match="--ack-timeout 18 with --retry 7: a lost pair is tried for up to 34"):
        refuse_slow_failure(plan(ack_timeout=18), 8 * NS_PER_S)


def test_nothing_wished_changes_nothing():
    assert plan_for("deep", wish=NOTHING) == plan_for("deep")


@pytest.mark.parametrize("profile", PROFILES)
def test_reach_is_the_first_stage_of_every_profile_that_goes_over_rdma(profile):
    over_rdma = [stage for stage in plan_for(profile).stages if stage.path is Path.VERBS]

    assert [stage.probe for stage in over_rdma].index("reach") == 0
    assert (over_rdma[0].sizes_bytes, over_rdma[0].scope) == ((64, 4096), Scope.BETWEEN_HOSTS)


@pytest.mark.parametrize("carriers", [Carriers.VERBS, Carriers.AUTO])
def test_reach_alone_is_one_stage_with_the_smallest_and_the_largest_datagram(carriers):
    stage = only(planned("reach", carriers, replace(USUAL, begin_bytes=8, end_bytes=1 << 26)))

    assert (stage.id, stage.path, stage.sizes_bytes) == ("rdma-reach-between-hosts", Path.VERBS, (64, 4096))


def test_datagrams_are_sent_whatever_moves_streams():
    wish = RdmaWish(service_level=3, operation=Operation.WRITE)

    stage = next(each for each in plan_for("quick", wish=wish).stages if each.probe == "reach")

    assert stage.rdma is not None
    assert (stage.rdma.operation, stage.rdma.service_level) == (Operation.SEND, 3)


@pytest.mark.parametrize(
    ("carriers", "wish", "words"),
    [
        (Carriers.MPI, {}, "MPI has none"),
        (Carriers.VERBS, {"engine": Engine.PYVERBS}, "pyverbs sends no datagrams"),
        (Carriers.VERBS, {"operation": Operation.READ}, "no other way"),
    ],
)
def test_what_datagrams_cannot_do_is_refused_where_nothing_else_was_asked_for(carriers, wish, words):
    with pytest.raises(PlanError, match=words):
        planned("reach", carriers, **wish)
