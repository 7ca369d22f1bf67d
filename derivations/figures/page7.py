"""The pictures of page 7."""

import warnings
from fractions import Fraction

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.linalg.refine import contraction, refine
from mlreg.linalg.triangle import of, qr_triangle, solve_upper
from mlreg.verify.exact import least_squares as rational


def _digits(found, exactly):
    """Correct decimal digits of the worst coefficient, 0 to 16."""
    off = max(abs(Fraction(f) - e) / abs(e) for f, e in zip(found.tolist(), exactly, strict=True))
    return float(np.clip(-np.log10(max(float(off), 1e-17)), 0, 16))


def digits_and_condition():
    """Correct digits of three methods against the condition number of the columns."""
    rng = np.random.default_rng(1)
    conditions, found = np.logspace(0, 14, 29), []
    for condition in conditions:
        left = np.linalg.qr(rng.normal(size=(30, 5)))[0]
        right = np.linalg.qr(rng.normal(size=(5, 5)))[0]
        X = left * np.logspace(0, -np.log10(condition), 5) @ right.T
        y = X @ rng.normal(size=5) + 1e-3 * rng.normal(size=30)
        exactly = rational(X, y).params
        R = np.ldexp((both := of(np.column_stack([X, y]))).R, both.exponent)
        try:
            by_squares = np.linalg.solve(X.T @ X, X.T @ y)
        except np.linalg.LinAlgError:
            by_squares = np.zeros(5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ml.errors.NumericalWarning)  # as it says, from 1e11 on
            refined = ml.fit(X, y, intercept=False).params
        ways = (by_squares, solve_upper(R[:5, :5], R[:5, 5]), refined)
        found.append([_digits(way, exactly) for way in ways])
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    kinds = ((RED, "s"), (BLUE, "o"), (GREEN, "^"))
    for values, (colour, marker) in zip(np.array(found).T, kinds, strict=True):
        ax.semilogx(conditions, values, marker, color=colour, markersize=5)
    for slope, colour in ((2, RED), (1, BLUE)):
        line = 15.5 - slope * np.log10(conditions)
        ax.plot(conditions[line > 0], line[line > 0], color=colour, linestyle=":", linewidth=1.3)
    ax.text(1e7, 14.7, "refined", color=GREEN, ha="center")
    ax.text(2.5e8, 9.5, r"triangle, $-\log_{10}\kappa u$", color=BLUE)
    ax.text(1e2, 4.2, r"normal equations, $-\log_{10}\kappa^2 u$", color=RED, ha="center")
    ax.set(xlabel=r"condition number $\kappa(X)$", ylabel="correct digits", ylim=(-0.6, 17))
    ax.set_xticks(10.0 ** np.arange(0, 15, 2))
    return figure


def whitened_columns():
    """Two nearly collinear columns, and the same rows in the coordinates of a triangle."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.995], [0.0, 0.03]])
    T = qr_triangle(x[:8])
    W = np.linalg.solve(T.T, x.T).T
    figure, panels = plt.subplots(1, 2, figsize=(6.8, 3.5))
    for ax, points, name, reach in zip(panels, (x, W), "AW", (3.2, 1.1), strict=True):
        ax.plot(*points[8:].T, ".", color=BLUE, markersize=4)
        ax.plot(*points[:8].T, "s", color=ORANGE, markersize=5)
        ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
        condition = np.linalg.cond(points.T @ points)
        shown = f"{condition:.1f}" if condition < 100 else f"{condition:.0f}"
        ax.set_title(rf"condition of ${name}^{{\!\top}}\! {name}$: {shown}")
        ax.set_xlabel(f"column 1 of ${name}$")
        ax.set_ylabel(f"column 2 of ${name}$")
    return figure


def refinement_steps():
    """The error after each step of refinement, and the bound that the step itself gives."""
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(40), rng.normal(size=(40, 3))])
    y = X @ [1.0, 2.0, -1.0, 0.5] + 0.3 * rng.normal(size=40)
    exactly = [Fraction(v) for v in rational(X, y).params]
    size = np.linalg.norm(qr_triangle(X) @ [float(v) for v in exactly])
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    for change, colour, marker, where, shown in (
        (0.05, RED, "s", (4.2, -3.1), "0.48"),
        (1e-3, ORANGE, "o", (3.15, -7.4), "0.0086"),
        (1e-6, BLUE, "^", (0.35, -11.0), r"8.6 \cdot 10^{-6}"),
    ):
        D = rng.normal(size=X.shape)
        D *= change * np.linalg.norm(X, axis=0) / np.linalg.norm(D, axis=0)
        R = qr_triangle(X + D)
        inverse = solve_upper(R, np.eye(4))
        rho = contraction(R, inverse, change)
        beta, errors, bounds = np.zeros(4), [], []
        for _ in range(7):
            away = [Fraction(b) - e for b, e in zip(beta.tolist(), exactly, strict=True)]
            errors.append(np.linalg.norm(R @ [float(v) for v in away]) / size)
            once = refine(
                lambda: [(X, y, [])], R, inverse, beta, np.linalg.norm(y), change, doubled=False
            )
            step = np.linalg.norm(R @ (once.beta - beta)) / size
            bounds.append(rho / (1 - rho) * step)
            beta = once.beta
        ax.semilogy(range(7), np.maximum(errors, 3e-17), f"{marker}-", color=colour, markersize=5)
        told = np.array(bounds[:6])
        ax.semilogy(
            np.arange(1, 7)[told > 1e-17], told[told > 1e-17], f"{marker}:", color=colour,
            markersize=7, markerfacecolor="white", linewidth=1,
        )  # fmt: skip
        ax.text(where[0], 10.0 ** where[1], rf"$\rho = {shown}$", color=colour)
        assert abs(rho / float(shown.replace(r" \cdot 10^{", "e").rstrip("}")) - 1) < 0.02
    ax.axhline(2.0**-53, color=GREY, linestyle="--", linewidth=1)
    ax.text(6.3, 2.0**-53 * 1.6, "$u$", color=GREY, ha="right")
    ax.set(xlabel="steps", ylabel=r"error, relative to $\Vert R\hat\beta\Vert$", ylim=(1e-17, 8))
    return figure
