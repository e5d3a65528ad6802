"""From scores to a label, none of these, several labels or no decision."""

from __future__ import annotations

import numpy as np
import pytest

from crossalign import Classifier, DescriptionSet
from crossalign.calibration import calibrate
from crossalign.errors import CalibrationError, LabelingError
from crossalign.labeling import BACKGROUND, NONE_OF_THESE, UNDECIDED, Decisions
from crossalign.labeling.decisions import scoring_settings
from crossalign.predictions import Evidence, Prediction


def prediction(*scores: float, beside: tuple[float, ...] = ()) -> Prediction:
    names = tuple("abcdefgh"[: len(scores)]) + BACKGROUND[: len(beside)]
    values = np.array([*scores, *beside], np.float32)
    best = int(values.argmax())
    evidence = Evidence(None, (4, 3), b"\1" * 16, np.zeros((1, 4), np.int64), None)
    return Prediction("p", names, names[best], float(values[best]), values, _evidence=evidence)


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


def test_contradictions(calibration):
    with pytest.raises(LabelingError, match="need a threshold"):
        Decisions(multi_label=True)
    with pytest.raises(LabelingError, match="one label an image"):
        Decisions(multi_label=True, threshold=0.5, calibration=calibration)
    with pytest.raises(LabelingError, match="top as 0 or more"):
        Decisions(top=-1)
    with pytest.raises(LabelingError, match="cannot be called 'undecided'"):
        Decisions().classes(DescriptionSet.of(["undecided"]))


@pytest.mark.parametrize("classes", [["cat"], {"cat": ["pointed ears"]}])
def test_the_background_joins_classes_of_either_kind(classes):
    wanted = Decisions(none_of_these=True).classes(DescriptionSet.of(classes))
    assert wanted.classes == ("cat", *BACKGROUND)
    assert wanted.has_descriptions == isinstance(classes, dict)


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
    beside = Decisions(none_of_these=True)
    both = beside.classes(DescriptionSet.of(["a", "b"]))
    classifier = Classifier(both, encoder=make_encoder())
    assert scoring_settings(classifier, beside.beside) == base, "a calibration fits both"
    with pytest.raises(CalibrationError, match="another class list, another descriptions"):
        calibrate(
            np.random.default_rng(0).normal(size=(30, 2)), np.zeros(30, int), settings=base
        ).check_settings(settings(("a", "c")))


def test_none_of_these_keeps_pets_apart_from_groceries(shared):
    """Half of what is no pet is found out at the price of few pets, with the built-in model."""
    data = shared / "data"
    lines = (data / "pets37" / "classes.csv").read_text().splitlines()[1:]
    decisions = Decisions(none_of_these=True)
    wanted = decisions.classes(DescriptionSet.of([line.split(",")[1] for line in lines]))
    classifier = Classifier(wanted, method="cupl")

    def share_of_none(name: str) -> float:
        photos = sorted((data / name).glob("*/*.jpg"))[::6]
        rows = [decisions.row("x", one) for one in classifier.predict(photos)]
        return np.mean([row.decision == NONE_OF_THESE for row in rows])

    pets, groceries = share_of_none("pets37"), share_of_none("grocery43")
    assert pets < 0.1
    assert groceries > 0.5
