"""Why: everything adds up, whatever the method, the form, the picture or the words."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign import (
    METHODS,
    Classifier,
    CropSpec,
    CrossalignError,
    DescriptionError,
    Explanation,
    ImageError,
    Prediction,
    explain,
    load_encoder,
)
from crossalign.alignment import FORMS
from crossalign.alignment.weights import WEIGHTINGS
from crossalign.images.examples import photo_folder
from crossalign.predictions import CropScores, Reserve
from crossalign.texts.everyday import everyday_classes

CLASSES = {
    "red": ["something red", "a red thing", "round and red"],
    "green": ["something green", "a green thing", "green leaves", "a lawn"],
    "blue": ["something blue"],
    "grey": ["nothing of the kind", "fog"],
}


@pytest.fixture(scope="module")
def mixed() -> Image.Image:
    """Red on the left, green on the right, a blue corner: the crops disagree."""
    image = Image.new("RGB", (90, 60), (200, 30, 20))
    image.paste((20, 180, 40), (45, 0, 90, 60))
    image.paste((20, 20, 220), (70, 40, 90, 60))
    return image


@pytest.fixture(scope="module")
def prediction(make_encoder: Any, mixed: Image.Image) -> Prediction:
    return Classifier(CLASSES, encoder=make_encoder(), crops=20)(mixed)


def every_variant() -> list[Any]:
    return [
        pytest.param(dataclasses.replace(method, form=form), id=f"{name}-{form}")
        for (name, method), form in itertools.product(METHODS.items(), FORMS)
    ]


# -------------------------------------------------------------------------- everything adds up


@pytest.mark.parametrize("method", every_variant())
def test_everything_adds_up_with_every_method(
    encoder: Any, picture: Callable[..., Image.Image], method: Any
) -> None:
    made = Classifier(CLASSES, encoder=encoder, method=method)(picture("green", 3))
    found = made.crop_scores()
    np.testing.assert_allclose(found.terms.sum(axis=0), made.scores, atol=1e-6, rtol=0)
    alone = Classifier(CLASSES, encoder=encoder, method=dataclasses.replace(method, crops=None))(
        picture("green", 3)
    )
    np.testing.assert_allclose(found.whole_scores, alone.scores, atol=1e-6, rtol=0)
    explanations = {label: made.explain(label) for label in made.classes}
    for number, explanation in enumerate(explanations.values()):
        assert explanation.terms.sum() == pytest.approx(made.scores[number], abs=1e-6)
        np.testing.assert_allclose(explanation.by_crop, found.terms[:, number], atol=1e-6, rtol=0)
        whole = alone.explain(explanation.label)
        assert explanation.whole_score == pytest.approx(whole.score, abs=1e-6)
        np.testing.assert_allclose(explanation.whole_similarity[None], whole.similarity, atol=1e-6)
        assert explain.heat_map(explanation, crops="scoring").sum() == pytest.approx(
            positive(explanation), abs=1e-9
        )
    for first, second in itertools.permutations(explanations.values(), 2):
        assert_adds_up(explain.contrast(first, second))


@pytest.fixture(scope="module")
def builtin() -> Any:
    return load_encoder("builtin")


@pytest.mark.parametrize("method", every_variant())
def test_everything_adds_up_with_the_builtin_model(builtin: Any, method: Any) -> None:
    everyday = everyday_classes()
    classes = {name: everyday[name] for name in ("cat", "rabbit", "fox", "sofa", "cup of coffee")}
    made = Classifier(classes, encoder=builtin, method=method, crops=16)(
        photo_folder() / "chelsea.png"
    )
    found = made.crop_scores()
    np.testing.assert_allclose(found.terms.sum(axis=0), made.scores, atol=1e-6, rtol=0)
    cat = made.explain()
    for label, score in made.ranked():
        explanation = made.explain(label)
        assert explanation.terms.sum() == pytest.approx(score, abs=1e-6)
        assert_adds_up(explain.contrast(cat, explanation))
    assert explain.heat_map(cat, crops="scoring").sum() == pytest.approx(positive(cat), abs=1e-9)


def positive(explanation: Explanation) -> float:
    return float(np.maximum(explanation.terms, 0.0).sum())


def assert_adds_up(contrast: explain.Contrast) -> None:
    first, second = contrast.first, contrast.second
    assert contrast.difference == first.score - second.score
    assert contrast.terms.shape == (
        len(contrast.boxes),
        len(first.descriptions) + len(second.descriptions),
    )
    for sums in (contrast.terms, contrast.by_crop, contrast.by_description):
        assert sums.sum() == pytest.approx(contrast.difference, abs=1e-6)
    np.testing.assert_allclose(contrast.terms.sum(axis=1), contrast.by_crop, atol=1e-9)
    # Half of the difference is said in the words of each class.
    half = contrast.by_description[: len(first.descriptions)].sum()
    assert half == pytest.approx(contrast.difference / 2.0, abs=1e-6)
    signed = explain.signed_heat_map(contrast, crops="scoring")
    assert signed.sum() == pytest.approx(contrast.difference, abs=1e-6)


def test_a_contrast_turned_round_is_its_negative(prediction: Prediction) -> None:
    one, other = explain.why(prediction, "red", "green"), explain.why(prediction, "green", "red")
    assert one.difference == -other.difference
    np.testing.assert_allclose(one.by_crop, -other.by_crop, atol=1e-15)
    turned = np.concatenate([-other.terms[:, 4:], -other.terms[:, :4]], axis=1)
    np.testing.assert_allclose(one.terms, turned, atol=1e-15)
    np.testing.assert_allclose(
        explain.signed_heat_map(one), -explain.signed_heat_map(other), atol=1e-15
    )


# ------------------------------------------------------------------------------- made-up numbers


@st.composite
def crops_of(draw: st.DrawFn, least: int = 1) -> tuple[np.ndarray, tuple[int, int]]:
    """Boxes inside a picture, and its size."""
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rows = []
    for _ in range(draw(st.integers(least, 12))):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
        rows.append((left, top, right, bottom))
    return np.array(rows, np.int64), (width, height)


def amounts_for(boxes: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.exponential(size=len(boxes)) * rng.integers(0, 2, len(boxes))


def averaged(boxes: np.ndarray, size: tuple[int, int], amounts: np.ndarray) -> np.ndarray:
    """h of the definition, box by box and pixel by pixel."""
    brought, equal = np.zeros(size[::-1]), np.zeros(size[::-1])
    for (left, top, right, bottom), amount in zip(boxes.tolist(), amounts, strict=True):
        area = (right - left) * (bottom - top)
        brought[top:bottom, left:right] += amount / area
        equal[top:bottom, left:right] += 1.0 / area
    ordinary = len(boxes) / brought.size
    return (brought + ordinary * amounts.mean()) / (equal + ordinary) * (equal > 0)


def plainly(boxes: np.ndarray, size: tuple[int, int], amounts: np.ndarray) -> np.ndarray:
    """The definition, for amounts that are not below zero."""
    mean = averaged(boxes, size, amounts)
    return mean * (amounts.sum() / mean.sum()) if amounts.sum() > 0 else mean


@given(crops_of(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_spread_is_what_its_definition_says(made: Any, seed: int) -> None:
    boxes, size = made
    amounts = amounts_for(boxes, seed)
    found = explain.spread(boxes, size, amounts)
    assert found.shape == (size[1], size[0])
    assert found.min() >= 0.0
    np.testing.assert_allclose(found, plainly(boxes, size, amounts), rtol=1e-9, atol=1e-12)
    assert found.sum() == pytest.approx(amounts.sum(), rel=1e-9)


@given(crops_of(), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_spread_does_not_depend_on_the_order_of_the_crops(
    made: Any, seed: int, random: Any
) -> None:
    boxes, size = made
    amounts = amounts_for(boxes, seed)
    order = list(range(len(boxes)))
    random.shuffle(order)
    found = explain.spread(boxes, size, amounts)
    assert (found == explain.spread(boxes[order], size, amounts[order])).all()


@given(crops_of(), st.integers(0, 2**32 - 1), st.integers(1, 50))
@settings(deadline=None)
def test_a_smaller_map_holds_the_same_evidence(made: Any, seed: int, side: int) -> None:
    boxes, size = made
    amounts = amounts_for(boxes, seed)
    large = explain.spread(boxes, size, amounts)
    small = explain.spread(boxes, size, amounts, max_side=side)
    assert max(small.shape) == min(side, max(size))
    assert small.sum() == pytest.approx(large.sum(), rel=1e-9)
    assert small.min() >= 0.0
    if all(length % count == 0 for length, count in zip(large.shape, small.shape, strict=True)):
        rows, columns = (a // b for a, b in zip(large.shape, small.shape, strict=True))
        blocks = large.reshape(small.shape[0], rows, small.shape[1], columns).sum(axis=(1, 3))
        np.testing.assert_allclose(small, blocks, rtol=1e-9, atol=1e-12)


@given(crops_of(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_amounts_on_both_sides_of_zero(made: Any, seed: int) -> None:
    boxes, size = made
    amounts = np.random.default_rng(seed).normal(0.2, 1.0, len(boxes))
    found = explain.spread(boxes, size, amounts)
    assert found.sum() == pytest.approx(amounts.sum(), abs=1e-9)
    np.testing.assert_allclose(found, -explain.spread(boxes, size, -amounts), atol=1e-12)
    small = explain.spread(boxes, size, amounts, max_side=7)
    assert small.sum() == pytest.approx(amounts.sum(), abs=1e-9)
    # Each side keeps its place and its proportions.
    mean = averaged(boxes, size, amounts)
    for side in (mean > 1e-9, mean < -1e-9):
        ratios = found[side] / mean[side]
        assert ratios.size == 0 or (ratios.min() >= 0 and np.ptp(ratios) <= 1e-6 * ratios.max())


@given(crops_of(), st.floats(1e-6, 10.0))
@settings(deadline=None)
def test_equal_evidence_gives_an_even_map(made: Any, amount: float) -> None:
    boxes, size = made
    found = explain.spread(boxes, size, np.full(len(boxes), amount))
    assert np.ptp(found[found > 0]) <= 1e-9 * found.max()


@given(crops_of(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_same_crops_twice_give_the_same_map(made: Any, seed: int) -> None:
    boxes, size = made
    amounts = amounts_for(boxes, seed)
    twice = explain.spread(np.tile(boxes, (2, 1)), size, np.tile(amounts / 2, 2))
    np.testing.assert_allclose(twice, explain.spread(boxes, size, amounts), rtol=1e-9, atol=1e-12)


def test_spread_of_evidence_of_very_different_size() -> None:
    boxes = np.array([[0, 0, 30, 30], [10, 10, 12, 12], [20, 0, 40, 30]])
    amounts = np.array([1.0, 1e-30, 1e-12])
    found = explain.spread(boxes, (40, 30), amounts)
    np.testing.assert_allclose(found, plainly(boxes, (40, 30), amounts), rtol=1e-9)


@pytest.mark.slow
def test_spread_on_a_large_picture_with_many_crops() -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 2000, (5000, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 1000, (5000, 1))], axis=1)
    amounts = rng.random(5000)
    found = explain.spread(boxes, (3000, 3000), amounts, max_side=300)
    assert found.shape == (300, 300)
    assert found.sum() == pytest.approx(amounts.sum(), rel=1e-9)


# ------------------------------------------------------------------------------------ heat maps


def test_the_map_lights_where_the_evidence_is(
    prediction: Prediction, make_encoder: Any, mixed: Image.Image
) -> None:
    red, green = (explain.heat_map(prediction.explain(label)) for label in ("red", "green"))
    assert red.shape == (60, 90)
    assert red[:, :40].mean() > red[:, 50:].mean()
    assert green[:, 50:].mean() > green[:, :40].mean()
    method = dataclasses.replace(METHODS["wca"], crop_scale=0.0)
    even = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=20)(mixed)
    signed = explain.signed_heat_map(explain.why(even, "red", "green"))
    assert signed[:, :30].mean() > 0 > signed[:, 60:].mean()


def test_maps_of_descriptions_add_up_to_the_evidence(prediction: Prediction) -> None:
    explanation = prediction.explain("green")
    maps = [explain.heat_map(explanation, description=j, crops="scoring") for j in range(4)]
    assert sum(map(np.sum, maps)) == pytest.approx(positive(explanation), abs=1e-9)
    by_text = explain.heat_map(
        explanation, description="green leaves", max_side=30, crops="scoring"
    )
    assert by_text.shape == (20, 30)
    assert by_text.sum() == pytest.approx(maps[2].sum(), abs=1e-12)


@given(st.data())
@settings(deadline=None)
def test_a_signed_map_adds_up_to_the_score(data: st.DataObject) -> None:
    boxes, size = data.draw(crops_of())
    made = explanation_of(boxes, size, data.draw(st.integers(0, 2**32 - 1)))
    assert explain.signed_heat_map(made).sum() == pytest.approx(made.terms.sum(), abs=1e-9)
    assert explain.heat_map(made).sum() == pytest.approx(positive(made), abs=1e-9)


def explanation_of(
    boxes: np.ndarray, size: tuple[int, int], seed: int, texts: Sequence[str] = ("x", "y", "z")
) -> Explanation:
    """An explanation of terms above and below zero."""
    rng = np.random.default_rng(seed)
    weights, shares = (rng.dirichlet(np.ones(n)) for n in (len(boxes), len(texts)))
    similarity = rng.uniform(-1, 1, (len(boxes), len(texts)))
    terms = weights[:, None] * shares * similarity
    return Explanation(
        image="x.png",
        label="".join(texts),
        score=float(terms.sum()),
        size=size,
        boxes=boxes,
        crop_weights=weights.astype(np.float32),
        descriptions=tuple(texts),
        description_weights=shares.astype(np.float32),
        similarity=similarity.astype(np.float32),
        terms=terms,
        whole_similarity=similarity[0].astype(np.float32),
        whole_score=float(shares @ similarity[0]),
    )


@pytest.mark.parametrize("wrong", ["no such text", 4, -1])
def test_an_unknown_description(prediction: Prediction, wrong: Any) -> None:
    with pytest.raises(DescriptionError, match="from 0 to 3"):
        explain.heat_map(prediction.explain("green"), description=wrong)


def test_what_a_map_cannot_be(prediction: Prediction) -> None:
    with pytest.raises(CrossalignError, match="max_side"):
        explain.heat_map(prediction.explain(), max_side=0)
    with pytest.raises(DescriptionError, match="contrast"):
        explain.signed_heat_map(explain.why(prediction), description=0)


# --------------------------------------------------------------------------------------- ranking


def test_top_regions(prediction: Prediction) -> None:
    explanation = prediction.explain("red")
    regions = explain.top_regions(explanation, 20)
    assert [region.adds for region in regions] == sorted(explanation.by_crop, reverse=True)
    assert sorted(region.crop for region in regions) == list(range(20))
    assert explain.top_regions(explanation, 3) == regions[:3]
    assert explain.top_regions(explanation) == regions[:5]
    for region in regions:
        assert region.box == tuple(explanation.boxes[region.crop])
        assert region.weight == explanation.crop_weights[region.crop]
        assert region.words == explain.standout(explanation, region.crop)
        assert region.label == "red"


def test_regions_that_do_not_overlap(prediction: Prediction) -> None:
    explanation = prediction.explain("red")
    apart = explain.top_regions(explanation, 20, max_overlap=0.3)
    assert apart[0] == explain.top_regions(explanation, 1)[0]
    assert 1 < len(apart) < 20
    for one, other in itertools.combinations(apart, 2):
        (a, b, c, d), (e, f, g, h) = one.box, other.box
        shared = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
        assert shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared) <= 0.3


def test_a_region_gets_the_words_that_stand_out_there(make_encoder: Any) -> None:
    """Not those that every crop answers best."""
    classes = {"flag": ["a red field", "a blue field"], "other": ["grey"]}
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    spec = CropSpec(count=12, side=(0.9, 0.9), kind="grid")
    made = Classifier(classes, encoder=make_encoder(), crops=spec)(image).explain("flag")
    for region in explain.top_regions(made, 12):
        if region.box[2] <= 40:
            assert region.text == "a red field"
        if region.box[0] >= 40:
            assert region.text == "a blue field"
    words = explain.top_words(made)
    assert {word.text: word.box[0] < 20 for word in words} == {
        "a red field": True,
        "a blue field": False,
    }


def with_similarity(similarity: Any, whole: Any) -> Explanation:
    """An explanation of these cosines, all crops and descriptions weighed alike."""
    matrix = np.array(similarity, np.float32)
    count, texts = matrix.shape
    made = explanation_of(np.tile([[0, 0, 8, 9]], (count, 1)), (9, 9), 0, "abcdefgh"[:texts])
    return dataclasses.replace(
        made,
        similarity=matrix,
        terms=matrix.astype(np.float64) / matrix.size,
        whole_similarity=np.array(whole, np.float32),
    )


def test_no_words_beside_a_crop_that_is_like_the_rest() -> None:
    """The largest lift of all is still none if it is a small part of how crops differ anyway."""
    spread = np.array([-0.02, 0.02, -0.01, 0.01])
    others = 0.35 + spread[:, None] * [1.0, -1.0]
    made = with_similarity([[0.351, 0.352], *others], whole=[0.35, 0.35])
    assert explain.standout(made, 0) is None
    (region,) = [r for r in explain.top_regions(made, 5) if r.crop == 0]
    assert region.words is None
    assert region.text == explain.LIKE_THE_PHOTO


def test_of_words_that_stand_out_those_of_the_highest_cosine() -> None:
    rows = [[0.25, 0.44, 0.20], [0.1, 0.4, 0.2], [0.1, 0.4, 0.2], [0.1, 0.4, 0.2]]
    found = explain.standout(with_similarity(rows, whole=[0.1, 0.42, 0.2]), 0)
    assert found is not None
    assert (found.description, found.text) == (1, "b"), "not a, whose lift is larger"
    assert found.similarity == pytest.approx(0.44)
    assert found.lift == pytest.approx(0.02), "above the photo, which is above the mean"


@pytest.mark.parametrize(
    ("whole", "said"), [([0.1, 0.4], "b"), ([0.1, 0.44], None), ([0.1, 0.434], None)]
)
def test_what_the_whole_photo_shows_as_well_is_no_crops_own(whole: Any, said: Any) -> None:
    rows = [[0.1, 0.44], [0.1, 0.40], [0.1, 0.40], [0.1, 0.40]]
    found = explain.standout(with_similarity(rows, whole), 0)
    assert (found and found.text) == said


def test_words_that_a_crop_answers_less_than_its_class_do_not_stand_out() -> None:
    rows = [[0.2, 0.4], [0.1, 0.4], [0.1, 0.4], [0.1, 0.4]]
    assert explain.standout(with_similarity(rows, whole=[0.1, 0.4]), 0) is None


@given(crops_of(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_words_stand_out_by_the_rule(made: Any, seed: int) -> None:
    explanation = explanation_of(*made, seed)
    similarity = explanation.similarity.astype(np.float64)
    usual = np.maximum(similarity.mean(axis=0), explanation.whole_similarity)
    spread = similarity.std(axis=0)
    for crop, row in enumerate(similarity):
        found = explain.standout(explanation, crop)
        eligible = [
            j
            for j in range(len(row))
            if row[j] - usual[j] > explain.LEAST_LIFT * spread[j] + 1e-6
            and row[j] >= row.mean() - 1e-6
        ]
        if found is None:
            assert eligible == []
        else:
            assert found.similarity >= max(row[eligible], default=-1)
            assert found.lift == row[found.description] - usual[found.description] > 0
            assert found.text == explanation.descriptions[found.description]


def test_nothing_stands_out_in_the_whole_image(encoder: Any, mixed: Image.Image) -> None:
    (region,) = explain.top_regions(
        Classifier(CLASSES, encoder=encoder, method="cupl")(mixed).explain()
    )
    assert region.words is None
    assert (region.whole, region.text) == (True, explain.WHOLE_PHOTO)
    same = with_similarity(np.tile([0.3, 0.1], (4, 1)), whole=[0.3, 0.1])
    assert explain.standout(same, 2) is None


@pytest.mark.parametrize("crop", [-1, 20])
def test_words_of_no_crop(prediction: Prediction, crop: int) -> None:
    with pytest.raises(CrossalignError, match="from 0 to 19"):
        explain.standout(prediction.explain(), crop)


def test_top_words_and_pairs(prediction: Prediction) -> None:
    explanation = prediction.explain("green")
    words = explain.top_words(explanation, 9)
    assert [(word.text, word.adds) for word in words] == explanation.top_descriptions(9)
    for word in words:
        assert word.weight == explanation.description_weights[word.description]
        assert word.crop == explanation.similarity[:, word.description].argmax()
        assert word.box == explanation.box(word.crop)
    pairs = explain.top_pairs(explanation, 80)
    assert [pair.adds for pair in pairs] == sorted(explanation.terms.ravel(), reverse=True)
    assert sum(pair.adds for pair in pairs) == pytest.approx(explanation.score, abs=1e-6)
    for pair in pairs:
        assert pair.adds == explanation.terms[pair.crop, pair.description]
        assert pair.similarity == explanation.similarity[pair.crop, pair.description]
        assert pair.text == explanation.descriptions[pair.description]
        assert pair.box == explanation.box(pair.crop)


def test_what_decides_between_two(prediction: Prediction) -> None:
    contrast = explain.why(prediction, "red", "green")
    regions = explain.top_regions(contrast, 20)
    sizes = [abs(region.adds) for region in regions]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(region.adds for region in regions) == pytest.approx(contrast.difference, abs=1e-6)
    assert {region.label for region in regions} == {"red", "green"}
    assert all((region.label == "red") == (region.adds >= 0) for region in regions)
    words = explain.top_words(contrast, 99)
    assert len(words) == 3 + 4
    assert sum(word.adds for word in words) == pytest.approx(contrast.difference, abs=1e-6)
    for word in words:
        assert word.text in CLASSES[word.label]
    lawn = next(word for word in words if word.text == "a lawn")
    assert lawn.adds > 0, "what green says and the picture does not show speaks for red"


@pytest.mark.parametrize("rank", [explain.top_regions, explain.top_words, explain.top_pairs])
def test_counts_begin_at_one(prediction: Prediction, rank: Any) -> None:
    with pytest.raises(CrossalignError, match="from 1 up"):
        rank(prediction.explain(), 0)


def test_overlap_is_a_share(prediction: Prediction) -> None:
    with pytest.raises(CrossalignError, match="from 0 to 1"):
        explain.top_regions(prediction.explain(), max_overlap=1.5)


# --------------------------------------------------------------------------------------- why


def test_why_compares_the_best_two(prediction: Prediction) -> None:
    contrast = explain.why(prediction)
    (first, a), (second, b) = prediction.ranked(2)
    assert (contrast.first.label, contrast.second.label) == (first, second)
    assert contrast.difference == pytest.approx(a - b, abs=1e-7)
    assert explain.why(prediction, "blue").second.label == first
    assert repr(contrast).startswith(f"Contrast('<image>', {first!r} against {second!r}, diff")


def test_why_reads_an_image_again_once(encoder: Any, mixed: Image.Image, tmp_path: Path) -> None:
    mixed.save(tmp_path / "x.png")
    (made,) = Classifier(CLASSES, encoder=encoder, crops=4).predict([tmp_path / "x.png"])
    calls = len(encoder.image_batches)
    explain.why(made)
    assert len(encoder.image_batches) == calls + 1
    kept = made.with_evidence()
    assert len(encoder.image_batches) == calls + 2
    assert kept.with_evidence() is kept
    assert (kept.explain().terms == made.explain().terms).all()


def test_what_cannot_be_compared(encoder: Any, prediction: Prediction, mixed: Image.Image) -> None:
    with pytest.raises(DescriptionError, match="another class"):
        explain.why(prediction, "red", "red")
    with pytest.raises(DescriptionError, match="expected one of"):
        explain.why(prediction, "red", "purple")
    alone = Classifier(["red"], encoder=encoder, crops=2)(mixed)
    for ask in (explain.why, explain.stability):
        with pytest.raises(DescriptionError, match="another class"):
            ask(alone)
    other = Classifier(CLASSES, encoder=encoder, crops=5)(mixed)
    with pytest.raises(CrossalignError, match="same prediction"):
        explain.contrast(prediction.explain("red"), other.explain("green"))


def test_an_image_that_failed_has_no_why(encoder: Any, tmp_path: Path) -> None:
    (failed,) = Classifier(CLASSES, encoder=encoder).predict([tmp_path / "gone.png"])
    for ask in (explain.why, explain.stability):
        with pytest.raises(ImageError, match="nothing to explain"):
            ask(failed)


# ------------------------------------------------------------------------------------- stability


def scores_of(found: CropScores, rows: Sequence[int]) -> np.ndarray:
    """The scores of these crops alone, worked out anew."""
    held = found.reserve
    weights = (found.weights if held is None else held.weights).astype(np.float64)
    terms = found.terms if held is None else held.terms
    counted = found.weights if held is None else np.where(found.weights > 0, weights, 0.0)
    norm = 1.0
    if found.form == "prototype":
        norm = float(np.linalg.norm(counted.astype(np.float64) @ found.embeddings))
    # Terms are linear in the embeddings, so they give back what each crop alone would score.
    alone = terms / weights[:, None] * norm
    if held is not None:
        rows = sorted(rows, key=lambda row: -weights[row])[: held.top]
    weights = weights[rows] / weights[rows].sum()
    scores = weights @ alone[rows]
    vector = weights @ found.embeddings[rows].astype(np.float64)
    return scores / np.linalg.norm(vector) if found.form == "prototype" else scores


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_leaving_a_crop_out_is_as_if_it_had_never_been_cut(
    make_encoder: Any, mixed: Image.Image, form: Any, weighting: Any
) -> None:
    method = dataclasses.replace(METHODS["wca"], form=form, crop_weighting=weighting, top=5)
    fourteen = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=14)(mixed)
    # The first crops of a larger count are those of a smaller one.
    fifteen = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=15)(mixed)
    found = explain.stability(fifteen)
    named = dict(zip(fourteen.classes, fourteen.scores.tolist(), strict=True))
    assert found.margins_without[14] == pytest.approx(
        named[found.label] - named[found.rival], abs=1e-6
    )
    assert found.labels_without[14] == fourteen.label


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.crops])
@pytest.mark.parametrize("form", FORMS)
def test_leaving_each_crop_out_with_the_builtin_model(builtin: Any, name: str, form: Any) -> None:
    """Against the classifier's own weighing and scoring of the crops that are left."""
    everyday = everyday_classes()
    classes = {name: everyday[name] for name in ("cat", "rabbit", "fox")}
    method = dataclasses.replace(METHODS[name], form=form, top=6)
    made = Classifier(classes, encoder=builtin, method=method, crops=16)
    prediction = made(photo_folder() / "chelsea.png")
    found, sure = prediction.crop_scores(), explain.stability(prediction)
    assert (found.reserve is None) == (method.crop_weighting == "softmax")
    assert prediction.evidence is not None
    whole, *parts = prediction.evidence.views
    for index in range(len(parts)):
        rest = np.array(parts[:index] + parts[index + 1 :])
        pooled = made.crop_weights(whole, rest) @ rest
        if form == "prototype":
            pooled /= np.linalg.norm(pooled)
        scores = made.prepare().vectors @ pooled
        first, second = (found.classes.index(label) for label in (sure.label, sure.rival))
        margin = scores[first] - scores[second]
        assert sure.margins_without[index] == pytest.approx(margin, abs=1e-6)
        assert sure.labels_without[index] == found.classes[scores.argmax()]


