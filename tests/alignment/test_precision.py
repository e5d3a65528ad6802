"""A promised precision holds on photos that the promise was not made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from crossalign.alignment.calibration import confidences
from crossalign.alignment.precision import (
    CONFIDENCE,
    _level,
    _tail,
    photos_needed,
    threshold_for,
    wilson,
)
from crossalign.errors import AlignmentError

BELOW = 1 - CONFIDENCE


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.7, 0.9]), st.booleans()), min_size=1),
    st.floats(0.05, 0.99),
)
def test_the_threshold_is_the_least_that_passes_the_binomial_test(answers, wanted):
    sure = np.array([one for one, _ in answers])
    right = np.array([hit for _, hit in answers])
    level = _level(len(right), wanted)
    fits = []
    for value in np.unique(sure):
        taken = right[sure >= value]
        chance = binom.sf(taken.sum() - 1, len(taken), wanted)
        if taken.mean() > wanted and chance <= level and len(taken) >= 0.05 * len(right):
            fits.append(value)
    found = threshold_for(sure, right, wanted)
    assert (found.confidence if found else None) == (min(fits) if fits else None)
    if found:
        taken = right[sure >= found.confidence]
        assert found.precision == pytest.approx(taken.mean())
        assert found.coverage == pytest.approx(len(taken) / len(right))
        assert (found.low, found.high) == wilson(taken.sum(), len(taken))


@given(st.integers(1, 300), st.floats(0.01, 0.99), st.data())
def test_tails_are_scipys(total, share, data):
    right = data.draw(st.integers(0, total))
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    expected = binom.sf(right - 1, total, share)
    assert _tail(right, total, share, factorials) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [20, 60, 100])
def test_of_labels_that_are_just_not_precise_enough_few_pass(count, wanted):
    """The worst case: confidence says nothing, every run of photos misses the wish by a hair."""
    rng = np.random.default_rng(count)
    found = [
        threshold_for(rng.random(count), rng.random(count) < wanted - 1e-9, wanted)
        for _ in range(1000)
    ]
    passed = np.mean([one is not None for one in found])
    assert passed <= BELOW + 3 * np.sqrt(BELOW * CONFIDENCE / 1000)
    if count >= photos_needed(wanted) + 10:
        assert passed > 0.03, "the bound is not idle"


@pytest.mark.slow
@pytest.mark.parametrize("sharpness", [1.3, 2.4, 7.0])
@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
def test_new_photos_are_as_precise_as_promised(sharpness, wanted):
    """Ten classes, accuracies of about 0.41, 0.62 and 0.85; 400 sets of photos of each size."""
    rng = np.random.default_rng(0)

    def draw(count):
        shares = confidences(rng.normal(size=(count, 10)), 1 / sharpness)
        sure = shares.max(axis=1)
        return sure, rng.random(count) < sure

    sure, right = draw(100_000)
    for count in (20, 60, 100):
        below = 0
        for _ in range(400):
            found = threshold_for(*draw(count), wanted)
            below += found is not None and right[sure >= found.confidence].mean() < wanted
        assert below / 400 <= BELOW


def test_few_photos_promise_little():
    for wanted in (0.8, 0.9, 0.95):
        needed = photos_needed(wanted)
        assert threshold_for(np.full(needed - 1, 0.9), np.ones(needed - 1), wanted) is None
        assert threshold_for(np.full(needed, 0.9), np.ones(needed), wanted).coverage == 1
    assert photos_needed(1.0) is None
    assert threshold_for(np.full(500, 0.9), np.ones(500), 1.0) is None


def test_many_photos_cost_little_time_and_promise_what_is_there():
    rng = np.random.default_rng(0)
    sure = rng.random(20_000)
    found = threshold_for(sure, rng.random(20_000) < sure, 0.9)
    assert found.confidence == pytest.approx(0.8, abs=0.03)  # from there on 0.9 in the mean


def test_thresholds_are_stated_as_they_are_compared():
    sure = np.linspace(0.12345678, 0.98765432, 60)
    found = threshold_for(sure, np.ones(60), 0.9)
    assert found.confidence == round(found.confidence, 6)
    assert (sure.round(6) >= found.confidence).mean() == found.coverage == 1


@pytest.mark.parametrize(
    ("confidence", "right"),
    [([1.5], [1]), ([-0.1], [1]), ([np.nan], [1]), ([], []), ([0.5], [1, 0]), ([0.5], [np.nan]),
     ([0.5], [0.5])],
)  # fmt: skip
def test_what_has_no_threshold(confidence, right):
    with pytest.raises(AlignmentError, match="between 0 and 1"):
        threshold_for(confidence, right, 0.9)


def test_wilsons_interval_of_a_textbook():
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
