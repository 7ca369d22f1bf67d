"""Results as pandas DataFrames: the one place that imports pandas."""

from collections.abc import Mapping
from typing import Any

from mlreg.errors import MissingDependency

__all__ = ["data_frame"]


def data_frame(columns: Mapping[str, Any], index: Any, name: str) -> Any:
    """A DataFrame of columns by name, its rows labelled by ``index``, which is called ``name``."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependency("to_frame needs pandas: pip install pandas") from error
    return pd.DataFrame(columns, index=pd.Index(index, name=name))
