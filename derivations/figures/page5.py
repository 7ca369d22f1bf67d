"""The pictures of page 5."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

import mlreg as ml
from mlreg.certificate import CONVERGED
from mlreg.inference.intervals import t_interval
from mlreg.likelihood import gaussian
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Gaussian


def _textbook():
    """The textbook's data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2))
    return X, X @ [2, -3.4] + 4.2 + 0.01 * rng.standard_normal(1000)


def _plain(value, _):
    return f"{value:g}"


def loss_and_distance():
    """The textbook's run as its loss curve shows it, and as the certificate does."""
    X, y = _textbook()
    run = ml.fit(X, y, optimizer=ml.SGD(0.03, batch_size=32, epochs=30, seed=0))
    epochs = np.arange(31)
    # the mean NLL at the best sigma is log(RSS/n)/2 and a constant: back to the squared loss
    loss = 0.5 * np.exp(2 * run.history.mean_nll - np.log(2 * np.pi) - 1)
    distance = run.history.distance
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(epochs, loss, "o-", color=BLUE, markersize=3)
    left.annotate(
        "stop: it looks finished", (3, loss[3]), (7, 5),
        arrowprops={"arrowstyle": "->", "color": RED}, color=RED,
    )  # fmt: skip
    left.plot(3, loss[3], "s", color=RED, markersize=6)
    left.set(title="average squared loss", xlabel="epoch", ylim=(-0.6, None))
    right.semilogy(epochs, distance, "o-", color=BLUE, markersize=3)
    right.plot(3, distance[3], "s", color=RED, markersize=6)
    right.annotate(
        f"stop: {distance[3]:.0f} standard errors", (3, distance[3]), (6.5, 4000),
        arrowprops={"arrowstyle": "->", "color": RED}, color=RED,
    )  # fmt: skip
    right.axhline(CONVERGED, color=GREEN, linestyle="--", linewidth=1.3)
    right.text(30, CONVERGED * 0.85, "converged", color=GREEN, ha="right", va="top")
    right.text(30, 1.5, "minibatch noise", color=GREY, ha="right")
    right.set(title="distance from the MLE", xlabel="epoch", ylim=(0.04, 4e4))
    right.yaxis.set_major_formatter(FuncFormatter(_plain))
    right.set_yticks([0.1, 1, 10, 100, 1000, 10000])
    right.yaxis.set_minor_locator(NullLocator())
    return figure


def _correlated():
    """Two slopes that share their information: a fit, and its likelihood."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((60, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    y = x @ [1.0, 0.5] + 0.4 * rng.standard_normal(60)
    return ml.fit(x, y, intercept=False), x, y


def shadows_of_an_ellipse():
    """The ellipse at distance 1: its shadow along a contrast is the contrast's standard error."""
    fit, x, y = _correlated()
    best, R, se = fit.params, np.linalg.qr(x)[1], fit.std_errors
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    ellipse = best[:, None] + fit.residual_std_error * np.linalg.solve(R, circle)
    figure, ax = plt.subplots(figsize=(6.8, 4.2))
    ax.fill(*ellipse, color=BLUE, alpha=0.12, linewidth=0)
    ax.plot(*ellipse, color=BLUE)
    ax.text(*(best + [0.28, -0.52] * se), "distance 1", color=BLUE, ha="center")
    # the contrasts, where their shadows fall, and what they are called
    down, left, across = -1.5 * se[1], -1.5 * se[0], 1.7 * se[0]
    for c, screen, colour, name, shift, place in (
        ([1, 0], [0, down], GREY, r"$\beta_1$", (0, -6), ("center", "top")),
        ([0, 1], [left, 0], GREEN, r"$\beta_2$", (-6, 0), ("right", "center")),
        ([1, 1], [across, -across], ORANGE, r"$\beta_1 + \beta_2$", (6, -6), ("left", "top")),
    ):
        c, screen = np.array(c), np.array(screen)
        half = np.sqrt(c @ fit.covariance() @ c) / (c @ c) * c
        for end in (best - half, best + half):
            ax.plot(
                *np.stack([end - (0.7 if sum(c) == 1 else 0.45) * screen, end + screen]).T,
                ":",
                color=colour,
                lw=1.2,
            )
        bar = np.stack([best - half, best + half]) + screen
        ax.plot(*bar.T, color=colour, linewidth=5, solid_capstyle="butt")
        where = {"textcoords": "offset points", "ha": place[0], "va": place[1]}
        ax.annotate(name, best + screen, shift, color=colour, fontsize=13, **where)
    judged = best + 0.9 * se  # inside the shadows of both coefficients
    verdict = ml.certify(judged, x, y, intercept=False)
    ax.plot(*best, "o", color="black", markersize=5)
    ax.annotate(r"$\hat\beta$", best, (4, 4), textcoords="offset points")
    ax.plot(*judged, "s", color=RED, markersize=6)
    told = f"{verdict.per_param.max():.1f} in each coefficient,\ndistance {verdict.distance:.1f}"
    ax.annotate(told, judged, (14, 6), textcoords="offset points", color=RED)
    ax.set(aspect="equal")
    ax.axis("off")
    return figure


