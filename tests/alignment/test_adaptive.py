"""The rule keeps its promise, whatever the boxes, the weights and the classes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign import alignment
from crossalign.alignment import adaptive
from crossalign.alignment.adaptive import (
    Adaptive,
    SequentialTest,
    Trial,
    _overtaken,
    order_crops,
)
from crossalign.alignment.crop_process import normal_draws
from crossalign.encoders import load_encoder
from crossalign.errors import AlignmentError, CrossalignError, MethodError
from crossalign.images.crops import CropSpec, boxes, shown
from crossalign.images.examples import photo_folder

SHARP = alignment.PUBLISHED_CROP_SCALE
SIZE = (640, 480)


def layout(count: int, seed: int = 0, size: tuple[int, int] = SIZE, side=(0.5, 0.9)) -> np.ndarray:
    return boxes(CropSpec(count, side, seed), size)


def draw(rng: np.random.Generator, order, dim: int = 16, roughness: float = 0.2):
    """A whole image and crops, in the given order of boxes, that differ from it as planned."""
    image = alignment.unit(rng.normal(size=dim))
    differences = order.factor @ rng.normal(size=(len(order.indices), dim)) * roughness / dim**0.5
    along = (0.5 * order.apart + differences @ image)[:, None] * image
    crops = np.empty_like(differences)
    crops[order.indices] = image + differences - 2 * along + (differences @ image)[:, None] * image
    return image, alignment.unit(crops)


def finish(trial: Trial, crops: np.ndarray) -> Trial:
    while not trial.settled:
        trial.add(crops[trial.wanted])
    return trial


def answer(image: np.ndarray, crops: np.ndarray, classes: np.ndarray, scale: float) -> np.ndarray:
    return alignment.scores(alignment.image_vectors(image, crops, scale=scale), classes)


# ------------------------------------------------------------------------------------- the promise


@pytest.mark.parametrize("scale", [0.0, 20.0, SHARP])
@pytest.mark.parametrize("classes", [2, 12])
def test_the_answer_differs_from_the_full_one_no_more_often_than_stated(scale, classes):
    """600 simulated images of hard decisions; a share of 0.05 strays by 0.009 (one sigma)."""
    rng = np.random.default_rng(classes)
    orders = [order_crops(layout(40, seed), shown(SIZE), scale) for seed in range(6)]
    taken, stated, changed = [], [], []
    for number in range(600):
        order = orders[number % len(orders)]
        image, crops = draw(rng, order)
        # Classes near one another and about as near to the image: many decisions are close.
        vectors = alignment.unit(image + rng.normal(size=(classes, 16)) * 0.4)
        contest = SequentialTest(vectors, scale, Adaptive(risk=0.05, maximum=40))
        trial = finish(contest.start(image, order), crops)
        taken.append(trial.taken)
        stated.append(trial.risk)
        changed.append(trial.leader != answer(image, crops, vectors, scale).argmax())
    assert np.mean(taken) < 20
    assert max(stated) <= 0.05
    assert np.mean(changed) <= np.mean(stated) + 3 * math.sqrt(0.05 * 0.95 / len(changed))
    assert np.mean(changed) <= 0.05


@pytest.mark.parametrize("scale", [0.0, SHARP])
def test_stated_risks_are_neither_far_too_small_nor_idle(scale):
    """Along whole runs: of decisions with a stated risk about p, at most about p change."""
    rng = np.random.default_rng(1)
    order = order_crops(layout(40), shown(SIZE), scale)
    pairs = []
    for _ in range(300):
        image, crops = draw(rng, order)
        vectors = alignment.unit(image + rng.normal(size=(6, 16)) * 0.4)
        trial = SequentialTest(vectors, scale, Adaptive(risk=1e-9, maximum=40)).start(image, order)
        full = answer(image, crops, vectors, scale).argmax()
        while not trial.settled:
            trial.add(crops[trial.wanted])
            pairs.append((trial.risk, trial.leader != full))
    stated, changed = np.array(pairs, float).T
    for low, high in [(0.0, 0.1), (0.1, 0.4), (0.4, 1.0)]:
        inside = (stated >= low) & (stated <= high)
        assert inside.sum() > 50
        assert changed[inside].mean() <= 1.5 * stated[inside].mean() + 0.02
    assert changed[stated > 0.3].mean() > 0.03


@pytest.mark.parametrize("scale", [0.0, 20.0, SHARP])
@pytest.mark.parametrize("place", [7, 30, 59])
def test_one_crop_that_decides_is_waited_for(scale, place):
    """59 crops are alike and narrowly for one class; one, the rival's own vector, is against it."""
    order = order_crops(layout(60), shown(SIZE), scale)
    image = alignment.unit(np.array([1.0, 1.0, 1.0]))
    lead = 0.9 * math.exp(scale * (image[1] - 1)) / 59  # of a crop, where the one has a margin of 1
    crops = np.tile(alignment.unit(image + np.array([lead / 2, -lead / 2, 0.0])), (60, 1))
    crops[order.indices[place]] = np.eye(3)[1]
    classes = np.eye(3)[:2]
    trial = finish(SequentialTest(classes, scale).start(image, order), crops)
    assert answer(image, crops, classes, scale).argmax() == trial.leader == 1


