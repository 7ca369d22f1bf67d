"""Student's t noise whose degrees of freedom are estimated."""

import numpy as np
import pytest
from scipy import optimize, stats

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource
from mlreg.likelihood.prior import NormalPrior
from mlreg.likelihood.student_t_df import by_kappa, shape_information
from mlreg.optimizers.shape import CLOSE, Profile

FREE = ml.StudentT()


def problem(seed, n=200, df=4.0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    noise = rng.standard_normal(n) if np.isinf(df) else rng.standard_t(df, n)
    return X, X @ [1.0, 2.0, -3.0] + noise, rng


def fitted(X, y, noise=FREE, optimizer=None, prior=None, start=None, **rows):
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **rows), noise, prior)
    found = (optimizer or ml.Newton()).minimize(likelihood, start)
    assert found.reads == likelihood.reads
    assert found.n_shape == (noise.df is None)
    return found


def nll(X, y, found, **rows):
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **rows), found.noise)
    return likelihood.nll(found.theta)


def slack(value):
    """Rounding of an NLL that is a sum of some hundred terms, and what df may be off."""
    return 1e-12 * (1 + abs(value)) + 0.5 * CLOSE**2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("df", [1.5, 4.0, np.inf])
def test_no_t_of_scipy_fits_better(seed, df):
    y = np.random.default_rng(seed).permutation(problem(seed, 150, df)[1])
    one = np.ones((150, 1))
    found = fitted(one, y)
    assert found.status.code == "converged", found.status
    theirs = stats.t.fit(y)
    ours = nll(one, y, found)
    if theirs[0] >= 1:
        assert ours <= -np.sum(stats.t.logpdf(y, *theirs)) + slack(ours)
    start = [np.log(max(theirs[0], 1.01) - 1), theirs[1], np.log(theirs[2])]

    def distance(x):
        return -np.sum(stats.t.logpdf(y, 1 + np.exp(x[0]), x[1], np.exp(x[2])))

    best = optimize.minimize(distance, start, method="Nelder-Mead", options={"xatol": 1e-8}).fun
    assert ours <= best + slack(ours)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_statsmodels_fits_no_better(seed):
    tmodel = pytest.importorskip("statsmodels.miscmodels.tmodel")
    X, y, _ = problem(seed, 400)
    theirs = tmodel.TLinearModel(y, X).fit(method="bfgs", maxiter=500, disp=False, gtol=1e-7)
    found = fitted(X, y)
    ours = nll(X, y, found)
    assert ours <= -theirs.llf + slack(ours)
    *beta, df, sigma = theirs.params
    if theirs.mle_retvals["converged"]:
        # where both gradients are below 1e-4 per row: a thousandth of a standard error at least
        se = np.exp(found.theta[-1]) / np.sqrt(found.noise.fisher[0] * 400)
        assert np.abs(found.theta[:-1] - beta).max() <= 0.1 * se
        assert abs(np.log(found.noise.df / df)) <= 0.03
        assert abs(found.theta[-1] - np.log(sigma)) <= 0.1 / np.sqrt(2 * 400)


@pytest.mark.parametrize("optimizer", [ml.Scipy(), ml.Scipy("L-BFGS-B")], ids=repr)
@pytest.mark.parametrize("df", [1.3, 5.0, np.inf])
def test_by_any_road_the_same(optimizer, df):
    X, y, _ = problem(7, df=df)
    first, second = fitted(X, y), fitted(X, y, optimizer=optimizer)
    assert first.status.code == second.status.code == "converged", second.status
    assert type(first.noise) is type(second.noise)
    if isinstance(first.noise, ml.StudentT):
        assert abs(np.log(first.noise.df / second.noise.df)) <= 2 * CLOSE * error(X, y, first)
    ours, theirs = nll(X, y, first), nll(X, y, second)
    # both are within a hundredth of a standard error of the minimum, in all directions
    assert abs(ours - theirs) <= 5 * 0.01**2


def error(X, y, found, **rows):
    """Standard error of log df, by the curvature of the profile in it: second differences."""
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **rows))
    profile, df = Profile(likelihood, ml.Newton().minimize_from), found.noise.df
    h = 0.01
    bend = profile(df * np.exp(h)) - 2 * profile(df) + profile(df * np.exp(-h))
    return h / np.sqrt(bend)


@pytest.mark.parametrize("seed", range(5))
def test_five_degrees_of_freedom_are_found(seed):
    # 4 standard errors: false alarm in one of 3000 seeds for each of the five
    X, y, _ = problem(seed, 5000, 5.0)
    found = fitted(X, y)
    kappa = 1 / 5
    # of κ in (log σ, κ): the information that is left when log σ is estimated too
    (a, b), (_, c) = shape_information(kappa)
    se = 1 / np.sqrt(5000 * (c - b * b / a)) / kappa
    assert abs(np.log(found.noise.df / 5)) <= 4 * se
    # what the message says of it, by its own data, is that up to one tenth
    told = float(found.status.message.split("standard error of log df is ")[1].split(". ")[0])
    # of the observed and the expected information, which differ by about 4/√5000 at most
    assert abs(told / se - 1) <= 0.25
    assert abs(error(X, y, found) / told - 1) <= 0.06  # two digits are told


