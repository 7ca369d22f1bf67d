"""The two loops of minibatch SGD agree, and the implicit step is what it says it is."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource, Block, PickedBlock, PiecedBlock
from mlreg.optimizers.minibatch import Step, Walk, descend
from mlreg.optimizers.proximal import CLOSE, proximal_step, require_proximal

U = 2.0**-53
NOISES = (ml.Gaussian(), ml.Laplace(), ml.Logistic(), ml.Huber(0.7), ml.StudentT(3.0))
STEEPEST = {"Gaussian": 1.0, "Laplace": 0.0, "Logistic": 0.5, "Huber": 1.0, "StudentT": 4 / 3}
EVALUATION = 32 * U  # of ψ(z): tanh is right to four units in either library, divisions to one


def walk_of(p):
    return Walk(np.zeros(p), np.zeros(p))


def run(kernel, block, p, rates, step):
    walk = walk_of(p)
    descend(walk, block, rates, step, kernel)
    return walk


def gamma(terms):
    """Higham's γ: the relative error of a sum of so many terms, in any order, fused or not."""
    return terms * U / (1 - terms * U)


def agreement(X, y, root, k, rates, step):
    """How far two runs of the loop can be apart by rounding, to first order: (params, total).

    One step from the same β. A residual is in error by γ(p + 2)(|x|'|β| + |y|), a pull by k w² M
    times that (M the largest slope of ψ) and by `EVALUATION`, the sum over m rows by γ(m + 2), each
    product with T by γ(p), and the step that is added by a few units. Two such errors come apart
    by at most `growth` in every later step: the step is I − ηC in the metric of φ = T⁻¹β, C the
    minibatch's curvature, of slopes between −M/8 (Student's t) and M. With the guard η becomes
    |h|²/h'Ch, whose own derivative adds η(2 + 2η‖C‖) to that.
    """
    p, size, M = X.shape[1], step.batch_size, STEEPEST[type(step.noise).__name__]
    T = np.eye(p) if step.precondition is None else step.precondition
    back, beta = np.linalg.inv(T), np.zeros(p)
    apart, summed = 0.0, 0.0
    for rate, start in zip(rates, range(0, len(y), size), strict=True):
        rows = slice(start, start + size)
        x, w, kk = X[rows], root[rows], k[rows]
        r = y[rows] - x @ beta
        off = gamma(p + 2) * (np.abs(x) @ np.abs(beta) + np.abs(y[rows]))
        if isinstance(step.noise, ml.Laplace):  # a sign that rounding can turn is another story
            assume((np.abs(r) > off + np.abs(x).sum(axis=1) * apart * np.abs(T).sum()).all())
        pull = np.abs(kk * w * step.sigma * step.noise.psi(w * r / step.sigma))
        error = kk * w * w * M * off + (EVALUATION + gamma(len(x) + 8)) * pull
        g = np.abs(x).T @ error / size
        products = gamma(4 * p) * np.abs(T) @ np.abs(T).T @ (np.abs(x).T @ pull / size)
        if step.precondition is not None:
            g = np.abs(T) @ np.abs(T).T @ g + products
        after = walk_of(p)
        after.params = beta.copy()
        part = Block(x, y[rows], kk, w**2)
        descend(after, part, np.array([rate]), step)
        steep = np.linalg.norm(np.sqrt(kk)[:, None] * w[:, None] * (x @ T), 2) ** 2 / size
        reach, share = rate * steep, max(M, 0.25)
        growth = max(1 + share * reach / 8, share * reach - 1)
        sensitive = 1.0
        if step.guard:
            sensitive = 3 + 2 * reach
            growth = 1 + reach * sensitive
        local = rate * sensitive * g + 4 * U * (np.abs(beta) + np.abs(after.params))
        apart = growth * apart + 2 * np.linalg.norm(np.abs(back) @ local)
        beta = after.params
        summed += apart + 4 * U * len(rates) * np.linalg.norm(np.abs(back) @ np.abs(beta))
    widest = np.linalg.norm(T, 2)
    # to first order, and the path is that of one of them: twice that covers what is neglected
    return 2 * widest * apart, 2 * widest * summed


LAYOUTS = ("rows", "columns", "every other", "read-only", "float32", "picked", "pieces")


def laid_out(X, y, k, precision, layout, intercept, rng):
    """The same rows as a block of this layout, and the arrays that it stands for."""
    if layout == "float32":
        X, y = X.astype(np.float32), y.astype(np.float32)
    if layout == "columns":
        X = np.asfortranarray(X)
    elif layout == "every other":
        X, y = np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2)[::2]
    elif layout == "read-only":
        for a in (X, y):
            a.flags.writeable = False
    source = ArraySource(X, y, intercept=intercept, frequency=k, precision=precision)
    generator = rng if layout == "picked" else None
    (block,) = source.blocks(len(y), generator)
    if layout == "picked":
        assert isinstance(block, PickedBlock)
    elif intercept:
        assert isinstance(block, PiecedBlock)
    return block