def test_one_crop_that_cannot_decide_is_not_waited_for():
    order = order_crops(layout(60), shown(SIZE), 0.0)
    image = alignment.unit(np.array([2.0, 1.0, 1.0]))
    trial = SequentialTest(np.eye(3), 0.0).start(image, order)
    assert finish(trial, np.tile(image, (60, 1))).taken < 10


def test_real_photos_are_settled_early_and_alike():
    """The demo's photos, the built-in model, 30 crops: the full answer from a part of them."""
    encoder = load_encoder("builtin")
    names = ["cat", "coffee", "rocket", "motorcycle", "astronaut", "page of text", "galaxies"]
    classes = encoder.encode_texts([f"a photo of a {name}." for name in names])
    contest = SequentialTest(classes, SHARP, Adaptive(maximum=30))
    taken = 0
    for file in ("chelsea.png", "coffee.png", "rocket.jpg"):
        image = Image.open(photo_folder() / file).convert("RGB")
        rows = layout(30, size=image.size)
        views = encoder.encode_images(encoder.preprocess.views(image, rows))
        order = order_crops(rows, shown(image.size), SHARP)
        trial = finish(contest.start(views[0], order), views[1:])
        assert trial.leader == answer(views[0], views[1:], classes, SHARP).argmax()
        taken += trial.taken
    assert taken < 45


# ---------------------------------------------------------------------------- what always holds

scales = st.sampled_from([0.0, 1.0, SHARP, 1e4, 1e30, -1.0, -SHARP, -1e30])


