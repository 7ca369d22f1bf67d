"""The door for scikit-learn: `MaximumLikelihoodRegressor` (extra ``sklearn``)."""

import copy
import warnings
from dataclasses import replace
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import check_labels
from mlreg.errors import DataNeeded, InvalidInput, MissingDependency, NumericalWarning
from mlreg.estimate import Fit
from mlreg.fitting import fit as fit_by_likelihood
from mlreg.inference.predict import prediction_error
from mlreg.likelihood.noise import Gaussian, Noise
from mlreg.likelihood.prior import NormalPrior
from mlreg.optimizers.auto_sgd import AutoSGD
from mlreg.optimizers.exact import Exact
from mlreg.optimizers.newton import Newton
from mlreg.optimizers.solution import Optimizer
from mlreg.sufficient import SufficientStatistics

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise MissingDependency(
        "mlreg.sklearn needs scikit-learn 1.6 or later: pip install 'mlreg[sklearn]'"
    ) from error

__all__ = ["MaximumLikelihoodRegressor"]

F64 = NDArray[np.float64]
CHOICES: dict[str, tuple[Any, Any]] = {
    "fit_intercept": (True, False),
    "rank_deficient": ("drop", "raise"),
    "weights": ("precision", "frequency"),
}
PRECISIONS = (np.float64, np.float32)  # as they are: mlreg casts block by block


def _least_squares(regressor: Any) -> bool:
    """Raise where sufficient statistics do not determine the fit: `partial_fit` is not there."""
    for name, kinds in (("noise", Gaussian), ("prior", ()), ("optimizer", Exact)):
        value = getattr(regressor, name)
        if value is not None and not isinstance(value, kinds):
            raise InvalidInput(
                "partial_fit is for least squares, of which a triangle holds all that matters; "
                f"{name}={value!r} needs all rows at once: use fit"
            )
    return True


