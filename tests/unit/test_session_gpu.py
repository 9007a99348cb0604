"""Which rank gets which GPU, what is said where one has none, and that GPU stages measure what they should."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fake_gpu import COMPILER, FakeGpu

from netprobe.errors import GpuError, NetprobeError, UnavailableError
from netprobe.judge.judge import judge
from netprobe.model.endpoint import Rank
from netprobe.model.limits import Limits
from netprobe.model.plan import GpuPlace, Memories, Memory, Path, Plan, Scope, Stage
from netprobe.model.record import StageFinished
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.gpu import in_gpu, over_nccl
from netprobe.plan.profiles import plan_for
from netprobe.plan.task import Task
from netprobe.session.gpu import GpuEdge, Gpus, feasible_on_gpus, open_gpus, who_shares
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.system.here import recorded_system
from netprobe.transports.loopback import LoopbackControl, LoopbackWorld, clean_wire

MIB = 1 << 20
FEW = {"iterations": 3, "warmup_iterations": 1, "window": 2}
ON_GPU = in_gpu(Stage(id="bandwidth", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(512,), **FEW))
REDUCED = in_gpu(Stage(id="allreduce", probe="allreduce", scope=Scope.WORLD, sizes_bytes=(512,), dtype="int32", **FEW))
ON_HOST = Stage(id="latency", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), **FEW)
AWARE = ("true",)


@pytest.fixture(autouse=True)
def compiler(need):
    need("cxx", COMPILER is not None, "no C++ compiler; try: apt-get install g++")


def edge(gpus, *, count=8):
    """Return GPUs for ranks in the order in which they ask; an exception is raised instead."""
    lock, left = threading.Lock(), list(gpus)

    def opened(ordinal):
        with lock:
            found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        found.endpoint = type(found.endpoint)(**{**_fields(found.endpoint), "ordinal": ordinal})
        return found

    return GpuEdge(count=lambda _environ: count, open=opened, trial=lambda _ordinal: AWARE)


def _fields(endpoint):
    return {name: getattr(endpoint, name) for name in endpoint.__dataclass_fields__}


def reachable(*, pci="0000:18:00.0", **traits):
    """A GPU whose memory threads of this process may touch, as an MPI could that takes it."""
    return FakeGpu(pci=pci, hides=False, **traits)


def plan(*stages, gpu_map=()):
    return Plan(profile="test", seed=3, stages=stages, transport="loopback", gpu_map=gpu_map)


def measured(tmp_path, the_plan, the_edge, ranks=2, wire=clean_wire):
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, the_plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(
        Task(plan=the_plan),
        ranks,
        writer,
        wire=wire,
        host_of=lambda rank: f"n{rank}",
        system=recorded_system(tmp_path / "no-devices"),
        gpu_edge=the_edge,
    )
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def asked(ranks, the_plan, the_edge, tmp_path):
    """Return what each rank knows of GPUs."""
    world, results = LoopbackWorld(len(ranks)), {}

    def main(rank):
        control = LoopbackControl(world, rank)
        results[rank] = open_gpus(control, ranks, the_plan, recorded_system(tmp_path), the_edge)

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(len(ranks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(len(ranks))]


def a_rank(number, host, place=0):
    return Rank(rank=number, host=host, local_index=place, cpus=(0,), pid=1)


TWO = (a_rank(0, "n0"), a_rank(1, "n1"))


def test_pairs_and_collectives_are_measured_in_memory_of_gpus_and_compared_there(tmp_path):
    gpus = [reachable(), reachable()]

    run = measured(tmp_path, plan(ON_GPU, REDUCED), edge(gpus))

    assert {outcome.stage for outcome in run.header.outcomes} == {"gpu-bandwidth", "gpu-allreduce"}
    assert [(each.rank, each.name) for each in run.header.gpus] == [(0, "Fake H200"), (1, "Fake H200")]
    assert sum(len(faults) for faults in run.series["faults"]) == 0
    assert all("reduction_verify" in gpu.launched for gpu in gpus)
    assert sum(gpu.launched.count("pattern_verify") for gpu in gpus) > 0


def test_a_bit_that_flips_on_the_way_is_found_on_the_gpu_and_told(tmp_path):
    def flips_a_bit(_src, _dst, payload):
        return payload[:300] + bytes([payload[300] ^ 0x10]) + payload[301:] if len(payload) == 512 else payload

    run = measured(tmp_path, plan(ON_GPU), edge([reachable(), reachable()]), wire=flips_a_bit)

    (finding,) = [each for each in judge(run, Limits()).findings if each.detector == "corruption"]
    assert "from offset 300, bits 0x0000001000000000" in finding.summary


def test_a_plan_without_gpu_stages_opens_none(tmp_path):
    refuses = GpuEdge(count=lambda _environ: pytest.fail("asked for GPUs"))

    known = asked(TWO, plan(ON_HOST), refuses, tmp_path)

    assert [(each.own, each.gaps[0].reason) for each in known] == [
        (None, "no GPU on any host: GPU memory not measured")
    ] * 2


def test_hosts_without_a_driver_are_not_even_asked_where_gpus_are_optional(tmp_path):
    refuses = GpuEdge(count=lambda _environ: pytest.fail("asked for GPUs"))

    known = asked(TWO, plan(ON_HOST, ON_GPU), refuses, tmp_path)

    assert feasible_on_gpus(plan(ON_HOST, ON_GPU), known[0], 2).stages == (ON_HOST,)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (UnavailableError("there is no NVIDIA driver", remedy="nvidia-smi"), "on n1: there is no NVIDIA driver"),
        (GpuError("GPU 0 no longer answers"), "on n1: GPU 0 no longer answers"),
    ],
)
def test_a_rank_without_a_gpu_is_named_and_the_others_go_on(tmp_path, problem, says):
    (tmp_path / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)
    gpus = {"n0": reachable(), "n1": problem, "n2": reachable()}
    ranks = tuple(a_rank(number, host) for number, host in enumerate(gpus))

    world, results = LoopbackWorld(3), {}

    def main(rank):
        found = gpus[ranks[rank].host]

        def opened(_ordinal):
            if isinstance(found, NetprobeError):
                raise found
            return found

        own_edge = GpuEdge(count=lambda _environ: 1, open=opened, trial=lambda _ordinal: AWARE)
        the_plan = plan(ON_HOST, ON_GPU, REDUCED)
        results[rank] = open_gpus(LoopbackControl(world, rank), ranks, the_plan, recorded_system(tmp_path), own_edge)

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(says in each.gaps[0].reason for each in results.values())
    assert results[0].ranks == {0, 2}
    # Pairs of GPUs are left; a collective takes every rank.
    assert feasible_on_gpus(plan(ON_HOST, ON_GPU, REDUCED), results[0], 3).stages == (ON_HOST, ON_GPU)


def test_a_plan_of_gpus_alone_says_why_it_cannot_be(tmp_path):
    missing = UnavailableError("there is no NVIDIA driver", remedy="nvidia-smi")
    known = asked(TWO, plan(ON_GPU), edge([missing, missing]), tmp_path)

    with pytest.raises(UnavailableError, match="GPU memory cannot be used on any host: there is no NVIDIA driver"):
        feasible_on_gpus(plan(ON_GPU), known[0], 2)


def test_two_ranks_on_one_gpu_are_named(tmp_path):
    ranks = (a_rank(0, "n0"), a_rank(1, "n0", 1))

    known = asked(ranks, plan(ON_GPU), edge([reachable(), reachable()], count=1), tmp_path)

    (gap,) = known[0].gaps
    assert gap.reason.startswith("ranks 0 and 1 share the GPU 0000:18:00.0 of n0")
    assert known[0].sharers == 2
    assert who_shares([(0, "0000:18:00.0"), (1, "0000:2a:00.0")], ranks) is None


def test_ranks_take_gpus_in_order_or_as_the_map_says(tmp_path):
    ranks = (a_rank(0, "n0"), a_rank(1, "n0", 1))
    the_map = (GpuPlace(ordinal=5), GpuPlace(ordinal=2, nic="mlx5_1"))

    in_order = asked(ranks, plan(ON_GPU), edge([reachable(), reachable()]), tmp_path)
    mapped = asked(ranks, plan(ON_GPU, gpu_map=the_map), edge([reachable(), reachable()]), tmp_path)

    assert [each.own.endpoint.ordinal for each in in_order] == [0, 1]
    assert [each.own.endpoint.ordinal for each in mapped] == [5, 2]


def test_a_map_beyond_the_gpus_there_are_is_refused_with_what_there_is(tmp_path):
    known = asked(TWO, plan(ON_GPU, gpu_map=(GpuPlace(ordinal=9),)), edge([reachable(), reachable()]), tmp_path)

    assert "--gpu-map names GPU 9, and a rank sees 8" in known[0].gaps[0].reason


def test_a_sweep_that_does_not_fit_a_gpu_is_shortened_and_says_so(tmp_path):
    sweep = in_gpu(Stage(id="sweep", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8, 8 * MIB), **FEW))

    run = measured(tmp_path, plan(sweep), edge([reachable(memory_bytes=4 * MIB), reachable()]))

    (outcome,) = run.header.outcomes
    assert "8M left out" in outcome.gaps[0].reason
    assert "every rank's GPU" in outcome.gaps[0].reason
    assert set(run.series["size_bytes"]) == {8}


def test_memory_that_a_stage_took_is_there_for_the_next(tmp_path):
    sweep = Stage(id="sweep", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(12 * MIB,), **FEW)
    again = replace(sweep, id="again")

    run = measured(
        tmp_path,
        plan(in_gpu(sweep), in_gpu(again)),
        edge([reachable(memory_bytes=40 * MIB), reachable(memory_bytes=40 * MIB)]),
    )

    assert [outcome.gaps for outcome in run.header.outcomes] == [(), ()]


def test_a_gpu_that_falls_off_the_bus_ends_the_run_with_its_name(tmp_path):
    gpu = reachable()

    def dies(_src, _dst, payload):
        gpu.is_gone = True
        return payload

    with pytest.raises(GpuError, match=r"0000:18:00\.0 no longer answers"):
        measured(tmp_path, plan(ON_GPU), edge([gpu, reachable()]), wire=dies)


def test_where_an_mpi_refuses_all_hosts_copy_and_say_so(tmp_path):
    refusing = GpuEdge(count=lambda _environ: 8, open=lambda _ordinal: reachable(), trial=lambda _ordinal: ("false",))

    known = asked(TWO, plan(ON_GPU), refusing, tmp_path)

    assert "MPI takes no memory of GPUs on n[0-1] (a trial failed: exit code 1)" in known[0].gaps[0].reason
    assert all(each.rooms is not None for each in known)
    assert [each.takes_mpi for each in known[0].endpoints] == [False, False]


def test_pinned_and_managed_memory_take_the_place_of_a_gpus(tmp_path):
    for memories in (Memories.PINNED, Memories.MANAGED):
        stages = plan_for("quick", memories=memories).stages
        over_rdma = {Path.VERBS} if memories is Memories.PINNED else set()
        assert {each.path for each in stages} == {Path.MPI} | over_rdma
        kinds = {each.send_memory for each in stages} | {each.receive_memory for each in stages}
        assert kinds - {Memory.HOST} == {Memory(memories.value)}

    pinned = in_gpu(ON_HOST, Memory.PINNED, Memory.PINNED)
    run = measured(tmp_path, plan(pinned), edge([reachable(), reachable()]))
    assert sum(len(faults) for faults in run.series["faults"]) == 0


def test_nobody_asks_for_an_mpi_that_no_stage_needs(tmp_path):
    refusing = GpuEdge(count=lambda _environ: 8, open=lambda _ordinal: reachable(), trial=lambda _ordinal: ("false",))

    known = asked(TWO, plan(over_nccl(ON_HOST)), refusing, tmp_path)

    assert known[0].gaps == ()
    assert Gpus(own=None).free_bytes() is None


class Liar(FakeGpu):
    """A GPU that finds other bytes than it wrote."""

    def launch(self, kernel, addresses, numbers, *, threads):
        super().launch(kernel, addresses, numbers, threads=threads)
        if kernel == "pattern_fill":
            self.set_bytes(addresses[0] + 7, 0x5A, 1)


def test_a_gpu_that_does_not_find_what_it_wrote_is_used_by_nobody(tmp_path):
    (tmp_path / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)

    known = asked(TWO, plan(ON_HOST, ON_GPU), edge([Liar(), Liar()]), tmp_path)

    assert "on any host: GPU 0 (0000:18:00.0) does not find what it wrote" in known[0].gaps[0].reason
    assert known[0].endpoints == ()


def test_a_later_launch_in_which_a_rank_lost_its_gpu_leaves_collectives_out_and_says_so(tmp_path):
    records = []

    class Kept:
        def emit(self, record):
            records.append(record)

    lost = GpuError("GPU 0 no longer answers")
    run_on_threads(
        Task(plan=plan(ON_HOST, REDUCED), roster=(("n0", (0,)), ("n1", (1,)))),
        2,
        Kept(),
        host_of=lambda rank: f"n{rank}",
        system=with_driver(tmp_path),
        gpu_edge=edge([reachable(), lost]),
    )

    outcomes = {each.outcome.stage: each.outcome for each in records if isinstance(each, StageFinished)}
    assert outcomes["latency"].rounds > 0
    assert outcomes["gpu-allreduce"].rounds == 0
    assert any("no longer answers" in gap.reason and gap.undermines for gap in outcomes["gpu-allreduce"].gaps)


def test_where_some_ranks_have_no_gpu_nccl_is_left_out_and_says_so(tmp_path):
    (tmp_path / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)
    over = over_nccl(Stage(id="bandwidth", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), **FEW))
    missing = UnavailableError("there is no NVIDIA driver", remedy="nvidia-smi")

    with pytest.raises(UnavailableError, match="NCCL takes a GPU of every rank, and 1 of 3 ranks have none"):
        measured(tmp_path / "run", plan(over), edge([reachable(), reachable(), missing]), ranks=3)


def with_driver(root):
    """A system whose driver shows a GPU."""
    (root / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)
    return recorded_system(root)
