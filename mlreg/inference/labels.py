"""Labels of the clusters that the rows of a fit belong to, in the order of the rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import check_labels
from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput, InvalidType
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
    groups : array, shape (n,), a tuple of two, or a table of one column or two; or names of columns
        A label for each row of the data as given, or of the rows that were used. Names of columns
        are for data out of core.

    Raises
    ------
    InvalidInput
        Labels that are missing, or of another number than the rows, or of rows that pandas labels
        otherwise; more than two kinds; names where no columns are kept.
    InvalidType
        What is no array of labels.
    """
    inner: Any = source
    while not isinstance(inner, (ArraySource, StreamedSource)) and hasattr(inner, "source"):
        inner = inner.source
    kinds = _kinds(groups, isinstance(inner, StreamedSource))
    if not 1 <= len(kinds) <= 2:
        raise InvalidInput(f"clusters of {len(kinds)} kinds: give one array of labels, or two")
    if all(isinstance(kind, str) for kind in kinds):
        if not isinstance(inner, StreamedSource):
            raise InvalidInput(
                f"groups={groups!r} names columns, and a fit in memory has kept none of them: give "
                f"the labels themselves, such as data[{kinds[0]!r}]"
            )
        return Labels([map(_Coder().codes, inner.labels(kind)) for kind in kinds])
    said = ["groups"] if len(kinds) == 1 else ["groups[0]", "groups[1]"]
    check_labels("the data", inner, dict(zip(said, kinds, strict=True)))
    if isinstance(inner, ArraySource):
        used, given = inner.row_numbers, inner.n_given
    else:  # a source need not know how many rows it has
        given = sum(len(block.y) for block in source.blocks())
        used = np.arange(given)
    each = zip(kinds, said, strict=True)
    return Labels([iter([_Coder().codes(_array(k, name, used, given))]) for k, name in each])


def _kinds(groups: Any, named: bool) -> list[Any]:
    """Each kind of labels for itself."""
    if isinstance(groups, str):
        return [groups]
    if isinstance(groups, tuple) or (
        named and isinstance(groups, list) and all(isinstance(name, str) for name in groups)
    ):
        return list(groups)
    columns = getattr(groups, "column_names", getattr(groups, "columns", None))
    if columns is not None:
        return [groups[name] for name in columns]
    array = _plain(groups, "groups")
    return [groups] if array.ndim == 1 else list(array.T)


def _plain(labels: Any, name: str) -> Any:
    """Labels as an array; a list is not converted, for NaN among texts would be the text 'nan'."""
    if np.ma.isMaskedArray(labels):
        raise InvalidType(f"{name} is a masked array: leave out the rows that lack a label")
    if isinstance(labels, list):
        array = np.array(labels, dtype=object)
    else:
        array = np.asarray(to_numpy(labels) if hasattr(labels, "detach") else labels)
    if array.ndim == 0:
        raise InvalidType(
            f"{name} must be an array of labels, one for each row; not of type "
            f"{type(labels).__name__}"
        )
    return array


def _array(labels: Any, name: str, used: Codes, given: int) -> Any:
    """Labels of the rows in use."""
    array = _plain(labels, name)
    missing = np.zeros(array.shape, dtype=bool)
    if array.ndim != 1:
        raise InvalidInput(f"{name} must be one label for each row; it has shape {array.shape}")
    if array.dtype == object:
        try:
            distinct = set(array.tolist())
        except TypeError as error:
            raise InvalidType(f"{name} has labels that do not compare: {error}") from error
        lost = {v for v in distinct if _lost(v)}
        missing = np.array([v in lost for v in array.tolist()], dtype=bool)
    elif array.dtype.kind in "fcmM":
        missing = array != array
    if len(array) == given:
        array, missing = array[used], missing[used]
    elif len(array) != len(used):
        raise InvalidInput(
            f"{name} has {len(array)} labels, and the data had {given} rows, of which "
            f"{len(used)} were used: give a label for each"
        )
    else:
        used = np.arange(len(used))
    if missing.any():
        raise InvalidInput(
            f"{name} lacks the label of {int(missing.sum())} rows, first at row "
            f"{int(used[missing.argmax()])}: every row belongs to a cluster. Leave those rows out, "
            "or give them a label of their own"
        )
    return array


def _lost(label: Any) -> bool:
    """Whether it stands for a missing one: None, NaN, NaT, or what will not say whether it is."""
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA
        return True
