import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import mlreg as ml
from mlreg.cli import main, predicting, waiting

FORMULA = "y ~ x1 + x2 + x3 + x4 + x5 + x6"


def run(capsys, *args):
    status = main([str(a) for a in args])
    out, err = capsys.readouterr()
    return status, out, err


def test_fit_prints_nists_certified_values(capsys):
    status, out, err = run(capsys, "fit", "longley", FORMULA)
    assert (status, err) == (0, "")
    # to the ten digits that are printed, as certified
    for digits in ("-3482258.635", "15.06187227", "-0.03581917929", "-2.020229804",
                   "-1.033226867", "-0.05110410565", "1829.151465", "890420.3836", "304.8540736",
                   "0.9954790046", "330.2853392"):  # fmt: skip
        assert digits in out
    assert out == ml.fit(FORMULA, ml.datasets.longley()).summary() + "\n"


@pytest.mark.parametrize("name", ml.datasets.names())
def test_shipped_data_sets_bring_their_formula(capsys, name):
    status, out, err = run(capsys, "fit", name.upper(), "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    data = ml.datasets.load(name)
    assert list(found["params"].values()) == ml.fit(data.formula, data).params.tolist()


def test_evaluate_cross_validates(capsys, tmp_path):
    status, out, err = run(capsys, "evaluate", "longley", "--folds", "4", "--seed", "1", "--json")
    data = ml.datasets.longley()
    expected = ml.cross_validate(data.formula, data, folds=4, seed=1)
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["rmse"] == {"value": expected.rmse.value, "std_error": expected.rmse.std_error}
    assert [fold["nll"] for fold in found["folds"]] == expected.fold_nll.tolist()
    path = tmp_path / "perfect.csv"
    path.write_text("y,x,who\n" + "".join(f"{2 * i},{i},{i // 3}\n" for i in range(12)))
    status, out, _ = run(capsys, "evaluate", path, "y ~ x", "--groups", "who", "--folds", "4")
    assert status == 1
    assert "4 of 4 fits are not the MLE (perfect-fit)" in out
    status, out, _ = run(capsys, "evaluate", path, "y ~ x", "--json")
    assert json.loads(out)["nll"] == {"value": None, "std_error": None}
    status, _, err = run(capsys, "evaluate", path, "y ~ x", "--folds", "1")
    assert (status, "folds must be" in err) == (2, True)


def test_sgd_and_scipy_say_how_far_they_are(capsys):
    args = ["fit", "norris", "--optimizer", "sgd", "--learning-rate", "1e-6", "--batch-size", "4"]
    status, out, _ = run(capsys, *args, "--epochs", "20", "--seed", "3", "--json")
    found = json.loads(out)
    data = ml.datasets.norris()
    exact = ml.fit(data.X, data.y)
    params = np.array(list(found["params"].values()))
    distance = np.sqrt(
        (params - exact.params) @ np.linalg.inv(exact.covariance()) @ (params - exact.params)
    )
    assert status == 1
    assert found["status"]["code"] == "stopped"
    assert found["certificate"]["distance"] == pytest.approx(distance, rel=1e-6)
    assert "seed=3" in found["optimizer"]
    status, out, _ = run(capsys, "fit", "norris", "--optimizer", "scipy", "--method", "BFGS")
    assert status == 0
    assert "Scipy(method='BFGS'" in out


def test_a_csv_file_missing_values_weights_and_saving(capsys, tmp_path):
    rows = ["y,x,g,w", "1,2,a,1", "2,3.5,b,2", "2,,b,1", "4,5,a,3", "3,1,b,1", "7,2,a,2"]
    path = tmp_path / "d.csv"
    path.write_text("\n".join(rows))
    status, out, err = run(capsys, "fit", path, "y ~ x + C(g)")
    assert (status, out) == (2, "")
    assert "'x'" in err
    assert err.count("\n") == 1
    saved = tmp_path / "fit.json"
    options = ["--missing", "drop", "--frequency-weights", "w"]
    status, out, err = run(
        capsys, "fit", path, "y ~ x + C(g)", *options, "--save", saved, "--level", 0.8
    )
    assert (status, err) == (0, "")
    assert "10 %" in out
    fit = ml.load(saved)
    assert fit.n_rows == 9
    status, out, err = run(capsys, "certify", path, "y ~ x + C(g)", *options, "--params", saved)
    assert (status, err) == (0, "")
    assert "distance from the MLE" in out


def test_certify(capsys, tmp_path):
    data = ml.datasets.norris()
    exact = ml.fit(data.X, data.y)
    moved = exact.params + np.array([0, 2 * exact.std_errors[1]])
    text = ",".join(repr(float(v)) for v in moved)
    status, out, _ = run(capsys, "certify", "norris", "y ~ x", f"--params={text}", "--json")
    assert status == 1
    assert json.loads(out)["per_param"]["x"] == pytest.approx(2, rel=1e-9)
    for value in (
        moved.tolist(),
        {"x": moved[1], "Intercept": moved[0]},
        {"params": moved.tolist()},
    ):
        path = tmp_path / "p.json"
        path.write_text(json.dumps(value))
        assert run(capsys, "certify", "norris", "--params", path, "--json")[1] == out
    status, out, _ = run(
        capsys, "certify", "norris", "--params", path, "--sigma", exact.sigma, "--json"
    )
    assert json.loads(out)["sigma_distance"] == pytest.approx(0, abs=1e-6)


def test_json_has_no_nan(capsys):
    status, out, _ = run(capsys, "fit", "wampler1", "--json")
    found = json.loads(out, parse_constant=lambda c: pytest.fail(c))
    assert status == 0
    assert found["std_errors"]["Intercept"] is None
    assert found["log_likelihood"] == "inf"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["fit"], "required: DATA"),
        (["fit", "nothing", "y ~ x"], "neither a file nor a shipped data set"),
        (["fit", "nothing.csv", "y ~ x"], "nothing.csv"),
        (["fit", "longley", "y ~ x7"], "x7"),
        (["fit", "longley", "y ~ x1 +"], "formula"),
        (["fit", "longley", "y ~ x1 + I(2*x1)"], "linearly dependent"),
        (["fit", "longley", "--optimizer", "quasi-newton"], "invalid choice"),
        (["fit", "longley", "--optimizer", "sgd"], "needs --learning-rate"),
        (["fit", "longley", "--epochs", "3"], "--epochs belongs to --optimizer sgd"),
        (["fit", "longley", "--optimizer", "sgd", "--method", "x"], "belongs to --optimizer scipy"),
        (["fit", "longley", "--optimizer", "sgd", "--learning-rate", "1"], "more than the 16 rows"),
        (["fit", "longley", "--optimizer", "sgd", "--learning-rate", "0"], "must be positive"),
        (["fit", "longley", "--optimizer", "scipy", "--method", "x"], "method must be one of"),
        (["fit", "longley", "--level", "95"], "level must be between 0 and 1"),
        (["fit", "longley", "--batch-size", "x"], "batch-size"),
        (["fit", "longley", "--frequency-weights", "w"], "w"),
        (["fit", "longley", "--save", "no/such/folder/f.json"], "no/such/folder"),
        (
            ["certify", "norris", "--params=1"],
            "params has 1 numbers for the 2 columns Intercept, x",
        ),
        (["certify", "norris", "--params=a,b"], "neither a file nor numbers"),
        (["certify", "norris"], "--params"),
        (["frobnicate"], "invalid choice"),
        (["fit", "longley", "--covariance", "cluster"], "--groups COLUMN belong together"),
        (["fit", "longley", "--groups", "x1"], "--groups COLUMN belong together"),
        (["fit", "longley", "--lags", "2"], "--lags belongs to --covariance HAC"),
        (["fit", "longley", "--covariance", "HC3", "--noise", "logistic"], "least squares"),
        (["fit", "longley", "--report", "no/such/folder/p.html"], "no/such/folder"),
        (["predict", "no.json", "longley"], "there is no file 'no.json'"),
        (["predict", "no.json"], "required: DATA"),
        (["compare", "no.json"], "there is no file 'no.json'"),
        (["report", "no.json", "p.html"], "there is no file 'no.json'"),
    ],
)
def test_misuse_is_one_line_and_status_2(capsys, args, message):
    status, out, err = run(capsys, *args)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("mlreg: ")
    assert err.count("\n") == 1


