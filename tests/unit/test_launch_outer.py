"""Which MPI library the ranks of somebody else's launcher must load."""

from pathlib import Path

import pytest

from netprobe.errors import LaunchError
from netprobe.launch.find import Search
from netprobe.launch.outer import ancestors_here, outer_library


@pytest.fixture
def install(tmp_path):
    """Make an MPI under tmp_path/NAME with these files; return the folder of its programs."""

    def make(name, *files):
        for each in files:
            path = tmp_path / name / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / name / "bin"

    return make


def search_in(own, **changes):
    return Search(path=(), own_folders=(own,), **changes)


def test_the_library_beside_a_launcher_from_elsewhere_is_loaded(install, tmp_path):
    own = install("venv", "bin/mpiexec", "lib/libmpi.so.12")
    outer = install("site", "bin/orterun", "lib/libmpi.so.40")

    found = outer_library(search_in(own), [Path("/bin/sh"), outer / "orterun", own / "hydra_pmi_proxy"])

    assert found == tmp_path / "site/lib/libmpi.so.40"


def test_the_launcher_of_this_environment_needs_nothing(install):
    own = install("venv", "bin/hydra_pmi_proxy", "lib/libmpi.so.12")

    assert outer_library(search_in(own), [own / "hydra_pmi_proxy"]) is None


def test_what_the_user_has_set_is_left_alone(install):
    own = install("venv", "bin/mpiexec", "lib/libmpi.so.12")
    outer = install("site", "bin/orterun", "lib/libmpi.so.40")

    assert outer_library(search_in(own, sets_library=False), [outer / "orterun"]) is None


def test_a_launcher_of_another_family_without_a_library_is_refused(install):
    own = install("venv", "bin/mpiexec", "lib/libmpi.so.12")
    outer = install("site", "bin/prted")

    with pytest.raises(LaunchError, match="MPI4PY_LIBMPI") as caught:
        outer_library(search_in(own), [outer / "prted"])
    assert str(outer / "prted") in str(caught.value)


@pytest.mark.parametrize("name", ["prted", "slurmstepd"])
def test_a_launcher_that_may_fit_is_left_to_mpi4py(install, name):
    own = install("venv", "bin/mpiexec", "lib/libmpi.so.40")

    assert outer_library(search_in(own), [Path("/opt/site/bin") / name]) is None


def test_ancestors_are_found_whatever_their_names_hold(tmp_path):
    for process, parent in (("self", 40), ("40", 30), ("30", 0)):
        (tmp_path / process).mkdir()
        (tmp_path / process / "stat").write_text(f"{process} (a) b (c) S {parent} 1 1")
        (tmp_path / process / "exe").symlink_to(f"/opt/program-{process}")

    assert list(ancestors_here(tmp_path)) == [Path("/opt/program-40"), Path("/opt/program-30")]
