"""A fit as a text table."""

import math
from typing import TYPE_CHECKING

import numpy as np

from mlreg.likelihood.transform import label

if TYPE_CHECKING:  # the fit calls this module, not the other way round
    from mlreg.estimate import Fit

__all__ = ["summary"]

DIGITS = 10


def summary(fit: "Fit", level: float) -> str:
    """Text table of the coefficients, the fit statistics and the certificate."""
    low, high = (f"{100 * q:.4g} %" for q in ((1 - level) / 2, (1 + level) / 2))
    header = ("", "estimate", "std. error", "t value", "p value", low, high)
    numbers = zip(
        fit.params, fit.std_errors, fit.t_values, fit.p_values, *fit.conf_int(level).T, strict=True
    )
    rows = [
        (name, _full(b), _full(se), f"{t:.4g}", _p(p), f"{lo:.6g}", f"{hi:.6g}")
        for name, (b, se, t, p, lo, hi) in zip(fit.names, numbers, strict=True)
    ]
    table = _align([header, *rows])
    width = max(len(table[0]), 60)
    rule = "-" * width
    test = fit.f_test
    centred = "" if fit.constant is not None else " (about zero: there is no constant column)"
    if fit.constant and fit.constant > 0:
        kept = [fit.names[j] for j in fit.rank_report.kept]
        centred = f" (centred: {kept[fit.constant]} is constant)"
    of_y = ""
    if fit.design.transform is not None:
        of_y = f"; the likelihood is that of {fit.design.response}, by the Jacobian"
    weighted = "" if fit.R.n_rows == fit.n_rows else f" in {fit.R.n_rows} weighted rows"
    lines = [
        f"Gaussian linear model of {label(fit.design.transform, fit.design.response)}, fitted by "
        f"{fit.optimizer}{of_y}",
        f"{fit.n_rows} observations{weighted}, {fit.rank} coefficients, "
        f"{fit.df_resid} residual degrees of freedom",
        str(fit.status),
        rule,
        *table,
        rule,
        f"sigma (MLE, over n): {_full(fit.sigma)}    "
        f"residual standard error (over n - p): {_full(fit.residual_std_error)}",
        f"R-squared: {_full(fit.r_squared)}    adjusted: {_full(fit.r_squared_adj)}{centred}",
        *(
            [
                f"F: {_full(test.statistic)} on {test.df_model} and {test.df_resid} degrees of "
                f"freedom, p value {_p(test.p_value)}"
            ]
            if test.df_model and not math.isnan(test.statistic)
            else []
        ),
        f"log-likelihood: {_full(fit.log_likelihood)}    AIC: {_full(fit.aic)}    "
        f"BIC: {_full(fit.bic)}",
    ]
    if fit.n_missing:
        lines.append(f"left out for missing values: {fit.n_missing} rows")
    if fit.rank_report.dependent:
        lines.append(f"left out as dependent: {fit.rank_report.describe(fit.names)}")
    lines += [rule, str(fit.certificate)]
    return "\n".join(lines)


def _full(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "<2e-16" if value < 2e-16 else f"{value:.3g}"


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns padded to their widest cell: the first to the left, the others to the right."""
    widths = np.array([[len(cell) for cell in row] for row in rows]).max(axis=0)
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
