"""`Fit`: what ``mlreg.fit`` returns."""

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from mlreg._version import __version__
from mlreg.certificate import Certificate, LeastSquares
from mlreg.data.design import Design
from mlreg.errors import DataNeeded, InvalidInput
from mlreg.files import plain, write
from mlreg.frames import data_frame
from mlreg.inference.augment import augment
from mlreg.inference.collinearity import Collinearity, collinearity
from mlreg.inference.combination import combined, joint_root, standard_errors
from mlreg.inference.covariance import Kind, robust_covariance
from mlreg.inference.diagnose import Diagnosis, diagnose
from mlreg.inference.elsewhere import ELSEWHERE
from mlreg.inference.hypothesis import (
    Contrasts,
    Region,
    WaldTest,
    contrasts,
    region,
    wald_test,
)
from mlreg.inference.influence import Influence, influence, influence_blocks
from mlreg.inference.information import Information
from mlreg.inference.intervals import FTest, f_test, t_interval, t_p_values, wald
from mlreg.inference.margins import margins
from mlreg.inference.predict import Of, predict, predict_scale
from mlreg.inference.prediction import Prediction
from mlreg.inference.profile import profile_df, profile_interval
from mlreg.inference.random_scaling import random_scaling_interval
from mlreg.inference.render import Format, render, rich_parts
from mlreg.inference.robust import OfLeastSquares, Robust, check_kind, robust
from mlreg.inference.specification import (
    SpecificationKind,
    SpecificationTest,
    specification_test,
)
from mlreg.inference.summary import summarize
from mlreg.likelihood.blocks import Source, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Noise
from mlreg.likelihood.prior import NormalPrior
from mlreg.likelihood.wrapped import SelectedSource
from mlreg.linalg.rank import RankReport
from mlreg.linalg.triangle import Triangle, norm, scale_columns
from mlreg.optimizers.newton import Newton
from mlreg.optimizers.shape import Profile
from mlreg.optimizers.solution import History, Solution, Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Fit"]

