"""Blocks of other sizes and in another order, in the memory of a few of them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import Block, joined

__all__ = ["coalesce", "rechunk", "shuffle"]

BUFFER_BYTES = 1 << 26
"""How much of the rows is permuted in memory."""

BLOCK_BYTES = 1 << 21
"""How much of a temporary file is read at a time."""

PARTS = 64
"""Temporary files that more rows are scattered over."""

FIELDS = ("X", "y", "frequency", "precision")


def coalesce(blocks: Iterable[Block], least: int) -> Iterator[Block]:
    """The same rows in blocks of at least that many, but for the last; none is cut."""
    held: list[Block] = []
    n = 0
    for block in blocks:
        if len(block.y):
            held.append(block)
            n += len(block.y)
        if n >= least:
            yield joined(held)
            held, n = [], 0
    if held:
        yield joined(held)


def rechunk(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same rows, ``size`` at a time; the last block may be short."""
    held: list[Block] = []
    n = 0
    for block in blocks:
        held.append(block)
        n += len(block.y)
        if n >= size:
            together, whole = joined(held), n - n % size
            yield from (_rows(together, i, i + size) for i in range(0, whole, size))
            held, n = [_rows(together, whole, n)], n - whole
    if n:
        yield joined(held)


def shuffle(blocks: Iterable[Block], rng: np.random.Generator) -> Iterator[Block]:
    """The same rows in a random order, each of the n! orders as likely as another.

    Some 64 MB are permuted in memory. Of more, each row is put into one of `PARTS` temporary files
    at random, and then the files, one after another, are shuffled likewise.

    Raises
    ------
    InvalidInput
        There is no room for the files.
    """
    # Rows of one file are as exchangeable as all are, and files do not know what they hold: by
    # induction the order is uniform, although the files come in the order of their numbers.
    rest = iter(blocks)
    held: list[Block] = []
    n = 0
    for block in rest:
        held.append(block)
        n += len(block.y)
        if 8 * n * (block.X.shape[1] + 1) > BUFFER_BYTES and n > 1:
            everything = chain(held, rest)
            del held, block  # that memory holds no more than it has to
            yield from _shuffle_by_files(everything, rng)
            return
    if held:
        order = rng.permutation(n)
        yield joined(held).each(lambda a: a[order])


def _shuffle_by_files(blocks: Iterable[Block], rng: np.random.Generator) -> Iterator[Block]:
    with ExitStack() as stack:
        with _room():
            files = [stack.enter_context(TemporaryFile(prefix="mlreg-")) for _ in range(PARTS)]
        for block in blocks:
            arrays = [getattr(block, name) for name in FIELDS]
            there = [a is not None for a in arrays]
            rows = np.column_stack([a for a in arrays if a is not None])
            part = rng.integers(PARTS, size=len(rows))
            ends = np.cumsum(np.bincount(part, minlength=PARTS))
            rows = np.ascontiguousarray(rows[np.argsort(part, kind="stable")])
            with _room():
                for file, of_part in zip(files, np.split(rows, ends[:-1]), strict=True):
                    file.write(of_part.tobytes())
        for file in files:
            with _room():
                file.seek(0)  # what is still in a buffer is written now
            yield from shuffle(_read_back(file, rows.shape[1], there), rng)
            file.close()


@contextmanager
def _room() -> Iterator[None]:
    """Errors of temporary files say what to do."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"rows cannot be shuffled by way of temporary files in {gettempdir()!r} "
            f"({error.strerror}): make room, set TMPDIR to another folder, or take rows in order"
        ) from error


def _read_back(file: IO[bytes], width: int, fields: Sequence[bool]) -> Iterator[Block]:
    """Rows of a temporary file: X, y and the weights that there are, side by side."""
    p = width - sum(fields[1:])
    many = max(1, BLOCK_BYTES // (8 * width))
    while data := file.read(8 * width * many):
        rows = np.frombuffer(data).reshape(-1, width)
        columns = iter(rows.T[p:])
        yield Block(rows[:, :p], *(next(columns) if there else None for there in fields[1:]))


def _rows(block: Block, start: int, stop: int) -> Block:
    return block.each(lambda a: a[start:stop])
