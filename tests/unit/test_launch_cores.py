import pytest

from netprobe.errors import PlanError
from netprobe.launch.cores import Cores, cores_of, local_binding, refuse_more_ranks_than_cores
from netprobe.launch.request import Binding

LAPTOP = Cores(hwthreads=8, physical=4)


def topology(root, siblings):
    for cpu, listed in siblings.items():
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{listed}\n")


def test_hardware_threads_of_one_core_are_counted_as_one_core(tmp_path):
    topology(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})

    assert cores_of({0, 1, 2, 3}, 4, tmp_path) == Cores(hwthreads=4, physical=2)
    assert cores_of({0, 2}, 4, tmp_path) == Cores(hwthreads=2, physical=1, is_restricted=True)


def test_without_a_topology_each_cpu_is_a_core(tmp_path):
    assert cores_of({0, 1}, 2, tmp_path) == Cores(hwthreads=2, physical=2)


def test_more_ranks_than_cores_are_refused_with_what_to_try():
    with pytest.raises(PlanError) as caught:
        refuse_more_ranks_than_cores(64, Cores(hwthreads=2, physical=2))

    assert str(caught.value) == (
        "--ranks 64 asks for more ranks than the 2 cores of this host; try: --oversubscribe or --ranks 2"
    )
    assert caught.value.exit_code == 4


def test_as_many_ranks_as_hardware_threads_are_fine():
    refuse_more_ranks_than_cores(8, LAPTOP)


@pytest.mark.parametrize(
    ("ranks", "cores", "wanted", "binding"),
    [
        (4, LAPTOP, True, Binding.CORE),
        (5, LAPTOP, True, Binding.HWTHREAD),
        (9, LAPTOP, True, Binding.NONE),
        (2, LAPTOP, False, Binding.NONE),
        (2, Cores(hwthreads=4, physical=4, is_restricted=True), True, Binding.NONE),
    ],
)
def test_ranks_are_bound_as_tightly_as_the_host_allows(ranks, cores, wanted, binding):
    assert local_binding(ranks, cores, wanted=wanted) is binding
