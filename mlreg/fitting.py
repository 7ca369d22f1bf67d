"""The front door: ``fit`` ties the rooms together, ``certify`` audits anyone's fit."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import Certificate, certificate, least_squares, require_full_rank
from mlreg.data.arrays import as_vector
from mlreg.data.design import ArrayDesign, Design
from mlreg.data.front import source_of
from mlreg.data.progress import WatchedSource, shown
from mlreg.errors import InvalidInput, InvalidType, NumericalWarning
from mlreg.estimate import Fit
from mlreg.inference.information import information
from mlreg.likelihood.blocks import ArraySource, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Gaussian, Noise
from mlreg.likelihood.prior import NormalPrior
from mlreg.likelihood.student_t import StudentT
from mlreg.likelihood.transform import Transform
from mlreg.linalg.rank import RankReport
from mlreg.linalg.triangle import solve_upper
from mlreg.optimizers.auto_sgd import AutoSGD
from mlreg.optimizers.exact import Exact
from mlreg.optimizers.newton import Newton
from mlreg.optimizers.sgd import SGD
from mlreg.optimizers.shape import has_free_df
from mlreg.optimizers.solution import Optimizer
from mlreg.sufficient import SufficientStatistics

__all__ = ["certify", "fit"]

F64 = NDArray[np.float64]
Missing = Literal["raise", "drop"]

LOUD = 0.1
"""Rounding bound, in standard errors, above which a fit warns."""


@overload
def fit(
    formula: str,
    data: Any,
    /,
    *,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    optimizer: Optimizer | None = None,
    start: Any = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
    rank_deficient: Literal["raise", "drop"] = "raise",
    progress: bool | None = None,
) -> Fit: ...
@overload
def fit(
    X: Any,
    y: Any = None,
    /,
    *,
    intercept: bool | None = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    optimizer: Optimizer | None = None,
    start: Any = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
    rank_deficient: Literal["raise", "drop"] = "raise",
    progress: bool | None = None,
) -> Fit: ...
def fit(
    X: Any,
    y: Any = None,
    /,
    *,
    intercept: bool | None = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    optimizer: Optimizer | None = None,
    start: Any = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
    rank_deficient: Literal["raise", "drop"] = "raise",
    progress: bool | None = None,
) -> Fit:
    """Maximum-likelihood fit of y = Xβ + σ·ε, ε of any noise.

    Three forms: ``fit(X, y)`` with arrays or dataframes; ``fit("y ~ x1 + C(group)",
    data)`` with a formula and a dataframe, Arrow stream, table or path (read
    whole), or with what `read` opened (out of core); ``fit(source)`` with a design
    that is already built.

    Parameters
    ----------
    X : array or dataframe, shape (n, k); or a formula; or a Source
        Regressors.
    y : array, shape (n,); or the data that a formula is about
        Response.
    intercept : bool, optional
        Whether a column of ones is put first. True for arrays by default; a
        formula and a source say so themselves.
    names : sequence of str, optional
        Names of the columns of X; those of the dataframe, or x1, x2, ...
    columns : sequence of str, optional
        Which regressors to take, where X are `SufficientStatistics`; all by default.
    noise : Noise, optional
        `Gaussian` by default; `Laplace`, `StudentT` (its df estimated where it has none),
        `Logistic`, `Huber`, or one's own, symmetric (see `mlreg.likelihood.noise.Noise`).
    scale : formula without a response, or array, shape (n,) or (n, q), optional
        What the size of the noise depends on: log σᵢ = zᵢᵀγ, with zᵢ the row of ``"~ x1"``, or
        of the array behind a column of ones. A formula is about the columns of the data, or of X.
    prior : NormalPrior, optional
        β ~ N(0, τ²) for all coefficients but the intercept: ridge regression. The fit is then
        the mode of the posterior, not the MLE.
    optimizer : Optimizer, optional
        `Exact` for Gaussian noise of one scale without a prior, and for `Laplace`; `Newton` for
        all else; or `SGD`, `Scipy`.
    start : array, shape (p,), optional
        Coefficients to start from, where the optimizer starts anywhere.
    frequency_weights : array, shape (n,), or column name, optional
        Whole numbers: k means k equal rows.
    precision_weights : array, shape (n,), or column name, optional
        The noise of a row has variance σ²/w, Eq. (1.5).
    missing : "raise" or "drop"
        What to do with rows in which a value is missing (NaN or null).
    transform : "log", "log2", "log10", "log1p" or "arcsinh", optional
        The model is one of this transform of the response: coefficients, sigma, R-squared and
        residuals are on its scale. NLL, AIC and BIC are of the response itself, by the
        Jacobian, so that they compare with those of another transform or of none, and `predict`
        comes back to it. The formula ``log(y) ~ x`` (also of ``np.log1p`` and the others) says
        the same.
    rank_deficient : "raise" or "drop"
        What to do with columns that are combinations of earlier ones: an error
        that names them, or leave them out, their coefficients NaN.
    progress : bool, optional
        Whether the passes over the data are shown on stderr; by default on a
        terminal, for data that are not in memory.

    Returns
    -------
    Fit
        The estimate, what it is worth, and how far it is from the MLE.

    Raises
    ------
    InvalidInput, InvalidType
        Data or arguments without a sensible answer; the message names the place and the remedy.
    RankDeficient
        The coefficients are not unique.

    Warns
    -----
    NumericalWarning
        Columns nearly collinear, or digits lost to rounding.

    Examples
    --------
    >>> import mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> fit = ml.fit(longley.X, longley.y)
    >>> round(fit.residual_std_error, 3)
    304.854
    """
    if rank_deficient not in ("raise", "drop"):
        raise InvalidInput(f"rank_deficient must be 'raise' or 'drop', not {rank_deficient!r}")
    noise = _noise(noise)
    if prior is not None and not isinstance(prior, NormalPrior):
        raise InvalidInput(f"prior must be a NormalPrior, such as NormalPrior(2.5); not {prior!r}")
    if columns is not None and not isinstance(X, SufficientStatistics):
        raise InvalidInput(
            "columns= chooses among SufficientStatistics; of data, give the columns themselves"
        )
    misfit = isinstance(optimizer, type) or not hasattr(optimizer, "minimize")
    if optimizer is not None and misfit:
        raise InvalidInput(
            "optimizer must be a configuration, such as Exact(), SGD(0.03) or Scipy('BFGS'); "
            f"not {optimizer!r}"
        )
    weights = {"frequency_weights": frequency_weights, "precision_weights": precision_weights}
    if isinstance(X, SufficientStatistics):
        fixed = {"y": y, "names": names, "scale": scale, "prior": prior, **weights}
        full, design = _of_statistics(X, columns, intercept, {**fixed, "transform": transform})
        full.noise = noise
        source = full.source
    else:
        more = {"progress": progress, "scale": scale, "transform": transform}
        source, design = source_of(X, y, intercept, names, weights, missing, **more)
        watch = shown(progress, not isinstance(source, ArraySource))
        watched = WatchedSource(source) if watch else source
        full = LinearLikelihood.from_source(watched, noise, prior)
    if prior is not None and not noise.smooth:
        raise InvalidInput(
            f"{noise} has kinks, and no optimizer here finds the mode of its posterior: take a "
            "smooth noise with heavy tails, such as Logistic() or StudentT(4)"
        )
    if optimizer is None:
        optimizer = Exact() if full.exact or not noise.smooth else Newton()
    likelihood, start = full, None if start is None else as_vector(start, "start")
    if rank_deficient == "raise" and isinstance(optimizer, (AutoSGD, SGD)):
        # it judges the rank itself, by a triangle that costs no read of its own
        solution = optimizer.minimize(likelihood, start)
        report = full.rank_report
    else:
        report = _rank(full, rank_deficient)
        if not report.kept:
            raise InvalidInput("every column of X is zero: there is nothing to fit")
        if report.dependent:
            likelihood = full.select(report.kept)
        if start is not None and len(start) == len(source.names):  # else the optimizer complains
            start = start[list(report.kept)]
        solution = optimizer.minimize(likelihood, start)
    if solution.n_shape:  # of the noise; it is known now
        likelihood = likelihood.with_noise(solution.noise)
    known = solution.theta
    if solution.status.code in ("perfect-fit", "unbounded"):  # no standard error exists
        known = np.append(known[: likelihood.n_params], [-math.inf] * likelihood.n_scale)
    result = Fit(
        solution=solution,
        names=tuple(source.names),
        scale_names=likelihood.scale_names,
        least_squares=least_squares(likelihood) if likelihood.exact else None,
        information=None if likelihood.exact else information(likelihood, known),
        prior=prior,
        source=None if isinstance(X, SufficientStatistics) else source,
        design=design,
        rank_report=report,
        log_precision=likelihood.log_precision,
        log_jacobian=likelihood.log_jacobian,
        constant=likelihood.constant,
        optimizer=repr(optimizer),
        reads=likelihood.reads,
        n_missing=X.n_missing
        if isinstance(X, SufficientStatistics)
        else getattr(source, "left_out", 0),
    )
    _warn(result, report, optimizer)
    return result


def _noise(noise: Any) -> Noise:
    """The noise, Gaussian by default; an error for what is none."""
    if noise is None:
        return Gaussian()
    if isinstance(noise, StudentT) and has_free_df(noise):  # no density yet
        return noise
    members = ("rho", "psi", "dpsi", "cdf", "quantile", "sample", "fisher", "smooth", "symmetric")
    missing = [name for name in members if not hasattr(noise, name)]
    if isinstance(noise, type) or missing:
        raise InvalidInput(
            f"noise must be a noise, such as StudentT(4) or Laplace(); not {noise!r}"
            + (f", which lacks {', '.join(missing)}" if hasattr(noise, "rho") and missing else "")
        )
    known: Noise = noise
    if not known.symmetric or known.fisher[1]:
        raise InvalidInput(
            f"{noise!r} is not symmetric: intercept and scale then share information, which the "
            "standard errors here know nothing of. Use LinearLikelihood for its NLL"
        )
    return known


def _rank(likelihood: LinearLikelihood, rank_deficient: str) -> RankReport:
    """Which columns are fitted: with a prior all, for it determines what the data do not."""
    report = likelihood.rank_report
    if rank_deficient == "drop" or (likelihood.prior is None and not report.dependent):
        return report
    if likelihood.prior is None:
        return require_full_rank(likelihood)
    return replace(report, kept=tuple(range(likelihood.n_params)), dependent=())


def _of_statistics(
    stats: SufficientStatistics,
    columns: Sequence[str] | None,
    intercept: bool | None,
    fixed: dict[str, Any],
) -> tuple[LinearLikelihood, Design]:
    """The likelihood of some columns of sufficient statistics."""
    given = [name for name, value in fixed.items() if value is not None]
    if given:
        raise InvalidInput(f"sufficient statistics hold their design: leave out {', '.join(given)}")
    likelihood = stats.likelihood(columns, intercept=intercept)
    kept = tuple(likelihood.source.names)
    if stats.design is not None and kept == stats.names:
        return likelihood, stats.design
    return likelihood, ArrayDesign(
        kept, "Intercept" in kept, stats.response, transform=stats.transform
    )


def _warn(result: Fit, report: RankReport, optimizer: Optimizer) -> None:
    ls = result.least_squares
    if report.doubtful and result.prior is None:
        R = result.R.R[:-1, :-1]
        inverse = solve_upper(R, np.eye(len(R)))
        inflation = np.linalg.norm(R, axis=0) * np.linalg.norm(inverse, axis=1)
        if result.constant is not None and len(inflation) > 1:
            inflation[result.constant] = 0  # the offset is the other column's
        name = result.certificate.names[int(np.argmax(inflation))]
        warnings.warn(
            f"the columns are so nearly collinear, {name!r} most of all (smallest singular value "
            f"{report.smallest:.2g} at unit norm, cutoff {report.cutoff:.2g}), that a little more "
            "would make them dependent: drop a column, or subtract a common offset from columns",
            NumericalWarning,
            stacklevel=3,
        )
    lost = isinstance(optimizer, Exact) and (ls is None or ls.refined is not None)
    if isinstance(optimizer, AutoSGD):
        lost = not result.certificate.distance <= optimizer.tolerance
    if (lost or isinstance(optimizer, Newton)) and not result.status.ok:
        warnings.warn(result.status.message, NumericalWarning, stacklevel=3)
    rounding = result.certificate.rounding
    known = result.status.code not in ("perfect-fit", "unbounded", "diverged")
    if known and rounding.max(initial=0.0) > LOUD:
        worst = int(np.argmax(rounding))
        warnings.warn(
            f"rounding may have moved the coefficient of {result.certificate.names[worst]!r} by up "
            f"to {rounding[worst]:.2g} of its standard errors (worst case): centre the columns or "
            "subtract a common offset",
            NumericalWarning,
            stacklevel=3,
        )


@overload
def certify(
    params: Any,
    formula: str,
    data: Any,
    /,
    *,
    sigma: float | None = None,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
) -> Certificate: ...
@overload
def certify(
    params: Any,
    X: Any,
    y: Any,
    /,
    *,
    intercept: bool | float = True,
    sigma: float | None = None,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
) -> Certificate: ...
def certify(
    params: Any,
    X: Any,
    y: Any,
    /,
    *,
    intercept: Any = None,
    sigma: float | None = None,
    noise: Noise | None = None,
    scale: Any = None,
    prior: NormalPrior | None = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    missing: Missing = "raise",
    transform: Transform | str | None = None,
) -> Certificate:
    """How far coefficients, computed anywhere, are from the MLE, in standard errors.

    Parameters
    ----------
    params : array, shape (p,); or mapping or pandas Series of name to coefficient
        The coefficients to audit; tensors of any library. By name, ``const`` may
        stand for ``Intercept``.
    X, y
        The data, as for `fit`; or a formula and its data.
    intercept : bool or number
        True: ``params[0]`` is the intercept. A number: that is the intercept,
        and ``params`` are slopes. False: X as given.
    sigma : float, optional
        The noise scale to audit with them; profiled by default.
    noise : Noise, optional
        `Gaussian` by default; any that `fit` takes.
    scale, prior
        As for `fit`; the coefficients of the scale are profiled.
    frequency_weights, precision_weights, missing, transform
        As for `fit`.

    Returns
    -------
    Certificate
        Exact at any distance for Gaussian noise of one scale; else, for smooth noise, a local
        statement: see `Certificate.exact`.

    Raises
    ------
    InvalidInput, InvalidType
        As for `fit`; coefficients that are not one finite number for each column.
    RankDeficient
        There is no unique MLE.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> fit = ml.fit(longley.X, longley.y)
    >>> moved = fit.params + np.array([0, 0, 0, 0, 0, 0, 2]) * fit.std_errors
    >>> certificate = ml.certify(moved, longley.X, longley.y)
    >>> round(float(certificate.per_param[6]), 6)
    2.0
    """
    slopes_only = not (intercept is None or isinstance(intercept, (bool, np.bool_)))
    if isinstance(X, str) and intercept is not None:
        raise InvalidInput(
            "a formula says whether there is an intercept, and params[0] is it: "
            "leave out intercept="
        )
    weights = {"frequency_weights": frequency_weights, "precision_weights": precision_weights}
    has_intercept = True if slopes_only else intercept
    more = {"scale": scale, "transform": transform}
    source, _ = source_of(X, y, has_intercept, None, weights, missing, **more)
    values = _coefficients(params, tuple(source.names), intercept if slopes_only else None)
    if sigma is not None:
        sigma = _number(sigma, "sigma")
    return certificate(LinearLikelihood.from_source(source, _noise(noise), prior), values, sigma)


def _coefficients(params: Any, names: tuple[str, ...], intercept: Any) -> F64:
    if isinstance(params, Fit):
        raise InvalidInput("params is a fit: give its fit.params; its own is fit.certificate")
    labels: Any = getattr(params, "index", None)
    if hasattr(labels, "equals") and all(isinstance(label, str) for label in labels):
        params = dict(zip(labels, params.to_numpy().tolist(), strict=True))  # a pandas Series
    if isinstance(params, Mapping):
        if "const" in params and "Intercept" in names and "Intercept" not in params:
            params = {"Intercept" if k == "const" else k: v for k, v in params.items()}
        wanted = names if intercept is None else names[1:]
        missing, unknown = set(wanted) - set(params), set(params) - set(wanted)
        if missing or unknown:
            raise InvalidInput(
                f"params must name {', '.join(wanted)}: "
                f"missing {sorted(map(str, missing))}, unknown {sorted(map(str, unknown))}"
            )
        values = np.array([_number(params[name], f"params[{name!r}]") for name in wanted])
    else:
        try:
            array = to_numpy(params) if hasattr(params, "shape") else np.asarray(params)
            array = np.atleast_1d(array)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InvalidType(
                "params must be one array or tensor of real numbers (a layer's weight and bias go "
                f"in as params and intercept); {type(params).__name__}: {error}"
            ) from error
        # The weight of a linear layer has shape (1, k), and some estimators' coef_ too.
        values = as_vector(array.ravel() if 1 in array.shape else array, "params")
        columns = names if intercept is None else names[1:]
        if len(values) != len(columns):
            hint = "; if they are slopes alone, give intercept=VALUE" if intercept is None else ""
            raise InvalidInput(
                f"params has {len(values)} numbers for the {len(columns)} columns "
                f"{', '.join(columns)}{hint}"
            )
    if intercept is not None:
        values = np.append(_number(intercept, "intercept"), values)
    return np.asarray(values, dtype=np.float64)


def _number(value: Any, what: str) -> float:
    """One finite number, from a float or from an array or tensor of one element."""
    array = to_numpy(value) if hasattr(value, "shape") else np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiu" or not math.isfinite(array.item()):
        raise InvalidInput(f"{what} must be one finite number, not {value!r}")
    return float(array.item())