@st.composite
def crop_scores(draw: st.DrawFn) -> CropScores:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, classes = draw(st.integers(1, 7)), draw(st.integers(2, 4))
    form = draw(st.sampled_from(FORMS))
    embeddings = rng.normal(size=(count, 6)) + draw(st.floats(0, 3))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    vectors = rng.normal(size=(classes, 6)) + 0.5
    weights = rng.dirichlet(np.ones(count)).astype(np.float32)
    top = draw(st.none() | st.integers(1, count))
    all_weights = weights.astype(np.float64)
    if top is not None and top < count:
        weights[np.argsort(-weights)[top:]] = 0.0
        weights /= weights.sum()
        all_weights *= 1.0 / all_weights[weights > 0].sum()
    all_terms = all_weights[:, None] * (embeddings @ vectors.T)
    if form == "prototype":
        all_terms /= np.linalg.norm(np.where(weights > 0, all_weights, 0.0) @ embeddings)
    terms = np.where(weights[:, None] > 0, all_terms, 0.0)
    reserve = Reserve(top, all_weights, all_terms) if top is not None and top < count else None
    return CropScores(
        image="x.png",
        classes=tuple("abcd"[:classes]),
        scores=terms.sum(axis=0).astype(np.float32),
        size=(10, 10),
        boxes=np.tile([[0, 0, 10, 10]], (count, 1)),
        weights=weights,
        embeddings=embeddings,
        form=form,
        terms=terms,
        whole_scores=terms[0].astype(np.float32),
        reserve=reserve,
    )


