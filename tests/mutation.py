"""Mutation testing: does a test fail when one expression of the code is changed?

Needs `mutmut==3.8.1`, which needs fork (Linux, macOS). From the root of the repository:

    python tests/mutation.py                                  # all; many hours
    python tests/mutation.py --only mlreg/linalg              # one folder or file
    python tests/mutation.py --only mlreg/linalg --sample 200 --seed 0 --budget 20

Work and results lie in build/mutation; a second call goes on where the first stopped.
Every mutant counts, those of messages too: the score is killed / all. One that no test
reaches has survived; one that ends by the time limit is killed, and counted apart.
Survivors are written to build/mutation/survivors.md, with place and difference.
`--again` tries survivors once more, after tests were added.
"""

import argparse
import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from scipy.stats import binomtest

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutation"
# what is mutated, and the tests whose business it is
TESTS = {
    "mlreg/linalg": [
        "tests/linalg",
        "tests/test_sufficient.py",
        "tests/optimizers/test_least_absolute.py",
    ],
    "mlreg/certificate.py": [
        "tests/test_certificate.py",
        "tests/test_local_certificate.py",
        "tests/test_prior.py",
        "tests/optimizers/test_least_absolute.py",
    ],
    "mlreg/likelihood": ["tests/likelihood"],
    "mlreg/inference": ["tests/inference"],
    "mlreg/optimizers": ["tests/optimizers"],
}
CHUNK = 60  # mutmut orders each call's mutants by time: a call cut short is no random sample
SURVIVED, TIMED_OUT = {0, 5, 33}, {24, -24, 36, 152, 255}  # mutmut's exit codes
CONFIG = """
[tool.mutmut]
source_paths = ["mlreg/"]
only_mutate = ["{only}"]
also_copy = ["tests/", "derivations/", "docs/", "README.md"]
pytest_add_cli_args_test_selection = {tests}
use_setproctitle = false
"""
DIFFERENCES = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.stdin.read().split():
    print(get_diff_for_mutant(name), end="\\0")
"""


def prepare(group):
    """Copy the sources beside their mutants, so that the working tree is never changed."""
    work = BUILD / group.replace("/", "-")
    work.mkdir(parents=True, exist_ok=True)
    for name in ["mlreg", "tests", "derivations", "docs"]:
        for old in (work / name, *([work / "mutants" / name] if name != "mlreg" else [])):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", work)
    only = group if group.endswith(".py") else f"{group}/*.py"
    config = CONFIG.format(only=only, tests=json.dumps(TESTS[group]))
    (work / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8") + config)
    # mutmut makes the mutants, then fails because none has this name
    done = mutmut(work, ["run", "--max-children", "1", "none"], None)
    if "nothing matches" not in done:
        sys.exit(f"mutmut could not make the mutants of {group}:\n{done[-3000:]}")
    return work


def mutmut(work, arguments, seconds):
    """Run mutmut and end its workers with it. Return what it printed."""
    environment = os.environ | {"CI": "true", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    log = work / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
    return log.read_text("utf-8", errors="replace")


def outcomes(work, only):
    """Exit code by mutant of the files under `only`; None: not yet tried."""
    found = {}
    for path in sorted((work / "mutants" / "mlreg").rglob("*.meta")):
        file = path.relative_to(work / "mutants").as_posix().removesuffix(".meta")
        if file == only or file.startswith(only.rstrip("/") + "/"):
            codes = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
            found.update({name: (file, code) for name, code in codes.items()})
    return found


def definition(file, name):
    """The function that a mutant's name stands for, and its first line."""
    parts = name.split(".")[-1].rsplit("__mutmut_", 1)[0].removeprefix("x").strip("_ǁ").split("ǁ")
    scope = ast.parse((ROOT / file).read_text("utf-8"))
    for part in parts:
        for node in scope.body:
            if getattr(node, "name", "").strip("_") == part.strip("_"):
                scope = node
                break
    return ".".join(parts), getattr(scope, "lineno", 1)


