import io

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

import mlreg as ml
from mlreg import plots


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    X[:, 1] += X[:, 0]
    return X, X @ [1, 2, -1] + 3 + rng.normal(size=60)


@pytest.fixture(scope="module")
def fit(data):
    return ml.fit(*data)


@pytest.fixture(scope="module")
def table(data):
    group = np.where(np.arange(60) % 3 == 0, "a", "b")
    return {"dose": data[0][:, 0], "age": data[0][:, 1] + 50, "group": group, "y": data[1] + 20}


def drawn(ax):
    """Rendered to pixels, without a warning (they are errors)."""
    ax.figure.canvas.draw()
    return ax


def line(ax, label):
    (one,) = [found for found in ax.lines if str(found.get_label()).startswith(label)]
    return np.array(one.get_data())


def band(ax, label):
    """x, lower and upper of a band, from its outline."""
    (one,) = [c for c in ax.collections if label in str(c.get_label())]
    corners = one.get_paths()[0].vertices
    m = (len(corners) - 3) // 2
    return corners[1 : m + 1, 0], corners[1 : m + 1, 1], corners[m + 2 : -1, 1][::-1]


def points(ax):
    (one,) = [c for c in ax.collections if isinstance(c, PathCollection)]
    return np.asarray(one.get_offsets())


def title(ax):
    return ax.get_title(loc="left")


# Coefficients


def test_coefficients_are_drawn_with_their_intervals(fit, data):
    robust, few = fit.with_covariance("HC3"), ml.fit(data[0][:, :2], data[1])
    ax = drawn(plots.coefficients(fit, robust, few, level=0.9))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x1", "x2", "x3"]
    bars = [c for c in ax.collections if isinstance(c, LineCollection)]
    for one, marks, bar in zip((fit, robust, few), ax.lines[1:], bars, strict=True):
        k = one.rank
        assert np.array_equal(marks.get_xdata()[: k - 1], one.params[1:])
        ends = np.array([found[:, 0] for found in bar.get_segments() if found.ndim == 2])[: k - 1]
        assert np.array_equal(ends, one.conf_int(0.9)[1:])
    assert np.isnan(ax.lines[3].get_xdata()[2])  # it has no x3
    told = [t.get_text() for t in ax.get_legend().get_texts()]
    assert told == ["least squares (1)", "least squares, HC3", "least squares (2)"]
    assert "90 % intervals" in title(ax)
    assert "HC3" in title(plots.coefficients(robust))


def test_which_coefficients_and_what_they_are_called(fit, data):
    names = ["x3", "Intercept"]
    ax = drawn(plots.coefficients(fit, fit, names=names, labels=["one", "two"]))
    assert [t.get_text() for t in ax.get_yticklabels()] == names
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]
    alone = ml.fit(np.empty((60, 0)), data[1])
    assert [t.get_text() for t in plots.coefficients(alone).get_yticklabels()] == ["Intercept"]
    with pytest.raises(ml.InvalidInput, match="no fit has a coefficient 'z'"):
        plots.coefficients(fit, names=["z"])
    with pytest.raises(ml.InvalidInput, match="labels must be 1 text"):
        plots.coefficients(fit, labels=["one", "two"])
    with pytest.raises(ml.InvalidInput, match="nothing to draw"):
        plots.coefficients()
    with pytest.raises(ml.InvalidType):
        plots.coefficients(fit, "fit")
    with pytest.raises(ml.InvalidInput, match="level must be"):
        plots.coefficients(fit, level=95)
    wide = ml.fit(np.random.default_rng(0).normal(size=(80, 61)), np.arange(80.0))
    with pytest.raises(ml.InvalidInput, match="name at most 60"):
        plots.coefficients(wide)


