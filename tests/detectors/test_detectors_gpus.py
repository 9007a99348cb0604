"""GPUs that are held down, fail or lack links, by what their driver showed while stages ran."""

from dataclasses import replace

import pytest
from detector_scenario import answers, evidence_in, findings, gaps

from netprobe.judge.expectations import load_expectations
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.registry import detectors

FOUR = 'hosts = ["n1", "n2", "n3", "n4"]\n'
ALL = '[[gpu_windows]]\npci = ["0000:18:00.0", "0000:2a:00.0"]\n'
BASE = FOUR + ALL
BOTH = ("gpu-throttle", "nvlink-degraded")


def shown(traits, pci="0000:2a:00.0", on="n2", stage="bandwidth"):
    return f'[[gpu_windows]]\non = ["{on}"]\npci = ["{pci}"]\nstage = "{stage}"\nset = {{ {traits} }}\n'


def grown(counts, pci="0000:2a:00.0", on="n2", seconds=10.0):
    return f'[[gpu_grown]]\non = ["{on}"]\npci = ["{pci}"]\nseconds = {seconds}\ngrown = {{ {counts} }}\n'


def held(reason, samples=100, mhz=990.0, pci="0000:2a:00.0", on="n2"):
    return shown(f'samples_held = {samples}, holds = {{ "{reason}" = {samples} }}, sm_clock_held_mhz = {mhz}', pci, on)


def only(found):
    (one,) = found
    return one


def test_gpus_that_are_well_are_silence():
    assert [answers(id, BASE) for id in (*BOTH, "pcie-downgrade")] == [[], [], []]


@pytest.mark.parametrize(
    ("reason", "next_action"),
    [
        ("hardware thermal slowdown", "fans"),
        ("software thermal slowdown", "fans"),
        ("power brake", "power supplies"),
        ("hardware slowdown", "nvidia-smi -q -d PERFORMANCE"),
    ],
)
def test_heat_and_a_power_brake_are_told_by_their_name(reason, next_action):
    found = only(findings("gpu-throttle", BASE + held(reason)))

    assert (found.subjects, found.hosts) == (("n2 0000:2a:00.0",), ("n2",))
    assert f"held down by a {reason} for 50 % of bandwidth" in found.summary
    assert next_action in found.next_action
    assert found.excluded == ("its software power cap (no sample shows it)",)


@pytest.mark.parametrize("reason", ["software power cap", "idle", "application clocks", "sync boost", "display clocks"])
def test_reasons_that_healthy_gpus_have_are_no_fault(reason):
    assert answers("gpu-throttle", BASE + shown(f'holds = {{ "{reason}" = 200 }}, sm_clock_typical_mhz = 1200.0')) == []


def test_the_more_telling_of_two_reasons_is_the_cause():
    both = 'samples_held = 50, holds = { "hardware slowdown" = 50, "power brake" = 50, "software power cap" = 9 }'

    found = only(findings("gpu-throttle", BASE + shown(both)))

    assert "held down by a power brake" in found.summary
    assert found.excluded == ()


@pytest.mark.parametrize(("samples", "severity"), [(40, Severity.BLOCKS), (20, Severity.DEGRADES)])
def test_it_blocks_by_the_clock_that_is_lost_over_the_stage(samples, severity):
    assert only(findings("gpu-throttle", BASE + held("power brake", samples, 990.0))).severity is severity


def test_two_samples_are_a_change_of_clocks_and_no_state():
    short = 'samples = 4, samples_held = 2, holds = { "hardware slowdown" = 2 }'

    assert answers("gpu-throttle", BASE + shown(short)) == []


def test_samples_of_short_stages_are_added_up():
    short = 'samples = 2, samples_held = 2, holds = { "power brake" = 2 }'
    text = FOUR + shown(short, stage="one") + shown(short, stage="two")

    assert "power brake for 100 % of all stages" in only(findings("gpu-throttle", text)).summary


def test_a_run_that_is_too_short_to_tell_is_a_gap():
    text = FOUR + shown('samples = 2, samples_held = 2, holds = { "power brake" = 2 }')

    assert "fewer than 3 times (n2 0000:2a:00.0)" in only(answers("gpu-throttle", text)).reason


def test_a_clock_is_held_against_gpus_of_its_kind_that_nothing_holds_down_else_against_its_target():
    slower = shown("sm_clock_typical_mhz = 1755.0", on="n1") + shown("sm_clock_typical_mhz = 1755.0", on="n3")
    peers = only(findings("gpu-throttle", BASE + slower + held("power brake")))
    alone = only(findings("gpu-throttle", 'hosts = ["n1"]\n' + held("power brake", on="n1")))

    assert peers.facts[1].basis == "median of 7 others of its kind"
    assert alone.facts[1].basis == "its own target"
    assert "50 % below its target" in alone.summary


