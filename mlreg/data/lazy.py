"""`LazyTable`: named columns whose rows are read when they are needed, a batch at a time."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlreg.data.arrow import ArrowColumns, require_pyarrow
from mlreg.data.columns import reads_as_number
from mlreg.data.file_part import FragmentPart, file_part
from mlreg.data.part import Part, kind_of, phrase
from mlreg.data.stream_part import StreamPart, batches_of, stream_part
from mlreg.data.table import Table, suggest
from mlreg.errors import InvalidInput, InvalidType, NoSuchFile

__all__ = ["LazyTable", "Rows", "columns_of_batch", "open_table"]


@dataclass(frozen=True, eq=False)
class Rows:
    """A record batch, and where it comes from.

    Attributes
    ----------
    batch : pyarrow.RecordBatch
        The rows, m of them.
    part : str
        The file or stream, for messages.
    first : int
        Number of the first row, within that file or stream.
    """

    batch: Any
    part: str
    first: int

    def place(self, row: int) -> str:
        """Where row number ``row`` of the batch is, for a message."""
        return f"row {self.first + row} of {self.part}"


@dataclass(frozen=True, eq=False)
class LazyTable:
    """Named columns of files or of a stream, read batch by batch: what `mlreg.read` returns.

    Attributes
    ----------
    parts : tuple of Part
        The files, in order; or one stream.
    kinds : dict
        For each column ``"number"``, ``"text"``, ``"category"``, ``"date"``,
        ``"empty"`` or the Arrow type that no model can use.
    """

    parts: tuple[Part, ...]
    kinds: dict[str, str]

    def __repr__(self) -> str:
        n = "an unknown number of" if self.n_rows is None else self.n_rows
        return f"<LazyTable: {n} rows of {', '.join(self.kinds)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.kinds)

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None where it is only known after a pass."""
        known = [part.n_rows for part in self.parts]
        return None if None in known else sum(n for n in known if n is not None)

    @property
    def rereadable(self) -> bool:
        """Whether the rows can be read more than once."""
        return all(part.rereadable for part in self.parts)

    def kind(self, name: str) -> str:
        """Kind of one column; `InvalidInput` where there is none of that name."""
        if name not in self.kinds:
            raise InvalidInput(f"there is no column {name!r}; {suggest(name, self.kinds)}")
        return self.kinds[name]

    def batches(self, columns: Sequence[str], size: int) -> Iterator[Rows]:
        """Batches of at most ``size`` rows of some columns, in order: one pass."""
        text = [name for name in columns if self.kinds[name] == "text"]
        for part in self.parts:
            for at, batch in part.batches(columns, size, text):
                for start in range(0, batch.num_rows, size):
                    yield Rows(batch.slice(start, size), part.name, at + start)


def columns_of_batch(batch: Any) -> Table:
    """The columns of a record batch; text as categories, which are counted much faster."""
    import pyarrow as pa

    arrays = [_encoded(a) if kind_of(a.type) == "text" else a for a in batch.columns]
    table = pa.Table.from_arrays(arrays, names=batch.schema.names)
    return Table(ArrowColumns(table), batch.num_rows)


def _encoded(text: Any) -> Any:
    import pyarrow as pa

    if "view" in str(text.type):  # of which no dictionary is made
        try:
            text = text.cast(pa.large_string())
        except pa.ArrowNotImplementedError:  # before pyarrow 18
            text = pa.array(text.to_pylist(), pa.large_string())
    return text.dictionary_encode()


def open_table(data: Any) -> LazyTable:
    """Open whatever holds rows, without reading them; see `mlreg.read`."""
    parts = tuple(_parts(data))
    for part in parts:
        names = part.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InvalidInput(
                f"several columns of {part.name} are named {', '.join(map(repr, repeated))}: "
                "rename them"
            )
    return LazyTable(parts, _common_kinds(parts))


