"""Influence beside statsmodels' OLSInfluence, fits without a row, and the edges."""

import math
import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st

import mlreg as ml

U = 2.0**-53


def measures(e, h, s, df, p):
    """What is made of |e|, h and s; each grows with |e| and h, and falls with s."""
    with np.errstate(all="ignore"):
        r = e / s / np.sqrt(1 - h)
        t = r * np.sqrt((df - 1) / np.maximum(df - r**2, 0))
        return {
            "leverage": h,
            "internally_studentised": r,
            "externally_studentised": t,
            "cooks_distance": r**2 * h / (1 - h) / p,
            "dffits": t * np.sqrt(h / (1 - h)),
            "leave_one_out": e / (1 - h),
        }


def limits(found, units=1.0):
    """The least and the largest that rounding allows each measure to be, in the reference's units.

    The data are rounded, too: as if columns and y were off by u, which changes h by no more than
    the fold's own rounding does, and residuals by no more than their bound.
    """
    fit = found.fit
    ls, s = fit.least_squares, fit.residual_std_error
    norm_r, reach = math.sqrt(fit.rss), 2 * np.ldexp(ls.residual_bound, ls.scale_y)
    e, off = np.abs(found.residuals), reach + found.rounding * norm_r
    s_off = off / math.sqrt(fit.df_resid)
    ends = []
    for sign in (-1, 1):
        h = np.clip(found.leverage + sign * 2 * found.rounding, 0, 1)
        size = np.maximum(e + sign * off, 0)
        with np.errstate(all="ignore"):
            ends.append(measures(size, h, max(s - sign * s_off, 0), fit.df_resid, fit.rank))
    ends[0]["leave_one_out"], ends[1]["leave_one_out"] = (
        end["leave_one_out"] / units for end in ends
    )
    return ends


def reference(X, y):
    theirs = sm.OLS(y, X).fit().get_influence()
    with np.errstate(all="ignore"):
        return {
            "leverage": theirs.hat_matrix_diag,
            "internally_studentised": theirs.resid_studentized_internal,
            "externally_studentised": theirs.resid_studentized_external,
            "cooks_distance": theirs.cooks_distance[0],
            "dffits": theirs.dffits[0],
            "leave_one_out": theirs.resid_press,
        }, theirs.dfbetas


