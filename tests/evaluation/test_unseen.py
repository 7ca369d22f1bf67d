"""`evaluate` and `hold_out`, held to hand calculation, SciPy, statsmodels and the laws.

"bounded": means of at most 400 numbers of order one to a hundred, computed along another way: the
bound is 400 roundings of the largest, and what the certificate of the fit lets pass.
"""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

import mlreg as ml
from mlreg.verify import laws

ROUNDINGS = 1e-11
MEASURES = ("nll", "mse", "rmse", "r_squared", "coverage")
rng = np.random.default_rng(3)
X = rng.standard_normal((200, 2))
Y = 1 + X @ [1.0, -0.5] + 0.7 * rng.standard_t(5, 200)
NEW = rng.standard_normal((300, 2))
Y_NEW = 1 + NEW @ [1.0, -0.5] + 0.7 * rng.standard_t(5, 300)
SCIPY = {
    ml.Gaussian(): stats.norm(),
    ml.StudentT(5): stats.t(5),
    ml.Logistic(): stats.logistic(),
    ml.Laplace(): stats.laplace(),
}


def same(one, other, bound=ROUNDINGS):
    for name in MEASURES:
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert a == b or abs(a - b) <= bound * max(1.0, abs(b)), name


def mean_error(values):
    return np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))


def test_four_numbers_by_hand():
    """Mean 2, sigma 1, s² = 2; of the rows 2 and 4, z is 0 and 2, and t(1) at 0.75 is 1."""
    fit = ml.fit(np.ones((2, 1)), [1.0, 3.0], intercept=False)
    found = ml.evaluate(fit, (np.ones((2, 1)), [2.0, 4.0]), level=0.5)
    few = 16 * 2.0**-52
    nll = 0.5 * math.log(2 * math.pi)
    for measure, value, error in (
        (found.nll, nll + 1, 1.0),
        (found.mse, 2.0, 2.0),
        (found.rmse, math.sqrt(2), 2 / math.sqrt(8)),
        (found.r_squared, -1.0, 2.0),
        (found.coverage, 0.5, 0.5),  # half-width √(2 + 1)
    ):
        assert abs(measure.value - value) <= few * 4
        assert abs(measure.std_error - error) <= few * 4
    assert (found.n_rows, found.level, found.notes, found.fit) == (2, 0.5, (), fit)


@pytest.mark.parametrize("noise", list(SCIPY), ids=repr)
def test_densities_are_scipys(noise):
    fit = ml.fit(X, Y, noise=noise)
    found = ml.evaluate(fit, (NEW, Y_NEW))
    mean = fit.params[0] + NEW @ fit.params[1:]
    theirs = mean_error(-SCIPY[noise].logpdf((Y_NEW - mean) / fit.sigma) + np.log(fit.sigma))
    assert np.abs(np.subtract(found.nll, theirs)).max() <= ROUNDINGS
    squares = mean_error((Y_NEW - mean) ** 2)
    assert np.abs(np.subtract(found.mse, squares)).max() <= ROUNDINGS
    assert abs(found.r_squared.value - (1 - squares[0] / np.var(Y_NEW))) <= ROUNDINGS
    square, about = (Y_NEW - mean) ** 2, (Y_NEW - Y_NEW.mean()) ** 2
    linear = square / about.mean() - about * square.mean() / about.mean() ** 2
    assert abs(found.r_squared.std_error - mean_error(linear)[1]) <= ROUNDINGS
    limits = fit.predict(NEW, "prediction")
    assert found.coverage.value == np.mean((limits.lower <= Y_NEW) & (limits.upper >= Y_NEW))
    assert bool(found.notes) == (noise != ml.Gaussian())  # asymptotic intervals are said to be


def test_intervals_of_rows_of_any_precision_are_statsmodels():
    w, v = np.exp(X[:, 0]), np.exp(NEW[:, 1])
    fit = ml.fit(X, Y, precision_weights=w)
    found = ml.evaluate(fit, (NEW, Y_NEW), precision_weights=v, level=0.8)
    theirs = sm.WLS(Y, sm.add_constant(X), weights=w).fit()
    frame = theirs.get_prediction(sm.add_constant(NEW), weights=v).summary_frame(alpha=0.2)
    inside = (frame["obs_ci_lower"] <= Y_NEW) & (Y_NEW <= frame["obs_ci_upper"])
    assert found.coverage.value == inside.mean()
    z = (Y_NEW - frame["mean"]) * np.sqrt(v)
    nll = mean_error(-stats.norm.logpdf(z, scale=fit.sigma) - 0.5 * np.log(v))
    assert np.abs(np.subtract(found.nll, nll)).max() <= ROUNDINGS
    assert abs(found.mse.value - np.mean(z**2)) <= ROUNDINGS


