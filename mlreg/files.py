"""Files that are whole or not there; of plain JSON: exact floats, no pickle."""

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mlreg.errors import InvalidInput, NoSuchFile

__all__ = ["check_target", "plain", "read", "whole", "write"]


def plain(value: Any) -> Any:
    """Types of JSON for numbers, text, arrays, sequences, dictionaries and dataclasses of them.

    JSON has no infinity and no NaN: they become ``{"float": "inf"}``.
    """
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _revive(value: Any) -> Any:
    """Undo what `plain` did to infinities and NaN."""
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {key: _revive(item) for key, item in value.items()}
    return [_revive(item) for item in value] if isinstance(value, list) else value


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """A text file to write in, which takes its place when all is written.

    An interruption leaves an older file as it was.

    Raises
    ------
    InvalidInput
        As `check_target`.
    """
    check_target(path)
    target = Path(path).resolve()  # what a link points to is replaced, not the link
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise `InvalidInput` for what is no file, or for a file in a folder that does not exist."""
    target = Path(path)
    if not target.parent.is_dir():
        raise InvalidInput(f"the folder {str(target.parent)!r} does not exist: cannot save there")
    if target.is_dir():
        raise InvalidInput(f"{str(target)!r} is a folder: give the name of a file")
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{str(target)!r} is a device or a pipe: give the name of a file")


def write(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Write plain data as JSON; an interruption leaves an older file whole."""
    with whole(path) as file:
        file.write(json.dumps(plain(value), allow_nan=False))


def read(path: str | os.PathLike[str], kind: str, version: int) -> dict[str, Any]:
    """Read what `write` wrote; its ``format`` must be ``kind``, its ``version`` the one given.

    Raises
    ------
    NoSuchFile, InvalidInput
        None, another file, or one of another version.
    """
    name = os.fspath(path)
    try:
        value = _revive(json.loads(Path(path).read_text(encoding="utf-8")))
        found = value["format"], value["version"]
    except FileNotFoundError as error:
        raise NoSuchFile(f"there is no file {name!r}; check the path") from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{name!r} is a folder: give the name of a file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{name!r} is not a file that mlreg saved") from error
    if found != (kind, version):
        raise InvalidInput(
            f"{name!r} holds {found[0]} of version {found[1]}; this mlreg reads {kind} {version}: "
            f"load it with mlreg {value.get('mlreg', 'of that version')}"
        )
    return dict(value)
