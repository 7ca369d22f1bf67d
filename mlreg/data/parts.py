"""What a lazy table is made of: files and streams, each a sequence of Arrow record batches.

A part is opened anew for each pass. It knows its name for messages, its schema,
and where it can its number of rows; row numbers count from 0 within the part.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mlreg.data.arrow import (
    DELIMITERS,
    NULLS,
    NoSuchFile,
    one_line,
    require_pyarrow,
    stream_table,
    suffix_of,
)
from mlreg.data.columns import EXACT, warn_of_integers
from mlreg.errors import InvalidInput, InvalidType, MlregError

__all__ = ["CsvPart", "FragmentPart", "Part", "StreamPart", "file_part", "stream_part"]

CSV_BLOCK = 1 << 22
"""Bytes of a CSV file that are read at a time; the first of them settle the types."""


class Part(Protocol):
    """One file, or one stream.

    Attributes
    ----------
    name : str
        How messages call it.
    schema : pyarrow.Schema
        Its columns.
    n_rows : int or None
        How many rows it has, where that is known without reading them.
    groups : int
        How many pieces of it can be read on their own, such as row groups.
    rereadable : bool
        Whether it can be read more than once.
    """

    name: str
    schema: Any
    n_rows: int | None
    groups: int
    rereadable: bool

    def batches(
        self, columns: Sequence[str], size: int, group: int | None, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        """Record batches of some columns, each with the number of its first row.

        ``size`` is a hint; ``group`` asks for one piece; ``text`` are columns that
        hold text in other parts, for formats that do not know their types.
        """
        ...


@contextmanager
def reading(name: str, at: Callable[[], int] | None = None) -> Iterator[None]:
    """What Arrow says of a damaged file becomes an error that names the file and the row."""
    pa = require_pyarrow("reading files")
    try:
        yield
    except MlregError:
        raise
    except FileNotFoundError as error:
        raise NoSuchFile(f"there is no {name}; check the path") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is not UTF-8 ({error.reason} in a column's name): save it as UTF-8"
        ) from error
    except (pa.ArrowException, OSError) as error:
        where = f" from row {at()} on" if at is not None else ""
        raise InvalidInput(
            f"{name} cannot be read{where}: {one_line(error)}; it is truncated or damaged, or not "
            "of the format that its name says"
        ) from error


def _numbered(batches: Iterable[Any], name: str, first: int = 0) -> Iterator[tuple[int, Any]]:
    at = first
    with reading(name, lambda: at):
        for batch in batches:
            yield at, batch
            at += batch.num_rows


class FragmentPart:
    """A fragment of a pyarrow data set: a Parquet or Arrow file, or a piece of the caller's.

    Parameters
    ----------
    name : str
        For messages.
    make : callable
        Gives the fragment. It is called for each pass, so that a file that has
        changed is not read by an old plan.
    schema : pyarrow.Schema, optional
        That of the data set, where it is not that of the file.
    """

    def __init__(self, name: str, make: Callable[[], Any], schema: Any = None) -> None:
        self.name, self._make, self._schema = name, make, schema
        self.rereadable = True
        with reading(name):
            fragment = make()
            self.schema = fragment.physical_schema if schema is None else schema
            self.groups = getattr(fragment, "num_row_groups", 1)
            known = getattr(fragment, "format", None) is not None and (
                fragment.format.default_extname in ("parquet", "ipc", "arrow", "feather")
            )
            self.n_rows: int | None = fragment.count_rows() if known else None

    def batches(  # noqa: D102
        self, columns: Sequence[str], size: int, group: int | None, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        first = 0
        with reading(self.name):
            fragment = self._make()
            if group is not None and self.groups > 1:
                first = sum(g.num_rows for g in fragment.row_groups[:group])
                fragment = fragment.subset(row_group_ids=[group])
            found = fragment.to_batches(
                schema=self._schema or fragment.physical_schema,
                columns=list(columns),
                batch_size=size,
                # Little is read ahead: enough to keep the threads busy, and memory small.
                batch_readahead=4,
                fragment_readahead=1,
                **_scan_options(fragment),
            )
        yield from _numbered(found, self.name, first)


def _scan_options(fragment: Any) -> dict[str, Any]:
    """Parquet by buffered streams (as fast, at a quarter of the memory), checksums verified."""
    import pyarrow.dataset as ds

    if not isinstance(fragment, ds.ParquetFileFragment):
        return {}
    options = ds.ParquetFragmentScanOptions(
        use_buffered_stream=True,
        buffer_size=1 << 16,
        pre_buffer=False,
        page_checksum_verification=True,
    )
    return {"fragment_scan_options": options}


def _fragment(path: str, suffix: str) -> Any:
    import pyarrow.dataset as ds
    from pyarrow import fs

    format_ = ds.ParquetFileFormat() if suffix == ".parquet" else ds.IpcFileFormat()
    return format_.make_fragment(path, fs.LocalFileSystem())


class CsvPart:
    """A CSV or TSV file, read in order.

    The first megabytes settle which columns are numbers; whole numbers are read
    as float64, for a fraction may follow.

    Parameters
    ----------
    path : str
        The file.
    delimiter : str
        Between its cells.
    """

    def __init__(self, path: str, delimiter: str) -> None:
        import pyarrow as pa

        self.path, self.delimiter = path, delimiter
        self.name = f"the file {path!r}"
        self.n_rows: int | None = None
        self.groups, self.rereadable = 1, True
        with reading(self.name):
            with self._open({}) as reader:
                found = reader.schema
            whole = [f.name for f in found if pa.types.is_integer(f.type)]
            self._whole = frozenset(whole)
            self._warned: set[str] = set()
            self.schema = pa.schema(
                [(f.name, pa.float64() if f.name in self._whole else f.type) for f in found]
            )

    def _open(self, types: Mapping[str, Any], columns: Sequence[str] | None = None) -> Any:
        from pyarrow import csv

        return csv.open_csv(
            self.path,
            # Threads gain nothing for a few columns, and without them an error knows its row.
            read_options=csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK),
            parse_options=csv.ParseOptions(delimiter=self.delimiter),
            convert_options=csv.ConvertOptions(
                null_values=list(NULLS),
                strings_can_be_null=True,
                column_types=types,
                include_columns=columns,
            ),
        )

    def batches(  # noqa: D102
        self, columns: Sequence[str], size: int, group: int | None, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        import pyarrow as pa

        # A column that is empty at the start is a number, unless it is text in other files.
        types = {f.name: pa.float64() if pa.types.is_null(f.type) else f.type for f in self.schema}
        types |= {
            name: pa.string() for name in text if pa.types.is_null(self.schema.field(name).type)
        }
        at = 0
        with reading(self.name, lambda: at):
            try:
                # All columns are read where none is asked for: somebody has to count the rows.
                with self._open(types, list(columns) or None) as reader:
                    for batch in reader:
                        self._warn_of_integers(batch)
                        yield at, batch
                        at += batch.num_rows
            except pa.ArrowInvalid as error:
                raise self._explained(error) from error

    def _warn_of_integers(self, batch: Any) -> None:
        import pyarrow.compute as pc

        for name in (self._whole - self._warned).intersection(batch.schema.names):
            largest = pc.max(pc.abs(batch.column(name))).as_py()
            if largest is not None and largest >= EXACT:
                self._warned.add(name)
                warn_of_integers(f"column {name!r} of {self.name}")

    def _explained(self, error: Exception) -> Exception:
        """The error with the file's name, the column's, and the row's number where it has one."""
        said = one_line(error)
        row = re.search(r"Row #(\d+): ", said)
        where = f"{self.name}"
        if row:  # Arrow counts the header, and from 1
            where += f", row {int(row[1]) - 2} (line {row[1]}, blank lines not counted)"
            said = said.replace(row[0], "")
        column = re.match(r"In CSV column #(\d+): (.*)", said)
        if column is None:
            return InvalidInput(f"{where}: {said.removeprefix('CSV parse error: ')}")
        name = self.schema.names[int(column[1])]
        value = re.search(r"conversion error to (\S+): invalid value (.*)", column[2])
        if value is None:
            return InvalidInput(f"{where}: column {name!r}: {column[2]}")
        kind = "numbers" if value[1] == "double" else f"values of type {value[1]}"
        return InvalidType(
            f"{where}: column {name!r} holds {value[2]}, after a beginning of {kind}: mend the "
            "file (missing cells are empty or NA), or give the column one type by "
            "ml.read(pyarrow.dataset.dataset(path, schema=..., format='csv'))"
        )


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
        self.n_rows, self.groups = n_rows, 1
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
        self, columns: Sequence[str], size: int, group: int | None, text: Iterable[str]
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
        for at, batch in _numbered(found, self.name):
            lost = [name for name in columns if name not in batch.schema.names]
            if lost:
                raise InvalidInput(
                    f"{self.name} has no column {lost[0]!r} in the batch from row {at} on: each "
                    "batch must have the columns of the first"
                )
            yield at, batch.select(list(columns))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def file_part(path: str | os.PathLike[str]) -> Part:
    """The file of a path.

    Raises
    ------
    NoSuchFile, InvalidInput
        No such file, an empty one, an unknown suffix, or one that cannot be read.
    """
    name = os.fspath(path)
    suffix = suffix_of(name)
    what = f"the file {name!r}"
    if not Path(name).exists():
        raise NoSuchFile(f"there is no file {name!r}; check the path")
    if Path(name).stat().st_size == 0:
        raise InvalidInput(f"{what} is empty")
    require_pyarrow(f"reading {suffix} files")
    if suffix[:4] in DELIMITERS:
        return CsvPart(name, DELIMITERS[suffix[:4]])
    if suffix != ".parquet":
        with open(name, "rb") as file:
            if file.read(6) not in (b"ARROW1", b"FEA1"):  # not the file format: the streaming one
                return StreamPart(what, partial(_ipc_stream, name), rereadable=True)
    return FragmentPart(what, partial(_fragment, os.path.abspath(name), suffix))


def _ipc_stream(path: str) -> Iterator[Any]:
    import pyarrow as pa

    with pa.OSFile(path) as file, pa.ipc.open_stream(file) as reader:
        yield from _of_reader(reader)


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
        return StreamPart(name, lambda: _stream(data(), name), rereadable=True)
    again = _in_memory(data) or isinstance(data, (pa.Table, Sequence)) or _is_lazy_frame(data)
    return StreamPart(name, lambda: _stream(data, name), rereadable=again, n_rows=rows)


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
        return _of_reader(data)
    if _in_memory(data):
        return _of_reader(stream_table(data).to_reader())
    if hasattr(data, "__arrow_c_stream__"):
        return _of_reader(pa.RecordBatchReader.from_stream(data))
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        return _of_items(data, name)
    raise InvalidType(
        f"{type(data).__name__} cannot be read: give a path, a folder, a glob, a pyarrow.dataset, "
        "an Arrow stream, or record batches"
    )


def _of_reader(reader: Any) -> Iterator[Any]:
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
            yield from _of_reader(pa.table(item).to_reader())
        else:
            raise InvalidType(
                f"{name} gives {type(item).__name__}, not record batches: give a path, an Arrow "
                "stream, or an iterable of record batches or dataframes"
            )
