"""The pictures of page 9."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE
from matplotlib import pyplot as plt

import mlreg as ml


def _scored(X, y, Z):
    """The MLE of normal noise with a scale design: scoring in gamma, weighted least squares."""
    gamma = np.zeros(Z.shape[1])
    for _ in range(100):
        shrink = np.exp(-Z @ gamma)
        beta = np.linalg.lstsq(X * shrink[:, None], y * shrink)[0]
        z = (y - X @ beta) * shrink
        gamma = gamma - np.linalg.solve(2 * Z.T @ Z, Z.T @ (1 - z**2))
    at = ml.LinearLikelihood(X, y, scale=Z).gradient(np.append(beta, gamma))
    assert np.abs(at).max() < 1e-8
    return beta, gamma


def a_fan_of_points():
    """Points that fan out, with one sigma and with a regression of log sigma."""
    figure, axes = plt.subplots(1, 2, sharey=True)
    rng = np.random.default_rng(4)
    x = np.sort(rng.uniform(0, 10, 60))
    y = 2 + 0.6 * x + np.exp(-1.8 + 0.27 * x) * rng.standard_normal(60)
    X = np.column_stack([np.ones(60), x])
    ends = np.linspace(0, 10, 101)
    for ax, Z, title in zip(
        axes,
        (X[:, :1], X),
        (r"one $\sigma$", r"$\log\,\sigma_i = \gamma_1 + \gamma_2 x_i$"),
        strict=True,
    ):
        beta, gamma = _scored(X, y, Z)
        line = beta[0] + beta[1] * ends
        sigma = np.exp(gamma[0] + (gamma[1] * ends if len(gamma) == 2 else 0))
        ax.fill_between(ends, line - 2 * sigma, line + 2 * sigma, color=BLUE, alpha=0.15, lw=0)
        ax.plot(ends, line, color=BLUE)
        ax.plot(x, y, "o", color="black", markersize=3)
        ax.set(title=title, xlabel="$x$", xlim=(0, 10))
    axes[0].set(ylabel="$y$")
    return figure


def median_and_mean():
    """Mode, median and mean of a log-normal, and the curves of median and mean of a fit."""
    figure, axes = plt.subplots(1, 2)
    sigma, noise = 0.75, ml.Gaussian()
    y = np.linspace(1e-3, 5, 500)
    density = np.exp(-noise.rho(np.log(y) / sigma)) / (y * sigma)
    axes[0].plot(y, density, color="black")
    marks = (
        (np.exp(-(sigma**2)), GREEN, ":", "mode"),
        (1.0, BLUE, "--", "median"),
        (np.exp(sigma**2 / 2), ORANGE, "-", "mean"),
    )
    for at, colour, dashes, label in marks:
        height = np.exp(-noise.rho(np.log(np.array([at])) / sigma))[0] / (at * sigma)
        axes[0].plot([at, at], [0, height], color=colour, linestyle=dashes, label=label)
    axes[0].set(xlabel="$y$", ylabel="density", xlim=(0, 5), ylim=(0, 0.85))
    axes[0].legend()
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 3, 80))
    seen = np.exp(0.2 + 0.7 * x + sigma * rng.standard_normal(80))
    fit = ml.fit(x, np.log(seen))
    ends = np.linspace(0, 3, 100)
    median = np.exp(fit.params[0] + fit.params[1] * ends)
    axes[1].plot(x, seen, "o", color=GREY, markersize=3)
    axes[1].plot(ends, median, color=BLUE, linestyle="--", label="median")
    mean = median * np.exp(fit.sigma**2 / 2)
    axes[1].plot(ends, mean, color=ORANGE, label="mean")
    axes[1].set(xlabel="$x$", ylabel="$y$", xlim=(0, 3), ylim=(0, 25))
    axes[1].legend(loc="upper left")
    return figure