@pytest.mark.parametrize("seed", range(12))
def test_the_fourth_moment_decides_whether_normal_noise_is_best(seed):
    X, y, _ = problem(seed, 300, np.inf)
    found = fitted(X, y)
    assert found.status.code == "converged"
    r = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    z = r / np.sqrt(np.mean(r * r))
    slope = by_kappa(0.0, z).rho.sum()
    kurtosis = np.mean(z**4)
    assert slope == pytest.approx(-(300 / 4) * (kurtosis - 3), abs=1e-10 * np.sum(z**4))
    if kurtosis < 3:
        assert found.noise == ml.Gaussian()
        assert "estimated as infinite, and counts as a parameter" in found.status.message
        exact = ml.Exact().minimize(ml.LinearLikelihood(X, y))
        assert (found.theta == exact.theta).all()
    else:  # some finite df is better, if only by a little
        assert 4 < found.noise.df < np.inf
        assert nll(X, y, found) < ml.LinearLikelihood(X, y).nll(
            ml.Exact().minimize(ml.LinearLikelihood(X, y)).theta
        )


def test_both_kinds_are_among_those_seeds():
    kinds = {type(fitted(*problem(seed, 300, np.inf)[:2]).noise) for seed in range(12)}
    assert kinds == {ml.Gaussian, ml.StudentT}


def test_cauchys_noise_is_at_the_limit_or_near():
    limits = 0
    for seed in range(10):
        X, y, _ = problem(seed, 400, 1.0)
        found = fitted(X, y)
        assert found.status.code == "converged"
        # log df has a standard error of 0.08: four of them
        assert 1 <= found.noise.df <= 1.4
        if found.noise.df == 1:
            limits += 1
            assert "df = 1 is the smallest allowed" in found.status.message
            profile = Profile(ml.LinearLikelihood(X, y), ml.Newton().minimize_from)
            assert profile(0.99) < profile(1.0) < profile(1.01)
    assert 1 <= limits <= 9  # of ten coins: 0.002 for either side
    lower = fitted(X, y, ml.StudentT(at_least=0.5))
    assert 0.7 <= lower.noise.df <= 1.4
    assert fitted(X, y, ml.StudentT(at_least=3)).noise.df == 3


@pytest.mark.parametrize("df", [2.0, 8.0])
def test_units_and_shifts_do_not_matter(df):
    X, y, _ = problem(12, df=df)
    base = fitted(X, y)
    D, c, b = np.array([1.0, 1e7, 1e-9]), np.array([10.0, -2.0, 3.0]), -1e5
    moved = fitted(X * D, X @ c + b * y)
    assert moved.status.code == base.status.code == "converged"
    assert abs(np.log(moved.noise.df / base.noise.df)) <= 2 * CLOSE * error(X, y, base)
    se = np.exp(base.theta[-1]) * abs(b) / np.sqrt(base.noise.fisher[0] * len(y)) / D
    expected = (b * base.theta[:-1] + c) / D
    assert (np.abs(moved.theta[:-1] - expected) <= 4 * CLOSE * se).all()
    assert abs(moved.theta[-1] - base.theta[-1] - np.log(1e5)) <= 4 * CLOSE


def test_a_row_of_frequency_k_is_k_rows_and_precision_is_a_scale():
    X, y, rng = problem(13)
    k, w = rng.integers(0, 4, 200), rng.uniform(0.1, 9, 200)
    weighted = fitted(X, y, frequency=k, precision=w)
    repeated = fitted(np.repeat(X, k, axis=0), np.repeat(y, k), precision=np.repeat(w, k))
    se = error(X, y, weighted, frequency=k, precision=w)
    assert abs(np.log(weighted.noise.df / repeated.noise.df)) <= 2 * CLOSE * se
    scaled = fitted(X * np.sqrt(w)[:, None], y * np.sqrt(w), frequency=k)
    assert abs(np.log(weighted.noise.df / scaled.noise.df)) <= 2 * CLOSE * se


@pytest.mark.parametrize("prior", [None, NormalPrior(0.5)])
@pytest.mark.parametrize("scale", [False, True])
def test_the_slope_of_the_profile_is_the_envelopes(prior, scale):
    X, y, rng = problem(14)
    rows = {}
    if scale:
        Z = np.column_stack([np.ones(200), rng.uniform(-1, 1, 200)])
        y, rows = y * np.exp(Z @ [0.0, 1.0]), {"scale": Z}
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **rows), None, prior)
    profile = Profile(likelihood, ml.Newton().minimize_from)
    for kappa in (0.0, 0.05, 0.3, 0.9):
        here, h = profile.at(kappa), 1e-4
        if kappa:
            above, below = profile.at(kappa + h), profile.at(kappa - h)
            # the third derivative of the profile is below 1e5 here, the NLL exact to 1e-10
            assert abs((above.nll - below.nll) / (2 * h) - here.slope) <= 1e5 * h**2 + 1e-6
            assert abs((above.slope - below.slope) / (2 * h) - here.curvature) <= 1e6 * h**2 + 1e-2
            moved = (above.solution.theta - below.solution.theta) / (2 * h)
            assert np.abs(moved - here.drift).max() <= 1e-4
        else:
            above = profile.at(h)
            assert abs((above.nll - here.nll) / h - here.slope) <= h * abs(here.curvature) + 1
    found = fitted(X, y, prior=prior, **rows)
    assert found.status.code == "converged"
    assert len(found.theta) == 3 + (2 if scale else 1)
    values = [profile(df) for df in np.geomspace(1, 500, 60)]
    assert profile(found.noise.df) <= min(values) + 1e-6


