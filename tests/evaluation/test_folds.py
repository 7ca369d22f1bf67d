"""`cross_validate`, held to the PRESS formula, to fits made one by one, and to the laws of folds.

"bounded": as in test_unseen.py; triangles that are merged and triangles of the rows are the same up
to a few hundred roundings, and so are the means of what they foretell.
"""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.evaluation import folds as module
from mlreg.evaluation.splits import fold_of_rows, held_out

ROUNDINGS = 1e-11
MEASURES = ("nll", "mse", "rmse", "r_squared", "coverage")
rng = np.random.default_rng(3)
N = 120
X = rng.standard_normal((N, 2))
Y = 5 + X @ [1.0, -0.5] + 0.7 * rng.standard_t(5, N)
W = np.exp(0.5 * X[:, 0])
K = np.arange(N) % 4
TABLE = {"y": np.exp(Y / 4), "a": X[:, 0], "b": X[:, 1], "g": np.array(["u", "v", "w"] * 40)}


def same(one, other, bound=ROUNDINGS):
    for name in MEASURES:
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert a == b or abs(a - b) <= bound * max(1.0, abs(b)), name
    assert getattr(one, "status", ()) == getattr(other, "status", ())


def one_by_one(cv, fit, evaluate):
    """Every fold by the public fit and evaluate: the pooled means and their errors by hand."""
    parts = []
    for k in range(len(cv.n_rows)):
        made = fit((cv.fold >= 0) & (cv.fold != k))
        found = evaluate(made, cv.fold == k)
        assert abs(found.nll.value - cv.fold_nll[k]) <= ROUNDINGS
        assert abs(found.rmse.value - cv.fold_rmse[k]) <= ROUNDINGS
        assert found.coverage.value == cv.fold_coverage[k]
        assert (made.status.code, found.n_rows) == (cv.status[k], cv.n_rows[k])
        parts.append([found.nll.value, found.mse.value, found.coverage.value])
    share = cv.n_rows[:, None] / cv.n_rows.sum()
    mean = (share * parts).sum(axis=0)
    count = len(parts)
    error = np.sqrt(count / (count - 1) * ((share * (parts - mean)) ** 2).sum(axis=0))
    for measure, m, e in zip((cv.nll, cv.mse, cv.coverage), mean, error, strict=True):
        assert abs(measure.value - m) <= ROUNDINGS
        assert abs(measure.std_error - e) <= ROUNDINGS


def test_leaving_one_out_is_press():
    """The error of a row that is left out is its residual over one less its leverage."""
    cv = ml.cross_validate(X, Y, folds=N)
    A = np.column_stack([np.ones(N), X])
    Q, _ = np.linalg.qr(A)
    residual = Y - Q @ (Q.T @ Y)
    press = residual / (1 - (Q**2).sum(axis=1))
    assert np.abs(cv.fold_rmse[cv.fold] - np.abs(press)).max() <= ROUNDINGS
    assert abs(cv.mse.value - np.mean(press**2)) <= ROUNDINGS
    assert abs(cv.mse.std_error - np.std(press**2, ddof=1) / math.sqrt(N)) <= ROUNDINGS
    assert abs(cv.r_squared.value - (1 - np.mean(press**2) / np.var(Y))) <= ROUNDINGS
    root = np.sqrt(W)
    weighted = ml.cross_validate(X, Y, folds=N, precision_weights=W)
    Q, _ = np.linalg.qr(A * root[:, None])
    residual = root * Y - Q @ (Q.T @ (root * Y))
    press = residual / (1 - (Q**2).sum(axis=1))
    assert abs(weighted.mse.value - np.mean(press**2)) <= ROUNDINGS


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"noise": ml.Gaussian(), "optimizer": ml.Exact(), "intercept": False},
        {"noise": ml.StudentT(5)},
        {"noise": ml.Laplace(), "transform": "arcsinh"},
        {"prior": ml.NormalPrior(0.5)},
        {"scale": "~ x1"},
        {"optimizer": ml.SGD(0.05, epochs=2)},
        {"transform": "arcsinh"},
    ],
    ids=str,
)
def test_each_fold_is_foretold_by_the_fit_of_the_others(options):
    cv = ml.cross_validate(X, Y, folds=4, seed=1, **options)
    one_by_one(
        cv,
        lambda rows: ml.fit(X[rows], Y[rows], **options),
        lambda fit, rows: ml.evaluate(fit, (X[rows], Y[rows])),
    )
    assert cv.converged == ("optimizer" not in options or "noise" in options)
    assert any("not the MLE (stopped)" in note for note in cv.notes) != cv.converged


