"""Sources that stand before another one: its blocks, looked at or narrowed."""

from collections.abc import Iterator, Sequence

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import (
    ArraySource,
    Block,
    Source,
    check_weights,
    namespace,
    to_numpy,
)
from mlreg.likelihood.transform import Transform, as_transform

__all__ = ["CheckedSource", "SelectedSource"]


class CheckedSource:
    """Another's source, each block looked at before it is used.

    Parameters
    ----------
    source : Source
        Its blocks become float64; rows of weight zero are left out; shapes that
        do not fit, NaN, infinities and weights that are none raise `InvalidInput`.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names = tuple(source.names)
        self.scale_names: tuple[str, ...] = tuple(getattr(source, "scale_names", ()))
        self.n_rows: int | None = None  # counted, not believed
        self.rereadable = source.rereadable
        self.transform = as_transform(getattr(source, "transform", None))

    def _check(self, block: Block, at: int) -> Block | None:
        """The block, or None where every row has the weight zero."""
        if block.X.ndim != 2 or block.X.shape[1] != len(self.names):
            raise InvalidInput(
                f"a block of the source has X of shape {tuple(block.X.shape)}; "
                f"its {len(self.names)} columns are {', '.join(self.names)}"
            )
        if (block.Z is None) == bool(self.scale_names):
            raise InvalidInput(
                f"a block of the source has {'no ' if block.Z is None else ''}Z; the columns of "
                f"its scale are {', '.join(self.scale_names) or 'none'}"
            )
        try:
            if not _counts(block).any():
                return None
            part = ArraySource(
                block.X,
                block.y,
                names=self.names,
                frequency=block.frequency,
                precision=block.precision,
                scale=block.Z,
                scale_names=self.scale_names or None,
            )
        except InvalidInput as error:
            raise InvalidInput(f"in the source's block from row {at} on: {error}") from error
        (checked,) = part.blocks(size=block.X.shape[0])
        # a copy: the source may use its arrays again, and blocks are kept for a while
        fields = (checked.X, checked.y, checked.frequency, checked.precision, checked.Z)
        xp = namespace(checked.X)
        return Block(*(None if a is None else xp.asarray(a, copy=True) for a in fields))

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Blocks of the source, checked."""
        at, found = 0, False
        for block in self.source.blocks(size, rng):
            if block.y.shape[0]:
                checked = self._check(block, at)
                at += block.y.shape[0]
                if checked is not None:
                    found = True
                    yield checked
        if not found:
            raise InvalidInput("the source has no rows, or all of them have the weight zero")


def _counts(block: Block) -> NDArray[np.bool_]:
    """Whether each row counts: no weight of it is zero."""
    keep = np.ones(block.y.shape[0], dtype=bool)
    for kind, weights in (("frequency", block.frequency), ("precision", block.precision)):
        if weights is not None and tuple(weights.shape) == keep.shape:  # others are refused later
            w = np.asarray(to_numpy(weights), dtype=np.float64)
            check_weights(w, kind, some=True)
            keep &= w > 0
    return keep


class SelectedSource:
    """Some columns of another source.

    Parameters
    ----------
    source : Source
        The full design.
    keep : sequence of int
        Positions of the columns to keep, in order.
    """

    def __init__(self, source: Source, keep: Sequence[int]) -> None:
        self.source = source
        self.keep = np.asarray(keep, dtype=np.intp)
        self.names = tuple(source.names[j] for j in self.keep)
        self.scale_names: tuple[str, ...] = tuple(getattr(source, "scale_names", ()))
        self.n_rows = source.n_rows
        self.rereadable = source.rereadable
        self.transform: Transform | None = getattr(source, "transform", None)

    def _select(self, block: Block) -> Block:
        xp = namespace(block.X)
        X = xp.take(block.X, xp.asarray(self.keep, device=device(block.X)), axis=1)
        return Block(X, block.y, block.frequency, block.precision, block.Z)

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Blocks of the full source, the kept columns of them."""
        for block in self.source.blocks(size, rng):
            yield self._select(block)

    def sample(self, size: int, rng: np.random.Generator) -> Block:
        """See `ArraySource.sample`."""
        if not hasattr(self.source, "sample"):
            raise InvalidInput("rows can be picked only of a source in memory: use reshuffling")
        return self._select(self.source.sample(size, rng))
