"""Checks of numbers that configure something."""

import math
from typing import Any

import numpy as np

from mlreg.errors import InvalidInput

__all__ = ["is_positive", "positive", "whole"]


def is_positive(value: Any) -> bool:
    """Whether the value is a positive and finite number; True, which counts as 1, is none."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return bool(real and 0 < value < math.inf)


def positive(value: Any, what: str) -> float:
    """The value as a float that is positive and finite; an error for what is none."""
    if not is_positive(value):
        raise InvalidInput(f"{what} must be positive and finite, not {value!r}")
    return float(value)


def whole(value: Any, what: str, least: int, or_else: str = "") -> int:
    """The value as a whole number that is not below ``least``; an error for what is none.

    ``or_else`` tells what else the caller takes.
    """
    number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not number or value < least:
        told = f"{what} must be a whole number of at least {least}{or_else}"
        raise InvalidInput(f"{told}, not {value!r}")
    return int(value)