@st.composite
def problems(draw):
    """Rows in tame units, weights, and the units that the fit is given."""
    n, p = draw(st.integers(8, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.uniform(-1, 1, (n, p))
    w = np.exp(rng.uniform(-2, 2, n)) if draw(st.booleans()) else np.ones(n)
    root = np.sqrt(w)[:, None]
    condition = np.linalg.cond(np.column_stack([np.ones(n), X]) * root)
    assume(condition < 50)
    y = X @ rng.normal(size=p) + rng.standard_t(3, n)
    scale = 10.0 ** rng.integers(-9, 10, p)
    offset = draw(st.sampled_from([0.0, 1.0, 1e3, 1e6])) * rng.normal(size=p)
    return X, y, w, scale, offset, 10.0 ** int(rng.integers(-9, 10)), condition


@given(problems())
def test_it_is_statsmodels_influence_whatever_the_units(problem):
    X, y, w, scale, offset, unit, condition = problem
    root = np.sqrt(w)
    theirs, dfbetas = reference(np.column_stack([np.ones(len(y)), X]) * root[:, None], y * root)
    weights = {} if (w == 1).all() else {"precision_weights": w}
    fit = ml.fit((X + offset) * scale, y * unit, **weights)
    found = fit.influence()
    low, high = limits(found, unit)
    own = 100 * condition**2 * U  # statsmodels' rounding, by the pseudo-inverse, in its columns
    theirs["leave_one_out"] = theirs["leave_one_out"] / root
    for name, value in theirs.items():
        slack = own * (1 + np.abs(value))
        value, scaled = np.abs(value), root if name == "leave_one_out" else 1.0
        assert (value >= low[name] / scaled - slack).all(), name
        assert (value <= high[name] / scaled + slack).all(), name
        signs = np.sign(getattr(found, name)) == np.sign(theirs[name])
        assert signs[low[name] > slack].all(), name
    # DFBETAS of the slopes do not depend on units; in size they are at most DFFITS/√h
    t = found.externally_studentised
    ratio = (high["externally_studentised"] - low["externally_studentised"]) + own * (1 + abs(t))
    bound = ratio * 2 / np.sqrt(1 - found.leverage) + 2 * found.rounding * np.abs(t) / (
        1 - found.leverage
    )
    assert (np.abs(found.dfbetas() - dfbetas)[:, 1:] <= 2 * bound[:, None]).all()


@pytest.mark.parametrize("kind", ["precision", "frequency", "none"])
def test_what_leaving_a_row_out_changes_is_what_a_fit_without_it_says(kind):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(15, 2)), rng.normal(size=15)
    w = rng.integers(1, 4, 15) if kind == "frequency" else rng.uniform(0.2, 3, 15)
    given = {} if kind == "none" else {f"{kind}_weights": w}
    fit = ml.fit(X, y, **given)
    found = fit.influence()
    k = w if kind == "frequency" else np.ones(15)
    assert abs(k @ found.leverage - 3) <= 15 * found.rounding
    residuals = []
    for i in range(15):
        less = (w if given else np.ones(15)).copy()
        less[i] = less[i] - 1 if kind == "frequency" else 0
        without = ml.fit(X, y, **{f"{'precision' if not given else kind}_weights": less})
        change = (fit.params - without.params) / (
            fit.std_errors / fit.residual_std_error * without.residual_std_error
        )
        # few roundings of numbers of order one, at condition below ten
        assert np.abs(change - found.dfbetas()[i]).max() <= 1e-12
        (mean,) = without.predict(X[i : i + 1])
        assert abs(y[i] - mean - found.leave_one_out[i]) <= 1e-13 * (1 + abs(y[i]))
        residuals.append(y[i] - mean)
    press = np.sum((1 if kind == "none" else w) * np.square(residuals))
    assert abs(found.press - press) <= 1e-12 * press


def test_frequencies_are_repeated_rows():
    rng = np.random.default_rng(0)
    X, y, k = rng.normal(size=(20, 2)), rng.normal(size=20), rng.integers(0, 4, 20)
    found = ml.fit(X, y, frequency_weights=k).influence()
    repeated = ml.fit(X.repeat(k, 0), y.repeat(k)).influence()
    assert (found.rows == np.flatnonzero(k)).all()
    of = k[k > 0]
    for name in ("leverage", "cooks_distance", "dffits", "externally_studentised"):
        ours, theirs = getattr(found, name).repeat(of), getattr(repeated, name)
        assert np.abs(ours - theirs).max() <= 1e-13 * np.abs(theirs).max(), name
    assert abs(found.press - repeated.press) <= 1e-13 * found.press


def test_blocks_are_the_whole_and_need_no_more_memory_than_a_few():
    import tracemalloc

    rng = np.random.default_rng(0)
    n = 200_000
    X, y = rng.normal(size=(n, 6)), rng.normal(size=n)
    fit = ml.fit(X, y)
    whole, at = fit.influence(), 0
    distance = whole.cooks_distance
    tracemalloc.start()
    for part in fit.influence_blocks():
        rows = slice(at, at + len(part))
        assert (part.rows == np.arange(at, at + len(part))).all()
        assert (part.leverage == whole.leverage[rows]).all()
        assert (part.cooks_distance == distance[rows]).all()
        at += len(part)
        if at > n - 5000:
            last = part.dfbetas()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert at == n
    assert peak < X.nbytes / 2  # a few blocks of half a megabyte, of a table of ten
    assert (last == whole._take(np.arange(n - len(last), n)).dfbetas()).all()


def test_out_of_core_with_gaps_and_dropped_columns(tmp_path):
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    rng = np.random.default_rng(1)
    x = rng.normal(size=500)
    x[7] = np.nan
    table = {"x": x, "z": 2 * x, "v": rng.normal(size=500), "y": rng.normal(size=500)}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    keep = {"missing": "drop", "rank_deficient": "drop"}
    memory = ml.fit("y ~ x + z + v", table, **keep).influence()
    stream = ml.fit(
        ml.read(tmp_path / "t.parquet", "y ~ x + z + v", missing="drop"), rank_deficient="drop"
    ).influence()
    assert 7 not in memory.rows
    assert memory.rows[7] == 8
    assert stream.rows[7] == 7  # of the rows in use, as the docstring says
    assert np.abs(memory.leverage - stream.leverage).max() <= memory.rounding + stream.rounding
    assert np.isnan(memory.dfbetas()[:, 2]).all()
    assert np.isfinite(memory.dfbetas()[:, [0, 1, 3]]).all()


def test_edges_are_values_and_words():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 2))
    X[:, 1] = np.arange(8) == 3
    one = ml.fit(X, rng.normal(size=8)).influence()
    assert one.leverage[3] == 1
    for name in ("internally_studentised", "cooks_distance", "dffits", "leave_one_out"):
        values = getattr(one, name)
        assert np.isnan(values[3])
        assert np.isfinite(np.delete(values, 3)).all()
    assert np.isnan(one.dfbetas()[3]).all()
    assert "leverage 1 at row 3" in str(one)
    assert one.largest(1).rows == [3]
    assert math.isnan(one.press)

    x = np.arange(10.0)
    outlier = ml.fit(x, 1 + 2 * x + 3 * (x == 4)).influence()
    assert outlier.externally_studentised[4] == math.inf
    assert np.isfinite(np.delete(outlier.externally_studentised, 4)).all()
    assert "without row 4 the other rows fit perfectly" in str(outlier)

    perfect = ml.fit(x, 1 + 2 * x).influence()
    assert np.isnan(perfect.cooks_distance).all()
    assert "fit perfectly" in str(perfect)
    exact = ml.fit(rng.normal(size=(4, 3)), rng.normal(size=4)).influence()
    assert (exact.leverage == 1).all()
    assert "no residual degrees" in str(exact)
    last = ml.fit(rng.normal(size=(5, 3)), rng.normal(size=5)).influence()
    assert np.isnan(last.externally_studentised).all()
    assert np.abs(np.abs(last.internally_studentised) - 1).max() < 1e-9
    assert "none is left without a row" in str(last)


