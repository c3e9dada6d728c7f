"""The calibrator that scikit-learn takes for one of its own, and that can do without it."""

import copy
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical, softargmax
from softargmax.temperatures import TemperatureCalibrator, fit_temperature


class Scores:
    """A fitted classifier whose scores are its input."""

    def __init__(self, classes):
        self.classes_ = np.array(classes)

    def decision_function(self, x):
        return np.asarray(x)


class Probabilities:
    """The same, of probabilities."""

    def __init__(self, classes):
        self.classes_ = np.array(classes)

    def predict_proba(self, x):
        return np.asarray(x)


def labelled(n, k, temperature, seed=0):
    z = 3 * np.random.default_rng(seed).standard_normal((n, k))
    return z, Categorical(z, temperature).sample(rng=seed)


# ---------------------------------------------------------------------------- without scikit-learn


def test_a_fitted_classifier_of_any_make():
    z, labels = labelled(500, 4, 2.5)
    names = np.array(["d", "a", "c", "b"])  # in no order
    weights = np.random.default_rng(1).random(500)
    made = TemperatureCalibrator(Scores(names), cv="prefit")
    assert made.fit(z, names[labels], sample_weight=weights) is made
    fit = fit_temperature(z, labels, weights=weights)
    assert made.calibration_ == fit
    assert made.temperature_ == fit.temperature
    assert_array_equal(made.classes_, names)
    assert_array_equal(made.predict_proba(z), softargmax(z, fit.temperature))
    assert_array_equal(made.predict(z), names[z.argmax(axis=-1)])
    right = z.argmax(axis=-1) == labels
    assert made.score(z, names[labels]) == right.mean()
    assert made.score(z, names[labels], weights) == pytest.approx(right @ weights / weights.sum())
    for twin in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert_array_equal(twin.predict_proba(z), made.predict_proba(z))


def test_one_score_of_two_classes_and_probabilities():
    z, labels = labelled(300, 2, 0.7)
    odds = z[:, 1] - z[:, 0]
    made = TemperatureCalibrator(Scores([False, True]), cv="prefit").fit(odds, labels == 1)
    assert made.temperature_ == pytest.approx(fit_temperature(z, labels).temperature, rel=1e-12)
    assert_allclose(made.predict_proba(odds), softargmax(z, made.temperature_), rtol=1e-12)
    p = softargmax(z)
    other = TemperatureCalibrator(Probabilities([0, 1]), cv="prefit").fit(p, labels)
    assert other.temperature_ == pytest.approx(made.temperature_, rel=1e-9)
    sure = np.eye(2)[[0, 1, 1]]  # a forest's, of which one is wrong
    found = TemperatureCalibrator(Probabilities([0, 1]), cv="prefit").fit(sure, [0, 1, 0])
    assert found.predict_proba(sure) == pytest.approx(np.where(sure, 2 / 3, 1 / 3), rel=1e-9)


def test_the_limits_of_the_temperature():
    z = np.array([[0.0, 2.0], [3.0, 0.0]])
    right = TemperatureCalibrator(Scores([0, 1]), cv="prefit").fit(z, [1, 0])
    assert right.temperature_ == 0
    assert_array_equal(right.predict_proba(z), [[0, 1], [1, 0]])
    wrong = TemperatureCalibrator(Scores([0, 1]), cv="prefit").fit(z, [0, 1])
    assert wrong.temperature_ == math.inf
    assert_array_equal(wrong.predict_proba(z), np.full((2, 2), 0.5))
    assert_array_equal(wrong.predict(z), [1, 0])  # no temperature changes the ranking


