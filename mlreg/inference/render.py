"""What a summary says, drawn as text, HTML, Markdown or for rich."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from mlreg.errors import InvalidInput

__all__ = [
    "STYLE",
    "Facts",
    "Format",
    "Line",
    "Summary",
    "Table",
    "align",
    "html_certificate",
    "html_model",
    "html_table",
    "render",
    "rich_parts",
]

Format = Literal["text", "html", "markdown"]


@dataclass(frozen=True)
class Table:
    """Cells as they are shown.

    Attributes
    ----------
    header : tuple of str
        Heads of the columns; the first column names the rows.
    rows : tuple of tuple of str
        As many cells each.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Facts = tuple[tuple[str, str], ...]
"""Names and their values, which belong on one line."""

Line = str | Facts | Table


@dataclass(frozen=True)
class Summary:
    """All that a summary says, whoever draws it.

    Attributes
    ----------
    title : str
        The model and how it was fitted.
    head : tuple of Line
        What it was fitted to.
    status : str
        Why the optimizer stopped.
    coefficients : Table
        A row for each.
    statistics : tuple of Line
        What else was estimated, and how well it fits.
    certificate : tuple of str
        How far the estimate is from the MLE: a line, and details.
    """

    title: str
    head: tuple[Line, ...]
    status: str
    coefficients: Table
    statistics: tuple[Line, ...]
    certificate: tuple[str, ...]


def render(summary: Summary, format: Format) -> str:
    """The summary as a string.

    Raises
    ------
    InvalidInput
        An unknown format.
    """
    if format not in get_args(Format):
        known = ", ".join(map(repr, get_args(Format)))
        raise InvalidInput(f"format must be one of {known}; not {format!r}")
    if format == "html":
        body = html_model(summary) + html_certificate(summary)
        return f'<div class="mlreg"><style>{STYLE}</style>{body}</div>'
    return _text(summary) if format == "text" else _markdown(summary)


# Text


def _text(summary: Summary) -> str:
    table = align((summary.coefficients.header, *summary.coefficients.rows))
    rule = "-" * max(len(table[0]), 60)
    head = [summary.title, *_text_lines(summary.head), summary.status]
    first, *details = summary.certificate
    certificate = [first, *(f"  {line}" for line in details)]
    below = [*_text_lines(summary.statistics), rule, *certificate]
    return "\n".join([*head, rule, *table, rule, *below])


