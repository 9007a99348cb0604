import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.launch.hosts import HostSlots, folded, parse_hostfile, parse_hosts, read_hostfile


def slots(text):
    return {each.host: each.slots for each in parse_hostfile(text, "hosts.txt")}


def test_ranges_are_written_as_operators_write_them():
    names = [each.host for each in parse_hosts("node[01-03],gpu7")]

    assert sorted(names) == ["gpu7", "node01", "node02", "node03"]
    assert folded(["node03", "node01", "node02"]) == "node[01-03]"


def test_a_hostfile_of_open_mpi_names_slots():
    assert slots("# rack 1\nnode01 slots=4\n\nnode02  slots=8 max_slots=6 # small\n") == {"node01": 4, "node02": 6}


def test_a_hostfile_of_mpich_names_slots_after_a_colon():
    assert slots("node01:4\nnode02\n") == {"node01": 4, "node02": None}


def test_repeated_lines_add_up():
    assert slots("a\na\na\nb slots=2\nb:3\n") == {"a": 3, "b": 5}


def test_a_line_of_a_hostfile_may_hold_a_range():
    assert slots("node[1-2]:2") == {"node1": 2, "node2": 2}


@pytest.mark.parametrize(
    "line", ["node01 slot=4", "node01 slots=four", "node01:", "node01:0", "node01 4", "node[01-", "-l"]
)
def test_a_typo_in_a_hostfile_is_named_with_its_line(line):
    with pytest.raises(PlanError) as caught:
        parse_hostfile(f"# fine\nnode00\n{line}\n", "/etc/hosts.mpi")

    assert "/etc/hosts.mpi, line 3" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_message_says_what_a_line_looks_like():
    with pytest.raises(PlanError, match=r"'slot=4' is not understood; try: a line such as 'node01 slots=4'"):
        parse_hostfile("node01 slot=4", "hosts.txt")


@pytest.mark.parametrize(
    "text", ["", "node[01-", "node[5-1]", "-oProxyCommand=x", "@all", "*", "a$(reboot)", "a;b", "node1:4"]
)
def test_text_that_names_no_hosts_is_refused(text):
    with pytest.raises(PlanError, match="--hosts"):
        parse_hosts(text)


@pytest.mark.parametrize("text", ["node[1-99999999]", "node[1-100000000000]", "n[1-9999]x[1-9999]"])
def test_a_slip_in_a_range_does_not_fill_the_memory(text):
    with pytest.raises(PlanError, match="hosts"):
        parse_hosts(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00binary", b"# nothing here\n"])
def test_a_hostfile_that_lists_nothing_is_one_clear_line(tmp_path, content):
    path = tmp_path / "hosts"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PlanError, match="--hostfile") as caught:
        read_hostfile(path)

    assert str(path) in str(caught.value)


@given(st.text(alphabet="node[]-,:@&!^*?/0123 \n%$#=slot(){}", max_size=24))
def test_any_text_is_hosts_or_a_plan_error(text):
    for parse in (parse_hosts, lambda each: parse_hostfile(each, "f")):
        try:
            found = parse(text)
        except PlanError:
            continue
        assert found
        assert all(isinstance(each, HostSlots) and not each.host.startswith("-") for each in found)
