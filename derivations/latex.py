"""Read a displayed formula as what it says, so that a machine can hold the page to it.

A small interpreter for the LaTeX that these pages use: sums, products, matrices, norms,
derivatives. It takes the text of a display and the values of its symbols (SymPy scalars and
matrices; NumPy arrays stand for many scalars at once) and computes the side that is asked for.
It is strict: a symbol without a value, a command it does not know, or a token left over is an
error, for a reader that skips what it cannot read checks nothing. (SymPy's own LaTeX parser
does skip, and knows no matrices; tests compare the two where both can read.)

    side(r"a = \\frac{1}{2} b^2", 1, b=6)        18
    size(r"a = b - c", 1, b=2, c=-3)            5, the sum of |terms|: what rounding is relative to
    holds(r"a < b^2", 0, a=3, b=2)              True

Names: ``\\hat{\\beta}`` is beta_hat, ``\\mathrm{RSS}_{\\min}`` RSS_min, ``\\psi'`` psi_prime; a
subscript that makes no known name is an index, from 1.
"""

import operator
import re
from collections.abc import Callable
from functools import lru_cache, reduce
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["LatexError", "holds", "side", "sides", "size"]

TOKEN = re.compile(
    r"\\begin\{\w+\}|\\end\{\w+\}|\\[A-Za-z]+|\\[\\|,;:! ]|\d+|[A-Za-z]|[-+/^_(){}\[\]|=<>&,.']"
)
SPACE = {r"\,", r"\;", r"\:", r"\!", r"\ ", r"\quad", r"\left", r"\right"}
RELATIONS: dict[str, Callable[[Any, Any], Any] | None] = {
    "=": None,
    r"\sim": None,
    r"\approx": None,  # the first term of what the text says; its check says in which sense
    r"\leftarrow": None,
    "<": operator.lt,
    ">": operator.gt,
    r"\le": operator.le,
    r"\ge": operator.ge,
}
OPEN = {"(": ")", "[": "]", "{": "}"}
ENDS = {")", "]", "}", ",", "&", r"\\", "+", "-", r"\end{pmatrix}", None}


class LatexError(ValueError):
    """The display is not in the language of these pages, or a symbol has no value."""


def side(latex: str, k: int, /, **names: Any) -> Any:
    """Value of the k-th side, from 0, counted through all statements of the display."""
    return _Reader(sides(latex)[k][0], names).whole()


def size(latex: str, k: int, /, **names: Any) -> Any:
    """The same with every term made positive: rounding errors are small multiples of u times it."""
    return _Reader(sides(latex)[k][0], names, size=True).whole()


def holds(latex: str, k: int, /, **names: Any) -> bool:
    """Whether the inequality between side k and the next one is true."""
    relation = RELATIONS[sides(latex)[k][1] or "="]
    if relation is None:
        raise LatexError(f"no inequality after side {k} of {latex!r}")
    return bool(relation(side(latex, k, **names), side(latex, k + 1, **names)))


@lru_cache(maxsize=4096)
def sides(latex: str) -> list[tuple[list[str], str | None]]:
    """Tokens of each side, with the relation that follows it; statements end at \\qquad or \\\\."""
    out: list[tuple[list[str], str | None]] = []
    current: list[str] = []
    depth = 0
    for t in _tokens(latex):
        depth += (t in OPEN or t.startswith(r"\begin")) - (
            t in OPEN.values() or t.startswith(r"\end")
        )
        if depth == 0 and (t in RELATIONS or t in (r"\qquad", r"\\")):
            while current and current[-1] in (",", "."):
                current.pop()
            if current:
                out.append((current, t if t in RELATIONS else None))
            current = []
        else:
            current.append(t)
    while current and current[-1] in (",", "."):
        current.pop()
    return [*out, (current, None)]


def _tokens(latex: str) -> list[str]:
    tokens, at = [], 0
    text = latex.replace(r"\begin{aligned}", "").replace(r"\end{aligned}", "")
    if text != latex:
        text = re.sub(r"&\s*(?==|<|\\le|\\approx)", "", text)  # the alignment before a relation
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = TOKEN.match(text, at)
        if not match:
            raise LatexError(f"cannot read {text[at : at + 20]!r}")
        token, at = match.group(), match.end()
        if token not in SPACE:
            tokens.append(token)
    return tokens