def a_yardstick_that_grows():
    """The distance with sigma at the point, against the distance: it cannot pass root n."""
    X, y = _textbook()
    likelihood = LinearLikelihood(np.column_stack([np.ones(1000), X]), y)
    run = ml.fit(X, y, optimizer=ml.SGD(0.03, batch_size=32, epochs=10, seed=0))
    mle = ml.fit(X, y).params
    away = (run.params - mle) / run.certificate.distance  # one standard error long

    def both(params):
        judged = ml.certify(params, X, y).distance
        sigma = np.sqrt(np.mean((y - params[0] - X @ params[1:]) ** 2))
        theta = np.append(params, np.log(sigma))
        slope = likelihood.gradient(theta)
        return judged, np.linalg.norm(np.linalg.solve(likelihood.factor(theta).T, slope))

    curve = np.array([both(mle + length * away) for length in np.geomspace(0.1, 1e5, 60)])
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    ax.loglog([0.1, 1e5], [0.1, 1e5], color=GREY, linestyle=":", label="the distance itself (5.1)")
    ax.loglog(*curve.T, color=BLUE, label=r"with $\sigma$ at the point (5.6)")
    ax.axhline(np.sqrt(1000), color=RED, linestyle="--", linewidth=1.3)
    ax.text(0.12, 40, r"$\sqrt{n} = 31.6$", color=RED, va="bottom")
    for epochs in (0, 3, 6, 9):
        params = np.zeros(3)
        if epochs:
            some = ml.SGD(0.03, batch_size=32, epochs=epochs, seed=0)
            params = ml.fit(X, y, optimizer=some).params
        at = both(params)
        ax.plot(*at, "s", color=ORANGE, markersize=6)
        ax.annotate(
            f"epoch {epochs}",
            at,
            (10 if epochs == 9 else 0, -16),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    ax.set(
        xlabel="distance from the MLE, standard errors", ylabel="what is reported", ylim=(0.07, 3e4)
    )
    ax.legend(loc="lower right")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(_plain))
        axis.set_minor_locator(NullLocator())
    return figure


def coverage_of_a_shifted_interval():
    """What is left of 95 per cent when the interval's middle is d standard errors off."""
    noise, q = Gaussian(), Gaussian().quantile(np.array([0.975]))[0]
    figure, (left, right) = plt.subplots(1, 2)
    z = np.linspace(-4, 4, 300)
    density = np.exp(gaussian.log_density(z, 0.0, 1.0))
    left.plot(z, density, color=BLUE)
    inside = (z >= -q - 1) & (z <= q - 1)
    left.fill_between(z[inside], density[inside], color=BLUE, alpha=0.25, linewidth=0)
    for end, name, where in ((-q - 1, "$-q - d$", "center"), (q - 1, "$q - d$", "left")):
        height = np.exp(gaussian.log_density(np.array([end]), 0.0, 1.0))[0]
        left.plot([end, end], [0, height], color=RED, linestyle="--", linewidth=1.3)
        left.annotate(
            name, (end, height), (6, 0) if where == "left" else (-2, 10), color=RED, ha=where,
            textcoords="offset points",
        )  # fmt: skip
    left.text(-0.5, 0.12, "83 %", ha="center", fontsize=12)
    left.set(title="$d = 1$: the noise that is covered", xlabel="$z$", ylim=(0, 0.44), yticks=[])
    left.spines["left"].set_visible(False)
    d = np.linspace(0, 5, 150)
    ten = t_interval(d, np.ones_like(d), 0.95, 10)
    from_ten = np.array([_t(10, -low) - _t(10, -high) for low, high in ten])
    fixed = noise.cdf(q - d) - noise.cdf(-q - d)
    worst = np.maximum(2 * noise.cdf(q - d) - 1, 0)
    right.plot(d, 100 * from_ten, color=GREEN, linestyle="-.", label="$n - p = 10$, case 1")
    right.plot(d, 100 * fixed, color=BLUE, label=r"$\sigma$ known")
    right.plot(d, 100 * worst, color=PURPLE, linestyle="--", label=r"$\sigma$ known, case 3")
    at = 100 * (noise.cdf(np.array([q - CONVERGED])) - noise.cdf(np.array([-q - CONVERGED])))
    right.plot([CONVERGED], at, "s", color=RED, markersize=5)
    right.set(title="coverage in per cent", xlabel="$d$", ylim=(0, 100), xlim=(-0.1, 5))
    right.legend(loc="upper right", handlelength=1.7, borderaxespad=0)
    return figure


def _t(df, value):
    """Distribution function of Student's t, from the package's p values."""
    tail = 0.5 * float(ml.inference.intervals.t_p_values(np.array([value]), df)[0])
    return 1 - tail if value > 0 else tail
