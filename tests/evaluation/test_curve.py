"""`learning_curve`: the theory of its slope by simulation, the curve by fits made one by one."""

import math

import numpy as np
import pandas as pd
import pytest

import mlreg as ml
from mlreg.evaluation.curve import excess_nll, excess_square

rng = np.random.default_rng(4)
X = rng.standard_normal((400, 3))
Y = 1 + X @ [1.0, -0.5, 0.2] + 2 * rng.standard_normal(400)


def test_excess_losses_of_small_samples():
    """False alarm 4e-9: means of 20 000 within six of their standard errors.

    d/(2n), which they tend to, is 40 standard errors away.
    """
    rng = np.random.default_rng(5)
    n, p = 25, 4
    squares, nlls = np.empty(20_000), np.empty(20_000)
    for i in range(len(squares)):
        A, e = rng.standard_normal((n, p)), rng.standard_normal(n)
        Q, R = np.linalg.qr(A)
        b = np.linalg.solve(R, Q.T @ e)
        variance = (e @ e - np.sum((Q.T @ e) ** 2)) / n
        squares[i] = b @ b
        nlls[i] = 0.5 * np.log(variance) + 0.5 * (1 + b @ b) / variance - 0.5
    for found, theory in ((squares, excess_square(n, p)), (nlls, excess_nll(n, p, p + 1))):
        assert abs(found.mean() - theory) <= 6 * found.std() / math.sqrt(len(found))
    assert abs(nlls.mean() - (p + 1) / (2 * n)) >= 20 * nlls.std() / math.sqrt(len(nlls))


def test_excess_tends_to_parameters_over_rows():
    """The remainder of d/(2n) is of second order: (d/n)², with a factor that is below two."""
    for n in (10**3, 10**5):
        assert abs(excess_nll(n, 7, 8) - 4 / n) <= 2 * (8 / n) ** 2
        assert abs(excess_square(n, 7) - 7 / n) <= 2 * (8 / n) ** 2
        assert excess_nll(n, 7, 9, exact=False) == 9 / (2 * n)
        assert excess_square(n, 7, exact=False) == 7 / n


@pytest.mark.slow
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.Logistic()], ids=repr)
def test_the_slope_is_what_theory_says(noise):
    """False alarm about 1e-8: a mean of 120 within six standard errors, as they are found.

    For noise that is not normal there is a bias of second order beside it: with 80 rows and more
    and 6 parameters, at most a tenth. Half the slope is ten standard errors off.
    """
    rng = np.random.default_rng(6)
    ratio = np.empty((120, 2))
    for i in range(len(ratio)):
        X = rng.standard_normal((1000, 4))
        y = X.sum(axis=1) + 2 * noise.sample(1000, rng)
        curve = ml.learning_curve(X, y, sizes=[80, 150, 300, 700], repeats=5, seed=i, noise=noise)
        ratio[i] = (
            curve.nll_slope.value / curve.expected_nll_slope,
            curve.mse_slope.value / curve.expected_mse_slope,
        )
    bias = 0.0 if noise == ml.Gaussian() else 0.1
    off = np.abs(ratio.mean(axis=0) - 1)
    assert (off <= 6 * ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio)) + bias).all()
    assert (ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio)) <= 1 / 20).all()  # the power


def test_theory_knows_its_parameters():
    curve = ml.learning_curve(X, Y, sizes=3, repeats=2)
    assert curve.expected_nll_slope == 2.5  # four coefficients and sigma
    s = ml.hold_out(X, Y).fit.residual_std_error  # of other 300 rows: s² is known to 8 %
    assert abs(curve.expected_mse_slope / (4 * s**2) - 1) <= 0.5
    wide = ml.learning_curve(X, Y, sizes=2, repeats=1, noise=ml.Logistic())
    sigma = ml.hold_out(X, Y, noise=ml.Logistic()).fit.sigma
    assert abs(wide.expected_mse_slope / (4 * 3 * sigma**2) - 1) <= 0.5  # its constant is 1/3
    free = ml.learning_curve(X, Y, sizes=2, repeats=1, noise=ml.StudentT())
    assert free.expected_nll_slope == 3
    uneven = ml.learning_curve(X, Y, sizes=2, repeats=1, scale="~ x1")
    assert uneven.expected_nll_slope == 3
    assert np.isnan(uneven.expected_mse_slope)
    prior = ml.learning_curve(X, Y, sizes=2, repeats=1, prior=ml.NormalPrior(1))
    assert np.isnan([prior.expected_nll_slope, prior.expected_mse_slope]).all()
    logs = ml.learning_curve(X, np.exp(Y / 9), sizes=2, repeats=1, transform="log")
    assert (logs.expected_nll_slope, np.isnan(logs.expected_mse_slope)) == (2.5, True)
    none = ml.learning_curve(X, Y, sizes=[300], repeats=1)
    assert np.isnan([none.nll_slope.value, none.nll_limit]).all()


