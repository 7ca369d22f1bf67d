"""Profiles for Hypothesis: quick by default, derandomised where CI is set, long on demand."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, database=None)
settings.register_profile(
    "nightly", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture
def textbook():
    """The textbook's own data: w = (2, -3.4), b = 4.2, noise 0.01, n = 1000."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2))
    y = X @ [2, -3.4] + 4.2 + 0.01 * rng.standard_normal(1000)
    return X, y


@pytest.fixture(scope="session")
def independent():
    """The estimates of `references.py`, as a module."""
    path = Path(__file__).with_name("references.py")
    spec = importlib.util.spec_from_file_location("references", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
