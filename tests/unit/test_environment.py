from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.environment import forwarded_names, launch_settings, launcher_environment, recorded_environment
from netprobe.errors import PlanError

HERE = {
    "PATH": "/bin",
    "LD_LIBRARY_PATH": "/opt/lib",
    "NCCL_DEBUG": "INFO",
    "UCX_TLS": "rc",
    "OMPI_MCA_btl": "tcp,self",
    "SLURM_JOB_ID": "7",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "NCCL_AUTH_TOKEN": "hunter2",
    "HOME": "/root",
    "LC_TEST": "x",
}


def test_only_settings_of_communication_are_recorded_and_no_secret():
    assert dict(recorded_environment(HERE)) == {
        "NCCL_DEBUG": "INFO",
        "OMPI_MCA_btl": "tcp,self",
        "SLURM_JOB_ID": "7",
        "UCX_TLS": "rc",
    }


def test_what_open_mpi_tells_its_own_ranks_is_not_recorded_as_a_setting():
    assert recorded_environment({"OMPI_MCA_PREFIXES": "mca,opal", "OMPI_MCA_initial_wdir": "/home/me"}) == ()


@given(st.sampled_from(["NCCL_", "UCX_", "FI_"]), st.sampled_from(["key", "TOKEN", "Secret", "PASSWORD", "credential"]))
def test_no_name_that_sounds_like_a_secret_is_recorded(prefix, word):
    assert recorded_environment({f"{prefix}{word}_A": "x"}) == ()


def test_ranks_get_the_allow_list_and_what_was_asked_for():
    assert forwarded_names(HERE, ("LC_TEST",)) == (
        "LC_TEST",
        "LD_LIBRARY_PATH",
        "NCCL_AUTH_TOKEN",
        "NCCL_DEBUG",
        "OMPI_MCA_btl",
        "PATH",
        "UCX_TLS",
    )


@pytest.mark.parametrize("name", ["NOT_SET", "A=B", "A,B", ""])
def test_a_variable_that_cannot_be_forwarded_is_a_plan_error(name):
    with pytest.raises(PlanError, match="--forward"):
        forwarded_names(HERE, (name,))


def test_the_marks_of_an_outer_launcher_do_not_reach_an_inner_one():
    outer = {"PMI_RANK": "0", "PMI_SIZE": "1", "PMIX_RANK": "0", "OMPI_COMM_WORLD_RANK": "0", "PMIX_MCA_gds": "hash"}

    assert launcher_environment({**outer, "PATH": "/bin"}, {"A": "b"}) == {
        "PATH": "/bin",
        "PMIX_MCA_gds": "hash",
        "A": "b",
    }


def test_ranks_of_a_foreign_launcher_are_told_its_library():
    assert launch_settings(Path("/usr/lib/libmpi.so.12"), {}, oversubscribe=False) == {
        "MPI4PY_LIBMPI": "/usr/lib/libmpi.so.12"
    }


def test_ranks_that_share_cores_are_told_to_give_way_unless_the_user_said_otherwise():
    mine = {"MPIR_CVAR_CH4_PROGRESS_THROTTLE": "0"}

    settings = launch_settings(None, mine, oversubscribe=True)

    assert settings["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert "MPIR_CVAR_CH4_PROGRESS_THROTTLE" not in settings
    assert launch_settings(None, mine, oversubscribe=False) == {}
