"""Figures of fits and of descents, drawn with matplotlib (extra ``plots``).

`residuals`, `qq`, `scale_location`, `leverage` and `influence` show what is wrong with a fit;
`diagnostics`, which is ``fit.plot()``, draws the first four on a page. `coefficients`, `profile`,
`partial_regression` and `prediction_band` show what the fit says. `loss`, `distance` and
`path` draw descents: fits, solutions, or the runs of `watch` and `textbook_runs`, which look
between the minibatches too. Each takes an Axes, or makes a figure of
its own, and returns the Axes; ``ax.figure.savefig("loss.png")`` writes it. A figure of its own is
not one of pyplot's: nothing global is changed, and it goes when nothing refers to it any more.
"""

from mlreg.plots.columns import partial_regression, prediction_band
from mlreg.plots.descents import distance, loss, path
from mlreg.plots.diagnostics import (
    diagnostics,
    influence,
    leverage,
    residuals,
    scale_location,
)
from mlreg.plots.estimates import coefficients, profile
from mlreg.plots.quantiles import qq
from mlreg.plots.watching import Run, textbook_runs, watch

__all__ = [
    "Run",
    "coefficients",
    "diagnostics",
    "distance",
    "influence",
    "leverage",
    "loss",
    "partial_regression",
    "path",
    "prediction_band",
    "profile",
    "qq",
    "residuals",
    "scale_location",
    "textbook_runs",
    "watch",
]
