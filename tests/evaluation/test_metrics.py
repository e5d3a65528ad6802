"""Statistics against SciPy and scikit-learn, and against what must hold by definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import calibration as sk_calibration
from sklearn import metrics

from crossalign import AlignmentError, EvaluationError
from crossalign.alignment.calibration import (
    PLAIN_TEMPERATURE,
    calibrate,
    calibration_error,
    reliability,
    wilson,
)
from crossalign.evaluation import metrics as own
from crossalign.evaluation.classes import ClassList
from crossalign.evaluation.results import summarise
from crossalign.evaluation.run import Outcomes
from crossalign.evaluation.run_scores import outcome_of

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
    low, high = wilson(right, total)
    theirs = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(theirs.low, abs=1e-12)
    assert high == pytest.approx(theirs.high, abs=1e-12)
    assert 0 <= low <= right / total <= high <= 1


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
    mine = [one for one in reliability(confidence, right, bins=10) if one.photos]
    share, mean = sk_calibration.calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose([one.right for one in mine], share, atol=1e-12)
    np.testing.assert_allclose([one.confidence for one in mine], mean, atol=1e-12)
    weights = np.array([one.photos for one in mine]) / 200
    assert calibration_error(mine) == pytest.approx(
        np.sum(weights * np.abs(share - mean)), abs=1e-12
    )


def test_perfect_calibration_has_no_error_and_overconfidence_its_gap():
    right = np.array([1, 0] * 50)
    assert calibration_error(reliability(np.full(100, 0.5), right)) == pytest.approx(0)
    assert calibration_error(reliability(np.ones(100), right)) == pytest.approx(0.5)
    assert calibration_error(reliability([0.0, 1.0], [0, 1])) == 0


def test_evaluating_and_calibrating_find_the_same_calibration_error():
    rng = np.random.default_rng(6)
    scores, labels = rng.normal(0.2, 0.01, (300, 5)), rng.integers(0, 5, 300)
    found = [
        outcome_of("", int(label), "", row[None], PLAIN_TEMPERATURE)
        for row, label in zip(scores, labels, strict=True)
    ]
    columns = ("predicted", "rank", "confidence", "margin")
    arrays = [np.array([getattr(one, name) for one in found]).T for name in columns]
    board = Outcomes(labels, np.ones(300, bool), *arrays, crops=None)
    row = summarise(board, ClassList.of("abcde"))
    learnt = calibrate(scores, labels)
    assert row["calibration_error"]["mean"] == pytest.approx(learnt.before.ece, abs=1e-6)
    assert len(learnt.bins) == 15
    assert (row["top1"]["low"], row["top1"]["high"]) == wilson(
        int(arrays[1].size * learnt.accuracy + 0.5), 300
    )


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
        lambda: wilson(3, 2),
        lambda: wilson(0, 0),
        lambda: own.spread([]),
        lambda: reliability([0.5, float("nan")], [1, 0]),
        lambda: own.risk_coverage([0.5], [1, 0]),
        lambda: own.confusion([0.5], [1]),
        lambda: own.per_class_mean([-1], [1]),
    ],
)
def test_unusable_numbers_are_refused(call):
    with pytest.raises((AlignmentError, EvaluationError), match="expected"):
        call()