@pytest.mark.parametrize("noise", list(SCIPY), ids=repr)
def test_a_row_of_precision_w_is_the_row_times_its_root(noise):
    v = np.exp(NEW[:, 1])
    root = np.sqrt(v)
    fit = ml.fit(X[:12], Y[:12], noise=noise, intercept=False)  # so few that the mean is uncertain
    weighted = ml.evaluate(fit, (NEW, Y_NEW), precision_weights=v, level=0.6)
    times = ml.evaluate(fit, (NEW * root[:, None], Y_NEW * root), level=0.6)
    assert weighted.coverage == times.coverage
    assert abs(weighted.mse.value - times.mse.value) <= ROUNDINGS
    assert abs(weighted.nll.value - times.nll.value + np.mean(np.log(v)) / 2) <= ROUNDINGS


def test_a_transformed_response_is_scored_on_its_own_scale():
    table = {"income": np.exp(Y), "a": X[:, 0], "b": X[:, 1]}
    new = {"income": np.exp(Y_NEW), "a": NEW[:, 0], "b": NEW[:, 1]}
    fit = ml.fit("log(income) ~ a + b", table, scale="~ a")
    found = ml.evaluate(fit, new)
    sigma, median = fit.predict_scale(new), fit.predict(new)
    density = stats.lognorm.logpdf(new["income"], s=sigma, scale=median)
    assert np.abs(np.subtract(found.nll, mean_error(-density))).max() <= ROUNDINGS
    assert abs(found.mse.value / np.mean((new["income"] - median) ** 2) - 1) <= ROUNDINGS
    limits = fit.predict(new, "prediction")
    inside = (limits.lower <= new["income"]) & (new["income"] <= limits.upper)
    assert found.coverage.value == inside.mean()


def test_a_scale_that_was_an_array_is_given_for_the_new_rows():
    by_array = ml.fit(X, Y, scale=X[:, 0])
    by_formula = ml.fit(X, Y, scale="~ x1")
    same(
        ml.evaluate(by_array, (NEW, Y_NEW), scale=NEW[:, 0]),
        ml.evaluate(by_formula, (NEW, Y_NEW)),
    )
    with pytest.raises(ml.InvalidInput, match="scale="):
        ml.evaluate(by_array, (NEW, Y_NEW))


def test_frequency_weights_are_repetition_and_zeros_are_rows_removed():
    k = np.arange(300) % 4
    for noise in (ml.Gaussian(), ml.StudentT(5)):
        fit = ml.fit(X, Y, noise=noise)
        weighted = ml.evaluate(fit, (NEW, Y_NEW), frequency_weights=k)
        repeated = ml.evaluate(fit, (np.repeat(NEW, k, 0), np.repeat(Y_NEW, k)))
        same(weighted, repeated)
        assert weighted.n_rows == repeated.n_rows == k.sum()
        holes = np.where((k == 0)[:, None], np.nan, NEW)
        same(ml.evaluate(fit, (holes, Y_NEW), frequency_weights=k), weighted, 0)


def test_units_of_y_and_the_order_of_rows():
    base = ml.evaluate(ml.fit(X, Y), (NEW, Y_NEW))
    moved = ml.evaluate(ml.fit(X, 8 * Y), (NEW, 8 * Y_NEW))
    assert moved.rmse.value == 8 * base.rmse.value  # a power of two
    assert abs(moved.nll.value - base.nll.value - math.log(8)) <= ROUNDINGS
    assert (moved.r_squared, moved.coverage) == (base.r_squared, base.coverage)
    order = np.random.default_rng(0).permutation(300)
    same(ml.evaluate(ml.fit(X, Y), (NEW[order], Y_NEW[order])), base)


