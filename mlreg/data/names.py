"""Which columns and functions a formula names; everything else it may not touch."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlreg.data.table import suggest
from mlreg.errors import InvalidInput, InvalidType, MissingDependency
from mlreg.likelihood.transform import TRANSFORMS, Transform, as_transform

__all__ = [
    "Parsed",
    "bare_columns",
    "beyond_its_row",
    "categorised",
    "columns_of",
    "parse",
    "plain_columns",
    "reads_other_rows",
    "require_formulaic",
]

BY_ROW = {"log", "log10", "log2", "exp", "exp10", "exp2", "I"}
"""Functions of formulas whose value in a row needs that row alone; so do NumPy's ufuncs."""


@dataclass(frozen=True)
class Parsed:
    """A formula taken apart by formulaic.

    Attributes
    ----------
    response : formulaic.SimpleFormula
        The one term on the left.
    terms : formulaic.SimpleFormula
        The terms on the right, in order; the intercept is the term ``1``.
    transform : Transform or None
        What the response is transformed by, before the model: of ``log(y)`` the response is
        ``y``.
    """

    response: Any
    terms: Any
    transform: Transform | None = None


def parse(
    formula: str, available: Iterable[str], transform: Transform | str | None = None
) -> Parsed:
    """Take a formula apart.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x1 + C(group)"``.
    available : iterable of str
        Columns that a ``.`` on the right stands for, those of the left excepted.
    transform : str or Transform, optional
        Of the response, where the formula does not say it itself.

    Raises
    ------
    InvalidInput
        If it is no formula, has no response or several, or transforms it a second time.
    MissingDependency
        Without formulaic.
    """
    if not isinstance(formula, str):
        raise InvalidType(f"a formula is a text like 'y ~ x', not of type {type(formula).__name__}")
    require_formulaic()
    from formulaic import Formula, SimpleFormula

    try:
        whole = Formula(formula, _context={"__formulaic_variables_available__": list(available)})
    except Exception as error:
        raise InvalidInput(
            f"formula {formula!r}: {first_line(error).rstrip('.')}; a formula is response ~ terms, "
            "joined by +, and a name that is no word stands in backticks: y ~ x1 + `first sale`"
        ) from error
    _refuse_lost_powers(formula)
    left, right = getattr(whole, "lhs", ()), getattr(whole, "rhs", None)
    if isinstance(whole, SimpleFormula) or len(left) == 0:
        raise InvalidInput(
            f"formula {formula!r} has no response: write it before a ~, as in 'y ~ x'"
        )
    if not isinstance(right, SimpleFormula) or not isinstance(left, SimpleFormula):
        raise InvalidInput(
            f"formula {formula!r} has several parts: one response ~ one sum of terms"
        )
    if len(left) > 1:
        raise InvalidInput(
            f"formula {formula!r} has {len(left)} responses: fit one at a time"
            ", and write I(a + b) for a sum"
        )
    given, found = as_transform(transform), _transformed_column(left[0])
    if found is None:
        return Parsed(left, right, given)
    if given is not None:
        raise InvalidInput(
            f"formula {formula!r} transforms its response already: leave out transform=, or "
            "write the column alone"
        )
    from formulaic.parser.types import Factor, Term

    name, column = found
    bare = SimpleFormula([Term([Factor(column, eval_method="lookup")])])
    return Parsed(bare, right, TRANSFORMS[name])


def _refuse_lost_powers(formula: str) -> None:
    """Raise where a power is of a single term: formulas then read it as the term itself."""
    from formulaic.parser import DefaultFormulaParser

    todo = [DefaultFormulaParser().get_ast(formula)] if re.search(r"\*\*|\^", formula) else []
    while todo:
        node = todo.pop()
        parts = getattr(node, "args", ())
        if parts and node.operator.symbol in ("**", "^") and not hasattr(parts[0], "args"):
            base, power = parts
            quoted = base if str(base).isidentifier() or "(" in str(base) else f"`{base}`"
            raise InvalidInput(
                f"formula {formula!r}: in formulas {base}{node.operator.symbol}{power} means the "
                f"interactions of {base} with itself, which is {base}; write I({quoted}**{power}) "
                "for the power"
            )
        todo += parts


