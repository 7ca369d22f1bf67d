"""``mlreg demo``: what it tells is computed, and right."""

import io
import re

import numpy as np
import pytest

import mlreg as ml
from mlreg.cli import main
from mlreg.demo import demo


def told(**options):
    out = io.StringIO()
    files = demo(out=out, **options)
    return out.getvalue(), files


def test_its_numbers_are_those_of_the_data_it_tells_of():
    text, files = told(seed=3)
    assert files == []
    rng = np.random.default_rng(3)
    X = rng.standard_normal((1000, 2))
    y = X @ [2.0, -3.4] + 4.2 + 0.01 * rng.standard_normal(1000)
    D = np.column_stack([np.ones(1000), X])
    best, rss, *_ = np.linalg.lstsq(D, y, rcond=None)
    errors = np.sqrt(rss[0] / 997 * np.diag(np.linalg.inv(D.T @ D)))
    for name, value, error in zip(("Intercept", "x1", "x2"), best, errors, strict=True):
        assert re.search(rf"{name} +{value:.5f} give or take {error:.5f}", text)
    assert re.search(rf"least squares +{rss[0]:.6f}", text)
    assert f"{X[0, 0]:.4f}" in text
    run = ml.SGD(0.03, batch_size=32, epochs=10, seed=3)
    fit = ml.fit(X, y, optimizer=run)
    assert re.search(rf"32 +\S+ +{re.escape(f'{fit.history.distance[-1]:.3g}')} ", text)
    assert str(ml.fit(X, y, optimizer=ml.SGD(0.03, seed=3)).certificate).splitlines()[0] in text
    assert "by hand" in text
    (by_hand, by_package) = re.search(r"= (\S+) by hand, (\S+) by mlreg", text).groups()
    assert by_hand == by_package
    fresh = rng.standard_normal((1000, 2))
    new = fresh @ [2.0, -3.4] + 4.2 + 0.01 * rng.standard_normal(1000)
    rmse = np.sqrt(np.mean((new - best[0] - fresh @ best[1:]) ** 2))
    assert f"root mean squared error  {rmse:.6f}" in text
    assert text.count("converged") >= 2


def test_it_is_plain_text_of_eighty_columns(capsys):
    assert main(["demo"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b[1;36m" in told(color=True)[0]
    assert [f"{part}. " in text for part in range(1, 8)] == [True] * 7


def test_every_equation_it_names_is_there():
    from pathlib import Path

    pages = "".join(
        page.read_text("utf-8") for page in (Path(__file__).parents[1] / "derivations").glob("*.md")
    )
    for number in re.findall(r"\((\d+\.\d+)\)", told()[0]):
        assert f"### ({number})" in pages, number


def test_it_writes_figures_where_it_is_asked(tmp_path):
    pytest.importorskip("matplotlib")
    text, files = told(save=tmp_path / "new" / "figures")
    assert sorted(f.name for f in files) == [
        "distance.png", "loss-epochs.png", "loss-seconds.png", "path.png",
    ]  # fmt: skip
    for file in files:
        assert file.read_bytes()[:4] == b"\x89PNG"
        assert str(file) in text


@pytest.mark.parametrize("seed", [-1, True, 1.5])
def test_a_seed_that_is_none(seed):
    with pytest.raises(ml.InvalidInput, match="seed must be a whole number"):
        told(seed=seed)