def test_numerical_warnings_go_to_stderr_in_one_line(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((2, 30))
    path = tmp_path / "d.csv"
    rows = np.column_stack([x + z, x, x + 1e-12 * z])
    np.savetxt(path, rows, delimiter=",", header="y,a,b", comments="", fmt="%.17g")
    _, out, err = run(capsys, "fit", path, "y ~ a + b", "--json")
    json.loads(out)
    assert "mlreg: warning: the columns are so nearly collinear" in err


@pytest.mark.parametrize(
    "command", ["fit", "certify", "evaluate", "predict", "compare", "report", "demo"]
)
def test_each_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert command == "demo" or f"examples:\n  mlreg {command} " in out


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help(capsys, args):
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 0
    assert "mlreg" in capsys.readouterr().out


def test_as_a_program_and_interrupted(tmp_path):
    program = [sys.executable, "-m", "mlreg.cli", "fit", "longley"]
    out = subprocess.run(program, capture_output=True, text=True)
    assert out.returncode == 0
    assert "-3482258.635" in out.stdout
    if not hasattr(signal, "SIGINT") or os.name == "nt":
        return
    endless = [*program, "--optimizer", "sgd", "--learning-rate", "1e-12", "--batch-size", "1"]
    child = subprocess.Popen(
        [*endless, "--epochs", "100000000", "--save", str(tmp_path / "f.json")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=4)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (130, "", "mlreg: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_files_are_read_out_of_core_and_whole_where_they_must(capsys, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{y},{x},{g}" for y, x, g in zip(*rng.normal(size=(2, 90)), "abc" * 30, strict=True)]
    for name, part in (("1.csv", rows[:40]), ("2.csv", rows[40:])):
        (tmp_path / name).write_text("\n".join(["y,x,g", *part]))
    path = tmp_path / "1.csv"
    status, out, err = run(capsys, "fit", tmp_path, "y ~ x + C(g)", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["n_rows"] == 90
    whole = json.loads(run(capsys, "fit", str(tmp_path / "*"), "y ~ x + C(g)", "--json")[1])
    assert whole == json.loads(out)
    status, out, err = run(capsys, "fit", path, "y ~ center(x)", "--json")
    assert (status, err) == (0, "")
    slope = json.loads(out)["params"]["center(x)"]
    params = f"--params={json.loads(out)['params']['Intercept']},{slope}"
    assert run(capsys, "certify", path, "y ~ center(x)", params)[0] == 0
    sgd = ["--optimizer", "sgd", "--learning-rate", "0.01", "--sampling", "replacement"]
    assert run(capsys, "fit", path, "y ~ x", *sgd)[0] == 1
    assert run(capsys, "fit", path, "y ~ x", "--optimizer", "scipy")[0] == 0
    assert run(capsys, "fit", tmp_path, "y ~ x", "--optimizer", "scipy")[0] == 0


def test_the_flags_of_sgd_and_auto_sgd(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4000)
    file = tmp_path / "data.csv"
    rows = zip(x, 1 + 2 * x + rng.standard_normal(4000), strict=True)
    file.write_text("x,y\n" + "\n".join(f"{a},{b}" for a, b in rows))
    checkpoint = tmp_path / "run.json"
    command = ["fit", str(file), "y ~ x", "--optimizer", "sgd", "--learning-rate", "0.05"]
    command += ["--average", "tail", "--epochs", "20", "--update", "implicit"]
    assert main([*command, "--checkpoint", str(checkpoint)]) == 0
    assert "average='tail'" in capsys.readouterr().out
    assert checkpoint.exists()
    auto = ["fit", str(file), "y ~ x", "--optimizer", "auto-sgd", "--tolerance", "0.01", "--json"]
    assert main(auto) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["certificate"]["distance"] <= 0.01
    assert main([*auto, "--epochs", "3"]) == 2
    assert "--epochs belongs to --optimizer sgd" in capsys.readouterr().err
    assert main([*command, "--tolerance", "0.1"]) == 2
    assert "--tolerance belongs to --optimizer auto-sgd" in capsys.readouterr().err


@pytest.fixture
def houses(tmp_path):
    """A model, saved, and rows that are new to it, in two files."""
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, 300))
    town = np.array(["A", "B", "C"])[rng.integers(3, size=300)]
    table = {"price": np.exp(1 + x + noise), "x": x, "town": town}
    fit = ml.fit("log(price) ~ x + C(town)", table)
    fit.save(tmp_path / "model.json")
    (tmp_path / "new").mkdir()
    for name, rows in (("1.csv", slice(0, 120)), ("2.csv", slice(120, 300))):
        lines = [f"{a!r},{t}" for a, t in zip(x[rows].tolist(), town[rows], strict=True)]
        (tmp_path / "new" / name).write_text("\n".join(["x,town", *lines]))
    return fit, table, tmp_path / "model.json", tmp_path / "new"


@pytest.mark.parametrize("size", [1 << 16, 50])
def test_predict_is_that_of_the_fit_whatever_the_batches(capsys, monkeypatch, houses, size):
    fit, table, model, new = houses
    monkeypatch.setattr(predicting, "SIZE", size)
    status, out, err = run(capsys, "predict", model, new)
    assert (status, err) == (0, "")
    head, *lines = out.splitlines()
    assert head == "prediction"
    mean = fit.predict(table)
    u = 2.0**-53  # a batch of other size may be summed in another order
    assert np.abs(np.array(lines, float) / mean - 1).max() <= 64 * u
    for options, of in ((["--level", "0.8"], "median"), (["--of", "transformed"], "transformed")):
        args = ["predict", model, new, "--interval", "prediction", *options]
        _, out, _ = run(capsys, *args)
        level = 0.8 if "--level" in options else 0.95
        expected = fit.predict(table, "prediction", level, of)
        found = np.loadtxt(io.StringIO(out), delimiter=",", skiprows=1).T
        assert out.startswith("prediction,lower,upper\n")
        for got, want in zip(found, (expected.mean, expected.lower, expected.upper), strict=True):
            assert np.abs(got - want).max() <= 64 * u * np.abs(want).max()


def test_predict_a_shipped_data_set_and_no_rows(capsys, tmp_path):
    data = ml.datasets.norris()
    fit = ml.fit(data.formula, data)
    fit.save(tmp_path / "m.json")
    _, out, err = run(capsys, "predict", tmp_path / "m.json", "norris")
    assert err == ""
    assert [float(v) for v in out.split()[1:]] == fit.predict(data).tolist()
    (tmp_path / "none.csv").write_text("x\n")
    status, out, _ = run(capsys, "predict", tmp_path / "m.json", tmp_path / "none.csv")
    assert (status, out) == (0, "prediction\n")


def test_rows_that_cannot_be_predicted_are_named_and_no_file_is_left(capsys, monkeypatch, houses):
    _, _, model, new = houses
    monkeypatch.setattr(predicting, "SIZE", 50)
    with (new / "2.csv").open("a") as file:
        file.write("\n1.0,D")
    older = new.parent / "out.csv"
    older.write_text("older")
    status, out, err = run(capsys, "predict", model, new, "--output", older)
    assert (status, out) == (2, "")
    assert "in the rows that begin with row 150 of" in err
    assert "2.csv" in err
    assert "'D'" in err
    assert older.read_text() == "older"
    assert sorted(p.name for p in new.parent.iterdir()) == ["model.json", "new", "out.csv"]
    status, _, err = run(capsys, "predict", model, new, "--level", "0.9")
    assert (status, "--level belongs to --interval" in err) == (2, True)
    status, _, err = run(capsys, "predict", model, new, "--interval", "mean", "--level", "0")
    assert (status, "level must be between 0 and 1" in err) == (2, True)


def test_a_model_that_is_not_the_mle_is_said_to_be_none(capsys, tmp_path):
    path = tmp_path / "sgd.json"
    sgd = ["--optimizer", "sgd", "--learning-rate", "1e-6", "--batch-size", "4"]
    assert run(capsys, "fit", "norris", *sgd, "--save", path)[0] == 1
    for args in (["predict", path, "norris"], ["report", path, tmp_path / "page.html"]):
        status, _, err = run(capsys, *args)
        assert status == 1
        assert "sgd.json is not the MLE: stopped" in err
    assert run(capsys, "compare", path, path)[0] == 1


def test_compare_is_that_of_the_fits(capsys, tmp_path):
    data = ml.datasets.longley()
    fits = [ml.fit(f, data) for f in ("y ~ x1", data.formula)]
    paths = [tmp_path / "small.json", tmp_path / "large.json"]
    for fit, path in zip(fits, paths, strict=True):
        fit.save(path)
    names = [str(path) for path in paths]
    status, out, err = run(capsys, "compare", *paths)
    loaded = [ml.load(path) for path in paths]
    assert (status, err, out) == (0, "", f"{ml.compare(*loaded, names=names)}\n")
    status, out, _ = run(capsys, "compare", *paths, "--data", "longley", "--json")
    found, expected = json.loads(out), ml.compare(*loaded, data=data, names=names)
    assert found["best"] == names[expected.best]
    assert [
        f["mean_log_likelihood"] for f in found["fits"]
    ] == expected.mean_log_likelihood.tolist()
    assert json.loads(run(capsys, "compare", *paths, "--json")[1])["fits"][0]["ks_p_value"] is None


def test_pages_and_other_formats(capsys, tmp_path):
    saved, page = tmp_path / "m.json", tmp_path / "p.html"
    data = ml.datasets.norris()
    args = ["fit", "norris", "--save", saved, "--report", page, "--format", "markdown"]
    status, out, err = run(capsys, *args)
    fit = ml.fit(data.formula, data)
    assert (status, err) == (0, "")
    assert out == fit.summary(format="markdown") + "\n"
    assert "without its rows" not in page.read_text("utf-8")
    assert run(capsys, "report", saved, page, "--level", 0.8)[0] == 0
    assert "without its rows" in page.read_text("utf-8")
    assert "10 %" in page.read_text("utf-8")


def test_what_takes_long_says_so_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(waiting, "EVERY", 0.01)
    for out in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", out)
        with waiting.waiting("fitting"):
            end = time.monotonic() + 20
            while out.isatty() and not out.getvalue() and time.monotonic() < end:
                time.sleep(0.01)
        assert ("\rmlreg: fitting, 0 s" in out.getvalue()) == out.isatty()
        assert out.getvalue().rpartition("s\r")[2].strip() == ""  # and it is wiped away


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process")
def test_predict_is_interrupted_without_a_trace_and_pipes_may_close(tmp_path):
    data = ml.datasets.norris()
    ml.fit(data.formula, data).save(tmp_path / "m.json")
    rows = tmp_path / "rows.csv"
    rows.write_text("x\n" + "1.5\n" * 3_000_000)
    program = [sys.executable, "-m", "mlreg.cli", "predict", str(tmp_path / "m.json"), str(rows)]
    out = tmp_path / "out.csv"
    child = subprocess.Popen([*program, "--output", str(out)], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".out.csv.*.part")) and time.monotonic() < end:
        time.sleep(0.002)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "mlreg: interrupted\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "rows.csv"]
    piped = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert piped.stdout.readline() == "prediction\n"
    piped.stdout.close()
    assert (piped.wait(timeout=60), piped.stderr.read()) == (141, "")
    piped.stderr.close()