@st.composite
def cases(draw_):
    count = draw_(st.integers(1, 24))
    size = draw_(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    side = draw_(st.sampled_from([(0.5, 0.9), (0.1, 0.9), (1.0, 1.0), (1e-3, 1e-3)]))
    rows = layout(count, draw_(st.integers(0, 9)), size, side)
    rng = np.random.default_rng(draw_(st.integers(0, 2**32)))
    dtype = draw_(st.sampled_from([np.float32, np.float64]))
    dim, classes = draw_(st.integers(2, 6)), draw_(st.integers(1, 5))
    kind = draw_(st.sampled_from(["noise", "alike", "opposed"]))
    image = alignment.unit(rng.normal(size=dim))
    noise = {"noise": 1.0, "alike": 0.0, "opposed": 0.1}[kind]
    sign = -1.0 if kind == "opposed" else 1.0
    crops = alignment.unit(sign * image + noise * rng.normal(size=(count, dim)))
    vectors = alignment.unit(rng.normal(size=(classes, dim)))
    if draw_(st.booleans()):
        vectors[-1] = vectors[0]
    arrays = [array.astype(dtype) for array in (image, crops, vectors)]
    return rows, shown(size, draw_(st.sampled_from(["crop", "squash"]))), *arrays


@settings(max_examples=150)
@given(cases(), scales, st.sampled_from([1e-6, 0.01, 0.5]), st.integers(1, 6), st.integers(1, 9))
def test_any_image_is_settled_within_the_budget(case, scale, risk, minimum, step):
    rows, part, image, crops, classes = case
    order = order_crops(rows, part, scale)
    assert sorted(order.indices.tolist()) == list(range(len(rows)))
    contest = SequentialTest(classes, scale, Adaptive(risk, minimum, step, maximum=60))
    trial, seen = contest.start(image, order), []
    while not trial.settled:
        wanted = trial.wanted
        assert len(wanted) == min(minimum if not seen else step, len(rows) - len(seen))
        seen += wanted.tolist()
        trial.add(crops[wanted])
        assert 0.0 <= trial.risk <= 1.0
    assert seen == order.indices[: trial.taken].tolist()
    assert len(trial.wanted) == 0
    assert trial.risk <= risk or trial.taken == len(rows)
    if len(np.unique(classes, axis=0)) == 1:
        assert trial.taken == min(minimum, len(rows))


@settings(max_examples=100)
@given(cases(), scales)
def test_the_spent_budget_leaves_no_risk_and_the_full_answer(case, scale):
    rows, part, image, crops, classes = case
    order = order_crops(rows, part, scale)
    trial = SequentialTest(classes, scale).start(image, order)
    trial.add(crops[order.indices])
    assert trial.risk == 0.0
    assert trial.settled
    scores = answer(image, crops, classes, scale)
    # The leader by float64 sums; scores closer than rounding are a tie.
    assert scores[trial.leader] >= scores.max() - 20 * np.finfo(scores.dtype).eps


@settings(max_examples=50)
@given(cases(), scales, st.data())
def test_rounds_do_not_matter(case, scale, data):
    """Crops one by one, or in any portions: the same leader and risk."""
    rows, part, image, crops, classes = case
    order = order_crops(rows, part, scale)
    contest = SequentialTest(classes.astype(np.float64), scale)
    taken = data.draw(st.integers(1, len(rows)))
    one, other = (contest.start(image.astype(np.float64), order) for _ in range(2))
    given_ = crops[order.indices[:taken]].astype(np.float64)
    one.add(given_)
    while other.taken < taken:
        stop = data.draw(st.integers(other.taken + 1, taken))
        other.add(given_[other.taken : stop])
    np.testing.assert_allclose(one._total, other._total, rtol=1e-9, atol=1e-12)
    if one.leader == other.leader:
        assert other.risk == pytest.approx(one.risk, abs=1e-6)


def test_order_and_risk_are_the_same_every_time():
    rng = np.random.default_rng(0)
    rows = layout(30)
    first, again = (
        order_crops(rows, shown(SIZE), SHARP),
        order_crops(rows.copy(), shown(SIZE), SHARP),
    )
    np.testing.assert_array_equal(first.indices, again.indices)
    image, crops = draw(rng, first)
    classes = alignment.unit(image + 0.3 * rng.normal(size=(5, 16)))
    risks = []
    for order in (first, again):
        trial = SequentialTest(classes, SHARP).start(image, order)
        trial.add(crops[order.indices[:5]])
        risks.append(trial.risk)
    assert risks[0] == risks[1]


def test_heavy_crops_come_first_where_weights_are_sharp_and_spread_ones_where_they_are_flat():
    rows = layout(60)
    heavy, light, flat = (order_crops(rows, shown(SIZE), scale) for scale in (SHARP, -SHARP, 0.0))
    middle = np.median(flat.apart)
    assert heavy.apart[:6].max() < middle < light.apart[:6].min()
    centres, lengths = (rows[:, 0] + rows[:, 2]) / 2, rows[:, 2] - rows[:, 0]
    for values in (centres, lengths, flat.apart[np.argsort(flat.indices)]):
        assert np.ptp(values[flat.indices[:6]]) > 0.4 * np.ptp(values)


def test_equal_boxes_come_in_their_order():
    order = order_crops(np.repeat([(0, 0, 1, 1)], 7, axis=0), (0, 0, 1, 1), 0.0).indices
    np.testing.assert_array_equal(order, np.arange(7))


def test_crops_that_say_the_same_lower_the_risk():
    rng = np.random.default_rng(3)
    for scale in (0.0, SHARP):
        order = order_crops(layout(60), shown(SIZE), scale)
        image, crops = draw(rng, order, roughness=0.05)
        classes = alignment.unit(np.stack([image + 0.03 * rng.normal(size=16), image]))
        trial, risks = SequentialTest(classes, scale).start(image, order), []
        for index in order.indices[:-1]:
            trial.add(crops[[index]])
            risks.append(trial.risk)
        assert np.mean(risks[:3]) > 10 * np.mean(risks[-10:])


def test_a_close_rival_is_riskier_than_a_far_one():
    rng = np.random.default_rng(4)
    order = order_crops(layout(30), shown(SIZE), 0.0)
    image, crops = draw(rng, order, roughness=0.5)
    risks = []
    for distance in (2.0, 0.3, 0.02):
        rival = alignment.unit(image + distance * np.eye(16)[0])
        trial = SequentialTest(np.stack([image, rival]), 0.0).start(image, order)
        trial.add(crops[order.indices[:5]])
        risks.append(trial.risk)
    assert risks[0] < risks[1] < risks[2]


@given(st.integers(1, 6))
def test_classes_with_the_same_vector_cannot_overtake_one_another(copies):
    rng = np.random.default_rng(copies)
    order = order_crops(layout(20), shown(SIZE), SHARP)
    image, crops = draw(rng, order)
    contest = SequentialTest(np.repeat(image[None], copies, axis=0), SHARP)
    trial = finish(contest.start(image, order), crops)
    assert (trial.taken, trial.risk, trial.leader) == (4, 0.0, 0)


def test_budgets_up_to_the_minimum_are_spent():
    rows = layout(3)
    image = np.eye(4)[0]
    trial = SequentialTest(np.eye(4), SHARP).start(image, order_crops(rows, shown(SIZE), SHARP))
    np.testing.assert_array_equal(np.sort(trial.wanted), [0, 1, 2])
    trial.add(np.tile(image, (3, 1)))
    assert trial.settled
    assert trial.risk == 0.0


def test_before_the_first_crop_the_whole_image_leads_and_nothing_is_known():
    trial = SequentialTest(np.eye(3), 1.0).start(
        np.eye(3)[1], order_crops(layout(5), shown(SIZE), 1.0)
    )
    assert (trial.leader, trial.risk, trial.taken, trial.settled) == (1, 1.0, 0, False)


# ------------------------------------------------------------------------------- the distribution


@pytest.mark.parametrize(
    ("freedom", "exact", "within"),
    [
        (2, lambda t: 0.5 - t / (2 * math.sqrt(2 + t * t)), 0.01),
        (4, lambda t: 0.5 - (t / math.sqrt(4 + t * t)) * (0.5 + 1 / (4 + t * t)), 0.003),
        (10**6, lambda t: 0.5 * math.erfc(t / math.sqrt(2)), 1e-6),
    ],
)
@given(st.floats(-30, 30))
@example(0.0)
def test_the_chance_of_being_overtaken_is_students(freedom, exact, within, t):
    (found,) = _overtaken(np.array([t]), np.ones(1), float(freedom))
    assert found == pytest.approx(exact(t), abs=within)
    assert 0.0 <= found <= 1.0
    # The far tail is overrated rather than underrated.
    assert min(found, 1 - found) > 0.7 * exact(abs(t)) - 1e-6


def test_without_spread_the_sign_decides():
    found = _overtaken(np.array([1.0, 0.0, -1.0]), np.zeros(3), 5.0)
    np.testing.assert_array_equal(found, [0.0, 0.0, 1.0])


def test_draws_are_pinned_and_balanced():
    """Changed draws would change which crops are taken."""
    draws = normal_draws(60)
    assert draws.shape == (32, 60)
    np.testing.assert_array_equal(draws[:16], -draws[16:])
    assert draws.std() == pytest.approx(1.0, abs=0.1)
    assert not draws.flags.writeable
    np.testing.assert_allclose(draws[0, :3], normal_draws(60)[0, :3])


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "wrong",
    [
        {"risk": 0.0},
        {"risk": 1.0},
        {"risk": -0.1},
        {"risk": math.nan},
        {"risk": "0.1"},
        {"risk": True},
        {"minimum": 0},
        {"minimum": 2.5},
        {"step": 0},
        {"step": True},
        {"maximum": 501},
        {"minimum": 10, "maximum": 9},
    ],
)
def test_rules_are_checked(wrong):
    with pytest.raises(MethodError, match="expected") as caught:
        Adaptive(**wrong)
    assert isinstance(caught.value, CrossalignError)
    assert repr(wrong[list(wrong)[-1]]) in str(caught.value)