def test_coefficients_without_intervals_and_other_fits(fit, data, tmp_path):
    X, y = data
    assert "no intervals" in title(drawn(plots.coefficients(ml.fit(X[:4], y[:4]))))
    dropped = ml.fit(np.column_stack([X, X[:, 0]]), y, rank_deficient="drop")
    ax = drawn(plots.coefficients(dropped))
    assert np.isnan(ax.lines[1].get_xdata()[3])
    assert "no intervals" not in title(ax)
    believed = ml.fit(X, y, prior=ml.NormalPrior(1.0))
    laplace = ml.fit(X, y, noise=ml.Laplace())
    ax = drawn(plots.coefficients(believed, laplace))
    assert "with a prior" in ax.get_legend().get_texts()[0].get_text()
    assert "posterior" in title(plots.coefficients(believed))
    fit.save(tmp_path / "fit.json")
    drawn(plots.coefficients(ml.load(tmp_path / "fit.json")))  # it needs no rows


# Added variable


def test_the_slope_of_a_partial_regression_is_the_coefficient(fit, data):
    X, y = data
    for j, name in enumerate(fit.names):
        x, left = points(drawn(plots.partial_regression(fit, name))).T
        all_columns = np.column_stack([np.ones(60), X])
        others = np.delete(all_columns, j, axis=1)
        off = 1e-13 * np.linalg.cond(all_columns) * (1 + np.abs(y).max())
        for got, column in ((x, all_columns[:, j]), (left, y)):
            rest = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
            assert np.abs(got - rest).max() < off
        assert abs(x @ left / (x @ x) - fit.params[j]) < off


def test_its_band_is_the_interval_of_the_coefficient(fit):
    robust = fit.with_covariance("HC1")
    ax = drawn(plots.partial_regression(robust, "x1", level=0.8))
    x, lower, upper = band(ax, "80 % interval, standard errors: HC1")
    low, high = robust.conf_int(0.8)[1]
    right = x > 0
    assert np.abs(lower[right] - low * x[right]).max() < 1e-14
    assert np.abs(upper[right] - high * x[right]).max() < 1e-14
    (slope,) = {text for text in ax.get_legend_handles_labels()[1] if "slope" in text}
    assert slope == f"slope {fit.params[1]:.4g}, the coefficient"


def test_a_partial_regression_of_weighted_perfect_or_dropped(data):
    X, y = data
    w = np.linspace(0.5, 2, 60)
    weighted = ml.fit(X, y, precision_weights=w)
    ax = drawn(plots.partial_regression(weighted, "x2"))
    x, left = points(ax).T
    assert abs(x @ left / (x @ x) - weighted.params[2]) < 1e-12
    assert ax.get_xlabel().startswith("root of weight")
    for perfect in (ml.fit(X, X @ [1, 2, 3]), ml.fit(X[:4], y[:4])):
        x, left = points(drawn(plots.partial_regression(perfect, "x1"))).T
        assert np.abs(left - perfect.params[1] * x).max() < 1e-12
    dropped = ml.fit(np.column_stack([X, X[:, 0]]), y, rank_deficient="drop")
    with pytest.raises(ml.InvalidInput, match="'x4' was left out"):
        plots.partial_regression(dropped, "x4")
    with pytest.raises(ml.InvalidInput, match="no coefficient is called 'x9'"):
        plots.partial_regression(dropped, "x9")
    with pytest.raises(ml.InvalidInput, match="a thing of least squares"):
        plots.partial_regression(ml.fit(X, y, noise=ml.Laplace()), "x1")


# Along a column


def test_bands_are_those_of_predict(fit, data):
    X, y = data
    for one in (fit, fit.with_covariance("HC3"), ml.fit(X, y, noise=ml.StudentT(df=5))):
        ax = drawn(plots.prediction_band(one, "x2", X, at={"x1": 1.5}, level=0.9))
        x, mean = line(ax, "prediction")
        rows = np.column_stack([np.full(121, 1.5), x, np.full(121, X[:, 2].mean())])
        assert x[0] == X[:, 1].min()
        assert x[-1] == X[:, 1].max()
        for interval, label in (("mean", "limits of the mean"), ("prediction", "limits of new")):
            want = one.predict(rows, interval, 0.9)
            got = band(ax, label)
            for a, b in zip((mean, *got[1:]), (want.mean, want.lower, want.upper), strict=True):
                assert np.abs(a - b).max() < 1e-12
        assert "x1 = 1.5, x3 = " in title(ax)
        assert not [c for c in ax.collections if isinstance(c, PathCollection)]