def _text_lines(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, str):
            yield line
        elif isinstance(line, Table):
            yield from align((line.header, *line.rows))
        else:
            yield "    ".join(f"{name}: {value}" for name, value in line)


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns padded to their widest cell: the first to the left, the others to the right."""
    widths = np.array([[len(cell) for cell in row] for row in rows]).max(axis=0)
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


# HTML

# no colours but the page's own: a notebook may be dark. On a phone a row becomes a card, since a
# number that the edge of the screen cuts off reads as another number
STYLE = """
.mlreg{max-width:60rem;overflow-wrap:anywhere;line-height:1.45}
.mlreg p{margin:.4em 0}
.mlreg .title{font-weight:600}
.mlreg .scroll{overflow-x:auto;margin:.6em 0}
.mlreg table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.mlreg th,.mlreg td{padding:.2em .6em;text-align:right;white-space:nowrap;border:0}
.mlreg thead th{border-bottom:1px solid;vertical-align:bottom}
.mlreg th:first-child{text-align:left;padding-left:0}
.mlreg tbody th{font-weight:400;white-space:pre-wrap;min-width:5em}
.mlreg dl{display:flex;flex-wrap:wrap;gap:.2em 2em;margin:.4em 0}
.mlreg dt,.mlreg dd{display:inline;margin:0}
.mlreg dt{opacity:.75}
.mlreg ul{margin:.3em 0;padding-left:1.4em}
@media(max-width:40rem){
.mlreg thead{display:none}
.mlreg table,.mlreg tbody{display:block}
.mlreg tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(9em,1fr));padding:.3em 0;
border-top:1px solid #8888}
.mlreg tbody th{grid-column:1/-1;font-weight:600;padding:.1em 0}
.mlreg td{text-align:left;padding:.1em 0}
.mlreg [data-head]::before{content:attr(data-head) " ";font-weight:400;opacity:.75}
.mlreg td::before{display:block;font-size:.85em;line-height:1.1}}
""".replace("\n", "")


def html_model(summary: Summary, status: bool = True) -> str:
    """All but the certificate, as HTML that goes inside an element of class ``mlreg``.

    Every text is escaped: a column may be named anything. The status may stand elsewhere.
    """
    parts = [f'<p class="title">{html.escape(summary.title)}</p>', *_html_lines(summary.head)]
    parts += [f"<p>{html.escape(summary.status)}</p>"] * status
    parts += [html_table(summary.coefficients, "coefficients"), *_html_lines(summary.statistics)]
    return "".join(parts)


def html_certificate(summary: Summary) -> str:
    """The certificate, for the same place."""
    first, *details = (html.escape(line) for line in summary.certificate)
    return f"<p>{first}</p><ul>{''.join(f'<li>{line}</li>' for line in details)}</ul>"


def _html_lines(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, str):
            yield f"<p>{html.escape(line)}</p>"
        elif isinstance(line, Table):
            yield html_table(line, line.header[0])
        else:
            pairs = ((html.escape(name), html.escape(value)) for name, value in line)
            terms = (f"<div><dt>{name}:</dt> <dd>{value}</dd></div>" for name, value in pairs)
            yield f"<dl>{''.join(terms)}</dl>"


def html_table(table: Table, name: str) -> str:
    """A table that scrolls by itself where it is too wide, by the keyboard too."""
    corner, *heads = (html.escape(cell) for cell in table.header)
    head = "".join(f'<th scope="col">{cell}</th>' for cell in (corner, *heads))
    label = f' data-head="{corner}"' if corner else ""
    rows = "".join(
        f'<tr><th scope="row"{label}>{html.escape(first)}</th>'
        + "".join(
            f'<td data-head="{above}">{html.escape(cell)}</td>'
            for above, cell in zip(heads, cells, strict=True)
        )
        + "</tr>"
        for first, *cells in table.rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(name)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


# Markdown


def _markdown(summary: Summary) -> str:
    parts = [f"**{_escaped(summary.title)}**", *_markdown_lines(summary.head)]
    parts += [_escaped(summary.status)]
    parts += [_markdown_table(summary.coefficients), *_markdown_lines(summary.statistics)]
    first, *details = summary.certificate
    parts += [_escaped(first), "\n".join(f"- {_escaped(line)}" for line in details)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_lines(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, str):
            yield _escaped(line)
        elif isinstance(line, Table):
            yield _markdown_table(line)
        else:
            yield "\n".join(f"- {_escaped(name)}: {_escaped(value)}" for name, value in line)


def _markdown_table(table: Table) -> str:
    header, *rows = (" | ".join(map(_escaped, row)) for row in (table.header, *table.rows))
    rule = " | ".join([":--", *["--:"] * (len(table.header) - 1)])
    return "\n".join(f"| {line} |" for line in (header, rule, *rows))


def _escaped(text: str) -> str:
    """Text that Markdown, tables of GitHub's included, shows as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", " ".join(text.split()))


# rich


def rich_parts(summary: Summary) -> Iterator[Any]:
    """Renderables of rich; no text of ours is read as its markup."""
    from rich.text import Text

    yield Text(summary.title, style="bold")
    yield from _rich_lines([*summary.head, summary.status])
    yield _rich_table(summary.coefficients)
    yield from _rich_lines(summary.statistics)
    first, *details = summary.certificate
    yield Text("\n".join([first, *(f"  {line}" for line in details)]))


def _rich_lines(lines: Sequence[Line]) -> Iterator[Any]:
    from rich.text import Text

    for line in lines:
        if isinstance(line, Table):
            yield _rich_table(line)
        else:
            yield Text("\n".join(_text_lines([line])))


def _rich_table(table: Table) -> Any:
    """Cells that lack room go on below: a number that is cut off is another number."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, cell in enumerate(table.header):
        drawn.add_column(Text(cell), justify="left" if i == 0 else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    return drawn