def test_gpus_of_one_host_are_one_finding_and_hosts_are_apart():
    text = BASE + held("power brake", pci="0000:18:00.0") + held("power brake") + held("power brake", on="n3")

    assert [each.subjects for each in findings("gpu-throttle", text)] == [
        ("n2 0000:18:00.0", "n2 0000:2a:00.0"),
        ("n3 0000:2a:00.0",),
    ]


def test_a_gpu_that_does_not_tell_its_clock_is_named_all_the_same():
    unknown = 'samples_held = 100, holds = { "power brake" = 100 }, celsius_most = "none", sm_clock_target_mhz = "none"'

    found = only(findings("gpu-throttle", BASE + shown(unknown)))

    assert found.severity is Severity.DEGRADES
    assert len(found.facts) == 1


@pytest.mark.parametrize(("thermal_ns", "count"), [(500_000_000, 1), (499_999_999, 0)])
def test_time_that_the_driver_counts_tells_what_samples_have_missed(thermal_ns, count):
    found = findings("gpu-throttle", BASE + grown(f"thermal_ns = {thermal_ns}"))

    assert len(found) == count
    assert all(each.confidence is Confidence.MEDIUM for each in found)


def test_one_uncorrectable_error_blocks_and_corrected_ones_are_no_news():
    found = only(findings("gpu-throttle", BASE + grown("ecc_uncorrected = 1, ecc_corrected = 7")))

    assert found.severity is Severity.BLOCKS
    assert "the memory of a GPU fails: 0000:2a:00.0, uncorrectable memory errors 1" in found.summary
    assert answers("gpu-throttle", BASE + grown("ecc_uncorrected = 0, ecc_corrected = 7")) == []


@pytest.mark.parametrize(
    ("traits", "says", "remedy"),
    [
        ("remap_pending = true", "rows of memory to be replaced pending", "reset the GPU"),
        ("remap_pending = true, remap_failed = true", "spare rows of memory used up", "replace the GPU"),
    ],
)
def test_rows_that_wait_to_be_replaced_block(traits, says, remedy):
    found = only(findings("gpu-throttle", BASE + shown(traits)))

    assert found.severity is Severity.BLOCKS
    assert says in found.summary
    assert remedy in found.next_action


def test_memory_and_links_that_the_driver_does_not_tell_of_are_not_judged():
    unknown = 'remap_pending = "none", remap_failed = "none", links = "none", links_active_least = "none"'

    assert [answers(id, BASE + shown(unknown)) for id in BOTH] == [[], []]


def test_a_gpu_that_ceases_to_answer_blocks():
    found = only(findings("gpu-throttle", BASE + shown('samples = 7, silence = "the driver says: GPU is lost"')))

    assert found.severity is Severity.BLOCKS
    assert found.summary == "a GPU ceased to answer in bandwidth: the driver says: GPU is lost"
    assert gaps("nvlink-degraded", BASE + shown('samples = 7, silence = "lost"')) == []


def test_a_gpu_that_answered_in_an_earlier_stage_is_lost_as_well():
    text = BASE + shown('samples = 0, samples_busy = 0, silence = "the driver says: GPU is lost"', stage="later")

    assert "ceased to answer in later" in only(findings("gpu-throttle", text)).summary


@pytest.mark.parametrize("id", BOTH)
def test_hosts_whose_gpus_nobody_could_ask_are_a_gap_where_something_was_measured(id):
    pairs = '[[pairs]]\nprobe = "bandwidth"\nsize = "8M"\ngbps = 400.0\n'
    text = FOUR + '[[gpus]]\naddress = "0000:18:00.0"\n'

    assert "no driver of NVIDIA was there to ask" in only(gaps(id, text + pairs)).reason
    assert answers(id, text) == []


def test_gpus_that_were_used_and_never_busy_are_a_gap():
    used = '[[gpu_endpoints]]\nrank = 1\npci = "0000:2a:00.0"\n'

    assert "were idle in all samples" in only(gaps("gpu-throttle", BASE + shown("samples_busy = 0") + used)).reason
    assert answers("gpu-throttle", BASE + used) == []


@pytest.mark.parametrize(("active", "severity"), [(17, Severity.DEGRADES), (13, Severity.BLOCKS), (0, Severity.BLOCKS)])
def test_links_that_others_of_the_kind_have_and_it_has_not_are_missing(active, severity):
    found = only(findings("nvlink-degraded", BASE + shown(f"links_active_least = {active}")))

    assert (found.subjects, found.severity) == (("n2 0000:2a:00.0",), severity)
    assert found.facts[0].expected == "18"


