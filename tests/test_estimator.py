"""The classifier among scikit-learn's own tools."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
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
    np.testing.assert_array_equal(scores, [one.scores for one in predictions])
    assert fitted.classes_.tolist() == COLOURS
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
    with pytest.raises(CalibrationError, match="not fitted yet"):
        model.predict(images)
    with pytest.raises(CalibrationError, match=r"among the 3 classes; got 'pink'"):
        model.fit(images, ["pink", *labels[1:]])
    with pytest.raises(CalibrationError, match="at least 20"):
        model.fit(images[:5], labels[:5])
    with pytest.raises(ImageError, match="HTML"):
        model.fit().predict([b"<html>"])
    with pytest.raises(ValueError, match="unknown setting 'depth'"):
        model.set_params(depth=3)


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
        "check_do_not_raise_errors_in_init_or_set_param",
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