@given(crop_scores())
@settings(deadline=None)
def test_leaving_out_and_flipping_are_exact(found: CropScores) -> None:
    sure = explain.stability(found, resamples=3)
    best, count = found.classes.index(sure.label), len(found.boxes)
    rival = found.classes.index(sure.rival)
    assert sure.margin == pytest.approx(float(found.scores[best] - found.scores[rival]))
    if count == 1:
        assert sure.standard_error is None
        assert sure.flip is None
        assert np.isnan(sure.margins_without).all()
        assert sure.labels_without == (sure.label,)
        return
    for index in range(count):
        rest = scores_of(found, [i for i in range(count) if i != index])
        assert sure.margins_without[index] == pytest.approx(rest[best] - rest[rival], abs=1e-6)
        assert sure.labels_without[index] == found.classes[rest.argmax()]
    spread = np.sum((sure.margins_without - sure.margins_without.mean()) ** 2)
    assert sure.standard_error == pytest.approx(np.sqrt((count - 1) / count * spread))
    sizes = [
        size
        for size in range(1, count)
        for out in itertools.combinations(range(count), size)
        if scores_of(found, sorted(set(range(count)) - set(out))).argmax() != best
    ]
    if sure.flip is None:
        assert sizes == []
        return
    assert len(sure.flip.crops) == min(sizes), "no smaller set of all there are"
    rest = scores_of(found, sorted(set(range(count)) - set(sure.flip.crops)))
    assert sure.flip.becomes == found.classes[rest.argmax()] != sure.label
    alone = [i for i, label in enumerate(sure.labels_without) if label != sure.label]
    assert sure.flips_alone == tuple(alone)
    assert (len(sure.flip.crops) == 1) == bool(alone)


