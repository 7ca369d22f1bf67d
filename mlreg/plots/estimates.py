"""What a fit says of its coefficients: intervals side by side, and the profile of one."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import erf

from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.inference.profile import _position, chi2_quantile
from mlreg.likelihood.transform import label
from mlreg.plots.fit_rows import require_fit
from mlreg.plots.points import legend_strip, say
from mlreg.plots.style import COLOURS, GREY, axes_for, styles, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coefficients", "interval_of", "profile"]

F64 = NDArray[np.float64]
MOST = 60  # coefficients of one figure
FARTHEST = 1.2  # of a profile, relative to the ends of its interval


def coefficients(
    *fits: Fit,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    level: float = 0.95,
    ax: "Axes | None" = None,
) -> "Axes":
    """Coefficients with their intervals, of several fits side by side, Eq. (2.5).

    Parameters
    ----------
    *fits : Fit
        Whose coefficients; they need no rows. Intervals are those of `Fit.conf_int`: robust where
        the fit is, of the posterior where there is a prior.
    names : sequence of str, optional
        Which, from the top; by default all but the intercept, which often dwarfs the others.
    labels : sequence of str, optional
        What to call the fits.
    level : float
        Probability that each interval covers its coefficient.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        For each fit a line of markers, at its estimates. What a fit left out as dependent, or does
        not have, is empty.

    Raises
    ------
    InvalidInput, InvalidType
        No fit, more than 60 names or one that no fit has, labels of another number.
    MissingDependency
        Without matplotlib.
    """
    if not fits:
        raise InvalidInput("there is nothing to draw: give one fit, or several")
    for fit in fits:
        require_fit(fit)
    if labels is not None and (isinstance(labels, str) or len(labels) != len(fits)):
        raise InvalidInput(f"labels must be {len(fits)} texts, one for each fit")
    told = list(labels) if labels is not None else _labels(fits)
    chosen = _names(fits, names)
    limits = [fit.conf_int(level) for fit in fits]  # refuses a level before there is a figure
    gap = 0.7 / len(fits)
    rows = len(chosen) * max(1.0, 0.45 * len(fits))
    ax = axes_for(ax, (6.0, min(14.0, 1.3 + 0.32 * rows)))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    bare = []
    for k, (fit, ends, style) in enumerate(zip(fits, limits, styles(len(fits)), strict=True)):
        at = [fit.names.index(name) if name in fit.names else None for name in chosen]
        x = np.array([np.nan if j is None else fit.params[j] for j in at])
        low, high = (np.array([np.nan if j is None else ends[j, e] for j in at]) for e in (0, 1))
        y = np.arange(len(chosen)) + gap * (k - (len(fits) - 1) / 2)
        colour = style["color"]
        ax.hlines(y, low, high, color=colour, linewidth=1.8)
        ax.plot(
            x, y, linestyle="", marker=style["marker"], color=colour, markersize=6,
            markeredgecolor="white", markeredgewidth=0.6, label=told[k],
        )  # fmt: skip
        if (np.isfinite(x) & ~np.isfinite(low + high)).any():
            bare.append(told[k] if len(fits) > 1 else "")
    ax.set_yticks(range(len(chosen)), [written(name) for name in chosen])
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    responses = {label(fit.design.transform, fit.design.response) for fit in fits}
    of = f", {written(responses.pop())} per unit of the column" if len(responses) == 1 else ""
    ax.set_xlabel(f"coefficient{of}")
    notes = [
        f"{100 * level:g} % intervals" + (f"; {interval_of(fits[0])}" if len(fits) == 1 else "")
    ]
    for name in bare:
        notes.append(f"{name}: no standard errors, no intervals".removeprefix(": "))
    say(ax, *notes)
    if len(fits) > 1:
        legend_strip(ax)
    return ax


def profile(fit: Fit, which: str | int, *, level: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Profile log-likelihood of one parameter, with the interval that it gives, Eq. (2.9).

    The others are at their best for each of its values. Robust standard errors have no part in it.
    Each marked point is an end of a `Fit.profile_interval` of some level, so it is exact (or
    verified, where it is iterated); the curve goes through them.

    Parameters
    ----------
    fit : Fit
        With its rows.
    which : str or int
        As of `Fit.profile_interval`.
    level : float
        Of the interval that is marked.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        Its lines are the curve, the exact points, and the parabola of the standard error, if there
        is one: how far the two are apart is how far the likelihood is from normal.

    Raises
    ------
    InvalidInput, InvalidType, DataNeeded
        As of `Fit.profile_interval`.
    MissingDependency
        Without matplotlib.
    """
    fit = require_fit(fit)
    lower, upper = fit.profile_interval(which, level)
    estimate, error, name = _parameter(fit, which)
    edge = np.sqrt(chi2_quantile(level))
    places = [(estimate, 0.0), (lower, -edge), (upper, edge)]
    for far in np.array([0.2, 0.4, 0.6, 0.8, FARTHEST]) * edge:
        low, high = fit.profile_interval(which, float(erf(far / np.sqrt(2))))
        places += [(low, -far), (high, far)]
    exact = np.array(sorted((z, x) for x, z in places if np.isfinite(x))).reshape(-1, 2)
    if len(exact) < 2:
        raise InvalidInput(
            f"the likelihood of {name} hardly falls on either side: no curve to draw"
        )
    z_exact, x_exact = exact.T
    ax = axes_for(ax)
    fine = np.linspace(z_exact[0], z_exact[-1], 241)
    curve = PchipInterpolator(z_exact, x_exact)(fine)
    ax.plot(curve, -0.5 * fine**2, color=COLOURS[0], linewidth=1.6, label="profile")
    ax.plot(x_exact, -0.5 * z_exact**2, "o", color=COLOURS[0], markersize=3.5)
    if np.isfinite(error):
        near = np.linspace(-FARTHEST, FARTHEST, 121) * edge
        ax.plot(
            estimate + near * error, -0.5 * near**2, color=COLOURS[1], linewidth=1.2, zorder=1,
            linestyle=(0, (5, 1.5)), label="by the standard error",
        )  # fmt: skip
    inside = np.abs(fine) <= edge * (1 + 1e-12)
    ax.fill_between(
        curve[inside], -0.5 * fine[inside] ** 2, -0.5 * edge**2, color=COLOURS[5], alpha=0.3,
        linewidth=0, zorder=0,
        label=f"{100 * level:g} % interval: {lower:.4g} to {upper:.4g}".replace("inf", "∞"),
    )  # fmt: skip
    ax.axhline(-0.5 * edge**2, color=GREY, linewidth=0.8, zorder=0)
    ax.set_ylim(-0.5 * (FARTHEST * edge) ** 2, 0.1)
    if which == "df":
        _log_axis(ax)
    ax.set(xlabel=written(name), ylabel="relative log-likelihood")
    legend_strip(ax)
    return ax


