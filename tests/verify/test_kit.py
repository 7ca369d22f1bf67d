"""The kit: what it catches, what it passes, and what it says."""

import json
import warnings
from types import SimpleNamespace

import faulty
import numpy as np
import pytest
from scipy import optimize, stats

import mlreg as ml
from mlreg import verify
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify import exact, stochastic
from mlreg.verify.recognise import CHECKS, kind_of

# What it catches


@pytest.mark.parametrize("one", faulty.FAULTS, ids=lambda one: f"{one.kind}: {one.name}")
def test_a_fault_is_caught_by_its_law(one):
    outcome = faulty.report(one, [one.law])[one.law]
    assert outcome.verdict == "broken"
    assert not outcome.ratio <= 1


def test_each_law_has_a_fault_that_only_needs_it():
    assert len(faulty.FAULTS) >= 30
    for kind, (_, promises) in CHECKS.items():
        named = {one.law for one in faulty.FAULTS if one.kind == kind}
        assert named == {p.law.name for p in promises}


@pytest.mark.slow
def test_the_kill_matrix_is_up_to_date():
    assert faulty.PAGE.read_text("utf-8") == faulty.page()


def test_what_the_faults_are_planted_in_is_right():
    parts = faulty.right_nll, faulty.right_gradient, faulty.right_hessian
    assert verify.check_likelihood(*parts, examples=20).passed
    assert verify.check_regressor(faulty.Right(), weights="precision", examples=20).passed
    assert verify.check_intervals(faulty.t_limits, replicates=1000).passed


# What it passes


@pytest.mark.parametrize(
    "noise", [ml.Gaussian(), ml.Laplace(), ml.Logistic(), ml.Huber(), ml.StudentT(1.5)], ids=repr
)
def test_our_noises_keep_their_laws(noise):
    report = verify.check_noise(noise)
    assert report.passed, str(report)


def of_noise(noise, weights):
    def of(part):
        def function(theta, X, y, w=None):
            given = {} if w is None else {weights: w}
            source = ArraySource(X, y, **given)
            return getattr(ml.LinearLikelihood.from_source(source, noise), part)(theta)

        return function

    return [of(part) for part in ("nll", "gradient", "hessian")[: 3 if noise.smooth else 2]]


@pytest.mark.parametrize("weights", ["frequency", "precision"])
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(3), ml.Laplace()], ids=repr)
def test_our_likelihoods_keep_their_laws(noise, weights):
    report = verify.check_likelihood(*of_noise(noise, weights), weights=weights, examples=6)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    "optimizer", [ml.Exact(), ml.Newton(), ml.Scipy(), ml.AutoSGD(seed=1)], ids=repr
)
def test_our_optimizers_keep_their_laws(optimizer):
    report = verify.check_optimizer(optimizer, examples=25)
    assert report.passed, str(report)


def test_sgd_keeps_all_laws_but_to_arrive():
    sgd = ml.SGD(0.02, batch_size=2, epochs=3)
    report = verify.check_optimizer(
        sgd, examples=25, expect_fail={"easy_problems_are_solved": "three epochs"}
    )
    assert report.passed, str(report)


def ours(X, y, k=None):
    return ml.fit(X, y, intercept=False, frequency_weights=k)


def rational(X, y, w=None):
    found = exact.least_squares(X, y, None if w is None else w.tolist())
    n = len(y) if w is None else int(w.sum())
    p = len(found.params)
    errors = None
    if n > p:
        s2 = found.rss / (n - p)
        errors = [float(s2 * row[j]) ** 0.5 for j, row in enumerate(found.inverse)]
    return SimpleNamespace(params=[float(b) for b in found.params], std_errors=errors)


@pytest.mark.parametrize("regressor", [ours, rational], ids=lambda f: f.__name__)
def test_right_regressors_keep_their_laws(regressor):
    dependent = {"fitted_values_survive_dependent_columns"}
    laws = [p.law.name for p in CHECKS["regressor"][1] if p.law.name not in dependent]
    report = verify.check_regressor(
        regressor, weights="frequency", examples=25, laws=laws if regressor is rational else None
    )
    assert report.passed, str(report)
    assert report.false_alarm == 0


@pytest.mark.parametrize("weights", ["precision", "frequency"])
def test_our_estimator_keeps_its_laws(weights):
    pytest.importorskip("sklearn")
    from mlreg.sklearn import MaximumLikelihoodRegressor

    report = verify.check_regressor(
        MaximumLikelihoodRegressor(weights=weights), weights=weights, examples=15
    )
    assert report.passed, str(report)
    assert "parts_are_the_whole" not in [o.law for o in report if o.verdict == "not applicable"]


def test_our_intervals_keep_their_laws():
    def of_fit(X, y, level):
        return ml.fit(X, y, intercept=False).conf_int(level)

    assert verify.check_intervals(of_fit, replicates=1500, level=0.8).passed


# What it says


