"""Statistics against SciPy and scikit-learn, and against what must hold by definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import calibration as sk_calibration
from sklearn import metrics

from crossalign import EvaluationError
from crossalign.evaluation import statistics as own

seeds = st.integers(0, 2**32 - 1)


def sample(seed: int, n: int = 200, classes: int = 7):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < 0.6, labels, rng.integers(0, classes, n))
    confidence = np.round(rng.random(n), 2)  # with ties
    return labels, predicted, confidence, predicted == labels


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_as_in_scipy(total, share):
    right = int(share * total)
    mine = own.wilson(right, total)
    theirs = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert mine.low == pytest.approx(theirs.low, abs=1e-12)
    assert mine.high == pytest.approx(theirs.high, abs=1e-12)
    assert 0 <= mine.low <= mine.value <= mine.high <= 1


@given(seeds)
@settings(max_examples=25)
def test_per_class_mean_and_confusion_as_in_scikit_learn(seed):
    labels, predicted, _, right = sample(seed)
    assert own.per_class_mean(labels, right) == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted), abs=1e-12
    )
    counts = own.confusion(labels, predicted)
    matrix = metrics.confusion_matrix(labels, predicted, labels=range(7))
    assert sum(counts.values()) == len(labels)
    assert all(matrix[pair] == count for pair, count in counts.items())
    assert len(counts) == np.count_nonzero(matrix)
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_classes_without_images_do_not_count():
    assert own.per_class_mean([0, 0, 5], [1, 0, 1]) == pytest.approx(0.75)


@given(seeds)
@settings(max_examples=25)
def test_calibration_bins_as_in_scikit_learn(seed):
    _, _, confidence, right = sample(seed)
    confidence = (confidence + 0.001) / 1.01  # off the edges, where the two differ on purpose
    mine = own.calibration(confidence, right, bins=10)
    share, mean = sk_calibration.calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose(mine.accuracy, share, atol=1e-12)
    np.testing.assert_allclose(mine.confidence, mean, atol=1e-12)
    weights = mine.count / mine.count.sum()
    assert mine.error == pytest.approx(np.sum(weights * np.abs(share - mean)), abs=1e-12)


def test_perfect_calibration_has_no_error_and_overconfidence_its_gap():
    right = np.array([1, 0] * 50)
    assert own.calibration(np.full(100, 0.5), right).error == pytest.approx(0)
    assert own.calibration(np.ones(100), right).error == pytest.approx(0.5)
    assert own.calibration([0.0, 1.0], [0, 1]).error == 0


@given(seeds)
@settings(max_examples=25)
def test_risk_coverage_by_its_definition(seed):
    _, _, confidence, right = sample(seed, n=60)
    coverage, risk = own.risk_coverage(confidence, right)
    for share, mistakes in zip(coverage, risk, strict=True):
        threshold = np.sort(confidence)[::-1][round(share * 60) - 1]
        kept = confidence >= threshold
        assert kept.mean() == pytest.approx(share)
        assert mistakes == pytest.approx(1 - right[kept].mean())
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - right.mean())
    order = np.random.default_rng(seed).permutation(60)
    again = own.area_under_risk(confidence[order], right[order])
    assert again == pytest.approx(own.area_under_risk(confidence, right))


def test_knowing_ones_mistakes_is_worth_something():
    right = np.array([1] * 8 + [0] * 2)
    assert own.area_under_risk(right.astype(float), right) < 0.2
    assert own.area_under_risk(np.ones(10), right) == pytest.approx(0.2)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_as_the_binomial_test_in_scipy(first, second):
    mine = own.mcnemar(first, second)
    theirs = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-300)
    assert own.mcnemar(second, first) == mine


def test_mcnemar_of_many_images_does_not_overflow():
    assert own.mcnemar(30_000, 30_500) == pytest.approx(stats.binomtest(30_000, 60_500).pvalue)


@pytest.mark.parametrize("seed", range(3))
def test_bootstrap_interval_as_in_scipy(seed):
    rng = np.random.default_rng(seed)
    first = rng.random(400) < 0.6
    second = np.where(rng.random(400) < 0.8, first, rng.random(400) < 0.7)
    mine = own.bootstrap_difference(first, second, draws=20_000, seed=seed)
    theirs = stats.bootstrap(
        (first.astype(float), second.astype(float)),
        lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    assert mine.value == pytest.approx(second.mean() - first.mean())
    assert mine.low == pytest.approx(theirs.low, abs=0.004)
    assert mine.high == pytest.approx(theirs.high, abs=0.004)


def test_bootstrap_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        first, second = rng.random(300) < 0.5, rng.random(300) < 0.6
        interval = own.bootstrap_difference(first, second, draws=1000, seed=trial)
        covered += interval.low <= 0.1 <= interval.high
    # 190 expected; the bounds hold with a probability of over 0.999
    assert 177 <= covered <= 199


def test_the_same_seed_gives_the_same_interval_and_no_difference_gives_none():
    right = np.array([1, 0, 1, 1])
    assert own.bootstrap_difference(right, 1 - right, seed=3) == own.bootstrap_difference(
        right, 1 - right, seed=3
    )
    assert own.bootstrap_difference(right, right) == own.Interval(0.0, 0.0, 0.0)


def test_comparison_of_several_runs():
    first = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    second = np.array([[1, 1, 1, 0]])
    result = own.compare(first, second)
    assert (result.only_first, result.only_second) == (0, 1)
    assert result.difference == pytest.approx(0.75 - 0.375)
    assert result.p == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_by_its_definition(values):
    mine = own.holm(values)
    order = sorted(range(len(values)), key=lambda i: values[i])
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(values) - rank) * values[index]))
        assert mine[index] == pytest.approx(running)
    assert (mine >= np.array(values) - 1e-15).all()


def test_spread():
    assert own.spread([0.5]).sd is None
    assert own.spread([1, 2, 4]).sd == pytest.approx(np.std([1, 2, 4], ddof=1))


@pytest.mark.parametrize(
    "call",
    [
        lambda: own.wilson(3, 2),
        lambda: own.wilson(0, 0),
        lambda: own.spread([]),
        lambda: own.calibration([0.5, float("nan")], [1, 0]),
        lambda: own.risk_coverage([0.5], [1, 0]),
        lambda: own.confusion([0.5], [1]),
        lambda: own.per_class_mean([-1], [1]),
    ],
)
def test_unusable_numbers_are_refused(call):
    with pytest.raises(EvaluationError, match="expected"):
        call()
