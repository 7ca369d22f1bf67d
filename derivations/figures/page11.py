"""The pictures of page 11."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.certificate import certificate
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.newton import Newton
from mlreg.scoring import Whitened


def _line(n, seed):
    """Rows of a line with logistic noise."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    return X, X @ [1.0, 2.0] + rng.logistic(size=n)


def _reweighted(X, y, noise, theta):
    """One round of reweighted least squares, (8.10), and the scale by the same weights."""
    z = (y - X @ theta[:2]) / np.exp(theta[2])
    weights = noise.psi(z) / z
    beta = np.linalg.solve(X.T @ (weights[:, None] * X), X.T @ (weights * y))
    return np.append(beta, 0.5 * np.log((weights * (y - X @ beta) ** 2).mean()))


def digits_that_double():
    """Errors in standard errors of Newton's method, scoring and reweighted least squares."""
    X, y = _line(40, 3)
    likelihood = LinearLikelihood(X, y, noise=ml.Logistic())
    space, best = Whitened(likelihood), Newton(tolerance=1e-14).minimize(likelihood).theta
    factor = likelihood.factor(best)

    def step(theta, way):
        if way == "reweighted":
            return _reweighted(X, y, ml.Logistic(), theta)
        point = space.at(space.scale(theta[:2]), theta[2:])
        beta, gamma = space.move(point, point.step if way == "Newton" else -point.gradient)
        return np.append(space.unscale(beta), gamma)

    figure, ax = plt.subplots(figsize=(6.8, 3.4))
    for way, label, colour, marker in (
        ("reweighted", "reweighted least squares", GREEN, "^"),
        ("scoring", "Fisher scoring", ORANGE, "s"),
        ("Newton", "Newton", BLUE, "o"),
    ):
        theta, errors = best + np.array([0.5, -0.4, 0.3]), []
        for _ in range(13):
            errors.append(np.linalg.norm(factor @ (theta - best)))
            theta = step(theta, way)
        ax.semilogy(np.maximum(errors, 1e-15), color=colour, marker=marker, label=label)
    ax.axhspan(1e-17, 2e-14, color=GREY, alpha=0.3, linewidth=0)
    ax.text(12, 7e-16, "rounding", color=GREY, ha="right", va="center")
    ax.set(xlabel="step", ylabel="error in standard errors", xlim=(-0.3, 12.3), ylim=(2e-17, 30))
    ax.legend(loc="lower left", bbox_to_anchor=(0.02, 0.18))
    return figure


def a_length_that_saturates():
    """Certified and naive lengths against the true distance, on a ray from the MLE."""
    X, y = _line(30, 5)
    likelihood = LinearLikelihood(X, y, noise=ml.Logistic())
    best = Newton(tolerance=1e-13).minimize(likelihood).theta
    sigma, factor = np.exp(best[2]), likelihood.factor(best)[:2, :2]
    along = np.linalg.solve(factor, [0.6, 0.8])
    true = np.geomspace(0.01, 100, 121)
    certified, naive = [], []
    for length in true:
        beta = best[:2] + length * along
        verdict = certificate(likelihood, beta, sigma)
        certified.append(verdict.distance if verdict.definite else np.nan)
        gradient = likelihood.gradient(np.append(beta, best[2]))[:2]
        naive.append(np.linalg.norm(np.linalg.solve(factor.T, gradient)))
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4))
    axes[0].loglog(true, true, color=GREY, linewidth=1, label="the truth")
    axes[0].loglog(true, naive, color=RED, linestyle="--", label="naive")
    axes[0].loglog(true, certified, color=BLUE, label="Newton's step")
    axes[0].set(xlabel="true distance", ylabel="length, in standard errors", ylim=(0.008, 130))
    axes[0].legend()
    wrong = {"naive": (naive, RED, "--"), "Newton's step": (certified, BLUE, "-")}
    for values, colour, dashes in wrong.values():
        axes[1].loglog(true, np.abs(np.array(values) / true - 1), color=colour, linestyle=dashes)
    axes[1].set(xlabel="true distance", ylabel="relative error of the length", ylim=(1e-4, 2))
    return figure


def two_valleys():
    """The profiled NLL of two crossing groups with Cauchy noise, and the two ways down."""
    rng = np.random.default_rng(11)
    x = np.concatenate([rng.uniform(0, 10, 12), rng.uniform(4, 10, 10)])
    y = np.concatenate([1 + x[:12], 11 - x[12:]]) + 0.2 * rng.standard_normal(22)
    X = np.column_stack([np.ones(22), x])
    likelihood = LinearLikelihood(X, y, noise=ml.StudentT(1))
    space = Whitened(likelihood)

    def profiled(middle, slope):
        beta = np.array([middle - 5 * slope, slope])
        return likelihood.nll(np.append(beta, space.profile(space.scale(beta))))

    middles, slopes = np.linspace(2.4, 6.8, 70), np.linspace(-0.5, 1.3, 70)
    height = np.array([[profiled(m, s) for m in middles] for s in slopes])
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.6), width_ratios=(1.25, 1))
    levels = height.min() + np.array([0.5, 2, 4, 5, 5.6, 6, 6.2, 6.5, 7, 8, 10])
    axes[0].contour(middles, slopes, height, levels=levels, colors=GREY, linewidths=0.8)
    robust = np.linalg.lstsq(X, y)[0]
    for _ in range(12):  # reweighted least squares towards the least absolute deviations
        root = 1 / np.sqrt(np.maximum(np.abs(y - X @ robust), 1e-6))
        robust = np.linalg.lstsq(X * root[:, None], y * root)[0]
    for start, colour, name in (
        (np.linalg.lstsq(X, y)[0], BLUE, "least squares"),
        (robust, RED, "least absolute deviations"),
    ):
        way = [start]
        for most in range(1, 80):
            theta = Newton(max_iterations=most).minimize(likelihood, start).theta
            way.append(theta[:2])
        way = np.array(way)
        way = np.column_stack([way[:, 0] + 5 * way[:, 1], way[:, 1]])
        axes[0].plot(*way.T, "-", color=colour, linewidth=1)
        axes[0].plot(*way.T, ".", color=colour, markersize=4)
        axes[0].plot(*way[0], "x", color=colour, markersize=9, markeredgewidth=2)
        end = way[-1]
        axes[1].plot([0, 10], [end[0] - 5 * end[1], end[0] + 5 * end[1]], color=colour, label=name)
    axes[0].set(xlabel="value at $x = 5$", ylabel="slope")
    axes[1].plot(x[:12], y[:12], "o", color="black", markersize=3.5)
    axes[1].plot(x[12:], y[12:], "s", color=GREY, markersize=3.5)
    axes[1].set(xlabel="$x$", ylabel="$y$")
    figure.legend(loc="outside lower center", ncols=2, title="from")
    return figure
