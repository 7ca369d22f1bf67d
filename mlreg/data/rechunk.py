"""Blocks of other sizes and in another order, in the memory of a few of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mlreg.likelihood.blocks import Block

__all__ = ["coalesce", "rechunk", "shuffle"]

BUFFER_BYTES = 1 << 26
"""How much of the rows is permuted at a time."""


def coalesce(blocks: Iterable[Block], least: int) -> Iterator[Block]:
    """The same rows in blocks of at least that many, but for the last; none is cut."""
    held: list[Block] = []
    n = 0
    for block in blocks:
        if len(block.y):
            held.append(block)
            n += len(block.y)
        if n >= least:
            yield _join(held)
            held, n = [], 0
    if held:
        yield _join(held)


def rechunk(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same rows, ``size`` at a time; the last block may be short."""
    for joined in _gathered(blocks, lambda block: size):
        yield from (_take(joined, slice(i, i + size)) for i in range(0, len(joined.y), size))


def shuffle(blocks: Iterable[Block], rng: np.random.Generator) -> Iterator[Block]:
    """The same rows, permuted within a buffer of some 64 MB."""
    for joined in _gathered(blocks, lambda block: BUFFER_BYTES // (8 * (block.X.shape[1] + 1))):
        yield _take(joined, rng.permutation(len(joined.y)))


def _gathered(blocks: Iterable[Block], enough: Any) -> Iterator[Block]:
    """Blocks put together until they have a multiple of ``enough`` rows; at last the rest."""
    held: list[Block] = []
    n = 0
    for block in blocks:
        held.append(block)
        n += len(block.y)
        unit = max(enough(block), 1)
        if n >= unit:
            joined = _join(held)
            whole = n - n % unit
            yield _take(joined, slice(0, whole))
            held, n = [_take(joined, slice(whole, None))], n - whole
    if n:
        yield _join(held)


def _join(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return _map(lambda *arrays: np.concatenate(arrays), *blocks)


def _take(block: Block, rows: Any) -> Block:
    return _map(lambda array: array[rows], block)


def _map(make: Callable[..., Any], *blocks: Block) -> Block:
    """Do the same to each array of some blocks."""
    arrays = [[getattr(b, name) for b in blocks] for name in ("X", "y", "frequency", "precision")]
    return Block(*(None if some[0] is None else make(*some) for some in arrays))
