"""The comparison with other programs: its page, and that this package keeps every law on it."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from mlreg import verify

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def peers():
    spec = importlib.util.spec_from_file_location("peers", ROOT / "benchmarks/peers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_page_has_the_table_and_this_package_keeps_all(peers):
    lines = peers.PAGE.read_text("utf-8").splitlines()
    start = lines.index(peers.row(peers.COLUMNS))
    end = lines.index("", start)
    rows = [dict(zip(peers.COLUMNS, re.split(r" \| ", line[2:-2]), strict=True))
            for line in lines[start + 2 : end]]  # fmt: skip
    programs = {row["program"].split()[0] for row in rows}
    assert {"mlreg", "numpy", "scipy", "scikit-learn", "statsmodels"} <= programs
    for row in rows:
        kept, tried = map(int, row["laws kept"].split(" of "))
        assert tried - kept == len(re.findall("`", row["breaks"])) // 2
        if row["program"].startswith("mlreg"):
            assert row["breaks"] == "–"
            assert float(row["worst ratio"]) <= 1
    assert any(line.startswith("Run on 20") for line in lines)


def test_a_row_and_its_counterexample_say_what_broke(peers):
    numpy = {peer.name: peer for peer in peers.of_numpy()}
    cut = numpy["linalg.lstsq(rcond=0)"]
    laws = ["coefficients_are_exact_in_any_units", "data_are_left_alone"]
    options = cut.options | {"laws": laws, "examples": 20, "shrink": False}
    report = verify.check(cut.subject, cut.kind, **options)
    cells = dict(zip(peers.COLUMNS, peers.cells(cut, report), strict=True))
    assert cells["laws kept"] == "1 of 2"
    assert cells["breaks"] == "`coefficients_are_exact_in_any_units`"
    text = peers.page([(cut, report)], "numpy 0", ["glum"])
    assert "lstsq_0(X, y)" in text
    assert "Not installed, so not tried: glum." in text


def test_what_this_package_offers_there_keeps_its_laws(peers):
    for peer in peers.of_mlreg():
        report = verify.check(peer.subject, peer.kind, **peer.options, examples=3, shrink=False)
        assert report.passed, str(report)
