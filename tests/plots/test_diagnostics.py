import subprocess
import sys
import time

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.special import bdtr, betainc, betaincinv, stdtr, stdtrit

import mlreg as ml
from mlreg import plots
from mlreg.inference.bands import order_band
from mlreg.plots.fit_rows import rows_of
from mlreg.plots.points import SHOWN, cells_of, outlying

FOUR = [plots.residuals, plots.qq, plots.scale_location, plots.leverage]
ALL = [*FOUR, plots.influence]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    return X, X @ [1, 2, -1] + rng.normal(size=90)


@pytest.fixture(scope="module")
def fit(data):
    return ml.fit(*data)


def drawn(ax):
    """Rendered to pixels, without a warning (they are errors)."""
    ax.figure.canvas.draw()
    return ax


def points(ax, which=0):
    return np.asarray(ax.collections[which].get_offsets())


def dots(ax):
    """Every point that is drawn as one."""
    found = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.asarray(f) for f in found])


def band(ax):
    """x, lower and upper of the band, from its outline."""
    (one,) = [c for c in ax.collections if "band" in str(c.get_label())]
    corners = one.get_paths()[0].vertices
    m = (len(corners) - 3) // 2
    return corners[1 : m + 1, 0], corners[1 : m + 1, 1], corners[m + 2 : -1, 1][::-1]


def texts(ax):
    return [t.get_text() for t in ax.texts]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_residuals_are_drawn_over_fitted_values(fit):
    ax = drawn(plots.residuals(fit))
    # the same sums in another order: a few roundings of numbers below ten
    assert (
        np.abs(points(ax) - np.column_stack([fit.fitted_values(), fit.residuals()])).max() < 1e-13
    )
    assert legend(ax) == ["95 % band of the smooth", "smooth"]
    _x, lower, upper = band(ax)
    assert np.array_equal(lower, -upper)
    assert (upper > 0).all()
    largest = np.argsort(-np.abs(fit.residuals()))[:3]
    assert texts(ax) == [str(row) for row in largest]


def test_a_qq_plot_has_the_residuals_in_order_and_their_quantiles(fit):
    ax = drawn(plots.qq(fit))
    t = np.sort(fit.influence().externally_studentised)
    got = dots(ax)
    got = got[np.argsort(got[:, 0])]
    assert np.array_equal(got[:, 1], t)
    i = np.arange(1.0, 91)
    median = betaincinv(i, 91 - i, 0.5)
    assert np.array_equal(got[:, 0], stdtrit(85, median))
    x, lower, upper = band(ax)
    assert np.array_equal(x, got[:, 0])
    assert legend(ax)[0] == "95 % band"
    share = 2 * float(betainc(45, 46, stdtr(85, lower[44])))
    for limits, by_level in zip((lower, upper), order_band(share, i, 90), strict=True):
        assert np.abs(stdtr(85, limits) - by_level).max() < 1e-9  # one local level for all


def test_scale_and_leverage_show_the_studentised_residuals(fit):
    found = fit.influence()
    root = np.sqrt(np.abs(found.internally_studentised))
    assert np.array_equal(points(drawn(plots.scale_location(fit)))[:, 1], root)
    ax = drawn(plots.leverage(fit))
    pairs = np.column_stack([found.leverage, found.internally_studentised])
    assert np.array_equal(points(ax), pairs)


def test_contours_have_the_cooks_distance_they_claim(data):
    X, y = data[0].copy(), data[1].copy()
    X[0], y[0] = 6, -20
    ax = drawn(plots.leverage(ml.fit(X, y)))
    assert legend(ax) == ["Cook's distance 0.5", "Cook's distance 1"]
    for line, far in zip(ax.lines[1:], (0.5, 0.5, 1, 1), strict=True):
        h, r = line.get_data()
        assert np.abs(r**2 * h / (1 - h) / 4 / far - 1).max() < 1e-12
    assert texts(ax)[0] == "0"


