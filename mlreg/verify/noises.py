"""What anybody's noise promises: its functions belong together, as those of one density."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlreg.errors import InvalidType
from mlreg.likelihood.noise import Noise
from mlreg.verify import noise_laws
from mlreg.verify.kit import Promise, called, promised, run
from mlreg.verify.report import Report

__all__ = ["NOISE", "check_noise"]


def _has(name: str) -> Callable[[Any], str]:
    return lambda noise: "" if hasattr(noise, name) else f"it has no {name}"


def _says(name: str) -> Callable[[Any], str]:
    return lambda noise: "" if getattr(noise, name) else f"it does not say that it is {name}"


NOISE: list[Promise] = [
    promised(noise_laws.psi_and_dpsi_are_derivatives, "ψ = ρ′, ψ′ = ρ″"),
    promised(noise_laws.cdf_is_integral, "F(z) = ∫ exp(−ρ) up to z, F(∞) = 1"),
    promised(noise_laws.quantile_inverts_cdf, "F(q(u)) = u"),
    promised(noise_laws.symmetric_noise_is_even, "ρ(−z) = ρ(z)", _says("symmetric")),
    promised(noise_laws.log_concave_noise_is_convex, "ρ″ ≥ 0", _says("log_concave")),
    promised(noise_laws.fisher_is_mean_product, "E ψ² = a, E zψ² − Eψ = c, E(1 − zψ)² = b"),
    promised(noise_laws.mgf_is_mean_exponential, "M(t) = E exp(tz)", _has("mgf")),
]
"""The laws of a noise."""


def check_noise(
    noise: Noise,
    *,
    laws: Sequence[str] | None = None,
    expect_fail: Mapping[str, str] | None = None,
) -> Report:
    """Hold anybody's noise to all its laws.

    Parameters
    ----------
    noise : Noise
        As `mlreg.fit` takes them; its ``mgf`` is judged where it has one.
    laws : sequence of str, optional
        Which laws to try, by name; all of them where it is not said.
    expect_fail : mapping, optional
        Names of laws that it is known to break, with the reasons.

    Returns
    -------
    Report
        Printed, it is a table; ``report.passed``, ``report.raise_for_broken()``.

    Examples
    --------
    >>> import mlreg as ml
    >>> ml.verify.check_noise(ml.Logistic()).passed
    True
    """
    missing = [
        name for name in ("rho", "psi", "dpsi", "cdf", "quantile") if not hasattr(noise, name)
    ]
    if missing:
        raise InvalidType(
            f"a noise has rho, psi, dpsi, cdf and quantile; {type(noise).__name__} has no "
            f"{', '.join(missing)}"
        )
    noise = noise() if isinstance(noise, type) else noise
    return run(called(noise), noise, NOISE, laws, 1, 0, expect_fail)
