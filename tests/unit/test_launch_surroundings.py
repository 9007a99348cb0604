import pytest

from netprobe.launch.surroundings import Allocation, Bare, External, detect, per_node_counts, rank_of

JOB = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "node[1-4]",
    "SLURM_JOB_NUM_NODES": "4",
    "SLURM_JOB_CPUS_PER_NODE": "64(x3),32",
    "SLURM_PROCID": "0",
}


def test_a_login_shell_is_neither_rank_nor_allocation():
    assert detect({"PATH": "/bin", "HOME": "/root"}) == Bare()


@pytest.mark.parametrize(
    ("environ", "size"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"}, 8),
        ({"PMI_SIZE": "4", "PMI_RANK": "0", "MPI_LOCALNRANKS": "4"}, 4),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, 4),
        ({"PMIX_RANK": "0"}, None),
        ({**JOB, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "16"}, 16),
        ({**JOB, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, 2),
    ],
)
def test_a_rank_of_a_launcher_is_recognised_with_its_job_size(environ, size):
    found = detect(environ)

    assert isinstance(found, External)
    assert found.size == size


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"}, 3),
        ({"PMI_SIZE": "4", "PMI_RANK": "2", "MPI_LOCALNRANKS": "4"}, 2),
        ({"PMIX_RANK": "1"}, 1),
        ({**JOB, "SLURM_PROCID": "5", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "16"}, 5),
        ({**JOB, "SLURM_PROCID": "5"}, 0),
        ({}, 0),
    ],
)
def test_a_rank_knows_its_number_before_mpi_is_loaded(environ, rank):
    assert rank_of(environ) == rank


def test_one_rank_under_a_launcher_is_still_a_rank():
    assert detect({"PMI_SIZE": "1", "PMI_RANK": "0", "MPI_LOCALNRANKS": "1"}) == External(
        launcher="MPICH's mpiexec", size=1
    )


@pytest.mark.parametrize(
    "extra",
    [
        {},  # a batch script
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"},  # srun --pty bash
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "PMI_SIZE": "1", "PMI_RANK": "0"},  # … of a site with PMI
        {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"},  # salloc's interactive step
    ],
)
def test_a_shell_inside_a_job_is_an_allocation_and_no_rank(extra):
    assert detect({**JOB, **extra}) == Allocation(
        job_id="7", nodelist="node[1-4]", nodes=4, tasks_per_node=None, cpus_per_node=32
    )


def test_what_a_job_asked_for_per_node_is_kept():
    found = detect({"SLURM_JOB_ID": "7", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "8", "SLURM_CPUS_ON_NODE": "16"})

    assert found == Allocation(job_id="7", nodelist="", nodes=2, tasks_per_node=8, cpus_per_node=16)


@pytest.mark.parametrize(
    ("text", "counts"), [("2(x3),1", (2, 2, 2, 1)), ("8", (8,)), ("", ()), ("many", ()), ("2(x", ())]
)
def test_run_length_codes_are_read_or_ignored(text, counts):
    assert per_node_counts(text) == counts
