"""The Arrow door: streams and files, read whole by pyarrow, as columns.

pyarrow is imported only when something is read.
"""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlreg.data.columns import Categories, Column, Unusable
from mlreg.errors import InvalidInput, InvalidType, MissingDependency, NoSuchFile

__all__ = [
    "ArrowColumns",
    "from_array",
    "has_pyarrow",
    "one_line",
    "read_file",
    "require_pyarrow",
    "stream_column",
    "stream_table",
    "suffix_of",
]

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".feather", ".arrow")
NULLS = ("", "NA")
"""What a missing cell of a CSV file looks like; other words make a column text."""


def has_pyarrow() -> bool:
    """Whether pyarrow can be imported."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def require_pyarrow(purpose: str) -> Any:
    """Return pyarrow, or raise `MissingDependency`: ``purpose`` needs it."""
    try:
        import pyarrow
    except ImportError:
        raise MissingDependency(
            f"{purpose} needs pyarrow; install it with: pip install 'mlreg[table]'"
        ) from None
    return pyarrow


class ArrowColumns(Mapping[str, Column]):
    """Columns of an Arrow table, each converted when it is first asked for.

    Parameters
    ----------
    table : pyarrow.Table
        Its columns have distinct names.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._done: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._done:
            index = self._table.schema.get_field_index(name)
            if index < 0:
                raise KeyError(name)
            self._done[name] = from_arrow(self._table.column(index))
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.schema.names)

    def __len__(self) -> int:
        return len(self._table.schema.names)


def from_arrow(values: Any) -> Column:
    """Convert a pyarrow ChunkedArray to a column; numbers keep their type unless some are null."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = values.type
    if kinds.is_dictionary(kind):
        return _from_dictionary(values)
    if kinds.is_null(kind):
        return np.full(len(values), np.nan)
    if kinds.is_decimal(kind):
        # By way of text: Arrow's own conversion of decimals need not round correctly.
        values, kind = values.cast(pa.string()).cast(pa.float64()), pa.float64()
    if kinds.is_floating(kind) or kinds.is_timestamp(kind) or kinds.is_duration(kind):
        return np.asarray(values.to_numpy())
    if kinds.is_date(kind):
        return np.asarray(values.to_numpy(), dtype="datetime64[ms]")
    if kinds.is_integer(kind) or kinds.is_boolean(kind):
        if not values.null_count:
            return np.asarray(values.to_numpy())
        try:
            return np.asarray(values.cast(pa.float64()).to_numpy())
        except pa.ArrowInvalid:  # integers beyond 2**53: the numeric gate shall see them
            out = np.empty(len(values), dtype=object)
            out[:] = values.to_pylist()
            return out
    if kinds.is_string(kind) or kinds.is_large_string(kind) or "string_view" in str(kind):
        return np.asarray(values.to_numpy(), dtype=object)
    return Unusable(f"values of Arrow type {kind}", len(values))


def from_array(values: Any) -> Column:
    """Convert a pyarrow Array, as of a record batch; float64 without nulls is not copied."""
    import pyarrow as pa

    if values.type == pa.float64() and not values.null_count:
        return np.asarray(values.to_numpy())
    return from_arrow(pa.chunked_array([values]))


def _from_dictionary(values: Any) -> Column:
    codes: list[Any] = []
    position: dict[Any, int] = {}
    # Chunks may carry different dictionaries; a dictionary may hold a null or a level twice.
    for chunk in values.chunks:
        levels = chunk.dictionary.to_pylist()
        if not all(v is None or isinstance(v, (str, int, float)) for v in levels):
            return Unusable(f"categories of Arrow type {values.type.value_type}", len(values))
        new = [-1 if v is None else position.setdefault(v, len(position)) for v in levels]
        index = chunk.indices.cast("int64").fill_null(len(levels)).to_numpy()
        codes.append(np.array([*new, -1], dtype=np.int64)[index])
    joined = np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)
    return Categories(joined, tuple(position))


def one_line(error: Exception) -> str:
    """What an error of Arrow says, on one line."""
    return " ".join(" ".join(map(str, error.args)).split())


def stream_table(data: Any) -> Any:
    """Read the stream of ``data`` as a pyarrow Table, index columns of pandas left out.

    Raises
    ------
    MissingDependency
        Without pyarrow.
    InvalidType
        If the stream cannot be read as a table.
    """
    pa = require_pyarrow("reading an Arrow stream")
    try:
        with warnings.catch_warnings():  # names become text here, whatever they were
            warnings.filterwarnings("ignore", "The DataFrame has column names of mixed type")
            table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidType(
            f"{type(data).__name__} cannot be read as a table through Arrow: {one_line(error)}"
        ) from error
    about = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in about.get("index_columns", ()) if isinstance(name, str)]
    return table.drop_columns([name for name in index if name in table.schema.names])


def stream_column(data: Any) -> Column:
    """Read the stream or array of one column, such as a Series.

    Raises
    ------
    InvalidType
        If pyarrow cannot read it.
    """
    pa = require_pyarrow("reading an Arrow stream")
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return from_arrow(pa.chunked_array(data))
        return from_arrow(pa.chunked_array([pa.array(data)]))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidType(
            f"{type(data).__name__} cannot be read as a column through Arrow: {one_line(error)}"
        ) from error


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix by which a file is read, in small letters; an error where there is none."""
    name = os.fspath(path)
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), None)
    if suffix is None:
        raise InvalidInput(
            f"{name!r} has no suffix that mlreg reads: it reads {', '.join(SUFFIXES)}"
        )
    return suffix


def read_file(path: str | os.PathLike[str]) -> Any:
    """Read a CSV, TSV, Parquet or Arrow file whole, as a pyarrow Table.

    In CSV files an empty cell or NA is missing.

    Raises
    ------
    NoSuchFile, InvalidInput
        No such file, a folder, an empty file, an unknown suffix, or a file
        that cannot be read.
    MissingDependency
        Without pyarrow.
    """
    file = Path(path)
    if file.is_dir():
        raise InvalidInput(
            f"{str(path)!r} is a folder: name a file, or give mlreg.read({str(path)!r})"
        )
    suffix = suffix_of(path)
    if not file.exists():
        raise NoSuchFile(f"there is no file {str(path)!r}; check the path")
    if file.stat().st_size == 0:
        raise InvalidInput(f"the file {str(path)!r} is empty")
    pa = require_pyarrow(f"reading {suffix} files")
    try:
        if suffix == ".parquet":
            import pyarrow.parquet

            return pyarrow.parquet.ParquetFile(file).read()
        if suffix in (".feather", ".arrow"):
            return _read_ipc(file)
        import pyarrow.csv as csv

        return csv.read_csv(
            file,
            parse_options=csv.ParseOptions(delimiter=DELIMITERS[suffix[:4]]),
            convert_options=csv.ConvertOptions(null_values=list(NULLS), strings_can_be_null=True),
        )
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"the file {str(path)!r} cannot be read: {one_line(error)}") from error


def _read_ipc(file: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:  # not the file format: the streaming one
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()