def test_a_better_minimum_in_theta_is_not_missed():
    # two clusters: at small df there are two minima, at large df one
    y = np.r_[np.full(12, -30.0), np.full(9, 30.0)] + np.random.default_rng(0).standard_normal(21)
    found = fitted(np.ones((21, 1)), y)
    ours = nll(np.ones((21, 1)), y, found)
    for df in np.geomspace(1, 1000, 40):
        other = fitted(np.ones((21, 1)), y, ml.StudentT(df))
        assert ours <= nll(np.ones((21, 1)), y, other) + 1e-6


def test_without_a_maximum_it_is_a_status():
    X, y, _ = problem(16, 5)
    found = fitted(X, y)  # three of five rows: for df = 1 that is enough
    assert found.status.code == "unbounded"
    assert "raise at_least" in found.status.message
    assert fitted(X, y, ml.StudentT(at_least=3)).status.code in ("converged", "stopped")
    ties = np.r_[np.zeros(6), 1.0, 2.0, 3.0, 4.0] + 7
    assert fitted(np.ones((10, 1)), ties).status.code == "unbounded"
    assert fitted(np.ones((10, 1)), ties, ml.StudentT(at_least=2)).status.code == "converged"
    perfect = fitted(X, X @ [1.0, 2.0, 3.0])
    assert perfect.status.code == "perfect-fit"
    assert isinstance(perfect.noise, ml.StudentT)
    with pytest.raises(ml.RankDeficient, match="x3 = x2"):
        fitted(X[:, [0, 1, 1]], y)


def test_outliers_of_any_size():
    X, y, _ = problem(14, 60, df=30)
    y[:3] = [1e12, -3e11, 5e12]
    found = fitted(X, y)
    assert found.status.code == "converged", found.status
    assert found.theta[:-1] == pytest.approx([1, 2, -3], abs=1)


def test_what_it_says_when_it_does_not_arrive():
    X, y, _ = problem(17)
    y[0] = 1e9
    short = fitted(X, y, optimizer=ml.Newton(max_iterations=1), start=[50.0, 50, 50])
    assert short.status.code == "stopped"
    assert "raise max_iterations" in short.status.message
    assert "The best df so far is" in short.status.message
    given = fitted(X, y, start=[1.0, 2.0, -3.0])
    assert "one start (the start that was given)" in given.status.message


def test_of_many_rows_a_sample_says_where_to_start():
    X, y, _ = problem(18, 60_000, 3.0)
    found = fitted(X, y)
    assert found.status.code == "converged"
    assert "the best of a sample of 5002 rows" in found.status.message
    fixed = fitted(X, y, ml.StudentT(3))
    assert found.reads <= 3 * fixed.reads
    profile = Profile(ml.LinearLikelihood(X, y), ml.Newton().minimize_from)
    here, h = profile(found.noise.df), 0.02
    assert here <= profile(found.noise.df * (1 + h))
    assert here <= profile(found.noise.df * (1 - h))


def test_other_optimizers_refuse_it():
    likelihood = ml.LinearLikelihood(np.ones((9, 1)), np.arange(9.0), noise=FREE)
    for optimizer in (ml.Exact(), ml.SGD(0.1)):
        with pytest.raises(ml.InvalidInput, match=r"StudentT\(\)"):
            optimizer.minimize(likelihood)
    with pytest.raises(ml.InvalidInput, match="df must be positive"):
        Profile(likelihood, ml.Newton().minimize_from)(0.0)


def test_through_the_front_door(tmp_path):
    for df, kind in ((3.0, ml.StudentT), (np.inf, ml.Gaussian)):
        X, y, _ = problem(0, 300, df)
        fit = ml.fit(X[:, 1:], y, noise=FREE)
        assert type(fit.noise) is kind
        assert fit.n_shape == 1
        same = ml.fit(X[:, 1:], y, noise=fit.noise)
        assert abs(fit.nll - same.nll) <= slack(fit.nll)
        # the same model with df given has one parameter less
        assert fit.aic - same.aic == pytest.approx(2, abs=2 * slack(fit.nll))
        assert np.abs(fit.std_errors / same.std_errors - 1).max() <= 1e-6
        fit.save(tmp_path / "fit.json")
        again = ml.load(tmp_path / "fit.json")
        assert (again.noise, again.n_shape, again.aic) == (fit.noise, 1, fit.aic)
    with pytest.raises(ml.InvalidInput, match="no degrees of freedom yet"):
        ml.certify(fit.params, X[:, 1:], y, noise=FREE)