def test_links_that_no_gpu_of_the_kind_uses_are_how_they_are_built():
    text = FOUR + ALL + "set = { links = 18, links_active_least = 12 }\n"

    assert answers("nvlink-degraded", text) == []


def test_where_no_link_is_active_anywhere_it_is_not_known_whether_any_should_be():
    text = FOUR + ALL + "set = { links = 18, links_active_least = 0 }\n"

    assert "no GPU of the kind NVIDIA H100 80GB HBM3 has an active NVLink" in only(gaps("nvlink-degraded", text)).reason


def test_kinds_of_gpus_are_not_compared_with_each_other():
    other = "".join(shown('name = "NVIDIA H100 PCIe", links_active_least = 12', on=f"n{at}") for at in (1, 2, 3, 4))

    assert answers("nvlink-degraded", BASE + other) == []


def test_two_gpus_that_differ_are_told_and_neither_is_blamed():
    text = 'hosts = ["n1", "n2"]\n' + shown("links_active_least = 18", on="n1") + shown("links_active_least = 4")

    found = only(findings("nvlink-degraded", text))

    assert (found.severity, found.hosts) == (Severity.WARNS, ())


@pytest.mark.parametrize("count", ["nvlink_replay", "nvlink_recovery"])
def test_the_first_replay_or_recovery_degrades(count):
    found = only(findings("nvlink-degraded", BASE + grown(f"{count} = 1")))

    assert (found.severity, found.hosts) == (Severity.DEGRADES, ("n2",))
    assert answers("nvlink-degraded", BASE + grown(f"{count} = 0")) == []


def test_a_burst_of_a_moment_is_no_rate():
    assert answers("nvlink-degraded", BASE + grown("nvlink_crc = 99", seconds=0.01)) == []


def test_errors_of_several_stages_are_added_up_and_rates_are_those_of_the_worst():
    text = BASE + grown("nvlink_crc = 900") + grown("nvlink_crc = 2000")

    assert "200 a second" in only(findings("nvlink-degraded", text)).summary


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ("pcie_generation_best = 3", "runs at generation 3 x16 and can generation 5 x16"),
        ("pcie_width_least = 8", "runs at generation 5 x8 and can generation 5 x16"),
    ],
)
def test_a_bus_that_is_slow_under_load_is_a_downgrade(traits, says):
    found = only(findings("pcie-downgrade", BASE + shown(traits)))

    assert (found.severity, found.hosts) == (Severity.DEGRADES, ("n2",))
    assert says in found.summary


def test_a_bus_is_not_judged_by_a_gpu_that_was_hardly_busy():
    assert answers("pcie-downgrade", BASE + shown("pcie_generation_best = 1, samples_busy = 2")) == []
    assert answers("pcie-downgrade", BASE + shown('pcie_generation_best = "none", pcie_width_least = "none"')) == []


def test_lanes_that_sysfs_tells_of_are_told_once():
    machine = '[[nics]]\nname = "mlx5_0"\n[[gpus]]\naddress = "0000:2a:00.0"\non = ["n2"]\npci = { width = 8 }\n'

    found = findings("pcie-downgrade", BASE + machine + shown("pcie_width_least = 8"))

    assert [each.summary for each in found] == ["a GPU has 8 of 16 PCIe lanes"]


@pytest.mark.parametrize(("replays", "count"), [(1, 0), (2, 1)])
def test_replays_beyond_eight_a_minute_warn(replays, count):
    found = findings("pcie-downgrade", BASE + grown(f"pcie_replay = {replays}", seconds=10.0))

    assert len(found) == count
    assert all((each.severity, each.hosts) == (Severity.WARNS, ()) for each in found)


def copied(to_gpu_gbps=440.0, from_gpu_gbps=440.0, rank=1):
    return (
        f'[[gpu_endpoints]]\nrank = {rank}\npci = "0000:2a:00.0"\n'
        f"to_gpu_gbps = {to_gpu_gbps}\nfrom_gpu_gbps = {from_gpu_gbps}\n"
    )


def test_copies_far_below_what_the_link_carries_degrade_and_a_tenth_more_is_silence():
    found = only(findings("pcie-downgrade", BASE + copied(to_gpu_gbps=265.0)))

    assert (found.severity, found.confidence, found.hosts) == (Severity.DEGRADES, Confidence.MEDIUM, ("n2",))
    assert found.summary == (
        "copies from host to GPU reach 57 % of what the GPU's PCIe link carries: 265 Gb/s of 461 Gb/s"
    )
    assert "numactl" in found.next_action
    assert answers("pcie-downgrade", BASE + copied(to_gpu_gbps=290.0)) == []


