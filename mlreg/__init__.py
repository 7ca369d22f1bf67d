"""Maximum-likelihood linear regression that can be audited.

>>> import mlreg as ml
>>> longley = ml.datasets.longley()
>>> fit = ml.fit(longley.X, longley.y)
>>> fit.status.code
'converged'
"""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlreg._version import __version__ as __version__

if TYPE_CHECKING:
    from mlreg import datasets as datasets
    from mlreg import likelihood as likelihood
    from mlreg import plots as plots
    from mlreg import verify as verify
    from mlreg.certificate import Certificate as Certificate
    from mlreg.data.reader import read as read
    from mlreg.errors import DataNeeded as DataNeeded
    from mlreg.errors import InvalidInput as InvalidInput
    from mlreg.errors import InvalidType as InvalidType
    from mlreg.errors import MissingDependency as MissingDependency
    from mlreg.errors import MlregError as MlregError
    from mlreg.errors import NumericalWarning as NumericalWarning
    from mlreg.errors import RankDeficient as RankDeficient
    from mlreg.estimate import Fit as Fit
    from mlreg.evaluation.choosing import grid as grid
    from mlreg.evaluation.choosing import select as select
    from mlreg.evaluation.curve import LearningCurve as LearningCurve
    from mlreg.evaluation.curve import learning_curve as learning_curve
    from mlreg.evaluation.folds import CrossValidation as CrossValidation
    from mlreg.evaluation.folds import cross_validate as cross_validate
    from mlreg.evaluation.selection import Selection as Selection
    from mlreg.evaluation.unseen import Evaluation as Evaluation
    from mlreg.evaluation.unseen import evaluate as evaluate
    from mlreg.evaluation.unseen import hold_out as hold_out
    from mlreg.fitting import certify as certify
    from mlreg.fitting import fit as fit
    from mlreg.inference.anova import Anova as Anova
    from mlreg.inference.anova import anova as anova
    from mlreg.inference.compare import Comparison as Comparison
    from mlreg.inference.compare import compare as compare
    from mlreg.inference.likelihood_ratio import LikelihoodRatio as LikelihoodRatio
    from mlreg.inference.likelihood_ratio import likelihood_ratio as likelihood_ratio
    from mlreg.likelihood.blocks import ArraySource as ArraySource
    from mlreg.likelihood.linear import LinearLikelihood as LinearLikelihood
    from mlreg.likelihood.noise import Gaussian as Gaussian
    from mlreg.likelihood.noise import Huber as Huber
    from mlreg.likelihood.noise import Laplace as Laplace
    from mlreg.likelihood.noise import Logistic as Logistic
    from mlreg.likelihood.prior import NormalPrior as NormalPrior
    from mlreg.likelihood.student_t import StudentT as StudentT
    from mlreg.optimizers import schedules as schedules
    from mlreg.optimizers.auto_sgd import AutoSGD as AutoSGD
    from mlreg.optimizers.exact import Exact as Exact
    from mlreg.optimizers.newton import Newton as Newton
    from mlreg.optimizers.plateau import predicted_plateau as predicted_plateau
    from mlreg.optimizers.scipy_minimize import Scipy as Scipy
    from mlreg.optimizers.sgd import SGD as SGD
    from mlreg.optimizers.stability import stable_learning_rate as stable_learning_rate
    from mlreg.saved import load as load
    from mlreg.sufficient import SufficientStatistics as SufficientStatistics

# Where each public name lives; loaded on first use, so that `import mlreg` is quick.
_HOMES = {
    "Anova": "mlreg.inference.anova",
    "ArraySource": "mlreg.likelihood.blocks",
    "AutoSGD": "mlreg.optimizers.auto_sgd",
    "Certificate": "mlreg.certificate",
    "Comparison": "mlreg.inference.compare",
    "CrossValidation": "mlreg.evaluation.folds",
    "DataNeeded": "mlreg.errors",
    "Evaluation": "mlreg.evaluation.unseen",
    "Exact": "mlreg.optimizers.exact",
    "Fit": "mlreg.estimate",
    "Gaussian": "mlreg.likelihood.noise",
    "Huber": "mlreg.likelihood.noise",
    "InvalidInput": "mlreg.errors",
    "InvalidType": "mlreg.errors",
    "Laplace": "mlreg.likelihood.noise",
    "LearningCurve": "mlreg.evaluation.curve",
    "LikelihoodRatio": "mlreg.inference.likelihood_ratio",
    "LinearLikelihood": "mlreg.likelihood.linear",
    "Logistic": "mlreg.likelihood.noise",
    "MissingDependency": "mlreg.errors",
    "MlregError": "mlreg.errors",
    "Newton": "mlreg.optimizers.newton",
    "NormalPrior": "mlreg.likelihood.prior",
    "NumericalWarning": "mlreg.errors",
    "RankDeficient": "mlreg.errors",
    "SGD": "mlreg.optimizers.sgd",
    "Scipy": "mlreg.optimizers.scipy_minimize",
    "Selection": "mlreg.evaluation.selection",
    "StudentT": "mlreg.likelihood.student_t",
    "SufficientStatistics": "mlreg.sufficient",
    "anova": "mlreg.inference.anova",
    "certify": "mlreg.fitting",
    "compare": "mlreg.inference.compare",
    "cross_validate": "mlreg.evaluation.folds",
    "datasets": "mlreg.",
    "evaluate": "mlreg.evaluation.unseen",
    "fit": "mlreg.fitting",
    "grid": "mlreg.evaluation.choosing",
    "hold_out": "mlreg.evaluation.unseen",
    "learning_curve": "mlreg.evaluation.curve",
    "likelihood": "mlreg.",
    "likelihood_ratio": "mlreg.inference.likelihood_ratio",
    "load": "mlreg.saved",
    "plots": "mlreg.",
    "predicted_plateau": "mlreg.optimizers.plateau",
    "read": "mlreg.data.reader",
    "schedules": "mlreg.optimizers.",
    "select": "mlreg.evaluation.choosing",
    "stable_learning_rate": "mlreg.optimizers.stability",
    "verify": "mlreg.",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        close = get_close_matches(name, _HOMES, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else "; fit(X, y) fits a linear model"
        raise AttributeError(f"module 'mlreg' has no attribute {name!r}{meant}")
    home = _HOMES[name]
    # a name whose home ends in a dot is a module there
    value = import_module(home + name) if home[-1] == "." else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
