"""AutoSGD: what it says converged is, whatever the units, the design and the noise."""

import numpy as np
import pytest
from scipy import stats

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource

NOISES = [
    ml.Gaussian(),
    ml.StudentT(4),
    ml.StudentT(1.5),
    ml.Logistic(),
    ml.Huber(1.345),
    ml.Laplace(),
]
ON_RECORD = [ml.Gaussian(), ml.StudentT(4), ml.Logistic()]  # by SciPy's densities
ids = [repr(noise) for noise in NOISES]


def draw(noise, n, rng):
    return noise.sample(n, rng)


def problem(noise, n=4000, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.3 * rng.standard_normal((p, p)))
    return X, 1 + X @ rng.standard_normal(p) + draw(noise, n, rng)


def apart(found, exact):
    """Largest error over all contrasts, in the standard errors of the exact fit."""
    return float(np.linalg.norm(np.linalg.solve(root(exact), found.params - exact.params)))


def root(fit):
    return np.linalg.cholesky(fit.covariance())


def conditioned(n, p, condition, rng):
    Q = np.linalg.qr(rng.standard_normal((p, p)))[0]
    return rng.standard_normal((n, p)) @ (Q * np.geomspace(1, 1 / condition, p)) @ Q.T


@pytest.mark.parametrize("condition", [1, 30, 1000])
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4)], ids=repr)
def test_reads_to_a_certified_tenth_of_a_standard_error(noise, condition):
    rng = np.random.default_rng(condition)
    X = conditioned(100_000, 19, condition, rng)
    y = X @ rng.standard_normal(19) + 3 + draw(noise, 100_000, rng)
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD())
    assert fit.status.code == "converged", fit.status
    assert fit.solution.reads <= 4
    assert fit.reads == fit.solution.reads  # nothing was read behind its back
    assert fit.solution.reads_by["factor"] == 0  # the sample was enough
    assert sum(fit.solution.reads_by.values()) == pytest.approx(fit.solution.reads, abs=1e-12)
    assert apart(fit, ml.fit(X, y, noise=noise)) <= 0.1
    # the minibatches themselves came near: Eq. (13.10) says about 0.3
    first = 1 if noise == ml.Gaussian() else 0
    assert fit.history.distance[first] < 0.6


def hostile(name, n, rng):
    Z = rng.standard_normal((n, 8))
    if name == "units and means":
        units = np.geomspace(1e-4, 1e4, 8)
        return Z * units + 100 * units
    if name == "monomials":
        return rng.uniform(size=n)[:, None] ** np.arange(1, 10)
    if name == "rare dummies":
        rare = rng.uniform(size=(n, 3)) < 2e-4
        return np.column_stack([np.exp(Z[:, :3]), rng.standard_t(3, (n, 3)), rare])
    if name == "one row":
        Z[n // 3] *= 1e4
        return Z
    assert name == "timestamps"
    return np.column_stack([1.7e9 + rng.uniform(0, 1e6, n), Z[:, 0]])


@pytest.mark.parametrize(
    "name", ["units and means", "monomials", "rare dummies", "one row", "timestamps"]
)
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4), ml.Logistic()], ids=repr)
def test_hostile_designs(noise, name):
    rng = np.random.default_rng(3)
    X = hostile(name, 100_000, rng)
    y = ((X - X.mean(axis=0)) / X.std(axis=0)).sum(axis=1) + draw(noise, len(X), rng)
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD())
    assert fit.status.code == "converged", fit.status
    assert fit.solution.reads <= 6
    exact = ml.fit(X, y, noise=noise)
    # per coefficient: a covariance of condition 1e20 has no Cholesky factor
    assert np.max(np.abs(fit.params - exact.params) / exact.std_errors) <= 0.1
    assert fit.certificate.distance <= 0.1
    if noise == ml.Gaussian() and name in ("monomials", "rare dummies"):
        assert fit.solution.reads_by["factor"] >= 1


