"""A normal prior for the coefficients: ridge regression, also known as weight decay, Eq. (10.1)."""

from dataclasses import dataclass

from mlreg.errors import InvalidInput
from mlreg.likelihood.noise import positive

__all__ = ["NormalPrior"]


@dataclass(frozen=True)
class NormalPrior:
    """Independent normal prior of mean zero for every coefficient but the intercept.

    Parameters
    ----------
    sd : float
        Its standard deviation τ, positive, in the units of the coefficients (response per unit of
        the column): standardise columns that are measured in different units.

    Raises
    ------
    InvalidInput
        sd not positive, NaN, infinite, or so far from one that its square overflows.

    Notes
    -----
    The estimate is then the mode of the posterior (MAP), flat in the intercept and in log σ,
    Eq. (10.1). For normal noise it is that of ridge regression with λ = σ̂²/τ², Eqs. (10.2) and
    (10.5). Where the columns can fit all rows exactly, nothing is most probable, Eq. (10.12).

    Examples
    --------
    >>> NormalPrior(2.5)
    NormalPrior(sd=2.5)
    """

    sd: float

    def __post_init__(self) -> None:
        limits = "0 would fix the coefficients at zero, and infinity is no prior"
        object.__setattr__(self, "sd", positive("the prior's sd", self.sd, limits))
        if not 1e-150 <= self.sd <= 1e150:
            raise InvalidInput(
                f"the prior's sd must be between 1e-150 and 1e150, or its square leaves floating "
                f"point; it is {self.sd:g}. Take other units for the columns"
            )