class MaximumLikelihoodRegressor(RegressorMixin, BaseEstimator):
    """`mlreg.fit` as an estimator of scikit-learn.

    Parameters
    ----------
    noise : Noise, optional
        `mlreg.Gaussian` by default, which is least squares; or `Laplace`, `Huber`, `Logistic`,
        `StudentT`.
    optimizer : Optimizer, optional
        As for `mlreg.fit`: exact where that is possible, else `Newton`.
    prior : NormalPrior, optional
        Of all coefficients but the intercept: ridge regression.
    fit_intercept : bool
        Whether there is an intercept.
    rank_deficient : "drop" or "raise"
        What to do with columns that are combinations of those before them, a constant column
        beside the intercept among them: leave them out, with a `NumericalWarning` that names them
        and 0 in `coef_`; or raise `RankDeficient`. With a prior every column stays.
    weights : "precision" or "frequency"
        What a ``sample_weight`` w is. Precision: the noise of the row has variance σ²/w,
        Eq. (1.5), and the row counts once. Frequency: a whole number of equal rows. Under Gaussian
        noise both give the same coefficients, and other standard errors. Under other noise they
        differ in the coefficients too, and only frequencies weight the row's loss, as
        scikit-learn's own estimators do. Zero is the row left out.

    Attributes
    ----------
    coef_ : ndarray, shape (p,)
        Coefficients, in units of y per unit of the column; 0 for columns that were left out, so
        that ``X @ coef_ + intercept_`` is the prediction.
    intercept_ : float
        0.0 without one.
    sigma_ : float
        MLE of the noise scale, in units of y. (The ``sigma_`` of ``BayesianRidge`` is a
        covariance matrix: here that is ``fit_.covariance()``.)
    fit_ : Fit
        Everything else: standard errors, tests, certificate, `summary()`, diagnostics. It refers to
        the rows that `fit` was given; a pickle or a copy of the estimator is without them.
    n_features_in_ : int
        Number p of columns.
    feature_names_in_ : ndarray of str
        Their names, where X is a dataframe of pandas or polars, or another with column names.

    Notes
    -----
    Missing values and infinities are refused: impute in the pipeline. One response at a time:
    ``sklearn.multioutput.MultiOutputRegressor`` fits several.

    Examples
    --------
    >>> import mlreg as ml
    >>> from mlreg.sklearn import MaximumLikelihoodRegressor
    >>> data = ml.datasets.norris()
    >>> regressor = MaximumLikelihoodRegressor().fit(data.X, data.y)
    >>> round(float(regressor.coef_[0]), 6), round(regressor.score(data.X, data.y), 6)
    (1.002117, 0.999994)
    """

    def __init__(
        self,
        *,
        noise: Noise | None = None,
        optimizer: Optimizer | None = None,
        prior: NormalPrior | None = None,
        fit_intercept: bool = True,
        rank_deficient: Literal["drop", "raise"] = "drop",
        weights: Literal["precision", "frequency"] = "precision",
    ) -> None:
        self.noise = noise
        self.optimizer = optimizer
        self.prior = prior
        self.fit_intercept = fit_intercept
        self.rank_deficient = rank_deficient
        self.weights = weights

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Maximise the likelihood of all rows.

        Parameters
        ----------
        X : array or dataframe, shape (n, p)
            Columns of numbers, without the intercept. float32 is read as it is.
        y : array, shape (n,)
            Response.
        sample_weight : array, shape (n,), or float, optional
            See ``weights``.

        Raises
        ------
        ValueError, TypeError
            As scikit-learn's own estimators; `InvalidInput` and `RankDeficient` are kinds of them.

        Warns
        -----
        NumericalWarning
            Columns left out, or nearly collinear; digits lost; an optimizer that has not arrived.
        """
        X, y, given = self._rows(X, y, sample_weight, first=True)
        fitted = fit_by_likelihood(
            X,
            y,
            noise=self.noise,
            optimizer=self.optimizer,
            prior=self.prior,
            # what the rows do not determine, a prior does: every column stays
            rank_deficient="raise" if self.prior is not None else self.rank_deficient,
            **given,
        )
        exact = isinstance(self.optimizer, Exact | Newton | AutoSGD)  # they warn by themselves
        if not (self.optimizer is None or exact or fitted.status.ok):
            warnings.warn(str(fitted.status), NumericalWarning, stacklevel=2)
        return self._keep(fitted, None)

    @available_if(_least_squares)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows to those before, under Gaussian noise: the fit is that of all of them.

        Rows are summed up by `SufficientStatistics` and not kept, so that any number of them takes
        the memory of p² numbers. Coefficients are those of `fit` on all rows at once, to the
        rounding that ``fit_.certificate`` states. After `fit` it goes on from the rows there.

        Parameters
        ----------
        X : array or dataframe, shape (m, p)
            More rows.
        y : array, shape (m,)
            Response.
        sample_weight : array, shape (m,), or float, optional
            See ``weights``.

        Raises
        ------
        AttributeError
            Other noise, a prior, or an optimizer that reads the rows: there is no such method
            then, as scikit-learn has it, and the cause says why.
        DataNeeded
            The estimator was copied or unpickled after `fit`, and is without its rows.
        """
        first = not hasattr(self, "fit_")
        X, y, given = self._rows(X, y, sample_weight, first=first)
        # a copy, so that rows that come to nothing are not half in
        statistics = SufficientStatistics() if first else copy.copy(self._gathered())
        statistics.update(X, y, **given)
        fitted = fit_by_likelihood(statistics, rank_deficient=self.rank_deficient)
        return self._keep(fitted, statistics)

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> F64: ...
    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[F64, F64]: ...
    def predict(self, X: Any, return_std: bool = False) -> F64 | tuple[F64, F64]:
        """Mean (or median, for noise without a mean) of the response at new rows.

        Parameters
        ----------
        X : array or dataframe, shape (m, p)
            Columns as in `fit`.
        return_std : bool
            Whether to return standard deviations too. Gaussian noise only; for others
            `predict_interval` says what can be said.

        Returns
        -------
        mean : ndarray, shape (m,)
            In units of y; an array of NumPy whatever X is, as of every regressor of scikit-learn.
        std : ndarray, shape (m,)
            With ``return_std``: of a new observation about this prediction, Eq. (12.13), with the
            errors of the coefficients; NaN for a perfect fit.

        Warns
        -----
        NumericalWarning
            Columns were left out as dependent, and the new rows do not obey that dependence.
        """
        X = self._new_rows(X)
        if not return_std:
            return self.fit_.predict(X)
        if not isinstance(self.fit_.noise, Gaussian):
            raise InvalidInput(
                f"return_std is for Gaussian noise, and this is {self.fit_.noise}, of which no "
                "number of standard deviations is an interval: take predict_interval(X)"
            )
        return self.fit_.predict(X), prediction_error(self.fit_, X)

    def predict_interval(
        self, X: Any, level: float = 0.95, kind: Literal["prediction", "mean"] = "prediction"
    ) -> F64:
        """Limits for a new observation, or for its mean, Eq. (12.13).

        Parameters
        ----------
        X : array or dataframe, shape (m, p)
            Columns as in `fit`.
        level : float
            Probability that the interval covers: exactly under Gaussian noise without a prior,
            else as the number of rows grows.
        kind : "prediction" or "mean"
            A new observation (of weight one), or Xβ.

        Returns
        -------
        ndarray, shape (m, 2)
            Lower and upper limits, in units of y.
        """
        if kind not in ("prediction", "mean"):
            raise InvalidInput(f"kind must be 'prediction' or 'mean', not {kind!r}")
        rows = self._new_rows(X)
        limits = self.fit_.predict(rows, kind, level)
        return np.column_stack([limits.lower, limits.upper])

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, *, first: bool
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Rows as scikit-learn checks them, and what else `mlreg.fit` wants to know of them."""
        for name, allowed in CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                one, other = map(repr, allowed)
                raise InvalidInput(f"{name} must be {one} or {other}, not {value!r}")
        check_labels("X", X, {"y": y, "sample_weight": sample_weight})
        shape = np.asarray(y).shape
        if len(shape) == 2 and shape[1] > 1:
            raise InvalidInput(
                f"y has {shape[1]} columns, and one response is fitted at a time: wrap the "
                "estimator in sklearn.multioutput.MultiOutputRegressor"
            )
        X, y = validate_data(self, X, y, reset=first, dtype=PRECISIONS, y_numeric=True)
        given: dict[str, Any] = {"intercept": bool(self.fit_intercept)}
        if hasattr(self, "feature_names_in_"):
            given["names"] = list(self.feature_names_in_)
        if sample_weight is not None:
            given[f"{self.weights}_weights"] = _check_sample_weight(sample_weight, X)
        return X, y, given

    def _new_rows(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=PRECISIONS)

    def _keep(self, fitted: Fit, statistics: SufficientStatistics | None) -> Self:
        """Set what was learned, and say which columns were left out."""
        report, names = fitted.rank_report, fitted.names
        self.fit_, self._statistics = fitted, statistics
        params = fitted.params
        params[[d.column for d in report.dependent]] = 0.0
        self.coef_ = params[1:] if self.fit_intercept else params
        self.intercept_ = float(params[0]) if self.fit_intercept else 0.0
        self.sigma_ = fitted.sigma
        if report.dependent:
            out = [names[d.column] for d in report.dependent]
            why = report.describe(names)
            if report.n_rows < len(names):  # combinations of chance
                why = f"{report.n_rows} rows cannot determine {len(names)} coefficients"
            warnings.warn(
                f"{why}. Left out, with coefficient 0: {', '.join(out[:8])}"
                + (f" and {len(out) - 8} more" if len(out) > 8 else "")
                + ". Remove columns, add rows, or give a prior; rank_deficient='raise' makes this "
                "an error",
                NumericalWarning,
                stacklevel=3,
            )
        return self

    def _gathered(self) -> SufficientStatistics:
        """What `partial_fit` has summed up so far, or the rows of `fit`."""
        if self._statistics is not None:
            return self._statistics
        if self.fit_.source is None:
            raise DataNeeded(
                "this estimator was copied or unpickled after fit(), without its rows, to which "
                "partial_fit would add: gather all rows by partial_fit, from the first on"
            )
        statistics, k = SufficientStatistics(), int(self.fit_.design.intercept)
        for block in self.fit_.source.blocks():
            statistics.update(
                block.X[:, k:],
                block.y,
                intercept=bool(k),
                names=self.fit_.names[k:],
                frequency_weights=block.frequency,
                precision_weights=block.precision,
            )
        return statistics

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the rows: a model is kept where data may not be."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "fit_" in state:
            state["fit_"] = replace(state["fit_"], source=None)
        return state
