"""What the summary of a fit says."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.inference.render import Line, Summary, Table
from mlreg.likelihood.transform import label

if TYPE_CHECKING:  # the fit calls this module, not the other way round
    from mlreg.estimate import Fit

__all__ = ["summarize"]

F64 = NDArray[np.float64]

DIGITS = 10


def summarize(fit: "Fit", level: float) -> Summary:
    """The coefficients, the fit statistics and the certificate, ready to be drawn."""
    weighted = "" if fit.R.n_rows == fit.n_rows else f" in {fit.R.n_rows} weighted rows"
    model = "Gaussian linear model" if fit.exact else "Linear model"
    title = (
        f"{model} of {label(fit.design.transform, fit.design.response)}, fitted by {fit.optimizer}"
    )
    if fit.design.transform is not None:
        title += f"; the likelihood is that of {fit.design.response}, by the Jacobian"
    counts = (
        f"{fit.n_rows} observations{weighted}, {fit.rank} coefficient{'' if fit.rank == 1 else 's'}"
    )
    head: list[Line] = [f"{counts}, {fit.df_resid} residual degrees of freedom"]
    if not fit.exact:
        estimated = ", df estimated" if fit.n_shape else ""
        head = [(("noise", f"{fit.noise}{estimated}"),), counts]
    if fit.prior is not None:
        head += _prior(fit)
    coefficients = _coefficients(fit, level)  # which refuses a level that is none
    lines = _least_squares(fit) if fit.exact else _scale(fit, level)
    likelihood = [("log-likelihood", _full(fit.log_likelihood))]
    if fit.prior is None:
        likelihood += [("AIC", _full(fit.aic)), ("BIC", _full(fit.bic))]
    lines.append(tuple(likelihood))
    if fit.robust is not None:
        df = fit.robust.df
        quantiles = (
            "normal quantiles" if math.isinf(df) else f"t quantiles, {df:g} degrees of freedom"
        )
        lines.append((("standard errors", f"{fit.robust.label}; {quantiles}: as n grows"),))
    elif not fit.exact:
        errors = "posterior standard deviations" if fit.prior else "standard errors"
        lines.append(f"{errors} by the expected information, normal quantiles: as n grows")
    if fit.n_missing:
        lines.append((("left out for missing values", f"{fit.n_missing} rows"),))
    if fit.rank_report.dependent:
        lines.append((("left out as dependent", fit.rank_report.describe(fit.names)),))
    certificate = tuple(line.strip() for line in str(fit.certificate).splitlines())
    return Summary(title, tuple(head), str(fit.status), coefficients, tuple(lines), certificate)


def _coefficients(fit: "Fit", level: float) -> Table:
    """A row for each coefficient."""
    limits = fit.conf_int(level)
    low, high = (f"{100 * q:.4g} %" for q in ((1 - level) / 2, (1 + level) / 2))
    if fit.prior is not None:
        header: tuple[str, ...] = ("", "mode", "posterior sd", low, high)
        return _estimates(header, fit.names, fit.params, fit.std_errors, *limits.T)
    df = fit.robust.df if fit.robust else math.inf
    value = "t value" if fit.exact or math.isfinite(df) else "z value"
    header = ("", "estimate", "std. error", value, "p value", low, high)
    numbers = zip(fit.params, fit.std_errors, fit.t_values, fit.p_values, *limits.T, strict=True)
    rows = (
        (name, _full(b), _full(se), f"{t:.4g}", _p(p), f"{lo:.6g}", f"{hi:.6g}")
        for name, (b, se, t, p, lo, hi) in zip(fit.names, numbers, strict=True)
    )
    return Table(header, tuple(rows))


def _prior(fit: "Fit") -> list[str]:
    """What the prior is, and amounts to."""
    assert fit.prior is not None
    kept = [fit.names[j] for j in fit.rank_report.kept]
    but = "" if fit.constant is None else f" but {kept[fit.constant]}"
    lines = [
        f"mode of the posterior (MAP), not the MLE; prior: N(0, {fit.prior.sd:g}^2) for each "
        f"coefficient{but}",
    ]
    if not fit.scale_names and math.isfinite(fit.effective_df):
        lines.append(
            f"ridge penalty {_full(fit.ridge)}, on the average loss a weight decay of "
            f"{_full(fit.ridge / fit.n_rows)}; "
            f"effective coefficients: {fit.effective_df:.4g} of {fit.rank}"
        )
    return lines


def _scale(fit: "Fit", level: float) -> list[Line]:
    """The scale of the noise, where it is not that of least squares."""
    if not fit.scale_names:
        low, high = np.exp(fit.scale_conf_int(level)[0])
        interval = (f"{100 * level:.4g} % interval", f"{low:.6g} to {high:.6g}")
        return [(("sigma", _full(fit.sigma)), interval)]
    header = ("log sigma", "estimate", "std. error", "from", "to")
    errors, limits = fit.scale_std_errors, fit.scale_conf_int(level)
    return [_estimates(header, fit.scale_names, fit.scale_params, errors, *limits.T)]


def _estimates(header: tuple[str, ...], names: tuple[str, ...], *columns: F64) -> Table:
    """Names, estimates in full, and other numbers to six digits."""
    rows = zip(names, *columns, strict=True)
    return Table(header, tuple((r[0], _full(r[1]), *(f"{x:.6g}" for x in r[2:])) for r in rows))


def _least_squares(fit: "Fit") -> list[Line]:
    """What only Gaussian noise of one scale has."""
    test = fit.f_test
    centred = "" if fit.constant is not None else " (about zero: there is no constant column)"
    if fit.constant and fit.constant > 0:
        kept = [fit.names[j] for j in fit.rank_report.kept]
        centred = f" (centred: {kept[fit.constant]} is constant)"
    lines: list[Line] = [
        (
            ("sigma (MLE, over n)", _full(fit.sigma)),
            ("residual standard error (over n - p)", _full(fit.residual_std_error)),
        ),
        (("R-squared", _full(fit.r_squared)), ("adjusted", _full(fit.r_squared_adj) + centred)),
    ]
    if test.df_model and not math.isnan(test.statistic):
        value = (
            f"{_full(test.statistic)} on {test.df_model} and {test.df_resid:g} degrees of "
            f"freedom, p value {_p(test.p_value)}"
        )
        lines.append((("F", value),))
    return lines


def _full(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "<2e-16" if value < 2e-16 else f"{value:.3g}"
