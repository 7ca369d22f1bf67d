"""The faults that the tests plant, one at a time: in displays, in the package, in the checks."""

import dataclasses
import re

import numpy as np

# In the package: (equation, function or property of mlreg). Made wrong by 1e-9, it must fail the
# check of that equation.
CODE = [
    ("1.1", "likelihood.noise.Gaussian.quantile"),
    ("1.2", "likelihood.gaussian.log_density"),
    ("1.2", "likelihood.noise.Gaussian.rho"),
    ("1.3", "likelihood.gaussian.log_density"),
    ("1.4", "likelihood.gaussian.nll"),
    ("1.4", "likelihood.linear.LinearLikelihood.nll"),
    ("1.5", "likelihood.linear.LinearLikelihood.nll"),
    ("1.6", "likelihood.gaussian.log_density"),
    ("1.7", "likelihood.gaussian.log_density"),
    ("2.1", "likelihood.gaussian.nll"),
    ("2.2", "certificate.LeastSquares.params"),
    ("2.3", "certificate.LeastSquares.log_sigma"),
    ("2.4", "certificate.LeastSquares.s"),
    ("2.5", "certificate.certificate"),
    ("2.5", "inference.intervals.t_quantile"),
    ("2.5", "inference.intervals.t_interval"),
    ("2.6", "certificate.LeastSquares.norm_r"),
    ("2.6", "linalg.triangle.of"),
    ("2.7", "linalg.triangle.merge"),
    ("2.8", "certificate.LeastSquares.contrast"),
    ("2.8", "certificate.LeastSquares.log_sigma"),
    ("2.8", "estimate.Fit.fitted_values"),
    ("2.9", "likelihood.gaussian.nll"),
    ("2.9", "estimate.Fit.nll"),
    ("2.10", "estimate.Fit.sigma"),
    ("2.11", "estimate.Fit.params"),
    ("2.11", "estimate.Fit.std_errors"),
    ("2.11", "estimate.Fit.covariance"),
    ("3.1", "likelihood.gaussian.gradient"),
    ("3.1", "likelihood.linear.LinearLikelihood.gradient"),
    ("3.2", "likelihood.gaussian.gradient"),
    ("3.3", "likelihood.gaussian.hessian"),
    ("3.3", "likelihood.linear.LinearLikelihood.hessian"),
    ("3.4", "likelihood.gaussian.fisher_information"),
    ("3.4", "likelihood.linear.LinearLikelihood.information"),
    ("3.5", "likelihood.linear.LinearLikelihood.gradient"),
    ("3.6", "likelihood.noise.Gaussian.fisher"),
    ("3.6", "likelihood.linear.LinearLikelihood.factor"),
    ("3.7", "likelihood.linear.LinearLikelihood.hessian"),
    ("3.8", "optimizers.scipy_minimize._Objective.theta"),
    ("3.8", "optimizers.scipy_minimize._Objective.information"),
    ("3.9", "likelihood.gaussian.gradient"),
    ("3.9", "likelihood.gaussian.hessian"),
    ("3.9", "likelihood.gaussian.fisher_information"),
    ("3.9", "likelihood.linear.LinearLikelihood.gradient"),
    ("3.10", "likelihood.gaussian.nll"),
    ("3.10", "likelihood.linear.LinearLikelihood.nll"),
    ("3.11", "likelihood.gaussian.gradient"),
    ("3.11", "likelihood.gaussian.hessian"),
    ("3.12", "likelihood.gaussian.hessian"),
    ("3.12", "likelihood.linear.LinearLikelihood.hessian"),
    ("3.13", "likelihood.linear.LinearLikelihood.nll"),
    ("4.1", "likelihood.linear.LinearLikelihood.gradient"),
    ("4.2", "likelihood.linear.LinearLikelihood.term"),
    ("4.3", "likelihood.linear.LinearLikelihood.term"),
    ("4.4", "optimizers.sgd.stable_learning_rate"),
    ("4.5", "optimizers.sgd.stable_learning_rate"),
    ("4.6", "optimizers.sgd.stable_learning_rate"),
    ("4.7", "likelihood.linear.LinearLikelihood.gradient"),
    ("4.8", "likelihood.linear.LinearLikelihood.term"),
    ("4.9", "likelihood.linear.LinearLikelihood.term"),
    ("4.10", "likelihood.linear.LinearLikelihood.term"),
    ("4.11", "likelihood.linear.LinearLikelihood.term"),
    ("4.12", "optimizers.sgd.stable_learning_rate"),
    ("5.1", "certificate.certificate"),
    ("5.2", "certificate.certificate"),
    ("5.3", "certificate.least_squares"),
    ("5.4", "certificate.certificate"),
    ("5.5", "certificate.certificate"),
    ("5.6", "likelihood.linear.LinearLikelihood.gradient"),
    ("5.6", "likelihood.linear.LinearLikelihood.factor"),
    ("5.7", "linalg.bounds.coefficient_bound"),
    ("5.8", "inference.intervals.t_quantile"),
    ("5.8", "inference.intervals.t_interval"),
    ("5.8", "likelihood.noise.Gaussian.quantile"),
    ("5.8", "likelihood.noise.Gaussian.cdf"),
    ("5.8", "certificate.certificate"),
    ("5.9", "certificate.certificate"),
    ("6.1", "estimate.Fit.predict"),
    ("6.2", "data.design.ArrayDesign.matrix"),
    ("6.3", "likelihood.gaussian.nll"),
    ("6.4", "likelihood.linear.LinearLikelihood.gradient"),
    ("6.4", "likelihood.gaussian.gradient"),
    ("6.5", "fitting.certificate"),
    ("6.6", "certificate.LeastSquares.params"),
    ("6.6", "estimate.Fit.rss"),
    ("6.7", "likelihood.linear.LinearLikelihood.hessian"),
    ("7.1", "linalg.triangle.qr_triangle"),
    ("7.1", "linalg.triangle.of"),
    ("7.2", "linalg.triangle.qr_triangle"),
    ("7.2", "linalg.rank.rank_report"),
    ("7.3", "linalg.fold.fold"),
    ("7.3", "linalg.fold._Gram.triangle"),
    ("7.4", "linalg.fold._Gram.triangle"),
    ("7.5", "linalg.refine.contraction"),
    ("7.5", "linalg.refine.refine"),
    ("7.6", "linalg.refine.refine"),
    ("7.7", "linalg.refine._two_sum"),
    ("7.7", "linalg.refine._two_product"),
    ("7.9", "linalg.refine.measured_contraction"),
    ("7.8", "linalg.triangle.select"),
    ("7.8", "inference.anova.anova"),
    ("8.1", "likelihood.noise.Laplace.rho"),
    ("8.1", "likelihood.noise.Laplace.psi"),
    ("8.1", "likelihood.noise.Laplace.cdf"),
    ("8.1", "likelihood.noise.Laplace.quantile"),
    ("8.2", "likelihood.linear.LinearLikelihood.nll"),
    ("8.3", "likelihood.linear.LinearLikelihood.gradient"),
    ("8.4", "likelihood.student_t.StudentT.rho"),
    ("8.4", "likelihood.student_t.StudentT.cdf"),
    ("8.4", "likelihood.student_t.StudentT.quantile"),
    ("8.4", "likelihood.student_t.StudentT.log_constant"),
    ("8.5", "likelihood.student_t.StudentT.rho"),
    ("8.5", "likelihood.student_t.StudentT.psi"),
    ("8.5", "likelihood.student_t.StudentT.dpsi"),
    ("8.6", "likelihood.linear.LinearLikelihood.gradient"),
    ("8.7", "likelihood.noise.Logistic.rho"),
    ("8.7", "likelihood.noise.Logistic.psi"),
    ("8.7", "likelihood.noise.Logistic.dpsi"),
    ("8.7", "likelihood.noise.Logistic.cdf"),
    ("8.7", "likelihood.noise.Logistic.quantile"),
    ("8.8", "likelihood.noise.Huber.constant"),
    ("8.8", "likelihood.noise.Huber.rho"),
    ("8.8", "likelihood.noise.Huber.psi"),
    ("8.8", "likelihood.noise.Huber.dpsi"),
    ("8.8", "likelihood.noise.Huber.cdf"),
    ("8.8", "likelihood.noise.Huber.quantile"),
    ("8.9", "likelihood.noise.Huber.dpsi"),
    ("8.9", "likelihood.noise.Huber.psi"),
    ("8.10", "likelihood.linear.LinearLikelihood.gradient"),
    ("8.11", "likelihood.noise.Laplace.fisher"),
    ("8.12", "likelihood.student_t.StudentT.fisher"),
    ("8.13", "likelihood.noise.Logistic.fisher"),
    ("8.14", "likelihood.noise.Huber.fisher"),
    ("8.15", "likelihood.noise.Laplace.rho"),
    ("8.15", "likelihood.noise.Logistic.rho"),
    ("8.15", "likelihood.noise.Huber.rho"),
    ("8.15", "likelihood.student_t.StudentT.rho"),
]

