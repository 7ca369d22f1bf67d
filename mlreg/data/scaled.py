"""Two designs of one file side by side: that of the mean, and that of the scale."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlreg.data.lazy import LazyTable
from mlreg.data.rechunk import rechunk
from mlreg.data.scale import LEFT
from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput, InvalidType
from mlreg.likelihood.blocks import BLOCK_ROWS, Block

__all__ = ["ScaledSource"]


class ScaledSource:
    """A streamed source, and the scale design from a second pass over the same table.

    Parameters
    ----------
    source : StreamedSource
        The design of the mean; every row of it complete.
    table : LazyTable
        Where its rows come from, readable again.
    scale : str
        Formula without a response.
    progress : bool, optional
        As for `read`.
    weights : dict
        Names of the columns of weights.
    """

    checked = True

    def __init__(
        self,
        source: StreamedSource,
        table: LazyTable,
        scale: Any,
        progress: bool | None,
        weights: dict[str, Any],
    ) -> None:
        if not isinstance(scale, str) or not scale.strip().startswith("~"):
            raise InvalidType("out of core scale is a formula without a response, such as '~ x1'")
        if source.missing == "drop":
            raise InvalidInput(
                "out of core a scale design needs rows without gaps: leave out such rows of the "
                "file, or read it into memory"
            )
        if not table.rereadable:
            raise InvalidInput(
                "a scale design takes several passes over the data: this stream is read only once"
            )
        # any column of numbers may stand before the ~: only the other side is used
        response = source.design.response
        quoted = f"`{response}`" if response in table.names else response
        formula = f"{quoted} {scale.strip()}"
        self.of_mean = source
        self.of_scale = StreamedSource(table, formula, progress=progress, **weights)
        named = replace(self.of_scale.design, formula=f"{LEFT} {scale.strip()}", response=LEFT)
        self.design = replace(source.design, scale=named)
        self.names, self.scale_names = source.names, self.of_scale.names
        self.n_rows, self.rereadable, self.left_out = source.n_rows, True, 0
        self.rows_in_all, self.transform = source.rows_in_all, source.transform

    def __repr__(self) -> str:
        return f"<ScaledSource: {self.of_mean!r}, scale {', '.join(self.scale_names)}>"

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Each row once, in order."""
        if rng is not None:
            raise InvalidInput("rows of a scale design out of core come in order only")
        rows = size or max(BLOCK_ROWS, 2 * (len(self.names) + 1))
        pairs = zip(
            rechunk(self.of_mean.blocks(), rows),
            rechunk(self.of_scale.blocks(), rows),
            strict=True,
        )
        for block, other in pairs:
            yield Block(block.X, block.y, block.frequency, block.precision, other.X)
