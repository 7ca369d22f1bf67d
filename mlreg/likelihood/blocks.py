"""Rows of a design, block by block.

A `Source` is where the rows of a design come from; a `Block` is some of them.
Everything that mlreg computes is a sum over blocks, so that no algorithm needs
more memory than a few of them.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from scipy.linalg import blas

from mlreg.errors import InvalidInput
from mlreg.likelihood.transform import Transform, as_transform, refuse_outside
from mlreg.linalg.pieces import Pieces

__all__ = [
    "ArraySource",
    "Block",
    "PickedBlock",
    "PiecedBlock",
    "Source",
    "joined",
    "namespace",
    "surely_finite",
    "to_numpy",
    "weights",
]

Array = Any  # an array of any array-API namespace
MANY = 2**15  # numbers, from which on threads are worth waking

BLOCK_ROWS = 1024
"""Rows per block at least, where the caller does not say."""

BLOCK_NUMBERS = 2**16
"""Numbers per block about, where the caller does not say: half a megabyte, which a cache holds."""


def namespace(*arrays: Array) -> Any:
    """Array-API namespace that the arrays share; an error that names the clash otherwise."""
    try:
        return array_namespace(*(a for a in arrays if a is not None))
    except TypeError as error:
        kinds = sorted({f"{type(a).__module__}.{type(a).__qualname__}" for a in arrays})
        raise InvalidInput(
            f"arrays of different kinds together ({', '.join(kinds)}): convert them to one"
        ) from error


def to_numpy(a: Array) -> Any:
    """The array as NumPy, on the CPU, without its gradient graph and without a copy if possible."""
    if is_numpy_array(a):
        return a
    if hasattr(a, "detach"):  # a PyTorch tensor: leave its autograd graph and its device
        a = a.detach().cpu().resolve_conj()
    try:
        return np.from_dlpack(a)
    except (AttributeError, TypeError, BufferError, RuntimeError):
        return np.asarray(a)


def as_float(xp: Any, a: Array) -> Array:
    """Cast to float64, or leave as it is where it already is float64 or complex128."""
    return a if a.dtype in (xp.float64, xp.complex128) else xp.astype(a, xp.float64)


def surely_finite(a: Array) -> bool:
    """Whether nothing in it is NaN or infinite, by one read: a finite sum proves finite terms."""
    if isinstance(a, np.ndarray) and a.dtype == np.float64 and a.flags.forc and a.size > MANY:
        flat = a.reshape(-1, order="A")
        return math.isfinite(blas.ddot(flat, flat))  # by several threads
    with np.errstate(all="ignore"):
        xp = np if isinstance(a, np.ndarray) else namespace(a)
        return math.isfinite(float(xp.sum(as_float(xp, a))))


def check_weights(
    w: np.ndarray[Any, np.dtype[np.float64]], kind: str, *, some: bool = False, first_row: int = 0
) -> None:
    """Raise for weights that are none; ``kind`` is "frequency" or "precision".

    All of them zero is an error, too, unless these are only ``some`` of the weights, those
    from row ``first_row`` on.
    """
    whole = kind == "frequency"
    bad = ~np.isfinite(w) | (w < 0) | (((w != np.floor(w)) | (w > 2**53)) if whole else False)
    if bad.any():
        first = int(bad.argmax())
        raise InvalidInput(
            f"{kind}_weights must be finite and not negative"
            f"{', whole numbers up to 2**53' * whole}: "
            f"{int(bad.sum())} are not, first {w[first]:g} at row {first_row + first}"
            + ("; for variances sigma**2/w use precision_weights" if whole else "")
        )
    if w.size and not w.any() and not some:
        raise InvalidInput(f"all {kind}_weights are zero: no row is left")


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a design, intercept column included.

    Attributes
    ----------
    X : array, shape (m, p)
        Rows of the design matrix, float64.
    y : array, shape (m,)
        Responses, float64; those of a source with a transform g are g(y) already.
    frequency : array, shape (m,), optional
        Whole numbers: the row stands for that many equal rows.
    precision : array, shape (m,), optional
        Positive: the row's noise variance is sigma**2 / precision.
    Z : array, shape (m, q), optional
        Rows of the scale design: log sigma of a row is z'gamma. Without it, it is one gamma.
    """

    X: Array
    y: Array
    frequency: Array | None = None
    precision: Array | None = None
    Z: Array | None = None

    def each(self, make: Callable[[Array], Array]) -> "Block":
        """A block of what ``make`` makes of each array that there is."""
        arrays = (self.X, self.y, self.frequency, self.precision, self.Z)
        return Block(*(None if a is None else make(a) for a in arrays))


