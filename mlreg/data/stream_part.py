"""Streams of Arrow record batches, whatever gives them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mlreg.data.arrow import require_pyarrow, stream_table
from mlreg.data.part import Part, kind_of, numbered, phrase, reading
from mlreg.errors import InvalidInput, InvalidType

__all__ = ["StreamPart", "batches_of", "stream_part"]


class StreamPart:
    """A stream of Arrow record batches: of the C stream interface, or Python's own iteration.

    Parameters
    ----------
    name : str
        For messages.
    make : callable
        Gives an iterator of record batches.
    rereadable : bool
        Whether it can be called again.
    n_rows : int, optional
        How many rows there are.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Iterator[Any]],
        rereadable: bool,
        n_rows: int | None = None,
    ) -> None:
        self.name, self._make, self.rereadable = name, make, rereadable
        self.n_rows = n_rows
        self._opened: Iterator[Any] | None = None
        self._first: Any = None
        with reading(name):
            opened = make()
            for self._first in opened:
                if rereadable or self._first.num_rows:
                    break
        if self._first is None:
            raise InvalidInput(
                f"{name} has no record batches, and so no columns: give at least one"
            )
        self.schema = self._first.schema
        if rereadable:
            self._first = None
        else:
            self._opened = opened

    @property
    def first(self) -> Any:
        """The first record batch of a stream that can be read only once; None of others."""
        return self._first

    def __getstate__(self) -> dict[str, Any]:
        if not self.rereadable:
            raise TypeError(f"{self.name} can be read only once, and so it cannot be pickled")
        return self.__dict__

    def batches(  # noqa: D102
        self, columns: Sequence[str], size: int, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        if self.rereadable:
            with reading(self.name):
                found = self._make()
        elif self._opened is None:
            raise InvalidInput(
                f"{self.name} can be read only once, and it has been read: give a function that "
                "returns a new stream each time, or write the rows to a Parquet file"
            )
        else:
            found = _chain(self._first, self._opened)
            self._opened = self._first = None
        for at, batch in numbered(found, self.name):
            self._check(batch.schema, columns, at)
            yield at, batch.select(list(columns))

    def _check(self, schema: Any, columns: Sequence[str], at: int) -> None:
        """Raise where a batch lacks a column, or has one of another kind than the first batch."""
        for name in columns:
            where = f"in the batch from row {at} of {self.name} on"
            if name not in schema.names:
                raise InvalidInput(
                    f"there is no column {name!r} {where}: each batch must have the columns of the "
                    "first"
                )
            now, before = schema.field(name).type, self.schema.field(name).type
            if now != before and len({kind_of(now), kind_of(before)} - {"empty"}) > 1:
                raise InvalidType(
                    f"column {name!r} is {phrase(kind_of(now))} {where}, and "
                    f"{phrase(kind_of(before))} before: give it one type"
                )


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def stream_part(data: Any) -> Part:
    """The rows of an object in memory, or of a stream.

    Raises
    ------
    InvalidType
        If it is none.
    """
    pa = require_pyarrow("reading an Arrow stream")
    name = f"the {type(data).__name__}"
    if isinstance(data, pa.RecordBatch):
        data = pa.table(data)
    rows = getattr(data, "num_rows", None)
    if rows is None and _in_memory(data):
        rows = len(data)
    if callable(data) and not hasattr(data, "__arrow_c_stream__"):
        name = "the stream of the function"
        return StreamPart(name, partial(_call, data, name), rereadable=True)
    again = _in_memory(data) or isinstance(data, (pa.Table, Sequence)) or _is_lazy_frame(data)
    return StreamPart(name, partial(_stream, data, name), rereadable=again, n_rows=rows)


def _call(function: Callable[[], Any], name: str) -> Iterator[Any]:
    return _stream(function(), name)


def _in_memory(data: Any) -> bool:
    """Whether it is a dataframe, which gives its rows as often as one asks."""
    return hasattr(data, "to_numpy") and hasattr(data, "columns")


def _is_lazy_frame(data: Any) -> bool:
    return hasattr(data, "collect_batches")


def _stream(data: Any, name: str) -> Iterator[Any]:
    """Record batches of whatever gives them."""
    import pyarrow as pa

    if _is_lazy_frame(data):
        data = data.collect_batches()
    if isinstance(data, pa.RecordBatchReader):
        return batches_of(data)
    if _in_memory(data):
        return batches_of(stream_table(data).to_reader())
    if hasattr(data, "__arrow_c_stream__"):
        return batches_of(pa.RecordBatchReader.from_stream(data))
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        return _of_items(data, name)
    raise InvalidType(
        f"{type(data).__name__} cannot be read: give a path, a folder, a glob, a pyarrow.dataset, "
        "an Arrow stream, or record batches"
    )


def batches_of(reader: Any) -> Iterator[Any]:
    """Batches of a reader; an empty one first, so that the schema is known without rows."""
    import pyarrow as pa

    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
    yield from reader


def _of_items(items: Iterable[Any], name: str) -> Iterator[Any]:
    import pyarrow as pa

    for item in items:
        if isinstance(item, pa.RecordBatch):
            yield item
        elif hasattr(item, "__arrow_c_stream__") or hasattr(item, "__arrow_c_array__"):
            yield from batches_of(pa.table(item).to_reader())
        else:
            raise InvalidType(
                f"{name} gives {type(item).__name__}, not record batches: give a path, an Arrow "
                "stream, or an iterable of record batches or dataframes"
            )
