from pathlib import Path

import pytest

from netprobe.errors import UnavailableError
from netprobe.launch.find import Search, find_launchers, read_version
from netprobe.launch.library import library_of
from netprobe.launch.request import Family

SAID = {
    "mpich": "HYDRA build details:\n    Version:                                 4.2.1\n",
    "intel": "Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005\nCopyright\n",
    "openmpi5": "mpiexec (Open MPI) 5.0.11\n\nReport bugs to …\n",
    "openmpi4": "mpirun (Open MPI) 4.1.4\n",
    "debian": "mpiexec (OpenRTE) 4.1.4\n",
    "prte": "prterun (PRRTE) 3.0.6\n",
    "slurm": "slurm 23.11.4\n",
    "other": "a wrapper of our site, version 7.1\n",
}


def program(folder, name, says):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(says)
    path.chmod(0o755)
    return path


def read(path):
    return SAID[Path(path).read_text()]


def found(search):
    return [(each.path, each.family) for each in find_launchers(search, read)]


def test_a_system_launcher_comes_before_the_one_of_this_environment(tmp_path):
    own = program(tmp_path / "venv/bin", "mpiexec", "mpich")
    system = program(tmp_path / "opt/bin", "mpiexec", "openmpi4")

    search = Search(path=(own.parent, system.parent), own_folders=(own.parent,))

    assert found(search) == [(system, Family.OPEN_MPI), (own, Family.MPICH)]


def test_inside_an_allocation_srun_comes_first(tmp_path):
    srun = program(tmp_path / "bin", "srun", "slurm")
    own = program(tmp_path / "venv/bin", "mpiexec", "mpich")
    search = Search(path=(srun.parent,), own_folders=(own.parent,), in_allocation=True)

    assert found(search) == [(srun, Family.SRUN), (own, Family.MPICH)]


def test_outside_of_an_allocation_srun_is_not_used(tmp_path):
    srun = program(tmp_path / "bin", "srun", "slurm")

    with pytest.raises(UnavailableError, match=r"pip install 'netprobe\[mpi\]', or load an MPI module"):
        find_launchers(Search(path=(srun.parent,), own_folders=()), read)


def test_mpirun_will_do_where_there_is_no_mpiexec(tmp_path):
    mpirun = program(tmp_path / "bin", "mpirun", "openmpi5")

    assert found(Search(path=(mpirun.parent,), own_folders=())) == [(mpirun, Family.OPEN_MPI)]


def test_a_launcher_is_tried_once_however_many_names_lead_to_it(tmp_path):
    real = program(tmp_path / "bin", "mpiexec", "mpich")
    (tmp_path / "link").symlink_to(real.parent)

    assert len(found(Search(path=(real.parent, tmp_path / "link", real.parent), own_folders=()))) == 1


def test_a_named_launcher_is_the_only_one(tmp_path):
    named = program(tmp_path / "a", "mpiexec", "openmpi5")
    other = program(tmp_path / "b", "mpiexec", "mpich")

    assert found(Search(path=(other.parent,), own_folders=(), named=named)) == [(named, Family.OPEN_MPI)]


def test_a_named_launcher_is_looked_up_on_the_path(tmp_path):
    mpiexec = program(tmp_path / "a", "mpiexec.hydra", "mpich")

    assert found(Search(path=(mpiexec.parent,), own_folders=(), named=Path("mpiexec.hydra"))) == [
        (mpiexec, Family.MPICH)
    ]


def test_a_named_launcher_that_is_missing_or_unknown_is_an_error(tmp_path):
    odd = program(tmp_path / "a", "launch", "other")

    with pytest.raises(UnavailableError, match="there is no such program"):
        find_launchers(Search(path=(), own_folders=(), named=Path("/nonexistent/mpiexec")), read)
    with pytest.raises(UnavailableError, match="a wrapper of our site"):
        find_launchers(Search(path=(), own_folders=(), named=odd), read)


@pytest.mark.parametrize(
    ("says", "family", "version"),
    [
        ("mpich", Family.MPICH, "HYDRA 4.2.1"),
        ("intel", Family.MPICH, "Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005"),
        ("openmpi5", Family.OPEN_MPI, "mpiexec (Open MPI) 5.0.11"),
        ("debian", Family.OPEN_MPI, "mpiexec (OpenRTE) 4.1.4"),
        ("prte", Family.OPEN_MPI, "prterun (PRRTE) 3.0.6"),
    ],
)
def test_families_are_told_by_what_launchers_say(tmp_path, says, family, version):
    path = program(tmp_path, "mpiexec", says)

    (launcher,) = find_launchers(Search(path=(path.parent,), own_folders=()), read)

    assert (launcher.family, launcher.version) == (family, version)


def test_a_launcher_that_cannot_be_run_says_nothing(tmp_path):
    assert read_version(tmp_path / "absent") == ""


def test_only_launchers_from_elsewhere_need_their_library_named(tmp_path):
    own = program(tmp_path / "venv/bin", "mpiexec", "mpich")
    system = program(tmp_path / "opt/bin", "mpiexec", "mpich")
    for prefix in ("venv", "opt"):
        program(tmp_path / prefix / "lib", "libmpi.so.12", "mpich")

    search = Search(path=(system.parent,), own_folders=(own.parent,))
    told = Search(path=(system.parent,), own_folders=(own.parent,), sets_library=False)

    assert [each.library for each in find_launchers(search, read)] == [tmp_path / "opt/lib/libmpi.so.12", None]
    assert [each.library for each in find_launchers(told, read)] == [None, None]


@pytest.mark.parametrize(
    ("family", "library"),
    [(Family.OPEN_MPI, "libmpi.so.40"), (Family.MPICH, "libmpich.so.12")],
)
def test_on_debian_each_family_finds_its_own_library_behind_the_alternatives(tmp_path, family, library):
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    real = program(tmp_path / "usr/bin", "orterun", "debian")
    alternatives = tmp_path / "etc/alternatives"
    alternatives.mkdir(parents=True)
    (alternatives / "mpiexec").symlink_to(real)
    (tmp_path / "usr/bin/mpiexec").symlink_to(alternatives / "mpiexec")
    program(libraries, "libmpi.so.40.30.4", "x")
    program(libraries, "libmpich.so.12", "x")
    (libraries / "libmpi.so.40").symlink_to("libmpi.so.40.30.4")
    (alternatives / "libmpi.so").symlink_to(libraries / "libmpi.so.40")
    (libraries / "libmpi.so").symlink_to(alternatives / "libmpi.so")

    assert library_of(tmp_path / "usr/bin/mpiexec", family) == libraries / library


def test_a_library_of_the_other_family_is_no_answer(tmp_path):
    program(tmp_path / "lib", "libmpi.so.40", "x")
    (tmp_path / "lib/libmpi.so").symlink_to("libmpi.so.40")

    assert library_of(tmp_path / "bin/mpiexec", Family.MPICH) is None
    assert library_of(tmp_path / "bin/srun", Family.SRUN) is None