def test_points_are_residuals_from_the_prediction(fit, data):
    X, y = data
    got = points(drawn(plots.prediction_band(fit, "x1", (X, y))))
    there = fit.predict(np.column_stack([X[:, 0], np.tile(X[:, 1:].mean(axis=0), (60, 1))]))
    assert np.abs(got[:, 1] - (there + fit.residuals())).max() < 1e-12
    alone = ml.fit(X[:, 0], y)
    got = points(drawn(plots.prediction_band(alone, "x1", (X[:, :1], y))))
    assert np.abs(got - np.column_stack([X[:, 0], y])).max() < 1e-13  # one column: the data


def test_tables_categories_and_transforms(table):
    fit = ml.fit("log(y) ~ dose + age + C(group)", table)
    with pytest.raises(ml.InvalidInput, match=r"'group' has categories.*at=\{'group': 'a'\}"):
        plots.prediction_band(fit, "dose", table)
    ax = drawn(plots.prediction_band(fit, "dose", table, at={"group": "b"}))
    x, mean = line(ax, "prediction")
    new = {"dose": x, "age": np.full(121, table["age"].mean()), "group": ["b"] * 121}
    assert np.abs(mean - fit.predict(new)).max() < 1e-12
    got = points(ax)
    new = {**new, "dose": table["dose"], "age": np.full(60, table["age"].mean())}
    center = np.log(fit.predict({**new, "group": ["b"] * 60}))
    assert np.abs(np.log(got[:, 1]) - center - fit.residuals()).max() < 1e-12
    bare = {name: column for name, column in table.items() if name != "y"}
    assert not [
        c
        for c in plots.prediction_band(fit, "dose", bare, at={"group": "a"}).collections
        if isinstance(c, PathCollection)
    ]
    for wrong, why in (
        ({"column": "height"}, "does not use a column 'height'"),
        ({"column": "group", "at": {}}, "not of numbers"),
        ({"column": "dose", "at": {"dose": 1}}, "not held"),
        ({"column": "dose", "at": {"colour": 1}}, "does not use a column 'colour'"),
        ({"column": "dose", "at": {"group": "z"}}, "'z'"),
    ):
        with pytest.raises(ml.InvalidInput, match=why):
            plots.prediction_band(fit, data=table, **{"at": {"group": "b"}, **wrong})


def test_bands_of_fits_without_limits_and_with_a_scale(data, table):
    X, y = data
    ax = drawn(plots.prediction_band(ml.fit(X[:4], y[:4]), "x1", X))
    assert "no limits" in title(ax)
    assert ax.get_legend_handles_labels()[1] == ["prediction"]
    fanned = ml.fit("y ~ dose", table, scale="~ dose")
    x, lower, upper = band(drawn(plots.prediction_band(fanned, "dose", table)), "limits of new")
    want = fanned.predict({"dose": x}, "prediction")
    assert np.abs(upper - want.upper).max() < 1e-12
    assert np.abs(lower - want.lower).max() < 1e-12


# A profile


def test_a_profile_is_the_log_likelihood_with_the_parameter_held(data):
    X, y = data
    for noise in (ml.Gaussian(), ml.Logistic()):
        fit = ml.fit(X, y, noise=noise)
        ax = drawn(plots.profile(fit, "x2", level=0.9))
        exact = np.array(ax.lines[1].get_data()).T
        assert len(exact) == 13
        for held, height in exact[::3]:
            other = ml.fit(X[:, [0, 2]], y - held * X[:, 1], noise=noise)
            # the ends are verified to 1e-6 in the log-likelihood, and so is the fit
            assert abs(other.log_likelihood - fit.log_likelihood - height) < 1e-5
        curve = line(ax, "profile")
        assert np.abs(np.interp(exact[:, 0], *curve) - exact[:, 1]).max() < 0.01
        low, high = fit.profile_interval("x2", 0.9)
        shaded = band(ax, f"90 % interval: {low:.4g} to {high:.4g}")[0]
        assert np.abs([shaded.min() - low, shaded.max() - high]).max() < 1e-9
        parabola = line(ax, "by the standard error")
        error = fit.std_errors[2]
        want = -0.5 * ((parabola[0] - fit.params[2]) / error) ** 2
        assert np.abs(parabola[1] - want).max() < 1e-10