def test_bad_input():
    with pytest.raises(ValueError, match="y must hold classes of the estimator, got 'c' in row 1"):
        TemperatureCalibrator(Scores(["a", "b"]), cv="prefit").fit(np.zeros((2, 2)), ["a", "c"])
    with pytest.raises(ValueError, match=r"must give 2 scores a sample, .* got shape \(4, 3\)"):
        TemperatureCalibrator(Scores([0, 1]), cv="prefit").fit(np.zeros((4, 3)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="labels must have shape"):
        TemperatureCalibrator(Scores([0, 1]), cv="prefit").fit(np.zeros((4, 2)), [0, 1])
    with pytest.raises(ValueError, match="params must be among estimator, cv, n_jobs"):
        TemperatureCalibrator().set_params(method="isotonic")
    for call in ("predict", "predict_proba"):
        with pytest.raises((ValueError, AttributeError), match="is not fitted: call fit first"):
            getattr(TemperatureCalibrator(), call)([[0.0]])


# ---------------------------------------------------------------------------- with it


def data(k, n=300):
    from sklearn.datasets import make_classification

    return make_classification(
        n, 8, n_informative=5, n_classes=k, n_clusters_per_class=1, flip_y=0.2, random_state=0
    )


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")  # scikit-learn's own, and that there is no base class
def test_scikit_learns_checks_of_an_estimator():
    """All apply; those that need pandas or the array API's SciPy are skipped by scikit-learn."""
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.naive_bayes import GaussianNB
    from sklearn.utils.estimator_checks import check_estimator

    found = check_estimator(TemperatureCalibrator(GaussianNB(), cv=2), on_skip=None)
    skipped = {each["check_name"] for each in found if each["status"] != "passed"}
    assert skipped <= {
        "check_sample_weights_pandas_series",
        "check_array_api_input",
        "check_classifier_data_not_an_array",
        "check_readonly_memmap_input",
    }
    assert len(found) > 40


@pytest.mark.frameworks
@pytest.mark.parametrize("k", [2, 4])
def test_the_probabilities_are_those_of_calibrated_classifier_cv(k):
    pytest.importorskip("sklearn", minversion="1.8")
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    x, y = data(k)
    weights = np.random.default_rng(0).random(len(y))
    for estimator in (LogisticRegression(), GaussianNB()):
        ours = TemperatureCalibrator(estimator, cv=3).fit(x, y, sample_weight=weights)
        theirs = CalibratedClassifierCV(estimator, method="temperature", cv=3, ensemble=False)
        theirs.fit(x, y, sample_weight=weights)
        assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-7)
        frozen = FrozenEstimator(estimator.fit(x[:100], y[:100]))
        ours = TemperatureCalibrator(frozen).fit(x[100:], y[100:])
        assert ours.estimator_ is frozen
        theirs = CalibratedClassifierCV(frozen, method="temperature").fit(x[100:], y[100:])
        assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-7)
        prefit = TemperatureCalibrator(estimator, cv="prefit").fit(x[100:], y[100:])
        assert_array_equal(prefit.predict_proba(x), ours.predict_proba(x))


@pytest.mark.frameworks
def test_it_goes_where_scikit_learns_own_go():
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.base import clone, is_classifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    x, y = data(3)
    names = np.array(["red", "green", "blue"])[y]
    made = TemperatureCalibrator(LogisticRegression(C=0.1), cv=3)
    assert is_classifier(made)
    assert made.get_params()["estimator__C"] == 0.1
    twin = clone(made).set_params(estimator__C=2.0, cv=4)
    assert (twin.estimator.C, twin.cv, made.estimator.C, made.cv) == (2.0, 4, 0.1, 3)
    search = GridSearchCV(made, {"estimator__C": [0.01, 1.0]}, scoring="neg_log_loss", cv=2)
    fitted = make_pipeline(StandardScaler(), search).fit(x, names)
    assert_array_equal(fitted.classes_, ["blue", "green", "red"])
    assert fitted.predict_proba(x).shape == (len(x), 3)
    assert 0.5 < search.best_estimator_.score(fitted[:-1].transform(x), names) < 1
    # T = 1 leaves a logistic regression as it is.
    plain = LogisticRegression().fit(x, y)
    made = TemperatureCalibrator(plain, cv="prefit").fit(x, y)
    made.temperature_ = 1.0
    assert_allclose(made.predict_proba(x), plain.predict_proba(x), rtol=1e-9)
    machine = TemperatureCalibrator(LinearSVC(random_state=0)).fit(x, y)
    assert machine.calibration_.log_loss_after < machine.calibration_.log_loss_before
    assert machine.n_features_in_ == 8


@pytest.mark.frameworks
def test_what_cannot_be_split():
    pytest.importorskip("sklearn", minversion="1.6")
    x = np.arange(12.0)[:, None]
    with pytest.raises(ValueError, match="y must have two or more classes, got 1 class"):
        TemperatureCalibrator().fit(x, np.zeros(12, int))
    with pytest.raises(ValueError, match="for each of 5 folds, got 2 of the rarest class"):
        TemperatureCalibrator().fit(x, np.arange(12) // 10)
