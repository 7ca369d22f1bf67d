"""The arguments of each command."""

import argparse
from typing import Any, NoReturn

import mlreg as ml
from mlreg.cli import commands
from mlreg.errors import InvalidInput
from mlreg.likelihood.transform import TRANSFORMS

__all__ = ["parser"]


class _Parser(argparse.ArgumentParser):
    """Examples stay as they are laid out; misuse is an exception."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.formatter_class = argparse.RawDescriptionHelpFormatter

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="mlreg",
        description="Maximum-likelihood linear regression with a certificate.",
        epilog=_examples(
            'mlreg fit houses.csv "price ~ area + C(town)" --save model.json',
            "mlreg predict model.json new.csv --interval prediction --output predicted.csv",
            "mlreg COMMAND --help",
        )
        + "\n\nexit status: 0, the MLE; 1, an estimate that is not; 2, misuse; 130, interrupted",
    )
    top.add_argument("--version", action="version", version=f"mlreg {ml.__version__}")
    doors = top.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    data = _data()
    for add in (_fit, _certify, _evaluate):
        add(doors, data)
    for add_other in (_predict, _compare, _report, _verify, _demo):
        add_other(doors)
    return top


def _examples(*lines: str) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in lines)])


DATA = "CSV, Parquet or Arrow file, or a folder or glob of them; or a shipped data set: "


def _data() -> _Parser:
    """What a model is fitted to, and which model."""
    data = _Parser(add_help=False)
    data.add_argument("data", metavar="DATA", help=DATA + ", ".join(ml.datasets.names()))
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
    return data


def _fit(doors: Any, data: _Parser) -> None:
    fit = doors.add_parser(
        "fit",
        parents=[data],
        help="fit a model and certify it",
        epilog=_examples(
            "mlreg fit longley",
            'mlreg fit "years/*.parquet" "price ~ area + C(town)" --save model.json',
            'mlreg fit houses.csv "log(price) ~ area" --noise student-t --report page.html',
            'mlreg fit houses.csv "price ~ area" --covariance cluster --groups street',
        ),
    )
    fit.set_defaults(run=commands.fit)
    fit.add_argument(
        "--rank-deficient",
        choices=["raise", "drop"],
        default="raise",
        help="columns that depend on earlier ones (default: raise)",
    )
    fit.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    fit.add_argument(
        "--covariance",
        choices=["expected", "observed", "opg", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"],
        default="expected",
        help="of the standard errors: of the model, or robust (default: expected)",
    )
    fit.add_argument(
        "--groups",
        metavar="COLUMN",
        action="append",
        help="the clusters of --covariance cluster; given twice, of both kinds",
    )
    fit.add_argument("--lags", type=int, help="of --covariance HAC (default: by the rows)")
    fit.add_argument(
        "--format", choices=["text", "html", "markdown"], default="text", help="default: text"
    )
    fit.add_argument("--save", metavar="FILE", help="write the fit to FILE, for mlreg predict")
    fit.add_argument(
        "--report", metavar="FILE", help="write summary, diagnostics and figures to FILE, HTML"
    )
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


def _batch_size(text: str) -> int | str:
    if text != "full" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor 'full'")
    return text if text == "full" else int(text)


def _certify(doors: Any, data: _Parser) -> None:
    certify = doors.add_parser(
        "certify",
        parents=[data],
        help="how far given coefficients are from the MLE",
        epilog=_examples(
            'mlreg certify norris "y ~ x" --params=-0.26,1.002',
            'mlreg certify houses.csv "price ~ area" --params coefficients.json',
        ),
    )
    certify.set_defaults(run=commands.certify)
    certify.add_argument(
        "--params",
        required=True,
        metavar="B0,B1,...|FILE",
        help="coefficients in the order of the formula, written --params=-1.5,2 ; or a JSON "
        "file: a list, a mapping of names, or what --json or --save wrote",
    )
    certify.add_argument("--sigma", type=float, help="noise scale to certify too")


def _evaluate(doors: Any, data: _Parser) -> None:
    evaluate = doors.add_parser(
        "evaluate",
        parents=[data],
        help="cross-validate a model: what it says of unseen rows",
        epilog=_examples('mlreg evaluate houses.csv "price ~ area" --folds 10 --groups street'),
    )
    evaluate.set_defaults(run=commands.evaluate, optimizer="newton")  # not out of core
    evaluate.add_argument("--folds", type=int, default=5, help="default: 5")
    evaluate.add_argument("--groups", metavar="COLUMN", help="its rows stay in one fold")
    evaluate.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")
    evaluate.add_argument("--level", type=float, default=0.95, help="of the intervals that count")


def _predict(doors: Any) -> None:
    predict = doors.add_parser(
        "predict",
        help="predict new rows with a saved fit",
        description="One line of CSV for each row, in order, whatever the number of rows.",
        epilog=_examples(
            "mlreg predict model.json new.csv",
            'mlreg predict model.json "years/*.parquet" --interval prediction --output out.csv',
        ),
    )
    predict.set_defaults(run=commands.predict)
    predict.add_argument("model", metavar="MODEL", help="what mlreg fit --save wrote")
    predict.add_argument("data", metavar="DATA", help="as of mlreg fit; needs no response")
    predict.add_argument(
        "--interval",
        choices=["mean", "prediction"],
        help="limits, too: of the mean, or of a new observation",
    )
    predict.add_argument("--level", type=float, help="of the interval (default: 0.95)")
    predict.add_argument(
        "--of",
        choices=["median", "mean", "transformed"],
        default="median",
        help="of a transformed response (default: median)",
    )
    predict.add_argument(
        "--output", metavar="FILE", help="CSV file, which is whole or not there (default: stdout)"
    )


def _compare(doors: Any) -> None:
    compare = doors.add_parser(
        "compare",
        help="saved fits of one response side by side",
        epilog=_examples(
            "mlreg compare normal.json student.json",
            "mlreg compare normal.json student.json --data held-out.csv",
        ),
    )
    compare.set_defaults(run=commands.compare)
    compare.add_argument("models", metavar="MODEL", nargs="+", help="two or more, saved by fit")
    compare.add_argument(
        "--data", metavar="DATA", help="held-out rows, with the response: density and calibration"
    )
    compare.add_argument("--json", action="store_true", help="print JSON for machines")


def _report(doors: Any) -> None:
    report = doors.add_parser(
        "report",
        help="write the page of a saved fit",
        description="One page of HTML. A saved fit is without its rows, and the page says what "
        "only rows can tell; mlreg fit --report has them.",
        epilog=_examples("mlreg report model.json page.html"),
    )
    report.set_defaults(run=commands.report)
    report.add_argument("model", metavar="MODEL", help="what mlreg fit --save wrote")
    report.add_argument("page", metavar="PAGE", help="the file to write, HTML")
    report.add_argument("--level", type=float, default=0.95, help="of the intervals")


def _verify(doors: Any) -> None:
    verify = doors.add_parser(
        "verify",
        help="hold anyone's noise, likelihood, optimizer, regressor or intervals to the laws",
        epilog=_examples(
            "mlreg verify mlreg:Gaussian",
            "mlreg verify sklearn.linear_model:LinearRegression --weights precision",
            "mlreg verify mine:nll --gradient gradient --hessian hessian",
        )
        + "\n\nexit status: 0, all laws kept; 1, some broken; 2, misuse",
    )
    verify.set_defaults(run=commands.verify)
    verify.add_argument(
        "subject",
        metavar="MODULE:OBJECT",
        help="an object, a class that needs no arguments, or a function; from here or installed",
    )
    kinds = ("noise", "likelihood", "optimizer", "regressor", "intervals")
    verify.add_argument(
        "--kind", choices=kinds, help="what it is; found by its methods or arguments"
    )
    verify.add_argument(
        "--weights", choices=("frequency", "precision"), help="what its weights mean"
    )
    solvers = ("backward stable", "normal equations", "iterative")
    verify.add_argument("--solver", choices=solvers, help="the accuracy that a regressor claims")
    verify.add_argument(
        "--not-least-squares", action="store_true", help="a regressor that is ridge, robust, ..."
    )
    verify.add_argument("--gradient", metavar="NAME", help="of a likelihood, in the same module")
    verify.add_argument("--hessian", metavar="NAME", help="of a likelihood, in the same module")
    verify.add_argument("--law", action="append", metavar="NAME", help="only this law; repeatable")
    verify.add_argument("--examples", type=int, metavar="N", help="problems for each law")
    verify.add_argument("--seed", type=int, default=0, help="of the problems; default: 0")
    verify.add_argument("--json", action="store_true", help="the report as JSON")


def _demo(doors: Any) -> None:
    demo = doors.add_parser("demo", help="the textbook's chapter, replayed in ten seconds")
    demo.set_defaults(run=commands.demo)
    demo.add_argument("--seed", type=int, default=0, help="default: 0")
    demo.add_argument("--save", metavar="FOLDER", help="write the figures there (extra plots)")
    demo.add_argument("--no-color", action="store_true", help="plain text")