def test_the_jackknife_foresees_the_spread_over_fresh_crops(
    make_encoder: Any, mixed: Image.Image
) -> None:
    """Margins with fresh crops spread as much as one set of crops says they would."""
    method = dataclasses.replace(METHODS["wca"], form="sum")
    made = [
        explain.stability(
            Classifier(CLASSES, encoder=make_encoder(), method=method, crops=60, seed=seed)(mixed),
            resamples=1,
        )
        for seed in range(60)
    ]
    label, rival = made[0].label, made[0].rival
    alike = [sure for sure in made if (sure.label, sure.rival) == (label, rival)]
    assert len(alike) > 40
    really = np.std([sure.margin for sure in alike], ddof=1)
    foreseen = np.sqrt(np.mean([sure.standard_error**2 for sure in alike]))
    assert 0.6 < foreseen / really < 1.6


def test_agreement_tells_a_close_call_from_a_clear_one(make_encoder: Any) -> None:
    def striped(red: int) -> Prediction:
        image = Image.new("RGB", (90, 60), (0, 255, 0))
        image.paste("red", (0, 0, red, 60))
        return classifier(image)

    method = dataclasses.replace(METHODS["wca"], crop_scale=0.0)
    classifier = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=20)
    clear = explain.stability(striped(90))
    assert clear.label == "red"
    assert clear.agreement == 1.0
    assert clear.flips_alone == ()
    half = min(map(striped, range(20, 70)), key=lambda made: made.margin)
    close = explain.stability(half)
    assert 0.2 < close.agreement < 0.9
    assert close.flip is not None
    assert len(close.flip.crops) < 5
    again = explain.stability(half)
    assert (again.agreement, again.flip) == (close.agreement, close.flip)
    other_draws = explain.stability(half, seed=1)
    assert other_draws.agreement == pytest.approx(close.agreement, abs=0.1)
    assert repr(close).startswith(f"Stability({close.label!r} over {close.rival!r} by 0.")


