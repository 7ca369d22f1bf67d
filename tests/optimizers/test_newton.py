"""Newton's method against estimates found without this package."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import mlreg as ml
from mlreg.certificate import certificate
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify.strategies import designs

SMOOTH = [
    ml.Gaussian(),
    ml.Logistic(),
    ml.Huber(),
    ml.StudentT(1),
    ml.StudentT(2),
    ml.StudentT(4),
    ml.StudentT(30),
]
ON_RECORD = [noise for noise in SMOOTH if not isinstance(noise, ml.Huber)]  # by SciPy's densities


def newton(X, y, noise, start=None, **weights):
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **weights), noise)
    return ml.Newton().minimize(likelihood, start), likelihood


def problem(seed, n=40, df=3):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    return X, X @ [1.0, 2.0, -3.0] + rng.standard_t(df, n), rng


@pytest.mark.parametrize("noise", ON_RECORD, ids=repr)
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([12, 60]), weighted=st.booleans())
def test_it_is_the_estimate_of_others(independent, noise, seed, n, weighted):
    X, y, rng = problem(seed, n)
    X = X * 10.0 ** rng.integers(-6, 6, 3)
    weights = {}
    if weighted:
        weights = {"frequency": rng.integers(0, 4, n), "precision": rng.uniform(0.1, 9, n)}
        weights["frequency"][:8] += 1
    best, log_sigma, value = independent.mle(X, y, noise, **weights)
    found, likelihood = newton(X, y, noise, **weights)
    assert found.status.code in ("converged", "unbounded"), found.status
    if found.status.code == "unbounded":
        return
    nll, slack = likelihood.nll(found.theta), 1e-8 * (1 + abs(value))
    if nll > value + slack:  # one of several minima: from there it stays there
        assert not noise.log_concave
        found, _ = newton(X, y, noise, start=best, **weights)
        assert found.status.code in ("converged", "unbounded"), found.status
        nll = likelihood.nll(found.theta)
        if found.status.code == "unbounded":
            return
    assert nll <= value + slack
    if noise.log_concave or nll >= value - slack:
        far = independent.distance(X, noise, found.theta[:-1], best, log_sigma, **weights)
        assert far <= 1e-4
        assert abs(found.theta[-1] - log_sigma) <= 1e-4
    assert certificate(likelihood, found.theta[:-1]).distance <= 1e-5
    assert found.history.distance[-1] == found.certificate.distance


@pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")
@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
@settings(max_examples=15)
@given(problem=designs(max_log_condition=5, max_offset=1e3))
def test_it_converges_on_all_designs(noise, problem):
    likelihood = ml.LinearLikelihood(problem.X, problem.y, noise=noise)
    found = ml.Newton().minimize(likelihood)
    if isinstance(noise, ml.StudentT) and found.status.code == "stopped":
        # exactly df/(df + 1) of the rows can be fitted, and sigma goes to zero ever more slowly
        assert problem.X.shape[1] * (noise.df + 1) == len(problem.y) * noise.df
        assert "sigma runs to zero" in found.status.message
        return
    assert found.status.code in ("converged", "unbounded", "perfect-fit"), found.status
    if found.status.code == "converged":
        assert np.isfinite(found.theta).all()
        assert found.certificate.converged
        assert (np.diff(found.history.mean_nll) <= 1e-9 * np.abs(found.history.mean_nll[:-1])).all()
    if found.status.code == "unbounded":
        assert not noise.log_concave


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_a_constant_alone_is_the_location_of_scipy(noise):
    y = np.random.default_rng(2).standard_t(3, 200) * 3 + 7
    found, likelihood = newton(np.ones((200, 1)), y, noise)
    assert found.status.code == "converged"
    location, sigma = found.theta[0], np.exp(found.theta[-1])
    if isinstance(noise, ml.Gaussian):
        assert (location, sigma) == pytest.approx(stats.norm.fit(y), rel=1e-9)
    elif isinstance(noise, ml.Logistic):
        z = (y - location) / sigma  # the two equations of the logistic location and scale
        assert np.mean(stats.logistic.cdf(z)) == pytest.approx(0.5, abs=1e-9)
        assert np.mean(z * np.tanh(z / 2)) == pytest.approx(1, abs=1e-9)
    elif isinstance(noise, ml.StudentT):
        z = (y - location) / sigma
        weight = (noise.df + 1) / (noise.df + z * z)
        assert np.average(y, weights=weight) == pytest.approx(location, rel=1e-9)
        assert np.mean(weight * z * z) == pytest.approx(1, abs=1e-9)
    else:
        z = np.clip((y - location) / sigma, -noise.k, noise.k)
        assert np.mean(z) == pytest.approx(0, abs=1e-9)
    assert likelihood.gradient(found.theta) == pytest.approx(0, abs=1e-4)


def test_symmetric_data_have_their_centre():
    y = np.array([-3.0, -1.0, -0.5, 0.5, 1.0, 3.0]) + 5
    for noise in SMOOTH:
        found, _ = newton(np.ones((6, 1)), y, noise)
        assert found.theta[0] == pytest.approx(5, abs=1e-6)


def test_statsmodels_student_t():
    miscmodels = pytest.importorskip("statsmodels.miscmodels.tmodel")
    X, y, _ = problem(11, 200)
    model = miscmodels.TLinearModel(y, X, fix_df=4.0)
    model.df = 4.0
    theirs = model.fit(method="bfgs", maxiter=500, disp=False, gtol=1e-8)
    found, likelihood = newton(X, y, ml.StudentT(4))
    ours = np.append(found.theta[:-1], np.exp(found.theta[-1]))
    assert ours == pytest.approx(theirs.params, abs=1e-4)
    assert likelihood.nll(found.theta) == pytest.approx(-theirs.llf, rel=1e-9)


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_units_offsets_and_shifts_do_not_matter(noise):
    X, y, _ = problem(12)
    base, _ = newton(X, y, noise)
    D, c, b = np.array([1.0, 1e7, 1e-9]), np.array([10.0, -2.0, 3.0]), -1e5
    moved, _ = newton(X * D, X @ c + b * y, noise)
    expected = (b * base.theta[:-1] + c) / D
    se = np.exp(base.theta[-1]) * abs(b) / np.sqrt(noise.fisher[0] * 40) / D
    assert (np.abs(moved.theta[:-1] - expected) <= 1e-5 * se).all()
    assert moved.theta[-1] - base.theta[-1] == pytest.approx(np.log(1e5), abs=1e-6)
    assert moved.status.code == base.status.code == "converged"


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_a_row_of_frequency_k_is_k_rows(noise):
    X, y, rng = problem(13)
    k = rng.integers(0, 4, 40)
    weighted, _ = newton(X, y, noise, frequency=k)
    repeated, _ = newton(np.repeat(X, k, axis=0), np.repeat(y, k), noise)
    assert weighted.theta == pytest.approx(repeated.theta, abs=1e-6)


def test_two_minima_are_told_apart():
    y = np.r_[np.full(12, -30.0), np.full(9, 30.0)] + np.random.default_rng(0).standard_normal(21)
    found, likelihood = newton(np.ones((21, 1)), y, ml.StudentT(1))
    assert found.status.code == "converged"
    assert "stationary point" in found.status.message
    assert found.theta[0] < -25
    other, _ = newton(np.ones((21, 1)), y, ml.StudentT(1), start=[30.0])
    assert "one start (the start that was given)" in other.status.message
    assert likelihood.nll(found.theta) <= likelihood.nll(other.theta)


def test_off_a_saddle_by_its_side():
    y = np.array([-10.0, -9.9, -10.2, 10.0, 9.9, 10.2])
    for noise in (ml.StudentT(1), ml.StudentT(2)):
        found, _ = newton(np.ones((6, 1)), y, noise)
        assert found.status.code == "converged", found.status
        assert found.certificate.definite


@pytest.mark.parametrize("noise", [ml.Logistic(), ml.Huber(), ml.StudentT(1), ml.StudentT(4)])
def test_outliers_of_any_size(noise):
    X, y, _ = problem(14, 60, df=30)
    y[:3] = [1e12, -3e11, 5e12]
    found, _ = newton(X, y, noise)
    assert found.status.code == "converged", found.status
    if isinstance(noise, ml.StudentT) and noise.df == 1:
        assert found.theta[:-1] == pytest.approx([1, 2, -3], abs=1)


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_hostile_designs(noise):
    X, y, rng = problem(15)
    near = X.copy()
    near[:, 2] = near[:, 1] + 1e-9 * near[:, 2]
    found, _ = newton(near, X[:, 1] + rng.standard_normal(40), noise)
    assert found.status.code == "converged", found.status
    far = X + np.array([0, 1e9, 0])
    assert newton(far, y, noise)[0].status.code == "converged"
    single = newton(X.astype(np.float32), y.astype(np.float32), noise)[0]
    assert single.theta == pytest.approx(newton(X, y, noise)[0].theta, abs=1e-4)
    assert newton(X, np.full(40, 3.0), noise)[0].status.code == "perfect-fit"
    assert newton(X, X @ [1.0, 2.0, 3.0], noise)[0].status.code == "perfect-fit"
    square = newton(X[:3], y[:3], noise)[0]
    assert square.status.code == "perfect-fit"
    with pytest.raises(ml.RankDeficient, match="2 rows cannot determine"):
        newton(X[:2], y[:2], noise)
    with pytest.raises(ml.RankDeficient, match="x3 = x2"):
        newton(X[:, [0, 1, 1]], y, noise)
    absurd = newton(X, y, noise, start=np.full(3, 1e300))[0]
    assert absurd.status.code in ("converged", "stopped")


def test_student_without_a_maximum_is_a_status():
    X, y, rng = problem(16, 5)  # three columns fit three of five rows: 5·1/2 are enough
    found, _ = newton(X, y, ml.StudentT(1))
    assert found.status.code == "unbounded"
    assert "with 3 or more the NLL falls without end" in found.status.message
    assert "df above 1.5" in found.status.message
    assert found.theta[-1] == found.history.mean_nll[-1] == -np.inf
    assert np.sort(np.abs(y - X @ found.theta[:-1]))[2] < 1e-12
    assert not found.status.ok
    # of ten rows six are the same: more than a half, less than two thirds
    y = np.r_[np.zeros(6), 1.0, 2.0, 3.0, 4.0] + 7
    found, _ = newton(np.ones((10, 1)), y, ml.StudentT(1))
    assert found.status.code == "unbounded"
    assert "6 of the 10 rows are fitted exactly" in found.status.message
    assert newton(np.ones((10, 1)), y, ml.StudentT(2))[0].status.code == "converged"
    assert newton(np.ones((10, 1)), y, ml.Logistic())[0].status.code == "converged"
    # the same in frequencies, and hidden behind two columns
    found, _ = newton(np.ones((5, 1)), y[5:], ml.StudentT(1), frequency=np.array([6, 1, 1, 1, 1]))
    assert found.status.code == "unbounded"
    # three rows of high frequency are half of the observations: wherever they are
    X, y, _ = problem(4466, 12)
    k = np.array([4, 1, 1, 4, 1, 1, 1, 1, 1, 4, 1, 1])
    found, _ = newton(X, y, ml.StudentT(1), frequency=k)
    assert found.status.code == "unbounded"
    assert "12 of the 21 rows are fitted exactly" in found.status.message
    x = rng.standard_normal(40)
    y = 1 + 2 * x + np.where(np.arange(40) < 12, rng.standard_t(2, 40), 0)
    found, _ = newton(np.column_stack([np.ones(40), x]), y, ml.StudentT(1))
    assert found.status.code == "unbounded", found.status
    assert found.theta[:-1] == pytest.approx([1, 2], abs=1e-9)


def test_iterations_and_reads_are_counted_and_limits_kept():
    X, y, _ = problem(17)
    likelihood = ml.LinearLikelihood(X, y, noise=ml.StudentT(1))
    found = ml.Newton().minimize(likelihood)
    assert found.reads == likelihood.reads
    y[0] = 1e9
    short = ml.Newton(max_iterations=1).minimize(
        ml.LinearLikelihood(X, y, noise=ml.StudentT(1)), [50.0, 50, 50]
    )
    assert short.status.code == "stopped"
    assert "1 iterations were not enough: raise max_iterations" in short.status.message
    assert len(short.history.distance) == 2


def test_misuse():
    X, y, _ = problem(18)
    with pytest.raises(ml.InvalidInput, match="has kinks"):
        newton(X, y, ml.Laplace())
    with pytest.raises(ml.InvalidInput, match="start must be 3 finite"):
        newton(X, y, ml.Logistic(), start=[1.0])
    for wrong in ({"tolerance": 0}, {"tolerance": "x"}, {"max_iterations": 0}):
        with pytest.raises(ml.InvalidInput, match="must be"):
            ml.Newton(**wrong)
    with pytest.raises(ml.InvalidInput, match=r"Newton\(\) minimises its NLL"):
        ml.Exact().minimize(ml.LinearLikelihood(X, y, noise=ml.Logistic()))


def test_a_sample_that_lacks_the_row_that_matters_is_no_start():
    """One row of 100 000 is long, and decides about eight coefficients: no sample knows them."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(100_000), rng.standard_normal((100_000, 8))])
    X[30_000, 1:] *= 1e4
    y = X.sum(axis=1) + rng.standard_t(4, 100_000)
    found, likelihood = newton(X, y, ml.StudentT(4))
    assert found.status.code == "converged", found.status
    assert likelihood.nll(found.theta) <= likelihood.nll(np.append(np.ones(9), 0.0))
