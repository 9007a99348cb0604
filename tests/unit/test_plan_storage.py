"""What may be asked of reads beside all-reduces, and what is refused before any rank starts."""

from dataclasses import replace

import pytest

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.storage import BLOCK_BYTES, PHASES
from netprobe.plan.budget import expected_ns, fitted
from netprobe.plan.bursts import NO_BURSTS
from netprobe.plan.profiles import plan_for
from netprobe.plan.rounds import rounds_of
from netprobe.plan.single import SingleProbe, plan_for_probe
from netprobe.plan.storage import NO_STORAGE, StorageWish, refuse_unreadable, storage_stage, with_storage
from netprobe.registry import probes
from netprobe.units import NS_PER_S

WISH = StorageWish(path="/data/file", rate_bytes_per_s=2_000_000_000)
RANKS = tuple(Rank(rank=each, host=f"n{each}", local_index=0, cpus=(0,), pid=1) for each in range(2))
RUN = SingleProbe(
    probe="storage", begin_bytes=8, end_bytes=1 << 20, factor=None, step_bytes=None, iterations=None,
    warmup_iterations=5, check_iterations=1, dtype="float32", op="sum", root=0, window=64, all_pairs=False,
    series_budget_ns=1_000_000_000, bursts=NO_BURSTS, storage=WISH,
)  # fmt: skip


def test_a_wish_stands_behind_the_profile_in_five_rounds():
    plan = with_storage(plan_for("quick"), WISH)

    stage = plan.stages[-1]
    assert plan.stages[:-1] == plan_for("quick").stages
    assert (stage.storage.path, stage.storage.rate_bytes_per_s) == ("/data/file", 2_000_000_000)
    assert len(rounds_of(stage, probes()["storage"], RANKS, 1)) == PHASES


def test_a_budget_leaves_reads_their_time_and_shortens_all_else():
    whole = with_storage(plan_for("pretrain", budget_ns=30 * NS_PER_S), WISH)

    def count(stage):
        return len(rounds_of(stage, probes()[stage.probe], RANKS, 0))

    plan = fitted(whole, count)

    assert plan.stages[-1].series_budget_ns == whole.stages[-1].series_budget_ns
    assert plan.stages[0].series_budget_ns < whole.stages[0].series_budget_ns
    assert expected_ns(plan, count) <= 30 * NS_PER_S * 1.001


def test_without_a_wish_the_plan_is_as_it_was():
    assert with_storage(plan_for("quick"), NO_STORAGE) == plan_for("quick")


def test_a_path_is_told_to_ranks_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert storage_stage(StorageWish(path="file")).storage.path == str(tmp_path / "file")


def test_run_takes_its_largest_size_and_its_time_for_each_round():
    (stage,) = plan_for_probe(RUN).stages

    assert (stage.sizes_bytes, stage.series_budget_ns, stage.check_iterations) == ((1 << 20,), 1_000_000_000, 1)


def test_the_slowest_rate_that_tells_something_is_taken():
    (stage,) = plan_for_probe(replace(RUN, storage=replace(WISH, rate_bytes_per_s=20 * BLOCK_BYTES))).stages

    assert stage.storage.rate_bytes_per_s == 20 * BLOCK_BYTES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"storage": NO_STORAGE}, "which file"),
        ({"storage": StorageWish(rate_bytes_per_s=1 << 30)}, "which file"),
        (
            {"storage": replace(WISH, rate_bytes_per_s=20 * BLOCK_BYTES - 1)},
            "fewer than 20 reads of 4M in a round of 1",
        ),
        ({"storage": replace(WISH, rate_bytes_per_s=10**12 + 1)}, "which no host reads"),
        ({"storage": replace(WISH, path="/data/\udcff")}, "is no UTF-8"),
        ({"end_bytes": 3}, "-e"),
        ({"end_bytes": 1 << 40}, "-e"),
        ({"probe": "allreduce"}, "are of storage"),
        ({"probe": "bursts"}, "are of storage"),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    with pytest.raises(PlanError, match=says):
        plan_for_probe(replace(RUN, **changes))


def test_a_file_that_is_not_here_is_refused_where_ranks_are_here_alone(tmp_path):
    plan = with_storage(plan_for("quick"), StorageWish(path=str(tmp_path / "absent")))

    refuse_unreadable(plan, is_here=False)
    with pytest.raises(PlanError, match="absent cannot be read: No such file"):
        refuse_unreadable(plan, is_here=True)


@pytest.mark.parametrize("is_here", [True, False])
def test_a_directory_is_refused_wherever_ranks_are(tmp_path, is_here):
    plan = with_storage(plan_for("quick"), StorageWish(path=str(tmp_path)))

    with pytest.raises(PlanError, match="is a directory"):
        refuse_unreadable(plan, is_here=is_here)
