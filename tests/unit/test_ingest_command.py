"""What `netprobe ingest` says of outputs of other tools, and what it ends with."""

import io
import json
import sys
from datetime import UTC, datetime

import pytest
from ingest_samples import FIXTURES, text_of
from store_samples import inventory
from test_ingest_benchmarks import BANDWIDTH_GBPS, NCCL_WITH_ROOT, OSU_BW
from test_ingest_counters import ETHTOOL

from netprobe.cli.app import main
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot
from netprobe.model.verdict import ExitCode
from netprobe.store.reader import read_run
from netprobe.store.snapshots import write_snapshot


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that runs the command on texts, and returns its exit code and output."""

    def run(*texts, options=()):
        paths = []
        for number, text in enumerate(texts, start=1):
            paths.append(tmp_path / f"{number}.txt")
            paths[-1].write_text(text)
        code = main(["ingest", *map(str, paths), *options])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def expecting(tmp_path):
    """Return a function that returns options that expect a rate."""

    def options(gbps):
        path = tmp_path / "limits.toml"
        path.write_text(f"expected_bandwidth_gbps = {gbps}\n")
        return ["--limits", str(path)]

    return options


def test_two_samples_without_growth_are_fine_and_their_totals_are_history(ingest):
    code, out, _ = ingest(text_of("rocestat.txt"), options=["-v"])

    history = out[out.index("history:") :]
    assert code == ExitCode.HEALTHY
    assert "nothing wrong was found" in out
    for total in (
        "out_of_buffer 5,339,872",
        "implied_nak_seq_err 604,024",
        "roce_adp_retrans 197,981",
        "rp_cnp_handled 4,753",
    ):
        assert total in history


def test_one_reading_is_no_finding_however_large_its_totals(ingest):
    code, out, _ = ingest(text_of("perfquery.txt"))

    assert code == ExitCode.INCONCLUSIVE
    assert "nothing could be judged" in out
    assert "two readings tell what happens" in out
    assert "port_xmit_discards 20,046" in out


def test_saturated_counters_are_at_least_what_they_show(ingest):
    _, out, _ = ingest((FIXTURES / "hosts" / "mlx5-h100.txt").read_text())

    assert "mlx5_1  link_downed at least 255" in out
    assert "excessive_buffer_overrun_errors at least 15" in out


def test_counters_of_zero_have_no_history(ingest):
    code, out, _ = ingest(text_of("perfquery-details.txt"))

    assert code == ExitCode.INCONCLUSIVE
    assert "history" not in out


@pytest.mark.parametrize(("later", "expected"), [(4, ExitCode.HEALTHY), (400, ExitCode.DEGRADED)])
def test_what_grew_between_two_readings_is_a_finding(ingest, later, expected):
    text = "link mlx5_0/1 rx_write_requests {0} local_ack_timeout_err {1}\n"

    code, out, _ = ingest(text.format(100, 4), text.format(9000, later), options=["--elapsed", "60s"])
    assert code == expected
    assert ("grew by 396" in " ".join(out.split())) is (later == 400)


def test_pauses_are_judged_when_the_time_between_readings_is_told(ingest):
    before, after = ETHTOOL.format(pause=0), ETHTOOL.format(pause=5)

    _, out, _ = ingest(before, after)
    assert "how long lay between two" in " ".join(out.split())
    _, out, _ = ingest(before, after, options=["--elapsed", "60s"])
    assert "how long lay between two" not in " ".join(out.split())


def test_wrong_results_block(ingest):
    code, out, _ = ingest(NCCL_WITH_ROOT)

    assert code == ExitCode.FAULTY
    assert "wrong results: 3 elements; sizes: 1M" in out


def test_right_results_are_fine(ingest):
    text = NCCL_WITH_ROOT.replace("       3\n", "       0\n").replace("3 FAILED", "0 OK")

    assert ingest(text)[0] == ExitCode.HEALTHY


def test_results_of_one_host_say_nothing_of_the_fabric(ingest):
    code, out, _ = ingest(text_of("nccl-allreduce.txt"))

    assert code == ExitCode.INCONCLUSIVE
    assert "all ranks ran on localhost: no network was involved" in out
    assert "235.26 GB/s" in out
    assert "did not compare its data" in " ".join(out.split())


@pytest.mark.parametrize(
    ("expected", "code"), [(200, ExitCode.HEALTHY), (240, ExitCode.DEGRADED), (400, ExitCode.FAULTY)]
)
def test_the_largest_size_is_held_against_what_is_expected(ingest, expecting, expected, code):
    assert ingest(OSU_BW, options=expecting(expected))[0] == code


def test_two_ways_together_are_halved(ingest, expecting):
    assert ingest(BANDWIDTH_GBPS, options=expecting(400))[0] == ExitCode.HEALTHY
    assert ingest(BANDWIDTH_GBPS, options=expecting(500))[0] == ExitCode.DEGRADED


def test_a_loop_through_one_port_is_held_against_nothing(ingest, expecting):
    code, out, _ = ingest(text_of("perftest-8M.txt"), options=expecting(400))

    assert code == ExitCode.INCONCLUSIVE
    assert "202 Gb/s is about the line rate of a port of 200 Gb/s" in out
    assert "both ends are one port" in out


def test_an_average_far_below_its_peak_is_noted(ingest):
    _, out, _ = ingest(text_of("perftest-sweep.txt"))

    assert "the average is far below the peak at 8K (107 Gb/s of 156 Gb/s), 16K" in out


def test_a_dent_in_a_sweep_is_noted(ingest):
    text = "# OSU MPI Bandwidth Test v7.4\n# Size      Bandwidth (MB/s)\n512  {}\n1024  {}\n2048 9000\n"

    assert "slower with a larger size: 40.0 Gb/s at 1K after 64.0 Gb/s" in ingest(text.format(8000, 5000))[1]
    assert "slower" not in ingest(text.format(8000, 7000))[1]


def test_a_consistent_configuration_is_fine(ingest):
    code, out, _ = ingest(text_of("qos.txt"))

    assert code == ExitCode.HEALTHY
    assert "1 flow-control report" in out


def test_the_same_with_flow_control_for_another_priority_than_that_of_rdma_is_not(ingest):
    lossless = "        enabled     0   0   0   0   0   1   0   0"
    text = text_of("qos.txt")
    assert lossless in text

    code, out, _ = ingest(text.replace(lossless, "        enabled     0   0   0   1   0   0   0   0"))

    assert code == ExitCode.DEGRADED
    assert "traffic class 160 (DSCP 40) rides in priority 5, which is not lossless" in " ".join(out.split())


def test_settings_without_what_any_rule_looks_at_are_not_judged(ingest):
    lines = [line for line in text_of("qos.txt").splitlines() if "ECN" not in line and "tos" not in line]
    code, out, _ = ingest("\n".join(line for line in lines if "QOS" not in line))

    assert code == ExitCode.INCONCLUSIVE
    assert "none that a rule could be applied to" in " ".join(out.split())


LOSSLESS = "        enabled     0   0   0   0   0   1   0   0"


@pytest.mark.parametrize("hosts", [1, 3])
@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        (LOSSLESS, LOSSLESS.replace("1", "0"), "whether global pause is on instead is not known"),
        ("Priority trust state: dscp", "Priority trust state: pcp", "whether any address of RDMA is on a VLAN"),
    ],
)
def test_what_a_text_leaves_open_does_not_pass_for_fine(tmp_path, capsys, line, instead, says, hosts):
    text = text_of("qos.txt")
    assert line in text
    (tmp_path / "qos").write_text(text.replace(line, instead))

    assert main(["ingest", *(f"h{number}={tmp_path / 'qos'}" for number in range(hosts))]) == ExitCode.INCONCLUSIVE

    told = " ".join(capsys.readouterr().out.split())
    assert says in told
    assert "none that a rule could be applied to" not in told


def test_settings_without_flow_control_say_that_it_is_missing(ingest):
    lines = text_of("qos.txt").splitlines()
    code, out, _ = ingest("\n".join(line for line in lines if "enabled" not in line and "buffer" not in line))

    assert code == ExitCode.INCONCLUSIVE
    assert "flow control (PFC) of the RDMA device's interface is missing" in " ".join(out.split())


def test_a_port_that_was_handed_over_for_one_host_alone_is_missing_nowhere(tmp_path, capsys):
    one = text_of("qos.txt")
    both = one + one.replace("eth0", "eth1").replace("mlx5_0", "mlx5_1")
    files = []
    for host, text in (("h1", one), ("h2", both)):
        (tmp_path / host).write_text(text)
        files.append(f"{host}={tmp_path / host}")

    assert main(["ingest", *files]) == ExitCode.HEALTHY

    told = " ".join(capsys.readouterr().out.split())
    assert "number of RDMA ports" not in told
    assert "h2 mlx5_1: no other host has a port or interface of this name" in told


def test_what_was_read_and_what_was_not_is_told_of_every_file(ingest):
    code, out, err = ingest("some words\n" + OSU_BW, "nothing of ours\n")

    assert code == ExitCode.INCONCLUSIVE
    assert "6 lines read, osu Bandwidth of 2 rows, 1 line not understood (first: line 1)" in out
    assert "holds nothing that netprobe knows" in " ".join(out.split())
    assert err == ""


def test_files_without_anything_known_are_a_mistake_in_one_line(ingest):
    code, out, err = ingest("nothing\nof ours\n")

    assert code == ExitCode.SETUP_ERROR
    assert out == ""
    assert err.count("\n") == 1
    assert "1.txt holds nothing that netprobe knows in its 2 lines; line 1: 'nothing'" in err


def test_a_missing_file_is_a_mistake_in_one_line(capsys):
    assert main(["ingest", "/no/such/file"]) == ExitCode.SETUP_ERROR
    assert capsys.readouterr().err == "netprobe: /no/such/file cannot be read: No such file or directory\n"


def test_hosts_are_named_before_files(tmp_path, capsys):
    for host, pause in (("n1", 3), ("n2", 0)):
        (tmp_path / host).write_text(ETHTOOL.format(pause=pause))

    main(["ingest", *(f"{host}={tmp_path / host}" for host in ("n1", "n2"))])
    assert "n1: lifetime totals" in (out := " ".join(capsys.readouterr().out.split()))
    assert "n2: lifetime totals" in out


def test_standard_input_is_read(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OSU_BW.encode())))

    main(["ingest", "-"])
    assert "standard input: 5 lines read" in capsys.readouterr().out


def test_names_in_files_cannot_move_the_cursor(ingest):
    host = "n1\x1b]0;title\x07\u202e"
    text = f"# Rank  0 Group  0 Pid 1 on {host} device  0 [0000:01:00] GPU\n" + NCCL_WITH_ROOT

    _, out, _ = ingest(text)
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_snapshots_are_judged_with_the_rest(tmp_path, capsys):
    path = tmp_path / "n1.netprobe.tar.gz"
    values = [{"rdma/mlx5_0/1/local_ack_timeout_err": count} for count in (1, 500)]
    two = tuple(Reading(at_ns=number * 10**9, values=each) for number, each in enumerate(values))
    taken = f"{datetime(2026, 11, 24, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"
    write_snapshot(
        path,
        Snapshot(format=SNAPSHOT_FORMAT, netprobe="0", taken=taken, inventory=inventory("n1"), readings=two),
    )

    code = main(["ingest", str(path)])
    out = capsys.readouterr().out
    assert code == ExitCode.DEGRADED
    assert "local_ack_timeout_err" in out
    assert "grew by 499" in " ".join(out.split())


def test_two_snapshots_of_a_host_tell_what_happened_in_between(tmp_path, capsys):
    paths = []
    for number, count in enumerate((5, 5, 105)):
        reading = Reading(at_ns=number * 10**9, values={"rdma/mlx5_0/1/local_ack_timeout_err": count})
        paths.append(tmp_path / f"{number}.netprobe.tar.gz")
        taken = f"2026-11-24T0{number}:00:00Z"
        told = Snapshot(
            format=SNAPSHOT_FORMAT, netprobe="0", taken=taken, inventory=inventory("n1"), readings=(reading, reading)
        )
        write_snapshot(paths[-1], told)

    main(["ingest", *map(str, reversed(paths)), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["hosts"] == ["n1"]
    assert told["windows"] == 2
    assert "grew by 100" in next(each for each in told["findings"] if each["detector"] == "counters")["summary"]


def test_json_has_the_figures(ingest):
    _, out, _ = ingest(OSU_BW, options=["--format", "json"])

    told = json.loads(out)
    assert told["benchmarks"][0]["rows"][1]["algbw_gbps"] == pytest.approx(196.80096)
    assert told["is_judged"] is False


def test_a_run_directory_is_written_on_demand(ingest, tmp_path):
    _, _, err = ingest(text_of("rocestat.txt"), options=["--out", str(tmp_path / "runs")])

    [directory] = (tmp_path / "runs").iterdir()
    assert f"written to {directory}" in err
    run = read_run(directory)
    assert [rank.host for rank in run.header.ranks] == ["unnamed"]
    assert "rdma/" in run.counters["counter"].str.slice(0, 5).to_list()
    assert json.loads((directory / "ingest.json").read_text())["windows"] > 0


def test_an_unknown_format_of_output_is_a_mistake(ingest):
    code, _, err = ingest(OSU_BW, options=["--format", "yaml"])

    assert code == ExitCode.SETUP_ERROR
    assert "there is no format called 'yaml' here" in err
