"""The classifier among scikit-learn's own tools."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from crossalign import Classifier, ZeroShotClassifier
from crossalign.errors import CalibrationError, DescriptionError, ImageError
from crossalign.integrations.sklearn import UncalibratedWarning

COLOURS = ["red", "green", "blue"]


@pytest.fixture
def photos(picture):
    images = [picture(COLOURS[number % 3], number) for number in range(30)]
    return images, [COLOURS[number % 3] for number in range(30)]


@pytest.fixture
def model(encoder):
    return ZeroShotClassifier(COLOURS, encoder=encoder, method="clip")


def test_it_predicts_what_the_classifier_predicts(model, photos, encoder):
    images, labels = photos
    predictions = Classifier(COLOURS, encoder=encoder, method="clip")(images)
    fitted = model.fit()
    assert fitted is model
    assert fitted.predict(images).tolist() == [one.label for one in predictions] == labels
    scores = fitted.decision_function(images)
    assert fitted.classes_.tolist() == sorted(COLOURS), "as scikit-learn's scorers take them to be"
    for column, name in enumerate(fitted.classes_):
        expected = [one.scores[COLOURS.index(name)] for one in predictions]
        np.testing.assert_array_equal(scores[:, column], expected)
    assert fitted.score(images, labels) == accuracy_score(labels, fitted.predict(images)) == 1.0
    assert fitted.predict([]).shape == (0,)


def test_confidences_need_labels(model, photos):
    images, labels = photos
    with pytest.raises(CalibrationError, match="need a few labelled images"):
        model.fit().predict_proba(images)
    shares = model.fit(images, labels).predict_proba(images)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (model.classes_[shares.argmax(axis=1)] == labels).all()


def test_classes_may_come_from_the_labels(encoder, photos):
    model = ZeroShotClassifier(encoder=encoder, method="clip").fit(*photos)
    assert model.classes_.tolist() == sorted(COLOURS)
    with pytest.raises(DescriptionError, match="at least one class"):
        ZeroShotClassifier(encoder=encoder).fit()


def test_mistakes_are_told(model, photos):
    images, labels = photos
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(CalibrationError, match="not fitted yet") as caught:
            getattr(model, method)(images)
        assert isinstance(caught.value, NotFittedError)
    with pytest.raises(CalibrationError, match=r"among the 3 classes; got 'pink'"):
        model.fit(images, ["pink", *labels[1:]])
    with pytest.raises(CalibrationError, match="got"):
        model.fit(images[:25], labels)
    with pytest.raises(ImageError, match="HTML"):
        model.fit().predict([b"<html>"])
    with pytest.raises(ValueError, match="unknown setting 'depth'"):
        model.set_params(depth=3)


def test_few_photos_give_labels_and_no_confidences(model, photos):
    images, labels = photos
    with pytest.warns(UncalibratedWarning, match="5 labelled photos are too few"):
        model.fit(images[:5], labels[:5])
    assert model.predict(images).tolist() == labels
    with pytest.raises(CalibrationError, match="20 or more"):
        model.predict_proba(images)
    with pytest.warns(UncalibratedWarning):
        assert cross_val_score(model, images[:12], labels[:12], cv=3).tolist() == [1.0] * 3


def test_bank_and_store_reach_the_classifier(encoder, photos, tmp_path):
    images, _ = photos
    settings = {"encoder": encoder, "method": "cupl"}
    model = ZeroShotClassifier(["pug", "owl"], **settings, store=tmp_path / "store").fit()
    assert len(model.classifier_.texts[0]) == 7
    expected = model.decision_function(images)
    plain = ZeroShotClassifier(["pug", "owl"], **settings, bank=False).fit()
    assert "a bad photo of the pug." in plain.classifier_.texts[0]
    before = sum(encoder.image_batches)
    again = clone(model).fit()
    np.testing.assert_array_equal(again.decision_function(images), expected)
    assert sum(encoder.image_batches) == before, "found in the store"


SCORERS = {
    "accuracy": lambda y, p: (y == p.argmax(axis=1)).mean(),
    "neg_log_loss": lambda y, p: np.log(p[np.arange(len(y)), y]).mean(),
    "top_k_accuracy": lambda y, p: (np.argsort(-p, axis=1)[:, :2] == y[:, None]).any(axis=1).mean(),
    "roc_auc_ovr": lambda y, p: np.mean([area(y == c, p[:, c]) for c in range(p.shape[1])]),
}


def mixed(image, colour, share):
    return Image.blend(image, Image.new("RGB", image.size, colour), share)


def area(true, values):
    """The area under the curve as what it means: how often a true one leads a false one."""
    pairs = values[true][:, None] - values[~true][None, :]
    return ((pairs > 0) + 0.5 * (pairs == 0)).mean()


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("order", [COLOURS, sorted(COLOURS)], ids=",".join)
def test_scorers_of_scikit_learn_give_what_the_classifier_gives(
    encoder, photos, picture, order, scorer
):
    """Whatever the order of the classes; by hand, from the classifier's own scores."""
    images, labels = photos
    hard = [mixed(image, "blue", 0.3 + n % 7 / 20) for n, image in enumerate(images)]
    model = ZeroShotClassifier(order, encoder=encoder, method="clip").fit(hard, labels)
    scores = np.array([one.scores for one in model.classifier_(hard)])
    shares = model.calibration_.confidences(scores)
    truth = np.array([model.classifier_.classes.index(label) for label in labels])
    assert 0.4 < SCORERS["accuracy"](truth, shares) < 0.95, "hard enough to tell orders apart"
    found = get_scorer(scorer)(model, hard, labels)
    assert found == pytest.approx(SCORERS[scorer](truth, shares), rel=1e-6)


