"""What single rows do to a least-squares fit: leverage, studentised residuals, Cook's distance.

All come from the whitened rows W = √w X R⁻¹, whose columns are orthonormal over the observations:
the leverage of a row is the sum of its squares, Eq. (12.8), and what leaving the row out would
change follows from that and its residual, Eq. (12.10). So one pass does it, block by block.

A row of frequency k is k equal rows, and what is said of it is said of one of them. A row of
precision w is the row √w (x, y) of equal noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares
from mlreg.errors import InvalidInput
from mlreg.frames import data_frame
from mlreg.inference.render import align
from mlreg.inference.rows import FittedRows, fitted_rows
from mlreg.linalg.products import whiten
from mlreg.linalg.refine import contraction

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Influence", "influence", "influence_blocks"]

F64 = NDArray[np.float64]
U = 2.0**-53
SHOWN = 5  # rows that are named where there may be many
ARRAYS = ("positions", "leverage", "residuals", "frequency", "root_precision")
Measure = Literal[
    "cooks_distance",
    "dffits",
    "externally_studentised",
    "internally_studentised",
    "leave_one_out",
    "leverage",
    "residuals",
]


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence of rows on a fit; every array has one entry for each of m rows.

    All is about the MLE, also where an optimizer stopped short of it. Where noise is not Gaussian
    of one scale, or there is a prior, only `leverage`, `residuals` and `rows` are defined, and the
    rest is refused.

    Attributes
    ----------
    fit : Fit
        The fit; its rows are referred to, not copied.
    positions : integer array, shape (m,)
        Which rows these are, counting those in use from 0.
    leverage : ndarray, shape (m,)
        h, Eq. (12.8), between 0 and 1: by how much the fitted value follows the row's own response.
        Over the observations they add up to the number of coefficients. Other noises: by the
        expected information; with a prior they add up to the effective number of coefficients.
    residuals : ndarray, shape (m,)
        √w (y − xᵀβ), in units of y; at the MLE and without precision weights `Fit.residuals`.
    frequency, root_precision : ndarray, shape (m,), or None
        How many equal rows each stands for; √w.
    rounding : float
        Bound on the rounding error of a leverage. A leverage that is 1 within it is 1.
    """

    fit: "Fit"
    positions: NDArray[np.intp]
    leverage: F64
    residuals: F64
    frequency: F64 | None
    root_precision: F64 | None
    rounding: float
    _whitened: F64 | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.leverage)

    @property
    def rows(self) -> NDArray[np.intp]:
        """Row numbers in the data as they were given, from 0, shape (m,).

        Out of core they count the rows that are in use: without those of weight zero or with a
        missing value.
        """
        numbers = getattr(self.fit.source, "row_numbers", None)
        return self.positions if numbers is None else np.asarray(numbers[self.positions])

    @property
    def internally_studentised(self) -> F64:
        """e/(s√(1 − h)), Eq. (12.9); NaN where h = 1, and of a perfect fit."""
        s = self._require_least_squares()
        with np.errstate(all="ignore"):
            return np.asarray(self.residuals / s / np.sqrt(self._rest))

    @property
    def externally_studentised(self) -> F64:
        """The same with the s of the other rows, Eq. (12.10): Student's t with n − p − 1 df.

        Infinite where the others fit perfectly; NaN where these are only p, and where the above is.
        """
        r, df = self.internally_studentised, self.fit.df_resid
        if df <= 1:
            return np.full(len(self), math.nan)
        with np.errstate(all="ignore"):
            left = df - r**2  # (n − p − 1) s₍ᵢ₎²/s², of which rounding leaves nothing or little
            off = 2 * self.rounding / self._rest + 4 * self._reach / np.abs(self.residuals)
            left[left <= df * (off + 8 * U)] = 0.0
            return np.asarray(r * np.sqrt((df - 1) / left))

    @property
    def cooks_distance(self) -> F64:
        """r²h/((1 − h)p), r internally studentised, Eq. (12.11)."""
        r, h = self.internally_studentised, self.leverage
        return np.asarray(r**2 * h / self._rest / self.fit.rank)

    @property
    def dffits(self) -> F64:
        """Change of the row's fitted value when it is left out, in standard errors, Eq. (12.12)."""
        return np.asarray(self.externally_studentised * np.sqrt(self.leverage / self._rest))

    @property
    def leave_one_out(self) -> F64:
        """(y − xᵀβ)/(1 − h), Eq. (12.10), in units of y: the residual from a fit without the row.

        NaN where h = 1: without the row the coefficients are not determined.
        """
        self._require_least_squares()
        e = self.residuals / self._rest
        return e if self.root_precision is None else e / self.root_precision

    @property
    def press(self) -> float:
        """Sum of squares of the above over these rows, weighted, in units of y²."""
        e = self.leave_one_out
        if self.root_precision is not None:
            e = e * self.root_precision
        with np.errstate(over="ignore"):
            return float(np.sum(e**2 if self.frequency is None else self.frequency * e**2))

    def dfbetas(self) -> F64:
        """Change of each coefficient when a row is left out, in standard errors, Eq. (12.12).

        It reads the rows again, unless these are one of `Fit.influence_blocks`.

        Returns
        -------
        ndarray, shape (m, p)
            (β̂ⱼ − β̂ⱼ₍ᵢ₎)/(s₍ᵢ₎√Gⱼⱼ); NaN in columns that were left out as dependent.
        """
        t = self.externally_studentised
        ls = self.fit.least_squares
        assert ls is not None
        out = np.full((len(self), len(self.fit.names)), math.nan)
        kept = np.array(self.fit.rank_report.kept)
        with np.errstate(invalid="ignore"):  # infinite, times a zero
            for at, W in self._parts(ls):
                scale = (t[at] / np.sqrt(self._rest[at]))[:, None]
                out[np.ix_(at, kept)] = W @ ls.inverse.T / ls.spread * scale
        return out

    def _parts(self, ls: LeastSquares) -> Iterator[tuple[NDArray[np.intp], F64]]:
        """Whitened rows, and which of these they are."""
        if self._whitened is not None:
            yield np.arange(len(self)), self._whitened
            return
        order = np.argsort(self.positions, kind="stable")
        ordered = self.positions[order]
        for rows in fitted_rows(self.fit):
            low, high = np.searchsorted(ordered, [rows.first, rows.first + len(rows.e)])
            if low < high:
                yield order[low:high], whiten(ls.R, rows.A[ordered[low:high] - rows.first])

    def largest(self, k: int = SHOWN, by: Measure = "cooks_distance") -> "Influence":
        """The k rows that matter most, the first most of all; printed, they are a table.

        Parameters
        ----------
        k : int
            How many.
        by : str
            By the size of which measure, such as ``"dffits"``. Rows of leverage 1 come first.
        """
        if by not in get_args(Measure):
            raise InvalidInput(f"by must be one of {', '.join(get_args(Measure))}; not {by!r}")
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise InvalidInput(f"k must be a number of rows, 1 or more; not {k!r}")
        return self._take(self._order(by)[:k])

    def _order(self, by: str) -> NDArray[np.intp]:
        size = np.abs(getattr(self, by))
        size[np.isnan(size)] = -1.0
        size[self.leverage == 1] = math.inf
        return np.argsort(-size, kind="stable")

    def to_frame(self) -> Any:
        """All measures as a pandas DataFrame, indexed by row number."""
        return data_frame({m: getattr(self, m) for m in self._measures}, self.rows, "row")

    def __str__(self) -> str:
        top, what = self, f"{len(self)} rows"
        if len(self) > 2 * SHOWN:
            top = self._take(self._order(self._measures[-1])[:SHOWN])
            what = f"{SHOWN} of {what}"
        columns = [getattr(top, name) for name in top._measures]
        table = [("row", *(name.replace("_", " ") for name in top._measures))]
        for row, numbers in zip(top.rows, zip(*columns, strict=True), strict=True):
            table.append((str(row), *(f"{x:.4g}" for x in numbers)))
        head = f"influence of {what} on {self.fit.rank} coefficients"
        return "\n".join([head, *align(table), *self.notes])

    @property
    def notes(self) -> tuple[str, ...]:
        """Why some values are NaN or infinite, in words."""
        fit, said = self.fit, []
        if fit.least_squares is None:
            return ("what leaving a row out changes is known of least squares only",)
        if fit.df_resid <= 0:
            said.append("no residual degrees of freedom: every row is fitted exactly")
        elif fit.least_squares.perfect:
            said.append("the data fit perfectly: residuals are rounding, and have no scale")
        else:
            if not self.rounding < 1:
                said.append(
                    "the columns are so nearly collinear that leverages are rounding: subtract a "
                    "common offset from columns, or drop one"
                )
            elif (self.leverage == 1).any():
                said.append(
                    f"leverage 1 at {self._name(self.leverage == 1)}: fitted exactly, whatever "
                    "the response, and without it coefficients are not determined"
                )
            if fit.df_resid == 1:
                said.append("one residual degree of freedom: none is left without a row")
            infinite = np.isinf(self.externally_studentised)
            if infinite.any():
                said.append(f"without {self._name(infinite)} the other rows fit perfectly")
        return tuple(said)

    def _name(self, which: NDArray[np.bool_]) -> str:
        """Some of the rows by their numbers."""
        rows = self.rows[which]
        shown = ", ".join(map(str, rows[:SHOWN]))
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        return f"row{'s' * (len(rows) > 1)} {shown}{more}"

    @property
    def _measures(self) -> list[str]:
        """Names of what is defined, the one that rows are sorted by at the end."""
        if self.fit.least_squares is None:
            return ["residuals", "leverage"]
        return [
            "residuals",
            "leverage",
            "internally_studentised",
            "externally_studentised",
            "dffits",
            "leave_one_out",
            "cooks_distance",
        ]

    @property
    def _rest(self) -> F64:
        """1 − h, NaN where that is zero."""
        return np.asarray(np.where(self.leverage < 1, 1 - self.leverage, math.nan))

    def _require_least_squares(self) -> float:
        """Residual standard error in units of y, NaN where there is none; or an error."""
        ls = self.fit.least_squares
        if ls is None:
            raise InvalidInput(
                "what leaving a row out changes is known of least squares only, and this fit has "
                f"{self.fit._kind}: fit it without the row. leverage and residuals are defined"
            )
        return float(np.ldexp(ls.s or math.nan, ls.scale_y))

    @property
    def _reach(self) -> float:
        """Bound on the rounding error of a residual, in units of y."""
        ls = self.fit.least_squares
        assert ls is not None
        return float(np.ldexp(ls.residual_bound, ls.scale_y))

    def _take(self, which: NDArray[np.intp]) -> "Influence":
        taken = {name: getattr(self, name) for name in (*ARRAYS, "_whitened")}
        for name, values in taken.items():
            taken[name] = None if values is None else values[which]
        return replace(self, **taken)


