"""The loop of `mlreg.optimizers.minibatch`, to be compiled by numba: nothing else imports it.

Each row is read once: its residual, its pull, and its share of the gradient, while it lies in the
processor's nearest cache; rows that lie elsewhere are called for before their turn. Sums are taken
in another order than NumPy's, so that both loops differ by rounding, and by nothing else.
"""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["steps"]

F64 = NDArray[np.float64]

GAUSSIAN, LAPLACE, LOGISTIC, HUBER, STUDENT_T = 0, 1, 2, 3, 4

tools: Any = cgutils

LINE = 8
"""Numbers in a line of the cache."""

AHEAD, FAR = 5, 128
"""How long before its turn a row is called for: so many rows, and the rows of so many numbers."""

NEAR = 2**16
"""Numbers that lie in a near cache anyway, and are not called for."""


def _prefetch(context: Any, X: Any, i: Any, j: Any) -> Any:
    """Ask for the line of X[i, j]; it changes nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, arguments[0])
        item = tools.get_item_pointer(context, builder, kind, array, list(arguments[1:]))
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        to = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        call = tools.get_or_insert_function(builder.module, to, "llvm.prefetch.p0")
        # to be read, to stay in all caches, as data
        builder.call(call, [builder.bitcast(item, pointer), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp), generate


prefetch: Any = intrinsic(_prefetch)


def _steps(
    X: F64,
    intercept: bool,
    y: F64,
    precision: F64,
    k: F64,
    order: NDArray[np.intp],
    params: F64,
    total: F64,
    rates: F64,
    size: int,
    sigma: float,
    noise: int,
    parameter: float,
    average: bool,
    T: F64,
    guard: bool,
) -> int:
    """One step for each minibatch; ``params`` and ``total`` are changed. How many were clipped."""
    m, q = order.size or len(y), X.shape[1]
    first = 1 if intercept else 0
    p = q + first
    gradient, inner, direction = np.zeros(p), np.zeros(p), np.zeros(p)
    clipped, ahead, responses = 0, AHEAD + FAR // (q + 1), y.reshape(-1, 1)
    called_until = m - ahead if order.size and X.size > NEAR else 0
    for batch in range(len(rates)):
        start, stop = batch * size, min((batch + 1) * size, m)
        gradient[:] = 0.0
        for at in range(start, stop):
            i = order[at] if order.size else at
            if at < called_until:
                later = order[at + ahead]
                prefetch(responses, later, 0)
                for j in range(0, q, LINE):
                    prefetch(X, later, j)
            fitted = 0.0
            for j in range(q):
                fitted += X[i, j] * params[first + j]
            if intercept:
                fitted += params[0]
            r = y[i] - fitted
            w = math.sqrt(precision[i]) if precision.size else 1.0
            if noise == GAUSSIAN:
                pull = w * r
            else:
                z = w * r / sigma
                if noise == LAPLACE:
                    pull = sigma * np.sign(z)
                elif noise == LOGISTIC:
                    pull = sigma * math.tanh(z / 2)
                elif noise == HUBER:
                    pull = sigma * (z if abs(z) <= parameter else parameter * np.sign(z))
                elif abs(z) < 1e150:  # Student's t
                    pull = sigma * (parameter + 1) * z / (parameter + z * z)
                else:
                    pull = sigma * (parameter + 1) / z
            pull *= w
            if k.size:
                pull *= k[i]
            if intercept:
                gradient[0] += pull
            for j in range(q):
                gradient[first + j] += pull * X[i, j]
        rate = rates[batch]
        if not T.size:
            for j in range(p):
                params[j] += rate * (gradient[j] / size)
        else:
            inner[:] = 0.0
            for i in range(p):
                for j in range(p):
                    inner[j] += gradient[i] / size * T[i, j]
            for i in range(p):
                value = 0.0
                for j in range(p):
                    value += T[i, j] * inner[j]
                direction[i] = value
            if guard:
                steep, length = 0.0, 0.0
                for j in range(p):
                    length += inner[j] * inner[j]
                for at in range(start, stop):
                    i = order[at] if order.size else at
                    value = direction[0] if intercept else 0.0
                    for j in range(q):
                        value += X[i, j] * direction[first + j]
                    square = value * value
                    if precision.size:
                        square *= precision[i]
                    steep += square * k[i] if k.size else square
                steep /= size
                if rate * steep > length:
                    clipped += 1
                    rate = length / steep if math.isfinite(steep) else 0.0
            for j in range(p):
                params[j] += rate * direction[j]
        if average:
            for j in range(p):
                total[j] += params[j]
    return clipped


# sums may be reordered and fused, so that a row is added up several numbers at a time; NaN and
# infinity keep their meaning
OPTIONS: Any = {"fastmath": {"reassoc", "contract", "nsz"}, "nogil": True, "error_model": "numpy"}
try:
    steps = numba.njit(cache=True, **OPTIONS)(_steps)  # the machine code is kept on disk
except RuntimeError:  # which has no place for it
    steps = numba.njit(**OPTIONS)(_steps)
