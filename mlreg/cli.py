"""The command line: ``mlreg fit``, ``mlreg certify`` and ``mlreg evaluate``.

Results go to stdout, everything else to stderr. Misuse is one line and exit
status 2; an estimate that is not the MLE is exit status 1.
"""

import argparse
import glob
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import mlreg as ml
from mlreg.data.levels import WholeColumns
from mlreg.errors import InvalidInput, MlregError
from mlreg.likelihood.transform import TRANSFORMS

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is returned.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            arguments = _parser().parse_args(argv)
            status: int = arguments.run(arguments)
        for warning in caught:
            print(f"mlreg: warning: {_one_line(warning.message)}", file=sys.stderr)
        return status
    except (MlregError, OSError) as error:
        message = _one_line(error)
        for argument, flag in (("missing", "--missing"), ("rank_deficient", "--rank-deficient")):
            message = message.replace(f"{argument}='drop'", f"{flag} drop")
        print(f"mlreg: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mlreg: interrupted", file=sys.stderr)
        return 130


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mlreg", description="Maximum-likelihood linear regression with a certificate."
    )
    parser.add_argument("--version", action="version", version=f"mlreg {ml.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    data = _Parser(add_help=False)
    data.add_argument(
        "data",
        metavar="DATA",
        help="CSV, Parquet or Arrow file, or a folder or glob of them; or a shipped data set: "
        + ", ".join(ml.datasets.names()),
    )
    data.add_argument(
        "formula",
        metavar="FORMULA",
        nargs="?",
        help='such as "y ~ x1 + C(group)"; a shipped data set has its own',
    )
    data.add_argument("--frequency-weights", metavar="COLUMN", help="k means k equal rows")
    data.add_argument("--precision-weights", metavar="COLUMN", help="w means variance sigma^2/w")
    data.add_argument(
        "--missing",
        choices=["raise", "drop"],
        default="raise",
        help="rows with missing values (default: raise)",
    )
    data.add_argument(
        "--noise",
        choices=["gaussian", "laplace", "student-t", "logistic", "huber"],
        default="gaussian",
        help="density of the noise (default: gaussian)",
    )
    data.add_argument("--df", type=float, help="of student-t noise (estimated if left out)")
    data.add_argument("--k", type=float, help="where huber's noise changes (default: 1.345)")
    data.add_argument(
        "--scale", metavar="FORMULA", help='what log sigma depends on, such as "~ x1"'
    )
    data.add_argument("--prior-sd", type=float, help="normal prior of the coefficients (ridge)")
    data.add_argument(
        "--transform",
        choices=list(TRANSFORMS),
        help="fit this transform of the response; likelihood, AIC and BIC stay those of the "
        "response itself",
    )
    data.add_argument("--json", action="store_true", help="print JSON for machines")

    fit = commands.add_parser("fit", parents=[data], help="fit a model and certify it")
    fit.set_defaults(run=_fit)
    fit.add_argument(
        "--rank-deficient",
        choices=["raise", "drop"],
        default="raise",
        help="columns that depend on earlier ones (default: raise)",
    )
    fit.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    fit.add_argument("--save", metavar="FILE", help="write the fit to FILE, for mlreg.load")
    fit.add_argument(
        "--optimizer",
        choices=["exact", "newton", "sgd", "auto-sgd", "scipy"],
        help="default: exact where there is an exact solution (gaussian, laplace), else newton",
    )
    sgd = fit.add_argument_group("with --optimizer sgd")
    sgd.add_argument("--learning-rate", type=float, help="required")
    sgd.add_argument("--batch-size", type=_batch_size, help="a number or 'full' (default: 32)")
    sgd.add_argument("--epochs", type=int, help="default: 3")
    sgd.add_argument(
        "--sampling", choices=["reshuffle", "replacement", "in-order"], help="default: reshuffle"
    )
    sgd.add_argument("--update", choices=["explicit", "implicit"], help="default: explicit")
    sgd.add_argument("--average", choices=["none", "all", "tail"], help="default: none")
    sgd.add_argument(
        "--checkpoint", metavar="FILE", help="saved after each epoch, and resumed from"
    )
    sgd.add_argument("--seed", type=int, help="default: 0; with --optimizer auto-sgd, too")
    fit.add_argument_group("with --optimizer auto-sgd").add_argument(
        "--tolerance", type=float, help="standard errors from the MLE (default: 0.1)"
    )
    fit.add_argument_group("with --optimizer scipy").add_argument(
        "--method", help="of scipy.optimize.minimize (default: trust-exact)"
    )

    certify = commands.add_parser(
        "certify", parents=[data], help="how far given coefficients are from the MLE"
    )
    certify.set_defaults(run=_certify)
    certify.add_argument(
        "--params",
        required=True,
        metavar="B0,B1,...|FILE",
        help="coefficients in the order of the formula, written --params=-1.5,2 ; or a JSON "
        "file: a list, a mapping of names, or what --json or --save wrote",
    )
    certify.add_argument("--sigma", type=float, help="noise scale to certify too")

    evaluate = commands.add_parser(
        "evaluate", parents=[data], help="cross-validate a model: what it says of unseen rows"
    )
    evaluate.set_defaults(run=_evaluate, optimizer="newton")  # not out of core
    evaluate.add_argument("--folds", type=int, default=5, help="default: 5")
    evaluate.add_argument("--groups", metavar="COLUMN", help="its rows stay in one fold")
    evaluate.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")
    evaluate.add_argument("--level", type=float, default=0.95, help="of the intervals that count")
    demo = commands.add_parser("demo", help="the textbook's chapter, replayed in ten seconds")
    demo.set_defaults(run=_demo)
    demo.add_argument("--seed", type=int, default=0, help="default: 0")
    demo.add_argument("--save", metavar="FOLDER", help="write the figures there (extra plots)")
    demo.add_argument("--no-color", action="store_true", help="plain text")
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from mlreg.demo import demo

    color = sys.stdout.isatty() and not arguments.no_color and "NO_COLOR" not in os.environ
    demo(seed=arguments.seed, save=arguments.save, color=color)
    return 0


def _batch_size(text: str) -> int | str:
    if text != "full" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor 'full'")
    return text if text == "full" else int(text)


def _optimizer(arguments: argparse.Namespace) -> Any:
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


def _data(arguments: argparse.Namespace) -> tuple[str, Any, dict[str, Any]]:
    """Formula, data and the options about rows.

    Files are read out of core, but for optimizers that go over the rows many times.
    """
    name, formula = arguments.data, arguments.formula
    data: Any = name
    if name.lower() in ml.datasets.names() and not Path(name).exists():
        data = ml.datasets.load(name)
        formula = formula or data.formula
    elif not Path(name).suffix and not Path(name).exists() and not glob.has_magic(name):
        raise InvalidInput(
            f"{name!r} is neither a file nor a shipped data set ({', '.join(ml.datasets.names())})"
        )
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
    if data is name and (one_pass or not Path(name).is_file()):
        data = ml.read(name)
    return formula, data, options | _model(arguments)


def _with_rows(arguments: argparse.Namespace, data: Any, job: Callable[[Any], Any]) -> Any:
    """The job done out of core; or in memory, where a term of the formula needs whole columns."""
    try:
        return job(data)
    except WholeColumns:
        return job(arguments.data)


def _fit(arguments: argparse.Namespace) -> int:
    formula, data, options = _data(arguments)
    optimizer = _optimizer(arguments)
    options |= {"optimizer": optimizer, "rank_deficient": arguments.rank_deficient}
    result = _with_rows(arguments, data, lambda rows: ml.fit(formula, rows, **options))
    text = result.summary(arguments.level)
    if arguments.json:
        text = json.dumps(_jsonable(_fit_fields(result, arguments.level)), allow_nan=False)
    if arguments.save:
        result.save(arguments.save)
    print(text)
    return 0 if result.status.ok else 1


def _certify(arguments: argparse.Namespace) -> int:
    formula, data, options = _data(arguments)
    params = _params(arguments.params)
    options["sigma"] = arguments.sigma
    result = _with_rows(arguments, data, lambda rows: ml.certify(params, formula, rows, **options))
    if arguments.json:
        print(json.dumps(_jsonable(_certificate_fields(result)), allow_nan=False))
    else:
        print(result)
    return 0 if result.converged else 1


def _evaluate(arguments: argparse.Namespace) -> int:
    from mlreg.evaluation.measures import NAMES  # loads all of fitting, which --help can do without

    formula, data, options = _data(arguments)
    options |= {k: getattr(arguments, k) for k in ("folds", "groups", "seed", "level")}
    result = ml.cross_validate(formula, data, **options)
    fields = {name: getattr(result, name)._asdict() for name in NAMES}
    more = {"level": result.level, "notes": list(result.notes)}
    folds = result.to_frame().to_dict("records")
    text = json.dumps(_jsonable(fields | more | {"folds": folds}), allow_nan=False)
    print(text if arguments.json else result)
    return 0 if result.converged else 1


def _params(text: str) -> Any:
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


def _fit_fields(fit: Any, level: float) -> dict[str, Any]:
    fields = {
        "mlreg": ml.__version__,
        "optimizer": fit.optimizer,
        "transform": None if fit.design.transform is None else fit.design.transform.name,
        "status": {"code": fit.status.code, "message": fit.status.message},
        "certificate": _certificate_fields(fit.certificate),
        "n_rows": fit.n_rows,
        "n_missing": fit.n_missing,
        "rank": fit.rank,
        "df_resid": fit.df_resid,
        "params": dict(zip(fit.names, fit.params.tolist(), strict=True)),
        "std_errors": dict(zip(fit.names, fit.std_errors.tolist(), strict=True)),
        "conf_int": dict(zip(fit.names, fit.conf_int(level).tolist(), strict=True)),
        "level": level,
        "noise": repr(fit.noise),
        "rss": fit.rss,
        "log_likelihood": fit.log_likelihood,
        "reads": fit.reads,
    }
    if fit.scale_names:
        names, estimates = fit.scale_names, (fit.scale_params, fit.scale_std_errors)
        fields["scale_params"], fields["scale_std_errors"] = (
            dict(zip(names, values.tolist(), strict=True)) for values in estimates
        )
    else:
        fields["sigma"] = fit.sigma
    if fit.prior is None:
        fields["t_values"] = dict(zip(fit.names, fit.t_values.tolist(), strict=True))
        fields["p_values"] = dict(zip(fit.names, fit.p_values.tolist(), strict=True))
        fields["aic"], fields["bic"] = fit.aic, fit.bic
    else:
        fields["prior_sd"], fields["effective_df"] = fit.prior.sd, fit.effective_df
    if fit.exact:
        for name in ("residual_std_error", "r_squared", "r_squared_adj"):
            fields[name] = getattr(fit, name)
        fields["f_test"] = vars(fit.f_test)
    return fields


def _certificate_fields(certificate: Any) -> dict[str, Any]:
    names = certificate.names
    return {
        "distance": certificate.distance,
        "per_param": dict(zip(names, certificate.per_param.tolist(), strict=True)),
        "sigma_distance": certificate.sigma_distance,
        "log_likelihood_gap": certificate.log_likelihood_gap,
        "rounding": dict(zip(names, certificate.rounding.tolist(), strict=True)),
        "exact": certificate.exact,
        "converged": certificate.converged,
    }


def _jsonable(value: Any) -> Any:
    """JSON has no NaN and no infinity: null for the one, a string for the other."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return str(value) if value in (float("inf"), float("-inf")) else value


if __name__ == "__main__":
    sys.exit(main())
