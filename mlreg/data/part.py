"""What a lazy table is made of: files and streams, each a sequence of Arrow record batches.

A part is opened anew for each pass. It knows its name for messages, its schema,
and where it can its number of rows; row numbers count from 0 within the part.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mlreg.data.arrow import one_line, require_pyarrow
from mlreg.errors import InvalidInput, MlregError, NoSuchFile

__all__ = ["Part", "kind_of", "numbered", "phrase", "reading"]


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
    rereadable : bool
        Whether it can be read more than once.
    """

    name: str
    schema: Any
    n_rows: int | None
    rereadable: bool

    def batches(
        self, columns: Sequence[str], size: int, text: Iterable[str]
    ) -> Iterator[tuple[int, Any]]:
        """Record batches of some columns, each with the number of its first row.

        ``size`` is a hint; ``text`` are columns that
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
        raise NoSuchFile(f"{name} is not there; check the path") from error
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


def numbered(batches: Iterable[Any], name: str, first: int = 0) -> Iterator[tuple[int, Any]]:
    """Batches, each with the number of its first row; errors of reading name the part."""
    at = first
    with reading(name, lambda: at):
        for batch in batches:
            yield at, batch
            at += batch.num_rows


def kind_of(type_: Any) -> str:
    """What a column of an Arrow type can be; see `LazyTable`."""
    from pyarrow import types

    if types.is_dictionary(type_):
        return "category"
    if types.is_null(type_):
        return "empty"
    if any(
        is_(type_)
        for is_ in (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    ):
        return "number"
    if types.is_timestamp(type_) or types.is_date(type_) or types.is_duration(type_):
        return "date"
    if types.is_string(type_) or types.is_large_string(type_) or "string_view" in str(type_):
        return "text"
    return f"of Arrow type {type_}"


def phrase(kind: str) -> str:
    """A kind, for a message."""
    return {"category": "a category", "number": "a number", "date": "a date"}.get(kind, kind)
