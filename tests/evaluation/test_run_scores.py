"""Scores of runs: at parity with the published protocol, and what is kept of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from crossalign import METHODS, EvaluationError, alignment
from crossalign.evaluation.run_scores import outcome_of, resampled_scores, resampling

GOLDEN = {
    # file: tolerance of the scores
    "score_f32_resample": 2e-6,
    "score_f64_resample": 1e-12,
    "score_f32_full": 2e-6,
    "score_f64_full": 1e-12,
    "score_f64_small_d": 1e-12,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_published_protocol_gives_the_published_numbers(shared, name):
    with np.load(shared / "golden" / f"{name}.npz") as file:
        golden = {key: file[key] for key in file}
    views = alignment.unit(golden["raw_image_embeds"])
    classes = alignment.class_vectors(
        alignment.unit(golden["label_embeds"]),
        alignment.unit(golden["text_embeds"]),
        golden["text_offsets"],
        scale=float(golden["text_scale"]),
    )
    indices = golden["crop_indices"]
    method = dataclasses.replace(METHODS["wca"], crop_scale=float(golden["image_scale"]))
    scores = np.stack(
        [resampled_scores(image[0], image[1:], indices, classes, method) for image in views],
        axis=1,
    )
    np.testing.assert_allclose(scores, golden["logits_wca"], rtol=0, atol=GOLDEN[name])
    kept = [
        outcome_of("", int(label), "", scores[:, place], 0.01)
        for place, label in enumerate(golden["labels"])
    ]
    predicted = np.array([outcome.predicted for outcome in kept]).T
    np.testing.assert_array_equal(predicted, golden["argmax_wca"])
    top1 = 100 * np.mean([np.array(outcome.rank) == 0 for outcome in kept], axis=0)
    np.testing.assert_allclose(top1, golden["accuracy"][2:], rtol=0, atol=1e-9)


def test_resampling_is_with_replacement_shared_and_grows():
    indices = resampling(100, 60, 20, seed=3)
    assert indices.shape == (20, 60)
    assert indices.min() >= 0
    assert indices.max() < 100
    assert any(len(set(row)) < 60 for row in indices.tolist())
    np.testing.assert_array_equal(indices[:5], resampling(100, 60, 5, seed=3))
    assert not np.array_equal(indices, resampling(100, 60, 20, seed=4))
    counts = np.bincount(resampling(10, 1000, 10, seed=0).ravel(), minlength=10)
    assert counts.min() > 850  # 1000 each on average, sd 30
    with pytest.raises(EvaluationError, match="at least 1"):
        resampling(0, 1, 1, seed=0)


def test_all_crops_once_is_plain_wca():
    rng = np.random.default_rng(0)
    views = alignment.unit(rng.normal(size=(9, 6)))
    classes = alignment.unit(rng.normal(size=(4, 6)))
    (scores,) = resampled_scores(
        views[0],
        views[1:],
        np.arange(8)[None],
        classes,
        dataclasses.replace(METHODS["wca"], crop_scale=54.6, form="sum"),
    )
    plain = alignment.image_vectors(views[0], views[1:], scale=54.6, form="sum")
    np.testing.assert_allclose(scores, alignment.scores(plain, classes))


@given(st.integers(0, 2**32 - 1))
def test_what_is_kept_of_scores(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (3, 9)) / 8  # with ties
    label = int(rng.integers(0, 9))
    outcome = outcome_of("a", label, "", scores, temperature=0.5)
    for run in range(3):
        order = np.argsort(-scores[run], kind="stable")
        assert outcome.predicted[run] == order[0] == np.argmax(scores[run])
        assert outcome.rank[run] == list(order).index(label)
        assert outcome.margin[run] == scores[run][order[0]] - scores[run][order[1]]
        soft = np.exp(scores[run] / 0.5) / np.exp(scores[run] / 0.5).sum()
        assert outcome.confidence[run] == pytest.approx(soft.max(), abs=1e-7)


@given(st.integers(0, 2**32 - 1))
def test_top_five_as_in_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((40, 12)), rng.integers(0, 12, 40)
    ranks = [
        outcome_of("", int(label), "", row[None], 1.0).rank[0]
        for label, row in zip(labels, scores, strict=True)
    ]
    theirs = metrics.top_k_accuracy_score(labels, scores, k=5, labels=range(12))
    assert np.mean(np.array(ranks) < 5) == theirs


def test_confidence_is_finite_for_any_scores():
    outcome = outcome_of("", 0, "", np.array([[1e4, -1e4, 0.0]]), temperature=1e-3)
    assert outcome.confidence == (1.0,)
    assert outcome_of("", 0, "", np.array([[0.3]]), 0.01).margin == (0.0,)


def test_classes_of_one_name_change_neither_confidence_nor_margin():
    scores = np.array([[0.3, 0.2, 0.1]])
    alone = outcome_of("a", 2, "", scores, 0.05)
    column = np.array([0, 1, 0, 2])  # the third class has the name of the first
    shared = outcome_of("a", 3, "", scores, 0.05, column)
    assert shared.confidence == alone.confidence
    assert shared.margin == alone.margin == (0.1,)
    assert shared.predicted == (0,)
    assert shared.rank == (3,)  # behind both of the shared name
    assert outcome_of("a", 2, "", scores, 0.05, column).rank == (1,)  # the second of two that tie
