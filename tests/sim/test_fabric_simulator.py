"""The simulated fabric from its files to the verdict: clean nights have no finding, and a fault names its culprit."""

import json
from pathlib import Path

import pytest

from netprobe.cli.app import main
from netprobe.model.verdict import ExitCode

FAULTS = Path(__file__).parent / "faults"


@pytest.fixture
def simulated(tmp_path, capsys):
    """Return a function that simulates, judges the directory, and returns the exit code, report and truth."""

    def simulate(*faults, nics=8, seed=1, profile="quick", options=()):
        wanted = [word for fault in faults for word in ("--faults", str(FAULTS / f"{fault}.toml"))]
        common = ["--nics", str(nics), "--seed", str(seed), "-p", profile, "--out", str(tmp_path), *options]
        assert main(["simulate", *common, *wanted]) == 0
        capsys.readouterr()
        [directory] = [each for each in tmp_path.iterdir() if each.is_dir()]
        code = main(["judge", "--format", "json", str(directory)])
        report = json.loads(capsys.readouterr().out)
        truth = json.loads(directory.with_name(f"{directory.name}.truth.json").read_text())
        return code, report, truth

    return simulate


@pytest.mark.parametrize("seed", range(3))
def test_a_fabric_in_which_all_is_well_has_no_finding(simulated, seed):
    code, report, truth = simulated(seed=seed)

    assert (code, report["findings"], truth["injected"]) == (ExitCode.HEALTHY, [], [])
    assert report["coverage"]["pairs_measured"] == report["coverage"]["pairs_planned"] > 0


def test_a_lossy_link_is_named_by_its_port_and_not_by_those_who_lose_to_it(simulated):
    code, report, truth = simulated("F01-lossy-link", seed=3)

    [finding], [injected] = report["findings"], truth["injected"]
    assert code == ExitCode.FAULTY
    assert finding["subjects"] == [injected["culprit"]]
    assert finding["detector"] in injected["detectors"]


def test_no_run_directory_holds_the_truth(simulated, tmp_path):
    simulated("F01-lossy-link", seed=3)

    [directory] = [each for each in tmp_path.iterdir() if each.is_dir()]
    kept = {each.name for each in directory.iterdir()}
    assert kept == {"run.json", "series.parquet", "counters.parquet", "inventory.json"}
    assert not any(b"lossy" in each.read_bytes() for each in directory.iterdir())


def test_a_launcher_that_starts_nothing_is_nobodys_fault(simulated):
    code, report, _ = simulated("F48-nothing-starts")

    assert (code, report["findings"]) == (ExitCode.INCONCLUSIVE, [])
    assert "Permission denied" in " ".join(gap["reason"] for gap in report["gaps"])


def test_a_topology_of_the_site_is_played_as_well_as_the_default(simulated, tmp_path):
    file = tmp_path / "topology.conf"
    file.write_text("SwitchName=left Nodes=rack[1-4]\nSwitchName=right Nodes=rack[5-8]\n")

    code, report, truth = simulated("F06-slow-port", options=("--topology", str(file)))

    assert truth["injected"][0]["culprit"].startswith("rack")
    assert code == ExitCode.FAULTY
    assert report["findings"][0]["hosts"] == truth["injected"][0]["hosts"]


def test_a_file_of_faults_with_a_mistake_is_refused_with_the_exit_code_of_usage(tmp_path, capsys):
    file = tmp_path / "f.toml"
    file.write_text('[[fault]]\nkind = "lossy-link"\nlos = 1\n')

    code = main(["simulate", "--out", str(tmp_path), "--faults", str(file)])

    assert code == ExitCode.SETUP_ERROR
    assert "lossy-link has no 'los'; try: loss" in capsys.readouterr().err
