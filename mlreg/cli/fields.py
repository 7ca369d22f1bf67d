"""Results as JSON for machines."""

import json
from typing import Any

import numpy as np

from mlreg._version import __version__

__all__ = ["certificate_fields", "comparison_fields", "fit_fields", "to_json"]


def to_json(fields: dict[str, Any]) -> str:
    """One line of JSON, which has no NaN and no infinity."""
    return json.dumps(_jsonable(fields), allow_nan=False)


def fit_fields(fit: Any, level: float) -> dict[str, Any]:
    """What ``fit --json`` prints."""
    fields = {
        "mlreg": __version__,
        "optimizer": fit.optimizer,
        "transform": None if fit.design.transform is None else fit.design.transform.name,
        "status": {"code": fit.status.code, "message": fit.status.message},
        "certificate": certificate_fields(fit.certificate),
        "n_rows": fit.n_rows,
        "n_missing": fit.n_missing,
        "rank": fit.rank,
        "df_resid": fit.df_resid,
        "params": dict(zip(fit.names, fit.params.tolist(), strict=True)),
        "covariance": "expected" if fit.robust is None else fit.robust.label,
        "std_errors": dict(zip(fit.names, fit.std_errors.tolist(), strict=True)),
        "conf_int": dict(zip(fit.names, fit.conf_int(level).tolist(), strict=True)),
        "level": level,
        "noise": repr(fit.noise),
        "rss": fit.rss,
        "log_likelihood": fit.log_likelihood,
        "reads": fit.reads,
    }
    if fit.scale_names:
        names, estimates = fit.scale_names, (fit.scale_params, fit.scale_std_errors)
        fields["scale_params"], fields["scale_std_errors"] = (
            dict(zip(names, values.tolist(), strict=True)) for values in estimates
        )
    else:
        fields["sigma"] = fit.sigma
    if fit.prior is None:
        fields["t_values"] = dict(zip(fit.names, fit.t_values.tolist(), strict=True))
        fields["p_values"] = dict(zip(fit.names, fit.p_values.tolist(), strict=True))
        fields["aic"], fields["bic"] = fit.aic, fit.bic
    else:
        fields["prior_sd"], fields["effective_df"] = fit.prior.sd, fit.effective_df
    if fit.exact:
        for name in ("residual_std_error", "r_squared", "r_squared_adj"):
            fields[name] = getattr(fit, name)
        fields["f_test"] = vars(fit.f_test)
    return fields


def certificate_fields(certificate: Any) -> dict[str, Any]:
    """What ``certify --json`` prints."""
    names = certificate.names
    return {
        "distance": certificate.distance,
        "per_param": dict(zip(names, certificate.per_param.tolist(), strict=True)),
        "sigma_distance": certificate.sigma_distance,
        "log_likelihood_gap": certificate.log_likelihood_gap,
        "rounding": dict(zip(names, certificate.rounding.tolist(), strict=True)),
        "exact": certificate.exact,
        "converged": certificate.converged,
    }


def comparison_fields(comparison: Any) -> dict[str, Any]:
    """What ``compare --json`` prints: a record for each fit, in the order of the files."""
    each = (
        "status", "n_parameters", "log_likelihood", "aic", "bic", "mean_log_likelihood",
        "difference", "std_error", "ks_statistic", "ks_p_value",
    )  # fmt: skip
    columns = {name: np.asarray(getattr(comparison, name)).tolist() for name in each}
    fits = [
        {"name": label} | {name: column[i] for name, column in columns.items()}
        for i, label in enumerate(comparison.labels)
    ]
    best = None if comparison.best is None else comparison.labels[comparison.best]
    return {
        "best": best,
        "held_out": comparison.held_out,
        "n_scored": comparison.n_scored,
        "fits": fits,
    }


def _jsonable(value: Any) -> Any:
    """JSON has no NaN and no infinity: null for the one, a string for the other."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return str(value) if value in (float("inf"), float("-inf")) else value
