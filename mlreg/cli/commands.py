"""What each command does; the exit status is returned."""

import argparse
import os
import sys
from contextlib import nullcontext
from inspect import signature
from typing import Any

import mlreg as ml
from mlreg.cli.fields import certificate_fields, comparison_fields, fit_fields, to_json
from mlreg.cli.model import data_of, errors_of, optimizer_of, params_of, table_of, with_rows
from mlreg.cli.predicting import header, predictions
from mlreg.cli.waiting import waiting
from mlreg.errors import InvalidInput
from mlreg.files import check_target, whole

__all__ = ["certify", "compare", "demo", "evaluate", "fit", "predict", "report", "verify"]


def fit(arguments: argparse.Namespace) -> int:
    """``mlreg fit``."""
    formula, data, options = data_of(arguments)
    optimizer, errors = optimizer_of(arguments), errors_of(arguments)
    for path in filter(None, (arguments.save, arguments.report)):
        check_target(path)  # before the work
    options |= {"optimizer": optimizer, "rank_deficient": arguments.rank_deficient}
    with waiting("fitting") if type(data).__name__ != "LazyTable" else nullcontext():  # it has bars
        result = with_rows(arguments, data, lambda rows: ml.fit(formula, rows, **options))
        result = result.with_covariance(**errors)
    text = result.summary(arguments.level, format=arguments.format)
    if arguments.json:
        text = to_json(fit_fields(result, arguments.level))
    if arguments.save:
        result.save(arguments.save)
    if arguments.report:
        with waiting("the report"):
            result.report(arguments.report, arguments.level)
    print(text)
    return 0 if result.status.ok else 1


def certify(arguments: argparse.Namespace) -> int:
    """``mlreg certify``."""
    formula, data, options = data_of(arguments)
    params = params_of(arguments.params)
    options["sigma"] = arguments.sigma
    with waiting("certifying"):
        result = with_rows(
            arguments, data, lambda rows: ml.certify(params, formula, rows, **options)
        )
    print(to_json(certificate_fields(result)) if arguments.json else result)
    return 0 if result.converged else 1


def evaluate(arguments: argparse.Namespace) -> int:
    """``mlreg evaluate``."""
    from mlreg.evaluation.measures import NAMES  # loads all of fitting, which --help can do without

    formula, data, options = data_of(arguments)
    options |= {k: getattr(arguments, k) for k in ("folds", "groups", "seed", "level")}
    with waiting("cross-validating"):
        result = ml.cross_validate(formula, data, **options)
    fields: dict[str, Any] = {name: getattr(result, name)._asdict() for name in NAMES}
    fields |= {"level": result.level, "notes": list(result.notes)}
    fields["folds"] = result.to_frame().to_dict("records")
    print(to_json(fields) if arguments.json else result)
    return 0 if result.converged else 1


def predict(arguments: argparse.Namespace) -> int:
    """``mlreg predict``: CSV, in the order of the rows."""
    model = _load(arguments.model)
    rows = predictions(model, arguments)
    output = whole(arguments.output) if arguments.output else nullcontext(sys.stdout)
    with output as file:
        head = header(arguments)
        for lines in rows:
            file.write(head + lines)  # together, for there may be an error instead of lines
            head = ""
        file.write(head)
    return 0 if model.status.ok else 1


def compare(arguments: argparse.Namespace) -> int:
    """``mlreg compare``."""
    fits = [ml.load(path) for path in arguments.models]
    data = None if arguments.data is None else table_of(arguments.data)
    with waiting("comparing"):
        result = ml.compare(*fits, data=data, names=arguments.models)
    print(to_json(comparison_fields(result)) if arguments.json else result)
    return 0 if all(fit.status.ok for fit in fits) else 1


def report(arguments: argparse.Namespace) -> int:
    """``mlreg report``."""
    model = _load(arguments.model)
    model.report(arguments.page, arguments.level)
    return 0 if model.status.ok else 1


def verify(arguments: argparse.Namespace) -> int:
    """``mlreg verify``."""
    from mlreg.cli.naming import attribute, named
    from mlreg.verify.recognise import CHECKS, check, kind_of

    module, subject = named(arguments.subject)
    kind = arguments.kind or kind_of(subject)
    options: dict[str, Any] = {
        "laws": arguments.law,
        "weights": arguments.weights,
        "solver": arguments.solver,
        "examples": arguments.examples,
        "is_least_squares": False if arguments.not_least_squares else None,
    }
    for name in ("gradient", "hessian"):
        options[name] = attribute(module, getattr(arguments, name))
    options = {name: value for name, value in options.items() if value is not None}
    if kind != "noise":
        options["seed"] = arguments.seed
    taken = signature(CHECKS[kind][0]).parameters
    extra = [name for name in options if name not in taken]
    if extra:
        flag = "--not-least-squares" if extra[0] == "is_least_squares" else f"--{extra[0]}"
        raise InvalidInput(f"{flag} is not for a subject of kind {kind!r}")
    with waiting(f"trying {arguments.subject}"):
        result = check(subject, kind, **options)
    print(result.to_json() if arguments.json else result)
    return 0 if result.passed else 1


def demo(arguments: argparse.Namespace) -> int:
    """``mlreg demo``."""
    from mlreg.demo import demo as run

    color = sys.stdout.isatty() and not arguments.no_color and "NO_COLOR" not in os.environ
    run(seed=arguments.seed, save=arguments.save, color=color)
    return 0


def _load(path: str) -> "ml.Fit":
    """A saved fit; where it is not the MLE, stderr says so."""
    model = ml.load(path)
    if not model.status.ok:
        print(f"mlreg: {path} is not the MLE: {model.status}", file=sys.stderr)
    return model
