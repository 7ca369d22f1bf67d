"""Inputs that break other programs, under every noise, with a scale design and with a prior."""

import warnings

import numpy as np
import pytest

import mlreg as ml

RNG = np.random.default_rng(0)
N = 30
X = RNG.standard_normal((N, 2))
Y = X @ [1, 2] + RNG.standard_t(3, N)
NOISES = [ml.StudentT(3), ml.Logistic(), ml.Huber(), ml.Laplace()]
EXTRAS = [{}, {"scale": "~ x1"}, {"prior": ml.NormalPrior(1.0)}]
FIRST = np.arange(N)
CASES = {
    "one row": (X[:1], Y[:1]),
    "as many rows as columns": (X[:3], Y[:3]),
    "one row more": (X[:4], Y[:4]),
    "two rows more": (X[:5], Y[:5]),
    "constant response": (X, np.ones(N)),
    "zero response": (X, np.zeros(N)),
    "without noise": (X, X @ [1, 2]),
    "huge and tiny units": (X * 1e150, Y * 1e-150),
    "units of 1e-9 and 1e9": (X * [1e-9, 1e9], Y * 1e9),
    "nearly collinear": (np.column_stack([X[:, 0], X[:, 0] + 1e-7 * X[:, 1]]), Y),
    "duplicate": (X[:, [0, 0]], Y),
    "timestamps": (np.column_stack([1.7e9 + FIRST, X[:, 0]]), Y),
    "an outlier of 1e15": (X, np.where(FIRST == 3, 1e15, Y)),
    "bool": (X > 0, Y > 0),
    "two thirds zero": (X, np.where(FIRST < 20, 0, Y)),
    "objects": (X.astype(object), Y.astype(object)),
}


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda e: next(iter(e), "plain"))
@pytest.mark.parametrize("noise", NOISES, ids=repr)
@pytest.mark.parametrize("case", CASES)
def test_there_is_an_answer_or_an_error_that_says_why(case, noise, extra):
    design, response = CASES[case]
    before = design.copy(), response.copy()
    refused = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.NumericalWarning)
        try:
            fit = ml.fit(design, response, noise=noise, **extra)
        except ml.MlregError as error:
            refused = str(error)
    if refused is not None and "prior" in extra and not noise.smooth:
        assert "kinks" in refused or case in ("one row", "duplicate")
        return
    if refused is not None:
        assert len(refused) > 40
        assert case in ("one row", "duplicate") or ("scale" in refused and "scale" in extra)
        return
    assert (design == before[0]).all()
    assert (response == before[1]).all()
    assert fit.certificate.converged or fit.status.code != "converged"
    if fit.status.code in ("perfect-fit", "unbounded"):
        assert np.isnan(fit.std_errors).all()
        assert np.isnan(fit.scale_std_errors).all()
    if fit.status.code == "converged":
        assert np.isfinite(fit.params).all()
        assert (fit.std_errors > 0).all()
        assert np.isfinite(fit.nll)
    assert fit.status.message in fit.summary()
    if case in ("units of 1e-9 and 1e9", "an outlier of 1e15", "timestamps", "objects"):
        assert fit.status.code == "converged", fit.status


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_nothing_depends_on_how_the_numbers_are_held(noise):
    rough = np.round(X * 8) / 8
    expected = ml.fit(rough, np.round(Y * 8), noise=noise)
    wide = np.repeat(rough, 2, axis=1)
    wide.setflags(write=False)
    import pandas as pd
    import polars as pl

    for same in (
        rough.astype(np.float32),
        np.asfortranarray(rough),
        wide[:, ::2],
        rough[::-1][::-1],
        pd.DataFrame(rough),
        pl.DataFrame(rough),
        rough.tolist(),
    ):
        fit = ml.fit(same, np.round(Y * 8).astype(np.int16), noise=noise)
        assert fit.params == pytest.approx(expected.params, rel=1e-9)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_gaps_weights_and_dropped_columns(noise):
    holes = np.where(X > 1.5, np.nan, X)
    with pytest.raises(ml.InvalidInput, match="NaN or infinity in 'x"):
        ml.fit(holes, Y, noise=noise)
    whole = ~np.isnan(holes).any(axis=1)
    dropped = ml.fit(holes, Y, noise=noise, missing="drop")
    assert dropped.nll == pytest.approx(ml.fit(X[whole], Y[whole], noise=noise).nll, rel=1e-12)
    fewer = ml.fit(X[:, [0, 1, 0]], Y, noise=noise, rank_deficient="drop")
    assert np.isnan(fewer.params[3])
    assert fewer.params[:3] == pytest.approx(ml.fit(X, Y, noise=noise).params, rel=1e-9)
    assert fewer.predict(X[:2][:, [0, 1, 0]]) == pytest.approx(
        ml.fit(X, Y, noise=noise).predict(X[:2]), rel=1e-9
    )


def test_an_interruption_leaves_nothing_behind():
    calls = 0

    class Stops(ml.Logistic):
        def rho(self, z):
            nonlocal calls
            calls += 1
            if calls == 3:
                raise KeyboardInterrupt
            return super().rho(z)

    with pytest.raises(KeyboardInterrupt):
        ml.fit(X, Y, noise=Stops())
    expected = ml.fit(X, Y, noise=ml.Logistic())
    assert (ml.fit(X, Y, noise=Stops()).params == expected.params).all()


def test_a_density_as_good_as_a_spike_is_a_status():
    X = np.random.default_rng(0).standard_normal((30, 2))
    with pytest.warns(ml.NumericalWarning):
        fit = ml.fit(X, X[:, 0] + np.arange(30) % 3, noise=ml.Huber(1e-300))
    assert fit.status.code != "converged"
    assert np.isnan(fit.std_errors).all()