@settings(deadline=None, max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), q=st.integers(1, 11),
    size=st.integers(1, 45), noise=st.sampled_from(NOISES), layout=st.sampled_from(LAYOUTS),
    weighted=st.sampled_from(["", "frequency", "precision", "both"]), intercept=st.booleans(),
    metric=st.sampled_from(["", "T", "guarded"]), average=st.booleans(),
    reach=st.sampled_from([0.3, 1.7]),
)  # fmt: skip
def test_loops_agree_within_their_rounding_bound(
    seed, n, q, size, noise, layout, weighted, intercept, metric, average, reach
):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, q)), rng.normal(size=n) * 3
    k = rng.integers(1, 4, n).astype(float) if weighted in ("frequency", "both") else None
    precision = rng.uniform(0.2, 4, n) if weighted in ("precision", "both") else None
    block = laid_out(X, y, k, precision, layout, intercept, rng)
    p = q + intercept
    D, response = np.asarray(block.X), np.asarray(block.y)
    root = np.ones(n) if block.precision is None else np.sqrt(block.precision)
    count = np.ones(n) if block.frequency is None else block.frequency
    T = np.triu(rng.uniform(-0.3, 0.3, (p, p)), 1) + np.diag(rng.uniform(0.5, 2, p))
    step = Step(
        noise, size, sigma=1.5, average=average,
        precondition=T if metric else None, guard=metric == "guarded",
    )  # fmt: skip
    curved = count * root**2 * np.sum((D @ T if metric else D) ** 2, axis=1) / size
    steps = -(-n // size)
    longest = max(curved[i * size : (i + 1) * size].sum() for i in range(steps))
    rates = reach / longest * rng.uniform(0.5, 1, steps)
    if steps > 8:  # growth is exponential, and would leave no bound that is worth the name
        rates[8:] *= 1e-3
    params, total = agreement(D, response, root, count, rates, step)
    ours, plain = (run(kernel, block, p, rates, step) for kernel in ("numba", "numpy"))
    assert np.linalg.norm(ours.params - plain.params) <= params
    assert np.linalg.norm(ours.total - plain.total) <= (total if average else 0)
    assert ours.averaged == plain.averaged == (steps if average else 0)
    assert ours.clipped == plain.clipped
    assert step.guard or not ours.clipped
    assert params < 1e-3 * np.linalg.norm(plain.params)  # a bound that says something


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), m=st.integers(1, 12), p=st.integers(1, 6),
    noise=st.sampled_from([ml.Gaussian(), ml.Logistic(), ml.Huber(0.7), ml.Laplace()]),
    size=st.sampled_from([1e-3, 1.0, 1e4]), weighted=st.booleans(),
)  # fmt: skip
def test_implicit_step_ends_where_its_gradient_is(seed, m, p, noise, size, weighted):
    rng = np.random.default_rng(seed)
    m = 1 if isinstance(noise, ml.Laplace) else m
    X, r, sigma = rng.normal(size=(m, p)), 3 * rng.normal(size=m), 1.5
    root = rng.uniform(0.5, 2, m) if weighted else None
    k = rng.integers(1, 4, m).astype(float) if weighted else None
    w, count = (np.ones(m) if a is None else a for a in (root, k))
    curvature = np.linalg.norm(np.sqrt(count)[:, None] * w[:, None] * X, 2) ** 2
    rate = size / curvature
    move = proximal_step(X, r, root, k, rate, Step(noise, m, sigma=sigma, update="implicit"))
    left = r - X @ move
    off = gamma(p + 2) * (np.abs(r) + np.abs(X) @ np.abs(move))
    if isinstance(noise, ml.Laplace):  # a subgradient at the end: within ±1, a sign off the kink
        pull = move @ X[0] / (X[0] @ X[0]) / (rate * count[0] * w[0] * sigma)
        assert abs(pull) <= 1 + 16 * U
        on_the_line = abs(left[0]) <= 8 * off[0]
        assert on_the_line or abs(pull - np.sign(left[0])) <= 16 * U
        assert np.linalg.norm(move - X[0] * (move @ X[0]) / (X[0] @ X[0])) <= 16 * U * abs(r[0])
        return
    # The objective is strongly convex with constant one, so that the distance to its minimum is at
    # most the norm of its gradient, move − rate Σ k w σψ x, whose own slope is at most 1 + size.
    # Rounding of the residuals and of the end point comes into it; and the last of Newton's steps
    # was as small as CLOSE of the whole.
    gradient = move - rate * X.T @ (count * w * sigma * noise.psi(w * left / sigma))
    rounding = rate * np.linalg.norm(np.abs(X).T @ (count * w * w * off)) * 64
    assert np.linalg.norm(gradient) <= rounding + (1 + size) * CLOSE * np.linalg.norm(move)


