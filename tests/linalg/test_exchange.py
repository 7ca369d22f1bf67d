"""Vertex exchange finds what a linear programme finds, and says when there is nothing to find."""

import numpy as np
import pytest
from scipy.optimize import linprog

from mlreg.linalg.exchange import near_vertex, vertex

U = 2.0**-53


def problem(seed, m, p, far=1.0):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((m, p))
    r = W @ (far * rng.standard_normal(p)) + rng.standard_t(2, m)
    return W, r, rng.uniform(0.5, 2, m), rng.standard_normal(p)


def loss(W, r, c, g, u):
    return c @ np.abs(r - W @ u) - g @ u


def solved(W, r, c, g):
    """The least loss by a linear programme, r − Wu = a − b with a, b ≥ 0; None: unbounded."""
    m, p = W.shape
    result = linprog(
        np.concatenate([-g, c, c]),
        A_eq=np.hstack([W, np.eye(m), -np.eye(m)]),
        b_eq=r,
        bounds=[(None, None)] * p + [(0, None)] * (2 * m),
    )
    return result.fun if result.status == 0 else None


def found(W, r, c, g):
    return vertex(W, r, c, g, 64 * U * (1 + np.abs(r)), 64 * U * c @ np.abs(W))


def check(W, r, c, g):
    """The loss is the programme's, and the multipliers prove it: zero is a subgradient."""
    at = found(W, r, c, g)
    B = W[at.basis]
    u = np.linalg.solve(B, r[at.basis])
    size = c @ (np.abs(r) + np.abs(W) @ np.abs(u)) + np.abs(g) @ np.abs(u)
    # HiGHS meets its constraints to 1e-7
    assert abs(loss(W, r, c, g, u) - solved(W, r, c, g)) <= 1e-7 * size
    # an inverse that is brought up to date loses a factor κ at each of 40 exchanges at most
    error = 40 * len(u) * U * np.linalg.cond(B) ** 2
    assert np.abs(at.inverse @ B - np.eye(len(u))).max() <= error
    assert (np.abs(at.multipliers) <= c[at.basis] + at.slack).all()
    assert (at.slack <= 1e-9).all()
    left = r - W @ u
    left[np.abs(left) <= 1e-12 * (1 + np.abs(r))] = 0
    left[at.basis] = 0
    rest = (c * np.sign(left)) @ W + g + at.multipliers @ B
    tied = np.flatnonzero(left == 0)
    tied = tied[~np.isin(tied, at.basis)]  # their signs may be anything between −1 and 1
    return rest, c[tied] @ np.abs(W[tied])


@pytest.mark.parametrize(("m", "p"), [(1, 1), (40, 1), (60, 3), (60, 8), (900, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_minimum_is_that_of_the_linear_programme(m, p, seed):
    W, r, c, g = problem(seed, m, p)
    g *= 0.3 if m > 1 else 0.3 * np.abs(c @ W) / np.abs(g)
    rest, _ = check(W, r, c, g)
    assert (np.abs(rest) <= 1e-9 * c @ np.abs(W)).all()


@pytest.mark.parametrize("seed", range(12))
def test_ties_do_not_hold_it_up(seed):
    """Small integers: many rows are equal, and at the minimum many more than p have no residual."""
    rng = np.random.default_rng(seed)
    W = np.column_stack([np.ones(80), rng.integers(-1, 2, (80, 3))])
    r, c = rng.integers(-1, 2, 80).astype(float), rng.integers(1, 3, 80).astype(float)
    rest, free = check(W, r, c, np.zeros(4))
    assert (np.abs(rest) <= free + 1e-9).all()


def test_where_the_linear_term_outweighs_the_rows_there_is_no_minimum():
    W, c = np.ones((5, 1)), np.full(5, 2.0)
    r = np.arange(5.0)
    for g, side in ((9.99, 4), (-9.99, 0)):
        assert found(W, r, c, np.array([g])).basis == side
    for g in (10.01, -10.01):
        assert found(W, r, c, np.array([g])) is None
    W, r, c, g = problem(0, 50, 3)
    far = 1.01 * (c @ np.abs(W)).max() * g / np.abs(g).max() * 3
    assert solved(W, r, c, far) is None
    assert found(W, r, c, far) is None


def test_rows_that_do_not_determine_a_point_have_no_vertex():
    W, r, c, g = problem(1, 50, 3)
    assert found(W[:2], r[:2], c[:2], g) is None
    W[:, 2] = W[:, 0] - W[:, 1]
    assert found(W, r, c, np.zeros(3)) is None
    few = np.zeros((50, 3))  # but a single row that has a direction is found among any number
    few[:, :2], few[7, 2] = W[:, :2], 1
    assert 7 in found(few, r, c, np.zeros(3)).basis


@pytest.mark.parametrize("rows", [1, 20, 60, 10_000])
def test_near_vertex_is_lower_and_counts_its_rows(rows):
    for seed in range(5):
        W, r, c, g = problem(seed, 3000, 4, far=0.1)
        u, width = near_vertex(W, r, c, g, rows)
        assert np.sum(np.abs(r - W @ u) <= width * (1 + 1e-12)) == min(rows, 3000)
        at = found(W, r, c, g)
        least = loss(W, r, c, g, np.linalg.solve(W[at.basis], r[at.basis]))
        start, there = loss(W, r, c, g, np.zeros(4)), loss(W, r, c, g, u)
        assert least <= there + 1e-9 * start
        if rows <= 60:  # of the way down, little is left
            assert there - least <= 0.05 * (start - least)
        else:
            assert (u == 0).all()


def test_near_vertex_stays_where_all_rows_pass_through_it():
    W, _, c, _ = problem(0, 100, 2)
    u, width = near_vertex(W, np.zeros(100), c, np.zeros(2), 10)
    assert width == 0
    assert (u == 0).all()
