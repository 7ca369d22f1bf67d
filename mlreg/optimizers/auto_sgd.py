"""Minibatch SGD that nobody has to tune, and that stops when it has reached the MLE."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import least_squares
from mlreg.checks import positive, whole
from mlreg.errors import InvalidInput, RankDeficient
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace
from mlreg.linalg.products import whiten
from mlreg.linalg.triangle import norm, plain, scale_columns, solve_upper
from mlreg.optimizers.averaging import AveragedDescent, on_host
from mlreg.optimizers.exact import Exact
from mlreg.optimizers.least_absolute import minimize_absolute, minimize_absolute_scale
from mlreg.optimizers.newton import Newton, Run, agreement
from mlreg.optimizers.sgd import require_known
from mlreg.optimizers.shape import fit_df, has_free_df
from mlreg.optimizers.solution import (
    Solution,
    Status,
    check_noise,
    check_start,
    finish,
    finish_locally,
)
from mlreg.optimizers.start import Start, of_rows, stands_for
from mlreg.scoring import whitened

__all__ = ["AutoSGD"]

F64 = NDArray[np.float64]

SAMPLE = 2000
"""Rows that precondition the others, or fifty for each parameter; a quarter of them at most."""

LEVERAGE = 1 / 25
"""Largest leverage of a row of the sample: a column of zeros and ones needs so many of either."""

MARGIN = 0.9
"""Share of the tolerance that a local certificate may fill: the rest is for what it leaves out."""

CLIPPED = 0.02
"""Share of the minibatches that may be steeper than their rate, before a sample is not believed."""

CHUNK = 2**17
"""Numbers that are read at a time, about."""


@dataclass(frozen=True)
class AutoSGD:
    """Minibatch SGD without anything to tune; it stops ``tolerance`` standard errors from the MLE.

    1. Some rows, drawn at random, are fitted: the start. The triangle of these rows, with
       the Fisher information of the noise, makes the preconditioner P, Eq. (13.9), for which
       columns of any unit, shift and correlation are the same.
    2. Minibatches of reshuffled rows, β ← β + ηPg with the mean g of xσψ(z) over the rows of a
       minibatch, until the start is forgotten, at the rate of Eq. (13.10); it is lowered for a
       minibatch that is steeper than that, Eq. (13.11).
    3. One reshuffled pass over all rows. The average of its iterates, corrected by how far the
       last is from the first, Eq. (13.7), is nearer to the MLE than any of them. The same read
       folds the triangle of all rows, Eq. (2.7).
    4. The certificate, with that triangle and not with the sample's: for Gaussian noise at
       once, Eq. (5.1), for others in another read, Eq. (11.8). While it says more than
       ``tolerance``, a joint Newton step in (β, γ), Eq. (11.1), and a certificate again. Under
       Laplace noise the exact finish of `Exact`, Eq. (11.13).

    Where the sample cannot stand for all rows, because a column is nearly constant in it or one
    row alone decides about a coefficient, the triangle of all rows is computed first.

    Parameters
    ----------
    tolerance : float
        Largest error over all linear contrasts, in standard errors, together with that of σ
        for noise that is not Gaussian. More than 0.1 does not count as converged.
    batch_size : int
        Rows of a minibatch. The result hardly depends on it; large ones cost fewer calls.
    seed : int
        Replays a run.

    Notes
    -----
    For Gaussian noise `Exact` is faster: its one read is the third step's, without minibatches.
    Minibatches are a way to the MLE for noise that has no closed form, and for learning how far
    they go. `Solution.reads_by` tells what was read: ``start``, ``minibatch``, ``factor`` (the
    triangle of all rows, where the sample was no help) and ``certificate``.

    Rows that are drawn at random come from a reshuffled pass that is broken off; see the source's
    ``blocks`` for how random that is out of core. The certificate depends on none of it.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20_000, 3)) * [1e-4, 1, 1e4] + [1, 100, 1e6]
    >>> y = X @ [1e4, 1, 1e-4] + rng.standard_t(4, size=20_000)
    >>> fit = ml.fit(X, y, noise=ml.StudentT(4), optimizer=ml.AutoSGD())
    >>> fit.status.code
    'converged'
    """

    tolerance: float = 0.1
    _: KW_ONLY
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        positive(self.tolerance, "tolerance")
        whole(self.batch_size, "batch_size", 1)
        whole(self.seed, "seed", 0)

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Find the MLE; ``start`` is looked at and not needed.

        Raises
        ------
        InvalidInput
            A prior; noise with kinks other than Laplace's, or not symmetric; rows that cannot be
            read twice.
        RankDeficient
            Where the coefficients are not unique.
        """
        if likelihood.prior is not None:
            check_noise(likelihood, "AutoSGD() follows the likelihood,", "Newton() finds the mode")
        check_start(likelihood, start)
        if not likelihood.source.rereadable:
            raise InvalidInput(
                "AutoSGD() reads the rows more than once, and this source can be read only once: "
                "Exact() reads it once, and SGD(..., epochs=1) too"
            )
        if not has_free_df(likelihood.noise):
            require_known(likelihood.noise)
        return _Search(self, likelihood).solution()


