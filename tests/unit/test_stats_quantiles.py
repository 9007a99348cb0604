import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.histogram import histogram_of
from netprobe.stats.quantiles import FlatHistograms, quantile_ns, samples_of

SAMPLES = st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=300)
BIN_ERROR = 1 / 256


def flat(*rows):
    arrays = [np.array(row, dtype=np.int64) for row in rows]
    histograms = [histogram_of(row) for row in arrays]
    return FlatHistograms(
        bins=np.array([each for one in histograms for each in one.bins], dtype=np.int64),
        counts=np.array([each for one in histograms for each in one.counts], dtype=np.int64),
        lengths=np.array([len(one.bins) for one in histograms], dtype=np.int64),
        min_ns=np.array([row.min(initial=10**15) for row in arrays], dtype=float),
        max_ns=np.array([row.max(initial=0) for row in arrays], dtype=float),
    )


def nearest_rank(samples, share):
    return sorted(samples)[int(np.ceil(share * len(samples) - 1e-9)) - 1]


@given(st.lists(SAMPLES, min_size=1, max_size=8))
def test_many_rows_at_once_give_each_row_its_own_nearest_rank_median(rows):
    medians = quantile_ns(flat(*rows), 0.5)

    for median, row in zip(medians, rows, strict=True):
        assert median == pytest.approx(nearest_rank(row, 0.5), rel=BIN_ERROR, abs=0.5)


@given(SAMPLES, st.randoms())
def test_the_order_of_samples_changes_no_quantile(samples, random):
    shuffled = list(samples)
    random.shuffle(shuffled)

    assert quantile_ns(flat(samples), 0.5) == quantile_ns(flat(shuffled), 0.5)


@given(SAMPLES)
def test_quantiles_ascend_and_stay_between_the_extremes(samples):
    samples = samples * 1000
    values = [quantile_ns(flat(samples), share)[0] for share in (0.5, 0.99, 0.999)]

    assert values == sorted(values)
    assert min(samples) <= values[0] <= values[-1] <= max(samples)


@pytest.mark.parametrize(("share", "fewest"), [(0.5, 1), (0.99, 100), (0.999, 1000)])
def test_a_percentile_is_given_only_where_the_sample_supports_it(share, fewest):
    enough, too_few = list(range(fewest)), list(range(fewest - 1))

    values = quantile_ns(flat(enough, too_few), share)

    assert np.isfinite(values[0])
    assert np.isnan(values[1])


@pytest.mark.parametrize("count", [100, 200, 300, 700, 1000])
def test_p99_of_a_hundred_samples_is_the_ninety_ninth_and_not_the_maximum(count):
    samples = [10] * (count * 99 // 100) + [100_000] * (count // 100)

    assert quantile_ns(flat(samples), 0.99)[0] == 10


def test_no_rows_have_no_quantiles():
    assert quantile_ns(flat(), 0.5).shape == (0,)


def test_samples_are_counted_by_row():
    assert samples_of(flat([1, 1, 2], [5], [])).tolist() == [3, 1, 0]
