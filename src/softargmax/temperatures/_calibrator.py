"""Temperature scaling as a scikit-learn classifier around another one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from softargmax._arrays.checks import in_row
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors
from softargmax.functional import softargmax
from softargmax.temperatures._calibration import FittedTemperature, fit_temperature

_PARAMETERS = ("estimator", "cv", "n_jobs")
_FLOOR = 1e-12  # added to probabilities before their logarithm, as scikit-learn does


class TemperatureCalibrator:
    r"""A classifier calibrated by one temperature, with the interface of scikit-learn.

    .. math:: p(x) = \mathrm{softargmax}(z(x) / T)

    z are the scores of another classifier, and T is the temperature of
    :func:`~softargmax.temperatures.fit_temperature` for scores of data that it has not seen.

    Parameters
    ----------
    estimator : classifier, optional
        A scikit-learn classifier with ``decision_function`` or ``predict_proba``; None is a
        ``LogisticRegression()``. It is cloned, not changed.
    cv : int, splitter, iterable or "prefit", optional
        How the data are split, as for scikit-learn's ``check_cv``; None is 5 folds. Scores of each
        fold come from an estimator fitted to the others, and the one that predicts is fitted to all
        data. With "prefit", or a ``FrozenEstimator``, the estimator has been fitted, to other data.
    n_jobs : int, optional
        Processes that share the folds, as in scikit-learn.

    Attributes
    ----------
    classes_ : array, shape (K,)
    temperature_ : float
    calibration_ : FittedTemperature
        The temperature with its standard error, and the log loss before and after.
    estimator_ : classifier
        The estimator that predicts: fitted to all data, or the "prefit" one.

    Notes
    -----
    The interface is that of scikit-learn's ``CalibratedClassifierCV``, and so are the probabilities
    of its ``method="temperature"`` with ``ensemble=False`` (of release 1.8 or later), to the
    precision of its search. The temperature of two classes is that of the scores (0, z) for one
    number z per sample, so that T = 1 leaves a logistic regression as it is. Without
    ``decision_function`` the scores are log(p + 1e-12). One temperature for all classes does not
    change the ranking: ``predict`` is the estimator's own answer, at any T.

    It needs scikit-learn (extra ``sklearn``), except for "prefit": then any object with
    ``classes_`` and one of the two methods will do.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), https://arxiv.org/abs/1706.04599.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.temperatures import TemperatureCalibrator
    >>> class Overconfident:
    ...     classes_ = np.array(["cat", "dog"])
    ...     def decision_function(self, x):
    ...         return 3.0 * x
    >>> x, y = np.ones(4), ["dog", "dog", "dog", "cat"]  # 3 of 4: T where 3/T = log 3
    >>> calibrated = TemperatureCalibrator(Overconfident(), cv="prefit").fit(x, y)
    >>> round(calibrated.temperature_, 4)
    2.7307
    >>> calibrated.predict_proba(np.array([1.0, 0.0])).round(4)
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    def __init__(self, estimator: Any = None, *, cv: Any = None, n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Fit the estimator and the temperature of its scores.

        Parameters
        ----------
        X : array, shape (n, features), or whatever the estimator takes
        y : array, shape (n,)
            The class of each sample.
        sample_weight : array, shape (n,), optional
            How many times each sample counts in the temperature, and in the estimator where its
            ``fit`` takes weights.

        Returns
        -------
        TemperatureCalibrator
            This object.

        Raises
        ------
        ValueError
            For fewer than two classes, classes of fewer samples than folds, an unknown class, or
            what the estimator refuses.
        ImportError
            Without scikit-learn, unless the estimator is "prefit".

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> class Model:
        ...     classes_ = np.array([0, 1])
        ...     def predict_proba(self, x):
        ...         return np.stack([1 - x, x], axis=-1)
        >>> fitted = TemperatureCalibrator(Model(), cv="prefit").fit(np.full(4, 0.9), [1, 1, 1, 0])
        >>> round(fitted.calibration_.log_loss_after, 4)
        0.5623
        """
        if self._is_prefit():
            estimator = self.estimator
            classes = np.asarray(estimator.classes_)
            scores = _scores(estimator, X, len(classes))
            labels = _encoded(np.asarray(y), classes)
        else:
            estimator, classes, labels, scores = self._cross_fitted(X, y, sample_weight)
        self.calibration_: FittedTemperature = fit_temperature(
            scores, labels, weights=sample_weight
        )
        self.temperature_ = self.calibration_.temperature
        self.estimator_, self.classes_ = estimator, classes
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """The calibrated probabilities, shape (n, K), in the order of ``classes_``.

        Parameters
        ----------
        X
            As the estimator takes them, n samples.

        Returns
        -------
        float64, shape (n, K)

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> class Model:
        ...     classes_ = np.array([0, 1])
        ...     def decision_function(self, x):
        ...         return x
        >>> fitted = TemperatureCalibrator(Model(), cv="prefit").fit(np.ones(3), [1, 1, 0])
        >>> fitted.predict_proba(np.ones(1)).round(4)
        array([[0.3333, 0.6667]])
        """
        return softargmax(self._fitted_scores(X), self.temperature_)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The likeliest class of each sample, shape (n,): that of the largest score.

        Parameters
        ----------
        X
            As the estimator takes them, n samples.

        Returns
        -------
        array of classes, shape (n,)

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> class Model:
        ...     classes_ = np.array(["no", "yes"])
        ...     def decision_function(self, x):
        ...         return x
        >>> x, y = np.ones(3), ["yes", "yes", "no"]
        >>> fitted = TemperatureCalibrator(Model(), cv="prefit").fit(x, y)
        >>> fitted.predict(np.array([-1.0, 1.0])).tolist()
        ['no', 'yes']
        """
        scores = self._fitted_scores(X)
        return self.classes_[scores.argmax(axis=-1)]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """The share of samples whose class is predicted, weighted.

        Parameters
        ----------
        X
            As the estimator takes them, n samples.
        y : array, shape (n,)
            Their classes.
        sample_weight : array, shape (n,), optional
            Equal weights by default.

        Returns
        -------
        float
            In [0, 1].

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> class Model:
        ...     classes_ = np.array([0, 1])
        ...     def decision_function(self, x):
        ...         return x
        >>> fitted = TemperatureCalibrator(Model(), cv="prefit").fit(np.ones(3), [1, 1, 0])
        >>> fitted.score(np.array([-1.0, 1.0]), [0, 0])
        0.5
        """
        right = self.predict(X) == np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return float(np.average(right, weights=weights))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, with ``deep`` those of the estimator too.

        Examples
        --------
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> TemperatureCalibrator(cv=3).get_params()
        {'estimator': None, 'cv': 3, 'n_jobs': None}
        """
        found = {name: getattr(self, name) for name in _PARAMETERS}
        if deep and hasattr(self.estimator, "get_params") and not isinstance(self.estimator, type):
            inner = self.estimator.get_params().items()
            found.update((f"estimator__{name}", value) for name, value in inner)
        return found

    def set_params(self, **params: Any) -> Self:
        """Change parameters, ``estimator__…`` those of the estimator.

        Parameters
        ----------
        **params
            Values by name.

        Returns
        -------
        TemperatureCalibrator
            Itself.

        Raises
        ------
        ValueError
            For a name that is not a parameter.

        Examples
        --------
        >>> from softargmax.temperatures import TemperatureCalibrator
        >>> TemperatureCalibrator().set_params(cv=3)
        TemperatureCalibrator(cv=3)
        """
        nested = {}
        for name, value in params.items():
            outer, _, inner = name.partition("__")
            if outer == "estimator" and inner:
                nested[inner] = value
            elif name in _PARAMETERS:
                setattr(self, name, value)
            else:
                raise ValueError(
                    f"params must be among {', '.join(_PARAMETERS)} and estimator__…, got {name!r}"
                )
        if nested:
            self.estimator.set_params(**nested)
        return self

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in _PARAMETERS)
        shown = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{type(self).__name__}({shown})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, get_tags

        inner = get_tags(self._estimator()).input_tags
        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(sparse=inner.sparse, allow_nan=inner.allow_nan),
        )

    # ------------------------------------------------------------------ shared

    def _estimator(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression()

    def _is_prefit(self) -> bool:
        kind = type(self.estimator)
        frozen = kind.__name__ == "FrozenEstimator" and kind.__module__.startswith("sklearn.")
        return frozen or (isinstance(self.cv, str) and self.cv == "prefit")

    def _cross_fitted(self, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any, Any]:  # noqa: N803
        """An estimator fitted to all data, its classes, labels, and scores from outside."""
        from sklearn.base import clone
        from sklearn.model_selection import check_cv, cross_val_predict
        from sklearn.utils import indexable
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import column_or_1d, has_fit_parameter

        X, y = indexable(X, y)  # noqa: N806
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must have two or more classes, got {len(classes)} class")
        splits = check_cv(self.cv, labels, classifier=True)
        fewest = int(np.bincount(labels).min())
        if isinstance(getattr(splits, "n_splits", None), int) and fewest < splits.n_splits:
            raise ValueError(
                f"y must have one sample or more of every class for each of {splits.n_splits} "
                f"folds, got {fewest} of the rarest class"
            )
        estimator = clone(self._estimator())
        weighted = weights is not None and has_fit_parameter(estimator, "sample_weight")
        extra = {"sample_weight": weights} if weighted else {}
        method = "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"
        outside = cross_val_predict(
            estimator, X, y, cv=splits, method=method, n_jobs=self.n_jobs, params=extra
        )
        estimator.fit(X, y, **extra)
        return estimator, classes, labels, _as_scores(outside, method, len(classes))

    def _fitted_scores(self, X: Any) -> Any:  # noqa: N803
        if not hasattr(self, "temperature_"):
            raise _not_fitted(self)
        return _scores(self.estimator_, X, len(self.classes_))


def _scores(estimator: Any, x: Any, num_classes: int) -> Any:
    """The scores of a fitted classifier, (n, K)."""
    method = "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"
    return _as_scores(getattr(estimator, method)(x), method, num_classes)


@ignore_fp_errors
def _as_scores(found: Any, method: str, num_classes: int) -> Any:
    """What a classifier's method gives as logits, one a class."""
    z = np.asarray(found, np.float64)
    if method == "predict_proba":
        z = np.log(z + _FLOOR)
    elif z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=-1)
    if z.shape[1:] != (num_classes,):
        raise ValueError(
            f"estimator must give {num_classes} scores a sample, one a class, got shape {z.shape}"
        )
    return z


def _encoded(y: Any, classes: Any) -> Any:
    """The places of labels among the classes, which need not be sorted."""
    order = classes.argsort()
    place = order[np.minimum(np.searchsorted(classes, y, sorter=order), len(classes) - 1)]
    unknown = classes[place] != y
    if unknown.any():
        raise ValueError(
            f"y must hold classes of the estimator, got {y[unknown].tolist()[0]!r}{in_row(unknown)}"
        )
    return place


def _not_fitted(calibrator: TemperatureCalibrator) -> Exception:
    """scikit-learn's error where it is installed."""
    message = f"this {type(calibrator).__name__} is not fitted: call fit first"
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return AttributeError(message)
    found: Exception = NotFittedError(message)
    return found