def test_influence_draws_areas_and_names(fit):
    found = fit.influence()
    ax = drawn(plots.influence(fit, top=4))
    area = ax.collections[0].get_sizes()
    # area is linear in Cook's distance
    slope = np.diff(area) / np.diff(found.cooks_distance)
    assert np.abs(slope / slope[0] - 1).max() < 1e-6
    assert texts(ax) == [str(row) for row in found.largest(4).rows]
    ax = drawn(plots.influence(fit, kind="index", top=1))
    assert np.array_equal(points(ax)[:, 1], found.cooks_distance)
    for wrong in ({"kind": "pie"}, {"top": -1}, {"top": True}):
        with pytest.raises(ml.InvalidInput):
            plots.influence(fit, **wrong)


def test_bands_find_what_is_wrong_and_leave_alone_what_is_not(data):
    """Each of three bands has a false alarm in 5 of 100 pictures; what is wrong here is plain."""
    X, y = data
    right, bent = ml.fit(X, y), ml.fit(X, y + 3 * (X @ [1, 2, -1]) ** 2 / 5)
    fanned = ml.fit(X, X @ [1, 2, -1] + np.exp(X @ [1, 2, -1] / 2) * (y - X @ [1, 2, -1]))
    wild = ml.fit(X, X @ [1, 2, -1] + (y - X @ [1, 2, -1]) ** 5)

    def leaves(ax):
        x, lower, upper = band(ax)
        smooth = next(line for line in ax.lines if line.get_label() == "smooth")
        assert np.array_equal(smooth.get_xdata(), x)
        return bool(((smooth.get_ydata() < lower) | (smooth.get_ydata() > upper)).any())

    assert leaves(plots.residuals(bent))
    assert not leaves(plots.residuals(right))
    assert leaves(plots.scale_location(fanned))
    assert not leaves(plots.scale_location(right))
    assert legend(plots.qq(right)) == ["95 % band"]
    assert legend(plots.qq(wild))[1].startswith("outside: ")
    assert legend(plots.qq(right, level=0.8))[0] == "80 % band"


def test_the_bands_of_smooths_have_their_level():
    rng = np.random.default_rng(5)
    X = rng.standard_t(3, size=(25, 2))
    pictures, outs = 250, np.zeros(2, dtype=int)
    for _ in range(pictures):
        rows = rows_of(ml.fit(X, rng.normal(size=25)))
        for k, smooth in enumerate((rows.smooth(0.8), rows.smooth_root(0.8))):
            outs[k] += bool(((smooth.y < smooth.lower) | (smooth.y > smooth.upper)).any())
    # the limit is the 200th of 999 draws, so that the chance to pass it is Beta(200, 800), within
    # 0.13 and 0.27 but for 1e-7; then a count beyond these has a probability of 1e-7, too
    assert (bdtr(outs, pictures, 0.13) > 1e-7).all()
    assert (bdtr(outs - 1, pictures, 0.27) < 1 - 1e-7).all()
    assert bdtr(outs.max(), pictures, 0.5) < 1e-7  # it would tell a level of one half