@pytest.mark.parametrize("noise", ON_RECORD, ids=repr)
def test_what_converged_is_within_tolerance_of_an_independent_estimate(noise, independent):
    for seed in range(8):
        X, y = problem(noise, n=600, p=2, seed=seed)
        fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(seed=seed))
        assert fit.status.code == "converged", fit.status
        X1 = np.column_stack([np.ones(len(X)), X])
        best, log_sigma, _ = independent.mle(X1, y, noise)
        assert independent.distance(X1, noise, fit.params, best, log_sigma) <= 0.1
        assert np.sqrt(2 * len(y)) * abs(np.log(fit.sigma) - log_sigma) <= 0.1 * 2


def t_by_reweighting(X, y, df, steps=400):
    """The MLE under t noise by the EM algorithm, and its distance measure."""
    beta, sigma = np.linalg.lstsq(X, y, rcond=None)[0], y.std()
    for _ in range(steps):
        r = y - X @ beta
        w = (df + 1) / (df + (r / sigma) ** 2)
        beta = np.linalg.solve(X.T @ (X * w[:, None]), X.T @ (w * y))
        sigma = np.sqrt(np.mean(w * (y - X @ beta) ** 2))
    return beta, sigma


@pytest.mark.slow
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4)], ids=repr)
def test_no_false_claim_in_200_seeds(noise):
    """No tolerance: of 200 fits that say converged none may be farther."""
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        n = int(rng.choice([400, 3000, 12_000]))
        X, y = problem(noise, n=n, p=int(rng.integers(1, 6)), seed=seed)
        X = X * 10.0 ** rng.integers(-5, 5, X.shape[1]) + rng.integers(0, 3)
        fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(seed=seed))
        assert fit.status.code == "converged", (seed, fit.status)
        X1 = np.column_stack([np.ones(n), (X - X.mean(axis=0)) / X.std(axis=0)])
        if noise == ml.Gaussian():
            best = np.linalg.lstsq(X1, y, rcond=None)[0]
            sigma = np.sqrt(np.sum((y - X1 @ best) ** 2) / (n - X1.shape[1]))
        else:
            best, sigma = t_by_reweighting(X1, y, noise.df)
        error = (fit.params[0] + X @ fit.params[1:]) - X1 @ best
        distance = np.linalg.norm(error) / sigma * np.sqrt(noise.fisher[0])
        assert distance <= 0.1, (seed, distance, fit.status)


@pytest.mark.parametrize("noise", NOISES, ids=ids)
@pytest.mark.parametrize("tolerance", [0.5, 0.1, 1e-3])
def test_it_stops_at_the_tolerance(noise, tolerance):
    X, y = problem(noise)
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(tolerance))
    assert fit.certificate.distance <= tolerance
    assert apart(fit, ml.fit(X, y, noise=noise)) <= tolerance
    assert (fit.status.code == "converged") == fit.certificate.converged
    if fit.status.code == "stopped":
        assert "within the tolerance of 0.5" in fit.status.message


@pytest.mark.parametrize("noise", NOISES, ids=ids)
def test_units_and_shifts_do_not_matter(noise):
    """Powers of two change nothing at all; a shift along the columns what rounding does."""
    X, y = problem(noise)
    exact = ml.fit(X, y, noise=noise)
    one = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD())
    units, of_y = np.array([2.0**-30, 2.0**20, 1.0, 2.0**40]), 2.0**7
    other = ml.fit(X * units, y * of_y, noise=noise, optimizer=ml.AutoSGD())
    assert other.params[1:] * units / of_y == pytest.approx(one.params[1:], rel=1e-12)
    shifted = ml.fit(X, y + 5 + X @ [3.0, -2, 1, 7], noise=noise, optimizer=ml.AutoSGD())
    move = (shifted.params - one.params - [5.0, 3, -2, 1, 7]) / exact.std_errors
    assert np.abs(move).max() < 1e-6


