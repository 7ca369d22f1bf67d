"""Choosing a setting on validation rows, and looking at the test rows once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.evaluation.rows import LONELY, Rows, about
from mlreg.evaluation.unseen import Evaluation, evaluation_of
from mlreg.files import plain
from mlreg.frames import data_frame

__all__ = ["Aside", "Selection"]

F64 = NDArray[np.float64]
Index = NDArray[np.intp]
Rule = Literal["best", "one-std-error"]


@dataclass(eq=False)
class Aside:
    """Rows that nobody has looked at, with the way to look at them once."""

    rows: list[Rows]  # of each setting
    train: Index
    test: Index
    level: float
    seen_by: int | None = None
    found: Evaluation | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """Settings in the order in which they were given, and what validation rows say of them.

    The score of the best is optimistic, the more so the more settings there are: it is the lowest
    of several that chance has moved. What the choice is worth is for `test` to say.

    Attributes
    ----------
    labels : tuple of str
        What each setting is called.
    settings : tuple of dict
        Their keywords.
    criterion : "nll" or "mse"
        What is compared, on validation rows: less is better.
    score, std_error : ndarray, shape (m,)
        Of each setting; infinite where a fit diverged, or where the score is no number.
    difference, difference_error : ndarray, shape (m,)
        How much more than the best, and the standard error of that: rows, or folds, are paired.
    status : tuple of tuple of str
        Why the optimizer stopped, in each fold, for each setting.
    n_validation, n_test : int
        Observations that the score is of; rows that are set aside.
    folds : int
        Folds of the validation; 1 for one part held out.
    notes : tuple of str
        What must be known to read the numbers.
    """

    labels: tuple[str, ...]
    settings: tuple[dict[str, Any], ...]
    criterion: str
    score: F64
    std_error: F64
    difference: F64
    difference_error: F64
    status: tuple[tuple[str, ...], ...]
    n_validation: int
    n_test: int
    folds: int
    notes: tuple[str, ...]
    _aside: Aside = field(repr=False)

    @property
    def best(self) -> int:
        """Position of the setting with the lowest validation score."""
        if not np.isfinite(self.score).any():
            raise InvalidInput("no setting has a finite score: every one of them diverged")
        return int(np.argmin(self.score))

    @property
    def one_std_error(self) -> int:
        """Position of the first setting within one standard error of the best score.

        With the simplest settings first this is the simplest one that the validation rows do not
        tell from the best.
        """
        best = self.best
        limit = self.score[best] + np.nan_to_num(self.std_error[best])
        return int(np.argmax(self.score <= limit))

    def choice(self, rule: Rule = "best") -> int:
        """Position of the setting that a rule takes: `best` or `one_std_error`."""
        if rule not in ("best", "one-std-error"):
            raise InvalidInput(f"rule must be 'best' or 'one-std-error', not {rule!r}")
        return self.best if rule == "best" else self.one_std_error

    def refit(self, rule: Rule = "best") -> Fit:
        """The fit of the chosen setting to all rows but the test rows."""
        i = self.choice(rule)
        with about(self.labels[i], LONELY):
            return self._aside.rows[i].fit(self._aside.train)

    def test(self, rule: Rule = "best") -> Evaluation:
        """What the test rows say of the refit of the chosen setting; the first call settles it.

        Parameters
        ----------
        rule : "best" or "one-std-error"
            Which setting is chosen.

        Returns
        -------
        Evaluation
            Its ``fit`` is the refit.

        Raises
        ------
        InvalidInput
            No rows were set aside; or they have been looked at for another setting, and a choice
            between the two would no longer be blind.
        """
        aside, i = self._aside, self.choice(rule)
        if not self.n_test:
            raise InvalidInput("no test rows were set aside: select(..., test=0.2)")
        if aside.seen_by not in (None, i):
            raise InvalidInput(
                f"the test rows have been looked at, for {self.labels[aside.seen_by or 0]!r}: "
                "whoever now takes another setting has chosen on them. Collect new ones"
            )
        if aside.found is None:
            made = self.refit(rule)
            with about(self.labels[i]):
                rows = aside.rows[i].score(made, aside.test, aside.level)
            aside.seen_by = i
            aside.found = evaluation_of(made, rows, aside.level)
        return aside.found

    def __str__(self) -> str:
        best = self.best if np.isfinite(self.score).any() else None
        chosen = {best: "*"} if best is not None else {}
        if best is not None and self.one_std_error != best:
            chosen[self.one_std_error] = "1"
        width = max(map(len, self.labels))
        head = f"{self.criterion:>12}{'std. error':>12}{'behind':>11}{'s.e.':>9}  status"
        lines = [f"  {'':<{width}}{head}"]
        for i in np.argsort(self.score, kind="stable").tolist():
            line = f"{chosen.get(i, ' ')} {self.labels[i]:<{width}}"
            line += f"{self.score[i]:>12.5g}{self.std_error[i]:>12.2g}"
            line += f"{self.difference[i]:>11.3g}{self.difference_error[i]:>9.2g}"
            lines.append(f"{line}  {_told(self.status[i])}")
        how = f"{self.folds} folds" if self.folds > 1 else "one part held out"
        mark = "no best" if best is None else "* best"
        lines.append(f"{mark} by {self.criterion} of {self.n_validation} rows in {how}")
        if "1" in chosen.values():
            lines.append("1 the first within one standard error of it")
        aside = self._aside
        if aside.found is not None:
            measure = getattr(aside.found, self.criterion)
            told = f"{measure.value:.5g} give or take {measure.std_error:.2g}"
            lines.append(f"test rows, of {self.labels[aside.seen_by or 0]}: {told}")
        elif self.n_test:
            lines.append(f"{self.n_test} test rows, which nobody has looked at: test() does, once")
        return "\n".join([*lines, *self.notes])

    def to_frame(self) -> Any:
        """A row for each setting: score, standard errors, and how many of its fits converged."""
        columns = {
            self.criterion: self.score,
            "std_error": self.std_error,
            "difference": self.difference,
            "difference_error": self.difference_error,
            "status": [_told(status) for status in self.status],
        }
        return data_frame(columns, self.labels, "setting")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the settings themselves and the rows, as plain numbers and strings."""
        values = {k: v for k, v in vars(self).items() if k not in ("settings", "_aside")}
        return dict(plain(values))


def _told(status: Sequence[str]) -> str:
    """Such as "converged in 3, diverged in 2"."""
    times = Counter(status)
    if len(times) == 1:
        return status[0]
    return ", ".join(f"{code} in {count}" for code, count in times.most_common())
