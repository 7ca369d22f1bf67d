import copy
import subprocess
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import mlreg as ml
from mlreg.plots import distance, loss, path, textbook_runs, watch
from mlreg.plots.style import COLOURS, POINTS, spread, styles, thin

FIGURES = [loss, distance, path]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[:, 1] = 0.8 * X[:, 0] + 0.6 * X[:, 1]
    return X, X @ [2, -3.4] + 4.2 + 0.1 * rng.normal(size=400)


@pytest.fixture(scope="module")
def runs(data):
    return textbook_runs(*data, passes=4)


@pytest.fixture(scope="module")
def fits(data):
    optimizers = [ml.SGD(0.1, epochs=6), ml.Scipy("BFGS"), ml.Newton()]
    return [ml.fit(*data, optimizer=one) for one in optimizers]


def drawn(ax):
    """Rendered to pixels, without a warning (they are errors)."""
    ax.figure.canvas.draw()
    return ax


def texts(ax):
    return [t.get_text() for t in ax.texts]


def boxes(artists, ax):
    renderer = ax.figure.canvas.get_renderer()
    return [a.get_window_extent(renderer) for a in artists]


def test_loss_draws_the_histories(runs, fits):
    for results in (runs, fits, [fits[0].solution]):
        ax = drawn(loss(*results))
        for result, line in zip(results, ax.lines, strict=False):
            assert np.array_equal(line.get_ydata(), result.history.mean_nll)
            x = (
                result.passes
                if isinstance(result, ml.plots.Run)
                else np.arange(len(line.get_xdata()))
            )
            assert np.array_equal(line.get_xdata(), x)
    assert len(ax.lines) == 1  # a solution alone does not know the NLL of the MLE


def test_loss_marks_the_nll_of_the_mle(data, runs, fits):
    best = ml.fit(*data).nll / 400
    for results in (runs, fits):
        level = loss(*results).lines[-1].get_ydata()[0]
        # of a logarithm of RSS/n, computed in two ways
        assert abs(level - best) <= 1e-13 * (1 + abs(best))
        assert min(r.history.mean_nll.min() for r in results) >= level - 1e-13


def test_loss_against_seconds_draws_the_seconds(runs, fits):
    ax = drawn(loss(*runs, against="seconds"))
    for run, line in zip(runs, ax.lines, strict=False):
        assert np.array_equal(line.get_xdata(), run.seconds)
        assert np.array_equal(line.get_ydata(), run.history.mean_nll)
    assert ax.get_xscale() == "log"
    with pytest.raises(ml.InvalidInput, match=r"'SGD' has no times"):
        loss(*runs, fits[0], against="seconds")
    with pytest.raises(ml.InvalidInput, match="against must be"):
        loss(*runs, against="hours")


def test_distance_draws_the_ends_of_passes_and_the_predicted_plateaus(runs):
    ax = drawn(distance(*runs))
    for run, line in zip(runs, ax.lines, strict=False):
        at = np.isin(run.passes, np.arange(5))
        assert np.array_equal(line.get_xdata(), [0, 1, 2, 3, 4])
        assert np.array_equal(line.get_ydata(), run.history.distance[at])
    plateaus = [line.get_ydata()[0] for line in ax.lines[4:-1]]
    assert plateaus == [run.plateau for run in runs[1:]]
    assert ax.lines[-1].get_ydata()[0] == 0.1
    assert ax.get_yscale() == "log"
    assert f"minibatches of 10\npredicted plateau {runs[2].plateau:.2g}" in texts(ax)
    colours = [line.get_color() for line in ax.lines]
    assert colours[4:-1] == colours[1:4]


def test_distance_of_fits_takes_plateaus(fits):
    ax = drawn(distance(*fits, plateaus=[1.5, None, None], labels=["a", "b", "c"]))
    for fit, line in zip(fits, ax.lines, strict=False):
        d = fit.history.distance
        assert np.array_equal(line.get_ydata(), np.where(d > 0, d, np.nan), equal_nan=True)
    assert [line.get_ydata()[0] for line in ax.lines[3:]] == [1.5, 0.1]
    assert "a\npredicted plateau 1.5" in texts(ax)
    with pytest.raises(ml.InvalidInput, match="3 results and 1 plateaus"):
        distance(*fits, plateaus=[1.0])


def test_path_draws_the_coefficients_and_ellipses_of_standard_errors(data, runs, fits):
    mle = ml.fit(*data)
    for which, columns in ((None, [1, 2]), (("x1", "Intercept"), [1, 0]), ((0, -1), [0, 2])):
        ax = drawn(path(*runs, *fits, which=which))
        for result, line in zip([*runs, *fits], ax.lines, strict=False):
            assert np.array_equal(line.get_xydata(), result.history.params[:, columns])
        centre = ax.lines[len(runs) + len(fits)].get_xydata()[0]
        errors = mle.std_errors[columns]
        assert (np.abs(centre - mle.params[columns]) <= 1e-12 * errors).all()
        # each contour is where the two coefficients alone are that many standard errors away
        inverse = np.linalg.inv(mle.covariance()[np.ix_(columns, columns)])
        ellipses = ax.lines[len(runs) + len(fits) + 1 :]
        assert len(ellipses) >= 3
        levels = []
        for line in ellipses:
            delta = line.get_xydata() - centre
            far = np.sqrt(np.einsum("ij,jk,ik->i", delta, inverse, delta))
            levels.append(far[0])
            # condition of the block below 20: far within a millionth
            assert np.ptp(far) <= 1e-6 * far[0]
        assert np.allclose(np.diff(levels), levels[0], rtol=1e-6, atol=0)
        assert set(texts(ax)) <= {f"{level:g}" for level in np.round(levels, 6)}


