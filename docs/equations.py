"""Equations that docstrings cite lead to the page that derives them."""

import re

from docutils import nodes
from sphinx.application import Sphinx

_NUMBER = re.compile(r"\((\d+\.\d+)\)")
# Eq. (1.2); Eqs. (1.2), (1.3) and (1.4); Eqs. (1.2) to (1.4); also across the end of a line
_CITATION = re.compile(r"Eqs?\.\s+\(\d+\.\d+\)(?:(?:,|,?\s+and|\s+to)\s+\(\d+\.\d+\))*")
# |x| is an absolute value, not a substitution of reStructuredText; literals and examples stay
_BARS = re.compile(r"``[^`]*``|^ *(?:>>>|\.\.\.) [^\n]*$|\|", re.M)


def setup(app: Sphinx) -> dict[str, bool]:
    """Hear of each page that is read, and of each docstring."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("doctree-read", _label)
    app.connect("autodoc-process-docstring", _link, priority=900)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _label(app: Sphinx, doctree: nodes.document) -> None:
    """Give the heading ``(1.2) Title`` the label ``eq-1.2``."""
    if not app.env.docname.startswith("derivations/"):
        return
    labels = app.env.get_domain("std").anonlabels  # of references that bring their own text
    for section in doctree.findall(nodes.section):
        if found := _NUMBER.match(section[0].astext()):
            labels[f"eq-{found[1]}"] = app.env.docname, section["ids"][0]


def _link(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list) -> None:
    text = _CITATION.sub(lambda m: _NUMBER.sub(r":ref:`(\1) <eq-\1>`", m[0]), "\n".join(lines))
    lines[:] = _BARS.sub(lambda m: m[0].replace("|", r"\|"), text).split("\n")
