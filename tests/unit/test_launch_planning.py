from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.launch.cores import Cores
from netprobe.launch.hosts import HostSlots
from netprobe.launch.planning import Host, dealt, plan_launch
from netprobe.launch.remote import Answer
from netprobe.launch.request import Binding, Family, HostShare, LaunchRequest
from netprobe.model.standing import Fate

WORKER = ("/venv/bin/python", "-m", "netprobe.session", "TOKEN")
JOB = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "node[1-4]",
    "SLURM_JOB_NUM_NODES": "4",
    "SLURM_JOB_CPUS_PER_NODE": "8(x4)",
}


def host(cores=4, family="HYDRA\nVersion: 4.2", unreachable=(), broken=(), unknown=(), asked=None):
    def ask(hosts, argv, timeout_s):
        if asked is not None:
            asked.extend(hosts)
        failing = dict.fromkeys(unreachable, Answer(code=255, error="No route to host"))
        failing |= dict.fromkeys(broken, Answer(code=1, error="No module named 'netprobe'"))
        return {each: failing.get(each, Answer(code=0)) for each in hosts}

    return Host(
        cores=Cores(hwthreads=cores, physical=cores),
        read_version=lambda path: "slurm 23.02" if path.name == "srun" else family,
        resolve=lambda name: None if name in unknown else frozenset({f"10.0.0.{name[-1]}"}),
        ask=ask,
    )


