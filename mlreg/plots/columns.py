"""What one column does: the added-variable plot, and predictions along it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.columns import Categories, as_number, is_text
from mlreg.data.design import responses
from mlreg.data.formula import FormulaDesign
from mlreg.data.table import Table, is_tabular, read_column, suggest
from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.inference.influence import influence_blocks
from mlreg.inference.intervals import t_quantile
from mlreg.inference.margins import by_name
from mlreg.likelihood.transform import label
from mlreg.plots.estimates import interval_of
from mlreg.plots.fit_rows import require_fit
from mlreg.plots.points import draw_points, label_rows, legend_strip, say, settle
from mlreg.plots.style import COLOURS, axes_for, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["partial_regression", "prediction_band"]

F64 = NDArray[np.float64]


def partial_regression(
    fit: Fit, which: str, *, level: float = 0.95, ax: "Axes | None" = None
) -> "Axes":
    """What a column adds: what the others leave of y over what they leave of it, Eq. (12.14).

    Both are residuals of regressions on all other columns. The slope of the second on the first is
    the coefficient, exactly, and what is left about the line are the residuals of the fit: so the
    rows that hold the coefficient where it is can be seen.

    Parameters
    ----------
    fit : Fit
        Of least squares, with its rows.
    which : str
        The column of the design.
    level : float
        Of the interval of the slope, which is that of `Fit.conf_int`: robust where the fit is.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        With precision weights both are multiplied by their roots.

    Raises
    ------
    InvalidInput
        A column that there is not, or that was left out as dependent; not least squares.
    InvalidType, DataNeeded, MissingDependency
        Not a fit; a fit without its rows; without matplotlib.
    """
    fit = require_fit(fit)
    ls = fit._gaussian("partial_regression")
    if which not in fit.names:
        raise InvalidInput(f"no coefficient is called {which!r}; {suggest(which, fit.names)}")
    column = fit.names.index(which)
    if column not in fit.rank_report.kept:
        raise InvalidInput(
            f"{which!r} was left out: {fit.rank_report.describe(fit.names)}, and the others leave "
            "nothing of it"
        )
    j = list(fit.rank_report.kept).index(column)
    limits = fit.conf_int(level)[column]
    direction = ls.inverse[j] / (ls.inverse[j] @ ls.inverse[j])
    x_parts, e_parts, rows_parts, weighted = [], [], [], False
    for part in influence_blocks(fit):
        assert part._whitened is not None
        x_parts.append(np.ldexp(part._whitened @ direction, fit.R.exponent[j]))
        e_parts.append(part.residuals)
        rows_parts.append(part.rows)
        weighted = weighted or part.root_precision is not None
    x, e, numbers = (np.concatenate(parts) for parts in (x_parts, e_parts, rows_parts))
    slope = float(ls.params[j])
    y = e + slope * x
    ax = axes_for(ax)
    ends = np.array([x.min(initial=0.0), x.max(initial=0.0)])
    told = draw_points(ax, x, y)
    if np.isfinite(limits).all():
        grid = np.linspace(ends[0], ends[1], 101)
        ax.fill_between(
            grid, *np.sort(np.outer(limits, grid), axis=0), color=COLOURS[5], alpha=0.3,
            linewidth=0, zorder=0, label=f"{100 * level:g} % interval, {interval_of(fit)}",
        )  # fmt: skip
    ax.plot(
        ends, slope * ends, color=COLOURS[1], linewidth=1.6, zorder=3,
        label=f"slope {slope:.4g}, the coefficient",
    )  # fmt: skip
    legend_strip(ax)
    root = "root of weight × " if weighted else ""
    ax.set(xlabel=f"{root}{written(which)}, less what the others say of it")
    response = label(fit.design.transform, fit.design.response)
    ax.set(ylabel=f"{root}{written(response)}, less what they say of it")
    say(ax, told)
    pull = np.abs(x * e)  # what a row adds to the slope's normal equation
    far = np.argsort(-pull, kind="stable")[: 3 if pull.max(initial=0.0) > 0 else 0]
    settle(ax)
    label_rows(ax, x[far], y[far], [str(row) for row in numbers[far]])
    return ax


def prediction_band(
    fit: Fit,
    column: str,
    data: Any,
    *,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
    ax: "Axes | None" = None,
) -> "Axes":
    """Predictions along one column: their mean, its limits, those of new observations, Eq. (12.13).

    Parameters
    ----------
    fit : Fit
        It needs no rows.
    column : str
        The column of the data, of numbers, that goes from its least to its largest value.
    data : table; array of shape (m, k); or (X, y)
        Rows, as for `Fit.predict`: range of the column, means of the others. With the response (a
        table that has it, or y) each row is a point: its residual from the prediction for its value
        of the column.
    at : mapping, optional
        Values of other columns; by default their means. Text needs one.
    level : float
        Probability that the limits cover at each place, each for itself.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        On the scale of the response, also of a transformed one. Limits are those of `Fit.predict`.

    Raises
    ------
    InvalidInput, InvalidType
        Columns that the fit does not use or that the data do not have; text without a value.
    MissingDependency
        Without matplotlib.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> fit = ml.fit(data.X, data.y)
    >>> ax = ml.plots.prediction_band(fit, "x1", (data.X, data.y))
    """
    fit = require_fit(fit)
    t_quantile(level, 1.0)
    table, y = _table(fit, data)
    used = _used(fit)
    for name in (column, *(at or {})):
        if name not in used:
            raise InvalidInput(f"the fit does not use a column {name!r}; {suggest(name, used)}")
    held = _held(table, used, column, at or {})
    values = _numbers(
        table, column, "a band goes along numbers: draw one for each value of it, by at"
    )
    grid = np.linspace(values.min(), values.max(), 121)
    rows = _rows(grid, column, held)
    mean, new = fit.predict(rows, "mean", level), fit.predict(rows, "prediction", level)
    ax = axes_for(ax)
    told = ""
    if y is not None:
        told = draw_points(ax, values, _points(fit, table, y, _rows(values, column, held)))
    for limits, shade, what in ((new, 0.2, "new rows"), (mean, 0.55, "the mean")):
        if np.isfinite(limits.lower).any():
            ax.fill_between(
                grid, limits.lower, limits.upper, color=COLOURS[5], alpha=shade, linewidth=0,
                zorder=0, label=f"{100 * level:g} % limits of {what}",
            )  # fmt: skip
    ax.plot(grid, mean.mean, color=COLOURS[1], linewidth=1.6, zorder=3, label="prediction")
    legend_strip(ax)
    ax.set(xlabel=written(column), ylabel=written(fit.design.response))
    bare = "" if np.isfinite(mean.lower).any() else "no limits: the fit has no standard errors"
    say(ax, told, *_said(held), bare)
    return ax


def _table(fit: Fit, data: Any) -> tuple[Table, F64 | None]:
    """The data by their names, and the response if it is there, before any transform."""
    X = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    table = by_name(fit, X)
    if not table.n_rows:
        raise InvalidInput("there is nothing to draw along: the data is empty")
    if X is data and is_tabular(data):
        try:
            return table, responses(fit.design, table, table.n_rows)
        except InvalidInput:
            return table, None  # new rows, whose response is not known
    return table, None if X is data else responses(fit.design, data, table.n_rows)


def _used(fit: Fit) -> dict[str, Any]:
    """Columns that the fit uses, with the levels of categories; its scale design's, too."""
    found: dict[str, Any] = {}
    for design in (fit.design, fit.design.scale):
        if isinstance(design, FormulaDesign):
            found |= design.columns
        elif design is not None:
            found |= dict.fromkeys(name for name in design.names if name != "Intercept")
    return found