def test_implicit_steps_that_are_not_defined_are_refused():
    with pytest.raises(ml.InvalidInput, match="one row at a time"):
        require_proximal(ml.Laplace(), 2)
    with pytest.raises(ml.InvalidInput, match="not unique"):
        require_proximal(ml.StudentT(3.0), 1)
    with pytest.raises(ml.InvalidInput, match="own metric"):
        Step(ml.Gaussian(), 1, update="implicit", precondition=np.eye(2))


def test_an_implicit_step_at_rate_zero_stays_where_it_is():
    step = Step(ml.Logistic(), 2, update="implicit")
    assert not proximal_step(np.ones((2, 1)), np.ones(2), None, None, 0.0, step).any()


def test_a_row_of_frequency_k_is_k_rows_in_a_guarded_step():
    """One minibatch, so that repeating a row cannot move a boundary between minibatches."""
    rng = np.random.default_rng(1)
    X, y, k = rng.normal(size=(9, 3)), rng.normal(size=9), np.array([1.0, 2, 5] * 3)
    again = np.repeat(np.arange(9), k.astype(int))
    T = np.diag([1.0, 2.0, 0.5])
    for kernel in ("numpy", "numba"):
        walks = [
            run(
                kernel, block, 3, np.array([50.0]), Step(ml.Huber(), 24, precondition=T, guard=True)
            )
            for block in (Block(X, y, k), Block(X[again], y[again]))
        ]
        assert [walk.clipped for walk in walks] == [1, 1]
        # two orders of sums of 24 terms, the quotient of two of them, and products with T
        most = 8 * gamma(24 + 8) * np.abs(walks[0].params).max() * 10
        assert np.abs(walks[0].params - walks[1].params).max() <= most


class Own:
    """A user's noise, as `Gaussian`, that the compiled loop cannot know."""

    smooth, log_concave, symmetric = True, True, True
    fisher = (1.0, 0.0, 2.0)

    def psi(self, z):
        return z


def test_the_compiled_loop_says_what_it_does_not_know():
    block = Block(np.ones((3, 1)), np.arange(3.0))
    plain = run("numpy", block, 1, np.array([0.5]), Step(Own(), 3))
    assert plain.params.tolist() == [0.5]
    for step in (Step(Own(), 3), Step(ml.Gaussian(), 3, update="implicit")):
        with pytest.raises(ml.InvalidInput, match="take kernel='numpy'"):
            run("numba", block, 1, np.array([0.5]), step)


def test_without_numba_the_loop_in_python_is_taken_and_the_other_says_what_to_install():
    code = """
import sys
sys.modules["numba"] = None
import numpy as np, mlreg as ml
X = np.random.default_rng(0).normal(size=(9000, 2))
y = X[:, 0]
ml.fit(X, y + X[:, 1] ** 2, optimizer=ml.SGD(0.03))
try:
    ml.fit(X, y + X[:, 1] ** 2, optimizer=ml.SGD(0.03, kernel="numba"))
except ml.MlregError as error:
    assert isinstance(error, ImportError) and "pip install 'mlreg[fast]'" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_numba_is_imported_only_when_it_is_used():
    code = (
        "import sys, mlreg.optimizers.compiled, mlreg; mlreg.SGD; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_in_block_order_are_not_copied():
    X = np.random.default_rng(0).normal(size=(100, 3))
    (block,) = ArraySource(X, X[:, 0] + 1, intercept=True).blocks(100)
    run("numba", block, 4, np.full(10, 0.1), Step(ml.Gaussian(), 10))
    assert "X" not in vars(block)  # which is made when it is asked for
    assert np.shares_memory(block.pieces.parts[1], X)


def test_rows_that_are_called_for_early_are_the_same_rows():
    """Data larger than a near cache, in a random order, of short rows and of long ones."""
    for n, q in ((30_000, 3), (1000, 70)):
        X = np.random.default_rng(0).normal(size=(n, q))
        (block,) = ArraySource(X, X[:, 0] + 1).blocks(n, np.random.default_rng(1))
        rates = np.full(-(-n // 64), 0.1 / q)
        ones, step = np.ones(n), Step(ml.Gaussian(), 64)
        ours, plain = (run(kernel, block, q, rates, step) for kernel in ("numba", "numpy"))
        bound, _ = agreement(block.X, block.y, ones, ones, rates, step)
        assert np.linalg.norm(ours.params - plain.params) <= bound < 1e-9
