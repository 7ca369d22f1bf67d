"""Which rows are held out: folds and test rows, at random, by groups or in order."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.checks import whole
from mlreg.data.arrays import check_labels
from mlreg.data.columns import Categories, missing_rows
from mlreg.data.table import as_table, is_tabular, read_column
from mlreg.errors import InvalidInput

__all__ = ["fold_of_rows", "group_of_rows", "held_out"]

Folds = NDArray[np.int64]


def group_of_rows(groups: Any, data: Any, n: int) -> Folds | None:
    """Number of the group of each row, in order of first appearance, shape (n,).

    Parameters
    ----------
    groups : array of labels, shape (n,), or column name
        Numbers, text, dates or categories.
    data : table, or anything
        Where the column is.
    n : int
        Rows.
    """
    if groups is None:
        return None
    if isinstance(groups, str):
        if not is_tabular(data):
            raise InvalidInput(f"groups={groups!r} names a column: the data has none, give labels")
        column = as_table(data).column(groups)
    else:
        check_labels("the data", data, {"groups": groups})
        column = read_column(groups, "groups")
    if len(column) != n:
        raise InvalidInput(f"groups has {len(column)} labels for {n} rows: give one for each row")
    gaps = missing_rows(column)
    if gaps.any():
        raise InvalidInput(
            f"groups lacks a label in {int(gaps.sum())} rows, first at row {int(gaps.argmax())}: "
            "give each row one"
        )
    values = column.codes if isinstance(column, Categories) else np.asarray(column)
    number: dict[Any, int] = {}
    return np.array([number.setdefault(v, len(number)) for v in values.tolist()], dtype=np.int64)


def fold_of_rows(n: int, folds: int, groups: Folds | None, shuffle: bool, seed: int) -> Folds:
    """Fold of each row, shape (n,), a number from 0 to folds − 1.

    Parameters
    ----------
    n : int
        Rows as given: those that are left out later have a fold too, so that the others keep
        theirs whatever else the model uses.
    folds : int
        How many, at least 2 and at most as many as rows, or groups.
    groups : integer array, shape (n,), optional
        Rows of a group stay together: the largest first, each goes to the fold with fewest rows,
        groups of one size in random order.
    shuffle : bool
        Whether rows are drawn at random; else folds are blocks of neighbours.
    seed : int
        Of the order.
    """
    count = whole(folds, "folds", 2)
    units = n if groups is None else int(groups.max(initial=-1)) + 1
    what = "rows" if groups is None else "groups"
    if count > units:
        raise InvalidInput(f"folds is {count}, and there are {units} {what}: take fewer folds")
    if groups is None:
        fold = np.arange(n) * count // n
        return fold[_order(n, shuffle, seed)] if shuffle else fold
    size, rows = np.bincount(groups), np.zeros(count, dtype=np.int64)
    order = _order(units, _drawn(shuffle), seed)
    of_group = np.empty(units, dtype=np.int64)
    for g in order[np.argsort(-size[order], kind="stable")]:
        of_group[g] = rows.argmin()
        rows[of_group[g]] += size[g]
    return of_group[groups]


def held_out(
    n: int, share: float, groups: Folds | None, shuffle: bool, seed: int
) -> NDArray[np.bool_]:
    """Which rows are held out, shape (n,): the last if not at random.

    Parameters
    ----------
    n, groups, shuffle, seed
        As for `fold_of_rows`; whole groups are held out.
    share : float
        Between 0 and 1: at least so many, or all groups but one.
    """
    number = isinstance(share, (int, float, np.integer, np.floating))
    if isinstance(share, bool) or not number or not 0 < share < 1:
        raise InvalidInput(f"the share held out must be between 0 and 1, not {share!r}")
    wanted = math.ceil(share * n)
    chosen = np.zeros(n, dtype=bool)
    if groups is None:
        chosen[_order(n, shuffle, seed)[n - wanted :]] = True
    else:
        size = np.bincount(groups)
        order = _order(len(size), _drawn(shuffle), seed)
        before = np.cumsum(size[order]) - size[order]
        chosen = np.isin(groups, order[:-1][before[:-1] < wanted])  # one group is left
    if chosen.all() or not chosen.any():
        raise InvalidInput(
            f"a share of {share:g} leaves no rows to fit or none to hold out: {n} rows"
            + ("" if groups is None else f" in {len(np.bincount(groups))} groups")
        )
    return chosen


def _order(n: int, shuffle: bool, seed: int) -> NDArray[np.int64]:
    if not isinstance(shuffle, (bool, np.bool_)):
        raise InvalidInput(f"shuffle must be True or False, not {shuffle!r}")
    return np.random.default_rng(whole(seed, "seed", 0)).permutation(n) if shuffle else np.arange(n)


def _drawn(shuffle: bool) -> bool:
    if shuffle is False:
        raise InvalidInput(
            "groups are drawn at random: leave out shuffle=False, or give no groups for blocks of "
            "neighbours"
        )
    return shuffle
