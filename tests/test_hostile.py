"""Hostile input has three outcomes only: the right numbers, a clear error, or a loud warning.

Right is judged against rational arithmetic on the float64 numbers that were given:
each coefficient within half an ulp and what the certificate grants, each standard
error to ten digits. Whatever warns must still keep its bound.
"""

import functools
import re
import warnings
from fractions import Fraction
from itertools import product
from math import isfinite, ulp

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import scipy.sparse

import mlreg as ml
from mlreg.likelihood.blocks import Block
from mlreg.linalg.refine import contraction
from mlreg.verify.exact import Rational, _invert, least_squares

ROUTES = ("fit", "statistics", "parquet", "csv")
S = ml.SufficientStatistics
rng = np.random.default_rng(11)
N = 24
X = rng.standard_normal((N, 3))
Y = X @ [1.0, -2.0, 0.5] + 3 + rng.standard_normal(N)
ROW = np.arange(N)
NOISE = rng.standard_normal(N)
FIRST = np.array([1, 0, 0])
NS = 1_700_000_000_000_000_000 + 3_600_000_000_000 * ROW  # nanoseconds since 1970, hourly


def outcome(call):
    """Result of a call, and the warnings of the package; any other warning is an error."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("error")
        warnings.simplefilter("always", ml.NumericalWarning)
        value = call()
    return value, [str(warning.message) for warning in heard]


def squared(value):
    return Fraction(float(value)) ** 2


def assert_right(fit, design, y, truth, n_rows, heard=()):
    """Coefficients, standard errors and perfection of a fit, against the exact solution."""
    p = len(truth.params)
    if fit.status.code == "perfect-fit":
        lengths = np.linalg.norm(design, axis=0) @ np.abs(fit.params) + np.linalg.norm(y)
        assert n_rows == p or truth.rss <= squared(4 * (p + 2) * 2.0**-53 * lengths)
        assert np.isnan(fit.certificate.rounding).all()
        return
    assert fit.status.ok or heard, f"nobody hears of it: {fit.status}"
    # What one pass may lose of s and of Gjj, where these were not refined.
    found = fit.least_squares
    small = found.refined is not None and found.refined.spread is not None
    shrink = contraction(found.R, found.inverse, found.triangle.epsilon)
    for j, (value, exact) in enumerate(zip(fit.params.tolist(), truth.params, strict=True)):
        rounding = fit.certificate.rounding[j]
        variance = truth.rss / (n_rows - p) * truth.inverse[j][j]
        error = max(abs(Fraction(value) - exact) - Fraction(ulp(value)) / 2, Fraction(0))
        assert not isfinite(rounding) or error**2 <= squared(rounding) * variance, fit.names[j]
        slack = 0.0 if small else 2 * rounding / np.sqrt(n_rows - p) + shrink
        off = abs(squared(fit.std_errors[j]) - variance) / variance
        assert heard or off <= Fraction(2 * (1e-10 + slack)), fit.names[j]


def use(fit, rows, path):
    """Nothing that a fit offers may fail or warn; what is loaded is what was saved."""
    fit.save(path)
    again = ml.load(path)
    for name in ("params", "std_errors", "p_values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fit, name))
    assert again.summary() == fit.summary()
    assert not max(fit.r_squared, fit.f_test.p_value) > 1
    assert fit.covariance().shape == (len(fit.names),) * 2
    assert repr((fit.residuals(), fit.conf_int(), fit.aic, fit.bic, fit.rss, fit.r_squared_adj))
    if fit.df_resid:
        fit.predict(rows, interval="prediction")


def by(route, x, y, path, intercept=True, **weights):
    """Fit of the rows themselves, of a file of them, or of their statistics."""
    if route == "fit":
        return ml.fit(x, y, intercept=intercept, **weights)
    if route == "statistics":  # four parts, not in the order of the rows, saved and loaded
        total = S()
        for rows in (slice(9, 20), slice(0, 2), slice(20, None), slice(2, 9)):
            part = {kind: np.asarray(w)[rows] for kind, w in weights.items()}
            if len(y[rows]):
                S().update(x[rows], y[rows], intercept=intercept, **part).save(path)
                total += S.load(path)
        return ml.fit(total)
    columns = {f"x{j + 1}": column for j, column in enumerate(x.T * 1.0)}
    write = pa.csv.write_csv if route == "csv" else pa.parquet.write_table
    write(pa.table({**columns, "y": y, **weights}), f"{path}.{route}")
    formula = f"y ~ {' + '.join(columns)}{'' if intercept else ' - 1'}"
    return ml.fit(formula, ml.read(f"{path}.{route}"), **{w: w for w in weights})


def planted(a, index, value):
    a = a.copy()
    a[index] = value
    return a


RIGHT = {
    **{f"X {s}": (X * s, Y) for s in (1e-306, 1e-300, 1e-155, 1e155, 1e300, 1e306)},
    **{f"one column {s}": (X * [1, s, 1], Y) for s in (1e-300, 1e-160, 1e160, 1e300)},
    **{f"y {s}": (X, Y * s) for s in (1e-306, 1e-300, 1e-160, 1e160, 1e300, 1e306)},
    "columns 600 decades apart": (X * [1e-300, 1, 1e300], Y),
    "denormal all": (X * 1e-310, Y * 1e-310, {"intercept": False}),
    **{f"offsets {offset}": (X + offset, Y) for offset in (1e9, 1e9 * FIRST)},
    "offset of y 1e12": (X, Y + 1e12),
    "nanoseconds": (np.column_stack([NS.astype(float), X]), Y),
    "collinear 1e-9": (np.c_[X, X.sum(axis=1) + 1e-9 * NOISE], Y),
    "all but constant 1e-9": (np.c_[X, 5 + 1e-9 * NOISE], Y),
    "halves, collinear each": (np.c_[X, np.where(ROW < 12, 1, -1) * X[:, 0] + 1e-9 * NOISE], Y),
    **{f"outlier in X {s}": (planted(X, (3, 1), s), Y) for s in (1e12, 1e100)},
    **{f"outlier in y {s}": (X, planted(Y, 5, s)) for s in (1e12, 1e100)},
    "sorted groups": (np.eye(4)[ROW // 6][:, 1:], Y),
    "one row, no intercept": (X[:1, :1], Y[:1], {"intercept": False}),
    **{f"{n} rows of {k}": (X[:n, :k], Y[:n]) for n, k in ((2, 1), (4, 3), (5, 3))},
    "y on a plane": (X, X @ [1.0, 2.0, 3.0]),
    "y on a plane of integers": (np.round(9 * X), np.round(9 * X) @ [1.0, 2.0, 3.0] + 4),
    **{f"y is {c}": (X, np.full(N, c)) for c in (0.0, 0.1)},
    "frequencies": (X, Y, {"frequency_weights": ROW % 4}),
    "frequencies 2**53": (X, Y, {"frequency_weights": np.full(N, 2.0**53)}),
    "one row of weight zero": (X, Y, {"precision_weights": 0.3 * (ROW != 3)}),
    **{
        f"precisions 2**{j} and 2**{k}": (X, Y, {"precision_weights": np.exp2([j, k] * (N // 2))})
        for j, k in ((-999, -1000), (1000, 1001), (-500, 500), (-1074, 1023))
    },
    "one frequency of 2**53": (X, Y, {"frequency_weights": np.where(ROW == 3, 2.0**53, 1)}),
}


def solved(x, y, intercept=True, frequency_weights=None, precision_weights=None):
    """Design, exact solution and number of observations."""
    design = np.column_stack([np.ones((len(y), int(intercept))), np.asarray(x, dtype=float)])
    given = [w for w in (frequency_weights, precision_weights) if w is not None]
    weights = [Fraction(float(w)) for w in given[0]] if given else [Fraction(1)] * len(y)
    n_rows = sum(weights) if frequency_weights is not None else sum(w > 0 for w in weights)
    return design, least_squares(design, y, weights), int(n_rows)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", RIGHT)
def test_right(name, route, tmp_path):
    x, y, given = (*RIGHT[name], {})[:3]
    fit, heard = outcome(lambda: by(route, x, y, tmp_path / "part", **given))
    design, truth, n_rows = solved(x, y, **given)
    assert_right(fit, design, y, truth, n_rows, heard)
    loud = "rounding" if route == "statistics" else "last digit"
    assert not heard or loud in heard[-1]
    if route == "fit":
        outcome(lambda: use(fit, x[:2], tmp_path / "fit.json"))
        judged = ml.certify(fit.params, x, y, **given)
        assert judged.distance == fit.certificate.distance
        assert (judged.per_param == fit.certificate.per_param).all()


WARNED = {
    "offset 1e12": (X + 1e12 * FIRST, "'x1'"),
    "offsets 1e12": (X + 1e12, "'x[123]'"),
    **{f"collinear {g}": (np.c_[X, X.sum(axis=1) + g * NOISE], "'x4'") for g in (1e-12, 1e-13)},
    "integers": (2**62 + ROW[:, None] * 2**33 + 1, "beyond 2.*53 change.*'x1'"),
}


@pytest.mark.parametrize("name", WARNED)
def test_warned(name):
    x, message = WARNED[name]
    fit, heard = outcome(lambda: ml.fit(x, Y))
    design, truth, n_rows = solved(x, Y)
    assert_right(fit, design, Y, truth, n_rows, heard)
    assert any(re.search(message, line) for line in heard)
    assert fit.certificate.refined
    for value, exact in zip(fit.params.tolist(), truth.params, strict=True):
        assert abs(Fraction(value) - exact) <= Fraction(ulp(value))


DEPENDENT = {
    "dummy trap": (np.eye(3)[ROW % 3], r"x3 = Intercept - x1 - x2", 3),
    "sum": (np.c_[X, X.sum(axis=1)], r"x4 = x1 \+ x2 \+ x3", 4),
    "duplicate to 1e-15": (np.c_[X, X[:, 0] * (1 + 1e-15 * NOISE)], "x4 = x1", 4),
    "in other units": (np.c_[X, X[:, 0] * 1.609344e300], r"x4 = 1\.60934e\+300\*x1", 4),
    "constant": (np.c_[X, np.full(N, 5)], r"x4 is constant, x4 = 5\*Intercept", 4),
    "constant to 1e-15": (np.c_[X, 5 + 1e-15 * NOISE], r"x4 is constant, x4 = 5\*Intercept", 4),
    "offset 1e15": (X + 1e15 * FIRST[::-1], r"x3 is constant, x3 = 1e\+15\*Intercept", 3),
    "zeros": (np.c_[X, np.zeros(N)], "x4 is zero in every row", 4),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("x", "message", "column"), DEPENDENT.values(), ids=DEPENDENT)
def test_dependent_columns(x, message, column, route, tmp_path):
    with pytest.raises(ml.RankDeficient, match=message + r"\..*rank_deficient='drop'"):
        by(route, x, Y, tmp_path / "part")
    fit, _ = outcome(lambda: ml.fit(x, Y, rank_deficient="drop"))
    assert np.flatnonzero(np.isnan(fit.params)).tolist() == [column]
    kept = ml.fit(np.delete(x, column - 1, axis=1), Y)
    np.testing.assert_array_equal(np.delete(fit.params, column), kept.params)
    np.testing.assert_array_equal(np.delete(fit.std_errors, column), kept.std_errors)
    outcome(lambda: use(fit, x[:2], tmp_path / "fit.json"))
    with pytest.raises(ml.RankDeficient, match=message):
        ml.certify(np.zeros(x.shape[1] + 1), x, Y)


NAN, INF, W, KINDS = float("nan"), float("inf"), np.ones(N), ("frequency", "precision")
REFUSED = [
    *((planted(X, (3, 1), v), Y, {}, "'x2' in 1 rows, first at row 3. Mend") for v in (NAN, INF)),
    *((X, planted(Y, 5, v), {}, "'y' in 1 rows, first at row 5. Mend") for v in (NAN, -INF)),
    *(
        (X, Y, {f"{kind}_weights": planted(W, 2, v)}, f"{kind}_weights must be finite.*at row 2")
        for kind, v in product(KINDS, (NAN, INF, -1))
    ),
    (X, Y, {"frequency_weights": W / 2}, "whole numbers.*for variances.*precision_weights"),
    (X, Y, {"frequency_weights": W * 2.0**54}, r"up to 2\*\*53"),
    *((X, Y, {f"{k}_weights": W * 0}, f"all {k}_weights are zero: no row is left") for k in KINDS),
    (X, Y, {"precision_weights": W * (ROW == 2)}, "1 rows? cannot determine 4 coefficients"),
    (X * [1, 1e-310, 1], Y, {}, "'x2' exceeds the largest.*too small.*change its unit"),
    (X * 1e-300, Y * 1e300, {}, "'x1' exceeds the largest.*too small.*change its unit"),
    (X, Y * 1e-310, {}, "'Intercept' is below the smallest.*change its unit"),
    (X * 0, Y, {"intercept": False}, "x1 is zero in every row"),
    *((X[:n], Y[:n], {}, f"{n} rows? cannot determine 4 coeff.*'drop'") for n in (1, 2, 3)),
    (X[:0], Y[:0], {}, "no rows: the data is empty"),
    (X[:, :0], Y, {"intercept": False}, "no columns: give X a column, or an intercept"),
    (X, Y[:-1], {}, "y has 23 values for 24 rows"),
    (X, np.column_stack([Y, Y]), {}, r"\(24, 2\): fit several responses one at a time"),
    (X[None], Y, {}, "X must have two dimensions"),
    *(
        case
        for make, message in (
            (lambda a: np.array(3.0), "must be an array of numbers"),
            (np.ma.masked_array, r"is a masked array: fill it with \.filled"),
            (lambda a: a + 0j, r"is complex.*\.real"),
            (scipy.sparse.csr_array, r"is sparse.*\.toarray\(\)"),
            (lambda a: a.astype(str), "holds text, first .* at row 0"),
        )
        for case in ((make(X), Y, {}, f"X {message}"), (X, make(Y), {}, f"y {message}"))
    ),
    (np.array([[10**400]] * N, dtype=object), Y, {}, "beyond the range of float64 at row 0"),
    (np.where(X > 1, None, X), Y, {}, "NaN or infinity in 'x"),
]


@pytest.mark.parametrize(("x", "y", "given", "message"), REFUSED)
def test_refused(x, y, given, message):
    size = np.shape(x)[-1] + given.get("intercept", True) if np.ndim(x) > 1 else 2
    for call in (
        lambda: ml.fit(x, y, **given),
        lambda: ml.fit(ml.SufficientStatistics().update(x, y, **given)),
        lambda: ml.certify(np.zeros(size), x, y, **given),
    ):
        with pytest.raises(ml.MlregError, match=message):
            outcome(call)


LAYOUTS = {
    **{d: lambda a, d=d: a.astype(d) for d in ("i1", "f2", "f4", ">f8", "g", "O", "i8")},
    "Fortran order": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "not contiguous": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=-1)[::2, ::3],
    "negative strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), offset=1).reshape(a.shape),
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_array_of_the_same_numbers(layout):
    numbers = np.round(9 * np.column_stack([X, Y]))
    given = layout(numbers[:, :3]), layout(numbers[:, 3:])
    fit, heard = outcome(lambda: ml.fit(*given))
    assert not heard
    assert (fit.params == ml.fit(numbers[:, :3], numbers[:, 3]).params).all()
    assert (ml.fit(X > 0, Y).params == ml.fit((X > 0) * 1.0, Y).params).all()


class Chunks:
    """Rows of integers, in chunks of any size; they can be read once or again."""

    def __init__(self, a, size, rereadable):
        self.a, self.size, self.n_rows, self.rereadable = a, size, None, rereadable
        self.names = ("Intercept", *(f"x{j + 1}" for j in range(a.shape[1] - 2)))

    def blocks(self, size=None, rng=None):
        for start in range(0, len(self.a), self.size):
            rows = self.a[start : start + self.size].astype(float)
            yield Block(rows[:, :-1], rows[:, -1])


def exactly(a):
    """The exact solution for many rows of integers below 2**41: their sums fit in 63 bits."""
    high, low = a >> 21, a & (2**21 - 1)
    hh, hl, ll = (m.astype(object) for m in (high.T @ high, high.T @ low, low.T @ low))
    gram = [[Fraction(v) for v in row] for row in hh * 2**42 + (hl + hl.T) * 2**21 + ll]
    inverse = _invert([row[:-1] for row in gram[:-1]])
    params = [sum(g * row[-1] for g, row in zip(line, gram, strict=False)) for line in inverse]
    rss = gram[-1][-1] - sum(b * row[-1] for b, row in zip(params, gram, strict=False))
    return Rational(tuple(params), rss, tuple(map(tuple, inverse)))


def many(n):
    """Regressors of n rows, integers, in an order that is hard on one pass."""
    draw = np.random.default_rng(n).integers
    row, a = np.arange(n), draw(-(2**20), 2**20, (n, 3))
    group, wide = row * 5 // n, draw(-(2**39), 2**39, n)
    late = np.where(row < n - 5, wide + draw(-50, 50, n), draw(-(2**39), 2**39, n))
    return {
        "plain": (a,),
        "offset 1e10": (10**10 + draw(0, 100, n), a),
        "seconds": (1_700_000_000 + row, a),
        "sorted groups": (np.eye(5, dtype=int)[group][:, 1:], a[:, 0] + 2**30 * group),
        "outliers": (np.where(row == n - 3, 10**12, a[:, 0]), np.where(row == 2, 10**12, a[:, 1])),
        "collinear 1e-9": (wide, wide + draw(-500, 500, n)),
        "collinear but for five": (wide, late),
        "halves": (wide, np.where(row < n // 2, wide, -wide) + draw(-500, 500, n)),
        "growing": (a << (row * 19 // n)[:, None],),
        "constant at first": (np.where(row < n // 2, 7, a[:, 0]), a[:, 1]),
    }


MANY = {n: many(n) for n in (1000, 100_000)}
SIZES = {1000: (3, 50, 1000), 100_000: (500, 10_922, 100_000)}
ORDERS = {n: (np.arange(n), rng.permutation(n)) for n in SIZES}


@pytest.mark.parametrize("n", MANY)
@pytest.mark.parametrize("name", MANY[1000])
def test_many_rows_in_any_chunks_and_order(name, n):
    x = np.column_stack(MANY[n][name])
    noise = np.random.default_rng(1).integers(-1000, 1000, n)
    a = np.column_stack([np.ones(n, dtype=np.int64), x, x.sum(axis=1) // 8 + noise])
    truth = exactly(a)
    for order, size in product(ORDERS[n], SIZES[n]):
        for again in (True, False):
            fit, heard = outcome(functools.partial(ml.fit, Chunks(a[order], size, again)))
            assert_right(fit, a[:, :-1], a[:, -1], truth, n, heard)


COMBINED = {
    r"x2 = 2\*x1": lambda a, row: (a[:, 0], 2 * a[:, 0]),
    r"x3 = .*x1 \+ x2": lambda a, row: (a[:, :2] + 2**30, a[:, 0] + a[:, 1] + 2**31),
    r"x3 = x1 \+ x2\.": lambda a, row: (*(a[:, 0] * (row % 2 == k) for k in (0, 1)), a[:, 0]),
    "x4 = Intercept - x1 - x2 - x3": lambda a, row: (np.eye(4)[row * 4 // len(row)],),
    r"x2 = 5\*Intercept \+ 3\*x1": lambda a, row: (row, 3 * row + 5),
    "x2 = x1": lambda a, row: (row == len(row) - 1, row == len(row) - 1),
}


@pytest.mark.parametrize("n", MANY)
@pytest.mark.parametrize(("message", "make"), COMBINED.items())
def test_dependence_is_seen_in_any_chunks_and_order(message, make, n):
    (a,) = MANY[n]["plain"]
    x = np.column_stack(make(a, np.arange(n))).astype(np.int64)
    a = np.column_stack([np.ones(n, dtype=np.int64), x, a[:, 2]])
    for order, size in product(ORDERS[n], SIZES[n]):
        with pytest.raises(ml.RankDeficient, match=message):
            ml.fit(Chunks(a[order], size, True))


def stats(x=X, y=Y, **given):
    return S().update(x, y, **given)


def test_updates_of_any_kind_of_rows():
    x, y = X.astype("f4"), np.round(Y)
    total = stats(x[5:6], y[5:6].astype("O")) + (S() + stats(x[:5], y[:5].astype("i1")))
    for i in range(6, N):
        total.update(x[[i]], y[[i]], frequency_weights=[1])
    design, truth, n_rows = solved(x, y)
    assert_right(ml.fit(total), design, y, truth, total.n_rows)
    assert (total.n_rows, (S() + S()).n_rows) == (n_rows, 0)


NESTED = ml.fit(X, Y)
MISUSED = [
    (lambda: stats() + stats(X[:, :2]), "statistics of different columns"),
    (lambda: stats().update(X, Y, names=["a", "b", "c"]), "the same columns"),
    (lambda: ml.anova(NESTED), "two fits or more"),
    (lambda: ml.anova(NESTED, ml.fit(X[:, :2], Y)), "lacks x3. Give nested fits, the smallest"),
    (lambda: ml.anova(ml.fit(X[:, :2], 2 * Y), NESTED), "another response"),
]


@pytest.mark.parametrize(("call", "message"), MISUSED)
def test_misuse_of_statistics_and_anova(call, message):
    with pytest.raises(ml.MlregError, match=message):
        call()


def in_parts(formula):
    table = {"y": Y[:8], "x": X[:8, 0], "g": np.array([*"ababBbBb"])}
    first, second = ({k: v[rows] for k, v in table.items()} for rows in (slice(4), slice(4, 8)))
    return S().update(formula, first).update(formula, second)


APART = {
    "each part has its own center()": lambda: in_parts("y ~ center(x)"),
    "each part has its own base level": lambda: in_parts("y ~ C(g)"),
    "anova of another x1": lambda: ml.anova(ml.fit(X[:, [2]], Y), ml.fit(X[:, :2], Y)),
    "anova of another y": lambda: ml.anova(ml.fit(X[:, :1], Y[::-1]), ml.fit(X[:, :2], Y)),
}


@pytest.mark.parametrize("case", APART.values(), ids=APART)
def test_what_does_not_belong_together_is_refused(case):
    with pytest.raises(ml.MlregError):
        case()


def test_noise_far_above_rounding_is_no_perfect_fit():
    x, y = np.vander(np.arange(30_000) / 30_000, 6), np.random.default_rng(0).normal(1e9, 1, 30_000)
    fit, heard = outcome(lambda: ml.fit(stats(x, y, intercept=False)))
    assert heard or fit.status.code != "perfect-fit"


def test_standard_errors_of_a_refined_fit_to_ten_digits():
    a = np.column_stack([MANY[1000]["collinear 1e-9"][k] for k in (0, 1)])
    y = np.random.default_rng(2).integers(-9, 9, 1000)
    ones, fit = np.ones(1000, dtype=np.int64), ml.fit(a, y)
    truth = exactly(np.column_stack([ones, a, y]))
    exact = np.array([float(truth.rss / 997 * truth.inverse[j][j]) ** 0.5 for j in range(3)])
    assert fit.certificate.refined
    np.testing.assert_allclose(fit.std_errors, exact, rtol=1e-10)


def test_limits_far_away():
    outcome(lambda: ml.fit(X, Y).predict(X * 1e200, interval="mean"))