def require_formulaic() -> None:
    """Raise `MissingDependency` without formulaic."""
    try:
        import formulaic  # noqa: F401
    except ImportError:
        raise MissingDependency(
            "formulas need formulaic; install it with: pip install 'mlreg[formula]'"
        ) from None


def first_line(error: BaseException) -> str:
    """What an error says, on one line and without the marks for a terminal."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (text.splitlines() or [type(error).__name__])[0]


def columns_of(terms: Any, available: Sequence[str], formula: str) -> list[str]:
    """Columns that the terms use, in the order of ``available``.

    Raises
    ------
    InvalidInput
        A name that is neither a column nor a function that formulas know, or
        an attribute that begins with an underscore.
    """
    from formulaic.transforms import TRANSFORMS

    used: set[str] = set()
    for expression, is_code in _expressions(terms):
        values, functions = _names(expression, formula) if is_code else ({expression}, set())
        for name in sorted(functions & set(available)):
            raise InvalidInput(
                f"formula {formula!r} calls {name}(), and a column is named {name!r} too, which "
                "hides the function: rename the column"
            )
        for name in sorted(functions - set(TRANSFORMS)):
            known = ", ".join(sorted(TRANSFORMS))
            raise InvalidInput(
                f"formula {formula!r} calls {name}(), which formulas do not know; they know "
                f"{known}, and NumPy as np"
            )
        for name in sorted(values):
            if name in available:
                used.add(name)
            elif not (is_code and name in TRANSFORMS):
                raise InvalidInput(
                    f"formula {formula!r} uses {name!r}, which is not a column; "
                    f"{suggest(name, available)}"
                )
    return [name for name in available if name in used]


def reads_other_rows(terms: Any) -> bool:
    """Whether a term might depend on other rows than its own, in a way that leaves no state.

    Such are ``lag(x)`` and ``x - np.mean(x)``, but not ``center(x)``, whose
    mean formulaic keeps. A method or a function of NumPy might; so might a
    name in backticks, under which formulaic may lose the state.
    """
    for expression, is_code in _expressions(terms):
        if is_code:
            tree = _tree(expression)[0]
            attributes = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute))
            if any(ast.unparse(a.value) != "contr" for a in attributes):
                return True
            if "`" in expression or "lag" in _names(expression, "")[1]:
                return True
    return False


def bare_columns(terms: Any, available: Sequence[str]) -> list[str]:
    """Columns that the terms use other than inside C() or hashed()."""
    bare: set[str] = set()
    for expression, is_code in _expressions(terms):
        if not is_code:
            bare.add(expression)
            continue
        tree, quoted = _tree(expression)
        todo: list[ast.AST] = [tree]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("C", "hashed"):
                continue
            if isinstance(node, ast.Name):
                bare.add(quoted.get(node.id, node.id))
            todo.extend(ast.iter_child_nodes(node))
    return [name for name in available if name in bare]


def plain_columns(terms: Any) -> list[str] | None:
    """Columns of the terms, in order, where each term is one column by its name; else None.

    The intercept is left out.
    """
    found = []
    for term in terms:
        kinds = [factor.eval_method.value for factor in term.factors]
        if kinds == ["lookup"]:
            found.append(str(term.factors[0].expr))
        elif kinds != ["literal"] or str(term) != "1":
            return None
    return found


def categorised(terms: Any) -> list[str]:
    """Columns that are the first argument of C()."""
    found: list[str] = []
    for expression, is_code in _expressions(terms):
        if is_code:
            tree, quoted = _tree(expression)
            calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args)
            found += [n for c in calls if _calls(c, "C") and (n := _column(c.args[0], quoted))]
    return list(dict.fromkeys(found))


def beyond_its_row(terms: Any) -> str | None:
    """The first factor whose value in a row might depend on other rows; None where there is none.

    Only what is known not to is let through: arithmetic, comparisons, the
    functions in `BY_ROW`, elementwise functions of NumPy, and C() of a column.
    """
    for expression, is_code in _expressions(terms):
        if is_code and not _stays_in_row(_tree(expression)[0]):
            return expression
    return None


def _stays_in_row(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        if _calls(node, "C"):
            return bool(node.args) and _column(node.args[0], {}) is not None
        return _is_by_row(node.func) and all(
            _stays_in_row(part) for part in [*node.args, *(k.value for k in node.keywords)]
        )
    if isinstance(node, ast.Attribute):  # np.pi; a method could do anything
        return ast.unparse(node) in ("np.pi", "np.e", "np.inf", "np.nan")
    allowed = (
        ast.Expression, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare,
        ast.operator, ast.unaryop, ast.cmpop, ast.expr_context,
    )  # fmt: skip
    # a @ b sums over the rows
    return (
        isinstance(node, allowed)
        and not isinstance(node, ast.MatMult)
        and all(map(_stays_in_row, ast.iter_child_nodes(node)))
    )


def _is_by_row(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in BY_ROW
    if not (isinstance(function, ast.Attribute) and ast.unparse(function.value) == "np"):
        return False
    found = getattr(np, function.attr, None)
    return function.attr in ("where", "clip") or (
        isinstance(found, np.ufunc) and found.signature is None
    )


def _calls(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == name


def _column(node: ast.expr, quoted: dict[str, str]) -> str | None:
    """The column that an expression is, by its bare name; None where it is more than that."""
    return quoted.get(node.id, node.id) if isinstance(node, ast.Name) else None


def _transformed_column(term: Any) -> tuple[str, str] | None:
    """Name of the transform and column where a term is ``log(column)`` or a like; else None."""
    from formulaic.transforms import TRANSFORMS as known

    kinds = [factor.eval_method.value for factor in term.factors]
    if kinds != ["python"]:
        return None
    try:
        tree, quoted = _tree(term.factors[0].expr)
    except SyntaxError:
        return None
    call = getattr(tree, "body", None)
    if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
        return None
    function = None
    if isinstance(call.func, ast.Name):
        function = known.get(call.func.id)
    elif isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "np":
        function = getattr(np, call.func.attr, None)
    column = _column(call.args[0], quoted)
    if column is None or not isinstance(function, np.ufunc):
        return None
    name = function.__name__  # np.asinh is np.arcsinh
    return (name, column) if name in TRANSFORMS else None


def _expressions(terms: Any) -> list[tuple[str, bool]]:
    """Every factor of the terms but literals, and whether it is code or a column's bare name."""
    return [
        (factor.expr, factor.eval_method.value == "python")
        for term in terms
        for factor in term.factors
        if factor.eval_method.value != "literal"
    ]


def _tree(expression: str) -> tuple[ast.AST, dict[str, str]]:
    """Syntax tree, with names in backticks replaced by plain ones; and what these stand for."""
    quoted: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        plain = f"quoted_{len(quoted)}_"
        quoted[plain] = match[1]
        return plain

    return ast.parse(re.sub(r"`([^`]*)`", replace, expression).strip(), mode="eval"), quoted


def _names(expression: str, formula: str) -> tuple[set[str], set[str]]:
    """Names that an expression reads, and those that it calls."""
    try:
        tree, quoted = _tree(expression)
    except SyntaxError as error:
        raise InvalidInput(f"formula {formula!r}: {expression!r} is no expression") from error
    values: set[str] = set()
    functions: set[str] = set()
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name = quoted.get(node.id, node.id)
            (functions if id(node) in called else values).add(name)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise InvalidInput(f"formula {formula!r} may not use the attribute {node.attr!r}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Q":
            values |= {str(a.value) for a in node.args if isinstance(a, ast.Constant)}
    return values, functions
