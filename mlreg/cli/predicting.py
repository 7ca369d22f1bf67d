"""Predictions for the rows of files of any size, a batch at a time."""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import mlreg as ml
from mlreg.cli.model import is_shipped
from mlreg.data.lazy import columns_of_batch
from mlreg.data.progress import Bar, shown
from mlreg.errors import InvalidInput

__all__ = ["header", "predictions"]

SIZE = 1 << 16
"""Rows that are in memory at a time."""


def header(arguments: argparse.Namespace) -> str:
    """Names of the columns."""
    return "prediction,lower,upper\n" if arguments.interval else "prediction\n"


def predictions(fit: Any, arguments: argparse.Namespace) -> Iterator[str]:
    """Lines of CSV, exact numbers, for one batch of rows after the other.

    Raises
    ------
    InvalidInput
        A flag without the one that it belongs to; as `Fit.predict`, and where in the files.
    """
    options: dict[str, Any] = {"of": arguments.of}
    if arguments.interval is not None:
        level = 0.95 if arguments.level is None else arguments.level
        options |= {"interval": arguments.interval, "level": level}
    elif arguments.level is not None:
        raise InvalidInput("--level belongs to --interval mean or --interval prediction")
    for place, table in _batches(arguments.data):
        try:
            found = fit.predict(table, **options)
        except InvalidInput as error:
            if place is None:
                raise
            raise InvalidInput(f"in the rows that begin with {place}: {error}") from error
        columns = [found.mean, found.lower, found.upper] if arguments.interval else [found]
        rows = zip(*(column.tolist() for column in columns), strict=True)
        yield "".join(",".join(map(repr, row)) + "\n" for row in rows)


def _batches(name: str) -> Iterator[tuple[str | None, Any]]:
    """Tables of rows, and where each begins, but for the first."""
    if is_shipped(name):
        yield None, ml.datasets.load(name)
        return
    table = ml.read(name)
    watched = Bar("predicting", table.n_rows) if shown(None, True) else nullcontext()
    with watched as bar:
        for i, rows in enumerate(table.batches(table.names, SIZE)):
            yield rows.place(0) if i else None, columns_of_batch(rows.batch)
            if bar is not None:
                bar.add(rows.batch.num_rows)