@pytest.mark.parametrize("maximum", [1, 3, 4, 60, 500])
def test_the_usual_rule_for_a_budget(maximum):
    rule = Adaptive.of(maximum)
    usual = Adaptive()
    assert (rule.maximum, rule.risk, rule.step) == (maximum, usual.risk, usual.step)
    assert rule.minimum == min(usual.minimum, maximum)
    assert Adaptive.of(maximum, 0.25).risk == 0.25
    assert Adaptive.of(usual.maximum) == usual


@pytest.mark.parametrize(("maximum", "risk"), [(0, None), (501, None), (1.5, None), (60, 0.0)])
def test_the_usual_rule_is_checked(maximum, risk):
    with pytest.raises(MethodError):
        Adaptive.of(maximum, risk)


def test_rules_are_values():
    assert Adaptive(risk=np.float32(0.25)) == Adaptive(0.25)
    assert hash(Adaptive()) == hash(Adaptive())
    assert dataclasses.replace(Adaptive(), step=np.int64(3)).step == 3


@pytest.mark.parametrize(
    ("rows", "part", "scale"),
    [
        ([], (0, 0, 1, 1), 1.0),
        ([(0, 0, 1)], (0, 0, 1, 1), 1.0),
        ([(0, 0, 0, 1)], (0, 0, 1, 1), 1.0),
        ([(0, 0, math.inf, 1)], (0, 0, 1, 1), 1.0),
        ([(0, 0, 1, 1)], (0, 0, math.inf, 1), 1.0),
        ([(0, 0, 1, 1)], (0, 0, 1), 1.0),
        ([(0, 0, 1, 1)], (1, 0, 1, 1), 1.0),
        ([(0, 0, 1, 1)] * 501, (0, 0, 1, 1), 1.0),
        ([(0, 0, 1, 1)], (0, 0, 1, 1), math.inf),
        ([(0, 0, 1, 1)], (0, 0, 1, 1), "sharp"),
    ],
)
def test_plans_are_checked(rows, part, scale):
    with pytest.raises(AlignmentError, match="expected"):
        order_crops(rows, part, scale)