def test_the_smallest_counterexample_is_found_and_runs():
    def cutoff(X, y):
        return np.linalg.lstsq(X, y, rcond=1e-6)[0]

    report = verify.check_regressor(cutoff, examples=200, laws=["coefficients_are_exact"])
    outcome = report["coefficients_are_exact"]
    assert outcome.verdict == "broken"
    assert not report.passed
    names = {"cutoff": cutoff}
    code = outcome.counterexample.replace("<locals>.", "").split("cutoff(X, y)")[0]
    exec(code.rsplit("\n", 1)[0], names)
    X, y = names["X"], names["y"]
    assert X.shape[1] == 2  # a constant, and a column far from zero
    truth = [float(b) for b in exact.least_squares(X, y).params]
    assert np.abs(cutoff(X, y) - truth).max() > 0.1
    assert str(truth[0]).removesuffix(".0") in outcome.counterexample


def broken_report():
    laws = ["coefficients_are_exact", "data_are_left_alone", "standard_errors_are_exact"]
    return verify.check_regressor(
        faulty.Pinv(), laws=laws, examples=60, shrink=False
    )  # one broken, one kept, one that does not apply


def test_a_report_says_what_was_tried():
    report = broken_report()
    assert [o.verdict for o in report] == ["broken", "kept", "not applicable"]
    text = str(report)
    for part in ("1 of 2 laws kept", "BROKEN", "Eq. (2.2), (5.7)", "counterexample:", "np.array"):
        assert part in text
    found = json.loads(report.to_json())
    assert found["passed"] is False
    assert found["outcomes"][0]["equations"] == ["2.2", "5.7"]
    assert found["outcomes"][0]["ratio"] > 1
    with pytest.raises(verify.LawViolation, match="coefficients_are_exact: BROKEN"):
        report.raise_for_broken()
    assert report.broken == ("coefficients_are_exact",)


def test_rich_draws_it():
    rich = pytest.importorskip("rich")
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(broken_report())
    text = console.export_text()
    console.file.close()
    assert rich
    assert "coefficients_are_exact" in text
    assert "BROKEN" in text


def test_expected_faults_pass_and_their_absence_does_not():
    laws = ["coefficients_are_exact", "data_are_left_alone"]
    known = {"coefficients_are_exact": "it squares the condition"}
    report = verify.check_regressor(
        faulty.Pinv(), laws=laws, examples=60, shrink=False, expect_fail=known
    )
    assert report.passed
    assert report["coefficients_are_exact"].verdict == "expected"
    assert report["coefficients_are_exact"].reason == "it squares the condition"
    kept = verify.check_regressor(
        faulty.Right(), laws=laws, examples=20, shrink=False, expect_fail=known
    )
    assert not kept.passed
    assert "KEPT, against expectation" in str(kept)
    with pytest.raises(verify.LawViolation):
        kept.raise_for_broken()


def test_the_same_seed_finds_the_same():
    one, two = (broken_report() for _ in range(2))
    assert one == two


def test_an_object_that_raises_or_says_nan_breaks_the_law():
    def refuses(X, y):
        raise RuntimeError("not today")

    def nan(X, y):
        return np.full(X.shape[1], np.nan)

    for function, said in ((refuses, "it raised RuntimeError: not today"), (nan, "")):
        report = verify.check_regressor(
            function, examples=5, shrink=False, laws=["coefficients_are_exact"]
        )
        outcome = report["coefficients_are_exact"]
        assert outcome.ratio == np.inf
        assert said in outcome.reason
        assert json.loads(report.to_json())["outcomes"][0]["ratio"] == "inf"


def test_warnings_of_the_object_are_not_ours():
    def noisy(X, y):
        warnings.warn("hello", UserWarning, stacklevel=1)
        return faulty.qr(X, y)

    assert verify.check_regressor(noisy, examples=5, laws=["coefficients_are_exact"]).passed


def test_parametrize_makes_a_test_of_each_law():
    marks = verify.parametrize(
        faulty.Pinv(), expect_fail={"units_do_not_matter": "known"}, examples=20, shrink=False
    )
    by_name = {param.id: param.values[0] for param in marks.args[1]}
    assert list(by_name) == [p.law.name for p in CHECKS["regressor"][1]]
    by_name["data_are_left_alone"]()
    by_name["units_do_not_matter"]()
    with pytest.raises(verify.LawViolation, match="what_columns_explain"):
        by_name["what_columns_explain_is_explained"]()
    with pytest.raises(pytest.skip.Exception, match="does not say what its weights mean"):
        by_name["weights_are_copies"]()
    with pytest.raises(ml.InvalidInput, match="no law is called 'typo'"):
        verify.parametrize(faulty.Pinv(), expect_fail={"typo": ""})


@verify.parametrize(ml.Logistic())
def test_as_a_user_writes_it(law):
    law()


