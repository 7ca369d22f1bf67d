"""`Fit`: what ``mlreg.fit`` returns."""

import dataclasses
import math
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mlreg._version import __version__
from mlreg.certificate import Certificate, LeastSquares
from mlreg.data.design import Design, design_from_dict
from mlreg.errors import DataNeeded, InvalidInput, MissingDependency, NumericalWarning
from mlreg.files import plain, read, write
from mlreg.inference.intervals import FTest, f_test, t_interval, t_p_values, t_quantile
from mlreg.inference.prediction import Prediction, leverage_root
from mlreg.inference.summary import summary
from mlreg.likelihood.blocks import Source, to_numpy
from mlreg.likelihood.noise import Gaussian
from mlreg.likelihood.wrapped import SelectedSource
from mlreg.linalg.rank import Dependence, RankReport
from mlreg.linalg.refine import Refined
from mlreg.linalg.triangle import Triangle, norm
from mlreg.optimizers.solution import History, Solution, Status

__all__ = ["Fit", "load"]

F64 = NDArray[np.float64]
FORMAT, VERSION = "mlreg.Fit", 1
Of = Literal["median", "mean", "transformed"]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted linear model with Gaussian noise.

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
    least_squares : LeastSquares
        The MLE, and the triangle of [X y] that it came from, the sufficient statistic.
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
    reads : int
        Passes over the data.
    n_missing : int
        Rows that were left out for missing values.
    log_jacobian : float
        Sum of log g'(y) over the observations, for a response transformed by g.
    """

    solution: Solution
    names: tuple[str, ...]
    least_squares: LeastSquares
    source: Source | None
    design: Design
    rank_report: RankReport
    log_precision: float
    constant: int | None
    optimizer: str
    reads: int
    n_missing: int = 0
    log_jacobian: float = 0.0

    @property
    def R(self) -> Triangle:
        """Triangle of [X y], Eq. (2.6), of the columns that were kept."""
        return self.least_squares.triangle

    @property
    def n_rows(self) -> int:
        """Observations n: the sum of the frequency weights."""
        return self.least_squares.n_rows

    # What was estimated

    @property
    def params(self) -> F64:
        """Coefficients β, Eq. (2.2), shape (p,), in units of y per unit of the column."""
        return self._spread(self.solution.theta[:-1])

    @property
    def sigma(self) -> float:
        """MLE of the noise scale, √(RSS/n), Eq. (2.3), in units of y; its bias: Eq. (2.10)."""
        return float(np.exp(self.solution.theta[-1]))

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
            return float(np.ldexp(np.square(self._residual_norm), 2 * self.least_squares.scale_y))

    @property
    def residual_std_error(self) -> float:
        """√(RSS/(n − p)), Eq. (2.4), in units of y; NaN where n = p."""
        return self.sigma * math.sqrt(self.n_rows / self.df_resid) if self.df_resid else math.nan

    # How well it explains the data

    @property
    def nll(self) -> float:
        """NLL of Eq. (1.4) at (params, sigma), Eq. (2.9); −inf for a perfect fit, where σ̂ = 0.

        Of a response that is transformed by g it is that of g(y) less the sum of log g'(y).
        """
        if self.status.code == "perfect-fit":
            return -math.inf
        each = 0.5 * math.log(2 * math.pi) + float(self.solution.theta[-1]) + 0.5
        return self.n_rows * each - 0.5 * self.log_precision - self.log_jacobian

    @property
    def log_likelihood(self) -> float:
        """−nll, natural logarithm, all constants kept."""
        return -self.nll

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2·nll + 2(rank + 1): σ counts as a parameter."""
        return 2 * self.nll + 2 * (self.rank + 1)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, 2·nll + log(n)·(rank + 1)."""
        return 2 * self.nll + math.log(self.n_rows) * (self.rank + 1)

    @property
    def r_squared(self) -> float:
        """1 − RSS/TSS; TSS about the (weighted) mean where there is a constant, else about zero.

        Of a transformed response, on its own scale: it does not compare with that of another.
        """
        total = self._total_norm
        if total <= self.R.epsilon * self.least_squares.norm_y:
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
        """Test that all coefficients but the constant are zero."""
        df_model = self.rank - (self.constant is not None)
        if self.status.code == "perfect-fit":
            return f_test(1.0, 0.0, df_model, self.df_resid)
        t, r = self._total_norm, self._residual_norm
        return f_test((t - r) / r * ((t + r) / r), 1.0, df_model, self.df_resid)

    # What the estimate is worth

    @property
    def std_errors(self) -> F64:
        """Standard errors s·√diag((XᵀX)⁻¹) of the MLE, Eq. (2.11), shape (p,); NaN: perfect fit.

        s is taken at the MLE, not at `params`: an optimizer that stopped early
        does not make the data less informative. `certificate` counts in these.
        """
        ls = self.least_squares
        return self._spread(ls.unscale(ls.spread * self._s))

    def covariance(self, kind: Literal["expected"] = "expected") -> F64:
        """Covariance of the coefficients, shape (p, p), in the units of their products.

        Parameters
        ----------
        kind : "expected"
            s²(XᵀX)⁻¹, Eq. (2.11): the inverse of the expected information, Eq. (3.4),
            with s² in the place of σ̂².
        """
        if kind != "expected":
            raise InvalidInput(f"kind must be 'expected', the only one so far; not {kind!r}")
        ls = self.least_squares
        # its diagonal are the refined standard errors, where there are any
        exact = ls.spread / np.linalg.norm(ls.inverse, axis=1) * self._s
        rows = np.array([ls.unscale(c) for c in (ls.inverse * exact[:, None]).T]).T
        full = np.full((len(self.names),) * 2, np.nan)
        kept = list(self.rank_report.kept)
        with np.errstate(over="ignore"):
            full[np.ix_(kept, kept)] = rows @ rows.T
        return full

    @property
    def t_values(self) -> F64:
        """params / std_errors."""
        with np.errstate(divide="ignore", invalid="ignore"):  # errors that underflow
            return self.params / self.std_errors

    @property
    def p_values(self) -> F64:
        """Two-sided p values of the t values, with n − p degrees of freedom."""
        return t_p_values(self.t_values, self.df_resid)

    def conf_int(self, level: float = 0.95) -> F64:
        """Confidence intervals params ± t·std_errors, shape (p, 2), Eq. (2.5)."""
        return t_interval(self.params, self.std_errors, level, self.df_resid)

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
    ) -> Prediction: ...
    def predict(
        self,
        X_new: Any,
        interval: Literal["mean", "prediction"] | None = None,
        level: float = 0.95,
        of: Of = "median",
    ) -> F64 | Prediction:
        """Mean of the response at new rows, Eq. (6.1), and limits for it.

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
            Probability that the interval covers it.
        of : "median", "mean" or "transformed"
            Of a transformed response: its median, which is Xβ transformed back; its mean, at the
            MLE of sigma; or Xβ, on the scale of the model.

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
        if interval not in (None, "mean", "prediction"):
            raise InvalidInput(f"interval must be None, 'mean' or 'prediction', not {interval!r}")
        if of not in ("median", "mean", "transformed"):
            raise InvalidInput(f"of must be 'median', 'mean' or 'transformed', not {of!r}")
        transform = None if of == "transformed" else self.design.transform
        if transform is not None and (interval, of) == ("mean", "mean"):
            raise InvalidInput(
                "limits for the mean of a transformed response are not those of the model "
                "transformed back: take of='median', or of='transformed'"
            )
        rows = self.design.matrix(X_new)
        self._check_dependence(rows)
        kept = rows[:, list(self.rank_report.kept)]
        mean = centre = kept @ self.solution.theta[:-1]
        if transform is not None:
            centre = np.asarray(
                transform.mean(mean, self.sigma, self.solution.noise)
                if of == "mean"
                else transform.inverse(mean)
            )
        if interval is None:
            return centre
        half = leverage_root(self.R, kept)
        if interval == "prediction":
            half = np.hypot(half, 1.0)
        half = (
            half * t_quantile(level, self.df_resid) * np.ldexp(self._s, self.least_squares.scale_y)
        )
        lower, upper = mean - half, mean + half
        if transform is not None:
            lower, upper = (np.asarray(transform.inverse(limit)) for limit in (lower, upper))
        return Prediction(centre, lower, upper)

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

    # Reports

    def summary(self, level: float = 0.95) -> str:
        """The fit as a text table, with the certificate under it."""
        return summary(self, level)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Fit: {self.rank} coefficients, {self.n_rows} rows, {self.status.code}>"

    def to_frame(self, level: float = 0.95) -> Any:
        """Coefficients as a pandas DataFrame, a row each.

        Columns ``estimate``, ``std_error``, ``t_value``, ``p_value``, ``lower``, ``upper``.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependency("to_frame needs pandas: pip install pandas") from error
        lower, upper = self.conf_int(level).T
        columns = {
            "estimate": self.params,
            "std_error": self.std_errors,
            "t_value": self.t_values,
            "p_value": self.p_values,
            "lower": lower,
            "upper": upper,
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="name"))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as plain numbers and strings, exactly."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields["source"]
        fields["solution"] = {**vars(self.solution), "noise": repr(self.solution.noise)}
        head = {"format": FORMAT, "version": VERSION, "mlreg": __version__}
        return dict(plain({**head, **fields, "design": self.design.to_dict()}))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the rows to a JSON file, from which `load` restores it exactly."""
        write(path, self.to_dict())

    # Helpers

    @property
    def _s(self) -> float:
        """Residual standard error at the MLE in scaled units; NaN where there is none."""
        return self.least_squares.s or math.nan

    @cached_property
    def _residual_norm(self) -> float:
        """√RSS at `params`, in scaled units."""
        return math.hypot(
            self.least_squares.norm_r, norm(self.least_squares.contrast(self.solution.theta[:-1]))
        )

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

    def _check_dependence(self, rows: F64) -> None:
        for d in self.rank_report.dependent:
            parts = np.array([c * rows[:, j] for c, j in d.terms]).reshape(-1, len(rows))
            x = rows[:, d.column]
            scale = np.abs(x) + np.abs(parts).sum(axis=0)
            off = np.abs(x - parts.sum(axis=0)) > 1e-9 * scale
            if off.any():
                warnings.warn(
                    f"{int(off.sum())} rows, first row {int(off.argmax())}, do not obey "
                    f"{self.rank_report.describe(self.names)!r}, which held in the fit: the fit "
                    "cannot tell what happens there, and the prediction ignores "
                    f"{self.names[d.column]!r}",
                    NumericalWarning,
                    stacklevel=3,
                )

    def _rows(self) -> Any:
        if self.source is None:
            raise DataNeeded(
                "this fit is without its rows (loaded, or made from sufficient statistics): use "
                "predict(X) on the data"
            )
        kept = self.rank_report.kept
        source = SelectedSource(self.source, kept) if self.rank_report.dependent else self.source
        for block in source.blocks():
            yield to_numpy(block.X) @ self.solution.theta[:-1], to_numpy(block.y)


