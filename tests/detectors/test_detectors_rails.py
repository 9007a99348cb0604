"""Rails all at once: a host is named where all its partners agree, and nobody where all hosts are alike."""

from dataclasses import replace

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.model.limits import Limits
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.registry import detectors

ID = "rail-contention"
HOSTS = 'hosts = ["a", "a", "b", "b", "c", "c", "d", "d"]\n'


def rails(*bad, gbps=(200.0, 198.0), pairs='["a", "b"], ["c", "d"], ["a", "c"], ["b", "d"]'):
    odd = ", ".join(f'{{ between = ["{one}", "{other}"], gbps = [200.0, 120.0] }}' for one, other in bad)
    return f"{HOSTS}[[rails]]\npairs = [{pairs}]\ngbps = {list(gbps)}\nodd = [{odd}]\n"


def test_a_host_that_loses_with_all_partners_is_named_and_left_out():
    (finding,) = findings(ID, rails(("a", "b"), ("a", "c")))

    assert (finding.subjects, finding.hosts, finding.severity) == (("a",), ("a",), "degrades")
    assert "with all of 2 partners" in finding.summary


def test_where_most_pairs_lose_it_is_how_they_are_built():
    (finding,) = findings(ID, rails(gbps=(200.0, 100.0)))

    assert (finding.subjects, finding.hosts, finding.severity) == (("fabric",), (), "warns")
    assert "at 4 of 4 pairs of hosts" in finding.summary


def test_one_pair_alone_blames_nobody():
    (finding,) = findings(ID, rails(("a", "b"), pairs='["a", "b"]'))

    assert (finding.subjects, finding.hosts) == (("a <-> b",), ())


def test_a_pair_of_which_a_flow_is_missing_is_not_summed():
    evidence = evidence_in(rails(("a", "b"), ("a", "c")))
    (table,) = evidence.flows_together
    kept = slice(1, None)  # without one flow of the first pair
    cut = replace(
        table, round_index=table.round_index[kept], src=table.src[kept], dst=table.dst[kept], gbps=table.gbps[kept],
        p99_ns=table.p99_ns[kept], max_ns=table.max_ns[kept],
    )  # fmt: skip

    (finding,) = detectors()[ID].detect(replace(evidence, flows_together=(cut,)), Limits())

    assert finding.subjects == ("a <-> c",)


@pytest.mark.parametrize(("nics", "is_judged"), [(1, False), (2, True)])
def test_ranks_that_share_a_nic_are_no_rails(nics, is_judged):
    ports = "".join(
        f'[[nics]]\non = ["a"]\nname = "mlx5_{index}"\nport = {{ rate_gbps = 400.0 }}\n' for index in range(nics)
    )
    told = f"{rails(('a', 'b'), ('a', 'c'))}{ports}"

    assert len(findings(ID, told)) == is_judged
    assert any("a has fewer NICs than the 2 ranks" in gap.reason for gap in gaps(ID, told)) is not is_judged


def test_a_stage_without_rounds_is_a_gap():
    stage = Stage(id="rails-between-hosts", probe="rails", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(1 << 20,))
    evidence = replace(evidence_in(HOSTS), plan=Plan(profile="x", seed=1, stages=(stage,)))

    (gap,) = detectors()[ID].detect(evidence, Limits())

    assert "a rank for each NIC" in gap.reason
    assert gaps(ID, HOSTS) == []
