"""The score: equal to the published code, and true to its algebra for any input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign import alignment
from crossalign.alignment import (
    FORMS,
    PUBLISHED_CROP_SCALE,
    PUBLISHED_DESCRIPTION_SCALE,
    class_vectors,
    contributions,
    crop_weights,
    description_weights,
    image_vectors,
    pool,
    scores,
    similarity_matrix,
    unit,
)
from crossalign.errors import AlignmentError, CrossalignError

DTYPES = [np.float32, np.float64]

# Against the published code. Its sums run in another order, so the last bits differ: an error of a
# few ulp (1.2e-7, 2.2e-16) in a cosine is multiplied by the crop scale, 55, inside the softmax, and
# divided by the norm of the pooled vector. Both leave room above what was seen, and lie more than
# a thousand times below the smallest gap between first and second place (3.2e-3).
GOLDEN_TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-12}

# For sums of up to 144 terms of well-conditioned vectors, where no softmax stands between.
SUM_TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}

GOLDEN_FILES = [
    "score_f32_full",
    "score_f32_resample",
    "score_f64_full",
    "score_f64_resample",
    "score_f64_small_d",
]


# ------------------------------------------------------------------------------- making embeddings


def cone(rng: np.random.Generator, dtype, axis: np.ndarray, *shape: int) -> np.ndarray:
    """Random unit vectors within 65 degrees of an axis, as the embeddings of one model are.

    Weighted sums of them are never short, so that the prototype form is well conditioned.
    """
    noise = rng.standard_normal((*shape, axis.shape[-1]))
    noise *= rng.uniform(0, 0.9, (*shape, 1)) / np.linalg.norm(noise, axis=-1, keepdims=True)
    vectors = axis + noise
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(dtype)


class Problem:
    """One image with N crops, one class with M descriptions, two scales."""

    def __init__(self, dtype, dim, crops, descriptions, crop_scale, description_scale, seed):
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.crop_scale, self.description_scale = crop_scale, description_scale
        visual, textual = self.rng.standard_normal((2, dim))
        self.visual = visual / np.linalg.norm(visual)
        self.textual = textual / np.linalg.norm(textual)
        self.image = cone(self.rng, dtype, self.visual)
        self.crops = cone(self.rng, dtype, self.visual, crops)
        self.label = cone(self.rng, dtype, self.textual)
        self.descriptions = cone(self.rng, dtype, self.textual, descriptions)

    def __repr__(self) -> str:
        return (
            f"Problem({self.dtype}, crops {self.crops.shape}, descriptions "
            f"{self.descriptions.shape}, scales {self.crop_scale}, {self.description_scale})"
        )

    @property
    def w(self) -> np.ndarray:
        return crop_weights(self.image, self.crops, self.crop_scale)

    @property
    def v(self) -> np.ndarray:
        return description_weights(self.label, self.descriptions, self.description_scale)

    def image_vector(self, form) -> np.ndarray:
        return image_vectors(self.image, self.crops, scale=self.crop_scale, form=form)

    def class_vector(self, form) -> np.ndarray:
        return class_vectors(
            self.label[None],
            self.descriptions,
            [0, len(self.descriptions)],
            scale=self.description_scale,
            form=form,
        )[0]

    def score(self, form) -> float:
        return float(scores(self.image_vector(form), self.class_vector(form)[None])[0])


GENTLE_SCALES = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, PUBLISHED_CROP_SCALE, PUBLISHED_DESCRIPTION_SCALE]),
    st.floats(-100, 100),
)
ANY_SCALES = st.one_of(
    GENTLE_SCALES,
    st.sampled_from([1e38, -1e38, 1e300, -1e300, 1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
)


def problems(scales=GENTLE_SCALES):
    return st.builds(
        Problem,
        dtype=st.sampled_from(DTYPES),
        dim=st.integers(1, 64),
        crops=st.integers(1, 12),
        descriptions=st.integers(1, 12),
        crop_scale=scales,
        description_scale=scales,
        seed=st.integers(0, 2**32 - 1),
    )


def softmax_tolerance(dtype, *scales: float) -> float:
    """Allowed where cosines are computed anew: their last bits, times the scale, move weights."""
    return 16 * float(np.finfo(dtype).eps) * (1 + sum(abs(scale) for scale in scales))


def exact_weights(anchor, members, scale, counts=1) -> np.ndarray:
    """Softmax in double precision, each member counted ``counts`` times."""
    exponents = scale * (members.astype(np.float64) @ anchor.astype(np.float64))
    weights = counts * np.exp(exponents - exponents.max())
    return weights / weights.sum()


def exact_pool(weights, members, form) -> np.ndarray:
    pooled = weights @ members.astype(np.float64)
    return pooled / np.linalg.norm(pooled) if form == "prototype" else pooled


# ---------------------------------------------------------------------------- the published numbers


class Golden:
    """One file of numbers that the official code gave, and what ours gives on the same input."""

    def __init__(self, path):
        with np.load(path, allow_pickle=False) as arrays:
            self.expected = dict(arrays)
        embeddings = unit(self.expected["raw_image_embeds"])
        self.images, self.crops = embeddings[:, 0], embeddings[:, 1:]
        self.descriptions = unit(self.expected["text_embeds"])
        self.labels = unit(self.expected["label_embeds"])
        self.tolerance = GOLDEN_TOLERANCE[embeddings.dtype]

    def classes(self, scale: float) -> np.ndarray:
        return class_vectors(
            self.labels, self.descriptions, self.expected["text_offsets"], scale=scale
        )

    def logits(self) -> dict[str, np.ndarray]:
        mean, weighted = self.classes(0.0), self.classes(PUBLISHED_DESCRIPTION_SCALE)
        runs = [
            scores(
                image_vectors(self.images, self.crops[:, chosen], scale=PUBLISHED_CROP_SCALE),
                weighted,
            )
            for chosen in self.expected["crop_indices"]
        ]
        return {
            "cupl": scores(self.images, mean),
            "global_wca": scores(self.images, weighted),
            "wca": np.stack(runs),
        }

    def check(self, ours: np.ndarray, name: str) -> None:
        expected = self.expected[name]
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, rtol=0, atol=self.tolerance, err_msg=name)


@pytest.fixture(scope="module", params=GOLDEN_FILES)
def golden(request, shared) -> Golden:
    return Golden(shared / "golden" / f"{request.param}.npz")


def test_published_scales(golden):
    assert float(golden.expected["image_scale"]) == PUBLISHED_CROP_SCALE
    assert float(golden.expected["text_scale"]) == PUBLISHED_DESCRIPTION_SCALE


def test_golden_embeddings(golden):
    golden.check(golden.images, "images")
    whole_cosines = similarity_matrix(golden.crops, golden.images[:, None])
    golden.check(np.concatenate([golden.crops, whole_cosines], axis=-1), "patches")


@pytest.mark.parametrize(
    ("scale", "name"),
    [(0.0, "class_embeds_mean"), (PUBLISHED_DESCRIPTION_SCALE, "class_embeds_wca")],
)
def test_golden_class_vectors(golden, scale, name):
    golden.check(golden.classes(scale).T, name)


@pytest.mark.parametrize("method", ["cupl", "global_wca", "wca"])
def test_golden_logits_and_decisions(golden, method):
    logits = golden.logits()[method]
    golden.check(logits, f"logits_{method}")
    np.testing.assert_array_equal(logits.argmax(axis=-1), golden.expected[f"argmax_{method}"])


def test_golden_accuracy(golden):
    logits = golden.logits()
    runs = [logits["cupl"], logits["global_wca"], *logits["wca"]]
    hits = [run.argmax(axis=-1) == golden.expected["labels"] for run in runs]
    per_cent = [100 * hit.mean() for hit in hits]
    # The official code divides in single precision.
    np.testing.assert_allclose(per_cent, golden.expected["accuracy"], rtol=1e-6)


# ---------------------------------------------------------------------------------- the algebra


@given(problems(ANY_SCALES))
def test_weights_are_a_distribution(problem):
    for weights, count in [
        (problem.w, len(problem.crops)),
        (problem.v, len(problem.descriptions)),
    ]:
        assert weights.shape == (count,)
        assert weights.dtype == problem.dtype
        assert (weights >= 0).all()
        assert weights.sum(dtype=np.float64) == pytest.approx(
            1, abs=SUM_TOLERANCE[problem.dtype], rel=0
        )


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems(ANY_SCALES))
def test_contributions_add_up_to_the_score(form, problem):
    terms = contributions(problem.crops, problem.w, problem.descriptions, problem.v, form)
    assert terms.shape == (len(problem.crops), len(problem.descriptions))
    assert terms.dtype == problem.dtype
    assert terms.sum(dtype=np.float64) == pytest.approx(
        problem.score(form), abs=SUM_TOLERANCE[problem.dtype], rel=0
    )


@given(problems(ANY_SCALES))
def test_sum_form_is_the_formula_of_the_paper(problem):
    w, v = problem.w, problem.v
    explicit = sum(
        float(w[i]) * float(v[j]) * float(np.dot(problem.crops[i], problem.descriptions[j]))
        for i, j in itertools.product(range(len(w)), range(len(v)))
    )
    assert problem.score("sum") == pytest.approx(explicit, abs=SUM_TOLERANCE[problem.dtype], rel=0)


@given(problems(ANY_SCALES))
def test_prototype_form_is_the_sum_form_over_the_norms(problem):
    norms = np.linalg.norm(problem.image_vector("sum").astype(np.float64)) * np.linalg.norm(
        problem.class_vector("sum").astype(np.float64)
    )
    assert problem.score("prototype") == pytest.approx(
        problem.score("sum") / norms, abs=4 * SUM_TOLERANCE[problem.dtype], rel=0
    )


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems())
def test_weighting_and_pooling_match_double_precision(form, problem):
    tolerance = softmax_tolerance(problem.dtype, problem.crop_scale)
    weights = exact_weights(problem.image, problem.crops, problem.crop_scale)
    np.testing.assert_allclose(problem.w, weights, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        problem.image_vector(form),
        exact_pool(weights, problem.crops, form),
        rtol=0,
        atol=tolerance,
    )


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems())
def test_order_changes_nothing(form, problem):
    before = problem.score(form)
    problem.crops = problem.rng.permutation(problem.crops)
    problem.descriptions = problem.rng.permutation(problem.descriptions)
    tolerance = softmax_tolerance(problem.dtype, problem.crop_scale, problem.description_scale)
    assert problem.score(form) == pytest.approx(before, abs=tolerance, rel=0)


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems(), data=st.data())
def test_duplicates_count_twice(form, problem, data):
    sides = [
        ("crops", problem.image, problem.crop_scale, problem.image_vector),
        ("descriptions", problem.label, problem.description_scale, problem.class_vector),
    ]
    for name, anchor, scale, vector in sides:
        members = getattr(problem, name)
        twin = data.draw(st.integers(0, len(members) - 1), label=f"duplicated of {name}")
        counts = np.ones(len(members))
        counts[twin] = 2
        expected = exact_pool(exact_weights(anchor, members, scale, counts), members, form)
        setattr(problem, name, np.concatenate([members, members[twin : twin + 1]]))
        np.testing.assert_allclose(
            vector(form), expected, rtol=0, atol=softmax_tolerance(problem.dtype, scale)
        )


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems(ANY_SCALES))
def test_whole_image_and_label_alone_give_the_cosine(form, problem):
    cosine = float(np.dot(problem.image.astype(np.float64), problem.label.astype(np.float64)))
    problem.crops, problem.descriptions = problem.image[None], problem.label[None]
    assert problem.w.tolist() == [1.0]
    assert problem.v.tolist() == [1.0]
    assert problem.score(form) == pytest.approx(cosine, abs=SUM_TOLERANCE[problem.dtype], rel=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
@given(problem=problems())
def test_scale_zero_is_the_plain_mean(form, zero, problem):
    problem.crop_scale = problem.description_scale = zero
    for vector, members in [
        (problem.image_vector(form), problem.crops),
        (problem.class_vector(form), problem.descriptions),
    ]:
        expected = exact_pool(np.full(len(members), 1 / len(members)), members, form)
        np.testing.assert_allclose(vector, expected, rtol=0, atol=SUM_TOLERANCE[problem.dtype])


@given(problems())
def test_larger_scales_favour_the_likest_and_negative_ones_the_unlikest(problem):
    cosines = problem.crops @ problem.image
    means = [
        float(crop_weights(problem.image, problem.crops, scale) @ cosines)
        for scale in (-1e6, -10, 0, 10, 1e6)
    ]
    assert (np.diff(means) >= -SUM_TOLERANCE[problem.dtype]).all()


# --------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lead", [(1,), (3,), (2, 3)])
@given(problem=problems())
def test_batched_equals_one_at_a_time(form, lead, problem):
    scale, tolerance = problem.crop_scale, softmax_tolerance(problem.dtype, problem.crop_scale)
    images = cone(problem.rng, problem.dtype, problem.visual, *lead)
    crops = cone(problem.rng, problem.dtype, problem.visual, *lead, len(problem.crops))
    classes = cone(problem.rng, problem.dtype, problem.textual, 4)

    weights = crop_weights(images, crops, scale)
    vectors = image_vectors(images, crops, scale=scale, form=form)
    table = scores(vectors, classes)
    terms = contributions(crops, weights, problem.descriptions, problem.v, form)
    assert weights.shape == crops.shape[:-1]
    assert vectors.shape == images.shape
    assert table.shape == (*lead, 4)
    assert terms.shape == (*lead, len(problem.crops), len(problem.descriptions))

    for place in np.ndindex(*lead):
        alone = crop_weights(images[place], crops[place], scale)
        vector = image_vectors(images[place], crops[place], scale=scale, form=form)
        pairs = [
            (weights[place], alone),
            (vectors[place], vector),
            (table[place], scores(vector, classes)),
            (
                terms[place],
                contributions(crops[place], alone, problem.descriptions, problem.v, form),
            ),
        ]
        for batched, single in pairs:
            np.testing.assert_allclose(batched, single, rtol=0, atol=4 * tolerance)


@given(problems())
def test_one_label_serves_every_row_of_a_batch(problem):
    batch = np.stack([problem.crops, problem.crops[::-1]])
    weights = crop_weights(problem.image, batch, problem.crop_scale)
    tolerance = softmax_tolerance(problem.dtype, problem.crop_scale)
    np.testing.assert_allclose(weights[0], problem.w, rtol=0, atol=tolerance)
    np.testing.assert_allclose(weights[1], problem.w[::-1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", FORMS)
@given(problem=problems(), counts=st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_ragged_classes_equal_one_class_at_a_time(form, problem, counts):
    offsets = [0, *itertools.accumulate(counts)]
    labels = cone(problem.rng, problem.dtype, problem.textual, len(counts))
    descriptions = cone(problem.rng, problem.dtype, problem.textual, offsets[-1])
    scale = problem.description_scale
    rows = class_vectors(labels, descriptions, np.array(offsets), scale=scale, form=form)
    assert rows.shape == labels.shape
    assert rows.dtype == problem.dtype
    for row, label, (start, stop) in zip(rows, labels, itertools.pairwise(offsets), strict=True):
        members = descriptions[start:stop]
        alone = pool(description_weights(label, members, scale), members, form)
        np.testing.assert_allclose(row, alone, rtol=0, atol=softmax_tolerance(problem.dtype, scale))


# ------------------------------------------------------- stability: any warning fails these tests


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e6, 1e30, 1e38, 3.4e38, 1e300, 1.7e308])
@pytest.mark.parametrize("sign", [1, -1])
def test_huge_scales_choose_one_crop(dtype, scale, sign):
    image = np.array([1, 0], dtype)
    crops = np.array([[0, 1], [1, 0], [-1, 0], [0.6, 0.8]], dtype)
    weights = crop_weights(image, crops, sign * scale)
    np.testing.assert_array_equal(weights, [0, 1, 0, 0] if sign > 0 else [0, 0, 1, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_scales_share_between_ties(dtype):
    image = np.array([1, 0], dtype)
    crops = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    np.testing.assert_array_equal(crop_weights(image, crops, 1e38), [0.5, 0, 0.5])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_zero_vectors_give_zeros_not_nan(dtype, form):
    zero, some = np.zeros((3, 4), dtype), np.eye(3, 4, dtype=dtype)
    np.testing.assert_array_equal(unit(zero), zero)
    np.testing.assert_allclose(crop_weights(zero[0], some, 50.0), 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(crop_weights(some[0], zero, 50.0), 1 / 3, rtol=1e-6)
    vectors = image_vectors(some, np.stack([zero] * 3), scale=50.0, form=form)
    np.testing.assert_array_equal(vectors, np.zeros((3, 4)))
    classes = class_vectors(zero, some, [0, 1, 2, 3], scale=7.0, form=form)
    np.testing.assert_array_equal(classes, some)
    np.testing.assert_array_equal(scores(vectors, classes), np.zeros((3, 3)))
    even = np.full(3, 1 / 3, dtype)
    np.testing.assert_array_equal(contributions(zero, even, some, even, form), np.zeros((3, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_crops_that_cancel_out_give_zeros_not_nan(dtype):
    crops = np.array([[1, 0], [-1, 0]], dtype)
    half = np.array([0.5, 0.5], dtype)
    np.testing.assert_array_equal(pool(half, crops), [0, 0])
    terms = contributions(crops, half, crops[:1], np.ones(1, dtype))
    np.testing.assert_array_equal(terms, [[0], [0]])


def reference_unit(vectors: np.ndarray) -> np.ndarray:
    """In extended precision, after a first scaling that no range can break."""
    wide = vectors.astype(np.longdouble)
    largest = np.abs(wide).max(axis=-1, keepdims=True)
    wide = wide / np.where(largest > 0, largest, 1)
    norms = np.sqrt((wide * wide).sum(axis=-1, keepdims=True))
    return (wide / np.where(norms > 0, norms, 1)).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_unit_takes_components_of_any_size(dtype, data):
    powers = st.floats(-30, 30) if dtype is np.float32 else st.floats(-300, 300)
    component = st.one_of(
        st.just(0.0),
        st.builds(lambda power, sign: sign * 10**power, powers, st.sampled_from([1, -1])),
    )
    rows = data.draw(st.lists(st.lists(component, min_size=5, max_size=5), min_size=1, max_size=4))
    vectors = np.array(rows, dtype)
    result = unit(vectors)
    assert result.dtype == dtype
    np.testing.assert_allclose(
        result, reference_unit(vectors), rtol=0, atol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["smallest_subnormal", "smallest_normal", "half of max"])
def test_unit_at_the_ends_of_the_range(dtype, name):
    info = np.finfo(dtype)
    value = info.max / 2 if name == "half of max" else getattr(info, name)
    vectors = np.array([[value, 0, 0], [value, -value, 0], [0, value, value]], dtype)
    expected = [[1, 0, 0], [0.5**0.5, -(0.5**0.5), 0], [0, 0.5**0.5, 0.5**0.5]]
    np.testing.assert_allclose(unit(vectors), expected, rtol=0, atol=4 * info.eps)


@pytest.mark.parametrize("dtype", DTYPES)
@given(power=st.integers(-30, 30), seed=st.integers(0, 2**32 - 1))
def test_unit_ignores_the_length(dtype, power, seed):
    vectors = np.random.default_rng(seed).standard_normal((3, 7)).astype(dtype)
    tolerance = 4 * np.finfo(dtype).eps
    scaled = unit(vectors * dtype(10.0**power))
    np.testing.assert_allclose(scaled, unit(vectors), rtol=0, atol=tolerance)
    np.testing.assert_allclose(unit(unit(vectors)), unit(vectors), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arguments_are_left_alone(dtype):
    problem = Problem(dtype, 8, 4, 3, 50.0, 7.0, seed=1)
    arrays = [problem.image, problem.crops, problem.label, problem.descriptions]
    for array in arrays:
        array.flags.writeable = False  # so that writing to one would raise
    unit(problem.crops)
    for form in FORMS:
        problem.score(form)
        contributions(problem.crops, problem.w, problem.descriptions, problem.v, form)


# ------------------------------------------------------------------------------------- bad calls

E3 = np.eye(3, dtype=np.float32)
E4 = np.eye(4, dtype=np.float32)
THIRD = np.full(3, 1 / 3, np.float32)
NAN = np.full((3, 3), np.nan, np.float32)
INFINITE = np.full((3, 3), np.inf, np.float32)
EMPTY = np.empty((0, 3), np.float32)


def classes_at(offsets):
    return lambda: class_vectors(E3, E3, offsets, scale=1.0)


BAD_CALLS = {
    # wrong dimension
    "weights D": (lambda: crop_weights(E3[0], E4, 1.0), "embedding dimension D"),
    "description weights D": (lambda: description_weights(E4[0], E3, 1.0), "'descriptions'"),
    "matrix D": (lambda: similarity_matrix(E3, E4), r"\(3, 3\) and \(4, 4\)"),
    "scores D": (lambda: scores(E3, E4), "one encoder"),
    "class D": (lambda: class_vectors(E3, E4, [0, 1, 2, 4], scale=1.0), "'labels'"),
    "contributions D": (
        lambda: contributions(E3, THIRD, E4, np.full(4, 0.25, np.float32)),
        "embedding dimension D",
    ),
    # wrong number of axes
    "crops flat": (lambda: crop_weights(E3[0], E3[0], 1.0), r"'crops' of shape \(\.\.\., N, D\)"),
    "image scalar": (lambda: unit(np.float32(1)), "'vectors'"),
    "classes flat": (lambda: scores(E3, E3[0]), "'classes'"),
    "labels flat": (lambda: class_vectors(E3[0], E3, [0, 3], scale=1.0), "'labels'"),
    "other leading axes": (lambda: crop_weights(E3, E3, 1.0), "same leading axes"),
    "other batch": (lambda: crop_weights(E3[:2], np.stack([E3] * 3), 1.0), "same leading axes"),
    "weights of another length": (lambda: pool(THIRD, E4), "one weight for each vector"),
    "crop weights of another length": (
        lambda: contributions(E3, THIRD[:2], E3, THIRD),
        "'crop_weights'",
    ),
    "description weights of another length": (
        lambda: contributions(E3, THIRD, E3, THIRD[:2]),
        "'description_weights'",
    ),
    # wrong type
    "integers": (lambda: unit(np.eye(3, dtype=int)), "vectors: int64"),
    "half precision": (lambda: unit(E3.astype(np.float16)), "float16"),
    "complex": (lambda: unit(E3.astype(complex)), "complex128"),
    "booleans": (lambda: unit(E3 > 0), "bool"),
    "objects": (lambda: unit(E3.astype(object)), "object"),
    "mixed dtypes": (
        lambda: crop_weights(E3[0], E3.astype(np.float64), 1.0),
        "image: float32, crops: float64",
    ),
    "mixed weights": (lambda: pool(THIRD.astype(np.float64), E3), "weights: float64"),
    "list": (lambda: unit([[1.0, 2.0]]), "vectors: list"),
    "list beside array": (lambda: scores(E3.tolist(), E3), "numpy.asarray"),
    "nothing": (lambda: unit(None), "NoneType"),
    "text": (lambda: unit("cat"), "vectors: str"),
    # not finite
    "nan": (lambda: unit(NAN), "NaN"),
    "nan image": (lambda: crop_weights(NAN[0], E3, 1.0), "'image'"),
    "nan crops": (lambda: crop_weights(E3[0], NAN, 1.0), "'crops'"),
    "nan weights": (lambda: pool(NAN[0], E3), "'weights'"),
    "nan classes": (lambda: scores(E3, NAN), "'classes'"),
    "infinite": (lambda: unit(INFINITE), "infinity"),
    "infinite terms": (lambda: contributions(E3, THIRD, INFINITE, THIRD), "'descriptions'"),
    # empty
    "no crops": (lambda: crop_weights(E3[0], EMPTY, 1.0), "no empty axis"),
    "no descriptions": (lambda: description_weights(E3[0], EMPTY, 1.0), "no empty axis"),
    "no classes": (lambda: scores(E3, EMPTY), "no empty axis"),
    "no class vectors": (lambda: class_vectors(EMPTY, E3, [0], scale=1.0), "'labels'"),
    "no images": (lambda: scores(EMPTY, E3), "'images'"),
    "no dimension": (lambda: unit(np.empty((3, 0), np.float32)), r"\(3, 0\)"),
    # settings
    "form of pool": (lambda: pool(THIRD, E3, "mean"), "'mean'; choose one of sum, prototype"),
    "form of image": (lambda: image_vectors(E3[0], E3, scale=1.0, form="Sum"), "sum, prototype"),
    "form of class": (
        lambda: class_vectors(E3, E3, [0, 1, 2, 3], scale=1.0, form=""),
        "unknown score form",
    ),
    "form of terms": (lambda: contributions(E3, THIRD, E3, THIRD, None), "unknown score form"),
    "scale nan": (lambda: crop_weights(E3[0], E3, float("nan")), "finite scale; got nan"),
    "scale infinite": (lambda: crop_weights(E3[0], E3, float("inf")), "finite scale; got inf"),
    "scale -infinite": (lambda: description_weights(E3[0], E3, -np.inf), "finite scale"),
    "scale of class": (
        lambda: class_vectors(E3, E3, [0, 1, 2, 3], scale=float("nan")),
        "finite scale",
    ),
    # offsets
    "offsets short": (classes_at([0, 1, 3]), "4 rising integers from 0 to 3.*length 3"),
    "offsets long": (classes_at([0, 1, 2, 3, 3]), "length 5"),
    "offsets none": (classes_at([]), "length 0"),
    "offsets start": (classes_at([1, 2, 3, 3]), "from 0"),
    "offsets negative": (classes_at([-1, 1, 2, 3]), "from 0"),
    "offsets end early": (classes_at([0, 1, 2, 2]), "to 3"),
    "offsets end late": (classes_at([0, 1, 2, 4]), "to 3"),
    "offsets empty class": (classes_at([0, 0, 2, 3]), "no class without a description"),
    "offsets falling": (classes_at([0, 2, 1, 3]), "rising"),
    "offsets many": (classes_at(range(20)), r"\.\.\. of length 20"),
}


@pytest.mark.parametrize(("call", "words"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_say_what_was_wrong(call, words):
    with pytest.raises(AlignmentError, match=words) as caught:
        call()
    assert isinstance(caught.value, CrossalignError)
    assert isinstance(caught.value, ValueError)


# --------------------------------------------------------------------------------------- PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def every_result(unit_in, image, crops, label, descriptions) -> list:
    """One result of every function of the module."""
    results = [unit(unit_in), similarity_matrix(crops, descriptions)]
    w = crop_weights(image, crops, PUBLISHED_CROP_SCALE)
    v = description_weights(label, descriptions, PUBLISHED_DESCRIPTION_SCALE)
    results += [w, v]
    for form in FORMS:
        vector = image_vectors(image, crops, scale=PUBLISHED_CROP_SCALE, form=form)
        classes = class_vectors(
            label[None, :],
            descriptions,
            [0, descriptions.shape[0]],
            scale=PUBLISHED_DESCRIPTION_SCALE,
            form=form,
        )
        results += [vector, classes, scores(vector, classes), scores(vector[None, :], classes)]
        results += [pool(v, descriptions, form), contributions(crops, w, descriptions, v, form)]
    return results


def torch_case(dtype):
    problem = Problem(dtype, 32, 9, 5, 0.0, 0.0, seed=5)
    wild = np.array([[1e30, 1e-30, -1e30], [1e-30, 2e-30, 0], [0, 0, 0], [3, 4, 0]], dtype)
    return wild, problem.image, problem.crops, problem.label, problem.descriptions


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_equals_numpy(torch, dtype):
    arrays = torch_case(dtype)
    ours = every_result(*arrays)
    theirs = every_result(*(torch.from_numpy(array) for array in arrays))
    for expected, result in zip(ours, theirs, strict=True):
        assert isinstance(result, torch.Tensor)
        assert result.dtype == getattr(torch, np.dtype(dtype).name)
        assert tuple(result.shape) == expected.shape
        np.testing.assert_allclose(
            result.numpy(), expected, rtol=0, atol=GOLDEN_TOLERANCE[np.dtype(dtype)]
        )


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_torch_equals_the_published_code(torch, shared, name):
    golden = Golden(shared / "golden" / f"{name}.npz")
    for side in ("images", "crops", "descriptions", "labels"):
        setattr(golden, side, torch.from_numpy(np.ascontiguousarray(getattr(golden, side))))
    offsets = torch.from_numpy(golden.expected["text_offsets"])
    classes = class_vectors(
        golden.labels, golden.descriptions, offsets, scale=PUBLISHED_DESCRIPTION_SCALE
    )
    for run, chosen in enumerate(golden.expected["crop_indices"]):
        crops = golden.crops[:, torch.from_numpy(chosen)]
        vectors = image_vectors(golden.images, crops, scale=PUBLISHED_CROP_SCALE)
        np.testing.assert_allclose(
            scores(vectors, classes).numpy(),
            golden.expected["logits_wca"][run],
            rtol=0,
            atol=golden.tolerance,
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_gradients_flow_and_are_finite(torch, dtype):
    tensors = [torch.from_numpy(array).requires_grad_() for array in torch_case(dtype)]
    tensors[0] = torch.ones((2, 3), dtype=tensors[1].dtype, requires_grad=True)
    sum(result.sum() for result in every_result(*tensors)).backward()
    for tensor in tensors:
        assert tensor.grad is not None
        assert bool(torch.isfinite(tensor.grad).all())


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_without_gradients(torch, dtype):
    with torch.inference_mode():
        results = every_result(*(torch.from_numpy(array) for array in torch_case(dtype)))
    assert not any(result.requires_grad for result in results)


@pytest.mark.parametrize("scale", [1e38, -1e38, 1e300])
def test_torch_huge_scales_and_zero_vectors(torch, scale):
    eye = torch.eye(3)
    assert crop_weights(eye[0], eye, abs(scale)).tolist() == [1, 0, 0]
    assert bool(torch.isfinite(crop_weights(eye[0], eye, scale)).all())
    zero = torch.zeros((3, 3))
    assert image_vectors(zero[0], zero, scale=scale).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda torch: crop_weights(torch.eye(3)[0], E3, 1.0), "all of one kind"),
        (lambda torch: unit(torch.eye(3).half()), "float16"),
        (lambda torch: unit(torch.eye(3, dtype=torch.int64)), "int64"),
        (lambda torch: scores(torch.eye(3), torch.eye(3).double()), "float64"),
        (lambda torch: unit(torch.eye(3) / 0), "NaN or infinity"),
        (lambda torch: scores(torch.eye(3), torch.eye(4)), "embedding dimension D"),
        (lambda torch: unit(torch.empty((0, 3))), "no empty axis"),
    ],
    ids=["mixed with NumPy", "half", "integers", "mixed dtypes", "not finite", "D", "empty"],
)
def test_torch_bad_calls(torch, make, words):
    with pytest.raises(AlignmentError, match=words):
        make(torch)


# ----------------------------------------------------------------- at the edges of what is finite


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unit_takes_the_largest_and_the_smallest_numbers(dtype: Any) -> None:
    info = np.finfo(dtype)
    for size in (info.max, np.nextafter(info.max, dtype(0)), info.tiny, info.smallest_subnormal):
        vectors = alignment.unit(np.array([[size, 0], [size, size], [-size, size]], dtype))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda e: alignment.similarity_matrix(np.stack([e, e]), np.stack([e, e, e])), "leading"),
        (lambda e: alignment.class_vectors(e[:1], e, [0, 2.5], scale=0), "whole numbers"),
        (lambda e: alignment.class_vectors(e[:1], e, None, scale=0), "whole numbers"),
        (lambda e: alignment.crop_weights(e[0], e, "sharp"), "finite scale"),
        (lambda e: alignment.crop_weights(e[0], e, 10**400), "finite scale"),
        (lambda e: alignment.crop_weights(0.5, e, 1.0), "NumPy arrays"),
    ],
)
def test_more_bad_calls(call: Any, word: str) -> None:
    with pytest.raises(AlignmentError, match=word):
        call(alignment.unit(np.eye(3)))