def test_weights_and_gaps():
    gaps = np.where(X > 1.8, np.nan, X)
    options = {"missing": "drop"}
    cv = ml.cross_validate(gaps, Y, frequency_weights=K, precision_weights=W, **options)
    usable = ~np.isnan(gaps).any(axis=1) & (K > 0)
    assert ((cv.fold >= 0) == usable).all()
    one_by_one(
        cv,
        lambda r: ml.fit(gaps[r], Y[r], frequency_weights=K[r], precision_weights=W[r], **options),
        lambda f, r: ml.evaluate(
            f, (gaps[r], Y[r]), frequency_weights=K[r], precision_weights=W[r]
        ),
    )


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("log(y) ~ a + C(g)", {}),
        ("log(y) ~ a:C(g) - 1", {"noise": ml.Logistic()}),
        ("y ~ center(a) + scale(b)", {"prior": ml.NormalPrior(0.3)}),
        ("y ~ bs(a, df=4)", {"frequency_weights": "k", "precision_weights": "w"}),
        ("y ~ a", {"scale": "~ center(b)"}),
    ],
)
def test_formulas_are_made_anew_without_the_held_out_rows(formula, options):
    """bs() puts its knots where the rows of the fit are; those of a fold must not be among them."""
    table = {**TABLE, "k": K, "w": W, "b": np.abs(X[:, 1])}
    if "bs(" in formula:  # beyond its boundary knots a spline is refused: extremes stay in
        table["a"] = np.where(np.arange(N) % 3, 0.9 * np.tanh(X[:, 0]), np.arange(N) % 2 * 2 - 1.0)
    cv = ml.cross_validate(formula, table, folds=3, seed=2, **options)
    weights = {name: w for name, w in options.items() if name.endswith("weights")}

    def part(rows):
        return {name: values[rows] for name, values in table.items()}

    one_by_one(
        cv,
        lambda rows: ml.fit(formula, part(rows), **options),
        lambda fit, rows: ml.evaluate(fit, part(rows), **weights),
    )


def test_row_wise_arrays_go_along_with_a_formula_that_is_made_anew():
    by_name = ml.cross_validate(
        "y ~ center(a)", {**TABLE, "k": K, "w": W}, frequency_weights="k", precision_weights="w"
    )
    by_array = ml.cross_validate("y ~ center(a)", TABLE, frequency_weights=K, precision_weights=W)
    same(by_name, by_array, 0)
    given = ml.cross_validate("y ~ center(a)", TABLE, scale=X[:, 1])
    same(given, ml.cross_validate("y ~ center(a)", TABLE, scale="~ b"))


def test_triangles_that_merge_are_fits_of_the_rows(monkeypatch):
    frame = pd.DataFrame(TABLE)
    cases = [
        ((X, Y), {"frequency_weights": K, "precision_weights": W, "folds": 7}),
        ((X, Y), {"folds": N, "transform": "log1p"}),
        (("log(y) ~ a * C(g)", frame), {"groups": "g", "folds": 3, "rank_deficient": "drop"}),
        ((1e6 + X, Y), {"folds": 2, "shuffle": False}),
    ]
    quick = [ml.cross_validate(*data, **options) for data, options in cases]
    monkeypatch.setattr(module, "_least_squares", lambda rows: False)
    for before, (data, options) in zip(quick, cases, strict=True):
        same(before, ml.cross_validate(*data, **options), 1e-9)  # 1e6 + X has lost six digits


def test_least_squares_reads_the_rows_twice_whatever_the_folds(monkeypatch):
    made = []
    monkeypatch.setattr(module.Rows, "fit", lambda self, rows: made.append(rows))
    ml.cross_validate(X, Y, folds=N)
    assert not made


@pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")  # columns nearly constant
def test_a_doubtful_triangle_is_not_believed(monkeypatch):
    """An offset of 1e11: rounding could matter, so each fold is fitted to its rows, and refined."""
    original, made = module.Rows.fit, []
    monkeypatch.setattr(
        module.Rows, "fit", lambda self, rows: made.append(len(rows)) or original(self, rows)
    )
    cv = ml.cross_validate(1e11 + X, Y, folds=4)
    assert made == [90] * 4
    assert cv.notes[-1].startswith("numerical warnings: 4, the first: the columns are so nearly")
    one_by_one(
        cv,
        lambda rows: ml.fit(1e11 + X[rows], Y[rows]),
        lambda fit, rows: ml.evaluate(fit, (1e11 + X[rows], Y[rows])),
    )


