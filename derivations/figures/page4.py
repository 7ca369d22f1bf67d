"""The pictures of page 4."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.likelihood.blocks import Block
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.sgd import SGD
from mlreg.optimizers.stability import stable_learning_rate


def _eight_rows():
    """A line through eight points; intercept and slope pull on each other a little."""
    x = np.array([-1.6, -0.9, -0.3, 0.2, 0.8, 1.5, 2.1, 2.6])
    y = 1 + 0.8 * x + np.array([0.3, -0.4, 0.2, 0.1, -0.3, 0.4, -0.2, -0.1])
    return LinearLikelihood(np.column_stack([np.ones(8), x]), y)


def paths_of_gradient_descent():
    """Twelve steps of gradient descent from one start, at three learning rates."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.9), sharex=True, sharey=True)
    likelihood = _eight_rows()
    limit = stable_learning_rate(likelihood, batch_size="full")
    best = ml.Exact().minimize(likelihood).theta[:-1]
    X = next(likelihood.blocks()).X
    flat, steep = np.linalg.eigh(X.T @ X / len(X))[1].T
    b, w = np.linspace(-1.6, 3.2, 48), np.linspace(-1.4, 2.9, 48)
    loss = [[likelihood.nll([i, j, 0.0]) for i in b] for j in w]
    excess = (np.array(loss) - likelihood.nll([*best, 0.0])) / 8
    for ax, factor, colour, marker, title in zip(
        axes,
        (0.3, 0.95, 1.03),
        (BLUE, GREEN, RED),
        "os^",
        ("well below the limit", "just below it", "just above it"),
        strict=True,
    ):
        way = [best - 1.6 * np.sign(flat[0]) * flat + 0.9 * np.sign(steep[1]) * steep]
        for _ in range(12):
            step = SGD(factor * limit, batch_size="full", epochs=1)
            way.append(step.minimize(likelihood, way[-1]).theta[:-1])
        levels = 4.0 * np.linspace(0.2, 1, 5) ** 2
        ax.contour(b, w, excess, levels=levels, colors=GREY, linewidths=0.6)
        ax.plot(*np.array(way).T, color=colour, marker=marker, markersize=3.5, linewidth=1.2)
        ax.plot(*way[0], "o", color="black", markersize=5)
        ax.plot(*best, "+", color="black", markersize=9, markeredgewidth=1.6)
        rate = rf"$\eta = {factor}\cdot 2/\lambda_{{\max}}$"
        ax.set(title=f"{title}\n{rate}", xlabel="intercept $b$", xlim=b[[0, -1]], ylim=w[[0, -1]])
    axes[0].set(ylabel="slope $w$")
    return figure


def factor_of_a_step():
    """What one step multiplies the error by, along the two eigenvectors of H."""
    figure, ax = plt.subplots()
    likelihood = _eight_rows()
    X = next(likelihood.blocks()).X
    low, high = np.linalg.eigvalsh(X.T @ X / len(X))
    limit = stable_learning_rate(likelihood, batch_size="full")
    best = 2 / (low + high)
    eta = np.sort(np.append(np.linspace(0, 1.25 * limit, 120), [1 / low, 1 / high, best, limit]))
    eta = eta[eta <= 1.25 * limit]
    ax.plot(eta, abs(1 - eta * high), color=RED, linestyle="--", label=r"$\lambda_{\max}$, steep")
    ax.plot(eta, abs(1 - eta * low), color=BLUE, label=r"$\lambda_{\min}$, flat")
    ax.axhline(1, color=GREY, linewidth=0.8)
    ax.axvline(limit, color=GREY, linestyle=":", linewidth=1.2)
    ax.plot(best, 1 - best * low, "o", color="black")
    ax.annotate("fastest rate", (best, 1 - best * low), (12, -27), textcoords="offset points")
    ax.set_xticks(
        [0, 1 / high, best, limit],
        ["0", r"$1/\lambda_{\max}$", r"$2/(\lambda_{\min}+\lambda_{\max})$", r"$2/\lambda_{\max}$"],
    )
    ax.set(xlabel=r"learning rate $\eta$", ylabel=r"factor $|1 - \eta\lambda|$ of a step")
    ax.set(xlim=(0, 1.25 * limit), ylim=(0, 1.6))
    ax.text(0.02 * limit, 1.04, "above this line errors grow", color=GREY)
    ax.legend(loc="lower left")
    return figure