@pytest.mark.parametrize("noise", NOISES, ids=ids)
def test_a_seed_replays_and_another_differs(noise):
    X, y = problem(noise)
    way = [
        ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(0.5, seed=seed)).params for seed in (1, 1, 2)
    ]
    assert (way[0] == way[1]).all()
    assert type(noise) is ml.Laplace or (way[0] != way[2]).any()


@pytest.mark.parametrize("noise", NOISES, ids=ids)
@pytest.mark.parametrize("batch_size", [1, 7, 128, 4000, 10**6])
def test_any_batch_size(noise, batch_size):
    X, y = problem(noise, n=1501, p=2)
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(batch_size=batch_size))
    assert fit.status.code == "converged"
    assert apart(fit, ml.fit(X, y, noise=noise)) <= 0.1


@pytest.mark.parametrize("noise", NOISES, ids=ids)
def test_weights_are_repetition_and_precision(noise):
    X, y = problem(noise, n=3000, p=2)
    rng = np.random.default_rng(1)
    weights = {
        "frequency_weights": rng.integers(0, 4, 3000),
        "precision_weights": rng.uniform(0.1, 9, 3000),
    }
    y = y / np.sqrt(weights["precision_weights"])
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD(), **weights)
    assert fit.status.code == "converged", fit.status
    assert apart(fit, ml.fit(X, y, noise=noise, **weights)) <= 0.1
    assert "found as" not in fit.status.message


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4), ml.Laplace()], ids=repr)
def test_a_scale_design(noise):
    X, y = problem(noise, n=6000, p=2)
    z = np.random.default_rng(2).standard_normal((6000, 1))
    y = y + (np.exp(z[:, 0]) - 1) * draw(noise, 6000, np.random.default_rng(3))
    fit = ml.fit(X, y, noise=noise, scale=z, optimizer=ml.AutoSGD())
    exact = ml.fit(X, y, noise=noise, scale=z)
    assert fit.status.code == "converged", fit.status
    assert np.max(np.abs(fit.params - exact.params) / exact.std_errors) <= 0.1
    assert np.max(np.abs(fit.scale_params - exact.scale_params) / exact.scale_std_errors) <= 0.2


def test_df_that_is_to_be_estimated():
    X, y = problem(ml.StudentT(4), n=6000, p=2)
    fit = ml.fit(X, y, noise=ml.StudentT(), optimizer=ml.AutoSGD())
    assert fit.noise.df == pytest.approx(ml.fit(X, y, noise=ml.StudentT()).noise.df, rel=1e-4)


@pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")  # a t of few rows: unbounded
@pytest.mark.parametrize("noise", NOISES, ids=ids)
@pytest.mark.parametrize("n", [3, 4, 5, 12, 60, 250])
def test_few_rows_are_fitted_without_minibatches(noise, n):
    X, y = problem(noise, n=n, p=2)
    fit, exact = (ml.fit(X, y, noise=noise, optimizer=o) for o in (ml.AutoSGD(), None))
    assert fit.status.code == exact.status.code
    if fit.status.code == "converged":
        assert apart(fit, exact) <= 0.1
    assert n > 100 or "too few for minibatches" in fit.status.message