class _Reader:
    def __init__(self, tokens: list[str], names: dict[str, Any], *, size: bool = False) -> None:
        self.tokens, self.names, self.at, self.size = tokens, dict(names), 0, size
        self.bars: list[str] = []
        many = any(isinstance(v, np.ndarray) for v in names.values())
        self.number: Any = int if many else sp.Integer

    # Tokens

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *expected: str) -> str:
        token = self.next
        if token is None or (expected and token not in expected):
            raise LatexError(f"{' or '.join(expected) or 'a symbol'} expected, found {token!r}")
        self.at += 1
        return token

    def raw_group(self) -> list[str]:
        """Tokens of {...}, or the one token that stands for it."""
        first = self.take()
        if first != "{":
            return [first]
        start, depth = self.at, 1
        while depth:
            token = self.take()
            depth += (token == "{") - (token == "}")
        return self.tokens[start : self.at - 1]

    def part(self, tokens: list[str]) -> Any:
        return _Reader(tokens, self.names, size=self.size).whole()

    def group(self) -> Any:
        return self.part(self.raw_group())

    # Grammar

    def whole(self) -> Any:
        value = self.expression()
        if self.next is not None:
            raise LatexError(f"left over: {' '.join(self.tokens[self.at :])}")
        return value

    def expression(self) -> Any:
        sign = self.take() if self.next in ("+", "-") else "+"
        value = self.term()
        value = -value if sign == "-" and not self.size else value
        while self.next in ("+", "-"):
            sign, term = self.take(), self.term()
            value = value - term if sign == "-" and not self.size else value + term
        return value

    def term(self) -> Any:
        value = self.factor()
        while self.next not in ENDS and not (self.bars and self.next == self.bars[-1]):
            if self.next == "/":
                self.take()
                value = value / self.factor()
            else:
                if self.next in (r"\cdot", r"\times"):
                    self.take()
                value = _times(value, self.factor())
        return value

    def factor(self) -> Any:
        value = self.atom()
        while self.next in ("^", "_"):
            if self.take() == "_":
                value = self.index(value, self.raw_group())
                continue
            exponent = self.raw_group()
            if exponent[-1] == r"\top":
                value = value.T if exponent in ([r"\top"], ["+", r"\top"]) else _invert(value).T
            else:
                power = self.part(exponent)
                value = _invert(value) if _is_matrix(value) and power == -1 else value**power
        return value

    def atom(self) -> Any:
        t = self.take()
        if t.isdigit():
            return self.number(t)
        if t in OPEN:
            value = self.inner()
            self.take(OPEN[t])
            return value
        if t in ("|", r"\|"):
            self.bars.append(t)
            value = self.inner(keep=True)
            self.take(t)
            self.bars.pop()
            return _norm(value) if t == r"\|" else _absolute(value)
        if t.startswith(r"\begin"):
            return self.matrix()
        if t == r"\frac":
            return self.fraction()
        if t == r"\binom":
            return sp.binomial(self.group(), self.group())
        if t == r"\sqrt":
            return _apply(sp.sqrt, self.group())
        if t in (r"\log", r"\exp"):
            value = _apply(getattr(sp, t[1:]), self.factor())
            return _apply(abs, value) if self.size else value
        if t in (r"\sum", r"\prod", r"\max"):
            return self.big(t)
        if t == r"\pi":
            return sp.pi
        if t == "e" and self.next == "^":
            self.take()
            return _apply(sp.exp, self.group())
        return self.symbol(self.name(t))

    def inner(self, *, keep: bool = False) -> Any:
        bars, self.bars = self.bars, self.bars if keep else []
        value = self.expression()
        self.bars = bars
        return value

    def name(self, t: str) -> str:
        if t in (r"\hat", r"\tilde", r"\bar"):
            inside = self.raw_group()
            return f"{_plain(inside)}_{t[1:]}"
        if t in (r"\mathrm", r"\mathcal", r"\mathbb", r"\mathbf"):
            return _plain(self.raw_group())
        if not re.fullmatch(r"\\?[A-Za-z]+", t):
            raise LatexError(f"a value expected, found {t!r}")
        return t.lstrip("\\")

    def symbol(self, name: str) -> Any:
        while self.next == "'":
            self.take()
            name += "_prime"
        if self.next == "_":
            self.take()
            inside = self.raw_group()
            longer = f"{name}_{_plain(inside)}"
            value = (
                self.value(longer) if longer in self.names else self.index(self.value(name), inside)
            )
        else:
            value = self.value(name)
        if callable(value) and not _is_matrix(value) and self.next in ("(", "["):
            close = OPEN[self.take()]
            arguments = [self.inner()]
            while self.next == ",":
                self.take()
                arguments.append(self.inner())
            self.take(close)
            return value(*arguments)
        return value

    def value(self, name: str) -> Any:
        key = name if name in self.names else f"{name}_"  # \lambda: lambda_, for Python's sake
        if key not in self.names:
            raise LatexError(f"{name} has no value")
        value = self.names[key]
        if isinstance(value, int):
            return self.number(value)
        if self.size and (_is_matrix(value) or isinstance(value, (list, sp.Expr))):
            return _apply(abs, value)
        return value

    def index(self, value: Any, inside: list[str]) -> Any:
        if callable(value) and not _is_matrix(value):
            return value(self.part(inside))
        if len(inside) > 1 and all(re.fullmatch(r"[a-z]", t) for t in inside):
            at = tuple(int(self.value(t)) - 1 for t in inside)  # G_{jk}
        else:
            at = (int(self.part(inside)) - 1,)
        if min(at) < 0:
            raise LatexError("an index starts at 1")
        try:
            return value[at] if len(at) > 1 else value[at[0]]
        except (IndexError, TypeError) as error:
            raise LatexError(f"no entry {' '.join(inside)} here: {error}") from error

    def fraction(self) -> Any:
        top, bottom = self.raw_group(), self.raw_group()
        if top[0] != r"\partial":
            return self.part(top) / self.part(bottom)
        if top[1] == "^":  # \frac{\partial^2 f}{\partial a \, \partial a^\top}
            top = top[2:]
            cut = bottom[1:].index(r"\partial") + 1
            first, second = bottom[1:cut], bottom[cut + 1 :]
            if top[0] != "2" or second != [*first, "^", r"\top"]:
                raise LatexError("a second derivative is by a and then by its transpose")
            return sp.hessian(self.part(top[1:]), list(self.part(first)))
        value, by = self.part(top[1:]), self.part(bottom[1:])
        return sp.Matrix([sp.diff(value, v) for v in by]) if _is_matrix(by) else sp.diff(value, by)

    def big(self, t: str) -> Any:
        self.take("_")
        under, start = self.raw_group(), None
        if t == r"\max":  # \max_{c}: the page gives the function that maximises
            variable, values = _plain(under), [None]
        elif r"\in" in under:
            cut = under.index(r"\in")
            variable, values = _plain(under[:cut]), list(self.part(under[cut + 1 :]))
        elif under[0] == "|":  # \sum_{|B| = m}: all subsets of 1..n of that size
            cut = under.index("=")
            variable = _plain(under[1 : cut - 1])
            rows = range(1, int(self.value("n")) + 1)
            values = [set(c) for c in combinations(rows, int(self.part(under[cut + 1 :])))]
        elif "=" in under:
            cut = under.index("=")
            variable = _plain(under[:cut])
            self.take("^")
            values = list(range(int(self.part(under[cut + 1 :])), int(self.group()) + 1))
        else:
            raise LatexError(f"cannot read the range {' '.join(under)}")
        start, outer = self.at, self.names

        def body(value: Any) -> Any:
            self.at, self.names = start, {**outer, variable: value}
            result = self.term()
            self.names = outer
            return result

        if t == r"\max":
            return outer["max"](body)
        terms = [body(value) for value in values]
        return reduce(operator.add, terms) if t == r"\sum" else prod(terms)

    def matrix(self) -> Any:
        rows: list[list[Any]] = [[]]
        while True:
            rows[-1].append(self.inner())
            t = self.take()
            if t == r"\\":
                rows.append([])
            elif t.startswith(r"\end"):
                break
            elif t != "&":
                raise LatexError(f"found {t!r} in a matrix")
        heights = [max((c.rows for c in row if _is_matrix(c)), default=1) for row in rows]
        widths = [
            max((c.cols for c in col if _is_matrix(c)), default=1)
            for col in zip(*rows, strict=True)
        ]

        def cell(value: Any, h: int, w: int) -> Any:
            if _is_matrix(value):
                return value
            return sp.zeros(h, w) if value == 0 else sp.Matrix([[value]])

        return sp.Matrix.vstack(
            *(
                sp.Matrix.hstack(*(cell(c, h, w) for c, w in zip(row, widths, strict=True)))
                for row, h in zip(rows, heights, strict=True)
            )
        )


def _plain(tokens: list[str]) -> str:
    dropped = ("{", "}", r"\mathcal", r"\mathrm")
    return "".join(t.lstrip("\\") for t in tokens if t not in dropped)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, sp.MatrixBase)


def _times(a: Any, b: Any) -> Any:
    product = a * b
    return product[0, 0] if _is_matrix(product) and product.shape == (1, 1) else product


def _invert(value: Any) -> Any:
    return value.inv() if _is_matrix(value) else 1 / value


def _norm(value: Any) -> Any:
    return sp.sqrt(sum((v**2 for v in value), sp.Integer(0)))


def _absolute(value: Any) -> Any:
    return sp.Integer(len(value)) if isinstance(value, (set, frozenset)) else abs(value)


def _apply(function: Any, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return getattr(np, getattr(function, "__name__", ""))(value)
    if isinstance(value, list):
        return [_apply(function, v) for v in value]
    return value.applyfunc(function) if _is_matrix(value) else function(value)
