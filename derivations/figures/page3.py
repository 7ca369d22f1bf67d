"""The pictures of page 3."""

from itertools import pairwise

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

from mlreg.certificate import least_squares
from mlreg.likelihood import gaussian
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Gaussian
from mlreg.optimizers.scipy_minimize import _Objective

PAIR = np.ones((2, 1)), np.array([1.0, -1.0])  # two observations and their mean: (3.12)


def slope_and_curvature():
    """The NLL along each parameter, with its tangent and the parabola of its second derivative."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4))
    data = np.array([[1.0], [2.0]]), np.array([3.0, 1.0])
    for ax, start, way, (low, high), ylim in (
        (axes[0], np.array([0.0, 0.0]), np.array([1.0, 0.0]), (-0.9, 2.9), (2, 19)),
        (axes[1], np.array([1.0, -0.25]), np.array([0.0, 1.0]), (-0.9, 2.4), (2.5, 11)),
    ):
        sigma = np.exp(start[1])
        base = _nll(start, *data)
        g = gaussian.gradient(start[:1], sigma, *data) @ way
        h = way @ gaussian.hessian(start[:1], sigma, *data) @ way
        at = start @ way
        where = np.linspace(low, high, 200)
        step = where - at
        values = [_nll(start + t * way, *data) for t in step]
        ax.plot(where, values, color=BLUE, linewidth=2.4, label=r"NLL $\ell$")
        ax.plot(where, base + g * step, color=GREY, linestyle="--", label="tangent")
        parabola = base + g * step + h * step**2 / 2
        ax.plot(where, parabola, color=ORANGE, linestyle="-.", label="parabola")
        ax.plot(at, base, "o", color="black", markersize=5)
        low_point = at - g / h, base - g**2 / h / 2
        ax.plot(*low_point, "v", color=RED, markersize=7, label="its lowest point")
        ax.set(xlim=(low, high), ylim=ylim)
    axes[0].set(
        ylabel="NLL", xlabel=r"$\beta$ (at $\sigma = 1$)", title="in a coefficient: a parabola"
    )
    axes[1].set(xlabel=r"$\gamma$ (at $\beta = 1$)", title=r"in $\log\,\sigma$: a wall and a ramp")
    axes[0].legend(loc="upper center", fontsize=9)
    return figure


def _nll(theta, X, y):
    return gaussian.nll(theta[:-1], np.exp(theta[-1]), X, y)


def where_the_nll_curves_down():
    """The same NLL in (beta, log sigma) and in (phi, tau), with Newton's steps in both."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.7))
    X, y = PAIR
    least = _nll(np.zeros(2), X, y)
    levels = least + np.array([0.15, 0.5, 1, 1.5, 2.1, 2.8, 3.6, 4.5])
    start = np.array([2.0, np.log(5) / 2])
    style = {"arrowstyle": "-|>", "color": RED, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}

    ax = axes[0]
    betas, gammas = np.linspace(-4, 6.4, 60), np.linspace(-1.1, 2.7, 60)
    values = [[_nll(np.array([b, g]), X, y) for b in betas] for g in gammas]
    for low, high in ((-4, -1), (1, 6.4)):
        ax.axvspan(low, high, color=ORANGE, alpha=0.22, linewidth=0)
    ax.contour(betas, gammas, values, levels, colors=BLUE, linewidths=1.1)
    sigma = np.exp(start[1])
    g = gaussian.gradient(start[:1], sigma, X, y)
    step = np.linalg.solve(gaussian.hessian(start[:1], sigma, X, y), -g)
    ax.annotate("", start + step, start, arrowprops=style)
    ax.plot(*start, "s", color=RED, markersize=5)
    ax.plot(0, 0, "o", color="black", markersize=5)
    ax.text(0, -1.75, "convex\nhere", ha="center", va="bottom", fontsize=9)
    ax.text(3.7, -1.75, "curves down\nin one direction", ha="center", va="bottom", fontsize=9)
    ax.set(xlabel=r"$\beta$", ylabel=r"$\gamma = \log\,\sigma$", ylim=(-1.85, 2.7))
    ax.set(title=r"in $(\beta, \gamma)$")

    ax = axes[1]
    phis, taus = np.linspace(-2.2, 2.2, 50), np.linspace(0.06, 2.5, 60)
    values = [[_nll(np.array([f / t, -np.log(t)]), X, y) for f in phis] for t in taus]
    ax.contour(phis, taus, values, levels, colors=BLUE, linewidths=1.1)
    tau = np.exp(-start[1])
    way = [(start[0] * tau, tau)]
    for _ in range(2):
        tau = 2 * tau / (1 + tau**2)
        way.append((0.0, tau))
    for one, other in pairwise(way):
        ax.annotate("", other, one, arrowprops=style)
    ax.plot(*way[0], "s", color=RED, markersize=5)
    ax.plot(0, 1, "o", color="black", markersize=5)
    ax.set(xlabel=r"$\phi = \beta/\sigma$", ylabel=r"$\tau = 1/\sigma$", ylim=(0, 2.5))
    ax.set(title=r"in $(\phi, \tau)$: convex everywhere")
    return figure


