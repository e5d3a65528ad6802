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
from crossalign.evaluation import metrics as own

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