def weights(block: Block) -> tuple[Any, Any]:
    """Frequencies and precisions of the rows, (m,) each, as NumPy arrays: ones where none are."""
    ones = np.ones(block.y.shape[0])
    k, w = block.frequency, block.precision
    return ones if k is None else to_numpy(k), ones if w is None else to_numpy(w)


def joined(blocks: Sequence[Block]) -> Block:
    """The rows of all blocks, of NumPy arrays, in one; none are copied where it is one already."""
    if len(blocks) == 1:
        return blocks[0]
    fields = ("X", "y", "frequency", "precision", "Z")
    arrays = [[getattr(block, name) for block in blocks] for name in fields]
    return Block(*(None if some[0] is None else np.concatenate(some) for some in arrays))


class PiecedBlock(Block):
    """A block whose columns lie in several NumPy arrays; X is made when somebody asks for it.

    Attributes
    ----------
    pieces : Pieces
        The columns of X and y, side by side.
    """

    def __init__(
        self,
        pieces: Pieces,
        frequency: Array | None = None,
        precision: Array | None = None,
        Z: Array | None = None,
    ) -> None:
        vars(self).update(
            pieces=pieces, y=pieces.parts[-1], frequency=frequency, precision=precision, Z=Z
        )

    pieces: Pieces

    @cached_property
    def X(self) -> Array:
        """Rows of the design matrix."""
        return self.pieces.array[:, :-1]


class PickedBlock(Block):
    """Some rows of NumPy arrays, in any order; they are fetched when somebody asks for them.

    Attributes
    ----------
    rows : integer array, shape (m,)
        Which rows, in their order.
    intercept : bool
        Whether a column of ones stands before those of `X_whole`.
    X_whole, y_whole, frequency_whole, precision_whole, Z_whole : arrays of all rows, or None
        Where they come from; float64, not copied.
    """

    def __init__(
        self, rows: Any, intercept: bool, X: Any, y: Any, frequency: Any, precision: Any, Z: Any
    ) -> None:
        vars(self).update(
            rows=rows, intercept=intercept, X_whole=X, y_whole=y, frequency_whole=frequency,
            precision_whole=precision, Z_whole=Z,
        )  # fmt: skip

    rows: Any
    intercept: bool
    X_whole: Any
    y_whole: Any
    frequency_whole: Any
    precision_whole: Any
    Z_whole: Any

    @cached_property
    def X(self) -> Array:
        """Rows of the design matrix."""
        own = np.take(self.X_whole, self.rows, axis=0)
        return np.column_stack([np.ones(len(own)), own]) if self.intercept else own

    @cached_property
    def y(self) -> Array:
        """Their responses."""
        return self.y_whole[self.rows]

    @cached_property
    def frequency(self) -> Array | None:
        """Their frequencies."""
        return None if self.frequency_whole is None else self.frequency_whole[self.rows]

    @cached_property
    def precision(self) -> Array | None:
        """Their precisions."""
        return None if self.precision_whole is None else self.precision_whole[self.rows]

    @cached_property
    def Z(self) -> Array | None:
        """Their rows of the scale design."""
        return None if self.Z_whole is None else self.Z_whole[self.rows]


