"""Adaptive crops in the engine: fewer crops, the same answers, whatever the store and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossalign import Adaptive, Classifier, CropSpec, MethodError, load_encoder
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.texts.everyday import everyday_classes

COLOURS = ["red", "green", "blue"]


@pytest.fixture
def pictures(picture: Any) -> list[Any]:
    return [picture(COLOURS[number % 3], number) for number in range(12)]


def outcome(classifier: Classifier, images: Any) -> list[tuple[Any, ...]]:
    return [(p.label, p.crops, p.scores.tolist()) for p in classifier.predict(images)]


def test_photos_get_the_label_of_all_crops_from_far_fewer() -> None:
    encoder = load_encoder("builtin")
    photos = [photo_folder() / photo.file for photo in PHOTOS]
    full = list(Classifier(everyday_classes(), encoder=encoder).predict(photos))
    few = list(Classifier(everyday_classes(), encoder=encoder, crops="auto").predict(photos))
    assert [p.label for p in few] == [p.label for p in full]
    taken = [p.crops or 0 for p in few]
    assert all(4 <= count <= 60 for count in taken)
    assert np.mean(taken) < 30
    assert all(p.crops == 60 for p in full)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_batches_and_workers_change_nothing(
    pictures: list[Any], make_encoder: Any, batch_size: int, workers: int
) -> None:
    rule = Adaptive(risk=0.05, minimum=2, step=1, maximum=20)
    plain = Classifier(COLOURS, encoder=make_encoder(), crops=rule)
    other = Classifier(
        COLOURS, encoder=make_encoder(), crops=rule, batch_size=batch_size, workers=workers
    )
    expected = outcome(plain, pictures)
    assert outcome(other, pictures) == expected
    assert outcome(other, pictures[::-1]) == expected[::-1]
    assert [outcome(other, [image]) for image in pictures] == [[one] for one in expected]


def test_the_store_changes_nothing_and_saves_the_rounds_too(
    tmp_path: Path, pictures: list[Any], make_encoder: Any
) -> None:
    rule = Adaptive(risk=0.05, minimum=2, step=1, maximum=20)

    def run(crops: Any, store: str) -> tuple[Any, int]:
        encoder = make_encoder()
        classifier = Classifier(COLOURS, encoder=encoder, crops=crops, store=tmp_path / store)
        return outcome(classifier, pictures), sum(encoder.image_batches)

    cold, encoded = run(rule, "a")
    assert encoded == sum(1 + crops for _, crops, _ in cold)
    assert run(rule, "a") == (cold, 0)
    # All crops need only those that no round asked for, and then serve every rule.
    full, more = run(20, "a")
    assert more == 12 * 21 - encoded
    assert full == run(20, "b")[0]
    assert run(rule, "b") == (cold, 0)


def test_a_hairbreadth_of_risk_takes_all_crops_and_gives_their_scores(
    pictures: list[Any], make_encoder: Any
) -> None:
    strict = Adaptive(risk=1e-300, minimum=1, step=3, maximum=10)
    full = outcome(Classifier(COLOURS, encoder=make_encoder(), crops=10), pictures)
    for found, expected in zip(
        outcome(Classifier(COLOURS, encoder=make_encoder(), crops=strict), pictures),
        full,
        strict=True,
    ):
        if found[1] == 10:
            assert found == expected
        assert found[0] == expected[0]


def test_crops_are_some_of_the_full_budgets_and_explain_the_score(make_encoder: Any) -> None:
    photo = photo_folder() / "coffee.png"
    full = Classifier(COLOURS, encoder=make_encoder())(photo).explain()
    prediction = Classifier(COLOURS, encoder=make_encoder(), crops="auto")(photo)
    explanation = prediction.explain()
    assert len(explanation.boxes) == prediction.crops
    assert {*map(tuple, explanation.boxes.tolist())} <= {*map(tuple, full.boxes.tolist())}
    assert abs(float(explanation.terms.sum()) - (prediction.score or 0)) < 1e-6


def test_one_class_is_settled_at_once(pictures: list[Any], make_encoder: Any) -> None:
    found = outcome(Classifier(["red"], encoder=make_encoder(), crops="auto"), pictures)
    assert [crops for _, crops, _ in found] == [4] * 12


def test_a_method_without_crops_has_no_use_for_rounds(
    pictures: list[Any], make_encoder: Any
) -> None:
    auto = Classifier(COLOURS, encoder=make_encoder(), method="clip", crops="auto")
    plain = Classifier(COLOURS, encoder=make_encoder(), method="clip")
    assert outcome(auto, pictures) == outcome(plain, pictures)


def test_bad_images_keep_their_place(pictures: list[Any], make_encoder: Any) -> None:
    classifier = Classifier(COLOURS, encoder=make_encoder(), crops="auto")
    found = list(classifier.predict([b"", pictures[0], b"junk", pictures[1]]))
    assert [p.error is None for p in found] == [False, True, False, True]
    assert found[0].crops is None


def test_what_can_be_said_of_a_classifier() -> None:
    rule = Adaptive(risk=0.1, maximum=30)
    classifier = Classifier(COLOURS, crops=rule, seed=3)
    assert classifier.adaptive is rule
    assert classifier.method.crops == CropSpec(30, seed=3)
    assert "up to 30 random crops" in repr(classifier)
    assert Classifier(COLOURS).adaptive is None
    with pytest.raises(MethodError, match="risk as a probability"):
        Adaptive(risk=1.5)


def test_another_number_of_crops_keeps_or_drops_the_rule(make_encoder: Any) -> None:
    auto = Classifier(COLOURS, encoder=make_encoder(), crops="auto")
    assert auto.with_crops(seed=5).adaptive == Adaptive()
    assert auto.with_crops(seed=5).method.crops == CropSpec(60, seed=5)
    assert auto.with_crops(7).adaptive is None
    few = auto.with_crops(7).with_crops("auto")  # up to as many as there were
    assert few.method.crops == CropSpec(7)
    assert few.adaptive == Adaptive.of(7)
    rule = Adaptive(maximum=20)
    assert auto.with_crops(rule).method.crops == CropSpec(20)