def _held(
    table: Table, used: Mapping[str, Any], column: str, at: Mapping[str, Any]
) -> dict[str, Any]:
    """Values of the other columns: as given, else their means."""
    if column in at:
        raise InvalidInput(f"{column!r} is the column that the band goes along: it is not held")
    held = {}
    for name, levels in used.items():
        if name == column:
            continue
        if name in at:
            held[name] = at[name]
        elif levels is not None:
            shown = ", ".join(repr(level) for level in levels[:5])
            raise InvalidInput(
                f"{name!r} has categories, and no mean: give one of {shown}, such as "
                f"at={{{name!r}: {levels[0]!r}}}"
            )
        else:
            why = f"it has no mean: give a value, such as at={{{name!r}: ...}}"
            held[name] = float(_numbers(table, name, why).mean())
    return held


def _numbers(table: Table, name: str, why: str) -> F64:
    """A column of the data as finite numbers, or an error that says why they are needed."""
    values = table.column(name)
    if isinstance(values, Categories) or is_text(values):
        raise InvalidInput(f"column {name!r} is not of numbers; {why}")
    numbers = np.asarray(as_number(values, f"column {name!r}"), dtype=np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise InvalidInput(
            f"column {name!r} has {bad.sum()} missing or infinite values, first at row "
            f"{bad.argmax()}: remove these rows"
        )
    return numbers


def _rows(values: F64, column: str, held: Mapping[str, Any]) -> Table:
    """Rows where one column has these values, and the others are held."""
    columns = {
        name: read_column(np.full(len(values), value), f"column {name!r}")
        for name, value in held.items()
    }
    return Table({**columns, column: values}, len(values))


def _points(fit: Fit, table: Table, y: F64, rows: Table) -> F64:
    """Each row's residual, added to the prediction for its value of the column alone."""
    there = np.asarray(fit.predict(rows, of="transformed"))
    own = np.asarray(fit.predict(table, of="transformed"))
    transform = fit.design.transform
    if transform is None:
        return there + (y - own)
    return np.asarray(transform.inverse(there + (np.asarray(transform.forward(y)) - own)))


def _said(held: Mapping[str, Any]) -> list[str]:
    """At which values the other columns are held."""
    if not held:
        return []
    shown = [
        f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in list(held.items())[:4]
    ]
    more = f", and {len(held) - 4} more" if len(held) > 4 else ""
    return [f"at {', '.join(shown)}{more}"]
