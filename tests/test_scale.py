"""Noise whose size differs from row to row, against estimates and densities of others."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import mlreg as ml
from mlreg.certificate import certificate
from mlreg.likelihood.blocks import ArraySource

NOISES = [ml.Gaussian(), ml.Logistic(), ml.StudentT(3), ml.Huber(), ml.Laplace()]
DENSITY = {
    ml.Gaussian(): stats.norm(),
    ml.Logistic(): stats.logistic(),
    ml.StudentT(3): stats.t(3),
}


def problem(seed, n=120, noise=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    Z = rng.standard_normal((n, 1))
    noise = ml.Gaussian() if noise is None else noise
    y = 1 + X @ [2.0, -3.0] + np.exp(0.3 + 0.6 * Z[:, 0]) * noise.sample(n, rng)
    return X, y, Z, rng


def with_ones(a):
    return np.column_stack([np.ones(len(a)), a])


@pytest.mark.parametrize("noise", list(DENSITY), ids=repr)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32 - 1),
    unit=st.sampled_from([1e-6, 1.0, 1e6]),
    weighted=st.booleans(),
)
def test_it_is_the_maximum_by_the_densities_of_scipy(noise, seed, unit, weighted):
    X, y, Z, rng = problem(seed, noise=noise)
    weights = {}
    if weighted:
        weights = {
            "frequency_weights": rng.integers(0, 4, len(y)),
            "precision_weights": rng.uniform(0.1, 9, len(y)),
        }
    fit = ml.fit(X * [1, unit], y, noise=noise, scale=Z * unit, **weights)
    assert fit.status.code == "converged", fit.status
    k = weights.get("frequency_weights", np.ones(len(y)))
    w = weights.get("precision_weights", np.ones(len(y)))
    log_density = DENSITY[noise].logpdf

    def nll(x):
        log_sigma = x[3] + Z[:, 0] * x[4] - 0.5 * np.log(w)
        z = (y - x[0] - X @ x[1:3]) * np.exp(-log_sigma)
        return -np.sum(k * (log_density(z) - log_sigma))

    units = np.array([1, 1, 1 / unit, 1, 1 / unit])
    ours = np.append(fit.params, fit.scale_params) / units
    assert abs(fit.nll - nll(ours)) <= 1e-12 * np.abs(k).sum() * 20
    with np.errstate(all="ignore"):
        theirs = optimize.minimize(nll, ours + 0.01, method="BFGS", options={"gtol": 1e-6})
    assert fit.nll <= theirs.fun + 1e-9 * abs(theirs.fun)
    errors = np.append(fit.std_errors, fit.scale_std_errors) / units
    # from so near it falls into the same minimum; a gradient below 1e-4 is far below an error
    assert (np.abs(theirs.x - ours) <= 1e-3 * errors).all()


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_given_its_scale_it_is_the_weighted_fit(noise):
    X, y, Z, _ = problem(1, noise=noise)
    fit = ml.fit(X, y, noise=noise, scale=Z)
    sigma = fit.predict_scale(X, scale=Z)
    assert sigma == pytest.approx(np.exp(with_ones(Z) @ fit.scale_params), rel=1e-14)
    given_scale = ml.fit(X, y, noise=noise, precision_weights=sigma**-2)
    # σ of the weighted fit is one: scaling all by one factor is among the scale designs
    assert given_scale.sigma == pytest.approx(1, rel=1e-5)
    assert (np.abs(given_scale.params - fit.params) <= 1e-5 * fit.std_errors).all()
    assert given_scale.nll == pytest.approx(fit.nll, rel=1e-9)
    if isinstance(noise, ml.Gaussian):
        theirs = sm.WLS(y, with_ones(X), weights=sigma**-2).fit()
        assert (np.abs(theirs.params - fit.params) <= 1e-5 * fit.std_errors).all()
        scale = np.sqrt(theirs.scale * theirs.df_resid / theirs.nobs)
        assert theirs.bse == pytest.approx(fit.std_errors * np.sqrt(120 / 117) * scale, rel=1e-4)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_a_constant_scale_is_the_fit_of_one_sigma(noise):
    X, y, _, _ = problem(2, noise=noise)
    source = ArraySource(with_ones(X), y, scale=np.full((120, 1), 2.0))
    one, other = ml.fit(X, y, noise=noise), ml.fit(source, noise=noise)
    assert (np.abs(one.params - other.params) <= 1e-5 * one.std_errors).all()
    assert np.exp(2 * other.scale_params[0]) == pytest.approx(one.sigma, rel=1e-5)
    assert other.std_errors == pytest.approx(
        one.sigma * one.std_errors / one.sigma
        if not one.exact
        else one.std_errors * np.sqrt(117 / 120),
        rel=1e-5,
    )
    assert other.nll == pytest.approx(one.nll, rel=1e-9)


def test_two_groups_of_gaussian_noise_are_two_fits():
    rng = np.random.default_rng(3)
    group = np.repeat([0.0, 1.0], 50)
    x = rng.standard_normal(100)
    X = np.column_stack([1 - group, group, x * (1 - group), x * group])
    y = X @ [1.0, 2.0, 3.0, 4.0] + np.where(group == 1, 5.0, 0.1) * rng.standard_normal(100)
    both = ml.fit(X, y, intercept=False, scale=group)
    apart = [ml.fit(x[group == g], y[group == g]) for g in (0, 1)]
    assert both.nll == pytest.approx(sum(fit.nll for fit in apart), rel=1e-10)
    sigma = np.exp(np.cumsum(both.scale_params))
    assert sigma == pytest.approx([fit.sigma for fit in apart], rel=1e-6)
    assert both.params[[0, 2, 1, 3]] == pytest.approx(
        np.concatenate([fit.params for fit in apart]), rel=1e-8
    )


@pytest.mark.parametrize("noise", NOISES, ids=repr)
@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    far=st.floats(0.005, 0.05),
    joint=st.booleans(),
)
def test_the_certificate_is_the_distance(noise, seed, far, joint):
    X, y, Z, rng = problem(seed, n=400, noise=noise)
    X, Z = with_ones(X), with_ones(Z)
    likelihood = ml.LinearLikelihood(X, y, noise=noise, scale=Z)
    best = (ml.Newton() if noise.smooth else ml.Exact()).minimize(likelihood)
    assert best.status.code == "converged"
    R = likelihood.factor(best.theta)
    step = rng.standard_normal(3)
    step *= far / np.linalg.norm(R[:3, :3] @ step)
    found = certificate(likelihood, best.theta[:3] + step)
    assert abs(found.distance - far) <= 0.1 * far + 1e-5
    assert (found.per_param <= found.distance * (1 + 1e-9)).all()
    assert not found.exact
    if joint:  # γ is profiled, so that only β's way is seen
        assert found.sigma_distance <= far


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_units_shifts_and_order_do_not_matter(noise):
    X, y, Z, rng = problem(4, noise=noise)
    base = ml.fit(X, y, noise=noise, scale=Z)
    order = rng.permutation(len(y))
    moved = ml.fit(
        (X * [1e7, 1e-9])[order], (-1e5 * y + 3)[order], noise=noise, scale=1e-8 * Z[order] + 1e-8
    )
    expected = (-1e5 * base.params + [3, 0, 0]) / [1, 1e7, 1e-9]
    units = 1e5 / np.array([1, 1e7, 1e-9])
    assert (np.abs(moved.params - expected) <= 1e-4 * base.std_errors * units).all()
    slope = base.scale_params[1]
    assert moved.scale_params[1] * 1e-8 == pytest.approx(slope, abs=1e-4)
    assert moved.nll - base.nll == pytest.approx(120 * np.log(1e5), rel=1e-8)


def test_rows_repeated_and_frequencies_are_one():
    X, y, Z, rng = problem(5)
    k = rng.integers(0, 4, len(y))
    for noise in NOISES:
        weighted = ml.fit(X, y, noise=noise, scale=Z, frequency_weights=k)
        repeated = ml.fit(*(np.repeat(a, k, axis=0) for a in (X, y)), noise=noise,
                          scale=np.repeat(Z, k, axis=0))  # fmt: skip
        assert weighted.n_rows == repeated.n_rows
        errors = repeated.std_errors
        assert (np.abs(weighted.params - repeated.params) <= 1e-5 * errors).all()
        assert weighted.nll == pytest.approx(repeated.nll, rel=1e-10)


def test_every_door_to_the_same_design(tmp_path):
    X, y, _, rng = problem(6)
    group = rng.choice(["a", "b"], len(y))
    table = {"y y": y, "x1": X[:, 0], "x2": X[:, 1], "g": group}
    formula = ml.fit("`y y` ~ x1 + x2", table, noise=ml.StudentT(4), scale="~ x1 + g")
    frame = pd.DataFrame(table)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    read = ml.read(str(tmp_path / "rows.csv"))
    streamed = ml.fit("`y y` ~ x1 + x2", read, noise=ml.StudentT(4), scale="~ x1 + g")
    columns = np.column_stack([X[:, 0], group == "b"]).astype(float)
    arrays = ml.fit(X, y, noise=ml.StudentT(4), scale=columns)
    for other in (streamed, arrays):
        assert (np.abs(other.params - formula.params) <= 1e-6 * formula.std_errors).all()
        assert other.scale_params == pytest.approx(formula.scale_params, rel=1e-6)
    assert formula.scale_names == streamed.scale_names == ("Intercept", "x1", "g[T.b]")
    assert arrays.scale_names == ("Intercept", "z1", "z2")
    named = ml.fit(frame[["x1", "x2"]], y, noise=ml.StudentT(4), scale="~ x1")
    plain = ml.fit(X, y, noise=ml.StudentT(4), scale="~ x1")
    assert named.nll == pytest.approx(plain.nll, rel=1e-13)
    new = frame.iloc[:3]
    sigma = formula.predict_scale(new)
    assert sigma == pytest.approx(arrays.predict_scale(X[:3], scale=columns[:3]), rel=1e-5)
    assert named.predict_scale(X[:3]) == pytest.approx(named.predict_scale(new), rel=1e-14)
    formula.save(tmp_path / "fit.json")
    again = ml.load(tmp_path / "fit.json")
    assert (again.predict_scale(new) == sigma).all()
    assert again.summary() == formula.summary()
    assert "log sigma" in formula.summary()
    judged = ml.certify(formula.params, "`y y` ~ x1 + x2", table, noise=ml.StudentT(4),
                        scale="~ x1 + g")  # fmt: skip
    assert judged.distance <= 1e-5


def test_missing_values_of_the_scale_count(tmp_path):
    X, y, Z, _ = problem(7)
    holes = Z.copy()
    holes[[3, 8]] = np.nan
    table = {"y": y, "x": X[:, 0], "z": holes[:, 0]}
    with pytest.raises(ml.InvalidInput, match=r"'z1 of the scale' in 2 rows, first at row 3"):
        ml.fit(X, y, scale=holes)
    with pytest.raises(ml.InvalidInput, match="'z' in 2 rows, first at row 3"):
        ml.fit("y ~ x", table, scale="~ z")
    with pytest.raises(ml.InvalidInput, match="scale"):
        ml.fit("y ~ x", table, scale=holes)
    whole = np.delete(np.arange(120), [3, 8])
    expected = ml.fit(X[whole, 0], y[whole], scale=Z[whole])
    for fit in (
        ml.fit(X[:, 0], y, scale=holes, missing="drop"),
        ml.fit("y ~ x", table, scale="~ z", missing="drop"),
        ml.fit("y ~ x", table, scale=holes, missing="drop"),
    ):
        assert fit.n_missing == 2
        assert fit.nll == expected.nll


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("x1", "formula without a response"),
        ("~ x9", "x9"),
        ("~ 0", "no columns"),
        ("~ x1 + I(2*x1)", "linearly dependent"),
        (np.ones(120), "without a column of ones"),
        (np.ones(5), "5 rows for 120"),
        (np.full(120, np.inf), "NaN or infinity"),
        (np.full(120, "a"), "text"),
    ],
)
def test_scales_that_are_none_are_named(scale, message):
    X, y, _, _ = problem(8)
    with pytest.raises((ml.InvalidInput, ml.InvalidType), match=message):
        ml.fit(X, y, scale=scale)


def test_a_dependent_scale_is_refused_at_every_door(tmp_path):
    X, y, Z, _ = problem(8)
    data = {"y": y, "x1": X[:, 0], "x2": 2 * X[:, 0]}
    pd.DataFrame(data).to_csv(tmp_path / "rows.csv", index=False)
    source = ArraySource(X, y, scale=np.column_stack([Z, 3 * Z]), scale_names=["z1", "z2"])
    doors = (
        lambda: ml.fit("y ~ x1", data, scale="~ x1 + x2"),
        lambda: ml.fit("y ~ x1", ml.read(str(tmp_path / "rows.csv")), scale="~ x1 + x2"),
        lambda: ml.fit(source),
        lambda: ml.certify([0.0, 0.0], source, None),
    )
    for door in doors:
        with pytest.raises(ml.InvalidInput, match=r"scale design are linearly dependent.*2 = [23]"):
            door()


def test_a_group_that_is_fitted_exactly_has_no_maximum():
    X, y, _, _ = problem(9)
    alone = np.zeros(120)
    alone[7] = 1
    dummies = np.column_stack([X, alone])  # a column of its own: row 7 is fitted exactly
    for noise in NOISES:
        with pytest.warns(ml.NumericalWarning, match="no maximum"):
            fit = ml.fit(dummies, y, noise=noise, scale=alone)
        assert fit.status.code == "unbounded", noise
        assert "fit exactly" in fit.status.message
        assert fit.nll == -np.inf
        assert np.isnan(fit.std_errors).all()
        assert np.isnan(fit.predict_scale(dummies, scale=alone)).all()
        assert "unbounded" in str(fit)


def test_what_a_fit_of_many_sigmas_does_not_have():
    X, y, Z, _ = problem(10)
    fit = ml.fit(X, y, scale=Z)
    for name in ("sigma", "residual_std_error", "r_squared", "f_test"):
        with pytest.raises(ml.InvalidInput, match=r"sigma differs|least squares"):
            getattr(fit, name)
    with pytest.raises(ml.InvalidInput, match="scale="):
        fit.predict_scale(X)
    with pytest.raises(ml.InvalidInput, match="one sigma"):
        ml.fit(X, y).predict_scale(X, scale=Z)
    for optimizer in (ml.Exact(), ml.SGD(0.01)):
        with pytest.raises(ml.InvalidInput, match="scale design"):
            ml.fit(X, y, scale=Z, optimizer=optimizer)
    with pytest.raises(ml.InvalidInput, match="sigma differs"):
        certificate(ml.LinearLikelihood(X, y, scale=with_ones(Z)), np.zeros(2), 1.0)


def test_float32_integers_and_strides():
    X, y, Z, _ = problem(11)
    X, y, Z = np.round(X * 8) / 8, np.round(y * 8) / 8, np.round(Z * 8) / 8
    base = ml.fit(X, y, noise=ml.StudentT(3), scale=Z)
    wide = np.repeat(np.asfortranarray(Z), 2, axis=1)
    wide.setflags(write=False)
    for variant in (Z.astype(np.float32), (Z * 8).astype(np.int64), wide[:, ::2]):
        fit = ml.fit(X.astype(np.float32), y.astype(np.float32), noise=ml.StudentT(3),
                     scale=variant)  # fmt: skip
        assert fit.nll == pytest.approx(base.nll, rel=1e-12)


def test_sigma_over_ten_decades():
    rng = np.random.default_rng(12)
    n = 500
    Z = rng.uniform(-1, 1, n)
    X = rng.standard_normal((n, 2))
    y = 1 + X @ [2.0, 3.0] + np.exp(12 * Z) * rng.standard_normal(n)
    fit = ml.fit(X, y, scale=Z)
    assert fit.status.code == "converged"
    assert abs(fit.scale_params[1] - 12) <= 5 * fit.scale_std_errors[1]
    assert (np.abs(fit.params - [1, 2, 3]) <= 5 * fit.std_errors).all()


def test_a_row_of_nothing_but_zeros_is_fitted_exactly():
    x = np.append(np.zeros(14), 1.0)
    y = np.append(np.random.default_rng(3).choice([-1.0, 1.0], 14), 0.0)
    with pytest.warns(ml.NumericalWarning, match="no maximum"):
        fit = ml.fit(x, y, intercept=False, noise=ml.Logistic(), scale="~ x1")
    assert fit.status.code == "unbounded"


def test_the_scale_of_new_rows_is_theirs():
    X, y, Z, _ = problem(12)
    fit = ml.fit(X, y, scale=Z)
    rows = pd.DataFrame(X[:3], columns=["x1", "x2"])
    calls = (
        lambda scale: fit.predict(rows, "prediction", scale=scale),
        lambda scale: fit.predict(rows, scale=scale),
        lambda scale: fit.predict_scale(rows, scale=scale),
    )
    for call in calls:
        for other in ([1.0], [1.0, 2.0, 3.0, 4.0]):
            with pytest.raises(ml.InvalidInput, match=f"{len(other)} rows for 3 new rows"):
                call(other)
        with pytest.raises(ml.InvalidInput, match="labelled differently"):
            call(pd.Series([1.0, 2.0, 3.0], index=[2, 1, 0]))
    with pytest.raises(ml.InvalidInput, match="one sigma for all rows"):
        ml.fit(X, y).predict(rows, "prediction", scale=[1.0, 2.0, 3.0])
