"""How Sphinx makes the site; the command is in README."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import matplotlib  # noqa: E402
import pages  # noqa: E402
from sphinx.ext import autosummary  # noqa: E402

from mlreg import __version__  # noqa: E402

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Eqs.")  # no sentence ends there

project = "mlreg"
author = "the mlreg developers"
version = release = __version__

# The source is the repository itself, so that a link between pages is the same here and there.
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/reference/generated/*.rst",
    "derivations/*.md",
    "CHANGELOG.md",
]
extensions = [
    "equations",
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
templates_path = [str(HERE / "templates")]  # Sphinx looks for relative ones in two places
default_role = "py:obj"

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

autodoc_default_options = {  # scikit-learn makes them; their text leads to pages of its own
    "exclude-members": "set_fit_request, set_partial_fit_request, set_predict_request, "
    "set_score_request"
}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "mlreg"
html_math_renderer = "mathml"
# A font with stretched brackets and roots, for devices that have none of their own.
html_static_path = [
    "static",
    *(str(FONTS / name) for name in ("DejaVuSerif.ttf", "LICENSE_DEJAVU")),
]
html_css_files = ["site.css"]
html_additional_pages = {"index": "redirect.html"}
html_use_index = html_domain_indices = False
html_show_sphinx = html_show_copyright = html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def setup(app):
    """Draw the figures that the pages name; forget pages of names that are public no longer."""
    shutil.rmtree(HERE / "reference/generated", ignore_errors=True)
    for page in pages.PAGES:
        if ".savefig(" in page.read_text("utf-8"):
            pages.draw(page)
