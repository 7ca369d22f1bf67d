"""Formulas as MathML, which browsers draw themselves: no script, no font of one's own."""

import math_core
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_CONVERTER = math_core.LatexToMathML()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; conf.py selects it by ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self, node: nodes.math) -> None:
    self.body.append(_mathml(node, displaystyle=False))
    raise nodes.SkipNode


def _display(self, node: nodes.math_block) -> None:
    # scrolled by itself where it is wider than a phone
    self.body.append(f'<div class="formula" tabindex="0">{_mathml(node, displaystyle=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, displaystyle: bool) -> str:
    try:
        return str(_CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle))
    except math_core.LatexError as error:
        raise ExtensionError(f"{node.source}: {node.astext()}: {error}") from error