def test_arrays_are_checked():
    order = order_crops(layout(5), shown(SIZE), 1.0)
    for classes in ([[1.0]], np.ones(3), np.ones((2, 3), int), np.full((2, 3), np.nan)):
        with pytest.raises(AlignmentError, match="classes"):
            SequentialTest(classes, 1.0)
    with pytest.raises(AlignmentError, match="scale"):
        SequentialTest(np.eye(3), math.nan)
    contest = SequentialTest(np.eye(3), 1.0)
    with pytest.raises(AlignmentError, match="image"):
        contest.start(np.ones(4), order)
    trial = contest.start(np.ones(3), order)
    for wrong in (np.ones(3), np.ones((1, 4)), np.empty((0, 3)), np.full((1, 3), np.inf)):
        with pytest.raises(AlignmentError, match="crops"):
            trial.add(wrong)
    assert trial.taken == 0
    with pytest.raises(AlignmentError, match="at most 5 more"):
        trial.add(np.ones((6, 3)))


@pytest.mark.parametrize(
    ("old", "new"),
    [("Contest", "SequentialTest"), ("Plan", "CropOrder"), ("plan", "order_crops")],
)
def test_names_of_the_last_release_still_work(old, new):
    with pytest.deprecated_call(match=f"adaptive.{old} is now {new}"):
        assert getattr(adaptive, old) is getattr(adaptive, new)
    with pytest.raises(AttributeError, match="no attribute 'Contests'"):
        adaptive.Contests  # noqa: B018