def _parts(data: Any) -> list[Part]:
    if isinstance(data, (str, os.PathLike)):
        return [file_part(path) for path in _files(data)]
    if isinstance(data, Sequence) and data and all(isinstance(p, (str, os.PathLike)) for p in data):
        return [file_part(path) for given in data for path in _files(given)]
    require_pyarrow("mlreg.read")
    import pyarrow.dataset as ds

    if isinstance(data, ds.Dataset):
        return _dataset_parts(data)
    return [stream_part(data)]


def _dataset_parts(data: Any) -> list[Part]:
    try:
        fragments = list(data.get_fragments())
    except ValueError:  # filtered: its fragments would forget the filter
        return [StreamPart("the filtered data set", partial(_filtered, data), rereadable=True)]
    if not fragments:
        raise InvalidInput("the data set has no files: check its path")
    parts: list[Part] = []
    for i, fragment in enumerate(fragments):
        path = getattr(fragment, "path", None)
        name = f"the file {path!r}" if path else f"fragment {i} of the data set"
        parts.append(FragmentPart(name, partial(_same, fragment), data.schema))
    return parts


def _filtered(data: Any) -> Iterator[Any]:
    return batches_of(data.scanner(batch_readahead=4, fragment_readahead=1).to_reader())


def _same(fragment: Any) -> Any:
    return fragment


def _files(data: str | os.PathLike[str]) -> list[str]:
    """Files of a path, folder or glob, in the order of their names."""
    path = os.fspath(data)
    if Path(path).is_dir():
        return _folder(path)
    if not Path(path).exists() and glob.has_magic(path):
        found = sorted(f for f in glob.glob(path, recursive=True) if Path(f).is_file())
        if not found:
            raise NoSuchFile(f"no file matches {path!r}; check the path")
        return found
    return [path]


def _folder(path: str) -> list[str]:
    """All files below a folder but those that begin with a dot or an underscore."""
    found = []
    for folder, below, files in os.walk(path):
        below[:] = sorted(name for name in below if name[0] not in "._")
        keyed = next((name for name in below if "=" in name), None)
        if keyed:
            raise InvalidInput(
                f"the folder {path!r} is partitioned, first {keyed!r}: give "
                f"ml.read(pyarrow.dataset.dataset({path!r}, partitioning='hive'))"
            )
        found += [os.path.join(folder, name) for name in files if name[0] not in "._"]
    if not found:
        raise InvalidInput(f"the folder {path!r} holds no files; check the path")
    return sorted(found)


def _common_kinds(parts: Sequence[Part]) -> dict[str, str]:
    """Kind of each column; an error where parts have other columns, or of another kind."""
    kinds: dict[str, str] = {}
    since: dict[str, Part] = {}
    for part in parts:
        found = {field.name: kind_of(field.type) for field in part.schema}
        if part is not parts[0] and found.keys() != kinds.keys():
            odd = sorted(found.keys() ^ kinds.keys())[0]
            has, lacks = (part, parts[0]) if odd in found else (parts[0], part)
            raise InvalidInput(
                f"{lacks.name} has no column {odd!r}, and {has.name} has: every file must have "
                "the same columns"
            )
        for name, kind in found.items():
            before = kinds.get(name, "empty")
            if "empty" not in (before, kind) and before != kind:
                raise _changed(name, since[name], before, part, kind)
            if before == "empty":
                kinds[name] = kind
                since[name] = part
    return kinds


def _changed(name: str, one: Part, before: str, other: Part, kind: str) -> InvalidType:
    place = ""
    text = next((p for p, k in ((one, before), (other, kind)) if k == "text"), None)
    if text is not None and "number" in (before, kind):
        place = _first_word(text, name)
    return InvalidType(
        f"column {name!r} is {phrase(before)} in {one.name} and {phrase(kind)} in {other.name}"
        f"{place}: give it one type in all files"
    )


def _first_word(part: Part, name: str) -> str:
    """Where a column of text holds the first value that is no numeral."""
    for at, batch in part.batches([name], 1 << 16, [name]):
        for i, value in enumerate(batch.column(0).to_pylist()):
            if value is not None and not reads_as_number(value):
                return f", first {value!r} at row {at + i}"
    return ""
