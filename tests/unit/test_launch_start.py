import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import done, ready

from netprobe.errors import LaunchError
from netprobe.launch.job import LaunchTimeout, Listeners, Patience
from netprobe.launch.request import Family, Launcher, LaunchPlan
from netprobe.launch.start import run_ranks
from netprobe.model.run import RunStatus
from netprobe.store.wire import encode
from netprobe.units import NS_PER_MS


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def plan(tmp_path):
    """A plan whose launcher is a script that prints these lines."""

    def make(name, *lines, before=""):
        path = tmp_path / name
        body = "".join(f"print({line!r}, flush=True)\n" for line in lines)
        path.write_text(f"#!{sys.executable}\nimport os, time\n{before}\n{body}")
        path.chmod(0o755)
        launcher = Launcher(path=path, family=Family.MPICH, version="")
        return LaunchPlan(method="local", launcher=launcher, worker=("true",), ranks=2)

    return make


def good(*_):
    return encode(ready(2), 0), encode(done(), 1)


def test_a_launcher_whose_ranks_stay_alone_is_given_up_for_the_next(plan):
    sinks = []

    def open_sink(chosen):
        sinks.append((chosen.launcher.path.name, Kept()))
        return sinks[-1][1]

    alone = plan("wrong", encode(ready(1), 0), encode(ready(1), 0))
    end = run_ranks([alone, plan("right", *good())], os.environ, open_sink)

    assert end.status is RunStatus.COMPLETE
    assert [(name, len(sink.records)) for name, sink in sinks] == [("right", 2)]
    assert len(end.given_up) == 1
    assert "wrong started 2 ranks, but each rank found itself alone" in end.given_up[0]


def test_when_none_is_left_each_ones_reason_is_told(plan):
    opened = []
    first = plan("first", before="raise SystemExit('Permission denied, please try again.')")
    second = plan("second", encode(ready(1), 0))

    with pytest.raises(LaunchError) as caught:
        run_ranks([first, second], os.environ, lambda chosen: opened.append(chosen) or Kept())

    assert "first could not start the ranks (exit code 1): Permission denied" in str(caught.value)
    assert "; then " in str(caught.value)
    assert "second started 2 ranks, but each rank found itself alone" in str(caught.value)
    assert opened == []


def test_the_one_launcher_there_is_keeps_its_own_message(plan):
    with pytest.raises(LaunchError, match=r"^\S*only could not start the ranks \(exit code 2\): it said nothing"):
        run_ranks([plan("only", before="raise SystemExit(2)")], os.environ, lambda chosen: Kept())


REFUSING = "raise SystemExit('netprobe: rank 1: RDMA cannot be used on any host: no device; try: netprobe doctor')"


def test_what_ranks_refuse_is_told_as_they_say_it_and_once(plan):
    launchers = [plan(name, before=REFUSING) for name in ("first", "second")]

    with pytest.raises(LaunchError) as caught:
        run_ranks(launchers, os.environ, lambda chosen: Kept())

    assert str(caught.value) == "RDMA cannot be used on any host: no device; try: netprobe doctor"


def test_a_hanging_launch_is_not_tried_again_with_the_next(plan):
    hanging = plan("hanging", before="time.sleep(600)")

    with pytest.raises(LaunchTimeout):
        run_ranks(
            [hanging, plan("next", *good())],
            os.environ,
            lambda chosen: Kept(),
            patience=Patience(meeting_ns=200 * NS_PER_MS),
        )


def test_settings_reach_the_ranks_and_outer_marks_do_not(plan):
    show = plan(
        "mpiexec", *good(), before="print(os.environ.get('MPI4PY_LIBMPI'), os.environ.get('PMI_RANK'), flush=True)"
    )
    heard = []
    told = replace(show, settings=(("MPI4PY_LIBMPI", "/opt/libmpi.so"),))

    listeners = Listeners(on_chatter=heard.append)
    run_ranks([told], {**os.environ, "PMI_RANK": "0"}, lambda chosen: Kept(), listeners=listeners)

    assert heard == ["/opt/libmpi.so None"]


def test_the_sink_is_opened_for_the_plan_that_runs(plan):
    seen = []
    chosen = plan("mpiexec", *good())

    run_ranks([chosen], os.environ, lambda each: seen.append(each) or Kept())

    assert seen == [chosen]
    assert isinstance(seen[0].launcher.path, Path)
