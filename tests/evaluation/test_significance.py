"""Paired comparisons against SciPy, by enumeration, and by how often they err."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crossalign import EvaluationError
from crossalign.evaluation import significance as own

steps = st.lists(st.integers(-4, 4), min_size=2, max_size=12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_as_the_binomial_test_in_scipy(first, second):
    mine = own.mcnemar(first, second)
    theirs = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-300)
    assert own.mcnemar(second, first) == mine


def test_mcnemar_of_many_images_does_not_overflow():
    assert own.mcnemar(30_000, 30_500) == pytest.approx(stats.binomtest(30_000, 60_500).pvalue)


@given(steps)
def test_sign_flips_by_enumeration(given_steps):
    signs = np.array(list(itertools.product((-1, 1), repeat=len(given_steps))))
    sums = np.abs(signs @ given_steps)
    share = (sums >= abs(sum(given_steps))).mean()
    assert own.sign_flip(given_steps) == pytest.approx(share, abs=1e-12)


@given(steps)
@settings(max_examples=15)
def test_sign_flips_as_in_scipy(given_steps):
    theirs = stats.permutation_test(
        (np.array(given_steps),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert own.sign_flip(given_steps) == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize("count", [60, 2_000, 60_000])
def test_many_images_as_random_draws_in_scipy_and_as_drawn_here(count):
    rng = np.random.default_rng(count)
    chosen = rng.integers(-9, 10, count)
    chosen[: int(1.5 * np.sqrt(count))] = 9
    mine = own.sign_flip(chosen)
    sizes, counts = np.unique(np.abs(chosen[chosen != 0]), return_counts=True)
    drawn = own._drawn(sizes, counts, abs(int(chosen.sum())), seed=1)
    assert drawn == pytest.approx(mine, abs=5 * np.sqrt(mine / 99_999) + 2e-5)
    if count == 60:
        theirs = stats.permutation_test(
            (chosen,), np.sum, permutation_type="samples", n_resamples=20_000, vectorized=False,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        assert theirs.pvalue == pytest.approx(mine, abs=0.02)


def test_one_run_each_is_the_exact_mcnemar_test():
    rng = np.random.default_rng(0)
    first, second = rng.random(300) < 0.6, rng.random(300) < 0.64
    found = own.compare(first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    assert (found.first_better, found.second_better) == (only_first, only_second)
    theirs = stats.binomtest(only_first, only_first + only_second).pvalue
    assert found.p == pytest.approx(theirs, rel=1e-9)
    sizes, counts = np.array([1]), np.array([only_first + only_second])
    far = abs(only_first - only_second)
    assert 2 * own._tail(sizes, counts, far) == pytest.approx(found.p, abs=1e-12)
    assert own._drawn(sizes, counts, far, seed=0) == pytest.approx(found.p, abs=0.005)


def test_which_run_comes_first_does_not_matter():
    rng = np.random.default_rng(3)
    chance = rng.beta(2, 2, 400)
    first = rng.random((20, 400)) < chance
    second = rng.random((20, 400)) < np.clip(chance + 0.045, 0, 1)
    found = own.compare(first, second)
    assert found.p < 0.001 < found.low
    for turn in range(1, 20):
        assert own.compare(np.roll(first, turn, axis=0), second) == found


def test_p_is_never_nothing_and_ties_do_not_depend_on_rounding():
    every = own.compare(np.zeros((3, 500)), np.ones((2, 500)))
    assert 0 < every.p < 1e-100
    mixed = np.array([7] * 400 + [3] * 400)
    assert own.sign_flip(mixed) == 1e-12
    assert own._drawn(np.array([3, 7]), np.array([400, 400]), 4000, seed=0) == 1e-5
    # A third and two thirds against one: the same sizes of difference as whole numbers.
    first = np.array([[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
    assert own.compare(first, [0, 1, 1, 1]).p == own.sign_flip([-1, 3, 2, 0])


def test_no_gain_is_claimed_more_often_than_said():
    """Methods of equal accuracy, each with chance in its crops, run a different number of times."""
    rng = np.random.default_rng(11)
    claimed = covered = 0
    for _ in range(400):
        chance = rng.beta(0.6, 0.4, 150)
        other = np.clip(chance + rng.permutation(np.repeat([-0.2, 0.2], 75)), 0, 1)
        first, second = rng.random((1, 150)) < chance, rng.random((5, 150)) < other
        found = own.compare(first, second)
        truth = float(np.mean(other - chance))
        claimed += found.p < 0.05
        covered += found.low <= truth <= found.high
    assert claimed <= 32  # 20 expected
    assert covered >= 368  # 380 expected


@pytest.mark.parametrize("images", [10, 40, 150])
@pytest.mark.parametrize(("only_first", "only_second"), [(0.01, 0.01), (0.05, 0.1), (0.3, 0.1)])
def test_the_interval_covers_the_truth_as_often_as_it_says(images, only_first, only_second):
    """Exactly, over all that can come out: its shape is that of one run each."""
    both = [(b, c) for b in range(images + 1) for c in range(images + 1 - b)]
    chance = [only_first, only_second, 1 - only_first - only_second]
    masses = stats.multinomial.pmf([(b, c, images - b - c) for b, c in both], images, chance)
    truth = only_second - only_first
    covered = 0.0
    for (b, c), mass in zip(both, masses, strict=True):
        if mass > 1e-7:
            gap = np.zeros(images)
            gap[:b], gap[b : b + c] = -1, 1
            interval = own.paired_interval(gap)
            assert interval.low <= interval.value <= interval.high
            covered += mass * (interval.low <= truth <= interval.high)
    assert covered > 0.935


def test_the_interval_is_the_normal_one_with_half_an_image_more_in_each_outcome():
    gap = np.repeat([-1.0, 0.0, 1.0], [5, 30, 12])
    b, c, n = 5.5, 12.5, 49
    centre = (c - b) / n
    half = stats.norm.ppf(0.975) * np.sqrt((b + c) - (c - b) ** 2 / n) / n
    interval = own.paired_interval(gap)
    assert interval.value == pytest.approx(7 / 47)
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half))


def test_methods_that_agree_everywhere_may_still_differ_a_little():
    found = own.compare(np.ones(74), np.ones(74))
    assert (found.difference, found.p, found.first_better, found.second_better) == (0, 1, 0, 0)
    assert found.low == pytest.approx(-0.0258, abs=1e-4)
    assert found.high == -found.low
    assert own.paired_interval([1.0]).high == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_by_its_definition(values):
    mine = own.holm(values)
    order = sorted(range(len(values)), key=lambda i: values[i])
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(values) - rank) * values[index]))
        assert mine[index] == pytest.approx(running)
    assert (mine >= np.array(values) - 1e-15).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: own.compare([1, 0], [1]),
        lambda: own.compare([], []),
        lambda: own.compare([0.5, 1], [1, 0]),
        lambda: own.sign_flip([0.5]),
        lambda: own.paired_interval([1.5]),
        lambda: own.paired_interval([]),
    ],
)
def test_unusable_numbers_are_refused(call):
    with pytest.raises(EvaluationError, match="expected"):
        call()


def test_p_values_are_never_nought():
    assert 0 < own.mcnemar(0, 5000) < 1e-300
    assert 0 < own.sign_flip([1] * 5000) < 1e-300