def test_what_has_no_answer_is_refused_as_elsewhere():
    X, y = problem(ml.StudentT(4), n=2000, p=3)
    twice = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
    for noise in (ml.Gaussian(), ml.StudentT(4)):
        with pytest.raises(ml.RankDeficient, match="x4"):
            ml.fit(twice, y, noise=noise, optimizer=ml.AutoSGD())
        dropped = ml.fit(twice, y, noise=noise, optimizer=ml.AutoSGD(), rank_deficient="drop")
        assert np.isnan(dropped.params[4])
        assert dropped.status.code == "converged"
    fit = ml.fit(X, X @ [1.0, 2, 3] + 4, noise=ml.StudentT(4), optimizer=ml.AutoSGD())
    assert fit.status.code == "perfect-fit"
    with pytest.raises(ml.InvalidInput, match=r"AutoSGD\(\) follows the likelihood"):
        ml.fit(X, y, prior=ml.NormalPrior(1), optimizer=ml.AutoSGD())
    with pytest.raises(ml.InvalidInput, match="start must be 4 finite numbers"):
        ml.fit(X, y, optimizer=ml.AutoSGD(), start=[1.0])


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"tolerance": 0}, "tolerance must be positive"),
        ({"tolerance": True}, "tolerance must be positive"),
        ({"tolerance": np.nan}, "tolerance must be positive"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_configurations_are_checked(bad, match):
    with pytest.raises(ml.InvalidInput, match=match):
        ml.AutoSGD(**bad)


class Counting:
    """A source of one's own, which counts the rows that were read."""

    def __init__(self, X, y, *, n_rows=None, rereadable=True):
        self.inner = ArraySource(X, y)
        self.names, self.n_rows, self.rereadable = self.inner.names, n_rows, rereadable
        self.read = 0

    def blocks(self, size=None, rng=None):
        for block in self.inner.blocks(size, rng):
            self.read += len(block.y)
            yield block


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4)], ids=repr)
@pytest.mark.parametrize("known", [True, False])
def test_every_row_that_is_read_is_counted(noise, known):
    X, y = problem(noise, n=50_000)
    source = Counting(X, y, n_rows=50_000 if known else None)
    likelihood = ml.LinearLikelihood.from_source(source, noise)
    solution = ml.AutoSGD().minimize(likelihood)
    assert solution.status.code == "converged"
    assert source.read / 50_000 == pytest.approx(solution.reads, abs=1e-9)
    assert solution.reads == likelihood.reads


def test_rows_that_can_be_read_once_only_are_refused_at_once():
    X, y = problem(ml.Gaussian(), n=50)
    source = Counting(X, y, rereadable=False)
    with pytest.raises(ml.InvalidInput, match="more than once"):
        ml.fit(source, optimizer=ml.AutoSGD())
    assert source.read == 0


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4)], ids=repr)
def test_rows_sorted_by_the_response(noise, tmp_path):
    """Out of core, in the order least favourable to minibatches: the certificate does not care."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    X, y = problem(noise, n=60_000, p=2)
    order = np.argsort(y)
    table = pa.table({"x1": X[order, 0], "x2": X[order, 1], "y": y[order]})
    pq.write_table(table, tmp_path / "sorted.parquet", row_group_size=5000)
    source = ml.read(tmp_path / "sorted.parquet", "y ~ x1 + x2")
    fit = ml.fit(source, noise=noise, optimizer=ml.AutoSGD())
    assert fit.status.code == "converged", fit.status
    assert apart(fit, ml.fit(X[:, :2], y, noise=noise)) <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["expected", "HC0"])
def test_intervals_cover(kind):
    """Plug-in intervals of normal data: at most 5 in 10⁴ such tests fail by chance.

    Of 1000 intervals at 95 % a share with standard error 0.69 % covers; 3.5 of these are allowed.
    An interval shorter by 8 % covers 92.9 % and is found out in 60 % of the runs, one shorter by
    15 % in all but one of a thousand.
    """
    truth, hits = np.array([1.0, 2, -3]), 0
    for seed in range(1000):
        rng = np.random.default_rng([11, seed])
        X = rng.standard_normal((2000, 2))
        spread = 1.0 if kind == "expected" else np.exp(0.5 * X[:, 0])
        y = truth[0] + X @ truth[1:] + spread * rng.standard_normal(2000)
        fit = ml.fit(X, y, optimizer=ml.AutoSGD(seed=seed))
        half = stats.norm.ppf(0.975) * np.sqrt(np.diag(fit.covariance(kind)))
        hits += abs(fit.params[1] - truth[1]) <= half[1]
    assert abs(hits / 1000 - 0.95) <= 3.5 * np.sqrt(0.95 * 0.05 / 1000)