@runtime_checkable
class Source(Protocol):
    """Where the rows of a design come from.

    Attributes
    ----------
    names : tuple of str
        Names of the p columns of the design.
    n_rows : int or None
        Number of observations, the sum of the frequency weights; None where
        it is only known after a pass.
    rereadable : bool
        Whether `blocks` can be called more than once.

    Notes
    -----
    A source whose noise scale differs from row to row has a ``Z`` in each block, and their q
    columns are called ``scale_names``, a tuple of str; it is empty, or not there, otherwise.

    A source that says ``checked = True`` is trusted: its blocks are float64 and
    finite, its weights positive, and its arrays are not overwritten later. Others are looked at
    and copied, block by block.

    A source may have the attribute ``transform``, see `mlreg.likelihood.transform`: the
    likelihood is then that of the response before it, with the Jacobian.
    """

    names: tuple[str, ...]
    n_rows: int | None
    rereadable: bool

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Each row once, ``size`` rows at a time; in random order where ``rng`` is given."""
        ...


class ArraySource:
    """A design whose rows are in memory; it refers to the arrays and copies none of them.

    Parameters
    ----------
    X : array, shape (n, k)
        Regressors, of any array-API namespace. Real numbers of any precision;
        each block is cast to float64 before arithmetic.
    y : array, shape (n,)
        Responses, of the same namespace.
    intercept : bool
        Whether a column of ones is put before X, named ``Intercept``.
    names : sequence of str, optional
        Names of the columns of X; ``x1``, ``x2``, ... by default.
    frequency, precision : array, shape (n,), optional
        Weights (see `Block`). A row of weight zero is left out.
    scale : array, shape (n, q), optional
        Scale design, its column of ones included (see `Block`).
    scale_names : sequence of str, optional
        Names of its columns; ``z1``, ``z2``, ... by default.
    rows : integer array, optional
        The rows to use, where not all of them are wanted.
    response : str
        Name of the response, for messages.
    left_out : int
        How many rows were left out for missing values, for the record.
    origin : integer array, optional
        Numbers of these rows in the data that they came from, where that had more of them.
    n_given : int, optional
        How many rows it had; as many as X by default.
    transform : str or Transform, optional
        Such as "log": y is on the response's own scale, and is transformed here, into a copy of
        it. See `mlreg.likelihood.transform`.
    check : bool
        Whether NaN and infinities are looked for at once; else while the rows are first read,
        which saves reading them twice.

    Raises
    ------
    InvalidInput
        Wrong shapes, no rows, NaN or infinities, negative or fractional
        weights, two columns of one name, or a response that has no transform.
    """

    index: Any = None
    """Labels of the rows as given, where they were of pandas: what is asked later must agree."""

    def __init__(
        self,
        X: Array,
        y: Array,
        *,
        intercept: bool = False,
        names: Sequence[str] | None = None,
        frequency: Array | None = None,
        precision: Array | None = None,
        scale: Array | None = None,
        scale_names: Sequence[str] | None = None,
        rows: Any = None,
        response: str = "y",
        left_out: int = 0,
        origin: Any = None,
        n_given: int | None = None,
        transform: Transform | str | None = None,
        check: bool = True,
    ) -> None:
        X, y = (np.asarray(a) if isinstance(a, (list, tuple)) else a for a in (X, y))
        namespace(X, y, frequency, precision, scale)  # an error where they are of different kinds
        if X.ndim != 2:
            raise InvalidInput(f"X must have two dimensions, rows and columns; it has {X.ndim}")
        n, k = X.shape
        for what, a in (
            ("y", y),
            ("frequency_weights", frequency),
            ("precision_weights", precision),
        ):
            if a is not None and a.shape != (n,):
                raise InvalidInput(
                    f"{what} must be of shape ({n},), one number for each row of X; "
                    f"it is {tuple(a.shape)}"
                )
        if names is None:
            names = [f"x{j + 1}" for j in range(k)]
        if len(names) != k:
            raise InvalidInput(f"{len(names)} names for the {k} columns of X")
        self.intercept, self.rereadable = bool(intercept), True
        self.names: tuple[str, ...] = (*(["Intercept"] if intercept else []), *map(str, names))
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise InvalidInput(
                f"two columns have the same name: {', '.join(map(repr, repeated))}; rename one"
            )
        self._X, self._y, self.response, self.left_out = X, y, response, left_out
        self._Z, self.scale_names = _scale_design(scale, scale_names, n)
        self._weights = {"frequency": frequency, "precision": precision}
        self._rows = None if rows is None else np.asarray(rows, dtype=np.intp)
        self._origin = None if origin is None else np.asarray(origin, dtype=np.intp)
        self.n_given = n if n_given is None else n_given
        self.given: Any = None  # (X, y), or (table, None): set by who made the rows of them
        self._check_weights()
        self.transform = as_transform(transform)
        if self.transform is not None:
            used = y if self._rows is None else self._take(y, self._rows)
            refuse_outside(self.transform, used, response, self._rows)
            self._y = self.transform.forward(y)
        self._finite = False
        if check:
            self._check_finite()
        if not self.names:
            raise InvalidInput("the design has no columns: give X a column, or an intercept")

    @property
    def _xp(self) -> Any:
        return namespace(self._X)  # not kept: a module does not pickle

    def __repr__(self) -> str:
        return f"<ArraySource: {self._n_physical} rows of {', '.join(self.names)}>"

    @property
    def _n_physical(self) -> int:
        return int(self._y.shape[0]) if self._rows is None else len(self._rows)

    def _check_weights(self) -> None:
        keep = np.ones(self._y.shape[0], dtype=bool)
        if self._rows is not None:
            keep[:] = False
            keep[self._rows] = True
        total = None
        for kind, array in self._weights.items():
            if array is not None:
                w = np.asarray(to_numpy(array), dtype=np.float64)
                check_weights(w, kind)
                keep &= w > 0
                total = w if kind == "frequency" else total
        if not keep.all():
            rows = np.flatnonzero(keep)
            self._rows = rows if self._rows is None else self._rows[keep[self._rows]]
        if not self._n_physical:
            raise InvalidInput("there are no rows: the data is empty or every weight is zero")
        used = slice(None) if self._rows is None else self._rows
        self.n_rows: int | None = self._n_physical if total is None else int(total[used].sum())

    @property
    def row_numbers(self) -> Any:
        """Numbers of the rows in use, in the data as given: integer array, shape (rows,)."""
        rows = np.arange(self._n_physical) if self._rows is None else self._rows
        return rows if self._origin is None else self._origin[rows]

    def _label(self, i: int) -> int:
        """Row number, in the data as given, of row i of those in use."""
        row = i if self._rows is None else int(self._rows[i])
        return row if self._origin is None else int(self._origin[row])

    def _check_finite(self) -> None:
        # It is taken of all rows, those that are not in use too, for it needs no copy of them.
        xp, size = self._xp, max(BLOCK_ROWS, BLOCK_NUMBERS // max(1, self._X.shape[1]))
        for start in range(0, self._X.shape[0], size):
            self._look_at(as_float(xp, self._X[start : min(start + size, self._X.shape[0]), ...]))
        self._look_at(as_float(xp, self._y), *([] if self._Z is None else [as_float(xp, self._Z)]))
        self._finite = True

    def _look_at(self, *arrays: Array) -> None:
        """Search all rows where these are suspect."""
        if not (self._finite or all(map(surely_finite, arrays))):
            self._finite = True  # to read them all the same
            try:
                self._name_nonfinite()
            except InvalidInput:
                self._finite = False
                raise

    def _name_nonfinite(self) -> None:
        """Raise where a value is NaN or infinite; not where only a sum overflowed."""
        names = (*self.names, self.response, *(f"{name} of the scale" for name in self.scale_names))
        counts, nans = np.zeros(len(names), dtype=int), 0
        first = np.full(len(names), -1)
        at = 0
        for block in self.blocks():
            parts = [block.X, block.y, *([] if block.Z is None else [block.Z])]
            values = np.column_stack([to_numpy(part) for part in parts])
            bad = ~np.isfinite(values)
            nans += int(np.isnan(values).sum())
            new = bad.any(axis=0) & (first < 0)
            first[new] = at + bad.argmax(axis=0)[new]
            counts += bad.sum(axis=0)
            at += len(values)
        if counts.any():
            found = [
                f"{names[j]!r} in {counts[j]} rows, first at row {self._label(first[j])}"
                for j in np.flatnonzero(counts)
            ]
            raise InvalidInput(
                f"NaN or infinity in {'; '.join(found[:5])}{' ...' if len(found) > 5 else ''}. "
                "Mend or remove those rows"
                + ("; missing='drop' leaves out rows with NaN" if nans else "")
            )

    def _take(self, a: Array, rows: Any) -> Array:
        xp = self._xp
        return xp.take(a, xp.asarray(rows, device=device(a)), axis=0)

    @cached_property
    def _whole(self) -> tuple[Any, ...] | None:
        """All arrays, where they are of float64 in NumPy already."""
        arrays = (self._X, self._y, *self._weights.values(), self._Z)
        there = [a for a in arrays if a is not None]
        plain = all(is_numpy_array(a) and a.dtype == np.float64 for a in there)
        return arrays if plain else None

    def _block(self, rows: Any) -> Block:
        if not isinstance(rows, slice) and self._whole is not None:
            return PickedBlock(rows, self.intercept, *self._whole)
        if is_numpy_array(self._X) and is_numpy_array(self._y):
            own, response = as_float(np, self._X[rows]), as_float(np, self._y[rows])
            rest = [*self._weights.values(), self._Z]
            weights = (w if w is None else as_float(np, w[rows]) for w in rest)
            if self.intercept:
                return PiecedBlock(Pieces([1.0, own, response]), *weights)
            return Block(own, response, *weights)
        xp = self._xp

        def pick(a: Array | None) -> Array | None:
            if a is None:
                return None
            return as_float(xp, a[rows, ...] if isinstance(rows, slice) else self._take(a, rows))

        X: Array = pick(self._X)
        y: Array = pick(self._y)
        if self.intercept:
            ones = xp.ones((X.shape[0], 1), dtype=xp.float64, device=device(X))
            X = xp.concat([ones, X], axis=1)
        picked = {kind: pick(w) for kind, w in self._weights.items()}
        return Block(X, y, **picked, Z=pick(self._Z))

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Each row once, in order; or, with ``rng``, in the order of one random permutation."""
        n = self._n_physical
        k = len(self.names)
        if size is None:  # a fold begins with two rows for each column of X and y
            size = max(BLOCK_ROWS, 2 * (k + 1), BLOCK_NUMBERS // k)
        order = self._rows
        if rng is not None:
            order = rng.permutation(n) if order is None else rng.permutation(order)
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            block = self._block(rows if order is None else order[rows])
            if not self._finite:
                pieces = block.pieces.parts[1:] if isinstance(block, PiecedBlock) else [block.X]
                self._look_at(*pieces, block.y, *([] if block.Z is None else [block.Z]))
            yield block
        self._finite = True

    def subset(self, positions: Any) -> "ArraySource":
        """Some of the rows, by position among those in use, shape (m,); no array is copied."""
        other = copy.copy(self)
        rows = np.asarray(positions, dtype=np.intp)
        other._rows = rows if self._rows is None else self._rows[rows]
        k = self._weights["frequency"]
        other.n_rows = len(rows) if k is None else int(to_numpy(k)[other._rows].sum())
        return other

    def sample(self, size: int, rng: np.random.Generator) -> Block:
        """``size`` rows drawn with replacement, each row equally likely, Eq. (4.10)."""
        if not self._finite:
            self._check_finite()
        drawn = rng.integers(self._n_physical, size=size)
        return self._block(drawn if self._rows is None else self._rows[drawn])


def _scale_design(
    Z: Array | None, names: Sequence[str] | None, n: int
) -> tuple[Array | None, tuple[str, ...]]:
    """The scale design, looked at, and the names of its columns."""
    if Z is None:
        return None, ()
    if Z.ndim != 2 or Z.shape[0] != n or not Z.shape[1]:
        raise InvalidInput(
            f"scale must have a row for each of the {n} rows, and columns; it is {tuple(Z.shape)}"
        )
    names = [f"z{j + 1}" for j in range(Z.shape[1])] if names is None else list(names)
    if len(names) != Z.shape[1] or len(set(names)) != len(names):
        raise InvalidInput(
            f"scale_names must be {Z.shape[1]} different names, one for each column of the scale "
            f"design; they are {', '.join(map(str, names))}"
        )
    return Z, tuple(map(str, names))
