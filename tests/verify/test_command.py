"""mlreg verify MODULE:OBJECT."""

import json
import sys

import pytest

from mlreg.cli import main

MINE = """
import numpy as np
from mlreg import Gaussian

def solve(X, y):
    return np.linalg.solve(X.T @ X, X.T @ y)

def nll(theta, X, y):
    z = (y - X @ theta[:-1]) / np.exp(theta[-1])
    return 0.5 * z @ z + len(y) * (theta[-1] + 0.5 * np.log(2 * np.pi))

def gradient(theta, X, y):
    s = np.exp(theta[-1])
    z = (y - X @ theta[:-1]) / s
    return np.append(-X.T @ z / s, len(y) - z @ z)

class Nested:
    noise = Gaussian()

class Needs:
    def __init__(self, what): ...
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield
    sys.modules.pop("mine", None)


def run(capsys, *args):
    status = main(["verify", *args])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_what_keeps_its_laws_passes(capsys):
    status, out, _ = run(capsys, "mlreg:Gaussian")
    assert status == 0
    assert "7 of 7 laws kept" in out


def test_what_does_not_says_so_with_status_1(capsys, mine):
    status, out, _ = run(capsys, "mine:solve", "--examples", "30")
    assert status == 1
    assert "coefficients_are_exact_far_from_zero: BROKEN" in out
    status, out, _ = run(
        capsys, "mine:solve", "--examples", "30", "--solver", "normal equations", "--json"
    )
    assert status == 0
    assert json.loads(out)["passed"]


def test_functions_and_parts_of_objects_are_found(capsys, mine):
    args = ["mine:nll", "--gradient", "gradient", "--examples", "3"]
    status, out, _ = run(capsys, *args, "--law", "gradient_is_the_derivative")
    assert status == 0
    assert "1 of 1 laws kept" in out
    assert run(capsys, "mine:Nested.noise")[0] == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["mlreg"], "write module:object, as mlreg:Gaussian"),
        (["nosuchmodule:x"], "'nosuchmodule' cannot be imported"),
        (["mine:nobody"], "mine has no 'nobody'"),
        (["mine:nll", "--hessian", "nobody"], "mine has no 'nobody'"),
        (["mine:Needs"], "a class that needs arguments"),
        (["mine:np"], "say which it is"),
        (["mlreg:Gaussian", "--weights", "precision"], "--weights is not for"),
        (["mlreg:Exact", "--not-least-squares"], "--not-least-squares is not for"),
        (["mlreg:Exact", "--law", "nonsense"], "no law is called 'nonsense'"),
        (["mlreg:Exact", "--examples", "0"], "examples must be"),
        (["mlreg:Exact", "--kind", "model"], "invalid choice"),
    ],
)
def test_misuse_is_one_line_and_status_2(capsys, mine, args, message):
    status, out, err = run(capsys, *args)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert "mlreg verify mlreg:Gaussian" in capsys.readouterr().out