# In the checks: (page, what stands there once, what is put in its place).
CHECKS = [
    ("1-gaussian.md", "assert agree(-standard[i], 1,", "assert agree(-2 * standard[i], 1,"),
    ("2-maximum-likelihood.md", "sum(c * sigma**2 for", "sum(2 * c * sigma**2 for"),
    ("2-maximum-likelihood.md", "* at_beta + along", "* at_beta - along"),
    (
        "2-maximum-likelihood.md",
        "moment = {0: 1, 1: 0, 2: sigma**2}",
        "moment = {0: 1, 1: 0, 2: 1}",
    ),
    ("2-maximum-likelihood.md", "assert A * H == A", "assert A * H == 2 * A"),
    ("2-maximum-likelihood.md", "beta = beta - 0.05", "beta = beta + 0.05"),
    ("3-derivatives.md", "4: 3 * sigma**4", "4: 2 * sigma**4"),
    ("3-derivatives.md", "faces, chances = np.sqrt(3)", "faces, chances = np.sqrt(2)"),
    ("3-derivatives.md", "return J.T * H * J + sum(", "return J.T * H * J - sum("),
    ("3-derivatives.md", "best = (x.T * y)[0] /", "best = 2 * (x.T * y)[0] /"),
    ("4-descent.md", "/ 2 * parallel", "/ 4 * parallel"),
    ("4-descent.md", 'exactly["beta"][0], "w"', 'exactly["beta"][1], "w"'),
    ("4-descent.md", "/ len(rows) for v in total", "/ len(c.y) for v in total"),
    ("4-descent.md", "B_ast=at) / 2", "B_ast=at) / 3"),
    ("5-certificate.md", "sp.log(here) - sp.log(best)", "sp.log(here) + sp.log(best)"),
    ("5-certificate.md", "integral(density, -q - d, q - d)", "integral(density, -q - d, q + d)"),
    ("5-certificate.md", "second = {0: 1, 1: 0, 2: sigma**2}", "second = {0: 1, 1: 0, 2: sigma}"),
    ("5-certificate.md", 'point["s"] * a / a.norm()', '2 * point["s"] * a / a.norm()'),
    ("6-network.md", "stacked = sp.Matrix([by_b, *by_w])", "stacked = sp.Matrix([-by_b, *by_w])"),
    ("6-network.md", "H = np.tanh(inputs", "H = 0.5 + np.tanh(inputs"),
    ("6-network.md", "per_row = point", "per_row = 2 * point"),
    ("7-exact.md", "unit = W * sp.diag(*(1 / v.norm()", "unit = W * sp.diag(*(2 / v.norm()"),
    ("7-exact.md", "relative = max(D[", "relative = 0.01 * max(D["),
    ("7-exact.md", "off = (V.inv() * (", "off = 1e20 * (V.inv() * ("),
    ("7-exact.md", "r = y - inside *", "r = y + inside *"),
    ("8-noises.md", "sp.exp(-(u + t)) * sp.exp(-u)", "sp.exp(-(u + t)) * sp.exp(u)"),
    ("8-noises.md", "    gap = min(", "    gap = 9 * min("),
    ("8-noises.md", "half = sp.Rational(df, 2)", "half = sp.Rational(df, 3)"),
    ("8-noises.md", "far - farther) - 10 * (2 - 2 * df)", "far - farther) - 10 * (2 - df)"),
    ("8-noises.md", "+ 2 * k**2 * sp.integrate(phi", "+ k**2 * sp.integrate(phi"),
    ("8-noises.md", "2 * faded * np.exp", "faded * np.exp"),
]


