"""Draw the pictures of the pages:  python derivations/figures/draw.py [--png] [name ...]

Without a name it draws those whose code has changed. With --png it writes PNG files, to look at.
A picture is a function in the module of its page; what it draws comes from ``mlreg``. It is
written as SVG beside this file, marked with a digest of the code that drew it, from which the
tests see that a picture is older than its code. Needs matplotlib (extra ``dev``).
"""

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Okabe and Ito's colours, which colour-blind readers tell apart
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#777777",
)  # fmt: skip
STYLE: dict[str, Any] = {
    "figure.figsize": (6.8, 3.2),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",  # the same on every machine
    "svg.hashsalt": "mlreg",  # the same names in every run
}

Picture = Callable[[], Any]


def pictures() -> dict[str, Picture]:
    """Every public function of the modules of the pages, by the name of its file."""
    found: dict[str, Picture] = {}
    for path in sorted(HERE.glob("page*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == path.stem and not name.startswith("_"):
                found[name.replace("_", "-")] = function
    return found


def digest(picture: Picture) -> str:
    """Of the module that draws the picture and of the style, line ends aside."""
    sources = (Path(inspect.getfile(picture)), Path(__file__))
    text = "\n".join(path.read_text("utf-8") for path in sources)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stale(name: str, picture: Picture) -> bool:
    """Whether the committed file was drawn by other code than today's."""
    path = HERE / f"{name}.svg"
    return not path.exists() or f"drawn by {digest(picture)}" not in path.read_text("utf-8")


def draw(name: str, picture: Picture, kind: str) -> None:
    """Write one picture, as svg or png."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    path = HERE / f"{name}.{kind}"
    with plt.rc_context(STYLE):
        figure = picture()
        figure.savefig(
            path, dpi=110, metadata={"Title": name, "Date": None} if kind == "svg" else {}
        )
        plt.close(figure)
    if kind == "svg":
        svg = re.sub(r"[ \t]+$", "", path.read_text("utf-8"), flags=re.MULTILINE)
        path.write_text(f"{svg.rstrip()}\n<!-- drawn by {digest(picture)} -->\n", "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    kind = "png" if "--png" in sys.argv else "svg"
    chosen = {name for name in sys.argv[1:] if name != "--png"}
    for name, picture in pictures().items():
        if name in chosen or (not chosen and stale(name, picture)):
            print(name)
            draw(name, picture, kind)
