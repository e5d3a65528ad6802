"""What comes out: ranks, margins, plain values and words."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crossalign import Classifier, CrossalignError, DescriptionError, Explanation, Prediction


def prediction(*scores: float, image: str = "x.png") -> Prediction:
    """What a classifier would make of these scores of classes a, b, c, ..."""
    classes = tuple("abcdefghijklmnop"[: len(scores)])
    array = np.array(scores, np.float32)
    best = int(array.argmax())
    return Prediction(image, classes, classes[best], float(array[best]), array)


FAILED = Prediction("x.png", ("a", "b"), None, None, None, error="x.png: no such file")


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        ((0.1, 0.3, 0.2), "bca"),
        ((0.2, 0.2, 0.2), "abc"),
        ((0.1, 0.5, 0.5, 0.1), "bcad"),
        ((-0.5, -0.1, -0.5), "bac"),
        ((0.0, -0.0, 0.0), "abc"),
        ((0.7,), "a"),
    ],
)
def test_ranked_is_best_first_and_ties_stay_in_class_order(
    scores: tuple[float, ...], order: str
) -> None:
    ranked = prediction(*scores).ranked()
    assert "".join(name for name, _ in ranked) == order
    assert all(isinstance(score, float) for _, score in ranked)
    assert dict(ranked) == pytest.approx(dict(zip("abcd", scores, strict=False)))
    assert ranked[0][0] == prediction(*scores).label


@pytest.mark.parametrize(("count", "length"), [(None, 4), (1, 1), (3, 3), (4, 4), (99, 4)])
def test_ranked_gives_as_many_as_asked_for(count: int | None, length: int) -> None:
    ranked = prediction(0.1, 0.4, 0.3, 0.2).ranked(count)
    assert ranked == prediction(0.1, 0.4, 0.3, 0.2).ranked()[:length]
    assert len(ranked) == length


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        ((0.5, 0.2), 0.3),
        ((0.2, 0.5), 0.3),
        ((0.5, 0.5, 0.1), 0.0),
        ((-0.75, -0.25, -1.0), 0.5),
        ((0.1, 0.9, 0.3, 0.2), 0.6),
    ],
)
def test_margin(scores: tuple[float, ...], margin: float) -> None:
    found = prediction(*scores).margin
    assert isinstance(found, float)
    assert found == pytest.approx(margin, abs=1e-6)


def test_margin_needs_two_classes_and_an_image() -> None:
    assert prediction(0.4).margin is None
    assert FAILED.margin is None


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=16))
def test_rank_label_score_and_margin_agree(scores: list[float]) -> None:
    made = prediction(*scores)
    ranked = made.ranked()
    assert ranked[0] == (made.label, made.score)
    values = [score for _, score in ranked]
    assert values == sorted(values, reverse=True)
    assert made.margin == pytest.approx(values[0] - values[1], abs=1e-7)
    assert made.margin >= 0


def test_plain_values() -> None:
    made = prediction(0.25, 0.5, image="Zoë [red].png")
    assert made.to_dict() == {
        "image": "Zoë [red].png",
        "label": "b",
        "score": 0.5,
        "scores": {"a": 0.25, "b": 0.5},
        "error": None,
    }
    assert json.loads(json.dumps(made.to_dict())) == made.to_dict()
    assert list(made.to_dict()) == ["image", "label", "score", "scores", "error"]


def test_plain_values_of_a_failure() -> None:
    assert json.loads(json.dumps(FAILED.to_dict())) == {
        "image": "x.png",
        "label": None,
        "score": None,
        "scores": {},
        "error": "x.png: no such file",
    }
    assert FAILED.ranked() == []
    assert FAILED.ranked(3) == []


def test_repr() -> None:
    assert repr(prediction(0.12345, 0.5)) == "Prediction('x.png', 'b', score=0.5000)"
    assert repr(FAILED) == "Prediction('x.png', error='x.png: no such file')"


def test_a_prediction_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAILED.label = "a"  # type: ignore[misc]


def test_one_that_no_classifier_made_cannot_be_explained() -> None:
    for made in (prediction(0.1, 0.2), FAILED):
        with pytest.raises(CrossalignError, match="not made by a classifier"):
            made.explain()


def test_what_a_classifier_gives(encoder: Any) -> None:
    classifier = Classifier(["red", "green", "blue"], encoder=encoder, crops=3)
    made = classifier(Image.new("RGB", (20, 20), "green"))
    assert isinstance(made, Prediction)
    assert made.image == "<image>"
    assert made.classes == classifier.classes == ("red", "green", "blue")
    assert made.label == "green"
    assert made.score == made.ranked()[0][1] == max(made.scores.tolist())
    assert isinstance(made.score, float)
    assert made.error is None
    assert made.scores.dtype == np.float32
    assert made.scores.shape == (3,)
    assert -1 <= made.scores.min() <= made.scores.max() <= 1 + 1e-6
    assert isinstance(made.explain(), Explanation)
    assert made.explain().label == "green"
    json.dumps(made.to_dict())


@pytest.mark.parametrize("label", ["", "Red", 5])
def test_classes_are_named_exactly(encoder: Any, label: Any) -> None:
    made = Classifier(["red", "blue"], encoder=encoder, crops=2)(Image.new("RGB", (9, 9)))
    with pytest.raises(DescriptionError, match="'red', 'blue'"):
        made.explain(label)


def test_equal_classes_tie_in_class_order(encoder: Any) -> None:
    classes = {"second": ["red"], "first": ["red"], "other": ["blue"]}
    made = Classifier(classes, encoder=encoder, method="cupl")(Image.new("RGB", (9, 9), "red"))
    assert [name for name, _ in made.ranked()] == ["second", "first", "other"]
    assert made.label == "second"
    assert made.margin == 0.0
