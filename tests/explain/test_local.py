"""Where a class is: small crops of their own, and words that stand out against chance."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier, CrossalignError, ImageError, explain
from crossalign.predictions import LocalEvidence, LocalViews

CLASSES = {
    "red": ["something red", "a red thing", "round and red"],
    "green": ["something green", "a green thing", "green leaves", "a lawn"],
}


@pytest.fixture
def picture() -> Image.Image:
    image = Image.new("RGB", (120, 90), (20, 180, 40))
    image.paste((200, 30, 20), (70, 10, 110, 50))
    return image


def made(answers: Any, distinct: Any, chance: Any, boxes: Any) -> LocalEvidence:
    count = np.shape(distinct)[1]
    return LocalEvidence(
        label="cat",
        size=(100, 100),
        boxes=np.array(boxes),
        answers=np.array(answers, np.float32),
        descriptions=tuple(f"text {number}" for number in range(count)),
        similarity=np.array(distinct, np.float32),
        distinct=np.array(distinct, np.float32),
        chance=np.array(chance, np.float32),
    )


APART = [(x, y, x + 20, y + 20) for y in (0, 40, 80) for x in (0, 40, 80)]


def test_local_crops_are_encoded_once_a_photo_and_leave_the_terms_alone(
    make_encoder: Any, picture: Image.Image
) -> None:
    encoder = make_encoder()
    calls: list[int] = []
    plain = encoder.encode_images
    encoder.encode_images = lambda pixels: calls.append(len(pixels)) or plain(pixels)
    prediction = Classifier(CLASSES, encoder=encoder, crops=20)(picture)
    red, green = prediction.explain("red"), prediction.explain("green")
    assert sum(calls) == 21
    assert red.terms.sum() == pytest.approx(red.score, abs=1e-6)
    found = [each.local for each in (red, green, red)]
    assert sum(calls) == 21 + 61
    assert all(each is not None and each.boxes.shape == (60, 4) for each in found)
    np.testing.assert_array_equal(found[0].boxes, found[1].boxes)
    sides = found[0].boxes[:, 2] - found[0].boxes[:, 0]
    assert sides.min() >= 0.2 * 90 - 1
    assert sides.max() <= 0.5 * 90


def test_the_map_points_at_the_class_and_adds_up_to_one(
    make_encoder: Any, picture: Image.Image
) -> None:
    prediction = Classifier(CLASSES, encoder=make_encoder(), crops=20)(picture)
    heat = explain.heat_map(prediction.explain("red"))
    assert heat.shape == (90, 120)
    assert heat.sum() == pytest.approx(1.0)
    assert heat.min() >= 0.0
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 70 <= x < 110
    assert 10 <= y < 50
    contrast = explain.signed_heat_map(explain.why(prediction, "red", "green"))
    y, x = np.unravel_index(contrast.argmax(), contrast.shape)
    assert 70 <= x < 110
    assert 10 <= y < 50
    with pytest.raises(CrossalignError, match="crops of a map"):
        explain.heat_map(prediction.explain(), crops="all")  # type: ignore[arg-type]


def test_even_answers_have_no_place() -> None:
    even = made([0.3] * 9, [[0.0]] * 9, np.zeros((9, 30)), APART)
    assert explain.places(even) == ()
    assert [word.crop for word in explain.place_words(even)] == [None]


def test_words_get_a_place_only_against_chance() -> None:
    answers = [0.1, 0.1, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1]
    distinct = np.zeros((9, 2))
    distinct[4, 0], distinct[0, 1] = 0.2, 0.4  # the second is answered, but not where the class is
    quiet = np.random.default_rng(0).normal(0, 0.01, (9, 99))
    first, second = explain.place_words(made(answers, distinct, quiet, APART))
    assert (first.crop, first.box) == (4, APART[4])
    assert first.chance == pytest.approx(0.01)
    assert second.crop is None
    (place,) = explain.places(made(answers, distinct, quiet, APART))
    assert (place.crop, place.text) == (4, "text 0")
    loud = np.random.default_rng(0).normal(0, 0.5, (9, 99))
    assert [word.crop for word in explain.place_words(made(answers, distinct, loud, APART))] == [
        None,
        None,
    ]
    (bare,) = explain.places(made(answers, distinct, loud, APART))
    assert bare.text == "cat, as a whole"


def test_places_do_not_overlap_much() -> None:
    near = [(0, 0, 20, 20), (2, 0, 22, 20), (60, 60, 80, 80), (40, 0, 60, 20), (0, 60, 20, 80)]
    found = explain.places(
        made([0.9, 0.9, 0.8, 0.1, 0.1], np.zeros((5, 1)), np.zeros((5, 30)), near)
    )
    assert [place.crop for place in found] in ([0, 2], [1, 2])


def test_explanations_hold_what_local_crops_found(
    make_encoder: Any, picture: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    picture.save(path)
    classifier = Classifier(CLASSES, encoder=make_encoder(), crops=20)
    explanation = classifier(path).explain("red")
    local = explanation.local
    assert local is not None
    path.unlink()
    for other in (pickle.loads(pickle.dumps(explanation)), copy.deepcopy(explanation)):
        np.testing.assert_array_equal(other.local.answers, local.answers)
        np.testing.assert_array_equal(other.terms, explanation.terms)


def test_a_photo_that_is_gone_or_changed_cannot_be_looked_at_closer(
    make_encoder: Any, picture: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    picture.save(path)
    explanation = Classifier(CLASSES, encoder=make_encoder(), crops=4)(path).explain()
    Image.new("RGB", picture.size).save(path)
    with pytest.raises(ImageError, match="has changed"):
        explain.heat_map(explanation)


def test_methods_of_the_whole_image_have_no_local_crops(
    make_encoder: Any, picture: Image.Image
) -> None:
    explanation = Classifier(CLASSES, encoder=make_encoder(), method="clip")(picture).explain()
    assert explanation.local is None
    assert explain.heat_map(explanation).sum() == pytest.approx(explanation.score, abs=1e-6)


def test_a_copy_holds_what_was_encoded_and_can_go_on() -> None:
    views: LocalViews[str] = LocalViews()
    assert pickle.loads(pickle.dumps(views)).get(lambda: "new") == "new"
    assert views.get(lambda: "once") == "once"
    assert copy.deepcopy(views).get(lambda: "again") == "once"
