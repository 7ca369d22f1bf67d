"""The MLE without iterations that have to converge: Gaussian and Laplace noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import least_squares
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace
from mlreg.optimizers.least_absolute import minimize_absolute, minimize_absolute_scale
from mlreg.optimizers.solution import Solution, Status, check_noise, check_start, finish

__all__ = ["Exact"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Exact:
    """Least squares, or least absolute deviations: the exact MLE of Gaussian and Laplace noise.

    Least squares is solved by the triangle of [X y], folded block by block, Eqs. (2.6) and (7.3),
    in one pass over the data, never from normal equations of the raw columns. Small problems, and
    those where rounding could matter, are refined in another pass, Eq. (7.5).

    Least absolute deviations, Eq. (8.2), are a vertex, where p rows have no residual, Eq. (11.13).
    It is found from the rows near it, solved in twice the precision, and proved by a pass
    over all rows, Eq. (11.16). Where the MLE is not unique, as the median of an even number, the
    status says between which limits each coefficient may lie; the mean of vertices at these limits
    is returned.
    With a scale design they take turns with the coefficients of the scale, until both stay.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> solution = ml.Exact().minimize(ml.LinearLikelihood(data.X, data.y))
    >>> solution.status.code
    'converged'
    """

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Solve; ``start`` is looked at and not needed.

        Raises
        ------
        InvalidInput
            For other noise.
        RankDeficient
            Where the coefficients are not unique.
        """
        laplace = type(likelihood.noise) is Laplace and likelihood.prior is None
        if not laplace:
            check_noise(likelihood, "Exact() is for Laplace(), and", "Newton() minimises its NLL")
        check_start(likelihood, start)
        if laplace and likelihood.scale_names:
            return minimize_absolute_scale(likelihood)
        if laplace:
            return minimize_absolute(likelihood)
        before = likelihood.reads
        ls = least_squares(likelihood)
        if ls.refined is None:
            why = (
                "rounding has moved the solution, by more than 0.1 standard errors or by nobody "
                "knows how many, for the columns are nearly collinear: subtract a common offset, "
                "or drop one"
            )
        else:
            why = (
                "the coefficients are right to the last digit of float64, and that digit is worth "
                "more than 0.1 standard errors of some contrast: subtract a common offset, or "
                "divide extreme weights"
            )
        lost = Status("stopped", why)
        params = ls.params
        return finish(likelihood, ls, params, [params], "solve", before, lost)
