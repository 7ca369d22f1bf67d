"""How a set of laws is tried on somebody's object: problems are drawn, and the smallest is shown.

A promise is a law with what it takes to try it: a strategy that draws problems, and how a problem
is written as code. `run` tries each on an object, by Hypothesis, which also finds the smallest
problem that breaks it. A stochastic promise draws nothing: it is tried once, on streams of a stated
seed, for a search among many would find a false alarm in the end.
"""

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlreg.errors import InvalidInput, MissingDependency
from mlreg.verify.registry import LAWS, Kind, Law, law
from mlreg.verify.report import Outcome, Report

__all__ = ["Promise", "called", "promise", "promised", "run"]


@dataclass(frozen=True, eq=False)
class Promise:
    """A law and how it is tried.

    Attributes
    ----------
    law : Law
        Its ``ratios`` take the object, and a problem if any is drawn.
    mathematics : str
        The statement in symbols.
    draw : callable or None
        From the object to a Hypothesis strategy of problems.
    code : callable
        From the object and a problem to code that shows it.
    why_not : callable
        From the object to the reason why the law does not apply to it; "" if it does.
    false_alarm : float
        Probability that an object that keeps it is said to break it.
    """

    law: Law
    mathematics: str
    draw: Callable[[Any], Any] | None
    code: Callable[[Any, Any], str]
    why_not: Callable[[Any], str]
    false_alarm: float


def promise(
    kind: Kind,
    *equations: str,
    mathematics: str,
    into: list[Promise],
    draw: Callable[[Any], Any] | None = None,
    code: Callable[[Any, Any], str] = lambda subject, problem: "",
    why_not: Callable[[Any], str] = lambda subject: "",
    false_alarm: float = 0.0,
) -> Callable[[Callable[..., Any]], Callable[..., float]]:
    """Register a law, and put it into a list of those that objects of a kind are held to."""

    def register(function: Callable[..., Any]) -> Callable[..., float]:
        check = law(kind, *equations)(function)
        into.append(Promise(LAWS[function.__name__], mathematics, draw, code, why_not, false_alarm))
        return check

    return register


def promised(
    check: Callable[..., float],
    mathematics: str,
    why_not: Callable[[Any], str] = lambda subject: "",
) -> Promise:
    """A law that takes the object alone, as a promise: there is nothing to draw."""
    of_object = LAWS[check.__name__]
    ratios = of_object.ratios
    alone = replace(of_object, ratios=lambda subject, seed: ratios(subject))
    return Promise(alone, mathematics, None, lambda subject, seed: "", why_not, 0.0)


def called(subject: Any) -> str:
    """What an object is called, in a report and in code."""
    if hasattr(subject, "__qualname__"):
        return str(subject.__qualname__).rsplit(".", 1)[-1]
    plain: bool = vars(object)["__repr__"] is type(subject).__repr__
    return f"{type(subject).__name__}()" if plain else repr(subject)


def run(
    name: str,
    subject: Any,
    promises: Sequence[Promise],
    laws: Sequence[str] | None,
    examples: int,
    seed: int,
    expect_fail: Mapping[str, str] | None,
    shrink: bool = True,
) -> Report:
    """Try promises on an object.

    Parameters
    ----------
    name : str
        What the object is called in the report.
    subject : object
        What the laws take.
    promises : sequence of Promise
        The laws.
    laws : sequence of str, optional
        Names of those that are tried; all of them where it is not said.
    examples : int
        Problems that each is tried on.
    seed : int
        Of the problems, and of the stochastic laws' streams.
    expect_fail : mapping, optional
        From names of laws that are known to break to the reasons.
    shrink : bool
        Whether the smallest problem that breaks a law is looked for.
    """
    named = {one.law.name: one for one in promises}
    for law_name in [*(laws or ()), *(expect_fail or ())]:
        if law_name not in named:
            raise InvalidInput(f"no law is called {law_name!r}; they are {', '.join(named)}")
    if isinstance(examples, bool) or not isinstance(examples, int) or examples < 1:
        raise InvalidInput(f"examples must be a number of problems, 1 or more; not {examples!r}")
    chosen = named if laws is None else laws
    outcomes = tuple(_try(subject, named[each], examples, seed, shrink) for each in chosen)
    return Report(name, outcomes).expecting(expect_fail or {})


def _try(subject: Any, one: Promise, examples: int, seed: int, shrink: bool) -> Outcome:
    law = one.law
    about = law.name, law.statement, one.mathematics, law.equations, law.kind
    reason = one.why_not(subject)
    if reason:
        return Outcome(*about, "not applicable", reason=reason)
    trial = _Trial(subject, one)
    if one.draw is None:
        broken, example = trial(seed), seed
    else:
        broken, example = _search(one.draw(subject), trial, examples, seed, shrink)
    if not broken:
        return Outcome(*about, "kept", trial.worst, trial.tried, one.false_alarm)
    trial(example)  # what the smallest one shows
    code = one.code(subject, example)
    return Outcome(*about, "broken", trial.worst, trial.tried, one.false_alarm, code, trial.said)


class _Trial:
    """Whether a problem breaks a law; keeps count, the worst ratio and what the object said."""

    def __init__(self, subject: Any, one: Promise) -> None:
        self._subject, self._one = subject, one
        self.worst, self.last, self.tried, self.said = 0.0, 0.0, 0, ""

    def __call__(self, example: Any) -> bool:
        self.tried += 1
        self.said = ""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                ratios = np.asarray(self._one.law.ratios(self._subject, example), np.float64)
        except Exception as error:
            if type(error).__module__.startswith("hypothesis"):
                raise
            self.said = f"it raised {type(error).__name__}: {error}"
            ratios = np.array([np.inf])
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        self.last = float(ratios.max(initial=0.0))
        self.worst = max(self.worst, self.last)
        return not self.last <= 1


def _search(
    strategy: Any, broken: _Trial, examples: int, seed: int, shrink: bool
) -> tuple[bool, Any]:
    """The smallest problem that breaks a law, if one is found."""
    try:
        from hypothesis import HealthCheck, Phase, find, settings
        from hypothesis.errors import NoSuchExample
    except ImportError as error:
        raise MissingDependency(
            "problems are drawn by Hypothesis: pip install 'mlreg[verify]'"
        ) from error
    limits = settings(
        max_examples=examples,
        derandomize=False,  # the seed is ours, whatever the profile
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    try:
        example = find(strategy, broken, settings=limits, random=random.Random(seed))
    except NoSuchExample:
        return False, None
    return True, example
