"""Labels of the clusters that the rows of a fit belong to, in the order of the rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import ArraySource, Source, to_numpy

__all__ = ["Labels", "labels_of"]

Codes = NDArray[np.intp]


class Labels:
    """Labels of the rows as numbers from 0, taken as the rows come.

    Parameters
    ----------
    kinds : list of iterators
        For each kind of cluster, one or two, numbers of labels in arrays one after the other.
    """

    def __init__(self, kinds: list[Iterator[Codes]]) -> None:
        self.ways, self._kinds = len(kinds), kinds
        self._pairs = _Coder()
        self._rest: list[Codes] = [np.empty(0, dtype=np.intp)] * len(kinds)

    def take(self, m: int) -> list[Codes]:
        """Numbers of the next m rows' labels, one array for each kind; of two, of the pairs too."""
        out = []
        for i, kind in enumerate(self._kinds):
            while len(self._rest[i]) < m:
                self._rest[i] = np.concatenate([self._rest[i], next(kind)])
            out.append(self._rest[i][:m])
            self._rest[i] = self._rest[i][m:]
        if self.ways == 2:
            out.append(self._pairs.codes(out[0] * 2**31 + out[1]))
        return out


class _Coder:
    """Numbers labels in the order in which blocks of them bring new ones."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def codes(self, labels: Any) -> Codes:
        known = self._known
        if labels.dtype == object:
            found, codes = labels, np.arange(len(labels))
        else:
            found, codes = np.unique(labels, return_inverse=True)
        numbers = [known.setdefault(v, len(known)) for v in found.tolist()]
        return np.array(numbers, dtype=np.intp)[codes]


def labels_of(source: Source, groups: Any) -> Labels:
    """The labels of a source's rows.

    Parameters
    ----------
    source : Source
        The rows of a fit.
    groups : array, shape (n,), or a tuple of two; or names of columns
        A label for each row of the data as given, or of the rows that were used. Names of columns
        are for data out of core.

    Raises
    ------
    InvalidInput
        Labels that are missing, or of another number than the rows; more than two kinds; names
        where no columns are kept.
    """
    kinds = list(groups) if isinstance(groups, tuple) else _columns(groups)
    if not 1 <= len(kinds) <= 2:
        raise InvalidInput(f"clusters of {len(kinds)} kinds: give one array of labels, or two")
    while not isinstance(source, (ArraySource, StreamedSource)) and hasattr(source, "source"):
        source = source.source
    if all(isinstance(kind, str) for kind in kinds):
        if not isinstance(source, StreamedSource):
            raise InvalidInput(
                f"groups={groups!r} names columns, and a fit in memory has kept none of them: give "
                f"the labels themselves, such as data[{kinds[0]!r}]"
            )
        return Labels([map(_Coder().codes, source.labels(kind)) for kind in kinds])
    return Labels([iter([_Coder().codes(_array(source, kind))]) for kind in kinds])


def _columns(groups: Any) -> list[Any]:
    if isinstance(groups, str):
        return [groups]
    array = np.asarray(to_numpy(groups)) if not hasattr(groups, "columns") else np.asarray(groups)
    return [array] if array.ndim == 1 else list(array.T)


def _array(source: Source, labels: Any) -> Any:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InvalidInput(f"groups must be one label for each row; it has shape {array.shape}")
    missing = array != array if array.dtype.kind in "fcmM" else np.zeros(len(array), dtype=bool)
    if array.dtype == object:
        missing = np.array([v is None or v != v for v in array.tolist()], dtype=bool)
    if isinstance(source, ArraySource):
        rows = source.row_numbers
        if len(array) == source.n_given:
            array, missing = array[rows], missing[rows]
        elif len(array) != len(rows):
            raise InvalidInput(
                f"groups has {len(array)} labels, and the data had {source.n_given} rows, of which "
                f"{len(rows)} were used: give a label for each"
            )
    if missing.any():
        raise InvalidInput(
            f"groups lacks the label of {int(missing.sum())} rows, first of row "
            f"{int(missing.argmax())} of those in use: every row belongs to a cluster"
        )
    return array