def bfgs(nll, gradient, start):
    return optimize.minimize(nll, start, jac=gradient, method="BFGS")


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (ml.Gaussian(), "noise"),
        (ml.Exact(), "optimizer"),
        (bfgs, "optimizer"),
        (faulty.Right(), "regressor"),
        (faulty.Right, "regressor"),
        (lambda X, y: X, "regressor"),
        (faulty.right_nll, "likelihood"),
        (faulty.t_limits, "intervals"),
    ],
    ids=str,
)
def test_what_an_object_is(subject, kind):
    assert kind_of(subject) == kind


def test_misuse_is_said():
    for call, message in (
        (lambda: verify.check(3), "say which it is, kind="),
        (lambda: verify.check(ml.Gaussian(), kind="model"), "kind must be one of"),
        (lambda: verify.check_regressor(3), "fit and predict"),
        (lambda: verify.check_regressor(faulty.Right(), solver="magic"), "solver must be"),
        (lambda: verify.check_regressor(faulty.Right(), weights="w"), "weights must be"),
        (lambda: verify.check_regressor(faulty.Right(), laws=["x"]), "no law is called 'x'"),
        (lambda: verify.check_regressor(faulty.Right(), examples=0), "examples must be"),
        (lambda: verify.check_likelihood(3), "nll must be a function"),
        (lambda: verify.check_likelihood(faulty.right_nll, 3), "gradient must be a function"),
        (lambda: verify.check_likelihood(faulty.right_nll, scale="s"), "scale must be"),
        (lambda: verify.check_likelihood(faulty.right_nll, weights="w"), "weights must be"),
        (lambda: verify.check_optimizer(3), "minimize"),
        (lambda: verify.check_intervals(faulty.t_limits, n=3), "n must be 5 or more"),
        (lambda: verify.check_noise(3), "int has no rho"),
    ):
        with pytest.raises((ml.InvalidInput, ml.InvalidType), match=message):
            call()


# Chance


def test_a_band_keeps_its_promise():
    for trials, level, false_alarm in ((10_000, 0.95, 1e-9), (300, 0.5, 1e-3), (50, 0.9, 0.1)):
        low, high = stochastic.coverage_band(trials, level, false_alarm)
        law = stats.binom(trials, level)
        assert law.cdf(low - 1) <= false_alarm / 2 < law.cdf(low)
        assert law.sf(high) <= false_alarm / 2 < law.sf(high - 1)


def test_what_is_detectable_is_detected_with_that_power():
    for trials in (1000, 10_000, 200_000):
        low, high = stochastic.coverage_band(trials, 0.95)
        below, above = stochastic.detectable_coverage(trials, 0.95)
        assert stats.binom(trials, below).cdf(low - 1) == pytest.approx(0.999, abs=1e-9)
        if above < 1:
            assert stats.binom(trials, above).sf(high) == pytest.approx(0.999, abs=1e-9)
    assert round(stochastic.detectable_coverage(10_000, 0.95)[0], 3) == 0.928
    assert stochastic.detectable_coverage(5, 0.95) == (0.0, 1.0)


def test_trials_are_enough_and_not_many_more():
    for other in (0.91, 0.93, 0.97):
        trials = stochastic.coverage_trials(0.95, other)
        side = 0 if other < 0.95 else 1
        enough = stochastic.detectable_coverage(trials, 0.95)[side]
        fewer = stochastic.detectable_coverage(int(0.97 * trials), 0.95)[side]
        assert (other <= enough) if side == 0 else (other >= enough)
        assert (other > fewer) if side == 0 else (other < fewer)
    with pytest.raises(ml.InvalidInput, match="from itself"):
        stochastic.coverage_trials(0.9, 0.9)


def test_assertions_raise_where_they_must():
    rng = np.random.default_rng(0)
    stochastic.assert_coverage(9500, 10_000, 0.95)
    with pytest.raises(AssertionError, match="9200 of 10000"):
        stochastic.assert_coverage(9200, 10_000, 0.95)
    draws = rng.standard_normal(10_000)
    stochastic.assert_distribution(draws, stats.norm.cdf)
    far = stochastic.detectable_distance(10_000)
    shift = 2 * stats.norm.ppf(0.5 + far / 2)  # moves the cdf by that at most
    with pytest.raises(AssertionError, match="distribution of 10000 draws"):
        stochastic.assert_distribution(draws + shift, stats.norm.cdf)
    stochastic.assert_mean(draws, 0.0, 1.0)
    with pytest.raises(AssertionError, match=r"standard errors from 0\.1"):
        stochastic.assert_mean(draws, 0.1, 1.0)
    for call in (
        lambda: stochastic.assert_distribution([], stats.norm.cdf),
        lambda: stochastic.assert_distribution([np.nan], stats.norm.cdf),
        lambda: stochastic.coverage_band(10, 1.5),
        lambda: stochastic.assert_mean(draws, 0.0, 1.0, false_alarm=0.0),
    ):
        with pytest.raises(ml.InvalidInput):
            call()
