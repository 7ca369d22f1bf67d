"""The kit: what it catches, what it passes, and what it says."""

import json
import warnings

import faulty
import nightly
import numpy as np
import pytest
from scipy import optimize, stats

import mlreg as ml
from mlreg import verify
from mlreg.likelihood import gaussian
from mlreg.verify import exact, scatter, stochastic
from mlreg.verify.likelihoods import _derivative
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
    assert verify.check_regressor(faulty.described, examples=20).passed
    assert verify.check_intervals(faulty.t_limits, replicates=1000).passed


# What it passes


@pytest.mark.parametrize(
    "noise", [ml.Gaussian(), ml.Laplace(), ml.Logistic(), ml.Huber(), ml.StudentT(1.5)], ids=repr
)
def test_our_noises_keep_their_laws(noise):
    report = verify.check_noise(noise)
    assert report.passed, str(report)


@pytest.mark.parametrize("weights", ["frequency", "precision"])
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(3), ml.Laplace()], ids=repr)
def test_our_likelihoods_keep_their_laws(noise, weights):
    report = verify.check_likelihood(*nightly.of_noise(noise, weights), weights=weights, examples=6)
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


@pytest.mark.parametrize("regressor", [nightly.ours, nightly.rational], ids=lambda f: f.__name__)
def test_right_regressors_keep_their_laws(regressor):
    dependent = {"fitted_values_survive_dependent_columns"}
    laws = [p.law.name for p in CHECKS["regressor"][1] if p.law.name not in dependent]
    report = verify.check_regressor(
        regressor,
        weights="frequency",
        examples=25,
        laws=laws if regressor is nightly.rational else None,
    )
    assert report.passed, str(report)
    stated = {o.false_alarm for o in report if o.kind == "stochastic" and o.verdict == "kept"}
    assert stated == {1e-9}


def natural(function):
    """A function of (β/σ, 1/σ) for one of (β, log σ): the chain rule of Eq. (3.11)."""

    def of(omega, X, y):
        beta, tau = omega[:-1] / omega[-1], omega[-1]
        theta, p = np.append(beta, -np.log(tau)), len(beta)
        J = np.eye(p + 1) / tau
        J[:-1, -1], J[-1, -1] = -beta / tau, -1 / tau
        if function is faulty.right_nll:
            return function(theta, X, y)
        if function is faulty.right_gradient:
            return J.T @ function(theta, X, y)
        y_X = np.column_stack([X, -y])
        H = y_X.T @ y_X
        H[-1, -1] += len(y) / tau**2
        return np.tril(H) + np.tril(H, -1).T

    return of


def test_convexity_depends_on_coordinates():
    parts = [natural(f) for f in (faulty.right_nll, faulty.right_gradient, faulty.right_hessian)]
    report = verify.check_likelihood(*parts, scale="1/sigma", convex=True, examples=40)
    assert report["declared_convex_is_convex"].verdict == "kept"
    assert report.passed, str(report)
    bent = verify.check_likelihood(
        faulty.right_nll,
        None,
        faulty.right_hessian,
        convex=True,
        laws=["declared_convex_is_convex"],
    )
    (outcome,) = bent
    assert outcome.verdict == "broken"
    names = {"right_nll": faulty.right_nll}
    exec(outcome.counterexample, names)
    H = gaussian.hessian(names["theta"][:-1], np.exp(names["theta"][-1]), names["X"], names["y"])
    assert np.linalg.eigvalsh(H)[0] < 0  # the counterexample is one of ours too


def test_what_the_scatter_of_estimates_shows_is_stated():
    from scipy.stats import chi2

    for df, sums in ((scatter.REPLICATES, scatter.SUMS), (scatter.REPLICATES * 7, 1)):
        low, high = chi2(df).ppf(5e-10 / sums), chi2(df).isf(5e-10 / sums)
        below, above = scatter.detectable_ratio(df, sums)
        assert chi2(df).cdf(low / below) == pytest.approx(0.999, abs=1e-9)
        assert chi2(df).sf(high / above) == pytest.approx(0.999, abs=1e-9)
    assert scatter.detectable_ratio(2000, 9)[1] < 1.4  # a third of the rows lost
    assert scatter.detectable_ratio(14_000, 1)[1] < 10 / 7  # s for the MLE


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
    assert verify.check_intervals(nightly.t_intervals, replicates=1500, level=0.8).passed


def test_the_nightly_run_counts_its_checks_and_its_alarms(capsys, monkeypatch):
    def some(subject, options):
        laws = ["coefficients_are_exact", "predictions_are_linear"]
        return lambda rng: iter([("one", "regressor", subject, {"laws": laws, **options})])

    monkeypatch.setattr(nightly, "subjects", some(nightly.ours, {}))
    assert nightly.main(["--checks", "130", "--seed", "5"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("seed 5: 240 checks, 0 false alarms")
    monkeypatch.setattr(nightly, "subjects", some(faulty.Pinv(), {}))
    assert nightly.main(["--checks", "50", "--seed", "5"]) == 1
    assert "coefficients_are_exact: BROKEN" in capsys.readouterr().out


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
        (lambda: verify.check_likelihood(faulty.right_nll, convex=1), "convex must be"),
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


@pytest.mark.parametrize("far", [3e-3, 9e-4, 3e-4, 1e-4, 1e-5, 0.0])
@pytest.mark.parametrize("power", [1, 2])
def test_a_kink_near_the_point_is_no_fault_of_the_derivative(far, power):
    """Differences over a kink are wrong, and their error says so."""
    got, error = _derivative(lambda h: np.array([max(h - far, 0.0) ** power]))
    assert abs(got[0]) <= 20 * error[0]


def test_derivatives_of_smooth_functions_are_known_to_ten_digits():
    got, error = _derivative(lambda h: np.array([np.sin(1 + 3 * h), np.exp(h)]))
    assert np.abs(got - [3 * np.cos(1), 1]).max() <= 1e-10  # rounding of 1/step: 2e-12
    assert error.max() <= 1e-7
