"""Each method: the published texts, and the score that its formula gives when written out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import (
    METHODS,
    Classifier,
    CropSpec,
    DescriptionError,
    DescriptionSet,
    Method,
    MethodError,
)
from crossalign.alignment import (
    FORMS,
    PUBLISHED_CROP_SCALE,
    PUBLISHED_DESCRIPTION_SCALE,
)
from crossalign.images import crops as crop_room
from crossalign.images.load import content_digest
from crossalign.methods import class_texts, get_method
from crossalign.texts.templates import TEMPLATES
from crossalign.texts.waffle import waffle_texts

PETS = {
    "red fox": ["red fur", "a bushy tail"],
    "blue tit": ["blue cap", "often in gardens", "tiny"],
}
replace = dataclasses.replace


# -------------------------------------------------------------------- texts of the published code


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "golden" / "texts_per_method.json").read_text(encoding="utf-8"))


GOLDEN_METHODS: dict[str, tuple[str, str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    # Published name: our method, the descriptions it is given, and the settings that match.
    "clip": ("clip", "clip_d_descriptors", lambda golden: {}),
    "clip-e": (
        "clip-e",
        "clip_d_descriptors",
        lambda golden: {"templates": tuple(golden["clip_e_templates"])},
    ),
    "clip-d": ("clip-d", "clip_d_descriptors", lambda golden: {"style": "published"}),
    "cupl": ("cupl", "cupl_descriptions", lambda golden: {}),
    "ours": ("wca", "cupl_descriptions", lambda golden: {}),
}


@pytest.mark.parametrize("published", GOLDEN_METHODS)
def test_texts_equal_the_published_ones(golden: dict[str, Any], published: str) -> None:
    name, key, settings = GOLDEN_METHODS[published]
    classes = DescriptionSet.of(golden[key])
    assert classes.classes == tuple(golden["class_names_wordified"])
    found = class_texts(replace(METHODS[name], **settings(golden)), classes)
    wanted = golden["per_method"][published]
    assert found.texts == tuple(tuple(entry["texts"]) for entry in wanted)
    for label, entry in zip(found.labels, wanted, strict=True):
        assert label == entry.get("label", label)
    assert found.labels == tuple(entry["texts"][0] for entry in golden["per_method"]["clip"])


def test_waffle_texts_equal_the_published_ones(golden: dict[str, Any]) -> None:
    found = waffle_texts(
        DescriptionSet.of(golden["clip_d_descriptors"]),
        style="published",
        seed=golden["waffle_numpy_seed"],
        words=golden["word_list"],
    )
    wanted = golden["per_method"]["waffle"]
    assert found == tuple(tuple(entry["texts"]) for entry in wanted)


# ----------------------------------------------------------------------------- texts and settings


@pytest.mark.parametrize(
    ("name", "first", "count", "origin"),
    [
        ("clip", "a photo of a red fox.", 1, "label prompt"),
        ("clip-e", "itap of a red fox.", 7, "ensemble templates"),
        ("clip-d", "red fox, which has red fur", 2, "descriptors"),
        ("waffle", "A photo of a red fox, which has ", 30, "random words"),
        ("cupl", "red fur", 2, "descriptions"),
        ("wca", "red fur", 2, "descriptions"),
    ],
)
def test_texts_of_each_method(name: str, first: str, count: int, origin: str) -> None:
    found = class_texts(METHODS[name], DescriptionSet.of(PETS))
    assert found.labels == ("a photo of a red fox.", "a photo of a blue tit.")
    assert found.origin == origin
    assert len(found.texts) == 2
    assert len(found.texts[0]) == count
    assert found.texts[0][0].startswith(first)
    assert all("red fox" not in text for text in found.texts[1])


@pytest.mark.parametrize("name", ["cupl", "wca"])
def test_names_alone_fall_back_on_templates(name: str) -> None:
    names = DescriptionSet.of(list(PETS))
    found = class_texts(METHODS[name], names)
    assert found == class_texts(METHODS["clip-e"], names)
    single = class_texts(replace(METHODS[name], templates="single"), names)
    assert single.texts == (("a photo of a red fox.",), ("a photo of a blue tit.",))
    assert single.origin == "single templates"


def test_templates_by_name_and_as_given() -> None:
    names = DescriptionSet.of(list(PETS))
    eighty = class_texts(replace(METHODS["clip-e"], templates="imagenet-80"), names)
    assert len(eighty.texts[1]) == len(TEMPLATES["imagenet-80"]) == 80
    own = class_texts(replace(METHODS["clip-e"], templates=("{}!", "my {class}")), names)
    assert own.texts == (("red fox!", "my red fox"), ("blue tit!", "my blue tit"))
    assert own.origin == "given templates"


def test_only_random_words_depend_on_the_seed() -> None:
    classes = DescriptionSet.of(PETS)
    changed = {
        name
        for name, method in METHODS.items()
        if class_texts(method, classes, seed=0) != class_texts(method, classes, seed=1)
    }
    assert changed == {"waffle"}


def test_the_family() -> None:
    assert list(METHODS) == [
        *("clip", "clip-e", "clip-d", "waffle", "cupl", "wca", "bifta", "lgca")
    ]
    for name, method in METHODS.items():
        assert method.name == name
        assert "arXiv" in method.source
        assert method.form == "prototype"
        assert get_method(name) is method
        assert get_method(method) is method
    wca = METHODS["wca"]
    assert wca.crops == CropSpec(count=60, side=(0.5, 0.9))
    assert wca.crop_scale == PUBLISHED_CROP_SCALE == pytest.approx(math.exp(4), rel=1e-7)
    assert (
        wca.description_scale == PUBLISHED_DESCRIPTION_SCALE == pytest.approx(math.exp(2), rel=1e-7)
    )
    with pytest.raises(TypeError):
        METHODS["mine"] = wca  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        wca.crop_scale = 0.0  # type: ignore[misc]


# --------------------------------------------------------------------- the score, written out anew


def written_out(classifier: Classifier, image: Image.Image) -> list[float]:
    """The scores from the definitions, in double precision, term by term."""
    method, encoder = classifier.method, classifier.encoder
    size = encoder.preprocess.size
    views = [encoder.preprocess.views(image)[0]]
    if method.crops is not None:
        for box in crop_room.boxes(method.crops, image.size, content_digest(image)).tolist():
            crop = image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
            views.append(np.asarray(crop))
    whole, *parts = encoder.encode_images(np.stack(views)).astype(float)
    parts = parts or [whole]
    scores = []
    for name, texts in zip(classifier.classes, classifier.texts, strict=True):
        label = encoder.encode_texts([f"a photo of a {name}."])[0].astype(float)
        described = encoder.encode_texts(texts).astype(float)
        alike = [np.dot(whole, part) for part in parts]
        w = np.exp(method.crop_scale * np.array(alike))
        if method.crop_weighting == "top-k":
            w[np.argsort(alike)[: -method.top]] = 0.0
        v = np.exp([method.description_scale * np.dot(label, text) for text in described])
        w, v = w / w.sum(), v / v.sum()
        score = sum(
            w[i] * v[j] * np.dot(part, text)
            for i, part in enumerate(parts)
            for j, text in enumerate(described)
        )
        if method.form == "prototype":
            score /= np.linalg.norm(w @ np.stack(parts)) * np.linalg.norm(v @ described)
        scores.append(score)
    return scores


VARIANTS = {
    **METHODS,
    "wca, plain means": replace(METHODS["wca"], crop_scale=0.0, description_scale=0.0),
    "wca, the farthest crops": replace(METHODS["wca"], crop_scale=-20.0),
    "wca on labels": replace(METHODS["wca"], texts="label"),
    "wca on descriptors": replace(METHODS["wca"], texts="descriptors", style="published"),
    "wca, published crops": replace(METHODS["wca"], crops=CropSpec.published(7, seed=3)),
    "cupl on a grid": replace(METHODS["cupl"], crops=CropSpec(count=6, kind="grid")),
    "cupl, weighted": replace(METHODS["cupl"], description_scale=7.0),
    "my own": Method("my own", "templates", templates=("{}", "red {}"), description_scale=2.0),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VARIANTS)
def test_the_score_is_the_formula(
    encoder: Any, picture: Callable[..., Image.Image], name: str, form: Any
) -> None:
    method = replace(VARIANTS[name], form=form)
    classifier = Classifier(PETS, encoder=encoder, method=method)
    for image in (picture("red", 1), picture("blue", 2)):
        # Single precision, and cosines multiplied by 55 inside an exponential.
        np.testing.assert_allclose(
            classifier(image).scores, written_out(classifier, image), atol=2e-6, rtol=0
        )


def test_a_replaced_field_changes_the_score(
    encoder: Any, picture: Callable[..., Image.Image]
) -> None:
    image = picture("red", 11)
    changes: list[dict[str, Any]] = [
        {},
        {"crop_scale": 0.0},
        {"description_scale": 0.0},
        {"form": "sum"},
        {"texts": "label"},
        {"crops": CropSpec(count=5)},
        {"crops": None},
    ]
    scores = [
        Classifier(PETS, encoder=encoder, method=replace(METHODS["wca"], **change))(image).score
        for change in changes
    ]
    assert len(set(scores)) == len(changes)
    assert METHODS["wca"].crop_scale == PUBLISHED_CROP_SCALE, "the original stays as it is"


def test_one_crop_and_one_text_is_a_cosine(encoder: Any) -> None:
    image = Image.new("RGB", (8, 8), "red")
    prediction = Classifier(["red"], encoder=encoder, method="clip")(image)
    (x,) = encoder.encode_images(np.asarray(image)[None])
    (y,) = encoder.encode_texts(["a photo of a red."])
    assert prediction.score == pytest.approx(float(x @ y), abs=1e-6)


# ---------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texts": "words"}, "unknown texts 'words'; choose one of label, templates"),
        ({"form": "product"}, "unknown form 'product'; choose one of sum, prototype"),
        ({"crop_scale": math.inf}, "crop_scale as a finite number"),
        ({"crop_scale": math.nan}, "crop_scale as a finite number"),
        ({"description_scale": -math.inf}, "description_scale as a finite number"),
    ],
)
def test_settings_out_of_range(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        replace(METHODS["wca"], **fields)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("wac", "Did you mean 'wca'"),
        ("CLIP", "choose one of clip, clip-e, clip-d, waffle, cupl, wca"),
        ("clipd", "Did you mean 'clip-d'"),
        ("", "unknown method ''"),
        (5, "unknown method 5"),
        (None, "unknown method None"),
    ],
)
def test_unknown_methods(name: Any, hint: str) -> None:
    with pytest.raises(MethodError, match=hint):
        get_method(name)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            METHODS["clip-d"],
            r"'clip-d' needs short descriptors .* clip, clip-e, waffle, cupl, wca, bifta or lgca",
        ),
        (replace(METHODS["wca"], name="mine", texts="descriptors"), "'mine' needs short"),
        (replace(METHODS["clip-e"], templates="seven"), "'seven'"),
        (replace(METHODS["clip-e"], templates=()), "at least one template"),
        (replace(METHODS["clip-e"], templates=("no hole",)), "placeholder"),
    ],
)
def test_texts_that_cannot_be_made(method: Method, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        class_texts(method, DescriptionSet.of(["red fox", "blue tit"]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crops": 5}, "crops as a CropSpec"),
        ({"crop_scale": "sharp"}, "crop_scale as a finite number"),
        ({"description_scale": None}, "description_scale as a finite number"),
        ({"texts": ["label"]}, "unknown texts"),
        ({"style": "french"}, "unknown style"),
        ({"redundant": "a"}, "redundant as a number from -1 to 1; got 'a'"),
        ({"redundant": -1}, "redundant as a cosine above -1"),
        ({"redundant": math.nan}, "redundant as a number"),
        ({"templates": 5}, "templates as the name of a set"),
        ({"templates": ("a {}.", 5)}, "templates as the name of a set"),
        ({"top": 1.5}, "top as a whole number from 1 up"),
        ({"top": None}, "top as a whole number from 1 up"),
        ({"most_texts": True}, "most_texts as a whole number from 1 up"),
        ({"crop_weighting": ["max"]}, "unknown crop_weighting"),
        ({"description_weighting": None}, "unknown description_weighting"),
        ({"crop_scale": True}, "crop_scale as a finite number"),
        ({"name": 5}, "name as text"),
        ({"source": None}, "source as text"),
    ],
)
def test_settings_of_the_wrong_kind(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        dataclasses.replace(METHODS["wca"], **fields)


def test_methods_that_are_said_to_work_on_names_do() -> None:
    names = DescriptionSet.of(["red fox", "blue tit"])
    with pytest.raises(DescriptionError) as caught:
        class_texts(METHODS["clip-d"], names)
    listed = str(caught.value).partition("works on names: ")[2].rstrip(".")
    working = []
    for name, method in METHODS.items():
        with contextlib.suppress(DescriptionError):
            working += [name] if class_texts(method, names).texts else []
    assert listed.replace(" or ", ", ").split(", ") == working


def test_a_method_that_is_no_name() -> None:
    with pytest.raises(MethodError, match="unknown method"):
        get_method(["wca"])  # type: ignore[arg-type]


def test_underscores_become_spaces_in_every_prompt() -> None:
    fox = DescriptionSet.from_mapping({"red_fox": ["orange fur"]})
    for method in METHODS.values():
        texts = class_texts(method, fox)
        assert texts.labels == ("a photo of a red fox.",)
        assert not any("_" in text for group in texts.texts for text in group)
