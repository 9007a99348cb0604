"""``show``, ``--html`` and ``report -o``: maps and pages of a run directory, and what stands in their way."""

import re
from dataclasses import replace

import numpy as np
import pytest
from exhibit_samples import exhibits

from netprobe.cli.app import main
from netprobe.contracts import RenderOptions
from netprobe.model.exhibits import Figure
from netprobe.registry import reporters
from netprobe.reporters._terminal_maps import terminal_maps
from netprobe.sim.screening import Screening, SlowHost, screening_run
from netprobe.store.whole import write_whole


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The run of twelve hosts of which the fifth sends slowly."""
    fabric = Screening(hosts=12, seed=1, slow_hosts=(SlowHost(host=4, sends_ratio=0.37),))
    return str(write_whole(screening_run(fabric), tmp_path_factory.mktemp("runs")))


def test_a_map_shows_the_slow_sender_without_any_colour_in_80_columns(directory, capsys):
    assert main(["show", directory, "bandwidth"]) == 0

    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    rows = {line.split()[1]: line.split()[2:] for line in shown.splitlines() if re.match(r" +\d+ node", line)}
    assert set(rows["node0005"]) == {"·", "3"}
    assert {cell for name, cells in rows.items() if name != "node0005" for cell in cells} == {"·", "9"}
    assert "node0005:4 → " in shown


def test_without_a_word_all_that_was_measured_is_shown(directory, capsys):
    assert main(["show", directory]) == 0

    shown = capsys.readouterr().out
    assert "bandwidth, one way" in shown
    assert "latency, half a round trip" in shown
    assert "median" in shown


def test_what_was_not_measured_is_said_and_no_map_is_drawn(directory, capsys):
    assert main(["show", directory, "loss"]) == 0

    assert capsys.readouterr().out == "  no map: no loss of pairs was measured\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bandwith"], "try: bandwidth"),
        (["bandwidth", "--by", "rack"], "try: nic, host, leaf"),
        (["bandwidth", "--by", "leaf"], "nobody told which leaf switch a host is on"),
        (["tails", "--by", "host"], "tails have none"),
    ],
)
def test_what_cannot_be_shown_is_one_line_with_exit_code_4(directory, capsys, arguments, told):
    assert main(["show", directory, *arguments]) == 4

    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_a_page_is_written_beside_the_report_that_is_printed(directory, tmp_path, capsys):
    assert main(["report", directory, "--html", str(tmp_path / "page.html")]) == 2

    captured = capsys.readouterr()
    assert captured.out.startswith("FAULTY")
    assert f"page: {tmp_path / 'page.html'}" in captured.err
    assert (tmp_path / "page.html").read_text().count('<figure class="map">') == 2


def test_a_report_is_written_to_a_file_instead(directory, tmp_path, capsys):
    assert main(["report", directory, "--format", "markdown", "-o", str(tmp_path / "report.md")]) == 2

    assert capsys.readouterr().out == ""
    assert (tmp_path / "report.md").read_text().startswith("## FAULTY")


@pytest.mark.parametrize("option", ["--html", "-o"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_judged(directory, tmp_path, capsys, option):
    for file, told in ((tmp_path, "is a directory"), (tmp_path / "no" / "page.html", "there is no directory")):
        assert main(["report", directory, option, str(file)]) == 4

        captured = capsys.readouterr()
        assert told in captured.err
        assert captured.err.count("\n") == 1
        assert not captured.out


def test_check_refuses_such_a_file_before_it_measures(tmp_path, capsys):
    assert main(["check", "--html", str(tmp_path / "no" / "page.html"), "--out", str(tmp_path / "runs")]) == 4

    assert "there is no directory" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_page_is_made_without_maps_where_their_file_is_damaged(tmp_path, capsys):
    directory = write_whole(screening_run(Screening(hosts=6, seed=1)), tmp_path)
    main(["judge", str(directory), "--format", "json"])
    (directory / "report.json").write_text(capsys.readouterr().out)
    (directory / "series.parquet").write_bytes(b"PAR1 no more")

    assert main(["report", str(directory), "--html", str(tmp_path / "page.html")]) in (0, 3)

    assert "without maps and curves, or figures of single hosts, as " in capsys.readouterr().err
    assert "<figure" not in (tmp_path / "page.html").read_text()


def test_in_colour_a_bad_cell_has_another_shade_and_the_same_digit():
    drawn = terminal_maps(exhibits(), (Figure.BANDWIDTH,), "host", RenderOptions(color=True))

    cells = dict(re.findall(r"48;5;(\d+)m (\d)\x1b", drawn))
    assert sorted(cells.values()) == ["3", "9"]
    assert len(cells) == 2


def test_any_loss_is_told_from_none_in_digits():
    drawn = terminal_maps(exhibits(), (Figure.LOSS,), "host", RenderOptions())

    rows = [line.split()[2:] for line in drawn.splitlines() if re.match(r" +\d host", line)]
    assert rows[0] == ["·", "0", "0"]
    assert set(rows[2][:2]) == {"7"}


def test_more_hosts_than_columns_are_binned_or_folded_by_leaf():
    many = exhibits(hosts=200)
    leaves = replace(many.places, leaves=("a", "b"), leaf_of=np.arange(400) % 2)

    for drawn in (many, replace(many, places=leaves)):
        text = terminal_maps(drawn, (Figure.BANDWIDTH,), None, RenderOptions())
        assert max(map(len, text.splitlines())) <= 80
        assert "a cell is the slowest of its pairs" in text
    assert re.search(r"^  2 b", text, re.MULTILINE)


def test_hostile_names_move_no_cursor():
    text = terminal_maps(exhibits(name="node\x1b[31m\n{}"), tuple(Figure), None, RenderOptions())

    assert "\x1b" not in text
    assert "\\x1b[31m" in text


@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("report.md", (), "## FAULTY"),
        ("REPORT.JSON", (), "{"),
        ("report.txt", (), "FAULTY"),
        ("netprobe.prom", (), "# HELP"),
        ("junit.xml", (), "<?xml"),
        ("report.sarif.json", (), '{\n  "$schema"'),
        ("healthy.hosts", (), "# healthy hosts"),
        ("drain.sh", (), "#!/bin/sh"),
        ("report.json", ("--format", "console"), "FAULTY"),
    ],
)
def test_the_name_of_a_file_says_its_format_where_none_is_asked_for(directory, tmp_path, name, options, start):
    assert main(["report", directory, "-o", str(tmp_path / name), *options]) == 2

    assert (tmp_path / name).read_text().startswith(start)


def test_no_two_formats_share_an_ending():
    endings = [suffix for each in reporters().values() for suffix in each.suffixes]

    assert len(endings) == len(set(endings))
