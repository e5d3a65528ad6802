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
    assert pipeline._labels_for.cache_info().currsize <= 8
    assert pipeline(picture("red"))[0]["label"] == "red"


def test_an_image_that_cannot_be_used_raises(classifier):
    with pytest.raises(ImageError, match="HTML"):
        classifier.to_pipeline()(b"<html>")


def test_images_have_two_names(classifier, picture):
    pipeline = classifier.to_pipeline()
    expected = pipeline(picture("green"))
    assert pipeline(images=picture("green")) == expected
    assert pipeline(images=[picture("green")], candidate_labels=COLOURS) == [expected]
    for wrong in ({}, {"image": picture("red"), "images": picture("red")}):
        with pytest.raises(TypeError, match="expected images"):
            pipeline(**wrong)


class DataSet:
    """As PyTorch has them: items by number, and an IndexError at the end."""

    def __init__(self, items):
        self.items = items

    def __getitem__(self, place):
        return self.items[place]

    def __len__(self):
        return len(self.items)


def test_several_images_come_in_many_ways(classifier, picture):
    pipeline = classifier.to_pipeline()
    pictures = [picture(colour, n) for n, colour in enumerate(COLOURS)]
    expected = pipeline(pictures)
    assert [rows[0]["label"] for rows in expected] == COLOURS
    assert pipeline(tuple(pictures)) == expected
    for lazy in ((one for one in pictures), iter(pictures), DataSet(pictures)):
        found = pipeline(lazy)
        assert not isinstance(found, list)
        assert list(found) == expected


def test_a_stream_is_read_as_it_is_needed(classifier, picture):
    read = []

    def endless():
        while True:
            read.append(1)
            yield picture("red", len(read))

    found = classifier.to_pipeline()(endless())
    assert [next(found)[0]["label"] for _ in range(3)] == ["red"] * 3
    assert len(read) < 200


@pytest.mark.parametrize("wrong", [{"candidate_label": ["a"]}, {"labels": ["a"]}, {"top_k": 3}])
def test_unknown_keywords_are_refused(classifier, picture, wrong):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(wrong))}'"):
        classifier.to_pipeline()(picture("red"), **wrong)


def test_keywords_of_transformers_without_effect_are_taken(classifier, picture):
    pipeline = classifier.to_pipeline()
    options = {"timeout": 3.0, "batch_size": 4, "num_workers": 2, "tokenizer_kwargs": {}}
    assert pipeline(picture("red"), **options) == pipeline(picture("red"))


def test_what_is_no_image_is_told(classifier):
    with pytest.raises(ImageError, match="int"):
        classifier.to_pipeline()(5)