def test_the_same_rows_are_in_the_same_fold():
    other = X[:, ::-1] * 3
    assert (
        ml.cross_validate(X, Y).fold == ml.cross_validate(other, -Y, noise=ml.Laplace()).fold
    ).all()
    assert (ml.cross_validate(X, Y, seed=1).fold != ml.cross_validate(X, Y).fold).any()
    gaps = X.copy()
    gaps[::9] = np.nan
    fold = ml.cross_validate(gaps, Y, missing="drop").fold
    assert (fold[::9] == -1).all()
    there = fold >= 0
    assert (fold[there] == ml.cross_validate(X, Y).fold[there]).all()


def test_blocks_and_groups():
    blocks = ml.cross_validate(X, Y, folds=7, shuffle=False)
    assert (np.diff(blocks.fold) >= 0).all()
    assert np.ptp(np.bincount(blocks.fold)) <= 1
    who = np.repeat(["ann", "bob", "cat", "dan", "eve"], 24)
    for groups in (who, who.tolist(), pd.Series(who, dtype="category"), who == "bob"):
        fold = ml.cross_validate(X, Y, folds=2, groups=groups).fold
        for label in set(np.asarray(groups).tolist()):
            assert len(set(fold[np.asarray(groups) == label])) == 1
    frame = pd.DataFrame(TABLE).assign(who=who)
    by_name = ml.cross_validate("y ~ a", frame, folds=5, groups="who")
    same(by_name, ml.cross_validate("y ~ a", frame, folds=5, groups=who), 0)


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_groups_are_placed_first(seed):
    fold = fold_of_rows(8, 2, np.array([0, 1, 2, 3, 4, 4, 4, 4]), True, seed)
    assert np.bincount(fold).tolist() == [4, 4]


def test_frequency_weights_are_repetition_where_repeats_stay_together():
    k = K + 1
    weighted = ml.cross_validate(X, Y, folds=N, frequency_weights=k)
    repeated = ml.cross_validate(
        np.repeat(X, k, 0), np.repeat(Y, k), folds=N, groups=np.repeat(np.arange(N), k)
    )
    same(weighted, repeated)


def test_units_and_order():
    base = ml.cross_validate(X, Y, folds=N)
    moved = ml.cross_validate(X, 8 * Y, folds=N)
    assert abs(moved.rmse.value - 8 * base.rmse.value) <= ROUNDINGS
    assert abs(moved.nll.value - base.nll.value - math.log(8)) <= ROUNDINGS
    order = np.random.default_rng(0).permutation(N)
    same(ml.cross_validate(X[order], Y[order], folds=N), base)


@given(
    n=st.integers(2, 60),
    folds=st.integers(2, 60),
    groups=st.integers(1, 20) | st.none(),
    shuffle=st.booleans(),
    seed=st.integers(0, 9),
)
def test_folds_part_the_rows(n, folds, groups, shuffle, seed):
    labels = (
        None if groups is None else np.unique(np.arange(n) * 7 % groups, return_inverse=True)[1]
    )
    units = n if labels is None else labels.max() + 1
    if folds > units or (labels is not None and not shuffle):
        with pytest.raises(ml.InvalidInput):
            fold_of_rows(n, folds, labels, shuffle, seed)
        return
    fold = fold_of_rows(n, folds, labels, shuffle, seed)
    size = np.bincount(fold, minlength=folds)
    assert (len(size), size.min() > 0, size.sum()) == (folds, True, n)
    largest = 1 if labels is None else np.bincount(labels).max()
    assert np.ptp(size) <= largest
    if labels is not None:
        assert all(len(set(fold[labels == g])) == 1 for g in range(units))
    out = held_out(n, 0.5, labels, shuffle, seed)
    in_fit = units if labels is None else len(set(labels[~out]))
    assert 0 < out.sum() < n / 2 + largest
    assert out.sum() >= n / 2 or in_fit == 1
    assert labels is None or not set(labels[out]) & set(labels[~out])


def test_a_column_that_one_fold_alone_determines():
    rare = np.column_stack([X, np.arange(N) == 17])
    with pytest.raises(ml.RankDeficient, match=r"without fold \d: .*x3 is zero.*fewer folds"):
        ml.cross_validate(rare, Y)
    cv = ml.cross_validate(rare, Y, rank_deficient="drop")
    assert "do not obey" in cv.notes[-1]
    assert np.isfinite(cv.nll.value)
    with_prior = ml.cross_validate(rare, Y, prior=ml.NormalPrior(1.0))
    assert with_prior.converged  # the prior says zero of it, and how far that may be off
    level = {**TABLE, "g": np.where(np.arange(N) == 17, "z", TABLE["g"])}
    with pytest.raises(ml.RankDeficient, match=r"z.* is zero"):
        ml.cross_validate("y ~ C(g)", level)
    with pytest.raises(ml.InvalidInput, match=r"fold \d, its rows.*'z' at row \d+, a level that"):
        ml.cross_validate("y ~ center(a) + C(g)", level)