def mutations(latex):
    """Every sign turned, digit raised, relation reversed, quotient inverted, function dropped."""
    swaps = {"+": "-", "-": "+", "<": ">", r"\le": r"\ge", r"\sqrt": "", r"\log": "", r"\top": "1"}
    for match in re.finditer(r"\\frac\{([^{}]*)\}\{([^{}]*)\}|\\[A-Za-z]+|[-+<]|\d", latex):
        token = match.group()
        if token.startswith(r"\frac{"):
            new = rf"\frac{{{match[2]}}}{{{match[1]}}}"
            inside = match.start() + len(r"\frac")
            yield from ((latex[:inside] + m, i + inside) for m, i in mutations(latex[inside:]))
        elif token.isdigit():
            new = str((int(token) + 1) % 10)
        else:
            new = swaps.get(token)
        if new is not None:
            yield latex[: match.start()] + new + latex[match.end() :], match.start()
        if token.startswith(r"\frac{"):
            return  # the rest is done


def slightly(value):
    """The value with a relative error of 1e-9."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        changed = {k: slightly(v) for k, v in fields.items() if isinstance(v, (float, np.ndarray))}
        return dataclasses.replace(value, **{k: v for k, v in changed.items() if k != "rounding"})
    if isinstance(value, tuple):
        return tuple(slightly(v) for v in value)
    return value * (1 + 1e-9)
