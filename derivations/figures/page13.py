"""The picture of page 13."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE
from matplotlib import pyplot as plt

from mlreg.likelihood.blocks import Block
from mlreg.likelihood.noise import Gaussian
from mlreg.optimizers.minibatch import Step, Walk, descend
from mlreg.optimizers.plateau import plateau

ROWS, SIZE, RATE, PASSES, RUNS = 4000, 16, 0.02, 32, 12


def _distances(seed):
    """Distances after each pass of the iterate, the average, the corrected one; predictions."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(ROWS), rng.standard_normal((ROWS, 4))])
    y = X.sum(axis=1) + rng.standard_normal(ROWS)
    best = np.linalg.lstsq(X, y)[0]
    H = X.T @ X / ROWS
    s = np.sqrt(np.sum((y - X @ best) ** 2) / (ROWS - 5))
    steps = ROWS // SIZE
    rates, step = np.full(steps, RATE), Step(Gaussian(), SIZE, average=True)
    walk, begin, found = Walk(np.zeros(5), np.zeros(5)), np.zeros(5), []
    for passed in range(-2, PASSES):
        if passed == 0:  # two passes to forget the start
            walk.total[:], begin = 0.0, walk.params.copy()
        order = rng.permutation(ROWS)
        descend(walk, Block(X[order], y[order]), rates, step)
        if passed >= 0:
            count = (passed + 1) * steps
            moved = walk.params - begin
            before = (walk.total - moved) / count  # the iterates before each step
            after = before + np.linalg.solve(H, moved) / (RATE * count)
            off = np.array([walk.params, before, after]) - best
            found.append(np.sqrt(ROWS * np.sum(off @ H * off, axis=1)) / s)
    values = np.linalg.eigvalsh(H)[::-1]
    hover = plateau(values, ROWS, RATE, SIZE, "replacement")
    law = [plateau(values, ROWS, RATE, SIZE, "reshuffle", k) for k in range(PASSES + 1)]
    return np.array(found), hover, law


def what_averaging_takes_off():
    """Distance from the MLE against passes: plain, averaged, corrected."""
    runs = [_distances(seed) for seed in range(RUNS)]
    found = np.sqrt(np.mean([run[0] ** 2 for run in runs], axis=0))
    hover, law = runs[0][1:]
    passes = np.arange(1, PASSES + 1)
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    ax.loglog(passes, np.full(PASSES, hover), "--", color=GREY, linewidth=1)
    ax.text(PASSES, hover * 1.06, "fresh rows, (13.4)", color=GREY, ha="right", va="bottom")
    ax.loglog(passes, np.full(PASSES, law[0]), ":", color=ORANGE, linewidth=1.4)
    ax.loglog(passes, law[1:], ":", color=BLUE, linewidth=1.4)
    for values, colour, marker, label in zip(
        found.T, (ORANGE, BLUE, GREEN), "so^", ("iterate", "average", "corrected"), strict=True
    ):
        ax.loglog(passes, values, color=colour, marker=marker, markersize=4, label=label)
    ax.axhline(0.1, color=GREY, linewidth=0.8)
    ax.set(xlabel="reshuffled passes", ylabel="distance, in standard errors", ylim=(0.01, 6))
    ax.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    ax.minorticks_off()
    ax.legend(loc="lower left")
    return figure
