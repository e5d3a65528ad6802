"""Whether any of the asked classes fits at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier, load_encoder
from crossalign.alignment.fit import FitScale, Likeness
from crossalign.engine.vocabulary import prompts, vocabulary_of
from crossalign.texts import bank


def fits(classes: list[str], images: Iterable[Any]) -> list[float]:
    classifier = Classifier(classes, encoder=load_encoder("builtin"), method="clip")
    found = classifier.predict(images, keep_evidence=True)
    return [float(one.fit) for one in found if one.fit is not None]


def few(shared: Path, name: str, number: int) -> list[Path]:
    folders = sorted(path for path in (shared / "data" / name).iterdir() if path.is_dir())
    return [sorted(folder.iterdir())[0] for folder in folders][:number]


def test_asked_classes_fit_and_others_do_not(shared: Path) -> None:
    pets = few(shared, "pets37", 37)
    kept = fits(["cat", "dog"], pets)
    assert np.mean(np.array(kept) >= 0.5) >= 35 / 37
    for classes in (["car", "guitar", "cup", "rocket", "house"], ["flumph", "zorgle", "quux"]):
        assert np.mean(np.array(fits(classes, pets)) < 0.5) >= 34 / 37


@pytest.mark.parametrize("classes", [["cat", "dog"], ["pug", "beagle"]])
def test_a_plain_picture_fits_nothing(classes: list[str]) -> None:
    images = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "white", "navy")]
    assert max(fits(classes, images)) < 0.5


def test_it_is_measured_when_asked_for_and_from_the_path_again(tmp_path: Path) -> None:
    path = tmp_path / "green.png"
    Image.new("RGB", (64, 64), "green").save(path)
    classifier = Classifier(["cat", "dog"], method="clip")
    (one,) = classifier.predict([str(path)])
    assert one.embedding is None
    kept = classifier(str(path))
    assert (one.fit, one.best_other) == (kept.fit, kept.best_other)
    assert one.best_other in bank.names()
    (failed,) = classifier.predict([b"no picture"])
    assert failed.fit is None
    assert failed.best_other is None


def test_the_vocabulary_ships_for_the_builtin_model() -> None:
    encoder = load_encoder("builtin")
    found = vocabulary_of(encoder)
    assert vocabulary_of(encoder) is found
    some = slice(0, None, 160)
    exact = encoder.encode_texts(prompts(found.names[some]))
    assert (exact * found.vectors[some]).sum(axis=1).min() > 0.999


def test_other_encoders_encode_it_once_and_ask_alike(make_encoder: Callable[..., Any]) -> None:
    encoder = make_encoder()
    classifier = Classifier(["pug", "tabby cat"], encoder=encoder, method="clip")
    image = Image.new("RGB", (32, 32), "red")
    fit = classifier(image).fit
    assert fit is not None
    assert 0 <= fit <= 1
    assert vocabulary_of(encoder) is vocabulary_of(encoder)
    assert classifier(image).fit == fit


def test_relatives_are_no_rivals() -> None:
    found = vocabulary_of(load_encoder("builtin"))
    labels = found.vectors[[found.names.index("cat")]]
    scale = found.scale(["cat"], labels)
    rivals = {found.names[place] for place in scale.places}
    assert rivals.isdisjoint({"cat", "Siamese cat", "tabby cat", "mammal", "animal", "big cat"})
    assert {"Siamese cat", "cat"} <= {
        found.names[int((found.vectors @ vector).argmax())] for vector in scale.candidates
    }
    house = found.scale(["house"], found.vectors[[found.names.index("house")]])
    allies = {found.names[int((found.vectors @ one).argmax())] for one in house.candidates}
    assert "house finch" not in allies, "a house finch is no house"


def test_some_rivals_are_kept_whatever_is_asked() -> None:
    found = vocabulary_of(load_encoder("builtin"))
    scale = found.scale(found.names, found.vectors)
    assert len(scale.rivals) == 200
    fit, other = scale.measure(found.vectors[0])
    assert fit > 0.5
    assert 0 <= other < len(found.names)


def test_equal_rivals_are_no_division_by_zero() -> None:
    words = np.eye(3, dtype=np.float32)
    none = np.zeros(3, bool)
    scale = FitScale.of(
        *(words[:1], words, Likeness(0.5, 0.9), 0 * words[0]), kinds=none, narrower=none, named=none
    )
    fit, _ = scale.measure(0 * words[0])
    assert fit < 0.5