@pytest.mark.parametrize("order", [["red", "blue"], ["blue", "red"]])
def test_two_classes_are_scored_as_scikit_learn_expects(encoder, picture, order):
    images = [mixed(picture("red", n), "blue", 0.3 + n / 75) for n in range(30)]
    labels = np.array(["red" if n < 15 else "blue" for n in range(30)])
    model = ZeroShotClassifier(order, encoder=encoder, method="clip").fit(images, labels)
    decided = model.decision_function(images)
    assert decided.shape == (30,)
    assert ((decided > 0) == (model.predict(images) == "red")).all(), "red is classes_[1]"
    expected = area(labels == "red", decided)
    for scorer in ("roc_auc", "roc_auc_ovr"):
        assert get_scorer(scorer)(model, images, labels) == pytest.approx(expected, abs=0.01)
    assert expected > 0.9


class OfTables(ZeroShotClassifier):
    """The same for the tables of numbers that scikit-learn's checks bring: a row is a picture."""

    def _scores(self, X):  # noqa: N803
        rows = np.asarray(X, float)
        shades = [np.resize(np.tanh(row) * 127 + 128, 12).astype(np.uint8) for row in rows]
        pictures = [row.reshape(2, 2, 3).repeat(8, axis=0).repeat(8, axis=1) for row in shades]
        return super()._scores(pictures)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = False, True
        return tags


@pytest.mark.filterwarnings("ignore::crossalign.integrations.sklearn.UncalibratedWarning")
@pytest.mark.parametrize(
    "check",
    [
        "check_classifiers_classes",
        "check_decision_proba_consistency",
        "check_dict_unchanged",
        "check_estimators_fit_returns_self",
        "check_estimators_unfitted",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
    ],
)
def test_checks_of_scikit_learn_on_values(check, make_encoder):
    getattr(estimator_checks, check)("OfTables", OfTables(encoder=make_encoder(), method="clip"))


@pytest.mark.parametrize(
    "check",
    [
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_get_tags_default_keys",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_estimator_cloneable",
        "check_do_not_raise_errors_in_init_or_set_params",
    ],
)
def test_checks_of_scikit_learn_that_need_no_table_of_numbers(check, model):
    function = getattr(estimator_checks, check, None)
    if function is None:
        pytest.skip("not in this version of scikit-learn")
    function("ZeroShotClassifier", ZeroShotClassifier(COLOURS, method="clip"))


def test_tools_of_scikit_learn_take_it(model, photos, encoder):
    images, labels = photos
    assert is_classifier(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    copy = clone(model)
    assert copy.get_params().keys() == model.get_params().keys()
    check_is_fitted(copy.fit())
    table = np.empty(30, dtype=object)
    table[:] = images
    assert cross_val_score(model, table, labels, cv=3).tolist() == [1.0] * 3
    search = GridSearchCV(model, {"method": ["clip", "clip-e"]}, cv=3, scoring="neg_log_loss")
    search.fit(np.concatenate([table] * 3), labels * 3)
    assert search.best_params_["method"] in ("clip", "clip-e")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    steps = make_pipeline(FunctionTransformer(lambda rows: rows), model)
    assert steps.fit(table, labels).predict(table).tolist() == labels
    assert get_scorer("accuracy")(model.fit(), images, labels) == 1.0


def test_settings_show_and_change(model):
    assert repr(model).startswith("ZeroShotClassifier(classes=['red', 'green', 'blue'], encoder=")
    assert repr(ZeroShotClassifier()) == "ZeroShotClassifier()"
    assert model.set_params(crops=3, seed=2).get_params()["crops"] == 3


def test_an_unfitted_one_can_be_pickled():
    model = ZeroShotClassifier(COLOURS, method="clip")
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