def test_the_slower_of_both_ways_is_told_with_the_other():
    found = only(findings("pcie-downgrade", BASE + copied(to_gpu_gbps=250.0, from_gpu_gbps=100.0)))

    assert found.summary.startswith("copies from GPU to host and host to GPU reach 22 %")


def test_a_link_that_is_told_already_explains_its_copies():
    found = only(findings("pcie-downgrade", BASE + copied(to_gpu_gbps=100.0) + shown("pcie_width_least = 4")))

    assert "under load" in found.summary


def test_copies_are_not_judged_where_nobody_knows_the_link():
    unknown = shown('pcie_generation_most = "none", pcie_width_most = "none"')

    assert answers("pcie-downgrade", FOUR + unknown + copied(to_gpu_gbps=1.0)) == []


SWITCHED = "links = 18, links_active_least = 18, links_switched_least = 18, link_generation = 4"


def copies(way, gbps, rank=1):
    return f'[[gpu_endpoints]]\nrank = {rank}\npci = "0000:2a:00.0"\n{way} = {gbps}\n'


def on_links(traits):
    return FOUR + f'[[gpu_windows]]\npci = ["0000:18:00.0", "0000:2a:00.0"]\nset = {{ {traits} }}\n'


def test_copies_far_below_what_the_nvlinks_carry_degrade_and_a_tenth_more_is_silence():
    # 18 links * 200 Gb/s * 0.931 = 3352 Gb/s, of which 60 % are 2011.
    found = only(findings("nvlink-degraded", on_links(SWITCHED) + copies("to_peer_gbps", 2000.0)))

    assert (found.severity, found.confidence, found.subjects) == (
        Severity.DEGRADES, Confidence.MEDIUM, ("n2 0000:2a:00.0",),
    )  # fmt: skip
    assert "copies to another GPU reach 60 % of what its NVLinks carry" in found.summary
    assert answers("nvlink-degraded", on_links(SWITCHED) + copies("to_peer_gbps", 2200.0)) == []


@pytest.mark.parametrize(
    "traits",
    [
        SWITCHED.replace("links_switched_least = 18", "links_switched_least = 0"),
        SWITCHED.replace("link_generation = 4", "link_generation = 2"),
    ],
    ids=["links to single GPUs", "a generation that is not known"],
)
def test_copies_by_links_whose_share_is_not_known_are_not_judged(traits):
    assert answers("nvlink-degraded", on_links(traits) + copies("to_peer_gbps", 1.0)) == []


def test_copies_between_gpus_without_links_are_not_judged():
    assert findings("nvlink-degraded", BASE + copies("to_peer_gbps", 1.0)) == []
    assert findings("pcie-downgrade", BASE + copies("to_peer_gbps", 1.0)) == []


def test_copies_within_a_gpu_are_held_against_half_of_what_its_memory_does():
    # 3350 GB/s / 2 * 8 = 13400 Gb/s, of which 60 % are 8040.
    table = load_expectations()

    def told(gbps, expectations=table):
        evidence = replace(evidence_in(BASE + copies("within_gpu_gbps", gbps)), expectations=expectations)
        return [each for each in detectors()["gpu-throttle"].detect(evidence, Limits()) if isinstance(each, Finding)]

    found = only(told(8000.0))
    assert (found.severity, found.subjects) == (Severity.DEGRADES, ("n2 0000:2a:00.0",))
    assert "60 % of what its memory carries" in found.summary
    assert told(8100.0) == []
    assert told(1.0, expectations=()) == []


TWO_NICS = (
    FOUR
    + """
[[nics]]
name = "mlx5_0"
port = { pci = "0000:17:00.0" }
pci = { address = "0000:17:00.0", path = ["0000:15:01.0", "0000:16:00.0"] }
[[nics]]
name = "mlx5_1"
port = { pci = "0000:82:00.0" }
pci = { address = "0000:82:00.0", path = ["0000:80:01.0", "0000:81:00.0"], numa_node = 1 }
[[gpus]]
address = "0000:1b:00.0"
pci = { path = ["0000:15:01.0", "0000:16:00.0"] }
"""
)


def used(nic):
    return f'[[endpoints]]\nset = {{ device = "{nic}" }}\n'


def test_a_rank_that_leaves_the_nic_beside_its_gpu_is_named_with_both():
    assert answers("affinity", TWO_NICS + used("mlx5_0")) == []

    found = findings("affinity", TWO_NICS + used("mlx5_1"))

    assert [each.subjects for each in found] == [("n1",), ("n2",), ("n3",), ("n4",)]
    assert found[0].severity is Severity.DEGRADES
    assert found[0].summary.endswith("not the nearest: GPU 0000:1b:00.0 by mlx5_1 (SYS), where mlx5_0 (PIX) is")