@pytest.fixture
def planned(tmp_path):
    """Plan a request; mpiexec and srun are on PATH."""
    for name in ("mpiexec", "srun"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(name)
        program.chmod(0o755)

    def run(environ=None, on=None, **request):
        environ = {"PATH": str(tmp_path / "bin"), **(environ or {})}
        return plan_launch(LaunchRequest(**request), WORKER, environ, on or host())

    return run


@pytest.fixture
def plan(planned):
    """Return the first plan of a request."""
    return lambda *arguments, **request: planned(*arguments, **request).plans[0]


def test_a_plain_check_is_two_ranks_on_this_host(plan):
    found = plan()

    assert (found.method, found.ranks, found.shares, found.binding) == ("local", 2, (), Binding.CORE)
    assert found.worker == WORKER


def test_a_plain_check_on_one_core_shares_it(plan):
    found = plan(on=host(cores=1))

    assert (found.ranks, found.oversubscribe, found.binding) == (2, True, Binding.NONE)


def test_more_ranks_than_cores_have_to_be_meant(plan):
    with pytest.raises(PlanError, match="--ranks 64 asks for more ranks than the 4 cores of this host"):
        plan(ranks=64)

    assert plan(ranks=64, oversubscribe=True).ranks == 64


def test_one_core_is_not_shared_by_ranks_that_were_asked_for(plan):
    with pytest.raises(PlanError, match="--oversubscribe"):
        plan(ranks=2, on=host(cores=1))


def test_hosts_get_one_rank_each_unless_told_otherwise(plan):
    assert plan(hosts="node[1-3]").shares == tuple(HostShare(host=f"node{i}", ranks=1) for i in (1, 2, 3))
    assert plan(hosts="node[1-3]", ranks_per_host=4).ranks == 12


def test_a_hostfile_decides_how_many_ranks_each_host_gets(plan, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("node1 slots=4\nnode2:2\n")

    found = plan(hostfile=path)

    assert (found.method, found.ranks) == ("hostfile", 6)
    assert plan(hostfile=path, ranks=4).shares == (HostShare(host="node1", ranks=2), HostShare(host="node2", ranks=2))


def test_hosts_that_cannot_be_used_are_benched_with_the_reason_and_the_plan_is_without_them(planned):
    found = planned(hosts="node[1-5]", on=host(unreachable=("node2",), broken=("node3",), unknown=("node5",)))

    assert [(each.host, each.fate) for each in found.benched] == [
        ("node5", Fate.UNREACHABLE),
        ("node2", Fate.UNREACHABLE),
        ("node3", Fate.UNUSABLE),
    ]
    assert [each.detail for each in found.benched[1:]] == ["No route to host", "No module named 'netprobe'"]
    assert "no address" in found.benched[0].detail
    assert found.plans[0].shares == (HostShare(host="node1", ranks=1), HostShare(host="node4", ranks=1))
    assert (found.plans[0].ranks, found.total_hosts) == (2, 5)


def test_hosts_that_all_fail_leave_plans_without_ranks(planned):
    found = planned(hosts="node[1-2]", on=host(unreachable=("node1", "node2")))

    assert {each.ranks for each in found.plans} == {0}
    assert len(found.benched) == found.total_hosts == 2


def test_a_host_without_an_address_is_not_asked(planned):
    asked = []

    planned(hosts="node[1-2]", on=host(unknown=("node2",), asked=asked))

    assert asked == ["node1"]


def test_hosts_of_an_allocation_are_vouched_for_and_asked_by_srun(planned):
    asked = []

    found = planned(JOB, on=host(asked=asked))

    assert (asked, found.benched, found.total_hosts) == ([], (), 4)
    assert found.plans[0].hosts == ("node1", "node2", "node3", "node4")
    assert found.ask is not None


def test_a_launcher_that_goes_its_own_way_to_hosts_leaves_nobody_to_ask(planned):
    bare = replace(host(), ask=None)

    found = planned({"HYDRA_LAUNCHER": "pbs"}, hosts="node[1-2]", on=bare)

    assert (found.ask, found.benched) == (None, ())


def test_a_plan_without_some_hosts_keeps_the_others_and_their_ranks(plan, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("node1:3\nnode2:1\nnode3:2\n")

    left = plan(hostfile=path).without({"node2"})

    assert left.shares == (HostShare(host="node1", ranks=3), HostShare(host="node3", ranks=2))
    assert (left.ranks, left.hosts) == (5, ("node1", "node3"))


def test_a_plan_of_an_allocation_without_a_host_names_those_that_are_left(plan):
    left = plan(JOB, ranks_per_host=2).without({"node3"})

    assert left.shares == tuple(HostShare(host=name, ranks=2) for name in ("node1", "node2", "node4"))
    assert left.ranks == 6


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"hosts": "a", "hostfile": Path("h")}, "--hosts and --hostfile"),
        ({"ranks": 3, "ranks_per_host": 2}, "contradict"),
        ({"ranks": 3, "ranks_per_host": 2, "hosts": "node[1-2]"}, "contradict"),
        ({"ranks": 1, "hosts": "node[1-2]"}, "leaves 1 of 2 hosts without a rank"),
        ({"forward": ("NOPE",)}, "not set here"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(plan, request_, said):
    with pytest.raises(PlanError, match=said):
        plan(**request_)


def test_an_allocation_is_used_without_any_option(plan):
    found = plan(JOB)

    assert (found.method, found.launcher.family) == ("slurm", Family.SRUN)
    assert (found.ranks, found.allocation_hosts, found.ranks_per_host) == (4, 4, 1)


def test_an_allocation_of_one_node_gets_two_ranks(plan):
    assert plan({**JOB, "SLURM_JOB_NUM_NODES": "1"}).ranks == 2
    assert plan({**JOB, "SLURM_JOB_NUM_NODES": "1"}, ranks_per_host=1).ranks == 1


def test_a_job_with_one_cpu_shares_it_unless_ranks_were_asked_for(plan):
    environ = {**JOB, "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_CPUS_PER_NODE": "1"}

    assert (plan(environ).ranks, plan(environ).oversubscribe, plan(environ).binding) == (2, True, Binding.NONE)
    with pytest.raises(PlanError, match="--oversubscribe"):
        plan(environ, ranks=2)


def test_tasks_per_node_of_the_job_are_honoured_until_something_else_is_asked(plan):
    environ = {**JOB, "SLURM_NTASKS_PER_NODE": "8"}

    assert plan(environ).ranks == 32
    assert plan(environ, ranks_per_host=2).ranks == 8
    assert plan(environ, ranks=6).ranks_per_host == 2


def test_more_ranks_than_an_allocation_has_cpus_are_refused(plan):
    with pytest.raises(PlanError, match="16 ranks per host are more than job 7 has CPUs on a host: 8"):
        plan(JOB, ranks_per_host=16)


def test_hosts_outside_of_the_allocation_are_refused(plan):
    with pytest.raises(PlanError, match="node9 is not among the hosts of job 7"):
        plan(JOB, hosts="node[1,9]")


def test_srun_is_passed_over_when_hosts_get_numbers_of_their_own(plan, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("node1:4\nnode2:1\n")

    assert plan(JOB, hostfile=path).launcher.family is Family.MPICH
    with pytest.raises(PlanError, match="srun cannot give each host its own number"):
        plan(JOB, hostfile=path, mpiexec=Path("srun"))


def test_a_rank_starts_no_ranks(plan):
    with pytest.raises(PlanError, match="already a rank"):
        plan({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"})


def test_every_rank_carries_the_mark_by_which_it_is_found(plan):
    assert "NETPROBE_JOB" in plan().forward


OPEN_MPI = "mpirun (Open MPI) 5.0.11"


def test_ranks_of_open_mpi_end_a_job_late_enough_for_its_launcher_to_say_who_was_lost(plan):
    late = ("OMPI_MCA_mpi_abort_delay", "1")

    assert late in plan(on=host(family=OPEN_MPI)).settings
    assert late not in plan({late[0]: "9"}, on=host(family=OPEN_MPI)).settings
    assert late not in plan().settings


@given(st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 60))
def test_ranks_are_dealt_out_evenly_within_the_slots(limits, ranks):
    hosts = [HostSlots(host=f"n{index}", slots=limit) for index, limit in enumerate(limits)]
    try:
        counts = [share.ranks for share in dealt(hosts, ranks, None)]
    except PlanError:
        assert ranks < len(hosts) or (None not in limits and ranks > sum(limits))
        return

    assert sum(counts) == ranks
    assert min(counts) >= 1
    free = [count for count, limit in zip(counts, limits, strict=True) if limit is None or count < limit]
    assert all(limit is None or count <= limit for count, limit in zip(counts, limits, strict=True))
    assert not free or max(counts) - min(free) <= 1