def test_the_page_has_all_four_and_nothing_of_pyplots(fit):
    figure = fit.plot()
    figure.canvas.draw()
    assert len(figure.axes) == 4
    for ax, one in zip(figure.axes, FOUR, strict=True):
        assert ax.get_xlabel() == one(fit).get_xlabel()
    code = (
        "import sys, mlreg as ml; assert 'matplotlib' not in sys.modules; d = ml.datasets.norris();"
        "ml.fit(d.X, d.y).plot(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("one", ALL)
def test_each_takes_and_returns_axes(one, fit):
    ax = Figure().add_subplot()
    assert one(fit, ax=ax) is ax
    with pytest.raises(ml.InvalidType, match="ax must be"):
        one(fit, ax="here")
    with pytest.raises(ml.InvalidType, match=r"what ml\.fit returned"):
        one("fit")


def test_no_labels_meet_and_none_is_outside(data):
    X, y = data
    outlier = y.copy()
    outlier[:3] += 40  # three far away, side by side
    outlier[3:6] -= 30
    for fit in (ml.fit(X, y), ml.fit(X[:, :1], outlier)):
        for one in ALL:
            for size in ((3.5, 2.6), (8, 6)):
                figure = Figure(figsize=size, layout="constrained")
                FigureCanvasAgg(figure)
                ax = drawn(one(fit, ax=figure.add_subplot()))
                renderer = figure.canvas.get_renderer()
                boxes = [Text.get_window_extent(t, renderer) for t in ax.texts]
                for i, box in enumerate(boxes):
                    assert not any(box.overlaps(b) for b in boxes[:i])
                    assert box.x0 >= 0, (one, size)
                    assert box.x1 <= figure.bbox.x1, (one, size)


# Many rows


def test_a_million_rows_take_seconds_and_keep_their_extremes():
    rng = np.random.default_rng(0)
    n = 1_000_000
    X = rng.normal(size=(n, 2))
    y = X @ [1, -1] + rng.normal(size=n)
    y[77] += 30
    fit = ml.fit(X, y)
    start = time.process_time()
    figure = fit.plot()
    figure.canvas.draw()
    assert time.process_time() - start < 30  # about 4 where nothing else runs
    for ax in figure.axes:
        assert len(dots(ax)) <= SHOWN
        assert "77" in texts(ax)
    e = fit.residuals()
    for ax, values in (
        (figure.axes[0], e),
        (figure.axes[1], fit.influence().externally_studentised),
    ):
        inside = dots(ax)[:, 1]
        assert inside.max() == values.max()
        assert inside.min() == values.min()
    assert "1,000,000 rows: their density, and " in figure.axes[0].get_title(loc="left")
    assert "of 1,000,000 rows" in figure.axes[1].get_title(loc="left")
    smooth = next(line for line in figure.axes[0].lines if line.get_label() == "smooth")
    _x, lower, upper = band(figure.axes[0])
    assert ((smooth.get_ydata() > lower) & (smooth.get_ydata() < upper)).all()


def test_outlying_points_are_where_there_are_fewest():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50_000))
    cells, _, _ = cells_of(x, y)
    alone = outlying(cells, 1000)
    counts = np.bincount(cells)[cells]
    assert 500 < alone.sum() <= 1000
    assert counts[alone].max() <= counts[~alone].min()
    assert cells_of(np.zeros(5), y[:5])[0].max() < 2500  # of no width


def test_each_of_many_rows_is_a_point_or_counted():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(20_000, 2))
    ax = drawn(plots.residuals(ml.fit(X, X @ [1, 1] + rng.normal(size=20_000))))
    (mesh,) = [c for c in ax.collections if isinstance(c, QuadMesh)]
    counted, extremes = int(mesh.get_array().sum()), 4
    assert 20_000 <= counted + len(dots(ax)) <= 20_000 + extremes


# What is not defined


def test_other_noises_have_their_own_quantiles_and_no_exact_band(data):
    X, y = data
    for noise in (ml.Laplace(), ml.StudentT(df=4), ml.Logistic(), ml.Huber()):
        fit = ml.fit(X, y, noise=noise)
        ax = drawn(plots.qq(fit))
        assert "independent draws" in legend(ax)[0]
        got = dots(ax)
        got = got[np.argsort(got[:, 0])]
        assert np.abs(got[:, 1] - np.sort(fit.residuals() / fit.sigma)).max() < 1e-12
        i = np.arange(1.0, 91)
        assert np.array_equal(got[:, 0], np.asarray(noise.quantile(betaincinv(i, 91 - i, 0.5))))
        for one in (plots.residuals, plots.scale_location):
            ax = drawn(one(fit))
            assert "no band" in ax.get_title(loc="left")
            assert legend(ax) == ["smooth"]
        for one in (plots.leverage, plots.influence):
            with pytest.raises(ml.InvalidInput, match="known of least squares only"):
                one(fit)
        figure = fit.plot()
        figure.canvas.draw()
        assert "known of least squares only" in figure.axes[3].texts[0].get_text()


def test_a_scale_design_divides_by_each_rows_scale(data):
    X, y = data
    fit = ml.fit(X, y * np.exp(X[:, 0]), scale=X[:, 0])
    ax = plots.qq(fit)
    want = np.sort(fit.residuals() / fit.predict_scale(X, scale=X[:, 0]))
    assert np.abs(np.sort(dots(ax)[:, 1]) - want).max() < 1e-12


