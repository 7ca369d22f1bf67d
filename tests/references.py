"""Maximum-likelihood estimates that nothing of this package computes."""

import numpy as np
from scipy import optimize, stats

import mlreg as ml


def density(noise):
    """The density of a noise, by SciPy."""
    if isinstance(noise, ml.StudentT):
        return stats.t(noise.df)
    if isinstance(noise, ml.Gaussian):
        return stats.norm()
    assert isinstance(noise, ml.Logistic)
    return stats.logistic()


def mle(X, y, noise, frequency=None, precision=None, starts=((0, 0.0), (0, -2.0), (0, 1.0))):
    """Coefficients, log σ and NLL at the best of some minima, by BFGS on the density of SciPy.

    In orthonormal coordinates of the columns, so that their units are no matter.
    """
    k = np.ones(len(y)) if frequency is None else frequency
    root = np.ones(len(y)) if precision is None else np.sqrt(precision)
    Q, R = np.linalg.qr(X * root[:, None] * np.sqrt(k)[:, None])
    Q = np.linalg.solve(R.T, X.T).T  # of the rows themselves
    first, unit = np.linalg.lstsq(Q * root[:, None], y * root, rcond=None)[0], np.std(y * root)
    log_density = density(noise).logpdf

    def nll(x):
        z = root * (y - Q @ (x[:-1] * unit)) / unit * np.exp(-x[-1])
        return -np.sum(k * (log_density(z) + np.log(root) - x[-1] - np.log(unit)))

    with np.errstate(all="ignore"):
        found = []
        for shift, gamma in starts:
            begin = np.append(first / unit + shift, gamma)
            for _ in range(3):
                result = optimize.minimize(nll, begin, method="BFGS", options={"gtol": 1e-10})
                begin = result.x
            found.append(result)
    best = min(found, key=lambda r: r.fun)
    return np.linalg.solve(R, best.x[:-1] * unit), best.x[-1] + np.log(unit), best.fun


def distance(X, noise, params, best, log_sigma, frequency=None, precision=None):
    """How far params are from best, in standard errors of the expected information."""
    k = np.ones(len(X)) if frequency is None else frequency
    w = np.ones(len(X)) if precision is None else precision
    length = np.linalg.norm(np.sqrt(k * w) * (X @ (params - best)))
    return length * np.sqrt(noise.fisher[0]) * np.exp(-log_sigma)