def load(path: str | os.PathLike[str]) -> Fit:
    """Restore a fit that `Fit.save` wrote; it has everything but its rows.

    Raises
    ------
    InvalidInput
        Not such a file, or one of another version.
    """
    d = read(path, FORMAT, VERSION)
    d.setdefault("log_jacobian", 0.0)  # older files know of no transform
    try:
        return _restore(d)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{os.fspath(path)!r} is damaged: {error!r}") from error


def _restore(d: dict[str, Any]) -> Fit:
    solution, ls = d["solution"], d["least_squares"]
    triangle, refined = ls["triangle"], ls["refined"]
    certificate, history = solution["certificate"], solution["history"]
    for holder, key in (
        (certificate, "per_param"),
        (certificate, "rounding"),
        (history, "mean_nll"),
        (history, "distance"),
        (solution, "theta"),
        (triangle, "R"),
        (ls, "beta"),
        *((refined, key) for key in ("beta", "low", "bound", "spread") if refined),
    ):
        if holder[key] is not None:
            holder[key] = np.array(holder[key], dtype=np.float64)
    triangle["exponent"] = np.array(triangle["exponent"], dtype=np.int64)
    certificate["names"] = tuple(certificate["names"])
    parts: dict[str, Any] = {
        "solution": Solution(
            solution["theta"],
            Gaussian(),
            Status(**solution["status"]),
            Certificate(**certificate),
            History(**history),
            solution["reads"],
        ),
        "names": tuple(d["names"]),
        "least_squares": LeastSquares(
            Triangle(**triangle),
            ls["n_rows"],
            ls["beta"],
            _report(ls["rank"]),
            Refined(**refined) if refined else None,
        ),
        "source": None,
        "design": design_from_dict(d["design"]),
        "rank_report": _report(d["rank_report"]),
    }
    rest = {f.name: d[f.name] for f in dataclasses.fields(Fit) if f.name not in parts}
    return Fit(**parts, **rest)


def _report(d: dict[str, Any]) -> RankReport:
    dependent = tuple(
        Dependence(e["column"], tuple((float(c), int(j)) for c, j in e["terms"]))
        for e in d["dependent"]
    )
    return RankReport(**{**d, "kept": tuple(d["kept"]), "dependent": dependent})