def test_no_point_is_nearer_than_its_contour_says(data, runs):
    mle = ml.fit(*data)
    inverse = np.linalg.inv(mle.covariance()[1:, 1:])
    for run in runs:
        delta = run.history.params[:, 1:] - mle.params[1:]
        alone = np.sqrt(np.einsum("ij,jk,ik->i", delta, inverse, delta))
        assert (alone <= run.history.distance * (1 + 1e-6) + 1e-6).all()


def test_path_within_shows_that_ellipse(data, runs):
    mle = ml.fit(*data)
    ax = drawn(path(*runs, within=10))
    for limits, j in ((ax.get_xlim(), 1), (ax.get_ylim(), 2)):
        expected = mle.params[j] + np.array([-10, 10]) * mle.std_errors[j]
        assert (np.abs(limits - expected) <= 1e-9 * mle.std_errors[j]).all()
    everything = path(*runs)
    for run in runs:
        for limits, j in ((everything.get_xlim(), 1), (everything.get_ylim(), 2)):
            assert limits[0] < run.history.params[0, j] < limits[1]
    for bad in (0, -1, np.nan, np.inf):
        with pytest.raises(ml.InvalidInput, match="within must be"):
            path(*runs, within=bad)


def test_path_refuses_what_has_no_surface(data, runs, fits):
    X, y = data
    one = ml.fit(X[:, :1], y, optimizer=ml.SGD(0.1), intercept=False)
    with pytest.raises(ml.InvalidInput, match="there is one, 'x1': draw loss"):
        path(one)
    with pytest.raises(ml.InvalidInput, match="no coefficient 'x3'; there are Intercept, x1, x2"):
        path(*runs, which=("x1", "x3"))
    with pytest.raises(ml.InvalidInput, match="no coefficient 3"):
        path(*runs, which=(0, 3))
    with pytest.raises(ml.InvalidInput, match="two different"):
        path(*runs, which=("x1", 1))
    with pytest.raises(ml.InvalidInput, match="Gaussian noise with one scale"):
        path(ml.fit(X, y, noise=ml.Logistic()))
    with pytest.raises(ml.InvalidInput, match="one surface"):
        path(*runs, ml.fit(X[:, :1], y))
    lost = ml.fit(X, y, noise=ml.Laplace())
    with pytest.raises(ml.InvalidInput, match=r"'Exact' has not kept the coefficients"):
        path(*runs, lost)
    with pytest.raises(ml.InvalidInput, match="fit perfectly"):
        path(ml.fit(X, X @ [1, 2], optimizer=ml.SGD(0.1)))


@pytest.mark.parametrize("figure", FIGURES)
def test_other_noise_is_drawn_beside_the_gaussian(figure, data, fits):
    other = ml.fit(*data, noise=ml.StudentT(4), optimizer=ml.SGD(0.1, epochs=3))
    line = drawn(figure(fits[0], other)).lines[1]
    past = other.history
    expected = {loss: past.mean_nll, distance: past.distance, path: past.params[:, 2]}[figure]
    assert np.array_equal(line.get_ydata(), expected)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_given_ax_is_drawn_on_and_returned(figure, runs):
    own = Figure()
    FigureCanvasAgg(own)
    left, right = own.subplots(1, 2)
    assert figure(*runs, ax=right) is right
    assert not left.lines
    drawn(right)
    assert own.axes == [left, right]
    with pytest.raises(ml.MlregError, match="ax must be a matplotlib Axes, not Figure"):
        figure(*runs, ax=own)


@pytest.mark.parametrize("figure", FIGURES)
def test_pyplot_is_left_alone_and_results_are_not_changed(figure, runs):
    from matplotlib import pyplot as plt

    before, settings = plt.get_fignums(), copy.deepcopy(dict(matplotlib.rcParams))
    kept = [copy.deepcopy(run.history) for run in runs]
    drawn(figure(*runs))
    assert plt.get_fignums() == before
    assert dict(matplotlib.rcParams) == settings
    for run, past in zip(runs, kept, strict=True):
        for name in ("mean_nll", "distance", "params"):
            assert np.array_equal(getattr(run.history, name), getattr(past, name))


@pytest.mark.parametrize("figure", FIGURES)
def test_one_epoch_and_one_point(figure, data):
    line = drawn(figure(ml.fit(*data, optimizer=ml.SGD(0.1, epochs=1)))).lines[0]
    assert len(line.get_xdata()) == 2
    at_start = watch(ml.SGD(1e300, batch_size=1, epochs=1), *data)  # its first step overflows
    assert len(at_start.passes) == 1
    assert len(drawn(figure(at_start)).lines[0].get_xdata()) == 1