class _Search:
    """One run: what has been read, and for what."""

    def __init__(self, config: AutoSGD, likelihood: LinearLikelihood) -> None:
        self.config, self.likelihood = config, likelihood
        self.rng = np.random.default_rng(config.seed)
        self.before = likelihood.reads
        self.reads = dict.fromkeys(("start", "minibatch", "factor", "certificate"), 0.0)
        self.told = ""
        self.noise = likelihood.noise

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        before = self.likelihood.reads
        yield
        self.reads[kind] += self.likelihood.reads - before

    def solution(self) -> Solution:
        """Run, and say how it went."""
        found = self._found()
        reads = self.likelihood.reads - self.before
        return replace(found, reads=reads, reads_by=self.reads)

    def _found(self) -> Solution:
        likelihood = self.likelihood
        with self._counted("factor"):
            n = likelihood.source.n_rows or likelihood.triangle.n_rows
        size = likelihood.n_params + likelihood.n_scale
        m = min(max(SAMPLE, 50 * size), n // 4)
        if m < 10 * size:
            return self._without(f"{n} rows are too few for minibatches")
        few = self._draw(m)
        m, n = few.triangle.n_rows, max(1, round(n * few.triangle.n_rows / few.n_rows))
        likelihood.reads += m / n
        self.reads["start"] = m / n
        start, why = self._start(few)
        if why:
            with self._counted("factor"):
                ls = least_squares(likelihood)
            if start is None and not (ls.perfect or likelihood.scale_names):
                start = self._least_squares_of(few)
            self.told = f", preconditioned by all rows, for {m} of them could not, {why}"
        if start is None or (why and (likelihood.exact or least_squares(likelihood).perfect)):
            return self._without(f"{m} rows drawn at random cannot stand for all, {why}")
        mean = self._minibatches(
            start, self._preconditioner(likelihood if why else few, start), m, n
        )
        if not why and self._misled(few):
            self.told = f", preconditioned by all rows, for {m} of them misled the first pass"
            start = self._better(start, few)
            mean = self._minibatches(start, self._preconditioner(likelihood, start), m, n)
        with self._counted("certificate"):
            return self._refined(start, mean)

    def _without(self, why: str) -> Solution:
        """The solution without minibatches."""
        likelihood = self.likelihood
        with self._counted("certificate"):
            laplace = type(self.noise) is Laplace
            optimizer = Exact() if likelihood.exact or laplace else Newton()
            found = optimizer.minimize(likelihood)
        told = f"{found.status.message}. {why}: found as {type(optimizer).__name__}() does"
        return replace(found, status=Status(found.status.code, told))

    def _part(self, size: int, rows: int, n: int) -> Iterator[Block]:
        """``rows`` rows of a reshuffled pass, about, ``size`` at a time."""
        got = 0
        for block in self.likelihood.source.blocks(size, self.rng):
            got += int(block.y.shape[0])
            self.likelihood.reads += int(block.y.shape[0]) / n
            yield block
            if got >= rows:
                return

    def _draw(self, m: int) -> LinearLikelihood:
        """The likelihood of m rows drawn at random."""
        block = next(self.likelihood.source.blocks(m, self.rng))
        return of_rows(self.likelihood, on_host(block))

    def _start(self, few: LinearLikelihood) -> tuple[Start | None, str]:
        """The fit of the sample, and why it cannot precondition all rows, if so."""
        try:
            report = few.rank_report
            if report.dependent:
                return None, f"for {report.describe(few.source.names)} in them"
            ls = least_squares(few)
            if ls.perfect:
                return None, "which fit perfectly"
            if few.exact:
                start = Start("", ls.params, np.zeros(1))
            else:
                found = self._fit(few)
                if not found.status.ok:
                    return None, f"whose fit {found.status}"
                name, p = f"minibatches from the fit of {few.triangle.n_rows} rows", few.n_params
                start = Start(name, found.theta[:p], found.theta[p:])
        except (InvalidInput, RankDeficient) as error:
            return None, f"for in them {error}"
        if report.doubtful:
            return start, "for its columns are nearly collinear"
        p, m = few.n_params, few.triangle.n_rows
        triangle, largest = plain(few.triangle), 0.0
        R = triangle.R[:p, :p]
        for rows in few.rows():
            W = whiten(R, scale_columns(rows[:, :p], -triangle.exponent[:p]))
            largest = max(largest, float(np.max(np.sum(W * W, axis=1))))
        if largest > max(LEVERAGE, 5 * p / m):
            return start, f"for one of them alone has leverage {largest:.2g}"
        return start, ""

    def _fit(self, few: LinearLikelihood) -> Solution:
        """The MLE of some rows, other than least squares; a df that is free is theirs from now."""
        optimizer = Exact() if type(few.noise) is Laplace else Newton(tolerance=0.01)
        found = optimizer.minimize(few)
        if found.n_shape:
            few.noise = self.noise = found.noise
        return found

    def _least_squares_of(self, few: LinearLikelihood) -> Start:
        """Least squares of all rows; the scale is that of some of them."""
        params = least_squares(self.likelihood).params
        (block,) = few.blocks(few.triangle.n_rows)
        rest = ArraySource(
            np.ones((len(block.y), 1)), block.y - block.X @ params,
            frequency=block.frequency, precision=block.precision,
        )  # fmt: skip
        found = self._fit(LinearLikelihood.from_source(rest, self.noise))
        return Start("minibatches from least squares", params, found.theta[1:])

    def _misled(self, few: LinearLikelihood) -> bool:
        """Whether the sample's triangle was far from that of all rows, Eq. (13.9)."""
        if self.likelihood.exact:  # the triangle of all rows finishes it
            return False
        batches = self.likelihood.triangle.n_rows / self.batch_size
        return self.clipped > CLIPPED * batches or not stands_for(few, self.likelihood)

    def _better(self, start: Start, few: LinearLikelihood) -> Start:
        """Of the sample's fit and least squares of all rows the one of smaller NLL; one read."""
        likelihood, nlls = self.likelihood, np.zeros(2)
        if likelihood.scale_names:
            return start
        with self._counted("certificate"):
            other = self._least_squares_of(few)
            thetas = [np.append(s.beta, _gamma(s)) for s in (start, other)]
            likelihood = likelihood.with_noise(self.noise)
            for block in likelihood.blocks():
                nlls += [float(likelihood.term(theta, block)[0]) for theta in thetas]
            self.likelihood.reads = likelihood.reads
        return start if nlls[0] <= nlls[1] else other

    def _preconditioner(self, known: LinearLikelihood, start: Start) -> F64:
        """T with TTᵀ = P, the inverse of the mean information of a row, Eq. (13.9)."""
        p = known.n_params
        with self._counted("factor"):
            triangle = plain(known.spread_triangle(_gamma(start)))
        inverse = solve_upper(triangle.R[:p, :p], np.eye(p))
        unit = math.sqrt(triangle.n_rows / self.noise.fisher[0])
        return np.ascontiguousarray(scale_columns(inverse.T * unit, -triangle.exponent[:p]).T)

    def _minibatches(self, start: Start, T: F64, m: int, n: int) -> Start:
        """The corrected average of a pass, Eq. (13.7), after the burn-in; and its γ."""
        likelihood, p = self.likelihood, self.likelihood.n_params
        size = min(self.config.batch_size, max(1, n // 16))
        rate = min(2 * size * math.sqrt(2 / (m * n)), size / (size + p + 1))  # Eq. (13.10)
        burn = min(math.ceil(math.log(20 * math.sqrt(n / m)) / rate), math.ceil(n / size))
        descent = AveragedDescent(likelihood, self.noise, start, T, rate, size)
        chunk = size * max(1, round(max(CHUNK // p, 1024) / size))
        with np.errstate(all="ignore"), self._counted("minibatch"):
            for block in self._part(min(chunk, burn * size), burn * size, n):
                descent.burn_in(block)
            likelihood.exhaust(descent.average(likelihood.blocks(chunk, self.rng)))
        self.clipped, self.batch_size = descent.walk.clipped, size
        return Start(start.name, descent.mean, descent.gamma)

    def _refined(self, start: Start, mean: Start) -> Solution:
        """From the average to within the tolerance."""
        likelihood, before, tolerance = self.likelihood, self.before, self.config.tolerance
        ls = least_squares(likelihood)
        if ls.perfect:
            return finish(likelihood, ls, ls.params, [start.beta, ls.params], "pass", before)
        if not np.isfinite(mean.beta).all():
            mean = Start("least squares", ls.params, mean.gamma)
        if likelihood.exact:
            return self._least_squares(start, mean.beta)
        if type(self.noise) is Laplace:
            with_scale = bool(likelihood.scale_names)
            finish_exactly = minimize_absolute_scale if with_scale else minimize_absolute
            found = finish_exactly(likelihood, mean.beta)
            far = self._apart(mean.beta, found)
            return self._said(found, far, "the exact finish went on from it")
        if has_free_df(likelihood.noise):
            return fit_df(likelihood, Newton().minimize_from, mean)
        space = whitened(likelihood)
        run = Run(Newton(tolerance=MARGIN * tolerance), space, mean, judged=True)
        history = [(space.unscale(b), v) for b, v in zip(run.way, run.values, strict=True)]
        if run.falls:
            return finish_locally(likelihood, history, None, before, space=space)
        found = finish_locally(
            likelihood, history, run.point.gamma, before,
            why=run.why, where=agreement(space, run, [run]), point=run.point, space=space,
        )  # fmt: skip
        found = replace(found, history=replace(found.history, unit="pass"))
        return self._said(found, float(found.history.distance[0]), _steps(len(history) - 1))

    def _apart(self, params: F64, found: Solution) -> float:
        """Distance from a solution under Laplace noise, Eq. (8.11)."""
        likelihood, p = self.likelihood, self.likelihood.n_params
        triangle = plain(likelihood.spread_triangle(found.theta[p:]))
        apart = scale_columns(params - found.theta[:p], triangle.exponent[:p])
        sigma = 1.0 if likelihood.scale_names else math.exp(found.theta[p])
        return norm(triangle.R[:p, :p] @ apart) / sigma

    def _least_squares(self, start: Start, mean: F64) -> Solution:
        likelihood, ls = self.likelihood, least_squares(self.likelihood)
        far = norm(ls.contrast(mean)) / ls.s
        way = [start.beta, mean]
        if far + ls.rounding.max(initial=0.0) > self.config.tolerance:
            way.append(ls.params)
        found = finish(likelihood, ls, way[-1], way, "pass", self.before)
        return self._said(found, far, _steps(len(way) - 2))

    def _said(self, found: Solution, far: float, more: str) -> Solution:
        """The status, with the way to it."""
        reads, tolerance = self.likelihood.reads - self.before, self.config.tolerance
        code, certificate = found.status.code, found.certificate
        told = found.status.message
        if code == "stopped" and max(certificate.distance, certificate.sigma_distance) <= tolerance:
            told += f", and within the tolerance of {tolerance:g}"
        told += f". The average of a pass of minibatches came within {far:.2g}{self.told}; {more}; "
        told += f"{reads:.3g} reads of the data"
        if self.likelihood.exact:
            told += ". For Gaussian noise Exact() takes one, and is faster"
        return replace(found, status=Status(code, told))


def _steps(count: int) -> str:
    if not count:
        return "no step more was needed"
    return f"{count} step{'s' * (count > 1)} with the certificate's Hessian went on from it"


def _gamma(start: Start) -> F64:
    assert start.gamma is not None  # all starts here have one
    return start.gamma
