"""The pictures of page 8."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from matplotlib import pyplot as plt

import mlreg as ml

NOISES = (
    (ml.Gaussian(), BLUE, "-", "normal"),
    (ml.Laplace(), ORANGE, "--", "Laplace"),
    (ml.Logistic(), GREEN, "-.", "logistic"),
    (ml.Huber(), PURPLE, (0, (6, 1, 1, 1, 1, 1)), "Huber"),
    (ml.StudentT(2), RED, ":", "Student, 2 df"),
)


def what_a_residual_weighs():
    """Densities on a logarithmic scale, pulls and weights of the five noises."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 3.2))
    z = np.concatenate([np.linspace(-8, 0, 200), np.linspace(0, 8, 200)])
    beside = np.where(np.abs(z) < 1e-9, 1e-9, z)
    for noise, colour, dashes, label in NOISES:
        style = {"color": colour, "linestyle": dashes}
        axes[0].semilogy(z, np.exp(-noise.rho(z)), label=label, **style)
        axes[1].plot(z, noise.psi(z), **style)
        axes[2].plot(z, noise.psi(beside) / beside, **style)
    for ax, title, limits in zip(
        axes,
        (r"density $f_0(z)$", r"pull $\psi(z)$", r"weight $\psi(z)/z$"),
        ((1e-7, 1), (-2.4, 2.4), (0, 1.8)),
        strict=True,
    ):
        ax.set(title=title, xlabel="$z$", xlim=(-8, 8), ylim=limits, xticks=(-8, -4, 0, 4, 8))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def a_well_without_a_bottom():
    """The NLL of a t by its scale, at the place that fits two of four observations exactly."""
    figure, ax = plt.subplots(figsize=(6.8, 3.4))
    ones, seen = np.ones((4, 1)), np.array([1.0, 1.0, 5.0, 9.0])
    gammas = np.linspace(-8, 4, 241)
    for df, colour, dashes, where in (
        (0.6, RED, "-", (-7.9, 6.4)),
        (1.0, ORANGE, "--", (-7.9, 12.1)),
        (1.5, GREEN, "-.", (-7.0, 20.3)),
        (4.0, BLUE, ":", (-1.2, 22.5)),
    ):
        likelihood = ml.LinearLikelihood(ones, seen, noise=ml.StudentT(df))
        values = np.array([likelihood.nll([1.0, g]) for g in gammas])
        ax.plot(gammas, values, color=colour, linestyle=dashes)
        ax.text(*where, rf"$\nu = {df:g}$", color=colour)
        lowest = int(np.argmin(values))
        if 0 < lowest and df > 1:
            ax.plot(gammas[lowest], values[lowest], "o", color=colour, markersize=5)
    ax.set(xlabel=r"$\gamma = \log\,\sigma$", ylabel="NLL", xlim=(-8, 4), ylim=(0, 26))
    return figure


def _reweighted(noise, X, y):
    """The MLE in all parameters: reweighted least squares of coefficients and scale, (8.10)."""
    beta, sigma = np.linalg.lstsq(X, y)[0], 1.0
    for _ in range(3000):
        r = y - X @ beta
        r = np.where(np.abs(r) < 1e-9, 1e-9, r)
        weights = noise.psi(r / sigma) / (r / sigma)
        sigma = np.sqrt((weights * r**2).mean())
        beta = np.linalg.solve(X.T @ (weights[:, None] * X), X.T @ (weights * y))
    return beta


def five_lines():
    """Twenty points of a line, four of them wrong, and the line that each noise makes of them."""
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    rng = np.random.default_rng(6)
    x = np.linspace(0, 10, 20)
    y = 1 + 0.5 * x + 0.4 * rng.standard_normal(20)
    wrong = [15, 17, 18, 19]
    y[wrong] -= np.array([5.5, 6.5, 6.0, 7.0])
    X = np.column_stack([np.ones(20), x])
    ends = np.array([0.0, 10.6])
    for noise, colour, dashes, label in NOISES:
        beta = _reweighted(noise, X, y)
        ax.plot(ends, beta[0] + beta[1] * ends, color=colour, linestyle=dashes, label=label)
    right = np.setdiff1d(np.arange(20), wrong)
    ax.plot(x[right], y[right], "o", color="black", markersize=4)
    ax.plot(x[wrong], y[wrong], "x", color=GREY, markersize=7, markeredgewidth=1.8)
    ax.set(xlabel="$x$", ylabel="$y$", xlim=(-0.2, 10.6))
    ax.legend(loc="upper left", fontsize=9)
    return figure
