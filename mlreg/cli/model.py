"""From arguments to data, noise and optimizer."""

import argparse
import glob
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlreg as ml
from mlreg.data.levels import WholeColumns
from mlreg.data.table import Table, as_table
from mlreg.errors import InvalidInput

__all__ = [
    "data_of",
    "errors_of",
    "is_shipped",
    "optimizer_of",
    "params_of",
    "table_of",
    "with_rows",
]


def optimizer_of(arguments: argparse.Namespace) -> Any:
    """The configuration, and an error for a flag that belongs to another optimizer."""
    sgd = ["learning_rate", "batch_size", "epochs", "sampling", "update", "average", "checkpoint"]
    owners = {
        "sgd": [*sgd, "seed"],
        "auto-sgd": ["tolerance", "batch_size", "seed"],
        "scipy": ["method"],
    }
    names = dict.fromkeys(name for owned in owners.values() for name in owned)
    given = {k: v for k in names if (v := getattr(arguments, k)) is not None}
    for name in given:
        if name not in owners.get(arguments.optimizer, []):
            whose = " or ".join(owner for owner, owned in owners.items() if name in owned)
            raise InvalidInput(f"--{name.replace('_', '-')} belongs to --optimizer {whose}")
    if arguments.optimizer == "sgd":
        if "learning_rate" not in given:
            raise InvalidInput("--optimizer sgd needs --learning-rate, such as 0.03")
        return ml.SGD(given.pop("learning_rate"), **given)
    simple: dict[str, Any] = {
        "auto-sgd": ml.AutoSGD,
        "scipy": ml.Scipy,
        "newton": ml.Newton,
        "exact": ml.Exact,
    }
    return simple[arguments.optimizer](**given) if arguments.optimizer else None


def _model(arguments: argparse.Namespace) -> dict[str, Any]:
    """Noise, scale and prior, as keywords of ``fit`` and ``certify``."""
    shape = {"student-t": "df", "huber": "k"}.get(arguments.noise)
    for name in ("df", "k"):
        if getattr(arguments, name) is not None and shape != name:
            raise InvalidInput(f"--{name} is not for {arguments.noise} noise")
    value = getattr(arguments, shape) if shape else None
    kinds: dict[str, Any] = {
        "gaussian": ml.Gaussian,
        "laplace": ml.Laplace,
        "student-t": ml.StudentT,
        "logistic": ml.Logistic,
        "huber": ml.Huber,
    }
    noise = kinds[arguments.noise](*([] if value is None else [value]))
    prior = None if arguments.prior_sd is None else ml.NormalPrior(arguments.prior_sd)
    return {"noise": noise, "scale": arguments.scale, "prior": prior}


def is_shipped(name: str) -> bool:
    """Whether it is a data set of `mlreg.datasets`, and not a file; an error for neither."""
    if Path(name).exists() or glob.has_magic(name):
        return False
    shipped = name.lower() in ml.datasets.names()
    if not shipped and not Path(name).suffix:
        raise InvalidInput(
            f"{name!r} is neither a file nor a shipped data set ({', '.join(ml.datasets.names())})"
        )
    return shipped


def table_of(name: str) -> Table:
    """A file or a shipped data set, whole."""
    return as_table(ml.datasets.load(name) if is_shipped(name) else name)


def data_of(arguments: argparse.Namespace) -> tuple[str, Any, dict[str, Any]]:
    """Formula, data and the options about rows.

    Files are read out of core, but for optimizers that go over the rows many times.
    """
    name, formula = arguments.data, arguments.formula
    data: Any = name
    if is_shipped(name):
        data = ml.datasets.load(name)
        formula = formula or data.formula
    if formula is None:
        raise InvalidInput(f'a formula is needed, such as: mlreg fit {name} "y ~ x1 + x2"')
    options = {
        k: getattr(arguments, k)
        for k in ("frequency_weights", "precision_weights", "missing", "transform")
    }
    least_squares = (arguments.noise, arguments.scale, arguments.prior_sd) == (
        "gaussian",
        None,
        None,
    )
    one_pass = least_squares and getattr(arguments, "optimizer", None) in (None, "exact")
    by_column = (
        getattr(arguments, "covariance", None) == "cluster"
    )  # which only a table read lazily keeps
    if data is name and (one_pass or by_column or not Path(name).is_file()):
        data = ml.read(name)
    return formula, data, options | _model(arguments)


def with_rows(arguments: argparse.Namespace, data: Any, job: Callable[[Any], Any]) -> Any:
    """The job done out of core; or in memory, where a term of the formula needs whole columns."""
    try:
        return job(data)
    except WholeColumns:
        return job(arguments.data)


def errors_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Which standard errors, as keywords of `Fit.with_covariance`."""
    kind, groups, lags = arguments.covariance, arguments.groups, arguments.lags
    if (groups is not None) != (kind == "cluster"):
        raise InvalidInput("--covariance cluster and --groups COLUMN belong together")
    if lags is not None and kind != "HAC":
        raise InvalidInput("--lags belongs to --covariance HAC")
    return {"kind": kind, "groups": None if groups is None else tuple(groups), "lags": lags}


def params_of(text: str) -> Any:
    """Coefficients as they are written, or from a file."""
    if os.path.exists(text):
        try:
            value = json.loads(Path(text).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidInput(f"--params: {text} is not JSON") from error
        if isinstance(value, dict) and "format" in value:
            fit = ml.load(text)
            return dict(zip(fit.names, fit.params.tolist(), strict=True))
        if isinstance(value, dict) and "params" in value:
            value = value["params"]
        return value
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInput(
            f"--params {text!r} is neither a file nor numbers separated by commas"
        ) from error
