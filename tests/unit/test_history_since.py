"""What is news between two nights: pure, so that every night can be made up."""

from dataclasses import replace

import pytest
from history_samples import Site, flap, history_from
from hypothesis import given
from hypothesis import strategies as st

from netprobe.history.judge import judge_history
from netprobe.history.since import Looked, history_verdict, news_of, standing_of, worst_of
from netprobe.model.finding import Severity
from netprobe.model.limits import Limits
from netprobe.model.nightly import Known, Source, Standing
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

HOSTS = ("node1", "node2")


def known(subject="node1", **changes):
    fields = {"source": Source.RUN, "detector": "link-flap", "severity": Severity.DEGRADES, "host": "node1"}
    return Known(**{**fields, "subject": subject, **changes})


def standing(*findings, **changes):
    fields = {"run": "r", "started": "2026-01-01T02:00:00Z", "status": RunStatus.COMPLETE, "history": Verdict.HEALTHY}
    return Standing(**{"verdict": Verdict.HEALTHY, **fields, **changes}, known=findings)


def test_the_first_night_is_news():
    assert news_of(None, standing(), HOSTS).is_news


def test_a_night_like_the_last_one_is_none():
    told = standing(known())

    assert not news_of(told, replace(told, run="another", started="2026-01-02T02:00:00Z"), HOSTS).is_news


@pytest.mark.parametrize("changes", [{"verdict": Verdict.DEGRADED}, {"history": Verdict.DEGRADED}, {"history": None}])
def test_another_verdict_of_the_run_or_of_its_history_is_news(changes):
    assert news_of(standing(), standing(**changes), HOSTS).is_news


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.INTERRUPTED])
def test_a_run_that_did_not_complete_is_news_night_after_night(status):
    told = standing(status=status)

    assert news_of(told, told, HOSTS).is_news


def test_a_finding_opens_and_closes():
    opened = news_of(standing(), standing(known()), HOSTS)
    closed = news_of(opened.now, standing(), HOSTS)

    assert (opened.opened, opened.closed) == ((known(),), ())
    assert (closed.opened, closed.closed) == ((), (known(),))


def test_a_finding_that_gets_worse_is_news_and_one_that_eases_is_not():
    mild, severe = standing(known()), standing(known(severity=Severity.BLOCKS))

    assert news_of(mild, severe, HOSTS).worse == (known(severity=Severity.BLOCKS),)
    assert not news_of(severe, mild, HOSTS).is_news


@pytest.mark.parametrize(
    ("tonight", "tested"),
    [
        (standing(status=RunStatus.FAILED), HOSTS),
        (standing(verdict=Verdict.INCONCLUSIVE), HOSTS),
        (standing(), ("node2",)),
    ],
)
def test_a_night_that_could_not_have_seen_a_finding_does_not_close_it(tonight, tested):
    news = news_of(standing(known()), tonight, tested)

    assert (news.closed, news.unseen) == ((), (known(),))
    assert news_of(news.now, standing(), HOSTS).closed == (known(),)


def test_a_history_that_cannot_be_read_closes_nothing():
    of_history = known(source=Source.HISTORY, detector="regression")

    assert news_of(standing(of_history), standing(history=None), HOSTS).unseen == (of_history,)


def test_what_the_history_repeats_of_tonights_run_is_not_told_twice():
    echo = known(source=Source.HISTORY, detector="recurring")

    news = news_of(standing(), standing(known(), echo), HOSTS)

    assert news.opened == (known(),)
    assert news_of(news.now, standing(echo), HOSTS).unchanged == (echo,)


findings = st.lists(
    st.builds(
        known,
        st.sampled_from(["node1", "node2 mlx5_0", "a -> b", ""]),
        source=st.sampled_from(Source),
        detector=st.sampled_from(["link-flap", "recurring", "drift"]),
        severity=st.sampled_from(Severity),
        host=st.sampled_from([None, "node1", "node2", "node9"]),
    ),
    unique_by=lambda each: each.key,
    max_size=6,
)
standings = st.builds(
    lambda told, status, verdict, history: standing(*told, status=status, verdict=verdict, history=history),
    findings,
    st.sampled_from(RunStatus),
    st.sampled_from(Verdict),
    st.none() | st.sampled_from(Verdict),
)


@given(standings, standings)
def test_every_finding_of_two_nights_is_in_one_group_or_an_echo(before, now):
    news = news_of(before, now, HOSTS)
    groups = (news.opened, news.worse, news.unchanged, news.closed, news.unseen)
    told = [each.key for group in groups for each in group]

    assert len(told) == len(set(told))
    silent = {each.key for each in (*before.known, *now.known)} - set(told)
    assert {detector for _, detector, _ in silent} <= {"recurring"}


@given(standings)
def test_the_same_complete_night_again_has_no_news(now):
    complete = replace(now, status=RunStatus.COMPLETE)
    first = news_of(None, complete, HOSTS)

    assert not news_of(first.now, complete, HOSTS).is_news


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((Verdict.HEALTHY, Verdict.HEALTHY), Verdict.HEALTHY),
        ((Verdict.HEALTHY, Verdict.DEGRADED), Verdict.DEGRADED),
        ((Verdict.INCONCLUSIVE, Verdict.DEGRADED), Verdict.INCONCLUSIVE),
        ((Verdict.FAULTY, Verdict.INCONCLUSIVE), Verdict.FAULTY),
    ],
)
def test_the_worse_of_two_verdicts_counts(verdicts, worst):
    assert worst_of(verdicts) is worst_of(reversed(verdicts)) is worst


def looked_at(site):
    history = history_from(site)
    return Looked(history=history, report=judge_history(history, Limits()))


def test_too_few_nights_for_levels_wake_nobody_and_what_is_open_still_does():
    assert history_verdict(looked_at(Site(hosts=3, nics=1, nights=7)), Limits()) is Verdict.HEALTHY
    flapped = Site(hosts=3, nics=1, nights=7, seen={6: [flap("node02 mlx5_0")]})
    assert history_verdict(looked_at(flapped), Limits()) is Verdict.FAULTY


def test_a_history_of_enough_nights_is_judged_as_a_whole():
    cut_short = {7: RunStatus.FAILED}

    assert not looked_at(Site(hosts=3, nics=1, nights=8)).is_young(Limits())
    assert looked_at(Site(hosts=3, nics=1, nights=8, status=cut_short)).is_young(Limits())
    assert history_verdict(looked_at(Site(hosts=3, nics=1, nights=8)), Limits()) is Verdict.HEALTHY


def test_names_are_kept_as_they_are_read_back():
    looked = looked_at(Site(hosts=3, nics=1, nights=9, seen={8: [flap("node\udcff mlx5_0")]}))

    told = standing_of(looked.report, looked, Limits())

    assert all(each.subject.encode("utf-8") for each in told.known)
    assert any("node?" in each.subject for each in told.known)
