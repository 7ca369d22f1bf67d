"""The state of a formula's transforms as JSON, exactly and without pickle."""

from typing import Any

import numpy as np

from mlreg.errors import InvalidInput, InvalidType

__all__ = ["decode", "encode"]


def encode(value: Any, what: str) -> Any:
    """Types of JSON for numbers, text, lists, dictionaries and numeric arrays; floats exactly.

    Parameters
    ----------
    value : object
        What to write.
    what : str
        Whose state it is, for the message.

    Raises
    ------
    InvalidType
        If the value is of another kind.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [encode(v, what) for v in value]
    if isinstance(value, dict):  # as pairs: keys need not be text
        return {"pairs": [[encode(k, what), encode(v, what)] for k, v in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value.tolist(), "dtype": value.dtype.str}
    raise InvalidType(
        f"the state of {what} cannot be saved: it holds a {type(value).__name__}; "
        "compute that column before the fit"
    )


def decode(value: Any) -> Any:
    """Invert `encode`.

    Raises
    ------
    InvalidInput
        If the value is not one that `encode` writes.
    """
    if isinstance(value, list):
        return [decode(v) for v in value]
    if isinstance(value, dict):
        if "array" in value:
            return np.array(value["array"], dtype=np.dtype(value["dtype"]))
        if "pairs" in value:
            return {decode(k): decode(v) for k, v in value["pairs"]}
        raise InvalidInput(f"the saved state of a formula is damaged near {sorted(value)}")
    return value