def influence(fit: "Fit") -> Influence:
    """Influence of every row of a fit, see `Fit.influence`; one pass over the data."""
    # without W: all of it would be a copy of X
    parts = [replace(part, _whitened=None) for part in influence_blocks(fit)]
    joined: dict[str, Any] = {}
    for name in ARRAYS:
        arrays = [getattr(part, name) for part in parts]
        joined[name] = None if arrays[0] is None else np.concatenate(arrays)
    return replace(parts[0], **joined)


def influence_blocks(fit: "Fit") -> Iterator[Influence]:
    """The same block by block, see `Fit.influence_blocks`, in the memory of a few blocks."""
    ls, information = fit.least_squares, fit.information
    R = ls.R if information is None else information.R  # type: ignore[union-attr]
    known = bool(np.isfinite(R).all())
    rounding = math.inf
    if known:
        inverse = ls.inverse if ls is not None else np.linalg.inv(R)
        rounding = contraction(R, inverse, fit.R.epsilon) + (len(R) + 8) * U
    for rows in fitted_rows(fit):
        W = whiten(R, rows.A) if known else np.full_like(rows.A, math.nan)
        h = np.einsum("ij,ij->i", W, W)
        if information is not None:
            h *= _information_of_a_row(fit, rows)
        if rounding < 1:
            h[h > 1 - rounding] = 1.0
        else:
            h[:] = math.nan
        yield Influence(
            fit,
            np.arange(rows.first, rows.first + len(h)),
            h,
            np.ldexp(rows.e, fit.R.exponent[-1]),
            rows.k,
            rows.root_w,
            rounding,
            W if ls is not None else None,
        )


def _information_of_a_row(fit: "Fit", rows: FittedRows) -> Any:
    """a/σ², Eq. (3.6), in the scaled units of y: what xxᵀ counts in the information."""
    log_sigma = fit.scale_params[0] if rows.log_sigma is None else rows.log_sigma
    log_unit = int(fit.R.exponent[-1]) * math.log(2)
    return fit.noise.fisher[0] * np.exp(2 * (log_unit - log_sigma))
