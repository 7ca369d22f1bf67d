"""`select`: test rows stay unseen, the best is what it says, and its score flatters it."""

import pickle

import numpy as np
import pandas as pd
import pytest

import mlreg as ml
from mlreg.evaluation.splits import fold_of_rows, held_out

ROUNDINGS = 1e-11  # of means of 200 numbers of order one to ten, along another way
rng = np.random.default_rng(7)
N = 200
X = rng.standard_normal((N, 3))
Y = 1 + X @ [1.0, -0.5, 0.0] + 0.7 * rng.standard_normal(N)
RATES = [ml.SGD(rate, batch_size=16, epochs=2) for rate in (3.0, 0.001, 0.1)]
TABLE = {"y": Y, "a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
FORMULAS = [
    {"formula": f} for f in ("y ~ 1", "y ~ a", "y ~ a + b", "y ~ a + b + c", "y ~ a * b * c")
]


def test_scores_are_those_of_cross_validation_of_the_other_rows():
    noises = [ml.Gaussian(), ml.Laplace(), ml.StudentT(5)]
    chosen = ml.select(X, Y, settings=ml.grid(noise=noises), folds=4, test=0.25, seed=3)
    rest = np.flatnonzero(~held_out(N, 0.25, None, True, 3))
    values = []
    for i, noise in enumerate(noises):
        cv = ml.cross_validate(X[rest], Y[rest], folds=4, seed=3, noise=noise)
        assert abs(chosen.score[i] - cv.nll.value) <= ROUNDINGS
        assert abs(chosen.std_error[i] - cv.nll.std_error) <= ROUNDINGS
        values.append(cv.fold_nll * cv.n_rows / len(rest))
    best = int(chosen.score.argmin())
    for i, value in enumerate(values):  # folds are paired
        apart = value - values[best]
        error = np.sqrt(4 / 3 * np.sum((apart - apart.sum() * cv.n_rows / len(rest)) ** 2))
        assert abs(chosen.difference[i] - apart.sum()) <= ROUNDINGS
        assert abs(chosen.difference_error[i] - error) <= ROUNDINGS
    assert (chosen.best, chosen.n_validation, chosen.n_test, chosen.folds) == (best, 150, 50, 4)


def test_one_part_held_out():
    chosen = ml.select(
        "y ~ 1", TABLE, settings=FORMULAS, folds=None, validation=0.5, criterion="mse"
    )
    rest = np.flatnonzero(~held_out(N, 0.2, None, True, 0))
    out = held_out(160, 0.5, None, True, 0)
    train, valid = rest[~out], rest[out]
    for i, setting in enumerate(FORMULAS):
        fit = ml.fit(setting["formula"], {k: v[train] for k, v in TABLE.items()})
        found = ml.evaluate(fit, {k: v[valid] for k, v in TABLE.items()})
        assert abs(chosen.score[i] - found.mse.value) <= ROUNDINGS
        assert abs(chosen.std_error[i] - found.mse.std_error) <= ROUNDINGS
    assert (chosen.n_validation, chosen.folds) == (80, 1)


def test_the_choice_knows_nothing_of_the_test_rows():
    test = held_out(N, 0.2, None, True, 0)
    garbage = np.where(test, 1e6 * np.arange(N), Y)
    settings = ml.grid(optimizer=RATES)
    one, other = (ml.select(X, y, settings=settings) for y in (Y, garbage))
    for name in ("score", "std_error", "difference"):
        assert (getattr(one, name)[1:] == getattr(other, name)[1:]).all()
    assert (one.refit().params == other.refit().params).all()
    assert other.test().rmse.value > 1e6
    left = ml.fit(X[~test], Y[~test], optimizer=RATES[2])
    assert (one.refit().params == left.params).all()
    held = ml.evaluate(left, (X[test], Y[test]))
    assert abs(one.test().mse.value - held.mse.value) <= ROUNDINGS
    assert one.test().n_rows == test.sum() == 40


def test_test_rows_are_looked_at_for_one_setting():
    chosen = ml.select("y ~ 1", TABLE, settings=FORMULAS, seed=2)
    assert chosen.best > chosen.one_std_error == 2
    assert "nobody has looked at" in str(chosen)
    found = chosen.test("one-std-error")
    assert chosen.test("one-std-error") is found
    assert found.fit.names == ("Intercept", "a", "b")
    assert found.fit.predict(TABLE).shape == (N,)
    with pytest.raises(ml.InvalidInput, match=r"have been looked at, for .*Collect new ones"):
        chosen.test()
    assert f"test rows, of {chosen.labels[2]}: {found.nll.value:.5g}" in str(chosen)
    assert chosen.refit("best").rank > 3  # without the test rows anything may be fitted
    with pytest.raises(ml.InvalidInput, match="rule must be"):
        chosen.test("worst")
    again = pickle.loads(pickle.dumps(chosen))
    with pytest.raises(ml.InvalidInput, match="have been looked at"):
        again.test()


def test_settings_that_diverge_lose_and_are_said_to():
    chosen = ml.select(X, Y, settings=ml.grid(optimizer=RATES))
    assert chosen.best == 2
    assert set(chosen.status[0]) == {"diverged"}
    assert np.isinf([chosen.score[0], chosen.difference[0]]).all()
    assert np.isfinite(chosen.score[1:]).all()
    assert "inf         nan        inf      nan  diverged" in str(chosen)
    assert chosen.to_frame()["status"].tolist() == ["diverged", "stopped", "stopped"]
    none = ml.select(X, Y, settings=ml.grid(optimizer=RATES[:1]))
    assert "no best by nll" in str(none)
    for act in (none.refit, none.test, lambda: none.best):
        with pytest.raises(ml.InvalidInput, match="no setting has a finite score"):
            act()
    perfect = ml.select(X[:, :1], 2 * X[:, 0], settings=[{}, {"intercept": False}])
    assert np.isinf(perfect.score).all()
    assert perfect.status[0] == ("perfect-fit",) * 5
    assert ml.select(X[:, :1], 2 * X[:, 0], settings=[{}], criterion="mse").best == 0


def test_transforms_compare_by_the_density_of_y():
    y = np.exp(Y)
    chosen = ml.select(X, y, settings=ml.grid(transform=[None, "log", "arcsinh"]))
    assert chosen.best == 1  # a normal model of log-normal rows is 100 standard errors away
    assert chosen.labels == ("transform=None", "transform='log'", "transform='arcsinh'")


def test_grid_is_every_combination():
    assert ml.grid(a=[1, 2], b=["x", "y"]) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    with pytest.raises(ml.InvalidInput, match="noise must be a list"):
        ml.grid(noise=ml.Laplace())


def test_groups_and_blocks_stay_together_in_the_test_too():
    who = np.arange(N) // 10
    frame = pd.DataFrame(TABLE).assign(who=who)
    chosen = ml.select("y ~ a", frame, settings=[{}], groups="who", test=0.3)
    test = held_out(N, 0.3, who, True, 0)
    assert chosen.n_test == test.sum() == 60  # six groups of ten
    assert (
        abs(chosen.test().mse.value - ml.evaluate(chosen.refit(), frame[test]).mse.value)
        <= ROUNDINGS
    )
    rest = np.flatnonzero(~test)
    labels = np.unique(who[rest], return_inverse=True)[1]
    fold = fold_of_rows(len(rest), 5, labels, True, 0)
    cv = ml.cross_validate("y ~ a", frame.iloc[rest], groups="who")
    assert (cv.fold == fold).all()
    assert abs(cv.nll.value - chosen.score[0]) <= ROUNDINGS
    last = ml.select(X, Y, settings=[{}], shuffle=False)
    held = ml.evaluate(ml.fit(X[:160], Y[:160]), (X[160:], Y[160:]))
    assert abs(last.test().mse.value - held.mse.value) <= ROUNDINGS


def test_gaps_are_left_out_and_designs_are_made_once(monkeypatch):
    from mlreg.evaluation import choosing as module

    made = []
    original = module.Rows.__init__

    def init(self, *arguments):
        made.append(arguments)
        original(self, *arguments)

    monkeypatch.setattr(module.Rows, "__init__", init)
    gaps = np.where(X > 2, np.nan, X)
    settings = ml.grid(noise=[ml.Gaussian(), ml.Logistic()], prior=[None, ml.NormalPrior(1)])
    chosen = ml.select(gaps, Y, settings=settings, missing="drop")
    assert len(made) == 1
    assert chosen.n_validation + chosen.n_test == (~np.isnan(gaps).any(axis=1)).sum()
    table = {**TABLE, "b": gaps[:, 1]}
    with pytest.raises(ml.InvalidInput, match="use different rows"):
        ml.select("y ~ a", table, settings=FORMULAS[1:3], missing="drop")


@pytest.mark.parametrize(
    ("settings", "keywords", "error", "message"),
    [
        ([], {}, ml.InvalidInput, "settings must be a list"),
        ("noise", {}, ml.InvalidInput, "settings must be a list"),
        ([ml.Laplace()], {}, ml.InvalidInput, "must be a dictionary of keywords"),
        ({"noise": [ml.Laplace()]}, {}, ml.InvalidInput, r"grid\(keyword"),
        ([{}, {}], {}, ml.InvalidInput, "several settings are 'as given'"),
        ([{"nose": 1}], {}, ml.InvalidType, "nose=1: there is no argument nose"),
        ([{"noise": "t"}], {}, ml.InvalidInput, "noise='t': without fold 0: noise must be"),
        ([{"transform": "log"}], {}, ml.InvalidInput, "transform='log': .*above 0"),
        ([{"formula": "y ~ a"}], {}, ml.InvalidInput, "needs a formula in the place of X"),
        ([{}], {"criterion": "aic"}, ml.InvalidInput, "criterion must be"),
        ([{}], {"test": 0.0}, ml.InvalidInput, "share"),
        ([{}], {"folds": 1}, ml.InvalidInput, "folds"),
        ([{}], {"folds": None, "validation": 2}, ml.InvalidInput, "share"),
    ],
    ids=str,
)
def test_misuse_is_refused_by_name(settings, keywords, error, message):
    with pytest.raises(error, match=message):
        ml.select(X, Y, settings=settings, **keywords)


def test_without_a_test():
    chosen = ml.select(X, Y, settings={"all": {}, "flat": {"intercept": False}}, test=None)
    assert chosen.labels == ("all", "flat")
    assert (chosen.n_validation, chosen.n_test) == (N, 0)
    with pytest.raises(ml.InvalidInput, match="no test rows were set aside"):
        chosen.test()
    assert chosen.refit().n_rows == N
    d = chosen.to_dict()
    assert d["score"] == chosen.score.tolist()
    assert "settings" not in d


def test_the_score_of_the_best_is_optimistic_and_the_test_is_not():
    """Twenty seeds of SGD, which are worth nothing: the best validation score is chance.

    False alarm 4e-9: means of 80 independent draws within six standard errors of the truth, which
    for standard normal rows is 1 + ‖error of the coefficients‖². The optimism is 8 of them.
    """
    rng = np.random.default_rng(11)
    beta = np.array([0.0, 1.0, -1.0, 0.5, 0.0])
    tested, validated = [], []
    for _ in range(80):
        X = rng.standard_normal((60, 4))
        y = beta[0] + X @ beta[1:] + rng.standard_normal(60)
        seeds = [ml.SGD(0.3, batch_size=4, epochs=1, seed=s) for s in range(20)]
        chosen = ml.select(
            X, y, settings=ml.grid(optimizer=seeds), folds=None, criterion="mse", test=0.4
        )
        found = chosen.test()
        truth = 1 + np.sum((found.fit.params - beta) ** 2)
        tested.append(found.mse.value - truth)
        validated.append(chosen.score[chosen.best] - truth)
    for off, optimistic in ((np.array(tested), False), (np.array(validated), True)):
        error = off.std(ddof=1) / np.sqrt(len(off))
        assert (off.mean() < -6 * error) == optimistic
        assert optimistic or off.mean() <= 6 * error
