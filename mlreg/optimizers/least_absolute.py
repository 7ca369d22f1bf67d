"""Exact least absolute deviations: the MLE under Laplace noise, Eq. (8.2)."""

import math

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import certificate, least_squares, require_full_rank
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import norm
from mlreg.optimizers.solution import Code, History, Solution, Status, finish, finish_locally
from mlreg.scoring import Whitened
from mlreg.subgradient import LeastAbsolute, least_absolute

__all__ = ["minimize_absolute", "minimize_absolute_scale"]

F64 = NDArray[np.float64]

TURNS = 50
"""Turns between the coefficients and the scale, at most."""

STAYS = 1e-6
"""Standard errors by which neither moves any more."""


def minimize_absolute(likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
    """The Laplace MLE of (β, log σ), Eqs. (8.2) and (11.13), certified.

    The search begins from the coefficients ``start``; by default from least squares.

    Raises
    ------
    RankDeficient
        Where the coefficients are not unique, whatever the responses.
    """
    before = likelihood.reads
    require_full_rank(likelihood)
    ls = least_squares(likelihood)
    if ls.perfect:  # the NLL has no minimum: σ → 0
        return finish(likelihood, ls, ls.params, [ls.params], "solve", before)
    found = least_absolute(likelihood, ls.params if start is None else start)
    params = ls.params if found is None else found.params
    judged = certificate(likelihood, params)
    if found is None:
        gamma, mean = ls.log_sigma(), math.nan
        why = "rounding hides the vertex of the least absolute deviations: least squares is given. "
        status = Status("stopped", why + "Divide extreme weights, or drop a collinear column")
    else:
        gamma = found.log_sigma(found.loss)
        # Eq. (8.2), with the precisions of Eq. (1.5)
        mean = math.log(2) + gamma + 1 - 0.5 * likelihood.log_precision / likelihood.n_rows
        status = _status(likelihood, found, judged.distance, judged.converged)
    return Solution(
        np.append(params, gamma),
        likelihood.noise,
        status,
        judged,
        History("solve", np.array([mean]), np.array([judged.distance])),
        likelihood.reads - before,
    )


def minimize_absolute_scale(likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
    """The Laplace MLE of (β, γ) with a scale design: each in turn, given the other.

    Given γ, β are least absolute deviations of rows over their σᵢ; given β, the NLL is convex in
    γ, Eq. (9.6). Symmetric noise has no information in common between the two, Eq. (9.5): so the
    turns end soon.

    Raises
    ------
    RankDeficient
        Where the coefficients are not unique, whatever the responses.
    """
    before = likelihood.reads
    require_full_rank(likelihood)
    ls = least_squares(likelihood)
    if ls.perfect:  # the NLL has no minimum: σ → 0
        return finish(likelihood, ls, ls.params, [ls.params], "iteration", before)
    space = Whitened(likelihood, kinks=True)
    params = ls.params if start is None else start
    gamma = space.profile(space.scale(params))
    way, apart, found = [params], math.inf, None
    value = math.nan if gamma is None else likelihood.nll(np.append(params, gamma))
    values = [value / likelihood.n_rows]
    for _ in range(TURNS):
        if gamma is None or (found := least_absolute(likelihood, params, gamma)) is None:
            break
        before_turn, last = params, gamma
        params = found.params
        way.append(params)
        gamma = space.profile(space.scale(params), last)
        if gamma is not None:
            moved = found.deviations.R @ found.scale(params - before_turn)
            apart = max(norm(moved), space.root_b * norm(space.S @ (gamma - last)))
            values.append(likelihood.nll(np.append(params, gamma)) / likelihood.n_rows)
        if apart <= STAYS:
            break
    if gamma is None:
        return finish_locally(likelihood, [(params, -math.inf)], None, before, space=space)
    judged = certificate(likelihood, params)
    told = f"within {max(apart, judged.distance):.2g} standard errors of a stationary point"
    code: Code = "converged" if judged.converged and apart <= STAYS else "stopped"
    if code == "stopped":
        told = f"{TURNS} turns between coefficients and scale were not enough, or rounding hides it"
    distance = [norm(found.deviations.R @ found.scale(p - params)) for p in way] if found else []
    return Solution(
        np.append(params, gamma),
        likelihood.noise,
        Status(code, told),
        judged,
        History("iteration", np.array(values), np.array(distance)),
        likelihood.reads - before,
    )


def _status(
    likelihood: LinearLikelihood, found: LeastAbsolute, distance: float, converged: bool
) -> Status:
    """What is to be said of least absolute deviations that have been found."""
    worst = float(found.rounding.max())
    if not converged:
        return Status(
            "stopped",
            f"rounding may have moved the coefficients by {worst:.3g} standard errors: the columns "
            "are nearly collinear. Subtract a common offset, or drop one",
        )
    told = f"every linear contrast is within {max(distance, worst):.2g} standard errors of the MLE"
    if found.unique:
        return Status("converged", told)
    if not found.closed:
        return Status("converged", f"{told}, which is not unique; rounding hides its limits")
    names, limits = likelihood.source.names, found.limits
    between = [
        f"{name!r} from {low!r} to {high!r}"
        for name, (low, high) in zip(names, limits.tolist(), strict=True)
        if low < high
    ]
    return Status(
        "converged",
        f"{told}, which is not unique: the likelihood is the same with {'; '.join(between)}. "
        f"The mean of {len(found.corners)} vertices at these limits is given",
    )
