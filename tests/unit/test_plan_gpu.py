"""What a plan measures in memory of GPUs, and what is refused before anything is started."""

import pytest

from netprobe.errors import PlanError
from netprobe.model.plan import Carriers, GpuPlace, Memories, Memory, Path
from netprobe.model.rdma import Operation
from netprobe.plan.gpu import parse_gpu_map
from netprobe.plan.profiles import PROFILES, plan_for
from netprobe.plan.rdma import RdmaWish
from netprobe.plan.single import SingleProbe, plan_for_probe


def single(probe="bandwidth", **traits):
    told = {
        "begin_bytes": 8, "end_bytes": 64, "factor": None, "step_bytes": None, "iterations": None,
        "warmup_iterations": 1, "check_iterations": 1, "dtype": "float32", "op": "sum", "root": 0, "window": 4,
        "all_pairs": False, "series_budget_ns": 1_000_000,
    }  # fmt: skip
    return SingleProbe(probe=probe, **{**told, **traits})


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_tests_gpu_memory_by_mpi_by_nccl_and_by_rdma_from_and_to_either_memory(profile):
    stages = [each for each in plan_for(profile).stages if each.needs_gpu]

    ends = {(each.send_memory, each.receive_memory) for each in stages if each.path is Path.VERBS}
    assert ends == {
        (Memory.DEVICE, Memory.DEVICE), (Memory.DEVICE, Memory.HOST), (Memory.HOST, Memory.DEVICE)
    }  # fmt: skip
    assert {each.path for each in stages} == set(Path)
    assert all(each.rdma.inline_bytes == 0 for each in stages if each.rdma is not None)
    ids = [each.id for each in plan_for(profile).stages]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_memory_asked_for_is_the_memory_tested(profile):
    every = plan_for(profile).stages

    assert plan_for(profile, memories=Memories.HOST).stages == tuple(each for each in every if not each.needs_gpu)
    assert plan_for(profile, memories=Memories.DEVICE).stages == tuple(each for each in every if each.needs_gpu)
    pinned = plan_for(profile, memories=Memories.PINNED).stages
    assert Memory.DEVICE not in {each.send_memory for each in pinned} | {each.receive_memory for each in pinned}
    assert Path.NCCL not in {each.path for each in pinned}


@pytest.mark.parametrize("memory", ["device", "pinned", "managed"])
def test_one_probe_takes_the_memory_asked_for_at_both_ends(memory):
    stages = plan_for_probe(single(carriers=Carriers.MPI, memories=Memories(memory))).stages

    assert {(each.send_memory, each.receive_memory) for each in stages} == {(Memory(memory), Memory(memory))}


def test_one_probe_without_a_word_takes_the_hosts_memory_and_over_nccl_the_gpus():
    assert not any(each.needs_gpu for each in plan_for_probe(single()).stages)
    over_nccl = plan_for_probe(single("allreduce", carriers=Carriers.NCCL)).stages
    assert [(each.path, each.send_memory) for each in over_nccl] == [(Path.NCCL, Memory.DEVICE)]


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"carriers": Carriers.NCCL, "memories": Memories.PINNED}, "NCCL moves memory of GPUs, not --memory pinned"),
        ({"carriers": Carriers.VERBS, "memories": Memories.MANAGED}, "a NIC cannot follow managed memory"),
        ({"carriers": Carriers.NCCL, "probe": "reach"}, "reach does not go over NCCL"),
        ({"carriers": Carriers.NCCL, "wish": RdmaWish(gid_index=3)}, "--gid-index has nothing to say to NCCL"),
        (
            {
                "probe": "latency", "carriers": Carriers.VERBS, "memories": Memories.DEVICE,
                "wish": RdmaWish(operation=Operation.WRITE),
            },
            "round trips of write end where a CPU sees a byte change",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_way_out(traits, says):
    with pytest.raises(PlanError, match=says) as refused:
        plan_for_probe(single(**{"probe": "bandwidth", **traits}))

    assert refused.value.remedy


def test_a_map_names_a_gpu_and_a_nic_for_each_place():
    assert parse_gpu_map("0:mlx5_0, 3:mlx5_2/2,1") == (
        GpuPlace(ordinal=0, nic="mlx5_0"),
        GpuPlace(ordinal=3, nic="mlx5_2/2"),
        GpuPlace(ordinal=1),
    )


@pytest.mark.parametrize("text", ["", "a", "0:", ":mlx5_0", "0;1", "-1", "0:mlx5_0,", "0:m x", "٣"])
def test_what_is_no_map_is_refused_with_an_example(text):
    with pytest.raises(PlanError, match="is no GPU") as refused:
        parse_gpu_map(text)

    assert refused.value.remedy == "--gpu-map 0:mlx5_0,1:mlx5_1"


def test_nccl_takes_larger_messages_than_an_mpi_call_counts():
    stages = plan_for_probe(single("allreduce", carriers=Carriers.NCCL, begin_bytes=8 << 30, end_bytes=16 << 30)).stages

    assert stages[0].sizes_bytes == (8 << 30, 16 << 30)
    with pytest.raises(PlanError, match="exceeds what one MPI call counts"):
        plan_for_probe(single("allreduce", begin_bytes=8 << 30, end_bytes=16 << 30))
