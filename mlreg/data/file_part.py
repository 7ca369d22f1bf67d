"""Files as parts of a lazy table."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlreg.data.arrow import DELIMITERS, require_pyarrow, suffix_of
from mlreg.data.csv_part import CsvPart
from mlreg.data.part import Part, numbered, reading
from mlreg.data.stream_part import StreamPart, batches_of
from mlreg.errors import InvalidInput, NoSuchFile

__all__ = ["FragmentPart", "file_part"]


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
            known = getattr(fragment, "format", None) is not None and (
                fragment.format.default_extname in ("parquet", "ipc", "arrow", "feather")
            )
            self.n_rows: int | None = fragment.count_rows() if known else None

    def batches(  # noqa: D102
        self, columns: Sequence[str], size: int, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        with reading(self.name):
            fragment = self._make()
            found = fragment.to_batches(
                schema=self._schema or fragment.physical_schema,
                columns=list(columns),
                batch_size=size,
                # Little is read ahead: enough to keep the threads busy, and memory small.
                batch_readahead=4,
                fragment_readahead=1,
                **_scan_options(fragment),
            )
        yield from numbered(found, self.name)


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
        yield from batches_of(reader)
