"""The door to the loop of `mlreg.optimizers.minibatch` in machine code (extra ``fast``).

Compiling takes about a second for each kind of array (read-only ones are a kind of their own), and
is done once: the code is kept beside this package, in ``__pycache__``, or in the user's cache
directory where that folder cannot be written. From there it is loaded in a quarter of a second.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, MissingDependency
from mlreg.likelihood.blocks import Block, PickedBlock, PiecedBlock, to_numpy
from mlreg.likelihood.noise import Gaussian, Huber, Laplace, Logistic, Noise
from mlreg.likelihood.student_t import StudentT
from mlreg.optimizers.minibatch import Step, Walk

__all__ = ["available", "descend_compiled", "known"]

F64 = NDArray[np.float64]

NAMES: dict[type, str] = {
    Gaussian: "GAUSSIAN",
    Laplace: "LAPLACE",
    Logistic: "LOGISTIC",
    Huber: "HUBER",
    StudentT: "STUDENT_T",
}
"""Constants of the compiled loop, whose numbers only it knows."""

NONE, NO_ORDER = np.zeros(0), np.zeros(0, dtype=np.intp)


def available() -> bool:
    """Whether numba is installed."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def known(noise: Noise) -> tuple[str, float] | None:
    """Name of a noise in the compiled loop, and its parameter; None for a user's own."""
    name, parameter = NAMES.get(type(noise)), 0.0
    if isinstance(noise, Huber):
        parameter = noise.k
    elif isinstance(noise, StudentT):
        if noise.df is None:
            return None
        parameter = noise.df
    return None if name is None else (name, float(parameter))


def descend_compiled(walk: Walk, block: Block, rates: F64, step: Step) -> None:
    """`mlreg.optimizers.minibatch.descend`, Eq. (4.2), for the noises of this package.

    Raises
    ------
    InvalidInput
        A noise of one's own, or an implicit step.
    MissingDependency
        numba is not installed.
    """
    noise = known(step.noise)
    if noise is None or step.update != "explicit":
        what = "implicit steps" if noise is not None else f"{step.noise}"
        raise InvalidInput(f"the compiled loop does not know {what}: take kernel='numpy'")
    order, intercept = NO_ORDER, False
    if isinstance(block, PickedBlock) and block.X_whole.flags.c_contiguous:
        order, intercept = block.rows, block.intercept  # rows are fetched where they lie
        arrays = [block.X_whole, block.y_whole, block.precision_whole, block.frequency_whole]
    else:
        own = _after_intercept(block)  # asking for block.X would copy it
        intercept = own is not None
        arrays = [block.X if own is None else own, block.y, block.precision, block.frequency]
    X, y, precision, k = (NONE if a is None else np.ascontiguousarray(to_numpy(a)) for a in arrays)
    T = step.precondition
    params = walk.params.copy()
    loop, (name, parameter) = _compiled(), noise
    clipped = loop.steps(
        X, intercept, y, precision, k, order, params, walk.total,
        np.ascontiguousarray(rates), step.batch_size, step.sigma,
        getattr(loop, name), parameter, step.average,
        np.zeros((0, 0)) if T is None else np.ascontiguousarray(T), step.guard,
    )  # fmt: skip
    walk.params = params
    walk.clipped += clipped
    walk.averaged += len(rates) if step.average else 0


def _after_intercept(block: Block) -> F64 | None:
    """The columns after an intercept, where they lie together."""
    parts = block.pieces.parts if isinstance(block, PiecedBlock) else ()
    if len(parts) == 3 and isinstance(parts[0], float) and parts[0] == 1.0 and parts[1].ndim == 2:
        return np.asarray(parts[1])
    return None


def _compiled() -> Any:
    try:
        from mlreg.optimizers import compiled_loop
    except ImportError as error:
        raise MissingDependency(
            "kernel='numba' needs numba: pip install 'mlreg[fast]'; kernel='numpy' needs nothing"
        ) from error
    return compiled_loop