def slopes_of_many_samples():
    """NLLs of simulated data sets about the true scale: the spread of slopes is the curvature."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4), width_ratios=(3, 2))
    n, rng = 20, np.random.default_rng(7)
    X, beta = np.ones((n, 1)), np.zeros(1)
    gammas = np.linspace(-0.45, 0.5, 60)
    ax = axes[0]
    tips = []
    for k in range(300):
        y = rng.standard_normal(n)
        tips.append(gaussian.gradient(beta, 1.0, X, y)[-1])
        if k < 14:
            base = gaussian.nll(beta, 1.0, X, y)
            curve = [gaussian.nll(beta, np.exp(g), X, y) - base for g in gammas]
            label = "one data set each" if k == 0 else None
            ax.plot(gammas, curve, color=BLUE, linewidth=0.8, alpha=0.7, label=label)
    mean = n * gammas + n / 2 * (np.exp(-2 * gammas) - 1)
    ax.plot(gammas, mean, color="black", linewidth=2.4, label="mean over all of them")
    information = gaussian.fisher_information(beta, 1.0, X)[-1, -1]
    parabola = information * gammas**2 / 2
    ax.plot(gammas, parabola, color=ORANGE, linestyle="--", label=r"parabola of curvature $2n$")
    ax.plot(0, 0, "o", color="black", markersize=5)
    ax.set(xlabel=r"$\gamma$ (the truth is 0)", ylabel="NLL, less that at the truth")
    ax.set(ylim=(-3, 13), xlim=(-0.45, 0.5))
    ax.legend(loc="upper center", fontsize=9)

    ax = axes[1]
    ax.hist(tips, bins=np.arange(-26, 21, 2), color=BLUE, alpha=0.35)
    spread = np.sqrt(information)
    ax.annotate(
        "", (-spread, 50), (spread, 50), arrowprops={"arrowstyle": "<->", "color": RED, "lw": 1.6}
    )
    ax.text(0, 52, r"$\pm\sqrt{2n}$", ha="center", color=RED)
    ax.axvline(0, ymax=0.8, color="black", linewidth=1)
    ax.set(xlabel="slope at the truth", ylabel="data sets, of 300", ylim=(0, 60))
    return figure


def _logistic(z):
    rho = 2 * np.log(2 * np.cosh(z / 2))
    return rho, np.tanh(z / 2), 0.5 / np.cosh(z / 2) ** 2


def _cauchy(z):
    square = 1 + z**2
    return np.log(np.pi * square), 2 * z / square, 2 * (1 - z**2) / square**2


def three_noises():
    """What a residual costs, how hard it pulls, how it bends: normal, logistic, Student's t."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 3.0))
    z, noise = np.linspace(-5, 5, 161), Gaussian()
    normal = noise.rho(z), noise.psi(z), noise.dpsi(z)
    for values, colour, dashes, label in (
        (normal, BLUE, "-", "normal"),
        (_logistic(z), GREEN, "--", "logistic"),
        (_cauchy(z), RED, "-.", "Student, 1 df"),
    ):
        for ax, value in zip(axes, values, strict=True):
            ax.plot(z, value, color=colour, linestyle=dashes, label=label)
    for ax, title, limits in zip(
        axes,
        (r"cost $\rho(z)$", r"pull $\psi(z)$", r"bend $\psi^{\prime}(z)$"),
        ((0, 9), (-3, 3), (-0.4, 2.2)),
        strict=True,
    ):
        ax.set(title=title, xlabel="$z$", ylim=limits, xlim=(-5, 5), xticks=(-4, 0, 4))
    axes[2].axhspan(-0.4, 0, color=GREY, alpha=0.2, linewidth=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def a_valley_made_round():
    """Contours in intercept and slope, and in whitened coordinates."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.5))
    x = np.array([4.0, 4.6, 5.1, 5.9, 6.6, 7.0, 7.7, 8.2])
    y = 1.0 + 0.5 * x + 0.5 * np.array([0.3, -1.1, 0.8, 0.4, -0.9, 1.2, -0.2, -0.5])
    likelihood = LinearLikelihood(np.column_stack([np.ones(8), x]), y)
    ls = least_squares(likelihood)
    objective = _Objective.of_least_squares(likelihood, ls, ls.params)
    least = objective.value(np.zeros(3))
    levels = least + np.array([1.0, 4.0, 9.0]) / 2
    grid = np.linspace(-3.6, 3.6, 70)
    round_ = [[objective.value(np.array([u, v, 0.0])) for u in grid] for v in grid]
    angle = np.linspace(0, 2 * np.pi, 120)
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    left = np.array([objective.params(np.array([*s, 0.0])) for s in steps])
    for radius in (1, 2, 3):
        ring = radius * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
        path = np.array([objective.params(u) for u in ring])
        axes[0].plot(*path.T, color=BLUE, linewidth=1.2)
    axes[1].contour(grid, grid, round_, levels, colors=BLUE, linewidths=1.2)
    for ax, points in ((axes[0], left), (axes[1], steps)):
        for end, colour in ((1, RED), (2, GREEN)):
            style = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", points[end], points[0], arrowprops=style)
        ax.plot(*points[0], "o", color="black", markersize=5)
    for radius, label in ((1, "1"), (2, "2"), (3, "3 standard errors")):
        axes[1].text(0, -radius - 0.04, label, ha="center", va="top", fontsize=8)
    axes[0].set(xlabel="intercept", ylabel="slope", title=r"in $\beta$: a thin valley")
    axes[1].set(xlabel="$u_1$", ylabel="$u_2$", title="in $u$: round", aspect="equal")
    axes[1].set(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
    return figure
