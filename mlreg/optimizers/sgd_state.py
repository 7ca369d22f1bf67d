"""Where a descent stood after an epoch, in a file, so that it can go on as if nothing had been."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.files import plain, read, write
from mlreg.linalg.triangle import Triangle

__all__ = ["SGDState", "fingerprint", "load_state", "save_state"]

F64 = NDArray[np.float64]
FORMAT, VERSION = "mlreg.SGDState", 1


@dataclass(frozen=True, eq=False)
class SGDState:
    """All that the next epoch depends on, and the way so far.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    params, total : ndarray, shape (p,)
        The iterate, and the sum of those that are averaged.
    averaged : int
        How many they are.
    rng : dict
        State of the random numbers.
    log_sigma : float
        log σ of the steps, for noise that is not Gaussian.
    way : ndarray, shape (epochs + 1, p)
        What would have been returned after each epoch.
    log_sigmas : ndarray, shape (epochs + 1,)
        And the log σ there.
    kernel : "numpy" or "numba"
        The loop that took the steps.
    """

    epoch: int
    params: F64
    total: F64
    averaged: int
    rng: dict[str, Any]
    log_sigma: float
    way: F64
    log_sigmas: F64
    kernel: Literal["numpy", "numba"]


def save_state(
    path: str | os.PathLike[str], state: SGDState, config: dict[str, Any], data: dict[str, Any]
) -> None:
    """Write a state, whole or not at all, with the configuration and the data that it is of."""
    head = {"format": FORMAT, "version": VERSION, "config": config, "data": data}
    write(path, {**head, "state": plain(state)})


def load_state(
    path: str | os.PathLike[str], config: dict[str, Any], data: dict[str, Any], epochs: int
) -> SGDState | None:
    """The state in a file; None where there is no file.

    Raises
    ------
    InvalidInput
        A state of another configuration or of other data, or one that has gone further.
    """
    if not Path(path).exists():
        return None
    name, found = os.fspath(path), read(path, FORMAT, VERSION)
    for what, now in (("config", config), ("data", data)):
        then = found[what]
        for key in sorted({*now, *then}):
            if then.get(key) != now.get(key):
                whose = "descent" if what == "config" else "data set"
                raise InvalidInput(
                    f"{name!r} is the checkpoint of another {whose}: {key} was {then.get(key)!r} "
                    f"and is {now.get(key)!r}. Name another file, or remove it to start anew"
                )
    state = dict(found["state"])
    if state["epoch"] > epochs:
        raise InvalidInput(
            f"{name!r} has gone {state['epoch']} epochs, more than epochs={epochs}: ask for as "
            "many, or name another file"
        )
    for key in ("params", "total", "way", "log_sigmas"):
        state[key] = np.array(state[key], dtype=np.float64)
    return SGDState(**state)


def fingerprint(triangle: Triangle, names: tuple[str, ...]) -> dict[str, Any]:
    """What tells one data set from another: its names and counts, and products of its columns.

    Rows in another order are the same data.
    """
    lengths = np.linalg.norm(triangle.R, axis=0)
    sizes = zip(lengths, triangle.exponent, strict=True)
    unit = triangle.R / np.where(lengths > 0, lengths, 1)
    mixed = unit @ np.random.default_rng(0).standard_normal((len(lengths), 3))
    return {
        "columns": list(names),
        "rows": int(triangle.n_rows),
        "lengths": [f"{size:.10e} times 2^{exponent}" for size, exponent in sizes],
        "lengths of three mixtures": [f"{size:.8e}" for size in np.linalg.norm(mixed, axis=0)],
    }
