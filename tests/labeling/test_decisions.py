"""From scores to a label, none of these, several labels or no decision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from crossalign import Classifier, load_encoder
from crossalign.alignment.calibration import calibrate
from crossalign.errors import CalibrationError, LabelingError
from crossalign.labeling import BACKGROUND, NONE_OF_THESE, UNDECIDED, Decisions
from crossalign.labeling.decisions import ABSTENTIONS, NO_LABEL, load_background, scoring_settings
from crossalign.labeling.image_scores import ImageScores
from crossalign.predictions import EncodedImage, Prediction


def prediction(*scores: float, beside: tuple[float, ...] = ()) -> Prediction:
    names = tuple("abcdefgh"[: len(scores)])
    values = np.array(scores, np.float32)
    best = int(values.argmax())
    return Prediction(
        *("p", names, names[best], float(values[best]), values),
        background=np.array(beside, np.float32) if beside else None,
        _evidence=EncodedImage(None, (4, 3), b"\1" * 16, np.zeros((1, 4), np.int64), None),
    )


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, 3)) * 0.1
    labels = np.array([rng.choice(3, p=np.exp(r * 20) / np.exp(r * 20).sum()) for r in scores])
    return calibrate(scores, labels, precision=0.8, settings={"encoder": "e"})


def test_the_best_class_is_decided_by_default():
    row = Decisions().row("x.png", prediction(0.1, 0.4, 0.3))
    assert (row.label, row.decision, row.score) == ("b", "b", 0.4)
    assert (row.runner_up, row.margin) == ("c", pytest.approx(0.1))
    assert (row.path, row.width, row.height, row.content_hash) == ("x.png", 4, 3, "01" * 16)
    assert row.confidence is row.top is row.error is None


def test_equal_scores_keep_class_order_and_one_class_has_no_runner_up():
    row = Decisions(top=3).row("x", prediction(0.25, 0.25))
    assert (row.label, row.runner_up, row.margin) == ("a", "b", 0.0)
    assert row.top == [["a", 0.25], ["b", 0.25]]
    row = Decisions().row("x", prediction(0.25))
    assert (row.decision, row.runner_up, row.margin) == ("a", None, None)


@pytest.mark.parametrize(
    ("options", "scores", "beside", "expected"),
    [
        ({"threshold": 0.4}, (0.1, 0.4), (), "b"),
        ({"threshold": 0.41}, (0.1, 0.4), (), UNDECIDED),
        ({"none_of_these": True}, (0.1, 0.4), (0.3,), "b"),
        ({"none_of_these": True}, (0.1, 0.4), (0.2, 0.5), NONE_OF_THESE),
        ({"none_of_these": True, "threshold": 0.5}, (0.1, 0.4), (0.3,), NONE_OF_THESE),
        ({"multi_label": True, "threshold": 0.2}, (0.3, 0.1, 0.4), (), ["c", "a"]),
        ({"multi_label": True, "threshold": 0.9}, (0.3, 0.1, 0.4), (), []),
        (
            {"multi_label": True, "threshold": 0.2, "none_of_these": True},
            *((0.3, 0.1, 0.4), (0.9,), []),
        ),
    ],
)
def test_decisions(options, scores, beside, expected):
    decisions = Decisions(background=BACKGROUND[: len(beside)], **options)
    row = decisions.row("x", prediction(*scores, beside=beside))
    assert row.decision == expected
    assert row.label == "abc"[int(np.argmax(scores))], "the background is never a label"
    assert row.runner_up in "abc"


@pytest.mark.parametrize(
    ("options", "scores", "beside", "expected"),
    [
        ({}, (0.1, 0.4), (), [("b", 0.3)]),
        ({}, (0.4,), (), [("a", 0.4)]),
        ({"threshold": 0.7}, (0.1, 0.7), (), [("b", 0.6)]),
        ({"threshold": 0.9}, (0.1, 0.7), (), [(UNDECIDED, 0.2)]),
        ({"none_of_these": True}, (0.1, 0.4), (0.2, 0.5), [(NONE_OF_THESE, 0.1)]),
        ({"none_of_these": True, "threshold": 0.7}, (0.1, 0.4), (0.5,), [(NONE_OF_THESE, 0.3)]),
        ({"none_of_these": True, "threshold": 0.45}, (0.1, 0.4), (0.5,), [(NONE_OF_THESE, 0.1)]),
        ({"multi_label": True, "threshold": 0.1}, (0.3, 0.1, 0.4), (),
         [("c", 0.3), ("a", 0.2), ("b", 0.0)]),
        ({"multi_label": True, "threshold": 0.7}, (0.3, 0.1, 0.4), (), [(NO_LABEL, 0.3)]),
    ],
)  # fmt: skip
def test_how_far_an_image_was_from_another_decision(options, scores, beside, expected):
    decisions = Decisions(background=BACKGROUND[: len(beside)], **options)
    found = prediction(*scores, beside=beside)
    decided = decisions.decide(ImageScores.of("x", "x", found), found.classes)
    assert [(name, pytest.approx(sure, abs=1e-6)) for name, sure in decided.labels] == expected
    assert decided.row == decisions.row("x", found)


def test_an_image_that_failed_was_given_nothing():
    decided = Decisions().decide(ImageScores("x", "x", error="broken"), ("a", "b"))
    assert (decided.row.error, decided.row.decision, decided.labels) == ("broken", None, ())


def test_confidence_comes_from_a_calibration_alone(calibration):
    decisions = Decisions(calibration=calibration)
    scores = (0.1, 0.4, 0.3)
    row = decisions.row("x", prediction(*scores))
    assert row.confidence == pytest.approx(calibration.confidences(scores)[1], abs=1e-5)
    assert decisions.least == calibration.threshold.confidence
    unsure = decisions.row("x", prediction(0.30, 0.30, 0.30))
    assert unsure.decision == UNDECIDED
    strict = Decisions(calibration=calibration, threshold=0.999)
    assert strict.row("x", prediction(*scores)).decision == UNDECIDED
    beside = Decisions(calibration=calibration, none_of_these=True, background=("x",))
    with_background = beside.row("x", prediction(*scores, beside=(0.2,)))
    assert with_background.confidence == row.confidence, "the background takes no part in it"


def test_thresholds_and_what_they_are_compared_with_are_rounded_alike(calibration):
    """A confidence that is shown as the threshold reaches it, whatever follows the sixth digit."""
    shown = Decisions(calibration=calibration, threshold=0).row("x", prediction(0.1, 0.2, 0.12))
    for threshold, decision in (
        (shown.confidence + 4e-7, "b"),
        (shown.confidence - 4e-7, "b"),
        (shown.confidence + 1e-6, UNDECIDED),
    ):
        decisions = Decisions(calibration=calibration, threshold=threshold)
        assert decisions.row("x", prediction(0.1, 0.2, 0.12)).decision == decision
    several = Decisions(multi_label=True, threshold=0.2 + 4e-7)
    assert several.row("x", prediction(0.1, 0.2, 0.3)).decision == ["c", "b"]


def test_a_wish_that_nothing_reaches_is_no_wish_for_everything(calibration):
    missed = dataclasses.replace(calibration, precision=0.99, threshold=None)
    with pytest.raises(CalibrationError, match=r"0\.99 .* or choose a --threshold"):
        Decisions(calibration=missed)
    Decisions(calibration=missed, threshold=0)
    Decisions(calibration=dataclasses.replace(calibration, precision=None, threshold=None))


def test_contradictions(calibration):
    with pytest.raises(LabelingError, match="need a threshold"):
        Decisions(multi_label=True)
    with pytest.raises(LabelingError, match="one label an image"):
        Decisions(multi_label=True, threshold=0.5, calibration=calibration)
    for top in (-1, 1.5, True):
        with pytest.raises(LabelingError, match="top as a whole number from 0 up"):
            Decisions(top=top)
    for name in ABSTENTIONS:
        with pytest.raises(LabelingError, match=f"cannot be called '{name}'"):
            Decisions().background_for([name])


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -float("inf"), 5, 1.01, -1.5])
def test_thresholds_that_nothing_reaches_or_everything(threshold, calibration):
    with pytest.raises(LabelingError, match=r"a threshold on the score, from -1 to 1; got"):
        Decisions(threshold=threshold)
    with pytest.raises(LabelingError, match=r"a threshold on the confidence, from 0 to 1; got"):
        Decisions(threshold=threshold, calibration=calibration)
    Decisions(threshold=-0.1)
    with pytest.raises(LabelingError, match="on the confidence"):
        Decisions(threshold=-0.1, calibration=calibration)


@pytest.fixture(scope="module")
def builtin():
    return load_encoder("builtin")


NAMED = ["pug", "flux capacitor", "keeshond"]  # the bank knows two of the three
DESCRIBED = {"pug": ["A pug's flat face.", "A pug's tail."], "owl": ["An owl's round face."]}


@pytest.mark.parametrize("classes", [NAMED, NAMED[::2], DESCRIBED], ids=["mixed", "bank", "file"])
@pytest.mark.parametrize("method", ["clip", "cupl", "wca", "lgca"])
def test_a_background_changes_nothing_about_the_classes(classes, method, shared, builtin):
    """Texts, scores and what a calibration compares are those without it, to the last bit."""
    photos = sorted((shared / "data" / "pets37").glob("*/*.jpg"))[::60]
    decisions = Decisions(none_of_these=True)
    options = {"method": method, "encoder": builtin}
    if method not in ("clip", "cupl"):
        options["crops"] = 3
    alone = Classifier(classes, **options)
    beside = Classifier(classes, background=decisions.background_for(classes), **options)
    assert beside.background == BACKGROUND
    for name in ("classes", "texts", "undescribed", "descriptions"):
        assert getattr(beside, name) == getattr(alone, name), name
    assert repr(beside) == repr(alone)
    assert scoring_settings(beside) == scoring_settings(alone)
    texts = builtin.encode_texts(BACKGROUND)
    for one, other in zip(alone.predict(photos), beside.predict(photos), strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.background is None
        assert other.background.shape == (len(BACKGROUND),)
        if method == "cupl":
            whole = other.with_evidence().embedding
            np.testing.assert_allclose(other.background, texts @ whole, atol=1e-5)
        rows = (Decisions(top=2).row("x", one), Decisions(top=2).row("x", other))
        assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("a plant", ["a plant"]),
        ("plants", ["a plant"]),
        ("potted_plant", ["a plant"]),
        ("Animal", ["an animal"]),
        ("person", ["a group of people"]),
        ("house", ["a street with houses"]),
        ("pant", []),
        ("mal", []),
    ],
)
def test_background_texts_that_name_a_class_are_left_out(name, left_out):
    texts = Decisions(none_of_these=True).background_for(["pug", name])
    assert [text for text in BACKGROUND if text not in texts] == left_out
    assert Decisions().background_for(["pug", name]) == ()


def test_a_background_of_nothing_but_classes_is_refused():
    with pytest.raises(LabelingError, match="every background text names one of the classes"):
        Decisions(none_of_these=True, background=("a dog",)).background_for(["dog"])
    left = Decisions(none_of_these=True, background=("a dog",), threshold=0.1)
    assert left.background_for(["dog"]) == ()


def test_a_classifier_without_the_background_is_refused(make_encoder):
    decisions = Decisions(none_of_these=True)
    with pytest.raises(LabelingError, match=r"background=decisions\.background_for"):
        decisions.check(Classifier(["red"], encoder=make_encoder()))
    wanted = decisions.background_for(["red"])
    decisions.check(Classifier(["red"], encoder=make_encoder(), background=wanted))
    Decisions().check(Classifier(["red"], encoder=make_encoder(), background=wanted))


def test_a_calibration_of_other_scores_is_refused(make_encoder, calibration):
    with pytest.raises(CalibrationError, match=r"other settings \(encoder\)"):
        Decisions(calibration=calibration).check(Classifier(["a", "b"], encoder=make_encoder()))


def test_background_texts_from_a_file(tmp_path):
    path = tmp_path / "background.txt"
    path.write_text("# else\na sofa\n\na bowl of soup\n")
    assert load_background(path) == ("a sofa", "a bowl of soup")
    with pytest.raises(LabelingError, match=r"got the ending '\.json'"):
        load_background(tmp_path / "b.json")
    with pytest.raises(LabelingError, match="there is none"):
        load_background(tmp_path / "none.txt")


def test_settings_name_what_scores_depend_on(make_encoder):
    def settings(classes=("a", "b"), **options):
        return scoring_settings(Classifier(classes, encoder=make_encoder(), **options))

    base = settings()
    for change in (
        {"classes": ("a", "c")},
        {"crops": 7},
        {"seed": 3},
        {"method": "clip"},
        {"draft": True},
        {"classes": {"a": ["x"], "b": ["y"]}},
    ):
        assert settings(**change) != base, change
    for same in ({}, {"batch_size": 7}, {"workers": 1}):
        assert settings(**same) == base, same
    assert settings(background=["c"]) == base, "a calibration fits both"
    with pytest.raises(CalibrationError, match=r"other settings \(class list, descriptions\)"):
        calibrate(
            np.random.default_rng(0).normal(size=(30, 2)), np.zeros(30, int), settings=base
        ).check_settings(settings(("a", "c")))


@pytest.mark.slow
def test_none_of_these_keeps_pets_apart_from_groceries(shared):
    """Half of what is no pet is found out at the price of few pets, with the built-in model."""
    data = shared / "data"
    lines = (data / "pets37" / "classes.csv").read_text().splitlines()[1:]
    decisions = Decisions(none_of_these=True)
    wanted = [line.split(",")[1] for line in lines]
    background = decisions.background_for(wanted)
    classifier = Classifier(wanted, method="cupl", background=background)

    def share_of_none(name: str) -> float:
        photos = sorted((data / name).glob("*/*.jpg"))[::6]
        rows = [decisions.row("x", one) for one in classifier.predict(photos)]
        return np.mean([row.decision == NONE_OF_THESE for row in rows])

    pets, groceries = share_of_none("pets37"), share_of_none("grocery43")
    assert pets < 0.1
    assert groceries > 0.5
