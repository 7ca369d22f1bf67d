"""How far a pass over the rows has come, on one line of the terminal."""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from mlreg.likelihood.blocks import Block, Source
from mlreg.likelihood.transform import Transform

__all__ = ["Bar", "WatchedSource", "shown"]

EVERY = 0.1
"""Seconds between two states of the line."""


def shown(progress: bool | None, out_of_core: bool) -> bool:
    """Whether to show progress: as the caller says; by default out of core, on a terminal."""
    return out_of_core and sys.stderr.isatty() if progress is None else progress


class Bar:
    """Rows done, of how many, and how fast; a context manager.

    Parameters
    ----------
    what : str
        What is going on.
    total : int or None
        Rows in all, where that is known.
    out : text stream, optional
        stderr by default. Where it is no terminal there is one line at the end.
    """

    def __init__(self, what: str, total: int | None, out: TextIO | None = None) -> None:
        self.what, self.total, self.done = what, total, 0
        self._out = sys.stderr if out is None else out
        self._start = self._last = time.monotonic()
        self._width = 0

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self._out.isatty():
            self._out.write("\r" + " " * self._width + "\r")  # what matters is the fit
        elif kind is None:
            self._out.write(str(self) + "\n")
        self._out.flush()

    def add(self, rows: int) -> None:
        """Count some more rows."""
        self.done += rows
        now = time.monotonic()
        if now - self._last >= EVERY and self._out.isatty():
            self._last = now
            line = str(self)
            self._out.write("\r" + line.ljust(self._width))
            self._out.flush()
            self._width = len(line)

    def __str__(self) -> str:
        done = f"{self.done:,} rows"
        if self.total:
            percent = min(100 * self.done // self.total, 100)
            done = f"{self.done:,} of {self.total:,} rows ({percent} %)"
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"mlreg: {self.what}: {done}, {self.done / seconds:,.0f} rows/s"


class WatchedSource:
    """Another source, each pass over it shown by a `Bar`.

    Parameters
    ----------
    source : Source
        It is trusted, see `Source`; what optimizers see is the same as without.
    """

    checked = True

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names, self.rereadable = source.names, source.rereadable
        self.n_rows = source.n_rows
        self.scale_names: tuple[str, ...] = tuple(getattr(source, "scale_names", ()))
        self.transform: Transform | None = getattr(source, "transform", None)
        self.passes = 0
        self._total: int | None = getattr(source, "rows_in_all", source.n_rows)
        if hasattr(source, "sample"):
            self.sample: Any = source.sample

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Blocks of the source, counted."""
        self.passes += 1
        with Bar(f"pass {self.passes}", self._total) as bar:
            for block in self.source.blocks(size, rng):
                bar.add(int(block.y.shape[0]))
                yield block
            self._total = bar.done  # some rows may have been left out
