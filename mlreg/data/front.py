"""The front door for data in any form: arrays, a formula and a table, a design already built."""

from typing import Any

import numpy as np

from mlreg.data.design import ArrayDesign, Design
from mlreg.data.lazy import LazyTable
from mlreg.data.scaled import ScaledSource
from mlreg.data.sources import build_source, build_source_from_formula
from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import ArraySource, Source
from mlreg.likelihood.transform import Transform, as_transform
from mlreg.likelihood.wrapped import CheckedSource

__all__ = ["source_of"]


def source_of(
    X: Any,
    y: Any,
    intercept: bool | None,
    names: Any,
    weights: dict[str, Any],
    missing: str,
    progress: bool | None = None,
    scale: Any = None,
    transform: Transform | str | None = None,
) -> tuple[Source, Design]:
    """The rows of any form of data that `mlreg.fit` takes, and the design behind them."""
    fixed: dict[str, Any]
    if isinstance(X, str):
        if y is None:
            raise InvalidInput(f"the formula {X!r} needs data: fit({X!r}, data)")
        if intercept is not None or names is not None:
            raise InvalidInput(
                "a formula names its columns and says whether there is an intercept "
                "('- 1' for none): leave out intercept= and names="
            )
        if isinstance(y, LazyTable):
            fixed = {"missing": missing, "progress": progress, "transform": transform}
            streamed = StreamedSource(y, X, **fixed, **weights)
            if scale is None:
                return streamed, streamed.design
            both = ScaledSource(streamed, y, scale, progress, weights)
            return both, both.design
        fixed = {"missing": missing, "transform": transform, "scale": scale}
        return build_source_from_formula(X, y, **fixed, **weights)
    if hasattr(X, "blocks") and isinstance(X, Source):  # the second test alone takes its time
        gaps = None if missing == "raise" else missing
        fixed = {"y": y, "intercept": intercept, "names": names, "missing": gaps, "scale": scale}
        fixed |= {"transform": transform, **weights}
        given = [n for n, v in fixed.items() if v is not None]
        if given:
            raise InvalidInput(f"a Source holds its design: leave out {', '.join(given)}")
        if isinstance(X, StreamedSource):
            return X, X.design
        source = X if isinstance(X, ArraySource) else CheckedSource(X)
        known = as_transform(getattr(X, "transform", None))
        scale_names = tuple(getattr(X, "scale_names", ()))
        of_scale = ArrayDesign(names=scale_names, intercept=False) if scale_names else None
        return source, ArrayDesign(tuple(X.names), False, "y", of_scale, known)
    if y is None or isinstance(y, str) or isinstance(X, LazyTable):
        raise InvalidInput(
            "a response is needed, as numbers or by a formula: (X, y), or ('y ~ x', data)"
        )
    use_intercept = True if intercept is None else intercept
    if not isinstance(use_intercept, (bool, np.bool_)):
        raise InvalidInput(f"intercept must be True or False, not {intercept!r}")
    fixed = {"intercept": bool(use_intercept), "names": names, "missing": missing, "scale": scale}
    return build_source(X, y, transform=transform, check=False, **fixed, **weights)