def test_units_that_overflow_do_not_matter():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    tame, wild = ml.fit(X, y), ml.fit(X * [2.0**600, 2.0**-600], y * 2.0**300)
    found, expected = wild.influence(), tame.influence()
    # powers of two: the same numbers, but for the refinement of their last digits
    for name in ("leverage", "internally_studentised", "dffits", "cooks_distance"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max(), name
    assert np.abs(found.residuals * 2.0**-300 - expected.residuals).max() <= 1e-14
    assert np.abs(found.dfbetas() - expected.dfbetas()).max() <= 1e-12
    for kind in ("breusch-pagan", "white", "jarque-bera", "durbin-watson", "reset"):
        ours, theirs = (fit.specification_test(kind).p_value for fit in (wild, tame))
        assert abs(ours - theirs) <= 1e-10, kind
    assert np.abs(wild.collinearity().vif - tame.collinearity().vif)[1:].max() <= 1e-13


def test_leverage_that_rounding_hides_is_not_told():
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    near = x + 1e-12 * rng.normal(size=3000)
    with pytest.warns(ml.NumericalWarning):
        fit = ml.fit(np.column_stack([x, near]), x + rng.normal(size=3000))
    found = fit.influence()
    assert not found.rounding < 1
    assert np.isnan(found.leverage).all()
    assert np.isnan(found.cooks_distance).all()
    assert "leverages are rounding" in str(found)


def test_other_noises_have_leverage_and_say_why_no_more():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X @ [1.0, 2.0] + rng.standard_t(4, 60)
    logistic = ml.fit(X, y, noise=ml.Logistic())
    gaussian = ml.fit(X, y).influence()
    found = logistic.influence()
    bound = found.rounding + gaussian.rounding + 64 * U
    assert np.abs(found.leverage - gaussian.leverage).max() <= bound
    assert (found.residuals == logistic.residuals()).all()
    with pytest.raises(ml.InvalidInput, match="a row out changes is known of least squares only"):
        _ = found.cooks_distance
    assert "known of least squares only" in str(found)
    assert list(found.to_frame()) == ["residuals", "leverage"]

    uneven = ml.fit(X, y, scale="~ x1")
    sigma = uneven.predict_scale(X)
    W = np.column_stack([np.ones(60), X]) / sigma[:, None]
    hat = np.einsum("ij,ji->i", W, np.linalg.pinv(W))
    assert np.abs(uneven.influence().leverage - hat).max() <= uneven.influence().rounding + 1e-13
    shrunk = ml.fit(X, y, prior=ml.NormalPrior(0.5))
    assert abs(shrunk.influence().leverage.sum() - shrunk.effective_df) <= 1e-12


def test_an_estimate_that_stopped_short_is_judged_by_the_mle(textbook):
    X, y = textbook
    stopped = ml.fit(X, y, optimizer=ml.SGD(0.03, epochs=1)).influence()
    assert (stopped.cooks_distance == ml.fit(X, y).influence().cooks_distance).all()


def test_the_largest_rows_are_a_table(textbook):
    X, y = textbook
    y = y.copy()
    y[123] += 1
    found = ml.fit(X, y).influence()
    top = found.largest(3, by="dffits")
    assert top.rows[0] == 123
    assert len(top) == 3
    assert (top.dfbetas() == found.dfbetas()[top.rows]).all()
    text = str(top)
    assert [line.split()[0] for line in text.splitlines()[2:]] == [str(r) for r in top.rows]
    assert list(top.to_frame().index) == list(top.rows)
    assert "5 of 1000 rows" in str(found)
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
    with pytest.raises(ml.InvalidInput, match="by must be one of"):
        found.largest(by="size")
    with pytest.raises(ml.InvalidInput, match="k must be"):
        found.largest(0)


def test_without_rows_it_says_so():
    d = ml.datasets.norris()
    stats = ml.SufficientStatistics().update(d.X, d.y)
    with pytest.raises(ml.DataNeeded, match="is without its rows"):
        ml.fit(stats).influence()
