"""Many to one over the shaped links of the emulated cluster: no receiver gets more than its link carries."""

import json
import sys
from pathlib import Path

import pytest
from netlab.attempts import find_netprobe

RATE_GBPS = 0.7  # of every host's link in the lab's shape
DEADLINE_S = 180


@pytest.fixture(scope="session")
def netprobe():
    return find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))


def told_by(lab, netprobe, tmp_path, probe, size):
    hosts = ",".join(name for name in lab.shape.host_names() if name.startswith("h"))
    # Four senders share 0.7 Gb/s: a window of a quarter of a megabyte takes each 12 ms.
    told_to = f"--hosts {hosts} -b {size} -e {size} --window 4 --series 500ms --format json".split()
    options = [*told_to, "--out", str(tmp_path)]
    ended = lab.run([netprobe, "run", probe, *options], capture_output=True, text=True, timeout=DEADLINE_S)
    assert ended.returncode in (0, 1, 2, 3), ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def test_senders_share_the_link_of_a_hot_receiver_whatever_their_number(lab, netprobe, tmp_path):
    report = told_by(lab, netprobe, tmp_path, "incast", "64K")

    rows = {row["fan_in"]: row for row in report["under_load"]["fan_ins"] if row["scope"] == "between-hosts"}
    assert {1, 2, 4} <= rows.keys(), report["gaps"]
    assert all(row["goodput_gbps"] <= 1.1 * RATE_GBPS for row in rows.values())
    # One sender fills the link, and so do four: what they share is the receiver's.
    assert rows[4]["goodput_gbps"] > 0.5 * rows[1]["goodput_gbps"]
    assert not [finding for finding in report["findings"] if finding["hosts"]]


def test_round_trips_beside_load_are_told_and_no_host_is_blamed_for_them(lab, netprobe, tmp_path):
    report = told_by(lab, netprobe, tmp_path, "loaded_latency", "8")

    rows = [row for row in report["under_load"]["loaded"] if row["scope"] == "between-hosts"]
    assert {row["background"] for row in rows} <= {"all-to-all", "incast", "streams"}
    assert rows, report["gaps"]
    assert not [finding for finding in report["findings"] if finding["detector"] == "congestion" and finding["hosts"]]
