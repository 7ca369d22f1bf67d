"""What the diagnostic plots need of the rows of a fit: residuals, fitted values, smooths."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, InvalidType
from mlreg.estimate import Fit
from mlreg.inference.bands import DRAWS, draw_residuals, outside, root_moments, smoother
from mlreg.inference.influence import Influence, influence, influence_blocks
from mlreg.inference.rows import fitted_rows
from mlreg.linalg.products import times
from mlreg.linalg.triangle import scale_columns
from mlreg.plots.style import written

__all__ = ["EXACT_ROWS", "FitRows", "Smooth", "require_fit", "rows_of"]

F64 = NDArray[np.float64]

EXACT_ROWS = 2000
"""Rows that are drawn one by one for a band; of more rows groups that are neighbours."""


@dataclass(frozen=True, eq=False)
class Smooth:
    """A smooth of residuals over fitted values, and where it stays if the model is right.

    ``lower`` and ``upper``, shape (g,), are None where that is not known.
    """

    x: F64
    y: F64
    lower: F64 | None = None
    upper: F64 | None = None


@dataclass(frozen=True, eq=False)
class FitRows:
    """The rows of a fit, residuals weighted; see `rows_of`.

    ``fitted``, shape (m,), is Xβ on the scale of the model, ``sigma`` the scale of each row's
    noise; ``no_band`` says in words why the law of the residuals is not known, if it is not.
    """

    fit: Fit
    influence: Influence
    fitted: F64
    sigma: F64
    no_band: str

    @property
    def standardised(self) -> F64:
        """Internally studentised residuals; of other than least squares e/σ̂."""
        if self.fit.exact:
            return self.influence.internally_studentised
        return np.asarray(self.influence.residuals / self.sigma)

    @property
    def fitted_label(self) -> str:
        """Name of the axis of the fitted values."""
        transform = self.fit.design.transform
        y = written(self.fit.design.response)
        return f"fitted {y}" if transform is None else f"fitted {transform.name} of {y}"

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """The group of each row: rows that are neighbours by their fitted values."""
        n = len(self.fitted)
        out = np.empty(n, dtype=np.intp)
        out[np.argsort(self.fitted, kind="stable")] = np.arange(n) * min(n, EXACT_ROWS) // n
        return out

    @cached_property
    def grouped(self) -> tuple[F64, F64]:
        """W and counts of the groups, as of `draw_residuals`; one pass over the data."""
        counts = np.bincount(self.group).astype(float)
        W = np.zeros((len(counts), self.fit.rank))
        for part in influence_blocks(self.fit):
            assert part._whitened is not None
            for j, column in enumerate(part._whitened.T):
                W[:, j] += np.bincount(self.group[part.positions], column, len(counts))
        return W / np.sqrt(counts)[:, None], counts

    def draws(self) -> F64:
        """Draws of the internally studentised residuals, shape (m, B); NaN where leverage is 1.

        Of no more than `EXACT_ROWS` rows, each a group.
        """
        draws, squares = draw_residuals(*self.grouped, np.random.default_rng(0))
        h = self.influence.leverage
        rest = np.where(h < 1, 1 - h, np.nan)
        return np.asarray(draws[self.group] / np.sqrt(np.outer(rest, squares / self.fit.df_resid)))

    def smooth(self, level: float) -> Smooth | None:
        """Of the residuals; None where there are fewer than five fitted values."""
        e = self.influence.residuals
        at = self._places()
        if at is None:
            return None
        if self.no_band:
            return self._plain(e, at)
        (W, counts), group = self.grouped, self.group
        V = smoother(_means(self.fitted, counts, group), counts, at) / np.sqrt(counts)
        y = V @ (_means(e, counts, group) * np.sqrt(counts))
        whole = np.sum(V**2, axis=1)
        error = np.sqrt(np.maximum(whole - np.sum((V @ W) ** 2, axis=1), 1e-12 * whole))
        draws, squares = draw_residuals(W, counts, np.random.default_rng(0))
        s = np.sqrt(squares / self.fit.df_resid)
        far = np.abs(V @ draws / error[:, None]).max(axis=0) / s
        half = np.sort(far)[-outside(level)] * error * self.influence._require_least_squares()
        return Smooth(at, y, -half, half)

    def smooth_root(self, level: float) -> Smooth | None:
        """Of the roots of the sizes of the standardised residuals; None as of `smooth`."""
        root = np.sqrt(np.abs(self.standardised))
        at = self._places()
        if at is None:
            return None
        if self.no_band:
            return self._plain(root, at)
        (_, counts), group = self.grouped, self.group
        known = np.isfinite(root)
        V = smoother(_means(self.fitted, counts, group), _means(known, counts, group) * counts, at)
        mean, variance = root_moments(self.fit.df_resid)
        if len(counts) == len(root):  # each row is a group
            draws = np.empty((len(root), DRAWS))
            draws[group] = np.sqrt(np.abs(np.nan_to_num(self.draws())))
        else:  # means of many are normal; that s was estimated makes them differ less
            draws = np.random.default_rng(0).standard_normal((len(counts), DRAWS))
            draws = mean + draws * np.sqrt(variance / counts)[:, None]
        error = np.sqrt(variance * np.sum(V**2 / counts, axis=1))
        far = np.abs((V @ draws - mean) / error[:, None]).max(axis=0)
        half = np.sort(far)[-outside(level)] * error
        y = V @ _means(np.where(known, root, 0.0), counts, group)
        return Smooth(at, y, mean - half, mean + half)

    def _plain(self, values: F64, at: F64) -> Smooth:
        """Without a band."""
        known = np.isfinite(values)
        k = np.ones(len(values)) if self.influence.frequency is None else self.influence.frequency
        k = np.where(known, k, 0.0)
        weight: F64 = np.bincount(self.group, k).astype(np.float64)
        total = np.bincount(self.group, k * np.where(known, values, 0.0))
        x = np.bincount(self.group, self.fitted) / np.bincount(self.group)
        return Smooth(at, smoother(x, weight, at) @ (total / np.where(weight > 0, weight, 1.0)))

    def _places(self) -> F64 | None:
        """Where a smooth is drawn: at most 60 fitted values, that differ by more than rounding."""
        low, size = self.fitted.min(), float(np.ptp(self.fitted))
        if not size > 1e-10 * np.abs(self.fitted).max():
            return None
        steps = np.unique(np.round((self.fitted - low) / size * 1e8))
        if len(steps) < 5:
            return None
        chosen = np.unique(np.linspace(0, len(steps) - 1, 60).round().astype(np.intp))
        return np.asarray(low + steps[chosen] * 1e-8 * size)


def require_fit(fit: Any) -> Fit:
    """The fit, or an error in words."""
    if not isinstance(fit, Fit):
        raise InvalidType(f"this figure takes what ml.fit returned, not {type(fit).__name__}")
    return fit


def rows_of(fit: Any) -> FitRows:
    """Rows of a fit, by two passes over the data.

    Raises
    ------
    InvalidInput
        A fit without residuals to speak of: as many coefficients as rows, or perfect; columns so
        nearly collinear that leverages are rounding.
    DataNeeded
        A fit without its rows.
    """
    fit = require_fit(fit)
    if fit.df_resid <= 0:
        raise InvalidInput(
            f"{fit.n_rows} rows and {fit.rank} coefficients: every row is fitted exactly, and "
            "there are no residuals to look at"
        )
    perfect = fit.least_squares is not None and fit.least_squares.perfect
    if perfect or fit.status.code == "perfect-fit":
        raise InvalidInput("the data fit perfectly: their residuals are rounding, and tell nothing")
    found, fitted, sigma = influence(fit), [], []
    if fit.exact and not found.rounding < 1:
        raise InvalidInput("; ".join(found.notes))  # leverages are not known
    exponent = fit.R.exponent
    beta = scale_columns(fit._beta, exponent[:-1] - exponent[-1])
    if fit.least_squares is not None:
        beta = fit.least_squares.beta
    for rows in fitted_rows(fit):
        mean = np.ldexp(times(rows.A, beta), exponent[-1])
        fitted.append(mean if rows.root_w is None else mean / rows.root_w)
        log_sigma = fit.scale_params[0] if rows.log_sigma is None else rows.log_sigma
        sigma.append(np.exp(np.broadcast_to(log_sigma, len(mean))))
    no_band = ""
    if not fit.exact:
        no_band = "no band: the law of residuals is known of least squares only"
    elif found.frequency is not None:
        no_band = "no band: rows that stand for several are not so many draws"
    elif fit.df_resid == 1:
        no_band = "no band: of one residual degree of freedom"
    return FitRows(fit, found, np.concatenate(fitted), np.concatenate(sigma), no_band)


def _means(values: Any, counts: F64, group: NDArray[np.intp]) -> F64:
    return np.asarray(np.bincount(group, weights=values, minlength=len(counts)) / counts)