def interval_of(fit: Fit) -> str:
    """What the intervals of a fit are made of, in words."""
    if fit.robust is not None:
        return f"standard errors: {fit.robust.label}"
    if fit.prior is not None:
        return "of the posterior"
    return "Student's t" if fit.exact else "normal, as n grows"


def _parameter(fit: Fit, which: str | int) -> tuple[float, float, str]:
    """Estimate, standard error by the model (NaN where there is none) and name of a parameter."""
    if which == "df" and fit.n_shape:
        return float(getattr(fit.noise, "df", np.nan)), np.nan, "df of Student's t"
    if which == "sigma":
        return fit.sigma, fit.sigma * float(fit.scale_std_errors[0]), "sigma"
    j = _position(fit._likelihood(), which)
    model = fit.with_covariance("expected")
    kept = list(fit.rank_report.kept)
    errors = np.append(model.std_errors[kept], fit.scale_std_errors)
    names = [*(fit.names[i] for i in kept), *(fit.scale_names or ("log sigma",))]
    return float(fit.solution.theta[j]), float(errors[j]), names[j]


def _log_axis(ax: "Axes") -> None:
    """A logarithmic axis of x whose labels are plain numbers, and few."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _names(fits: Sequence[Fit], names: Sequence[str] | None) -> list[str]:
    every = list(dict.fromkeys(name for fit in fits for name in fit.names))
    if names is None:
        constants = {
            fit.names[fit.rank_report.kept[fit.constant]]
            for fit in fits
            if fit.constant is not None
        }
        chosen = [name for name in every if name not in constants] or every
    else:
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            if name not in every:
                raise InvalidInput(
                    f"no fit has a coefficient {name!r}: there are {', '.join(every)}"
                )
    if not chosen:
        raise InvalidInput("there is nothing to draw: the fit has no coefficients")
    if len(chosen) > MOST:
        raise InvalidInput(
            f"{len(chosen)} coefficients are too many for a figure: name at most {MOST} of them, "
            f"such as names={chosen[:2]}"
        )
    return chosen


def _labels(fits: Sequence[Fit]) -> list[str]:
    """What the fits assume, numbered where they repeat."""
    plain = [_assumed(fit) for fit in fits]
    often, seen = Counter(plain), Counter[str]()
    for i, name in enumerate(plain):
        if often[name] > 1:
            seen[name] += 1
            plain[i] = f"{name} ({seen[name]})"
    return plain


def _assumed(fit: Fit) -> str:
    noise: Any = "least squares" if fit.exact else str(fit.noise)
    kind = "" if fit.robust is None else f", {fit.robust.kind}"
    return f"{noise}{kind}{'' if fit.prior is None else ', with a prior'}"