def survivors(work, found):
    """Place and difference of every survivor, as Markdown."""
    names = [name for name, (_, code) in found.items() if code in SURVIVED]
    made = subprocess.run(
        [sys.executable, "-c", DIFFERENCES],
        input="\n".join(names),
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name, text in zip(names, made, strict=False):
        file, code = found[name]
        function, line = definition(file, name)
        hunk = text[text.index("@@") :]
        before = next(i for i, at in enumerate(hunk.splitlines()[1:]) if at[0] in "-+")
        line += int(hunk.split("-")[1].split(",")[0]) - 1 + before
        reached = "" if code == 0 else " (no test reaches it)"
        yield f"## {file}:{line} {function}{reached}\n\n`{name}`\n\n```diff\n{hunk.rstrip()}\n```\n"


def row(file, codes):
    """One line of the table; an interval where only a sample was tried."""
    tried = [code for code in codes if code is not None]
    if not tried:
        return f"| {file} | 0 of {len(codes)} | | | |"
    killed = sum(code not in SURVIVED for code in tried)
    late = sum(code in TIMED_OUT for code in tried)
    score = f"{killed / len(tried):.1%}"
    if len(tried) < len(codes):
        interval = binomtest(killed, len(tried)).proportion_ci(0.95, method="exact")
        score += f" ({interval.low:.0%} to {interval.high:.0%})"
    return f"| {file} | {len(tried)} of {len(codes)} | {killed} | {late} | {score} |"


def report(groups):
    """Print the score by file; write the survivors."""
    print("| file | mutants tried | killed | of these by time | killed / tried |")
    print("|---|---|---|---|---|")
    texts, every = [], []
    for work, only in groups:
        found = outcomes(work, only)
        for file in sorted({file for file, _ in found.values()}):
            print(row(file, [code for at, code in found.values() if at == file]))
        codes = [code for _, code in found.values()]
        every += codes
        if len(groups) > 1:
            print(row(f"**{only}**", codes))
        texts += survivors(work, found)
    print(row("**all**", every))
    (BUILD / "survivors.md").write_text("\n".join(["# Survivors\n", *texts]), "utf-8")
    print(f"\n{len(texts)} survivors: {BUILD / 'survivors.md'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="mlreg", help="a folder or file, as mlreg/linalg")
    parser.add_argument("--sample", type=int, help="try this many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--budget", type=float, default=float("inf"), help="minutes in all")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.budget
    wanted = options.only.rstrip("/")
    groups = []
    for group in TESTS:
        if f"{wanted}/".startswith(f"{group}/") or group.startswith(f"{wanted}/"):
            groups.append((prepare(group), max(group, wanted, key=len)))
    if not groups:
        parser.error(f"--only {options.only} is none of {', '.join(TESTS)}, nor inside one")
    every = [(name, work) for work, only in groups for name in sorted(outcomes(work, only))]
    random.Random(options.seed).shuffle(every)
    drawn = every[: options.sample]
    for work, only in groups:
        codes = {name: code for name, (_, code) in outcomes(work, only).items()}
        again = SURVIVED if options.again else set()
        left = [n for n, at in drawn if at == work and (codes[n] is None or codes[n] in again)]
        for start in range(0, len(left), CHUNK):
            if (seconds := end - time.monotonic()) <= 0:
                break
            names = left[start : start + CHUNK]
            limit = None if seconds == float("inf") else seconds
            text = mutmut(work, ["run", "--max-children", "1", *names], limit)
            if "Running mutation testing" not in text and time.monotonic() < end:
                sys.exit(f"the tests of {work.name} fail without a mutant:\n{text[-3000:]}")
            tried = sum(code is not None for _, code in outcomes(work, only).values())
            print(f"{work.name}: {tried} tried", file=sys.stderr)
    report(groups)


if __name__ == "__main__":
    main()