def test_profiles_of_scale_and_shape(data):
    X, y = data
    fit = ml.fit(X, y)
    ax = drawn(plots.profile(fit, "sigma"))
    sigma, height = ax.lines[1].get_data()
    x = np.log(sigma / fit.sigma)
    # rise of the NLL where coefficients do not depend on sigma: n (x + (exp(-2x) - 1)/2)
    assert np.abs(height + 60 * (x + np.expm1(-2 * x) / 2)).max() < 1e-9
    assert plots.profile(fit, 4).get_xlabel() == "log sigma"
    heavy = ml.fit(X, y + np.random.default_rng(1).standard_t(2, size=60), noise=ml.StudentT())
    ax = drawn(plots.profile(heavy, "df", level=0.5))
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "df of Student's t"


def test_profiles_that_there_are_not(data):
    X, y = data
    with pytest.raises(ml.InvalidInput, match="no parameter is called"):
        plots.profile(ml.fit(X, y), "x9")
    with pytest.raises(ml.InvalidInput, match="posterior"):
        plots.profile(ml.fit(X, y, prior=ml.NormalPrior(1.0)), "x1")
    with pytest.raises(ml.InvalidInput, match="level must be"):
        plots.profile(ml.fit(X, y), "x1", level=95)
    with pytest.raises(ml.InvalidInput, match="perfect"):
        plots.profile(ml.fit(X, X @ [1, 2, 3]), "x1")


def test_each_takes_and_returns_axes(fit, data):
    for one in (
        lambda ax: plots.coefficients(fit, ax=ax),
        lambda ax: plots.partial_regression(fit, "x1", ax=ax),
        lambda ax: plots.prediction_band(fit, "x1", data, ax=ax),
        lambda ax: plots.profile(fit, "x1", ax=ax),
    ):
        ax = Figure(figsize=(3.5, 2.6)).add_subplot()
        assert one(ax) is ax
        drawn(ax)
        with pytest.raises(ml.InvalidType, match="ax must be"):
            one("here")


def test_names_of_columns_are_no_mathematics_and_fit_in_the_figure():
    X, y = np.random.default_rng(0).standard_normal((2, 40))
    names = ["price in $ and in $_{x}\n", "a" * 300]
    fit = ml.fit(np.column_stack([X, X**2]), y, names=names)
    for ax in (
        plots.coefficients(fit),
        plots.partial_regression(fit, names[0]),
        plots.prediction_band(fit, names[1], np.column_stack([X, X**2])),
        plots.profile(fit, names[0]),
    ):
        ax.figure.savefig(io.BytesIO())
    told = [label.get_text() for label in plots.coefficients(fit).get_yticklabels()]
    assert told == [r"price in \$ and in \$_{x}", f"{'a' * 28} … {'a' * 9}"]


def test_axes_are_of_the_transformed_response():
    table = {"x": np.arange(20.0), "y": np.exp(np.sin(np.arange(20.0)))}
    fit = ml.fit("log(y) ~ x", table)
    assert plots.coefficients(fit).get_xlabel() == "coefficient, log(y) per unit of the column"
    assert plots.partial_regression(fit, "x").get_ylabel() == "log(y), less what they say of it"
    plain = ml.fit("y ~ x", table)
    assert plots.coefficients(plain).get_xlabel() == "coefficient, y per unit of the column"
    assert plots.coefficients(fit, plain).get_xlabel() == "coefficient"
