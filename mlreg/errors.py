"""The errors and the one warning of the package.

Every error derives from `MlregError` and from the builtin that fits, so that
``except ValueError`` keeps working. Messages name the argument or column, the
offending rows or values, and the remedy.
"""

__all__ = [
    "DataNeeded",
    "InvalidInput",
    "InvalidType",
    "MissingDependency",
    "MlregError",
    "NoSuchFile",
    "NumericalWarning",
    "RankDeficient",
]


class MlregError(Exception):
    """Base class of every error that mlreg raises on purpose."""


class InvalidInput(MlregError, ValueError):
    """A value without a sensible answer: a wrong shape, NaN, a negative weight."""


class NoSuchFile(InvalidInput, FileNotFoundError):
    """The path names no file."""

    __str__ = Exception.__str__


class InvalidType(MlregError, TypeError):
    """A kind of object that mlreg refuses by name: complex, text, sparse, masked."""


class RankDeficient(MlregError, ValueError):
    """The columns of the design are linearly dependent: the MLE is not unique.

    Attributes
    ----------
    report : mlreg.linalg.rank.RankReport
        Which columns depend on which others, and how.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class DataNeeded(MlregError, RuntimeError):
    """The rows of the data are needed, and this fit no longer has them."""


class MissingDependency(MlregError, ImportError):
    """An optional package is not installed; the message holds the ``pip install`` line."""


class NumericalWarning(UserWarning):
    """The answer is given, but digits of it may be lost; the message says how many and why."""
