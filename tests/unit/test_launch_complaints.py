import pytest

from netprobe.launch.complaints import complaint_in

RULE = "-" * 74
HYDRA_END = [
    "=" * 83,
    "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES",
    "=   PID 17 RUNNING AT node1",
    "=   EXIT CODE: 1",
    "=" * 83,
]


@pytest.mark.parametrize(
    ("lines", "line", "remedy"),
    [
        ([RULE, "There are not enough slots available in the system to satisfy the 5", "slots", RULE],
         "not enough slots", "--oversubscribe"),
        (["ssh: Could not resolve hostname nod1: Name or service not known", RULE, "ORTE was unable to reliably start"],
         "Could not resolve hostname nod1", "names that ssh knows"),
        (["Host key verification failed."], "Host key verification failed", "without a password"),
        (["bash: line 1: /venv/bin/python: No such file or directory", *HYDRA_END], "/venv/bin/python", "same Python"),
        (["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'mpi4py'"], "mpi4py", "pip"),
        (["The PMIx server's listener thread failed to start. We cannot", "continue."], "listener thread", "TMPDIR"),
        (["srun: error: Invalid MPI plugin name: pmix_v9"], "pmix_v9", "srun --mpi=list"),
        (["x", "netprobe: MPI could not be loaded: cannot load MPI library; try: a module", *HYDRA_END],
         "MPI could not be loaded", None),
        (["Traceback (most recent call last):", "  File 'x'", "ValueError: odd", *HYDRA_END], "ValueError: odd", None),
    ],
)  # fmt: skip
def test_the_telling_line_is_found_amid_the_rest(lines, line, remedy):
    found = complaint_in(lines)

    assert line in found.line
    assert (found.remedy is None) if remedy is None else (remedy in found.remedy)


def test_a_text_that_open_mpi_wraps_in_a_box_is_read_as_one():
    box = [RULE, "prterun was unable to launch the specified application as it could not", "access an executable:", ""]

    found = complaint_in([*box, "   Executable: /venv/bin/python", "   Node: node7", "", RULE, "prterun has exited"])

    assert "could not access an executable: Executable: /venv/bin/python Node: node7" in found.line


def test_silence_is_no_complaint():
    assert complaint_in([]).line == ""
    assert complaint_in(["", RULE, *HYDRA_END]).line == ""


def test_a_line_from_a_hostile_host_is_short_and_printable():
    found = complaint_in(["\x1b[31mpermission denied\x07" + "x" * 5000])

    assert found.line.isprintable()
    assert len(found.line) <= 300