def test_perfect_and_constant_responses():
    x = np.arange(20.0)
    cv = ml.cross_validate(x, 2 * x + 1)
    assert cv.mse.value <= 1e-24  # the square of some roundings of 40
    assert np.isnan([cv.nll.value, cv.coverage.value]).all()
    assert "5 of 5 fits are not the MLE (perfect-fit)" in cv.notes
    constant = ml.cross_validate(X, np.full(N, 3.0))
    assert np.isnan(constant.r_squared.value)


def test_any_container_of_the_same_rows_says_the_same():
    base = ml.cross_validate(X, Y)
    frozen = X.copy(order="F")
    frozen.setflags(write=False)
    odd = pd.Index(np.arange(N)[::-1] // 2, name="y")
    frame = pd.DataFrame(X, columns=["x1", "x2"], index=odd)
    for data in (
        (frozen, Y),
        (np.repeat(X, 2, axis=0)[::2], Y[:, None]),
        (X.astype(object), list(Y)),
        (frame, pd.Series(Y, index=odd)),
        (pl.DataFrame(X, schema=["x1", "x2"]), pl.Series(Y)),
        (ml.ArraySource(X, Y, intercept=True),),
    ):
        same(ml.cross_validate(*data), base, 0)
    same(ml.cross_validate("y ~ x1 + x2", frame.assign(y=Y)), base)
    single = 2.0**-24 * 32 * np.abs(X).max()  # what float32 takes of x, times slopes and y below 32
    same(ml.cross_validate(X.astype(np.float32), Y), base, single)
    ints = ml.cross_validate(K[:, None], np.arange(N) % 3 == 0)
    same(ints, ml.cross_validate(K[:, None] * 1.0, (np.arange(N) % 3 == 0) * 1.0), 0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"folds": 1}, "folds must be a whole number of at least 2, not 1"),
        ({"folds": True}, "folds must be a whole number"),
        ({"folds": 2.5}, "folds must be a whole number"),
        ({"folds": N + 1}, "folds is 121, and there are 120 rows"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"shuffle": "yes"}, "shuffle must be True or False"),
        ({"groups": np.arange(N) % 3}, "there are 3 groups"),
        ({"groups": np.arange(N - 1)}, "119 labels for 120 rows"),
        ({"groups": np.where(K, 1.0, np.nan)}, "lacks a label in 30 rows, first at row 0"),
        ({"groups": np.arange(N), "shuffle": False}, "drawn at random"),
        ({"groups": "who"}, "names a column"),
        ({"level": 0}, "level"),
        ({"noise": "t"}, "without fold 0: noise must be a noise"),
        ({"missing": "ignore"}, "missing must be one of"),
        ({"frequency_weights": np.where(np.arange(N) < 2, 1, 0)}, r"fold \d has no rows"),
    ],
    ids=str,
)
def test_misuse_is_refused_by_name(keywords, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ml.cross_validate(X, Y, **keywords)


def test_data_without_rows_to_choose_from():
    with pytest.raises(ml.InvalidInput, match="no rows to choose from"):
        ml.cross_validate(ml.SufficientStatistics().update(X, Y))
    with pytest.raises(ml.InvalidType, match=r"no argument nois, here or of mlreg\.fit"):
        ml.cross_validate(X, Y, nois=ml.Laplace())
    with pytest.raises(ml.InvalidInput, match="'x1' in 1 rows, first at row 77"):
        ml.cross_validate(np.where(np.arange(N)[:, None] == 77, [np.nan, 0], X), Y)
    with pytest.raises(ml.InvalidInput, match="labelled differently"):
        ml.cross_validate(
            "y ~ a", pd.DataFrame(TABLE), folds=2, groups=pd.Series(K, index=np.arange(N) + 1)
        )


def test_reports(tmp_path):
    cv = ml.cross_validate(X, Y)
    assert "120 observations in 5 folds" in str(cv)
    assert len(str(cv).splitlines()) == 1 + 6 + 6 + 1
    assert "approximate" in cv.notes[0]
    frame = cv.to_frame()
    assert frame["nll"].tolist() == cv.fold_nll.tolist()
    d = cv.to_dict()
    assert d["fold"] == cv.fold.tolist()
    assert d["rmse"] == {"value": cv.rmse.value, "std_error": cv.rmse.std_error}
    pd.DataFrame(TABLE).to_csv(tmp_path / "table.csv", index=False)
    from_file = ml.cross_validate("y ~ center(a)", str(tmp_path / "table.csv"), groups="g", folds=3)
    same(from_file, ml.cross_validate("y ~ center(a)", TABLE, groups="g", folds=3))
