"""Exact least squares: the Gaussian MLE in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import least_squares
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.solution import Solution, Status, check_noise, check_start, finish

__all__ = ["Exact"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Exact:
    """Least squares by the triangle of [X y], folded block by block, Eqs. (2.6) and (7.3).

    The MLE of the Gaussian model in one pass over the data, never from normal
    equations of the raw columns. Small problems, and those where rounding could
    matter, are refined in another pass, Eq. (7.5).

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
            For noise that is not Gaussian: least squares is not its MLE.
        RankDeficient
            Where the coefficients are not unique.
        """
        check_noise(likelihood, "Exact() solves least squares", "Newton() minimises its NLL")
        check_start(likelihood, start)
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