def test_classes_that_say_the_same_do_not_flip_each_other(
    make_encoder: Any, mixed: Image.Image
) -> None:
    classes = {"one": ["red"], "two": ["red"], "three": ["green"]}
    method = dataclasses.replace(METHODS["wca"], description_scale=0.0)
    made = Classifier(classes, encoder=make_encoder(), method=method, crops=9)(mixed)
    sure = explain.stability(made, "two")
    assert sure.margin == 0.0
    assert sure.label == "one"
    assert "two" not in sure.labels_without
    assert sure.flip is None or sure.flip.becomes == "three"


def test_one_whole_image_says_nothing_about_its_spread(encoder: Any, mixed: Image.Image) -> None:
    sure = explain.stability(Classifier(CLASSES, encoder=encoder, method="cupl")(mixed))
    assert sure.standard_error is None
    assert sure.flip is None
    assert sure.agreement == 1.0
    assert "no crops would flip it" in repr(sure)


@pytest.mark.parametrize("against", ["red?", ""])
def test_stability_against_what_is_no_class(prediction: Prediction, against: str) -> None:
    with pytest.raises(DescriptionError, match="other than"):
        explain.stability(prediction, against)
    with pytest.raises(DescriptionError, match="other than"):
        explain.stability(prediction, prediction.label)
    with pytest.raises(CrossalignError, match="resamples"):
        explain.stability(prediction, resamples=0)
