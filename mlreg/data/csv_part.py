"""CSV files, read in order."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlreg.data.arrow import NULLS, one_line
from mlreg.data.columns import EXACT, warn_of_integers
from mlreg.data.part import reading
from mlreg.errors import InvalidInput, InvalidType

__all__ = ["CsvPart"]

CSV_BLOCK = 1 << 22
"""Bytes that are read at a time; the first of them settle the types."""


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
        self.rereadable = True
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
        self, columns: Sequence[str], size: int, text: Iterable[str]
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
