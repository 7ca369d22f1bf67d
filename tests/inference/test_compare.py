"""`compare`, held to densities and tests of SciPy, and to data whose model is known.

"bounded": the two numbers are sums of n terms, computed along different ways; the bound is n
roundings of the largest term, and what the certificate's tolerance moves (its square, tiny).
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mlreg as ml
from mlreg.inference.calibration import ks_test
from mlreg.verify import laws

N = 400
rng = np.random.default_rng(8)
X = rng.standard_normal((N, 2))
Y = 1 + X @ [1.0, -0.5] + 0.7 * rng.standard_t(3, N)
NEW = rng.standard_normal((300, 2))
Y_NEW = 1 + NEW @ [1.0, -0.5] + 0.7 * rng.standard_t(3, 300)
SCIPY = {ml.Gaussian(): stats.norm(), ml.StudentT(3): stats.t(3), ml.Logistic(): stats.logistic()}
ROUNDINGS = 1e-11  # of numbers of order one to a thousand, n of them: 400 roundings, and to spare


def z_values(fit, X, y):
    return (y - np.column_stack([np.ones(len(y)), X]) @ fit.params) / fit.sigma


def table_of(**more):
    fits = [ml.fit(X, Y, noise=noise) for noise in SCIPY]
    return fits, ml.compare(*fits, **more)


@pytest.mark.parametrize("data", [None, (NEW, Y_NEW)], ids=["own rows", "held-out rows"])
def test_every_number_is_scipys(data):
    fits, table = table_of(data=data)
    rows, y = (X, Y) if data is None else data
    log_density = []
    for i, (fit, law) in enumerate(zip(fits, SCIPY.values(), strict=True)):
        own = law.logpdf(z_values(fit, X, Y)) - np.log(fit.sigma)
        assert abs(table.log_likelihood[i] - own.sum()) <= ROUNDINGS * N
        assert abs(table.aic[i] - (8 - 2 * own.sum())) <= 2 * ROUNDINGS * N  # three and sigma
        assert abs(table.bic[i] - (4 * np.log(N) - 2 * own.sum())) <= 2 * ROUNDINGS * N
        z = z_values(fit, rows, y)
        log_density.append(law.logpdf(z) - np.log(fit.sigma))
        u = law.cdf(z)
        test = stats.kstest(u, "uniform")
        assert abs(table.ks_statistic[i] - test.statistic) <= ROUNDINGS
        assert abs(table.ks_p_value[i] - test.pvalue) <= N * ROUNDINGS  # its slope is below n
        assert (table.pit_counts[i] == np.histogram(u, 10, (0, 1))[0]).all()
    means = np.mean(log_density, axis=1)
    assert np.abs(table.mean_log_likelihood - means).max() <= ROUNDINGS
    best = log_density[int(means.argmax())]
    for i, other in enumerate(log_density):
        error = np.std(best - other, ddof=1) / np.sqrt(len(y))
        assert abs(table.difference[i] - np.mean(best - other)) <= ROUNDINGS
        assert abs(table.std_error[i] - error) <= ROUNDINGS
    assert table.n_scored == len(y)
    assert table.held_out == (data is not None)
    assert table.n_parameters.tolist() == [4, 4, 4]
    assert table.best == 1
    assert str(table).splitlines()[1].startswith("* 1: y, StudentT(df=3.0), 3 columns")


def test_the_true_model_is_calibrated_and_a_wrong_one_is_not():
    """False alarm 2e-9: 20 000 held-out rows by Dvoretzky, Kiefer and Wolfowitz, and estimates.

    At six standard errors, 0.055 and 0.05, location and log scale move F by 0.03 at most (densities
    f and |z|f are below 0.36 and 0.2), and the slope, averaged over |x|, by 0.02.
    """
    rng = np.random.default_rng(4)
    x = rng.standard_normal((40_000, 1))
    noise = rng.standard_t(2, 40_000)
    y = 2 + x[:, 0] + noise
    fits = [ml.fit(x[:20_000], y[:20_000], noise=n) for n in (ml.StudentT(2), ml.Gaussian())]
    table = ml.compare(*fits, data=(x[20_000:], y[20_000:]))
    allowed = np.sqrt(np.log(2 / 1e-9) / (2 * 20_000)) + 0.05
    assert table.ks_statistic[0] <= allowed < table.ks_statistic[1]
    assert table.ks_p_value[1] < 1e-9
    assert table.pit_counts[0] / 2000 == pytest.approx(1, abs=20 * allowed)
    assert table.best == 0
    # with the true parameters themselves nothing is estimated, and the law is exact
    laws.follows(stats.t(2).cdf(noise), stats.uniform.cdf)


def test_lognormal_data_prefer_the_lognormal_model():
    rng = np.random.default_rng(5)
    x = rng.standard_normal(300)
    y = np.exp(0.5 + 0.8 * x + 0.6 * rng.standard_normal(300))
    fits = [ml.fit(x[:, None], y), ml.fit(x[:, None], y, transform="log")]
    table = ml.compare(*fits, names=["y", "log y"])
    log = fits[1]
    s, scale = log.sigma, np.exp(log.params[0] + log.params[1] * x)
    theirs = stats.lognorm(s=s, scale=scale).logpdf(y).sum()
    assert abs(table.log_likelihood[1] - theirs) <= ROUNDINGS * 300
    assert abs(table.mean_log_likelihood[1] - theirs / 300) <= ROUNDINGS
    # log-likelihood ratio above 50: chance of the wrong choice is below exp(-50) by Markov
    assert table.log_likelihood[1] > table.log_likelihood[0] + 50
    assert table.best == 1
    held = ml.compare(*fits, data=(x[:50, None], y[:50]))
    theirs = stats.lognorm(s=s, scale=scale[:50]).logpdf(y[:50])
    assert abs(held.mean_log_likelihood[1] - theirs.mean()) <= ROUNDINGS


def test_weights_are_repetition_and_precision():
    k, w = np.arange(N) % 3, np.exp(0.3 * X[:, 0])
    noises = (ml.Gaussian(), ml.StudentT(3))
    weighted = ml.compare(*(ml.fit(X, Y, noise=n, frequency_weights=k) for n in noises))
    again = [ml.fit(np.repeat(X, k, 0), np.repeat(Y, k), noise=n) for n in noises]
    repeated = ml.compare(*again)
    for name in ("mean_log_likelihood", "difference", "std_error", "ks_statistic"):
        assert np.abs(getattr(weighted, name) - getattr(repeated, name)).max() <= 1e-9, name
    assert (weighted.pit_counts == repeated.pit_counts).all()
    assert weighted.n_scored == k.sum()
    fits = [ml.fit(X, Y, noise=n, precision_weights=w) for n in noises]
    table = ml.compare(*fits)
    assert np.abs(table.mean_log_likelihood * N - table.log_likelihood).max() <= ROUNDINGS * N


def test_a_scale_design_and_a_table():
    rng = np.random.default_rng(6)
    x = rng.standard_normal(500)
    table = {"price": np.exp(1 + x + np.exp(-0.5 + 0.6 * x) * rng.standard_normal(500)), "x": x}
    train = {name: v[:400] for name, v in table.items()}
    test = {name: v[400:] for name, v in table.items()}
    one = ml.fit("log(price) ~ x", train)
    two = ml.fit("log(price) ~ x", train, scale="~ x")
    frame = pd.DataFrame(train)
    three = ml.fit(frame[["x"]], frame["price"], noise=ml.StudentT(4))
    inside = ml.compare(one, two, three)
    assert inside.n_parameters.tolist() == [3, 4, 3]
    assert np.abs(inside.mean_log_likelihood * 400 - inside.log_likelihood).max() <= 1e-8
    assert inside.best == 1
    held = ml.compare(one, two, three, data=test)
    sigma = np.exp(two.scale_params[0] + two.scale_params[1] * test["x"])
    at = two.params[0] + two.params[1] * test["x"]
    theirs = stats.lognorm(s=sigma, scale=np.exp(at)).logpdf(test["price"])
    assert abs(held.mean_log_likelihood[1] - theirs.mean()) <= ROUNDINGS
    same = ml.compare(one, two, three, data=({"x": test["x"]}, test["price"]))
    assert (same.mean_log_likelihood == held.mean_log_likelihood).all()


def test_fits_without_rows_compare_by_aic():
    total = ml.SufficientStatistics().update(X, Y)
    table = ml.compare(ml.fit(total, columns=["x1"]), ml.fit(total))
    assert table.n_scored == 0
    assert np.isnan(table.mean_log_likelihood).all()
    assert table.best == 1
    assert "per row" not in str(table)


def test_what_is_not_the_mle_is_said():
    fits = [
        ml.fit(X, Y),
        ml.fit(X, Y, prior=ml.NormalPrior(0.1)),
        ml.fit(X, Y, optimizer=ml.SGD(1e-4)),
    ]
    table = ml.compare(*fits, names=["plain", "ridge", "short"])
    assert np.isnan(table.aic).tolist() == [False, True, False]
    text = str(table)
    assert "ridge: a prior, so no AIC and BIC" in text
    assert "short: not the MLE (stopped)" in text
    assert "plain:" not in text
    assert table.order[-1] == 1
    modes = ml.compare(fits[1], fits[1])
    assert modes.best is None
    assert np.isnan(modes.difference).all()
    assert "no best by AIC" in str(modes)
    assert ml.compare(fits[1], fits[0], data=(NEW, Y_NEW)).best == 1
    x = np.arange(9.0)
    perfect = ml.fit(x, 2 * x + 1)
    assert "1: y, Gaussian(), 2 columns: a perfect fit" in str(ml.compare(perfect, perfect))


SOURCE = {"y": Y, "x": X[:, 0]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ml.compare(ml.fit(X, Y)), "two fits or more"),
        (lambda: ml.compare(ml.fit(X, Y), 3), "fit 1 is no Fit but int"),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y), names=["a"]), "names must be 2 names"),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X[1:], Y[1:])), "of 400 and 399 observations"),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, 2 * Y)), "different responses"),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, np.roll(Y, 1))), "in another order"),
        (
            lambda: ml.compare(ml.fit(X, np.exp(Y)), ml.fit(X, Y)),
            r"different responses.*transform='log'",
        ),
        (
            lambda: ml.compare(ml.fit(X, np.exp(Y)), ml.fit(X, np.exp(-Y), transform="log")),
            "of other responses",
        ),
        (
            lambda: ml.compare(
                ml.fit(X, np.exp(Y)), ml.fit(X, np.exp(Y), transform="log"), data=(NEW, Y_NEW)
            ),
            "log.y. needs 'y' above 0",
        ),
        (
            lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y, scale=X[:, 0]), data=(NEW, Y_NEW)),
            "scale of fit 1 was given as an array",
        ),
        (
            lambda: ml.compare(ml.fit("y ~ x", SOURCE), ml.fit("y ~ 1", SOURCE), data={"x": [1.0]}),
            "'y'",
        ),
        (
            lambda: ml.compare(ml.fit(X, Y), ml.fit(X[:, :1], Y), data=(NEW, Y_NEW)),
            "must have 1 columns",
        ),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y), data=(NEW, Y)), "400 values for 300 rows"),
        (
            lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y), data=(NEW, np.r_[np.nan, Y_NEW[1:]])),
            "NaN or infinity in 'y'",
        ),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y), data=(NEW[:0], Y[:0])), "no rows"),
        (lambda: ml.compare(ml.fit(X, Y), ml.fit(X, Y), data=NEW), r"must be \(X, y\) or a table"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(ml.InvalidInput, match=message):
        call()


def test_ks_of_one_value_and_of_none_that_is_a_number():
    statistic, p_value = ks_test(np.array([0.5]), np.array([1.0]))
    assert (statistic, p_value) == (0.5, pytest.approx(1.0, abs=1e-15))
    assert np.isnan(ks_test(np.array([np.nan]), np.array([1.0]))).all()


def test_a_scale_without_a_maximum_is_compared_without_a_crash():
    alone = (np.arange(len(Y)) == 3) * 1.0
    with pytest.warns(ml.NumericalWarning, match="no maximum"):
        unbounded = ml.fit(np.column_stack([X, alone]), Y, scale=alone)
    comparison = ml.compare(ml.fit(X, Y), unbounded)
    assert comparison.status == ("converged", "unbounded")
    assert np.isnan(comparison.mean_log_likelihood).tolist() == [False, True]


def test_an_estimated_df_is_short_where_it_is_printed():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    y = x + rng.standard_t(3, size=200)
    t, normal = ml.fit(x, y, noise=ml.StudentT()), ml.fit(x, y)
    short = f"StudentT(df={t.noise.df:.6g})"
    assert len(repr(t.noise)) > len(short)
    for text in (str(ml.compare(t, normal)), t.summary(), repr(t)):
        assert short in text
        assert repr(t.noise) not in text