@pytest.mark.parametrize("figure", FIGURES)
def test_a_divergent_descent_leaves_the_picture_to_the_others(figure, data, runs):
    wild = watch(ml.SGD(5.0, batch_size=1, epochs=3), *data)
    assert wild.history.distance[-1] > 1e20
    alone, beside = drawn(figure(*runs)), drawn(figure(*runs, wild, labels=[*"abcd", "wild"]))
    low, high = alone.get_ylim()
    wider = beside.get_ylim()
    shown = np.log(wider) if figure is distance else np.array(wider)
    size = np.log(high / low) if figure is distance else high - low
    assert np.ptp(shown) <= 2 * size
    if figure is not path:
        told = (
            texts(beside) + [t.get_text() for t in beside.get_legend().texts]
            if (beside.get_legend())
            else texts(beside)
        )
        assert any(t in ("wild\noff the scale", "wild, off the scale") for t in told)
    drawn(figure(wild))


def test_perfect_fits_are_refused_by_name():
    fit = ml.fit([[1.0], [2], [4]], [0.0, 0, 0], intercept=False)  # no residual, not a rounding
    with pytest.raises(ml.InvalidInput, match="no distance to draw"):
        distance(fit)
    with pytest.raises(ml.InvalidInput, match="no loss to draw"):
        loss(fit)


@pytest.mark.parametrize("figure", FIGURES)
def test_misuse_is_refused(figure, runs):
    with pytest.raises(ml.InvalidInput, match="nothing to draw"):
        figure()
    with pytest.raises(ml.InvalidInput, match="labels must be 4 texts"):
        figure(*runs, labels=["a"])
    with pytest.raises(ml.MlregError, match="not ndarray"):
        figure(np.zeros(3))


@pytest.mark.parametrize("size", [(3.5, 2.8), (6, 3.9), (12, 8)])
@pytest.mark.parametrize("figure", FIGURES)
def test_words_do_not_overlap_and_are_inside_the_picture(figure, size, runs):
    own = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(own)
    ax = drawn(figure(*runs, ax=own.add_subplot()))
    if size[0] >= 6:
        words = [t for t in ax.texts if figure is distance]
        found = boxes([*words, ax.xaxis.label, ax.yaxis.label], ax)
        for i, one in enumerate(found):
            assert own.bbox.x0 <= one.x0 <= one.x1 <= own.bbox.x1
            assert own.bbox.y0 <= one.y0 <= one.y1 <= own.bbox.y1
            assert not any(one.overlaps(other) for other in found[i + 1 :])


def test_lines_differ_without_their_colours_and_colours_without_red_and_green():
    made = styles(4)
    assert len({str(s["linestyle"]) for s in made}) == len({s["marker"] for s in made}) == 4
    # Machado and others' matrix of deuteranopia: what is left of the colours still differs
    loss_of_green = np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    )
    seen = [loss_of_green @ np.array(to_rgb(colour)) for colour in COLOURS]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
    assert min(apart) > 0.15


def test_a_long_line_is_thinned_and_keeps_its_ends_and_extremes():
    rng = np.random.default_rng(0)
    y = rng.normal(size=10**6)
    y[123_456], y[7] = 99, np.nan
    kept = thin(np.arange(10.0**6), y)
    assert len(kept) <= 2 * POINTS
    assert (kept[0], kept[-1]) == (0, 10**6 - 1)
    assert {int(np.nanargmin(y)), 123_456} <= {*kept.tolist()}
    assert (np.diff(kept) > 0).all()
    assert np.array_equal(thin(y[:POINTS]), np.arange(POINTS))


def test_labels_are_moved_no_more_than_needed():
    assert spread([0.1, 0.5, 0.9], 0.2) == [0.1, 0.5, 0.9]
    for places in ([0.5] * 4, [0, 0, 0], [0.95, 1, 1], [0.1, 0.12, 0.5, 0.52], [0.3], []):
        moved = spread(places, 0.1)
        assert len(moved) == len(places)
        assert all(b - a >= 0.1 - 1e-12 for a, b in pairwise(moved))
        assert all(-1e-12 <= place <= 1 + 1e-12 for place in moved)
    assert spread([0.4, 0.5], 0.2) == pytest.approx([0.35, 0.55], abs=1e-12)


def test_saved_fits_are_drawn_as_they_were(tmp_path, fits):
    fits[0].save(tmp_path / "fit.json")
    again = ml.load(tmp_path / "fit.json")
    for figure in FIGURES:
        one, other = figure(fits[0]).lines, figure(again).lines
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.get_xydata(), b.get_xydata())


def test_without_matplotlib_the_line_that_brings_it_is_told():
    program = (
        "import sys; sys.modules['matplotlib'] = None; import mlreg as ml\n"
        "ml.plots.loss(ml.fit([[1.], [2], [3]], [1., 2, 4]))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert out.returncode == 1
    last = out.stderr.strip().splitlines()[-1]
    assert "MissingDependency" in last
    assert "pip install 'mlreg[plots]'" in last
