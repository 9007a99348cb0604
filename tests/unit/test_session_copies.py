"""What GPUs copy before anything else: which ways, in turn, and what is said where one cannot."""

import threading

import pytest
from fake_gpu import FakeGpu

from netprobe.model.endpoint import Rank
from netprobe.model.gpu import CopyWay
from netprobe.session.copies import COPIED_BYTES, measure_copies
from netprobe.transports.loopback import LoopbackControl, LoopbackWorld

HOSTS = ("n0", "n0", "n1")


def measured(gpus, visible=1):
    """Return what ranks 0 and 1 on one host and 2 on another measure and say."""
    world, results, places = LoopbackWorld(len(HOSTS)), {}, (0, 1, 0)
    ranks = tuple(
        Rank(rank=number, host=host, local_index=places[number], cpus=(0,), pid=1) for number, host in enumerate(HOSTS)
    )

    def main(rank):
        results[rank] = measure_copies(LoopbackControl(world, rank), ranks, gpus[rank], visible)

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(len(HOSTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(len(HOSTS))]


@pytest.fixture
def gpus():
    return [FakeGpu(), FakeGpu(), FakeGpu()]


def test_every_gpu_copies_to_and_from_its_host_and_within_itself(gpus):
    gpus[0].takes_ns = 1_000_000

    told = measured(gpus)

    assert [each.way for each in told[0][0]] == [CopyWay.TO_GPU, CopyWay.FROM_GPU, CopyWay.WITHIN_GPU]
    assert {each.gbps for each in told[0][0]} == {8 * COPIED_BYTES / 1e6}
    assert all(rates and gaps == () for rates, gaps in told)


def test_where_a_process_sees_several_it_copies_to_the_next_one(gpus):
    told = measured(gpus, visible=4)

    assert all(CopyWay.TO_PEER in [each.way for each in rates] for rates, _ in told)


def test_ranks_of_a_host_take_turns(gpus):
    busy, together = set(), []
    for number, gpu in enumerate(gpus[:2]):
        own = gpu.timed_ns

        def timed(begin, number=number, own=own):
            busy.add(number)
            together.append(len(busy))
            taken = own(begin)
            busy.discard(number)
            return taken

        gpu.timed_ns = timed

    measured(gpus)

    assert max(together) == 1


def test_a_gpu_that_cannot_is_named_and_the_others_go_on(gpus):
    gpus[2].is_gone = True

    told = measured(gpus)

    assert told[2][0] == ()
    assert told[0][0]
    assert {gap.reason for gap in told[0][1]} == {"n1: GPU 0000:18:00.0 no longer answers"}


def test_a_rank_without_a_gpu_waits_for_the_others(gpus):
    told = measured([None, *gpus[1:]])

    assert told[0] == ((), ())
    assert told[1][0]


def test_a_small_gpu_copies_less_and_a_full_one_nothing(gpus):
    gpus[0], gpus[1] = FakeGpu(memory_bytes=128 << 20), FakeGpu(memory_bytes=32 << 20)

    told = measured(gpus)

    assert {each.size_bytes for each in told[0][0]} == {16 << 20}
    assert told[1][0] == ()
    assert {gap.reason for gap in told[0][1]} == {
        "n0: GPU 0000:18:00.0 has too little memory left to tell what it copies"
    }
