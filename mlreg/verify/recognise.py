"""Which laws an object is held to, by what it looks like; and tests made of them."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args

from mlreg.errors import InvalidInput, MissingDependency
from mlreg.verify import intervals, likelihoods, noises, optimizers, regressors
from mlreg.verify.kit import Promise
from mlreg.verify.report import Report

__all__ = ["Kind", "check", "kind_of", "parametrize"]

Kind = Literal["noise", "likelihood", "optimizer", "regressor", "intervals"]

CHECKS: dict[str, tuple[Callable[..., Report], list[Promise]]] = {
    "noise": (noises.check_noise, noises.NOISE),
    "likelihood": (likelihoods.check_likelihood, likelihoods.LIKELIHOOD),
    "optimizer": (optimizers.check_optimizer, optimizers.OPTIMIZER),
    "regressor": (regressors.check_regressor, regressors.REGRESSOR),
    "intervals": (intervals.check_intervals, intervals.INTERVALS),
}


def kind_of(subject: Any) -> Kind:
    """What an object is, by its methods; of a function, by the names of its arguments.

    Raises
    ------
    InvalidInput
        It looks like none of them.
    """
    for kind, methods in (
        ("noise", ("rho", "psi")),
        ("optimizer", ("minimize",)),
        ("regressor", ("fit", "predict")),
    ):
        if all(hasattr(subject, method) for method in methods):
            return kind  # type: ignore[return-value]
    try:
        names = [name.lower() for name in inspect.signature(subject).parameters]
    except (TypeError, ValueError):
        names = []
    by_names: dict[tuple[str, ...], Kind] = {
        ("theta", "x", "y"): "likelihood",
        ("x", "y", "level"): "intervals",
        ("nll", "gradient", "start"): "optimizer",
    }
    for wanted, kind_ in by_names.items():
        if tuple(names[:3]) == wanted:
            return kind_
    if names[:2] == ["x", "y"]:
        return "regressor"
    raise InvalidInput(
        f"{subject!r} looks like no noise (rho, psi), optimizer (minimize), regressor (fit and "
        "predict, or a function of X and y), likelihood (of theta, X and y) or intervals "
        "(of X, y and level): say which it is, kind="
    )


def check(subject: Any, kind: Kind | None = None, **options: Any) -> Report:
    """Hold an object to the laws of what it is.

    Parameters
    ----------
    subject : object
        A noise, likelihood, optimizer, regressor, or function to intervals.
    kind : str, optional
        Which; found by its methods, or the names of its arguments, where it is not said.
    **options
        Of `check_noise`, `check_likelihood`, `check_optimizer`, `check_regressor` or
        `check_intervals`.
    """
    return _of(subject, kind)[0](subject, **options)


def _of(subject: Any, kind: Kind | None) -> tuple[Callable[..., Report], list[Promise]]:
    if kind is not None and kind not in get_args(Kind):
        raise InvalidInput(f"kind must be one of {', '.join(get_args(Kind))}; not {kind!r}")
    return CHECKS[kind or kind_of(subject)]


def parametrize(subject: Any, kind: Kind | None = None, **options: Any) -> Any:
    """Make a test of each law, for pytest.

    Parameters
    ----------
    subject, kind, **options
        As of `check`.

    Returns
    -------
    decorator
        Of a test function that takes ``law``, and calls it; where it is broken, `LawViolation`.

    Examples
    --------
    >>> from mlreg import verify
    >>> @verify.parametrize(MyRegressor(), weights="frequency")  # doctest: +SKIP
    ... def test_my_regressor(law):
    ...     law()
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingDependency("parametrize makes tests for pytest: pip install pytest") from error
    tried, promises = _of(subject, kind)
    expected = options.pop("expect_fail", {})

    def one(name: str) -> Callable[[], None]:
        def law() -> None:
            own = {name: expected[name]} if name in expected else None
            report = tried(subject, laws=[name], expect_fail=own, **options)
            (outcome,) = report
            if outcome.verdict == "not applicable":
                pytest.skip(outcome.reason)
            report.raise_for_broken()

        return law

    names = [p.law.name for p in promises]
    unknown = [name for name in expected if name not in names]
    if unknown:
        raise InvalidInput(f"no law is called {unknown[0]!r}; they are {', '.join(names)}")
    return pytest.mark.parametrize("law", [pytest.param(one(name), id=name) for name in names])
