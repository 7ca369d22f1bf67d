"""Linear hypotheses that one can read: ``x1 = x2 = 0``, ``2*x1 + x2 = 3``."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput

__all__ = ["hypotheses"]

F64 = NDArray[np.float64]
Tokens = list[tuple[str, str]]

NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

SMALLEST = 1e-150
"""Of the numbers that are taken, so that two of them neither overflow nor vanish in a product."""


def hypotheses(names: Sequence[str], text: str | Sequence[str]) -> tuple[F64, F64, tuple[str, ...]]:
    """L, shape (q, p), and c, shape (q,), of Lβ = c, and each hypothesis in words.

    Parameters
    ----------
    names : sequence of str
        Of the coefficients; in the text they stand as they are, or in backticks.
    text : str or sequence of str
        Equations, several of them between commas: sums of coefficients with numbers before them.
        ``a = b = 0`` is two; an expression alone is said to be zero.

    Raises
    ------
    InvalidInput
        Unknown names, or what is no linear equation.
    """
    if not isinstance(text, str):
        parts = [hypotheses(names, one) for one in text]
        if not parts:
            raise InvalidInput("no hypothesis is given")
        said = tuple(one for part in parts for one in part[2])
        return np.vstack([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), said
    rows, rights, said_ = [], [], []
    for equation in _split(_tokens(names, text), ",", text):
        sides = _split(equation, "=", text)
        if len(sides) == 1:
            sides = [*sides, [("number", "0")]]
        parsed = [_expression(names, side, text) for side in sides]
        for (left, number), words in zip(parsed[:-1], sides[:-1], strict=True):
            rows.append(left - parsed[-1][0])
            rights.append(parsed[-1][1] - number)
            said_.append(f"{_said(words)} = {_said(sides[-1])}")
    L = np.array(rows)
    empty = ~L.any(axis=1)
    if empty.any():
        raise InvalidInput(f"{said_[int(empty.argmax())]!r} says nothing about a coefficient")
    return L, np.array(rights), tuple(said_)


def _tokens(names: Sequence[str], text: str) -> Tokens:
    """Names, numbers and signs of a text; the longest name that fits counts."""
    known = sorted(filter(None, names), key=len, reverse=True)
    out: Tokens = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] == "`":
            end = text.find("`", at + 1)
            if end < 0:
                raise InvalidInput(f"a backtick without its second in {text!r}")
            out.append(("name", text[at + 1 : end]))
            at = end + 1
            continue
        name = next((n for n in known if text.startswith(n, at) and _ends(n, text, at)), "")
        number = NUMBER.match(text, at)
        if number and len(number.group()) >= len(name):  # a column called 1 needs backticks
            out.append(("number", number.group()))
            at = number.end()
            continue
        if name:
            out.append(("name", name))
            at += len(name)
            continue
        if text[at] in "+-*/=,":
            out.append(("sign", text[at]))
            at += 1
            continue
        word = re.compile(r"[^\s+\-*/=,]+").match(text, at)
        assert word is not None
        raise InvalidInput(
            f"{word.group()!r} in {text!r} is no coefficient; they are {', '.join(names)}"
        )
    return out


def _ends(name: str, text: str, at: int) -> bool:
    """Whether a name that ends in a letter or digit is not the beginning of a longer word."""
    end = at + len(name)
    return not (end < len(text) and _word(name[-1]) and _word(text[end]))


def _word(letter: str) -> bool:
    return letter.isalnum() or letter in "_."


def _split(tokens: Tokens, sign: str, text: str) -> list[Tokens]:
    """The parts between signs."""
    parts: list[Tokens] = [[]]
    for token in tokens:
        if token == ("sign", sign):
            parts.append([])
        else:
            parts[-1].append(token)
    if not all(parts):
        raise InvalidInput(f"an equation, or a side of one, is empty in {text!r}")
    return parts


def _said(tokens: Tokens) -> str:
    """A sum, as one writes it."""
    words = ""
    for kind, token in tokens:
        quoted = f"`{token}`" if kind == "name" and not token.isidentifier() else token
        words += f" {quoted} " if kind == "sign" and token in "+-" and words else quoted
    return words


def _expression(names: Sequence[str], tokens: Tokens, whole: str) -> tuple[F64, float]:
    """Coefficients and constant of a sum."""
    row, constant = np.zeros(len(names)), 0.0
    at = 0

    def wrong() -> InvalidInput:
        return InvalidInput(
            f"{whole!r} is no linear hypothesis: write sums such as 2*x1 - x2 = 3, or x1 = x2 = 0"
        )

    while at < len(tokens):
        sign = 1.0
        signs = 0
        while at < len(tokens) and tokens[at] in (("sign", "+"), ("sign", "-")):
            sign = -sign if tokens[at][1] == "-" else sign
            at, signs = at + 1, signs + 1
        if at and not signs:  # two terms side by side
            raise wrong()
        factor, name, operator = sign, None, "*"
        first = True
        while at < len(tokens) and (first or tokens[at] in (("sign", "*"), ("sign", "/"))):
            if not first:
                operator, at = tokens[at][1], at + 1
            if at == len(tokens) or tokens[at][0] == "sign":
                raise wrong()
            kind, token = tokens[at]
            at, first = at + 1, False
            if kind == "number":
                value = float(token)
                zero = not re.search("[1-9]", token.lower().partition("e")[0])
                if not (zero or SMALLEST <= value <= 1 / SMALLEST):
                    raise InvalidInput(f"{token} in {whole!r} is too large or small a number")
                if operator == "/" and not value:
                    raise wrong()
                factor = factor / value if operator == "/" else factor * value
            elif name is None and operator == "*":
                name = token
            else:
                raise wrong()
        if first:
            raise wrong()
        if name is None:
            constant += factor
        elif name in names:
            row[list(names).index(name)] += factor
        else:
            raise InvalidInput(f"{name!r} is no coefficient; they are {', '.join(names)}")
    if not (np.isfinite(row).all() and np.isfinite(constant)):
        raise wrong()
    return row, constant