F64 = NDArray[np.float64]
FORMAT, VERSION = "mlreg.Fit", 2


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted linear model.

    Gaussian noise of one scale has exact inference: t quantiles and a residual standard error.
    For any other noise, with a scale design or with a prior, standard errors come from the expected
    information and quantiles are normal, which holds as n grows.

    Where the response has a transform, ``design.transform``, it is the y of everything here but
    the likelihood (`nll`, `log_likelihood`, `aic`, `bic`), which is that of the response itself,
    and of `predict`, which comes back to it.

    Coefficients that were left out as dependent (``rank_deficient="drop"``) are
    NaN, and everything else is as if their columns had not been there.

    Attributes
    ----------
    solution : Solution
        What the optimizer returned, for the columns that were kept.
    names : tuple of str
        Names of all columns of the design.
    scale_names : tuple of str
        Names of the columns of the scale design; empty where σ is the same in every row.
    least_squares : LeastSquares or None
        The MLE, and the triangle of [X y] that it came from, the sufficient statistic; for
        Gaussian noise of one scale without a prior.
    information : Information or None
        The expected information, for all others.
    prior : NormalPrior or None
        What was believed of the coefficients beforehand: then the fit is the mode of the posterior
        (MAP), its "standard errors" are standard deviations of the posterior, and its intervals
        are posterior ones.
    source : Source or None
        The rows, by reference; None after `load`.
    design : Design
        Makes rows of the design from new data.
    rank_report : RankReport
        Which columns were kept, and what the others are combinations of.
    log_precision : float
        Σ log w of the precision weights, Eq. (1.5).
    constant : int or None
        Position, among the kept columns, of the intercept or of a constant column.
    optimizer : str
        The configuration that was used.
    reads : float
        Passes over the data.
    n_missing : int
        Rows that were left out for missing values.
    log_jacobian : float
        Sum of log g'(y) over the observations, for a response transformed by g.
    robust : Robust or None
        The covariance that standard errors, tests and intervals use, where it is not the model's
        own: see `with_covariance`.
    """

    solution: Solution
    names: tuple[str, ...]
    scale_names: tuple[str, ...]
    least_squares: LeastSquares | None
    information: Information | None
    prior: NormalPrior | None
    source: Source | None
    design: Design
    rank_report: RankReport
    log_precision: float
    constant: int | None
    optimizer: str
    reads: float
    n_missing: int = 0
    log_jacobian: float = 0.0
    robust: Robust | None = None

    @property
    def R(self) -> Triangle:
        """Triangle of [X y], Eq. (2.6), of the columns that were kept."""
        return self._basis.triangle

    @property
    def _basis(self) -> LeastSquares | Information:
        basis = self.least_squares or self.information
        assert basis is not None
        return basis

    @property
    def n_rows(self) -> int:
        """Observations n: the sum of the frequency weights."""
        return self._basis.n_rows

    @property
    def noise(self) -> Noise:
        """The noise, its shape parameters included."""
        return self.solution.noise

    # What was estimated

    @property
    def params(self) -> F64:
        """Coefficients β, Eq. (2.2), shape (p,), in units of y per unit of the column."""
        return self._spread(self._beta)

    @property
    def _beta(self) -> F64:
        """Coefficients that were kept."""
        return self.solution.theta[: self.rank]

    @property
    def sigma(self) -> float:
        """MLE of the noise scale, in units of y; for Gaussian noise √(RSS/n), Eq. (2.3).

        Its bias: Eq. (2.10). With a scale design it is an error to ask: see `scale_params` and
        `predict_scale`.
        """
        if self.scale_names:
            raise InvalidInput(
                "sigma differs from row to row: scale_params are the coefficients of its "
                "logarithm, and predict_scale(X) its values"
            )
        return float(np.exp(self.scale_params[0]))

    @property
    def scale_params(self) -> F64:
        """γ, shape (q,): log σ, or the coefficients of log σᵢ = ζᵢᵀγ, Eq. (9.1)."""
        return self.solution.theta[self.rank :]

    @property
    def scale_std_errors(self) -> F64:
        """Standard errors of `scale_params`, shape (q,), Eq. (9.5): 1/√(2n) for a Gaussian σ."""
        if self.robust is not None and self.robust.scale_std_errors is not None:
            return self.robust.scale_std_errors
        if self.information is not None:
            return self.information.scale_std_errors
        perfect = self.status.code == "perfect-fit"
        return np.array([math.nan if perfect else math.sqrt(1 / (2 * self.n_rows))])

    @property
    def ridge(self) -> float:
        """λ = σ̂²/τ² of Eqs. (10.2) and (10.5), the ridge penalty that the prior amounts to; or 0.

        The λ of ½‖y − Xβ‖² + ½λ‖β‖², and alpha of scikit-learn's ``Ridge``. On the average loss
        it is a weight decay of λ/n, Eq. (10.8). For noise that is not Gaussian σ̂² is to be read as
        σ̂² over the noise's Fisher constant of location.
        """
        if self.prior is None:
            return 0.0
        if self.scale_names:
            raise InvalidInput("sigma differs from row to row, and with it the ridge penalty")
        return self.sigma**2 / self.noise.fisher[0] / self.prior.sd**2

    @property
    def effective_df(self) -> float:
        """Effective number of coefficients, Eq. (10.7): `rank` without a prior, less with one."""
        return float(self.rank) if self.information is None else self.information.effective_df

    @property
    def n_parameters(self) -> int:
        """Estimated parameters that AIC and BIC count: coefficients, scale and shape."""
        return self.rank + len(self.scale_params) + self.n_shape

    @property
    def n_shape(self) -> int:
        """Number of shape parameters of the noise, such as a t's df, that were estimated."""
        return int(getattr(self.solution, "n_shape", 0))

    @property
    def rank(self) -> int:
        """Number of coefficients that were estimated."""
        return len(self.rank_report.kept)

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom, n − rank."""
        return self.n_rows - self.rank

    @property
    def rss(self) -> float:
        """Residual sum of squares at `params`, rows weighted, in units of y²."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(np.square(self._residual_norm), 2 * self._scale_y))

    @property
    def residual_std_error(self) -> float:
        """√(RSS/(n − p)), Eq. (2.4), in units of y; NaN where n = p. Gaussian noise only."""
        self._gaussian("residual_std_error")
        return self.sigma * math.sqrt(self.n_rows / self.df_resid) if self.df_resid else math.nan

    # How well it explains the data

    @property
    def nll(self) -> float:
        """NLL of Eq. (1.4) at the estimate, Eq. (2.9), all constants kept, without the prior.

        It is −inf for a perfect fit, where σ̂ = 0.

        Of a response transformed by g: that of g(y) less the sum of log g'(y), Eq. (9.11).
        """
        if self.status.code == "perfect-fit":
            return -math.inf
        if self.least_squares is None:
            return self.n_rows * float(self.history.mean_nll[-1]) - self._penalty
        each = 0.5 * math.log(2 * math.pi) + float(self.solution.theta[-1]) + 0.5
        return self.n_rows * each - 0.5 * self.log_precision - self.log_jacobian

    @property
    def log_likelihood(self) -> float:
        """−nll, natural logarithm, all constants kept."""
        return -self.nll

    @property
    def _penalty(self) -> float:
        """½ Σ β²/τ² over the coefficients that have a prior."""
        if self.prior is None:
            return 0.0
        free = [j for j in range(self.rank) if j != self.constant]
        return 0.5 * float(np.sum((self._beta[free] / self.prior.sd) ** 2))

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2·nll + 2·n_parameters: σ counts as a parameter."""
        self._maximum("aic")
        return 2 * self.nll + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, 2·nll + log(n)·n_parameters."""
        self._maximum("bic")
        return 2 * self.nll + math.log(self.n_rows) * self.n_parameters

    @property
    def r_squared(self) -> float:
        """1 − RSS/TSS; TSS about the (weighted) mean where there is a constant, else about zero.

        Of a transformed response, on its own scale: it does not compare with that of another.
        """
        ls = self._gaussian("r_squared")
        total = self._total_norm
        if total <= self.R.epsilon * ls.norm_y:
            return math.nan  # the response is constant: there is nothing to explain
        with np.errstate(over="ignore"):
            return float(1 - np.square(self._residual_norm / total))

    @property
    def r_squared_adj(self) -> float:
        """R² with both sums of squares divided by their degrees of freedom."""
        total_df = self.n_rows - (self.constant is not None)
        return 1 - (1 - self.r_squared) * total_df / self.df_resid if self.df_resid else math.nan

    @property
    def f_test(self) -> FTest:
        """Test that all coefficients but the constant are zero, Eq. (12.2).

        NaN with fewer clusters than coefficients, which cannot tell them together.
        """
        self._gaussian("f_test")
        df_model = self.rank - (self.constant is not None)
        if self.robust is not None:
            free = [j for j in range(self.rank) if j != self.constant]
            try:
                K = joint_root(*combined(self, np.eye(self.rank)[free]))
            except InvalidInput:  # fewer clusters than slopes: they cannot be tested together
                K = np.full((len(free),) * 2, np.nan)
            return wald(self._beta[free], K, self.df_quantiles)
        if self.status.code == "perfect-fit":
            return f_test(1.0, 0.0, df_model, self.df_resid)
        t, r = self._total_norm, self._residual_norm
        return f_test((t - r) / r * ((t + r) / r), 1.0, df_model, self.df_resid)

    # What the estimate is worth

    @property
    def std_errors(self) -> F64:
        """Standard errors s·√diag((XᵀX)⁻¹) of the MLE, Eq. (2.11), shape (p,); NaN: perfect fit.

        s is taken at the MLE, not at `params`: an optimizer that stopped early
        does not make the data less informative. `certificate` counts in these. Where inference
        is not exact, they are those of the expected information, Eq. (3.6), at the estimate; and
        of the covariance that `with_covariance` has put in their place.
        """
        ls = self.least_squares
        if self.robust is not None:
            return self._spread(standard_errors(self, np.eye(self.rank)))
        if self.information is not None:
            return self._spread(self.information.std_errors)
        assert ls is not None
        return self._spread(ls.unscale(ls.spread * self._s))

    def covariance(
        self, kind: Kind | None = None, *, groups: Any = None, lags: int | None = None
    ) -> F64:
        """Covariance of the coefficients, shape (p, p), in the units of their products.

        Parameters
        ----------
        kind : str, optional
            The one that the fit uses by default: ``expected``, unless `with_covariance` changed it.

            ``expected``: s²(XᵀX)⁻¹, Eq. (2.11); for other than Gaussian noise of one scale the
            inverse of the expected information, Eq. (3.6). ``observed``: of the Hessian, Eq. (3.7).
            ``opg``: of the outer products of the rows' gradients.

            Right in large samples where the model of the noise is wrong: ``HC0`` (or ``sandwich``),
            White's, Eq. (12.5); ``HC1`` to ``HC3``, corrected for what the fit takes off the
            residuals, Eq. (12.6); ``cluster``, where the rows of a group belong together, and
            ``HAC`` (Newey and West), where neighbours in time do, Eq. (12.7). All but the first
            read the rows.
        groups : array, shape (n,), or a tuple of two
            Of ``cluster``: a label for each row of the data; two arrays cluster two ways. Names of
            columns where the data are out of core.
        lags : int, optional
            Of ``HAC``, the rows being in order of time; ⌊4 (n/100)^(2/9)⌋ by default.
        """
        if kind is not None:
            return self.with_covariance(kind, groups=groups, lags=lags).covariance()
        check_kind("expected", groups, lags, self.n_rows, self.rank)
        W, C = combined(self, np.eye(self.rank))
        if C is None:
            return self._expected()
        with np.errstate(over="ignore", under="ignore"):
            H = W @ C
            return self._square(H @ H.T)

    def with_covariance(self, kind: Kind, *, groups: Any = None, lags: int | None = None) -> "Fit":
        """The same fit, whose standard errors, tests and intervals use another covariance.

        Parameters
        ----------
        kind, groups, lags
            As of `covariance`.

        Returns
        -------
        Fit
            With t quantiles of n − p degrees of freedom for least squares, or of the number of
            clusters less one; as R's ``coeftest`` and Stata have it. The certificate counts
            in the standard errors of the model all the same.

        Examples
        --------
        >>> import mlreg as ml
        >>> data = ml.datasets.norris()
        >>> fit = ml.fit(data.X, data.y).with_covariance("HC3")
        >>> "standard errors: HC3" in fit.summary()
        True
        """
        if kind == "expected":
            check_kind(kind, groups, lags, self.n_rows, self.rank)
            return dataclasses.replace(self, robust=None)
        return dataclasses.replace(self, robust=self._robust(kind, groups, lags))

    def _robust(self, kind: Kind, groups: Any, lags: int | None) -> Robust:
        kind = "HC0" if kind == "sandwich" else kind
        if self.least_squares is not None and kind in get_args(OfLeastSquares):
            check_kind(kind, groups, lags, self.n_rows, self.rank)
            return robust(self.least_squares, self._likelihood(), kind, groups, lags)
        R = self.R.R[:-1, :-1] if self.information is None else self.information.R
        return robust_covariance(
            self._likelihood(), self.solution.theta, kind, R, self.R.exponent, groups, lags
        )

    def _expected(self) -> F64:
        """The inverse of the expected information; of least squares s²(XᵀX)⁻¹."""
        ls = self.least_squares
        if self.information is not None:
            return self._square(self.information.covariance)
        assert ls is not None
        # its diagonal are the refined standard errors, where there are any
        exact = ls.spread / np.linalg.norm(ls.inverse, axis=1) * self._s
        rows = np.array([ls.unscale(c) for c in (ls.inverse * exact[:, None]).T]).T
        with np.errstate(over="ignore"):
            return self._square(rows @ rows.T)

    def _square(self, kept: F64) -> F64:
        """A matrix of the kept columns among all, NaN for the others."""
        full = np.full((len(self.names),) * 2, np.nan)
        full[np.ix_(self.rank_report.kept, self.rank_report.kept)] = kept
        return full

    @property
    def t_values(self) -> F64:
        """params / std_errors."""
        with np.errstate(divide="ignore", invalid="ignore"):  # errors that underflow
            return self.params / self.std_errors

    @property
    def p_values(self) -> F64:
        """Two-sided p values of the t values: Student's t with n − p degrees of freedom, or normal.

        With a prior they would test nothing: the posterior is not about a hypothesis.
        """
        self._maximum("p_values")
        return t_p_values(self.t_values, self.df_quantiles)

    def conf_int(self, level: float = 0.95) -> F64:
        """Confidence intervals params ± t·std_errors, shape (p, 2), Eq. (2.5).

        With normal quantiles where inference is not exact; posterior intervals with a prior.
        """
        return t_interval(self.params, self.std_errors, level, self.df_quantiles)

    def test(self, hypothesis: Any) -> WaldTest:
        """Wald test of linear hypotheses, Eq. (12.2): an F test, exact for least squares.

        Parameters
        ----------
        hypothesis : str, sequence of str, or array of shape (q, p)
            In words, ``"x1 = x2 = 0"``, ``"2*x1 + x2 = 3, Intercept = 0"``, names as they stand in
            `names` (in backticks where they hold signs that could be misread); or the matrix L of
            Lβ = 0.

        Raises
        ------
        InvalidInput
            Unknown names; what is no linear equation; hypotheses that follow from one another, or
            about a coefficient that was left out.

        Examples
        --------
        >>> import mlreg as ml
        >>> longley = ml.datasets.longley()
        >>> fit = ml.fit(longley.X, longley.y)
        >>> round(fit.test("x1 = x2 = 0").p_value, 4)
        0.4776
        """
        return wald_test(self, hypothesis)

    def contrasts(self, what: Any, level: float = 0.95, *, simultaneous: bool = False) -> Contrasts:
        """Linear combinations of the coefficients, with standard errors and limits.

        Parameters
        ----------
        what : str, sequence of str, or array of shape (q, p)
            As for `test`: ``"x1 - x2"``, or a matrix L, such as rows of a design.
        level : float
            Probability that the limits cover.
        simultaneous : bool
            Whether they do for all of these together, and for all their combinations (Scheffé's,
            Eq. (12.15)); or each for itself.
        """
        return contrasts(self, what, level, simultaneous)

    def margins(self, data: Any, at: Mapping[str, Any], level: float = 0.95) -> Contrasts:
        """Predictive margins: the mean of Xβ over rows whose columns are set to given values.

        Parameters
        ----------
        data : array or table
            The rows, as for `predict`.
        at : mapping
            For each column to be set a value, or a list of them; every combination is taken.
        level : float
            Probability that the limits cover, each for itself.

        Returns
        -------
        Contrasts
            Of a transformed response, on the scale of the model. The rows count as given: what
            others would have been drawn is not in the standard errors.
        """
        return margins(self, data, at, level)

    def confidence_region(self, names: Any, level: float = 0.95) -> Region:
        """Joint confidence region of some coefficients, Eq. (12.15).

        Parameters
        ----------
        names : sequence of str
            Which.
        level : float
            Probability that it covers all of them.
        """
        return region(self, names, level)

    def random_scaling_interval(self, level: float = 0.95) -> F64:
        """Intervals from the path of one pass of averaged SGD, shape (p, 2), Eq. (13.12).

        They need neither residuals nor a covariance, and hold as the number of minibatches grows,
        where rows are drawn independently and the average has forgotten the start: about the
        average of all iterates, and wider than `conf_int`, for their scale is random, too.

        Parameters
        ----------
        level : float
            Probability that each covers its coefficient.

        Raises
        ------
        InvalidInput
            A fit that is not of ``SGD(..., epochs=1, average="all")``; a path that is too short.
        """
        return random_scaling_interval(self, level)

    def profile_interval(self, which: str | int, level: float = 0.95) -> tuple[float, float]:
        """Profile-likelihood confidence interval of one parameter; it reads the rows.

        Parameters
        ----------
        which : str or int
            A coefficient or a column of the scale design by its name, ``"sigma"``, ``"df"`` of a
            Student's t whose df was estimated; or a position in θ, of the columns that were kept.
        level : float
            Probability that the interval covers it, in large samples.

        Returns
        -------
        lower, upper : float
            An end is infinite where the likelihood never falls so far.
        """
        if which == "df" and self.n_shape:
            profile = Profile(self._likelihood(), Newton().minimize_from)
            return profile_df(profile, getattr(self.noise, "df", math.inf), level)
        return profile_interval(self._likelihood(), self.solution, which, level)

    def scale_conf_int(self, level: float = 0.95) -> F64:
        """Intervals for `scale_params`, shape (q, 2), with normal quantiles, or those of `robust`.

        A robust covariance of least squares is one of the coefficients alone.
        """
        robust = self.robust is not None and self.robust.scale_std_errors is not None
        df = self.df_quantiles if robust else math.inf
        return t_interval(self.scale_params, self.scale_std_errors, level, df)

    # How it came about

    @property
    def status(self) -> Status:
        """Why the optimizer stopped."""
        return self.solution.status

    @property
    def certificate(self) -> Certificate:
        """How far `params` is from the MLE."""
        return self.solution.certificate

    @property
    def history(self) -> History:
        """The way of the optimizer."""
        return self.solution.history

    # Predictions

    @overload
    def predict(self, X_new: Any, *, of: Of = "median") -> F64: ...
    @overload
    def predict(
        self,
        X_new: Any,
        interval: Literal["mean", "prediction"],
        level: float = 0.95,
        of: Of = "median",
        scale: Any = None,
    ) -> Prediction: ...
    def predict(
        self,
        X_new: Any,
        interval: Literal["mean", "prediction"] | None = None,
        level: float = 0.95,
        of: Of = "median",
        scale: Any = None,
    ) -> F64 | Prediction:
        """Mean (centre) of the response at new rows, Eq. (6.1), and limits for it.

        The mean is the median too, unless the response is transformed.

        Parameters
        ----------
        X_new : array, dataframe or table
            The columns that the model was fitted with, without the intercept;
            matched by name where it had names. One row may be one-dimensional.
        interval : "mean" or "prediction", optional
            Limits for what ``of`` says, or for a new observation (of precision one). Those of a
            transformed response are transformed back, which keeps their level; only the mean
            then has no such limits, and is refused.
        level : float
            Probability that the interval covers it: exactly, for Gaussian noise of one scale;
            else as the number of rows grows, by the noise convolved with the normal error of Xβ.
        of : "median", "mean" or "transformed"
            Of a transformed response: its median, which is Xβ transformed back; its mean, at the
            MLE of sigma; or Xβ, on the scale of the model.
        scale : array, shape (m,) or (m, q), optional
            As for `predict_scale`.

        Returns
        -------
        ndarray, shape (m,); or Prediction
            In the units of the response.

        Raises
        ------
        InvalidInput
            Columns missing, NaN, or categories that the fit has not seen; limits for the mean of
            a transformed response.

        Warns
        -----
        NumericalWarning
            Columns were left out as dependent, and the new rows do not obey that dependence.
        """
        return predict(self, X_new, interval, level, of, scale)

    def predict_scale(self, X_new: Any, scale: Any = None) -> F64:
        """Noise scale σ at new rows, shape (m,), in units of y.

        Parameters
        ----------
        X_new : array, dataframe or table
            As for `predict`.
        scale : array, shape (m,) or (m, q), optional
            Their scale columns, where the fit was given an array of them.
        """
        return predict_scale(self, X_new, scale)

    def fitted_values(self) -> F64:
        """Xβ, Eqs. (1.1) and (2.8), for the rows of the fit, in their order, shape (rows,).

        Of a transformed response, on the scale of the model.
        """
        return np.concatenate([mean for mean, _ in self._rows()])

    def residuals(self) -> F64:
        """y − Xβ, Eq. (2.8), for the rows of the fit, not weighted, in order, shape (rows,).

        Of a transformed response, on the scale of the model.
        """
        return np.concatenate([y - mean for mean, y in self._rows()])

    # Diagnostics

    def influence(self) -> Influence:
        """What each row does to the fit; it reads the rows, once.

        Returns
        -------
        Influence
            Leverage, studentised residuals, Cook's distance, DFFITS and leave-one-out residuals of
            each row, Eqs. (12.8) to (12.12); ``largest(k)`` are the rows that matter most.

        Raises
        ------
        DataNeeded
            The fit is without its rows.
        """
        return influence(self)

    def augment(self, data: Any = None) -> Any:
        """The data with what the fit says of each row, in the kind of table that was given.

        Parameters
        ----------
        data : dataframe, table, array or path, optional
            The data of the fit, all rows in their order, perhaps with further columns; by default
            the data itself, with the response. It is not changed.

        Returns
        -------
        DataFrame of pandas or polars, pyarrow Table, or dict of arrays
            With the index of the data; a dict for arrays and dicts, and a Table for paths and other
            Arrow streams. Further columns, NaN in rows that were left out for a missing value or a
            weight of zero: ``fitted`` and ``residual``, as `fitted_values` and `residuals`;
            ``leverage``, Eq. (12.8); and of least squares ``studentised``, externally, Eq. (12.10),
            and ``cooks_distance``, Eq. (12.11).

        Raises
        ------
        InvalidInput
            A column has one of these names already; data that is not that of the fit; rows out of
            core.
        DataNeeded
            The fit is without its rows.
        """
        return augment(self, data)

    def influence_blocks(self) -> Iterator[Influence]:
        """The same block by block, for rows that do not fit in memory."""
        return influence_blocks(self)

    def collinearity(self, *, centred: bool = False) -> Collinearity:
        """Variance inflation, Eq. (12.14), condition indices and variance proportions; no rows.

        Parameters
        ----------
        centred : bool
            Whether indices and proportions are those of the centred columns. As the columns are,
            an offset common to a column makes it collinear with the intercept.

        Raises
        ------
        InvalidInput
            Columns that are dependent, which only a prior tells apart.
        """
        return collinearity(self, centred=centred)

    def specification_test(self, kind: SpecificationKind) -> SpecificationTest:
        """A test of what the model assumes, by statsmodels (extra ``diagnostics``); reads the rows.

        Parameters
        ----------
        kind : str
            ``"breusch-pagan"`` and ``"white"``: that the variance of the noise does not change with
            the columns, or with their squares and products; ``"jarque-bera"``: that it is normal;
            ``"reset"``: that the mean is linear; ``"durbin-watson"``: that rows, in order of time,
            do not correlate with the one before.

        Returns
        -------
        SpecificationTest
            Statistic, degrees of freedom, p value, and the hypothesis in words.

        Raises
        ------
        InvalidInput
            A fit that is not least squares or that is perfect; too few rows or columns.
        MissingDependency
            statsmodels is not installed.

        Notes
        -----
        Breusch–Pagan, White and RESET hold their rows in memory, Jarque–Bera the residuals: of
        more than 4 million numbers they take a random sample of the rows, and say so.
        """
        return specification_test(self, kind)

    def diagnose(self, *, time_ordered: bool = False, level: float = 0.05) -> Diagnosis:
        """What is wrong with the fit, in words, and what to do; it reads the rows.

        Parameters
        ----------
        time_ordered : bool
            Whether rows are in order of time, so that autocorrelation is looked for.
        level : float
            Probability of a false alarm by all tests together (Holm) where the model is right.

        Returns
        -------
        Diagnosis
            Each finding with its number, its test and a remedy; and what was not looked at, and
            why. Printed, it is text.
        """
        return diagnose(self, time_ordered=time_ordered, level=level)

    # Reports

    def plot(self, *, level: float = 0.95) -> "Figure":
        """The page of diagnostic plots, see `mlreg.plots.diagnostics` (extra ``plots``).

        Parameters
        ----------
        level : float
            Of its bands.

        Returns
        -------
        matplotlib Figure
            ``fit.plot().savefig("fit.png")`` writes it; a notebook shows it.

        Raises
        ------
        MissingDependency
            Without matplotlib.
        """
        from mlreg.plots.diagnostics import diagnostics  # a door, and heavy

        return diagnostics(self, level=level)

    def summary(self, level: float = 0.95, *, format: Format = "text") -> str:
        """The fit as a table, with the certificate under it.

        Parameters
        ----------
        level : float
            Probability that each interval covers its coefficient.
        format : "text", "html" or "markdown"
            HTML is a fragment of a page, and what a notebook shows; every name in it is escaped.
            ``rich.print(fit)`` draws the same.
        """
        return render(summarize(self, level), format)

    def report(
        self, path: str | os.PathLike[str], level: float = 0.95, *, time_ordered: bool = False
    ) -> None:
        """Write a page of HTML: summary, certificate, diagnostics and figures, all in one file.

        Parameters
        ----------
        path : path
            The file; an older one is replaced when the page is done.
        level : float
            Probability that each interval covers its coefficient.
        time_ordered : bool
            As of `diagnose`.

        Notes
        -----
        What cannot be had, for want of rows, statsmodels or matplotlib (extras ``diagnostics`` and
        ``plots``), is named on the page with its reason. The page loads nothing from elsewhere.
        """
        from mlreg.reports import report  # it draws, and figures are of fits

        report(self, path, level, time_ordered)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return self.summary(format="html")

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield from rich_parts(summarize(self, 0.95))

    if not TYPE_CHECKING:  # which would believe that every attribute exists

        def __getattr__(self, name: str) -> Any:
            here = ELSEWHERE.get(name)
            hint = f": here it is {here}" if here else ""
            raise AttributeError(f"'Fit' has no attribute {name!r}{hint}", name=name, obj=self)

    def __repr__(self) -> str:
        noise = "" if self.exact else f"{self._kind}; "
        return f"<Fit: {noise}{self.rank} coefficients, {self.n_rows} rows, {self.status.code}>"

    def to_frame(self, level: float = 0.95) -> Any:
        """Coefficients as a pandas DataFrame, a row each.

        Columns ``estimate``, ``std_error``, ``t_value``, ``p_value`` (not with a prior), ``lower``,
        ``upper``.
        """
        lower, upper = self.conf_int(level).T
        columns = {"estimate": self.params, "std_error": self.std_errors}
        if self.prior is None:
            columns |= {"t_value": self.t_values, "p_value": self.p_values}
        columns |= {"lower": lower, "upper": upper}
        return data_frame(columns, self.names, "name")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as plain numbers and strings, exactly."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields["source"]
        noise = self.noise
        shape: dict[str, Any] = dict(vars(noise)) if dataclasses.is_dataclass(noise) else {}
        kind = {"name": type(noise).__name__, "shape": shape, "repr": repr(noise)}
        fields["solution"] = {**vars(self.solution), "noise": kind}
        head = {"format": FORMAT, "version": VERSION, "mlreg": __version__}
        return dict(plain({**head, **fields, "design": self.design.to_dict()}))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the rows to a JSON file, from which `load` restores it exactly."""
        write(path, self.to_dict())

    # Helpers

    @property
    def exact(self) -> bool:
        """Whether inference is exact: Gaussian noise of one scale, no prior, Eq. (2.5)."""
        return self.least_squares is not None

    @property
    def df_quantiles(self) -> float:
        """Degrees of freedom of t quantiles: n − p for least squares, or those of `robust`.

        Infinite where they are normal.
        """
        if self.robust is not None:
            return self.robust.df
        return self.df_resid if self.exact else math.inf

    def _gaussian(self, what: str) -> LeastSquares:
        """The least-squares solution; an error for a fit that is none."""
        if self.least_squares is None:
            raise InvalidInput(
                f"{what} is a thing of least squares: Gaussian noise of one scale, no prior. This "
                f"fit has {self._kind}; log_likelihood and ml.compare say how well it explains "
                "the data"
            )
        return self.least_squares

    def _maximum(self, what: str) -> None:
        """An error where the estimate is no maximum of the likelihood."""
        if self.prior is not None:
            raise InvalidInput(
                f"{what} is for maximum-likelihood estimates, and this is the mode of a posterior: "
                "log_likelihood on other data, and conf_int, say what can be said"
            )

    @property
    def _kind(self) -> str:
        """Noise, scale and prior in words."""
        parts = [str(self.noise)]
        if self.scale_names:
            parts.append(f"a scale that depends on {', '.join(self.scale_names)}")
        if self.prior is not None:
            parts.append(f"the prior {self.prior}")
        return ", ".join(parts)

    @property
    def _s(self) -> float:
        """Residual standard error at the MLE in scaled units; NaN where there is none."""
        return self._gaussian("s").s or math.nan

    @property
    def _scale_y(self) -> int:
        """Power of two that the response was divided by."""
        return int(self.R.exponent[-1])

    @cached_property
    def _residual_norm(self) -> float:
        """√RSS at `params`, in scaled units."""
        if self.least_squares is not None:
            return math.hypot(
                self.least_squares.norm_r, norm(self.least_squares.contrast(self._beta))
            )
        exponent = self.R.exponent
        beta = scale_columns(self._beta, exponent[:-1] - exponent[-1])
        return norm(self.R.R @ np.append(beta, -1.0))

    @cached_property
    def _total_norm(self) -> float:
        """√TSS, in scaled units; about the mean where there is a constant column."""
        y = self.R.R[:, -1]
        if self.constant is not None:
            c = self.R.R[:, self.constant]
            y = y - c * (c @ y / (c @ c))
        return float(np.linalg.norm(y))

    def _spread(self, kept: F64) -> F64:
        """Values of the kept columns in their places among all, NaN for the others."""
        out = np.full(len(self.names), np.nan)
        out[list(self.rank_report.kept)] = kept
        return out

    def _kept_source(self) -> Source:
        """The rows, of the columns that were kept."""
        if self.source is None:
            raise DataNeeded(
                "this fit is without its rows (loaded, or made from sufficient statistics): use "
                "predict(X) on the data, or fit them again"
            )
        kept = self.rank_report.kept
        return SelectedSource(self.source, kept) if self.rank_report.dependent else self.source

    def _likelihood(self) -> LinearLikelihood:
        return LinearLikelihood.from_source(self._kept_source(), self.noise, self.prior)

    def _rows(self) -> Any:
        for block in self._kept_source().blocks():
            yield to_numpy(block.X) @ self._beta, to_numpy(block.y)
