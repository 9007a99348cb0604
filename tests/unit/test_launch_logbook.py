"""A run over all of its launches: what is told once, and what is left to do."""

from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import done, finished, measured, plan, ranks, ready, round_started

from netprobe.launch.logbook import Logbook
from netprobe.launch.request import Family, HostShare, Launcher, LaunchPlan
from netprobe.model.record import PlanExtended, RunHalted
from netprobe.model.standing import Benched, Fate, PathAnswer
from netprobe.model.topology import Leaf
from netprobe.plan.task import Task

TASK = Task(plan=plan())
DEAD = Benched(host="h9", fate=Fate.UNREACHABLE, detail="No route to host")
LAUNCH = LaunchPlan(
    method="hosts",
    launcher=Launcher(path=Path("/bin/mpiexec"), family=Family.MPICH, version=""),
    worker=("true",),
    ranks=2,
    shares=(HostShare(host="h1", ranks=1), HostShare(host="h2", ranks=1)),
)


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)


def logbook_of(*records, benched=()):
    """A logbook whose ranks have met, and what its sink was told."""
    kept = Kept()
    logbook = Logbook(lambda chosen: kept, benched)
    logbook.opened(LAUNCH)
    for record in records:
        logbook.emit(record)
    return logbook, kept


def started(stage="one", stage_index=0, round_index=0):
    return replace(round_started(stage), stage_index=stage_index, round_index=round_index)


def test_everything_is_handed_on_in_order():
    told = (ready(), started(), measured(), finished(), done())

    _, kept = logbook_of(*told)

    assert kept.records == list(told)


def test_the_sink_is_opened_once_over_all_launches():
    opened = []
    logbook = Logbook(lambda chosen: opened.append(chosen) or Kept())

    logbook.opened(LAUNCH)
    logbook.opened(LAUNCH.without({"h2"}))

    assert opened == [LAUNCH]
    assert logbook.plan.hosts == ("h1",)


def test_hosts_that_were_taken_out_before_are_told_first():
    logbook, kept = logbook_of(ready(), benched=(DEAD,))

    assert kept.records == [RunHalted(benched=(DEAD,)), ready()]
    assert logbook.benched == [DEAD]


def test_what_was_found_out_before_the_ranks_met_is_not_lost():
    path = PathAnswer(src="h1", dst="h2", interface="e", network="n", mtu_bytes=9000, small=False, full=False)
    halted = RunHalted(benched=(DEAD,), paths=(path,))
    kept = Kept()
    logbook = Logbook(lambda chosen: kept)

    logbook.emit(halted)
    logbook.opened(LAUNCH)
    logbook.emit(ready())

    assert kept.records == [halted, ready()]
    assert logbook.benched == [DEAD]


def test_hosts_that_are_taken_out_on_the_way_add_up():
    later = Benched(host="h8", fate=Fate.STOPPED, detail="process 7 is stopped")

    logbook, _ = logbook_of(ready(), RunHalted(benched=(later,)), benched=(DEAD,))

    assert logbook.benched == [DEAD, later]


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_has_begun_once_its_ranks_have_met(begun):
    logbook, _ = logbook_of(*([ready()] if begun else []))

    assert logbook.has_begun is begun
    assert not logbook.is_done


def test_a_run_that_never_began_has_all_of_its_task_left():
    logbook, _ = logbook_of()

    assert logbook.rest_of(TASK, (), skips_round=True) == TASK


@pytest.mark.parametrize(
    ("told", "left", "skipping"),
    [
        ((), (0, 0), (0, 1)),
        ((started(),), (0, 0), (0, 1)),
        ((started(), measured()), (0, 1), (0, 2)),
        ((started(), measured(), started(round_index=1)), (0, 1), (0, 2)),
        ((started(), measured(), finished()), (1, 0), (1, 1)),
        ((started(), measured(), finished(), started("two", 1)), (1, 0), (1, 1)),
    ],
)
def test_what_is_left_begins_at_the_round_that_was_not_finished(told, left, skipping):
    logbook, _ = logbook_of(ready(), *told)

    def begins(*, skips_round):
        rest = logbook.rest_of(TASK, (), skips_round=skips_round)
        return rest.first_stage, rest.first_round

    assert begins(skips_round=False) == left
    assert begins(skips_round=True) == skipping


def test_the_plan_that_is_left_is_the_one_that_was_fitted_to_the_ranks():
    logbook, _ = logbook_of(ready(stages=("one",)))

    assert logbook.rest_of(TASK, (), skips_round=False).plan == plan(("one",))


def test_stages_that_were_added_are_left_as_well():
    longer = plan(("one", "two", "three", "second-pass"))

    logbook, _ = logbook_of(ready(), finished("three"), PlanExtended(plan=longer))

    rest = logbook.rest_of(TASK, (), skips_round=False)
    assert (rest.plan, rest.first_stage) == (longer, 3)


def test_the_roster_is_that_of_the_first_launch():
    fewer = replace(ready(4), ranks=ranks(4)[2:])

    logbook, _ = logbook_of(ready(4), fewer)

    assert logbook.rest_of(TASK, (), skips_round=False).roster == (("node0", (0, 1)), ("node1", (2, 3)))
    assert logbook.ranks == ranks(4)[2:]


def test_leaves_are_those_of_the_first_launch_and_none_where_none_is_known():
    on_leaves = tuple(replace(rank, leaf=f"leaf{rank.rank % 2}") for rank in ranks(4))
    fewer = replace(ready(4), ranks=ranks(4)[2:])

    known, _ = logbook_of(replace(ready(4), ranks=on_leaves), fewer)
    unknown, _ = logbook_of(ready(4), replace(fewer, ranks=on_leaves[2:]))

    assert known.rest_of(TASK, (), skips_round=False).rank_leaves == ("leaf0", "leaf1", "leaf0", "leaf1")
    assert unknown.rest_of(TASK, (), skips_round=False).rank_leaves == ()


def test_pairs_that_are_avoided_add_up():
    logbook, _ = logbook_of(ready())

    rest = logbook.rest_of(replace(TASK, avoided=(("h1", "h2"),)), [("h3", "h4")], skips_round=False)

    assert rest.avoided == (("h1", "h2"), ("h3", "h4"))


def test_where_hosts_are_is_told_again():
    logbook, _ = logbook_of(ready())
    leaves = (Leaf(switch="leaf1", hosts="node[0-3]"),)

    assert logbook.rest_of(replace(TASK, leaves=leaves), (), skips_round=False).leaves == leaves


def test_what_is_not_to_be_read_is_told_again():
    logbook, _ = logbook_of(ready())

    assert logbook.rest_of(replace(TASK, excluded=("eth0",)), (), skips_round=False).excluded == ("eth0",)


def test_the_last_finished_round_is_kept_for_whoever_is_taken_out_later():
    logbook, _ = logbook_of(ready(), started(), measured(), finished(), started("two", 1))

    assert (logbook.last_stage, logbook.last_round_index) == ("one", 0)


def test_a_run_is_done_with_its_last_record():
    logbook, _ = logbook_of(ready(), done())

    assert logbook.is_done
