"""The laws that the mathematics promises, held against this package and against anyone's.

`check_noise`, `check_likelihood`, `check_optimizer`, `check_regressor` and `check_intervals` try an
object on many problems and report, for each law, how near it came and the smallest counterexample;
`parametrize` makes tests of them. ``strategies`` draws problems with exact solutions (it needs
Hypothesis: ``pip install 'mlreg[verify]'``), ``stochastic`` asserts about chance with stated odds,
and ``laws`` are the functions that this package's own tests call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlreg.verify import laws as laws
    from mlreg.verify import stochastic as stochastic
    from mlreg.verify import strategies as strategies
    from mlreg.verify.intervals import check_intervals as check_intervals
    from mlreg.verify.likelihoods import check_likelihood as check_likelihood
    from mlreg.verify.noises import check_noise as check_noise
    from mlreg.verify.optimizers import check_optimizer as check_optimizer
    from mlreg.verify.recognise import check as check
    from mlreg.verify.recognise import parametrize as parametrize
    from mlreg.verify.registry import LawViolation as LawViolation
    from mlreg.verify.regressors import check_regressor as check_regressor
    from mlreg.verify.report import Outcome as Outcome
    from mlreg.verify.report import Report as Report

_HOMES = {
    "LawViolation": "registry",
    "Outcome": "report",
    "Report": "report",
    "check": "recognise",
    "check_intervals": "intervals",
    "check_likelihood": "likelihoods",
    "check_noise": "noises",
    "check_optimizer": "optimizers",
    "check_regressor": "regressors",
    "laws": "",
    "parametrize": "recognise",
    "stochastic": "",
    "strategies": "",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlreg.verify' has no attribute {name!r}")
    home = _HOMES[name]
    if not home:
        return import_module(f"mlreg.verify.{name}")
    value = getattr(import_module(f"mlreg.verify.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