def test_without_a_command_there_is_help(capsys):
    status, out, err = run(capsys)
    assert (status, out) == (2, "")
    assert "COMMAND --help" in err


@pytest.mark.parametrize("noise", ["gaussian", "logistic"])
def test_robust_standard_errors(capsys, tmp_path, noise):
    rng = np.random.default_rng(0)
    path = tmp_path / "d.csv"
    lines = [
        f"{a:.3f},{b:.3f},g{i % 7},{i % 5}" for i, (a, b) in enumerate(rng.normal(size=(60, 2)))
    ]
    path.write_text("\n".join(["y,x,g,h", *lines[:30], ",1,g1,2", *lines[30:]]))
    made = ml.Gaussian() if noise == "gaussian" else ml.Logistic()
    fit = ml.fit("y ~ x", ml.read(path), missing="drop", noise=made)
    wanted = [
        (["HC1"], fit.with_covariance("HC1")),
        (["cluster", "--groups", "g"], fit.with_covariance("cluster", groups="g")),
        (
            ["cluster", "--groups", "g", "--groups", "h"],
            fit.with_covariance("cluster", groups=("g", "h")),
        ),
        (["HAC", "--lags", "3"], fit.with_covariance("HAC", lags=3)),
    ]
    start = ["fit", path, "y ~ x", "--missing", "drop", "--noise", noise, "--json", "--covariance"]
    for args, expected in wanted:
        status, out, _ = run(capsys, *start, *args)
        found = json.loads(out)
        assert status == 0
        assert list(found["std_errors"].values()) == expected.std_errors.tolist()
        assert found["covariance"] == expected.robust.label
    status, out, _ = run(capsys, *start, "expected")
    assert json.loads(out)["covariance"] == "expected"
    status, _, err = run(capsys, *start, "cluster", "--groups", "q")
    assert (status, "there is no column 'q'" in err) == (2, True)
