"""Likelihood-ratio test of one fit within another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from mlreg.errors import InvalidInput
from mlreg.inference.anova import kept_names, same_columns
from mlreg.likelihood.noise import Gaussian
from mlreg.likelihood.student_t import StudentT

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["LikelihoodRatio", "likelihood_ratio"]

SLACK = 0.02
"""Twice the log-likelihood that two fits can miss, each 0.1 standard errors from its MLE in the
coefficients and in σ: what a statistic may be below zero."""


@dataclass(frozen=True)
class LikelihoodRatio:
    """Test of the hypothesis that the smaller of two nested models is true.

    Attributes
    ----------
    statistic : float
        2(log L₁ − log L₀), no smaller than zero.
    df : int
        Number of parameters that the hypothesis fixes.
    p_value : float
        Probability of a larger statistic under the hypothesis, in large samples.
    boundary : bool
        Whether the hypothesis lies on the boundary of the larger model: 1/df = 0 of Student's t.
        The statistic is then a mixture, half χ² of ``df`` and half of ``df − 1`` degrees of
        freedom.
    small, large : str
        The two models, in words.
    """

    statistic: float
    df: int
    p_value: float
    boundary: bool
    small: str
    large: str

    def __str__(self) -> str:
        lines = [
            f"likelihood-ratio test of {self.small} within {self.large}",
            f"  2 x log-likelihood ratio {self.statistic:.6g}, df {self.df}, "
            f"p value {self.p_value:.3g}",
        ]
        if self.boundary:
            lines.append(
                f"  normal noise is on the boundary of Student's t, 1/df = 0: the p value is from "
                f"half chi2({self.df}) and half chi2({self.df - 1}); chi2({self.df}) alone would "
                f"say {_tail(self.df, self.statistic):.3g}"
            )
        return "\n".join(lines)


def likelihood_ratio(small: "Fit", large: "Fit") -> LikelihoodRatio:
    """Test a fit within a larger one of the same rows, by their likelihoods.

    Parameters
    ----------
    small, large : Fit
        Maximum-likelihood fits. The larger has the columns of the smaller; the same noise, or
        Student's t with degrees of freedom that were estimated, within which are those with fixed
        ones and the normal; and the scale design of the smaller, or one with a constant where
        the smaller has none.

    Returns
    -------
    LikelihoodRatio
        Statistic, degrees of freedom and p value.

    Raises
    ------
    InvalidInput
        Fits that are not nested, not of the same rows, not the MLE, or that have a prior.

    Notes
    -----
    The statistic is χ² in large samples (Wilks). Where one parameter is on the boundary of its
    range it is the mixture of Self and Liang, "Asymptotic properties of maximum likelihood
    estimators and likelihood ratio tests under nonstandard conditions", JASA 82 (1987), case 5.
    For least squares, the F test of `anova` is exact, and better.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.longley()
    >>> small, large = (ml.fit(data.X[:, :k], data.y) for k in (4, 6))
    >>> print(likelihood_ratio(small, large))
    likelihood-ratio test of Gaussian(), 5 coefficients within Gaussian(), 7 coefficients
      2 x log-likelihood ratio 18.6538, df 2, p value 8.9e-05
    """
    for which, fit in (("small", small), ("large", large)):
        _check(which, fit)
    boundary = _on_boundary(small, large)
    _check_columns(small, large)
    sizes = small.n_parameters, large.n_parameters
    df = sizes[1] - sizes[0]
    if df < 1:
        raise InvalidInput(
            f"the larger fit has {sizes[1]} parameters and the smaller {sizes[0]}: there is "
            "nothing to test. Give the smaller fit first"
        )
    statistic = 2 * (large.log_likelihood - small.log_likelihood)
    if not statistic >= -SLACK:
        raise InvalidInput(
            f"the log-likelihood of the larger fit, {large.log_likelihood:.8g}, is below that of "
            f"the smaller, {small.log_likelihood:.8g}: it is not at its maximum, perhaps at "
            "another one. Fit it with a start from the smaller"
        )
    statistic = max(statistic, 0.0)
    p_value = _tail(df, statistic)
    if boundary:
        p_value = 0.5 * (p_value + _tail(df - 1, statistic))
    return LikelihoodRatio(statistic, df, p_value, boundary, _words(small), _words(large))


def _tail(df: int, statistic: float) -> float:
    """P(χ² ≥ statistic); with no degrees of freedom χ² is zero."""
    return float(chdtrc(df, statistic)) if df else float(statistic <= 0)


def _words(fit: "Fit") -> str:
    noise = str(fit.noise) + (" (df estimated)" if fit.n_shape else "")
    more = f", sigma of {', '.join(fit.scale_names)}" if fit.scale_names else ""
    return f"{noise}, {fit.rank} coefficients{more}"


def _check(which: str, fit: "Fit") -> None:
    if not hasattr(fit, "solution"):
        raise InvalidInput(f"the {which} fit is no Fit but {type(fit).__name__}")
    if fit.prior is not None:
        raise InvalidInput(
            f"the {which} fit has the prior {fit.prior}: likelihoods at the mode of a posterior "
            "are not maxima, and their ratio is no test. Fit without a prior"
        )
    if fit.robust is not None:
        raise InvalidInput(
            f"the standard errors of the {which} fit are {fit.robust.label}: they do not believe "
            'in the likelihoods that are compared here. Test by them, as fit.test("x2 = x3 = 0"), '
            'or take fit.with_covariance("expected")'
        )
    if fit.solution.status.code != "converged":
        raise InvalidInput(
            f"the {which} fit is not the MLE, or fits perfectly ({fit.solution.status.code}): its "
            "likelihood compares with none"
        )


def _on_boundary(small: "Fit", large: "Fit") -> bool:
    """Whether the smaller noise is the limit of the larger; an error where it is not within it."""
    noises = small.noise, large.noise
    if large.n_shape:  # Student's t, whatever was estimated: it may be infinity
        if small.n_shape or isinstance(noises[0], StudentT):
            return False
        if isinstance(noises[0], Gaussian):
            return True
    elif noises[0] == noises[1] and not small.n_shape:
        return False
    raise InvalidInput(
        f"{_words(small)} is not nested within {_words(large)}: no value of a parameter that was "
        "estimated makes one noise of the other. Compare their AIC or BIC, with compare()"
    )


def _check_columns(small: "Fit", large: "Fit") -> None:
    """Raise unless the fits are of the same rows, and of nested columns."""
    missing = [name for name in kept_names(small) if name not in kept_names(large)]
    if missing:
        raise InvalidInput(f"the larger fit lacks the columns {', '.join(missing)} of the smaller")
    transforms = [fit.design.transform for fit in (small, large)]
    if transforms[0] != transforms[1]:
        raise InvalidInput(
            f"the responses are transformed differently ({transforms[0]} and {transforms[1]}): "
            "neither model is within the other. Compare their AIC or BIC, with compare()"
        )
    if small.n_rows != large.n_rows or not same_columns(small, large):
        raise InvalidInput(
            "the fits are of other rows, another response, or other columns by the same name "
            f"({small.n_rows} and {large.n_rows} observations)"
        )
    # where σ is the same in every row, its one column is a constant
    scale, wider = small.scale_names or ("Intercept",), large.scale_names or ("Intercept",)
    missing = [name for name in scale if name not in wider]
    if missing:
        raise InvalidInput(
            f"the scale design of the larger fit, {', '.join(wider)}, lacks {', '.join(missing)} "
            "of the smaller"
        )
    a, b = (_scale_products(fit, scale) for fit in (small, large))
    lengths = np.sqrt(np.diagonal(a))
    slack = 4 * (small.R.epsilon + large.R.epsilon) * np.outer(lengths, lengths)
    if not (np.abs(a - b) <= slack).all():
        raise InvalidInput(
            "the scale designs have other columns by the same name: neither model is within the "
            "other. Give the columns of the scale by name, scale='~ ...'"
        )


def _scale_products(fit: "Fit", names: tuple[str, ...]) -> NDArray[np.float64]:
    """Inner products of some columns of the scale design, rows repeated by their frequency."""
    if fit.information is None or not fit.scale_names:
        return np.full((1, 1), float(fit.n_rows))
    S = fit.information.S[:, [fit.scale_names.index(name) for name in names]]
    return np.asarray(S.T @ S / fit.noise.fisher[2])