def test_any_container_of_the_same_rows_says_the_same():
    names = ["a", "b"]
    fit = ml.fit(X, Y, names=names)
    base = ml.evaluate(fit, (NEW, Y_NEW))
    frozen = NEW.copy(order="F")
    frozen.setflags(write=False)
    strided = np.repeat(NEW, 2, axis=0)[::2]
    frame = pd.DataFrame(NEW, columns=names, index=np.zeros(300, dtype=int))  # one label for all
    for data in (
        (frozen, Y_NEW),
        (strided, list(Y_NEW)),
        (NEW.astype(object), Y_NEW[:, None]),
        (frame[["b", "a"]], pd.Series(Y_NEW, index=frame.index)),
        (pl.DataFrame(NEW, schema=names), pl.Series(Y_NEW)),
        frame.assign(y=Y_NEW),
        {"y": Y_NEW, "a": NEW[:, 0], "b": NEW[:, 1], "other": np.full(300, np.nan)},
    ):
        same(ml.evaluate(fit, data), base, 0)
    single = 2.0**-24 * 8 * np.abs(NEW).max()  # what float32 takes of x, times slopes and y below 8
    same(ml.evaluate(fit, (NEW.astype(np.float32), Y_NEW)), base, single)
    whole = ml.fit(np.arange(9.0) ** 2, np.arange(9))
    ints = ml.evaluate(whole, (np.array([1, 0, 4]), np.array([True, False, True])))
    same(ints, ml.evaluate(whole, ([1.0, 0.0, 4.0], [1.0, 0.0, 1.0])), 0)


def test_rows_that_the_fit_has_seen_are_noticed():
    fit = ml.fit(X, Y, transform="arcsinh")
    mixed = np.vstack([NEW[:10], X[:7]]), np.append(Y_NEW[:10], Y[:7])
    assert ml.evaluate(fit, mixed).notes[0].startswith("7 of these 17 rows are among those")
    assert ml.evaluate(fit, (X, Y)).notes[0].startswith("200 of these 200 rows")
    assert not ml.evaluate(fit, (NEW, Y_NEW)).notes
    assert not ml.evaluate(fit, (X[:5], Y[5:10])).notes  # the regressors alone are no leak
    assert not ml.evaluate(ml.fit(ml.SufficientStatistics().update(X, Y)), (X, Y)).notes
    signed = ml.fit([0.0, 1, 2, 3], [1.0, 2, 3, 5])
    assert ml.evaluate(signed, ([-0.0], [1.0])).notes[0].startswith("1 of")


def test_what_cannot_be_known_is_nan_and_said():
    perfect = ml.evaluate(ml.fit([0.0, 1, 2, 3], [1.0, 3, 5, 7]), ([5.0, 6.0], [11.0, 14.0]))
    assert np.isnan([perfect.nll.value, perfect.coverage.value]).all()
    assert abs(perfect.mse.value - 0.5) <= ROUNDINGS
    assert "no residual" in perfect.notes[0]
    constant = ml.evaluate(ml.fit(X, Y), (NEW[:5], np.ones(5)))
    assert np.isnan(constant.r_squared.value)
    one = ml.evaluate(ml.fit(X, Y), (NEW[:1], Y_NEW[:1]))
    assert np.isnan([getattr(one, name).std_error for name in MEASURES]).all()
    early = ml.evaluate(ml.fit(X, Y, optimizer=ml.SGD(0.01, epochs=1)), (NEW, Y_NEW))
    assert early.notes == ("the fit is not the MLE (stopped)",)