def test_sizes_are_nested_parts_of_rows_that_are_not_held_out(monkeypatch):
    from mlreg.evaluation import curve as module

    fitted, scored = [], []
    original = module.Rows.fit, module.Rows.score

    def fit(self, rows):
        fitted.append(set(rows.tolist()))
        return original[0](self, rows)

    def score(self, made, rows, level):
        scored.append(set(rows.tolist()))
        return original[1](self, made, rows, level)

    monkeypatch.setattr(module.Rows, "fit", fit)
    monkeypatch.setattr(module.Rows, "score", score)
    curve = ml.learning_curve(X, Y, sizes=[50, 20, 300], repeats=2, test=0.25)
    assert curve.sizes.tolist() == [20, 50, 300]
    assert [len(rows) for rows in fitted] == [20, 50, 300] * 2
    for a, b, c in (fitted[:3], fitted[3:]):
        assert a < b < c
    assert all(len(rows) == 100 and not rows & part for rows in scored[:3] for part in fitted[:3])
    assert scored[0] == scored[1] == scored[2] != scored[3]
    made = ml.fit(X[sorted(fitted[0])], Y[sorted(fitted[0])])
    test = sorted(scored[0])
    found = ml.evaluate(made, (X[test], Y[test]))
    assert abs(curve.nll[0, 0] - found.nll.value) <= 1e-11  # a hundred roundings
    assert abs(curve.mse[0, 0] - found.mse.value) <= 1e-11


def test_slopes_are_least_squares_lines():
    curve = ml.learning_curve(X, Y, sizes=4, repeats=3, seed=1)
    again = ml.learning_curve(X, Y, sizes=4, repeats=3, seed=1)
    assert (curve.nll == again.nll).all()
    assert (ml.learning_curve(X, Y, sizes=4, repeats=3, seed=2).nll != curve.nll).any()
    x = [4 / (n - 5) for n in curve.sizes]
    lines = np.array([np.polyfit(x, row, 1) for row in curve.mse])
    assert abs(curve.mse_slope.value - 4 * lines[:, 0].mean()) <= 1e-9  # of a fit by polyfit
    assert abs(curve.mse_slope.std_error - 4 * lines[:, 0].std(ddof=1) / math.sqrt(3)) <= 1e-9
    assert abs(curve.mse_limit - lines[:, 1].mean()) <= 1e-9
    assert (curve.rmse == np.sqrt(curve.mse)).all()


def test_early_stopping_and_warnings_are_said():
    curve = ml.learning_curve(X, Y, sizes=2, repeats=2, optimizer=ml.SGD(0.01, epochs=1))
    assert curve.not_converged == 4
    assert curve.notes == ("4 of 4 fits are not the MLE of their rows",)
    assert "nearly collinear" in ml.learning_curve(1e11 + X, Y, sizes=2, repeats=1).notes[-1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"sizes": 0}, "sizes must be a whole number"),
        ({"sizes": True}, "sizes must be a whole number"),
        ({"sizes": [4, 100]}, "from 7, three more than the columns, to 300"),
        ({"sizes": [100, 301]}, "to 300, the rows that are not held out"),
        ({"sizes": [100, 100]}, "different numbers"),
        ({"sizes": [0.5, 1.0]}, "whole numbers of rows"),
        ({"sizes": []}, "whole numbers of rows"),
        ({"repeats": 0}, "repeats must be a whole number"),
        ({"test": 0.99}, "ten for each of the 4 columns"),
        ({"test": 1.0}, "share"),
        ({"seed": -1}, "seed"),
        ({"noise": ml.Gaussian}, "repeat 0, 40 rows: noise must be"),
    ],
    ids=str,
)
def test_misuse_is_refused_by_name(keywords, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ml.learning_curve(X, Y, **keywords)


def test_reports():
    table = pd.DataFrame(X, columns=list("abc")).assign(y=Y, who=np.arange(400) // 4)
    curve = ml.learning_curve("y ~ a + b", table, sizes=3, repeats=3, groups="who")
    lines = str(curve).splitlines()
    assert len(lines) == 1 + 3 + 2
    assert "in theory 2)" in lines[-2]
    frame = curve.to_frame()
    assert frame["mse"].tolist() == curve.mse.mean(axis=0).tolist()
    assert curve.to_dict()["nll_slope"]["value"] == curve.nll_slope.value