def noise_of_a_minibatch():
    """Standard deviation of the minibatch gradient by its size, with and without replacement."""
    figure, ax = plt.subplots()
    n, draws, rng = 100, 1000, np.random.default_rng(4)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    y = X @ [4.2, 2.0, -3.4] + rng.normal(size=n)
    likelihood, theta = LinearLikelihood(X, y), np.array([4.0, 1.5, -3.0, 0.0])
    rows = [likelihood.term(theta, Block(X[[i]], y[[i]]))[1][:-1] for i in range(n)]
    off = np.array(rows) - np.mean(rows, axis=0)
    one = np.sqrt(np.sum(off**2) / n)
    sizes = np.append(np.geomspace(1, 0.9 * n, 60), n - np.geomspace(0.1 * n, 0.01, 60))
    ax.plot(sizes, one / np.sqrt(sizes), color=BLUE, label="with replacement, (4.10)")
    drop = np.sqrt((n - sizes) / (n - 1))
    label = "without replacement, (4.11)"
    ax.plot(sizes, one / np.sqrt(sizes) * drop, color=RED, linestyle="--", label=label)
    for size in (1, 2, 4, 8, 16, 32, 64, 90, 98):
        drawn = rng.integers(n, size=(draws, size))
        picked = np.argsort(rng.random((draws, n)), axis=1)[:, :size]
        for chosen, colour, marker in ((drawn, BLUE, "o"), (picked, RED, "s")):
            sd = np.sqrt(np.mean(np.sum(off[chosen].mean(axis=1) ** 2, axis=1)))
            ax.plot(size, sd, marker, color=colour, markersize=5, markerfacecolor="white")
    ax.set(xscale="log", yscale="log", xlim=(0.9, 130), ylim=(one / 120, one * 1.4))
    ax.set(xlabel=r"batch size $|\mathcal{B}|$", ylabel="sd of the minibatch gradient")
    ax.set_xticks([1, 2, 4, 8, 16, 32, 64, 100], ["1", "2", "4", "8", "16", "32", "64", "100"])
    ax.minorticks_off()
    ax.annotate(
        "all 100 rows:\nno noise at all", (99.5, one / 105), (-105, 4), textcoords="offset points",
        arrowprops={"arrowstyle": "->", "color": GREY}, color=RED,
    )  # fmt: skip
    ax.legend(loc="lower left")
    return figure


def _fifty_columns():
    """The data of benchmarks/batch_size.py: 4096 rows, 50 normal columns and ones."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(4096), rng.normal(size=(4096, 50))])
    return LinearLikelihood(X, X @ rng.normal(size=51) + 0.1 * rng.normal(size=4096))


def gain_of_a_batch():
    """How the safe rate grows with the batch, and how far one pass comes."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.3))
    likelihood = _fifty_columns()
    n, replacement = 4096, "replacement"
    rates = {
        int(m): stable_learning_rate(likelihood, batch_size=int(m), sampling=replacement)
        for m in 2 ** np.arange(13)
    }
    sizes = np.array(list(rates))
    X = np.concatenate([block.X for block in likelihood.blocks()])
    most = np.sum(X**2, axis=1).max() / np.linalg.eigvalsh(X.T @ X / n)[-1]
    gain = np.array(list(rates.values())) / rates[1]
    ax = axes[0]
    ax.plot(sizes, gain, color=BLUE, marker="o", markersize=3.5)
    ax.plot(sizes, sizes, color=GREY, linestyle="--", linewidth=1.2)
    ax.axhline(most, color=GREY, linestyle=":", linewidth=1.4)
    ax.axvline(1 + most, color=ORANGE, linewidth=1.2)
    ax.text(1.2, most * 1.13, r"$R^2/\lambda_{\max}$", color=GREY)
    ax.text(7, 14, r"$|\mathcal{B}|$", color=GREY, ha="right")
    ax.text(1.15 * (1 + most), 1.25, r"$B_\ast$", color=ORANGE)
    ax.set(title="times the safe rate\nof single rows, (4.12)", ylim=(1, 160))
    ax = axes[1]
    for factor, colour, marker, dashes, label in (
        (1.0, RED, "s", "--", "largest safe rate"),
        (0.5, BLUE, "o", "-", "half of it"),
    ):
        reached = [
            SGD(factor * rates[m], batch_size=int(m), epochs=1, sampling=replacement)
            .minimize(likelihood)
            .certificate.distance
            for m in sizes
        ]
        ax.plot(
            sizes, reached, color=colour, marker=marker, markersize=3.5, linestyle=dashes,
            label=label,
        )  # fmt: skip
    ax.axvline(1 + most, ymax=0.8, color=ORANGE, linewidth=1.2)
    ax.set(title="standard errors from the MLE\nafter one pass", ylim=(10, 8000))
    ax.legend(loc="upper left", borderaxespad=0)
    for ax in axes:
        ax.set(xscale="log", yscale="log", xlabel=r"batch size $|\mathcal{B}|$")
        ax.set_xticks([1, 8, 32, 128, 512, 4096], ["1", "8", "32", "128", "512", "4096"])
        ax.minorticks_off()
    return figure


def learning_rates():
    """The textbook's data: distance from the MLE after each epoch, at four learning rates."""
    figure, ax = plt.subplots()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 2))
    y = x @ [2.0, -3.4] + 4.2 + 0.01 * rng.normal(size=1000)
    likelihood = LinearLikelihood(np.column_stack([np.ones(1000), x]), y)
    for rate, colour, marker in (
        (0.003, PURPLE, "v"),
        (0.03, BLUE, "o"),
        (0.3, GREEN, "s"),
        (2.5, RED, "^"),
    ):
        way = SGD(rate, epochs=20).minimize(likelihood).history.distance
        label = rf"$\eta = {rate:g}$"
        ax.semilogy(way, color=colour, marker=marker, markersize=4, linewidth=1.3, label=label)
    ax.axhline(0.1, color=GREY, linestyle=":", linewidth=1.4)
    ax.text(20.3, 0.1, " good\n enough", color=GREY, va="center")
    ax.set(xlabel="epoch", ylabel="standard errors from the MLE", xlim=(-0.3, 20.3))
    ax.set(ylim=(0.05, 1e7))
    ax.set_xticks([0, 3, 5, 10, 15, 20])
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.6))
    return figure
