"""Layers on the same pairs: which pairs, which size, against what; whatever else was measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.layers import HOST, layer_tables, medians_by
from netprobe.model.evidence import PairTable
from netprobe.model.plan import Memory, Path, Scope
from netprobe.model.series import Metric

GPU = (Memory.DEVICE, Memory.DEVICE)
MIB = 1 << 20
EVERY = ((0, 1), (1, 0), (1, 2), (2, 1))


def table(path=Path.VERBS, gbps=400.0, *, memories=HOST, size_bytes=8 * MIB, pairs=EVERY, probe="bandwidth"):
    """A table of these pairs at one rate (or one for each); of latency, ``gbps`` is half a round trip in ns."""
    rates = np.broadcast_to(np.asarray(gbps, dtype=float), len(pairs)).copy()
    moved = 16 * size_bytes
    is_latency = probe == "latency"
    p50_ns = 2 * rates if is_latency else 8 * moved / rates
    empty = np.full(len(pairs), np.nan)
    return PairTable(
        stage=f"{path}-{probe}",
        probe=probe,
        metric=Metric.ROUND_TRIP if is_latency else Metric.WINDOW,
        scope=Scope.BETWEEN_HOSTS,
        size_bytes=size_bytes,
        bytes_per_iteration=moved,
        window=16,
        directed=not is_latency,
        src=np.array([src for src, _ in pairs]),
        dst=np.array([dst for _, dst in pairs]),
        round_index=np.arange(len(pairs)),
        samples=np.full(len(pairs), 100),
        min_ns=p50_ns,
        p50_ns=p50_ns,
        p99_ns=empty,
        p999_ns=empty,
        max_ns=p50_ns,
        total_ns=p50_ns,
        path=path,
        send_memory=memories[0],
        receive_memory=memories[1],
    )  # fmt: skip


def against(tables, path, memories=HOST):
    (layers,) = layer_tables(tables)
    return layers.against(layers.layer(path, memories))


def test_each_layer_is_held_against_the_one_below_it_on_the_same_memory():
    tables = [table(), table(Path.MPI, 300.0), table(gbps=360.0, memories=GPU), table(Path.NCCL, 90.0, memories=GPU)]

    assert against(tables, Path.MPI).typical_ratio == pytest.approx(0.75)
    assert against(tables, Path.NCCL, GPU).typical_ratio == pytest.approx(0.25)
    assert against(tables, Path.VERBS, GPU).typical_ratio == pytest.approx(0.9)
    assert against(tables, Path.VERBS) is None


def test_the_lowest_layers_come_first_and_host_memory_before_a_gpus():
    tables = [table(Path.NCCL, memories=GPU), table(Path.MPI), table(memories=GPU), table()]

    (layers,) = layer_tables(tables)

    assert [(each.path, each.memories) for each in layers.layers] == [
        (Path.VERBS, HOST), (Path.VERBS, GPU), (Path.MPI, HOST), (Path.NCCL, GPU),
    ]  # fmt: skip


def test_only_pairs_that_both_measured_are_compared_whatever_the_others_do():
    slow_elsewhere = table(Path.MPI, [300.0, 300.0, 1.0], pairs=((0, 1), (1, 0), (0, 2)))

    compared = against([table(), slow_elsewhere], Path.MPI)

    assert (compared.pairs, compared.typical_ratio) == (2, pytest.approx(0.75))


def test_layers_with_no_pair_in_common_are_not_compared():
    assert against([table(pairs=((0, 1),)), table(Path.MPI, pairs=((1, 0),))], Path.MPI) is None


def test_the_same_pair_measured_again_counts_once_with_its_median():
    again = table(gbps=[400.0, 100.0, 390.0], pairs=((0, 1), (0, 1), (0, 1)))

    (layers,) = layer_tables([again, table(Path.MPI, pairs=((0, 1),))])

    assert layers.layer(Path.VERBS, HOST).speed.tolist() == pytest.approx([390.0])


def test_round_trips_are_the_same_whoever_led_and_are_taken_at_the_smallest_size():
    tables = [
        table(gbps=1840.0, size_bytes=8, pairs=((0, 1),), probe="latency"),
        table(gbps=9000.0, size_bytes=4096, pairs=((0, 1),), probe="latency"),
        table(Path.MPI, 2300.0, size_bytes=8, pairs=((1, 0),), probe="latency"),
        table(Path.MPI, 2300.0, size_bytes=4096, pairs=((1, 0),), probe="latency"),
    ]

    (layers,) = layer_tables(tables)

    assert (layers.size_bytes, layers.is_latency) == (8, True)
    assert against(tables, Path.MPI).typical_ratio == pytest.approx(0.8)


def test_the_largest_size_of_all_layers_is_taken_however_much_larger_one_has_gone():
    tables = [table(size_bytes=64 * MIB), table(), table(gbps=1.0, size_bytes=8), table(Path.MPI)]

    (layers,) = layer_tables(tables)

    assert {layers.size_bytes, *(each.size_bytes for each in layers.layers)} == {8 * MIB}


@pytest.mark.parametrize(("size_bytes", "is_compared"), [(MIB, True), (MIB // 2, False), (64 * MIB, True)])
def test_sizes_a_factor_of_eight_apart_may_stand_for_each_other(size_bytes, is_compared):
    (layers,) = layer_tables([table(), table(memories=GPU), table(Path.MPI, size_bytes=size_bytes)])

    assert (layers.left_out == ()) is is_compared


def test_what_stays_within_a_host_has_no_layers():
    assert layer_tables([replace(table(), scope=Scope.WITHIN_HOST)]) == ()


@given(st.permutations(range(6)), st.integers(0, 5))
def test_the_order_of_tables_and_rows_changes_nothing(order, turn):
    tables = [table(), table(Path.MPI, 200.0), table(memories=GPU), table(Path.NCCL, 30.0, memories=GPU),
              table(size_bytes=MIB), table(Path.MPI, 100.0, size_bytes=MIB)]  # fmt: skip
    turned = [
        replace(each, src=np.roll(each.src, turn), dst=np.roll(each.dst, turn), p50_ns=np.roll(each.p50_ns, turn))
        for each in (tables[index] for index in order)
    ]

    (first,), (second,) = layer_tables(tables), layer_tables(turned)

    assert first.size_bytes == second.size_bytes
    for one, other in zip(first.layers, second.layers, strict=True):
        assert (one.path, one.memories) == (other.path, other.memories)
        assert np.array_equal(one.speed, other.speed)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.1, 1e9)), min_size=1))
def test_medians_by_key_are_numpys(rows):
    keys, values = np.array([key for key, _ in rows]), np.array([value for _, value in rows])

    distinct, medians = medians_by(keys, values)

    assert distinct.tolist() == sorted(set(keys.tolist()))
    assert medians == pytest.approx([np.median(values[keys == key]) for key in distinct])
