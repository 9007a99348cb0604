# shellcheck shell=bash
# Shared by the scripts: one virtual environment for each MPI family, since their wheels overwrite each other's mpiexec.
# Source it from the repository root; `environment mpich dev` prints the environment's directory, made when it is missing
# or older than what it is made from.

environment() {
    local family=$1 extras=$2 directory=.venvs/$1 mpi=mpi
    [ "$family" = openmpi ] && mpi=openmpi
    local stamp=$directory/.made-with-$extras
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ setup.py -nt "$stamp" ] ||
        [ -n "$(find kernels/host -newer "$stamp" -name '*.[ch]' -print -quit)" ]; then
        echo "making $directory (netprobe[$mpi,$extras])" >&2
        [ -x "$directory/bin/python" ] || "${PYTHON:-python3}" -m venv "$directory" >&2
        "$directory/bin/python" -m pip install --quiet --editable ".[$mpi,$extras]" >&2
        touch "$stamp"
    fi
    echo "$directory"
}
