"""Ways to weigh: what holds for all of them, and what each promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign import METHODS, AlignmentError, Classifier, MethodError, alignment
from crossalign.alignment.weights import WEIGHTINGS, weigh

seeds = st.integers(0, 2**32 - 1)
scales = st.sampled_from([0.0, 1.0, 7.4, 54.6, 1e4, -3.0])


def case(seed: int, n: int = 7, c: int = 4, d: int = 5):
    rng = np.random.default_rng(seed)
    unit = alignment.unit
    return unit(rng.normal(size=d)), unit(rng.normal(size=(n, d))), unit(rng.normal(size=(c, d)))


@pytest.mark.parametrize("way", WEIGHTINGS)
@given(seed=seeds, scale=scales)
def test_weights_are_shares_and_follow_their_members(way, seed, scale):
    anchor, members, classes = case(seed)
    weights = weigh(way, anchor, members, scale, top=3, classes=classes)
    assert weights.shape == (7,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    order = np.random.default_rng(seed).permutation(7)
    again = weigh(way, anchor, members[order], scale, top=3, classes=classes)
    np.testing.assert_allclose(again, weights[order], atol=1e-12)


@pytest.mark.parametrize("way", WEIGHTINGS)
def test_batches_are_weighed_row_by_row(way):
    cases = [case(seed) for seed in range(3)]
    anchors, members = (np.stack([each[place] for each in cases]) for place in (0, 1))
    classes = cases[0][2]
    together = weigh(way, anchors, members, 5.0, top=2, classes=classes)
    for row, (anchor, own, _) in zip(together, cases, strict=True):
        np.testing.assert_allclose(row, weigh(way, anchor, own, 5.0, top=2, classes=classes))


@given(seeds, scales)
def test_softmax_is_the_published_way(seed, scale):
    anchor, members, _ = case(seed)
    np.testing.assert_array_equal(
        weigh("softmax", anchor, members, scale), alignment.crop_weights(anchor, members, scale)
    )


@given(seeds, st.integers(1, 9))
def test_top_k_keeps_the_most_alike_and_their_proportions(seed, top):
    anchor, members, _ = case(seed)
    weights = weigh("top-k", anchor, members, 5.0, top=top)
    best = np.argsort(-(members @ anchor))[:top]
    assert set(np.flatnonzero(weights)) == set(best.tolist())
    full = alignment.crop_weights(anchor, members, 5.0)
    np.testing.assert_allclose(weights[best], full[best] / full[best].sum())


@given(seeds)
def test_the_extremes_of_top_k_are_max_and_softmax(seed):
    anchor, members, _ = case(seed)
    np.testing.assert_allclose(
        weigh("top-k", anchor, members, 5.0, top=7), weigh("softmax", anchor, members, 5.0)
    )
    largest = weigh("max", anchor, members, 5.0)
    assert largest.argmax() == np.argmax(members @ anchor)
    assert largest.max() == 1
    np.testing.assert_allclose(weigh("uniform", anchor, members, 5.0), np.full(7, 1 / 7))


@given(seeds)
def test_entropy_prefers_what_points_to_one_class(seed):
    anchor, members, classes = case(seed)
    sure = np.concatenate([classes[:1], members])  # the class itself is the surest member
    weights = weigh("entropy", anchor, sure, 10.0, classes=classes)
    logits = sure @ classes.T / 0.01
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    entropy = -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1) / np.log(len(classes))
    expected = np.exp(-10 * entropy)
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=1e-9)
    flat = weigh("entropy", anchor, members, 10.0, classes=classes[:1])
    np.testing.assert_allclose(flat, np.full(7, 1 / 7))


def test_what_cannot_be_weighed_is_refused():
    anchor, members, classes = case(0)
    with pytest.raises(AlignmentError, match="unknown weighting 'mean'"):
        weigh("mean", anchor, members, 1.0)
    with pytest.raises(AlignmentError, match="needs the embeddings of the classes"):
        weigh("entropy", anchor, members, 1.0)
    with pytest.raises(AlignmentError, match="top as a whole number from 1 up"):
        weigh("top-k", anchor, members, 1.0, top=0)
    with pytest.raises(AlignmentError):
        weigh("entropy", anchor, members, 1.0, classes=classes[:, :2])


# ------------------------------------------------------------------------------ in the classifier


@pytest.mark.parametrize("way", WEIGHTINGS)
def test_explanations_add_up_whatever_the_weights(way, encoder, picture):
    method = dataclasses.replace(
        METHODS["wca"], crop_weighting=way, description_weighting=way, top=3
    )
    classes = {"red": ["a red wall", "red paint", "fire"], "green": ["grass", "a green wall"]}
    prediction = Classifier(classes, encoder=encoder, method=method, crops=9)(picture("green", 3))
    explanation = prediction.explain("green")
    assert explanation.terms.sum() == pytest.approx(explanation.score, abs=1e-6)


def test_bifta_drops_descriptions_that_repeat(encoder, picture):
    classes = {"red": ["a red wall", "a red wall", "fire"], "green": ["grass", "grass"]}
    classifier = Classifier(classes, encoder=encoder, method="bifta", crops=5)
    assert classifier.prepare().texts == (("a red wall", "fire"), ("grass",))
    assert classifier.prepare().offsets.tolist() == [0, 2, 3]
    prediction = classifier(picture("red", 1))
    assert prediction.explain("red").descriptions == ("a red wall", "fire")
    once = {"red": ["a red wall", "fire"], "green": ["grass"]}
    same = Classifier(once, encoder=encoder, method="bifta", crops=5)(picture("red", 1))
    np.testing.assert_allclose(prediction.scores, same.scores, atol=1e-7)
    assert classifier.method.crops.kind == "refined"
    assert METHODS["bifta"].crops.count == 100


def test_most_texts_takes_the_first(encoder):
    method = dataclasses.replace(METHODS["cupl"], most_texts=1)
    classifier = Classifier({"red": ["a", "b"], "green": ["c"]}, encoder=encoder, method=method)
    assert classifier.texts == (("a",), ("c",))


@pytest.mark.parametrize(
    "fields",
    [
        {"crop_weighting": "mean"},
        {"description_weighting": ""},
        {"top": 0},
        {"redundant": 2.0},
        {"most_texts": 0},
    ],
)
def test_unusable_methods_are_refused(fields):
    with pytest.raises(MethodError):
        dataclasses.replace(METHODS["wca"], **fields)


def test_adaptive_crops_need_softmax_weights(encoder):
    with pytest.raises(MethodError, match="'lgca' weighs crops by 'top-k'"):
        Classifier(["red"], encoder=encoder, method="lgca", crops="auto")


@pytest.mark.parametrize("scale", [np.nan, np.inf, "sharp"])
@pytest.mark.parametrize("way", ["softmax", "entropy"])
def test_scales_are_finite(way, scale):
    anchor, members, classes = case(0)
    with pytest.raises(AlignmentError, match="finite scale"):
        weigh(way, anchor, members, scale, classes=classes)