def test_weights_count_as_they_should(data):
    X, y = data
    w, k = np.linspace(0.5, 2, 90), np.tile([1, 2], 45)
    weighted = ml.fit(X, y, precision_weights=w)
    ax = drawn(plots.residuals(weighted))
    assert np.abs(points(ax)[:, 1] - np.sqrt(w) * weighted.residuals()).max() < 1e-13
    assert np.abs(points(ax)[:, 0] - weighted.fitted_values()).max() < 1e-13
    assert ax.get_ylabel() == "weighted residual"
    assert "95 % band" in legend(ax)[0]
    counted = ml.fit(X, y, frequency_weights=k)
    for one in (plots.residuals, plots.qq, plots.scale_location):
        assert "stand for several" in drawn(one(counted)).get_title(loc="left")
    got = dots(plots.qq(counted))
    t = counted.influence().externally_studentised
    order = np.argsort(t)
    place = (np.cumsum(k[order]) - 0.5 * k[order]) / k.sum()
    assert np.array_equal(got, np.column_stack([stdtrit(counted.df_resid - 1, place), t[order]]))
    smooth = plots.residuals(counted).lines[-1].get_ydata()
    whole = ml.fit(np.repeat(X, k, axis=0), np.repeat(y, k))
    by_rows = next(b for b in plots.residuals(whole).lines if b.get_label() == "smooth").get_ydata()
    assert np.abs(smooth - by_rows).max() < 1e-10


def test_dependent_columns_are_as_if_they_were_not_there(data):
    X, y = data
    doubled = np.column_stack([X, X[:, 0]])
    fit = ml.fit(doubled, y, rank_deficient="drop")
    for one in ALL:
        a, b = drawn(one(fit)), one(ml.fit(X, y))
        assert np.abs(dots(a) - dots(b)).max() < 1e-12


def test_what_has_no_residuals_is_refused_in_words(data):
    X, y = data
    square, perfect = ml.fit(X[:4], y[:4]), ml.fit(X, X @ [1, 2, 3])
    for fit, why in ((square, "every row is fitted exactly"), (perfect, "fit perfectly")):
        for one in ALL:
            with pytest.raises(ml.InvalidInput, match=why):
                one(fit)
        figure = fit.plot()
        figure.canvas.draw()
        assert why in figure.axes[0].texts[0].get_text()


def test_few_rows_one_column_and_leverage_one(data):
    X, y = data
    alone = ml.fit(np.empty((90, 0)), y)  # the intercept
    ax = drawn(plots.residuals(alone))
    assert "no smooth: fewer than five fitted values" in ax.get_title(loc="left")
    drawn(plots.leverage(alone))
    drawn(plots.qq(ml.fit(X[:6], y[:6])))
    with pytest.raises(ml.InvalidInput, match="one residual degree of freedom"):
        plots.qq(ml.fit(X[:5], y[:5]))
    ml.fit(X[:5], y[:5]).plot().canvas.draw()
    marked = ml.fit(np.column_stack([X, np.arange(90) == 7]), y)
    for one in ALL:
        ax = drawn(one(marked))
        told = ax.get_title(loc="left").replace("\n", " ")
        assert one is plots.residuals or "leverage 1" in told, one
        assert len(dots(ax)) == 90 - (one is not plots.residuals)
    origin = ml.fit(X, y, intercept=False)
    origin.plot().canvas.draw()


def test_rows_that_cannot_be_drawn_are_said(data):
    X = data[0]
    y = X @ [1, 2, 3]
    y[5] += 10  # all others fit perfectly
    ax = drawn(plots.qq(ml.fit(X, y)))
    assert "without row 5 the other rows fit perfectly" in ax.get_title(loc="left").replace(
        "\n", " "
    )


def test_a_fit_without_rows_says_so(fit, tmp_path):
    fit.save(tmp_path / "fit.json")
    for one in [*ALL, plots.diagnostics]:
        with pytest.raises(ml.DataNeeded):
            one(ml.load(tmp_path / "fit.json"))


def test_without_matplotlib_the_pip_line(monkeypatch, fit):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ml.MissingDependency, match=r"pip install 'mlreg\[plots\]'"):
        fit.plot()


def test_levels_are_checked(fit):
    for one in [plots.residuals, plots.qq, plots.scale_location, plots.diagnostics]:
        with pytest.raises(ml.InvalidInput, match="level must be"):
            one(fit, level=95)
