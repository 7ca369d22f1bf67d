"""Progress: what is shown, where, and that it changes nothing."""

import io
import re

import numpy as np
import pyarrow as pa
import pytest

import mlreg as ml
from mlreg.data import progress
from mlreg.data.progress import Bar, shown

RNG = np.random.default_rng(0)
TABLE = pa.table({"y": RNG.normal(size=3000), "x": RNG.normal(size=3000), "g": ["u", "v"] * 1500})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_knows_rows_done_and_rows_in_all():
    out = io.StringIO()
    with Bar("pass 1", 4000, out) as bar:
        bar.add(1000)
        assert re.fullmatch(r"mlreg: pass 1: 1,000 of 4,000 rows \(25 %\), [\d,]+ rows/s", str(bar))
        assert out.getvalue() == ""
        bar.add(3000)
    assert out.getvalue().startswith("mlreg: pass 1: 4,000 of 4,000 rows (100 %), ")
    assert out.getvalue().count("\n") == 1
    with Bar("levels", None, out) as bar:
        bar.add(12)
        assert re.fullmatch(r"mlreg: levels: 12 rows, [\d,]+ rows/s", str(bar))


def test_on_a_terminal_one_line_is_written_again_and_taken_away(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    out = Terminal()
    with Bar("pass 1", 100, out) as bar:
        for _ in range(10):
            bar.add(10)
    lines = out.getvalue().split("\r")
    assert len(lines) == 13
    assert lines[-1] == ""
    assert lines[-2].strip() == ""
    assert len(lines[-2]) >= len(lines[-3].rstrip())
    assert "\n" not in out.getvalue()


def test_a_line_that_an_error_ends_is_taken_away_too():
    out = Terminal()
    with pytest.raises(ZeroDivisionError), Bar("pass 1", 100, out):
        raise ZeroDivisionError
    assert out.getvalue().endswith("\r")


def test_by_default_only_out_of_core_on_a_terminal(monkeypatch, capsys):
    ml.fit("y ~ x + g", ml.read(TABLE))
    assert capsys.readouterr().err == ""
    assert not shown(None, True)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert shown(None, True)
    assert not shown(None, False)
    assert not shown(False, True)
    assert shown(True, False)


@pytest.mark.parametrize("optimizer", [ml.Exact(), ml.SGD(0.01, batch_size=100, epochs=2)])
def test_it_changes_nothing(capsys, optimizer):
    quiet = ml.fit("y ~ x + g", ml.read(TABLE), optimizer=optimizer)
    fit = ml.fit("y ~ x + g", ml.read(TABLE), optimizer=optimizer, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == fit.reads + 1
    assert lines[0].startswith("mlreg: levels: 3,000 of 3,000 rows")
    assert lines[1].startswith("mlreg: pass 1: 3,000 of 3,000 rows")
    assert np.array_equal(fit.params, quiet.params)
    assert fit.reads == quiet.reads
    fit.residuals()  # of the source itself: it is shown nowhere
    assert capsys.readouterr().err == ""


def test_rows_in_memory_and_rows_left_out(capsys):
    X, y = RNG.normal(size=(500, 2)), RNG.normal(size=500)
    sgd = ml.SGD(0.01, epochs=1, sampling="replacement")
    assert np.array_equal(
        ml.fit(X, y, optimizer=sgd, progress=True).params, ml.fit(X, y, optimizer=sgd).params
    )
    assert "pass 1: 500 of 500 rows" in capsys.readouterr().err
    gaps = TABLE.set_column(1, "x", pa.array([None] * 10 + [1.0, 2.0] * 1495))
    assert ml.fit("y ~ x", ml.read(gaps), missing="drop", progress=True).n_missing == 10
    one, other = capsys.readouterr().err.splitlines()
    assert "2,990 of 3,000 rows" in one
    assert "2,990 of 2,990 rows (100 %)" in other