@pytest.mark.parametrize(
    ("data", "keywords", "message"),
    [
        ((np.empty((0, 2)), []), {}, "no rows"),
        ((NEW, Y_NEW[:-1]), {}, "299 values for 300 rows"),
        ((NEW[:, :1], Y_NEW), {}, "must have 2 columns"),
        ((np.full((3, 2), np.nan), np.ones(3)), {}, "NaN or infinity in 'x1' in 3 rows"),
        ((NEW, np.where(Y_NEW > 3, np.inf, Y_NEW)), {}, "NaN or infinity in 'y'"),
        ({"x1": NEW[:, 0], "x2": NEW[:, 1]}, {}, "no column 'y'"),
        (NEW, {}, r"must be \(X, y\) or a table"),
        ((NEW, Y_NEW), {"level": 1.0}, "level"),
        ((NEW, Y_NEW), {"frequency_weights": np.zeros(300)}, "zero"),
        ((NEW, Y_NEW), {"precision_weights": -np.ones(300)}, "not negative"),
        ((NEW, Y_NEW), {"frequency_weights": "k"}, "names a column"),
        ((NEW, Y_NEW), {"scale": NEW}, "one sigma"),
        (
            (pd.DataFrame(NEW, columns=["x1", "x2"]), pd.Series(Y_NEW, np.arange(300) + 1)),
            {},
            "labelled differently",
        ),
    ],
    ids=str,
)
def test_bad_data_is_refused_by_name(data, keywords, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ml.evaluate(ml.fit(X, Y), data, **keywords)


def test_levels_that_the_fit_has_not_seen_are_refused():
    fit = ml.fit("y ~ C(g)", {"y": Y, "g": np.array(["a", "b"] * 100)})
    with pytest.raises(ml.InvalidInput, match="'c' at row 1, a level that the fit has not seen"):
        ml.evaluate(fit, {"y": [1.0, 2.0], "g": ["a", "c"]})
    with pytest.raises(ml.InvalidInput, match="a Fit first"):
        ml.evaluate((NEW, Y_NEW), fit)


def test_hold_out_is_a_fit_of_the_others():
    found = ml.hold_out(X, Y, test=0.3, seed=5, noise=ml.StudentT(5))
    assert (found.n_rows, found.fit.n_rows) == (60, 140)
    again = ml.hold_out(X, Y, test=0.3, seed=5, noise=ml.StudentT(5))
    same(found, again, 0)
    assert ml.hold_out(X, Y, test=0.3, seed=6, noise=ml.StudentT(5)).rmse != found.rmse
    last = ml.hold_out(X, Y, test=0.3, shuffle=False)
    same(last, ml.evaluate(ml.fit(X[:140], Y[:140]), (X[140:], Y[140:])))
    assert last.fit.predict(NEW).shape == (300,)  # it takes new data as any fit does


def test_hold_out_leaves_gaps_and_weight_zero_out_and_keeps_groups_whole():
    frame = pd.DataFrame({"y": Y, "a": X[:, 0], "b": X[:, 1], "who": np.arange(200) // 10})
    frame.loc[frame.index[:100:5], "a"] = np.nan
    frame["k"] = np.where(np.arange(200) % 7 == 0, 0, 2)
    keywords = {"missing": "drop", "frequency_weights": "k"}
    found = ml.hold_out("y ~ a + b", frame, test=0.5, groups="who", **keywords)
    usable = frame["a"].notna() & (frame["k"] > 0)
    assert found.n_rows + found.fit.n_rows == 2 * usable.sum()
    whole = ml.hold_out("y ~ a + b", frame, test=0.5, groups=frame["who"], **keywords)
    same(found, whole, 0)
    ragged = ml.hold_out("y ~ a + b", frame, test=0.5, **keywords)
    assert ragged.rmse != found.rmse


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, True, "half", np.nan, 0.999])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(ml.InvalidInput, match="share"):
        ml.hold_out(X[:20], Y[:20], test=share)


def test_reports():
    found = ml.evaluate(ml.fit(X, Y), (NEW, Y_NEW))
    lines = str(found).splitlines()
    assert lines[0] == "300 unseen observations, 200 fitted"
    assert lines[2].split() == [
        "mean",
        "NLL",
        f"{found.nll.value:.5g}",
        f"{found.nll.std_error:.2g}",
    ]
    frame = found.to_frame()
    assert frame.loc["rmse", "value"] == found.rmse.value
    assert tuple(frame.index) == MEASURES
    d = found.to_dict()
    assert (d["nll"]["std_error"], d["n_rows"]) == (found.nll.std_error, 300)


def test_coverage_of_six_rows_is_exact():
    """False alarm 1e-9; with the normal quantile in the place of t(3), 0.86 would be covered."""
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(1500):
        x = rng.standard_normal((7, 2))
        y = 5 + x @ [1.0, 2.0] + 3 * rng.standard_normal(7)
        found = ml.evaluate(ml.fit(x[:6], y[:6]), (x[6:], y[6:]), level=0.95)
        hits += int(found.coverage.value)
    laws.covers(hits, 1500, 0.95)


def test_standard_errors_are_those_of_repetition():
    """False alarm 1e-8 by Hoeffding for the chance of 0.95 ± 0.02; half the error covers 0.67."""
    rng = np.random.default_rng(10)
    fit = ml.fit(X, Y)
    off = fit.params - [1.0, 1.0, -0.5]  # the truth of other rows: standard normal noise
    mse = 1 + off @ off
    nll = 0.5 * math.log(2 * math.pi) + math.log(fit.sigma) + 0.5 * mse / fit.sigma**2
    trials, hits = 1000, np.zeros(3)
    for _ in range(trials):
        x = rng.standard_normal((300, 2))
        found = ml.evaluate(fit, (x, 1 + x @ [1.0, -0.5] + rng.standard_normal(300)))
        truths = (nll, mse, math.sqrt(mse))
        for i, (name, truth) in enumerate(zip(MEASURES, truths, strict=False)):
            value, error = getattr(found, name)
            hits[i] += abs(value - truth) <= 1.959964 * error
    allowed = math.sqrt(math.log(2 * 3 / 1e-8) / (2 * trials)) + 0.02
    assert np.abs(hits / trials - 0.95).max() <= allowed
