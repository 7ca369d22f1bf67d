"""What a check found: for each law how near it came, and where it broke."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mlreg.errors import InvalidInput
from mlreg.verify.registry import Kind, LawViolation

__all__ = ["Outcome", "Report"]

Verdict = Literal["kept", "broken", "expected", "unexpectedly kept", "not applicable"]
MARKS = {
    "kept": "ok",
    "broken": "BROKEN",
    "expected": "broken, as expected",
    "unexpectedly kept": "KEPT, against expectation",
    "not applicable": "-",
}


@dataclass(frozen=True)
class Outcome:
    """One law, tried on one object.

    Attributes
    ----------
    law : str
        Its name.
    statement, mathematics : str
        What it says, in words and in symbols.
    equations : tuple of str
        Where `derivations/` derives it.
    kind : "exact", "bounded" or "stochastic"
        Whether rounding, or chance, is allowed for.
    verdict : str
        "kept", "broken", "expected" (broken, as was said beforehand), "unexpectedly kept" or
        "not applicable".
    ratio : float
        Largest deviation over the allowed one; infinite where the object refused or answered NaN.
    tried : int
        Number of problems that it was tried on.
    false_alarm : float
        Probability that a law that holds is called broken: 0 where no chance is involved.
    counterexample : str
        Code that shows the smallest problem found on which it breaks; or "".
    reason : str
        Why it does not apply, was expected to break, or what the object said.
    """

    law: str
    statement: str
    mathematics: str
    equations: tuple[str, ...]
    kind: Kind
    verdict: Verdict
    ratio: float = 0.0
    tried: int = 0
    false_alarm: float = 0.0
    counterexample: str = ""
    reason: str = ""

    def __str__(self) -> str:
        where = ", ".join(f"({number})" for number in self.equations)
        lines = [f"{self.law}: {MARKS[self.verdict]}", f"    {self.statement}"]
        if self.verdict == "not applicable":
            return f"{self.law}: does not apply: {self.reason}"
        lines.append(f"    {self.mathematics}    Eq. {where}")
        chance = f", false alarm {self.false_alarm:.1g}" if self.false_alarm else ""
        lines.append(
            f"    {self.kind}: observed over allowed {self.ratio:.3g}, {self.tried} tried{chance}"
        )
        if self.reason:
            lines.append(f"    {self.reason}")
        if self.counterexample:
            lines += ["    counterexample:", *_indent(self.counterexample)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """What became of an object under a set of laws; iterating gives the outcomes.

    Attributes
    ----------
    subject : str
        What was tried.
    outcomes : tuple of Outcome
        One for each law.
    """

    subject: str
    outcomes: tuple[Outcome, ...]

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __getitem__(self, law: str) -> Outcome:
        return {outcome.law: outcome for outcome in self.outcomes}[law]

    @property
    def passed(self) -> bool:
        """Whether every law was kept that was not expected to break, and none of these kept."""
        return all(o.verdict in ("kept", "expected", "not applicable") for o in self.outcomes)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the laws that it breaks, expected or not."""
        return tuple(o.law for o in self.outcomes if o.verdict in ("broken", "expected"))

    @property
    def false_alarm(self) -> float:
        """Probability, at most, that an object that keeps all laws does not pass."""
        return min(1.0, math.fsum(o.false_alarm for o in self.outcomes))

    def expecting(self, expect_fail: Mapping[str, str]) -> "Report":
        """The same, where some laws, by name, were expected to break, each for a reason."""
        unknown = [name for name in expect_fail if name not in {o.law for o in self.outcomes}]
        if unknown:
            known = ", ".join(o.law for o in self.outcomes)
            raise InvalidInput(f"no law is called {unknown[0]!r}; they are {known}")
        verdicts: dict[Verdict, Verdict] = {"broken": "expected", "kept": "unexpectedly kept"}
        return replace(
            self,
            outcomes=tuple(
                replace(o, verdict=verdicts.get(o.verdict, o.verdict), reason=expect_fail[o.law])
                if o.law in expect_fail
                else o
                for o in self.outcomes
            ),
        )

    def raise_for_broken(self) -> None:
        """Raise `LawViolation` with the outcomes at fault, unless it `passed`."""
        if not self.passed:
            bad = [o for o in self.outcomes if o.verdict in ("broken", "unexpectedly kept")]
            raise LawViolation("\n".join([f"{self.subject}:", *map(str, bad)]))

    def __str__(self) -> str:
        width = max((len(o.law) for o in self.outcomes), default=0)
        lines = [self.subject]
        for o in self.outcomes:
            ratio = "" if o.verdict == "not applicable" else f"{o.ratio:9.2g}"
            lines.append(f"  {o.law:<{width}}  {ratio:>9}  {MARKS[o.verdict]}")
        tried = [o for o in self.outcomes if o.verdict != "not applicable"]
        kept = sum(o.verdict in ("kept", "unexpectedly kept") for o in tried)
        lines.append(
            f"{kept} of {len(tried)} laws kept; numbers are observed over allowed deviations; "
            f"all together give a false alarm with probability {self.false_alarm:.1g} at most"
        )
        shown = [o for o in self.outcomes if o.verdict in ("broken", "unexpectedly kept")]
        return "\n".join([*lines, *(f"\n{o}" for o in shown)])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain numbers and strings."""
        return {
            "subject": self.subject,
            "passed": self.passed,
            "false_alarm": self.false_alarm,
            "outcomes": [asdict(o) for o in self.outcomes],
        }

    def to_json(self) -> str:
        """The same as JSON; infinite ratios are the string "inf"."""
        plain = self.to_dict()
        for o in plain["outcomes"]:
            o["ratio"] = o["ratio"] if math.isfinite(o["ratio"]) else str(o["ratio"])
        return json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        styles = {"kept": "green", "broken": "bold red", "unexpectedly kept": "bold red"}
        table = Table("law", "mathematics", "observed / allowed", "", title=self.subject)
        for o in self.outcomes:
            ratio = "" if o.verdict == "not applicable" else f"{o.ratio:.2g}"
            mark = Text(MARKS[o.verdict], style=styles.get(o.verdict, "dim"))
            table.add_row(o.law, Text(o.mathematics), ratio, mark)
        bad = [Text(str(o)) for o in self.outcomes if o.verdict in ("broken", "unexpectedly kept")]
        return Group(table, *bad)


def _indent(text: str) -> list[str]:
    return [f"        {line}" for line in text.splitlines()]
