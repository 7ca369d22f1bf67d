"""Formulas as MathML, which browsers draw themselves: no script is needed."""

import math_core
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

LONG = 50  # signs of LaTeX
_CONVERTER = math_core.LatexToMathML()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; conf.py selects it by ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    formula = _mathml(node, displaystyle=False)
    # browsers do not break a formula; one that may be wider than a phone scrolls there
    if len(node.astext()) > LONG:
        formula = f'<span class="long" tabindex="0">{formula}</span>'
    self.body.append(formula)
    raise nodes.SkipNode


def _display(self: HTML5Translator, node: nodes.math_block) -> None:
    # scrolled by itself where it is wider than a phone
    self.body.append(f'<div class="formula" tabindex="0">{_mathml(node, displaystyle=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, displaystyle: bool) -> str:
    try:
        return str(_CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle))
    except math_core.LatexError as error:
        raise ExtensionError(f"{node.source}: {node.astext()}: {error}") from error
