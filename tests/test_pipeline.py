"""Called like Transformers' zero-shot-image-classification pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from crossalign import Classifier
from crossalign.errors import ImageError

COLOURS = ["red", "green", "blue"]


@pytest.fixture
def classifier(encoder):
    return Classifier(COLOURS, encoder=encoder, method="clip")


def test_one_image_gives_a_list_and_several_give_a_list_of_lists(classifier, picture):
    pipeline = classifier.to_pipeline()
    assert pipeline.task == "zero-shot-image-classification"
    one = pipeline(picture("green"))
    assert one[0]["label"] == "green"
    assert all(sorted(entry) == ["label", "score"] for entry in one)
    assert sum(entry["score"] for entry in one) == pytest.approx(1.0)
    assert [entry["score"] for entry in one] == sorted((e["score"] for e in one), reverse=True)
    several = pipeline([picture("green"), picture("red", 1)])
    assert several[0] == one
    assert several[1][0]["label"] == "red"
    assert pipeline([]) == []


def test_scores_are_a_softmax_of_cosines(classifier, picture):
    prediction = classifier(picture("red"))
    logits = prediction.scores.astype(float) * 20
    expected = np.exp(logits) / np.exp(logits).sum()
    found = {e["label"]: e["score"] for e in classifier.to_pipeline(0.05)(picture("red"))}
    np.testing.assert_allclose([found[name] for name in COLOURS], expected, rtol=1e-6)


@pytest.mark.parametrize("labels", [["green", "blue"], "green, blue", ("green", "blue")])
def test_labels_may_be_named_at_the_call(classifier, picture, labels):
    found = classifier.to_pipeline()(
        picture("blue"), candidate_labels=labels, hypothesis_template="This is {}."
    )
    assert [entry["label"] for entry in found] == ["blue", "green"]


def test_class_sets_are_encoded_once_and_the_oldest_are_dropped(classifier, picture, encoder):
    pipeline = classifier.to_pipeline()
    for _ in range(3):
        pipeline(picture("red"), ["red", "blue"])
    assert len(encoder.text_calls) == 1
    for number in range(20):
        pipeline(picture("red"), ["red", f"blue {number}"])
    assert len(pipeline._made) <= 8
    assert pipeline(picture("red"))[0]["label"] == "red"


def test_an_image_that_cannot_be_used_raises(classifier):
    with pytest.raises(ImageError, match="HTML"):
        classifier.to_pipeline()(b"<html>")
