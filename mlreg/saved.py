"""Restore a fit from the file that `mlreg.estimate.Fit.save` wrote."""

import dataclasses
import os
from typing import Any

import numpy as np

from mlreg.certificate import Certificate, LeastSquares
from mlreg.data.design import design_from_dict
from mlreg.errors import InvalidInput
from mlreg.estimate import FORMAT, VERSION, Fit
from mlreg.files import read
from mlreg.inference.information import Information
from mlreg.inference.robust import Robust
from mlreg.likelihood.noise import Gaussian, Huber, Laplace, Logistic, Noise
from mlreg.likelihood.prior import NormalPrior
from mlreg.likelihood.student_t import StudentT
from mlreg.linalg.rank import Dependence, RankReport
from mlreg.linalg.refine import Refined
from mlreg.linalg.triangle import Triangle
from mlreg.optimizers.path import Path
from mlreg.optimizers.solution import History, Solution, Status

__all__ = ["load"]

NOISES: dict[str, Any] = {n.__name__: n for n in (Gaussian, Huber, Laplace, Logistic, StudentT)}


def load(path: str | os.PathLike[str], *, noise: Noise | None = None) -> Fit:
    """Restore a fit that `Fit.save` wrote; it has everything but its rows.

    Parameters
    ----------
    path : path
        The file.
    noise : Noise, optional
        The noise of the fit, where it is not one of this package's.

    Raises
    ------
    InvalidInput
        Not such a file, or one of another version.
    """
    d = read(path, FORMAT, VERSION)
    try:
        return _restore(d, noise)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{os.fspath(path)!r} is damaged: {error!r}") from error


def _noise(d: dict[str, Any], given: Noise | None) -> Noise:
    """The noise of a saved fit."""
    if given is not None and repr(given) != d["repr"]:
        raise InvalidInput(f"this fit has the noise {d['repr']}, not {given!r}")
    if given is None and d["name"] not in NOISES:
        raise InvalidInput(
            f"this fit has the noise {d['repr']}, which is not one of this package's: give it, "
            "load(path, noise=...)"
        )
    if given is not None:
        return given
    found: Noise = NOISES[d["name"]](**d["shape"])
    return found


def _arrays(holder: dict[str, Any], *names: str) -> None:
    """Lists become arrays of float64, in place."""
    for name in names:
        if holder[name] is not None:
            holder[name] = np.array(holder[name], dtype=np.float64)


def _triangle(d: dict[str, Any]) -> Triangle:
    _arrays(d, "R")
    return Triangle(**{**d, "exponent": np.array(d["exponent"], dtype=np.int64)})


def _restore(d: dict[str, Any], noise: Noise | None) -> Fit:
    solution, ls, info = d["solution"], d["least_squares"], d["information"]
    certificate, history = solution["certificate"], solution["history"]
    _arrays(certificate, "per_param", "rounding")
    history.setdefault("params", None)  # an older file has none
    _arrays(history, "mean_nll", "distance", "params")
    _arrays(solution, "theta")
    certificate["names"] = tuple(certificate["names"])
    path = solution.get("path")
    if path is not None:
        _arrays(path, "origin", "squares", "products", "last")
        path = Path(**path)
    found = {
        "path": path,
        "noise": _noise(solution["noise"], noise),
        "status": Status(**solution["status"]),
        "certificate": Certificate(**certificate),
        "history": History(**history),
    }
    if ls is not None:
        _arrays(ls, "beta")
        refined = ls["refined"]
        if refined:
            _arrays(refined, "beta", "low", "bound", "spread")
        ls = LeastSquares(
            _triangle(ls["triangle"]),
            ls["n_rows"],
            ls["beta"],
            _report(ls["rank"]),
            Refined(**refined) if refined else None,
        )
    if info is not None:
        _arrays(info, "R", "S")
        info = Information(**{**info, "triangle": _triangle(info["triangle"])})
    robust = d.pop("robust", None)
    if robust is not None:
        _arrays(robust, "root")
        if robust["scale_std_errors"] is not None:
            _arrays(robust, "scale_std_errors")
        robust = Robust(**robust)
    parts: dict[str, Any] = {
        "robust": robust,
        "solution": Solution(**{**solution, **found}),
        "names": tuple(d["names"]),
        "scale_names": tuple(d["scale_names"]),
        "least_squares": ls,
        "information": info,
        "prior": NormalPrior(**d["prior"]) if d["prior"] else None,
        "source": None,
        "design": design_from_dict(d["design"]),
        "rank_report": _report(d["rank_report"]),
    }
    rest = {f.name: d[f.name] for f in dataclasses.fields(Fit) if f.name not in parts}
    return Fit(**parts, **rest)


def _report(d: dict[str, Any]) -> RankReport:
    dependent = tuple(
        Dependence(e["column"], tuple((float(c), int(j)) for c, j in e["terms"]))
        for e in d["dependent"]
    )
    return RankReport(**{**d, "kept": tuple(d["kept"]), "dependent": dependent})
