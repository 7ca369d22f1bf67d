"""What `import mlreg` brings, and what it must not."""

import subprocess
import sys

import pytest

import mlreg as ml

OPTIONAL = ["pyarrow", "formulaic", "pandas", "polars", "hypothesis", "statsmodels", "torch",
            "sympy", "matplotlib", "sklearn", "narwhals"]  # fmt: skip


def loaded_after(code):
    check = f"{code}; import sys; print([m for m in {OPTIONAL} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return out.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "import mlreg",
        "import mlreg as ml, numpy as np; ml.fit(np.arange(9.)**2, np.arange(9.)).summary()",
        "import mlreg as ml; d = ml.datasets.longley(); ml.fit(d.X, d.y, optimizer=ml.Scipy())",
        "import mlreg.verify.laws, mlreg.cli",
    ],
)
def test_nothing_optional_is_imported(code):
    assert loaded_after(code) == "[]"


def test_import_loads_no_numpy_before_it_is_needed():
    check = "import mlreg, sys; print('numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_public_names_exist_and_are_documented():
    for name in ml.__all__:
        assert getattr(ml, name).__doc__, name
    assert set(ml.__all__) <= set(dir(ml))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ml.nonsense


def test_laws_are_listed_with_statement_and_kind():
    from mlreg.verify.laws import LAWS

    assert len(LAWS) >= 15
    for law in LAWS.values():
        assert law.statement.endswith((".", "rounding.", "0.")), law.name
        assert law.kind in ("exact", "bounded", "stochastic")


@pytest.mark.parametrize(
    ("module", "code", "line"),
    [
        ("formulaic", "ml.fit('y ~ x', {'y': [1., 2, 4], 'x': [1., 2, 3]})", "mlreg[formula]"),
        ("pyarrow", "ml.fit('y ~ x', 'data.csv')", "mlreg[table]"),
        ("pyarrow", "ml.read('data.csv')", "mlreg[table]"),
        ("pyarrow", "ml.read(iter(()))", "mlreg[table]"),
        ("formulaic", "ml.read('data.csv', 'y ~ x')", "mlreg[formula]"),
        ("pandas", "ml.fit([1., 2, 3], [1., 2, 4]).to_frame()", "pip install pandas"),
        (
            "statsmodels",
            "ml.fit([1., 2, 3, 5], [1., 2, 4, 3]).specification_test('reset')",
            "mlreg[diagnostics]",
        ),
        ("sklearn", "import mlreg.sklearn", "mlreg[sklearn]"),
        ("hypothesis", "import mlreg.verify.strategies", "hypothesis"),
    ],
)
def test_a_missing_extra_says_how_to_get_it(tmp_path, module, code, line):
    (tmp_path / "data.csv").write_text("y,x\n1,2\n2,3\n4,5\n")
    program = f"import sys; sys.modules[{module!r}] = None; import mlreg as ml; {code}"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert out.returncode != 0
    assert line in out.stderr.strip().splitlines()[-1]
