r"""A report's tables in LaTeX, with booktabs and nothing else.

What must hold: every text is escaped, so that whatever a model or a dataset is called, it is
read as that name and no command is run; the notes that say what the numbers are come along.
A row never begins with ``[`` or ``*``, which LaTeX would take as an option of the line's end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lam3db.report.tables import footnotes, tables
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.report.build import Report
    from lam3db.report.tables import Table

_WIDTH = 110  # columns of text that a page in landscape takes; beyond it a judge has its own table
_LONG = 45
_LABEL = 60
_HEAD = (
    "% Made by lam3db. Needs \\usepackage{booktabs}, and \\usepackage{longtable} where a table is\n"
    "% longer than a page. Names beyond Latin letters need XeLaTeX or LuaLaTeX, and a font.\n"
)
_MARKS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "`": r"\symbol{96}",
    "'": r"{\textquoteright}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "-": "{-}",
    ",": "{,}",
    "\u2013": r"{\textendash}",
    "\u2026": r"{\ldots}",
    "\u2265": r"$\geq$",
    **{mark: f"\\{mark}" for mark in "{}$&#_%"},
}
_ESCAPES = str.maketrans(_MARKS)
_PLAIN = re.compile(r"(?<![-{])\{([-,])\}(?![-,{])")


def escape(text: str) -> str:
    """Return text for LaTeX: one line, each character standing for itself.

    Hyphens and commas are kept in braces where two meet, since pairs of them are ligatures.
    """
    return _PLAIN.sub(r"\1", " ".join(safe_text(text).split()).translate(_ESCAPES))


def latex(report: Report) -> str:
    """Return the report's tables, each with caption and label, and the notes under the last."""
    scope = ", ".join(report.scope) or "everything"
    if report.empty:
        return f"{_HEAD}% Scope: {_comment(scope)}\n% {_comment(report.empty)}\n"
    every = tables(report, _WIDTH)
    blocks = ["\n".join(_table(one, scope, i)) for i, one in enumerate(every, 1)]
    notes = [f"  {escape(note)}\\par" for note in footnotes(report)]
    told = ["{\\footnotesize\\setlength{\\parindent}{0pt}%", *notes, "}"]
    return "\n\n".join([_HEAD.rstrip("\n"), *blocks, "\n".join(told)]) + "\n"


def _table(table: Table, scope: str, number: int) -> Iterator[str]:
    title = " ".join(dict.fromkeys([table.title, *(g for g in _judges(table) if g)]))
    caption = f"\\caption{{{escape(title)}. {escape(scope)}.}}\\label{{tab:lam3db-{number}}}"
    form = "l" * table.left + "r" * (len(table.header) - table.left)
    head = ["\\toprule", *_groups(table), _row(map(escape, table.header)), "\\midrule"]
    if len(table.cells) > _LONG:
        yield f"\\begin{{longtable}}{{{form}}}"
        yield f"{caption}\\\\"
        yield from [*head, "\\endhead", "\\bottomrule", "\\endfoot", *_body(table)]
        yield "\\end{longtable}"
        return
    yield from ("\\begin{table}[htbp]", "\\centering", caption, f"\\begin{{tabular}}{{{form}}}")
    yield from [*head, *_body(table), "\\bottomrule", "\\end{tabular}", "\\end{table}"]


def _judges(table: Table) -> list[str]:
    """Return the one judge of a table that has one only."""
    found = list(dict.fromkeys(group for group in table.groups if group))
    return [f"({found[0]})"] if len(found) == 1 else []


def _groups(table: Table) -> list[str]:
    """Return the line with the judges' names, and the rules under it."""
    spans: list[tuple[str, int, int]] = []
    for i, group in enumerate(table.groups, 1):
        if spans and spans[-1][0] == group:
            spans[-1] = (group, spans[-1][1], i)
        else:
            spans.append((group, i, i))
    if not any(group for group, _, _ in spans):
        return []
    cells = [f"\\multicolumn{{{last - first + 1}}}{{c}}{{{escape(g)}}}" for g, first, last in spans]
    rules = [f"\\cmidrule(lr){{{first}-{last}}}" for g, first, last in spans if g]
    return [_row(cells), "".join(rules)]


def _body(table: Table) -> Iterator[str]:
    """Yield the rows; a label that repeats the line above is left out."""
    before: tuple[str, ...] = ()
    for row in table.cells:
        if before and table.left > 1 and row[0] != before[0]:
            yield "\\addlinespace"
        left = [
            "" if i < table.left - 1 and row[: i + 1] == before[: i + 1] else _label(cell)
            for i, cell in enumerate(row[: table.left])
        ]
        numbers = [" ".join(cell.split()).replace("[ ", "[") for cell in row[table.left :]]
        yield _row([*left, *map(escape, numbers)])
        before = row


def _label(text: str) -> str:
    return escape(safe_text(text, _LABEL))


def _row(cells: Iterator[str] | list[str] | map[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _comment(text: str) -> str:
    return " ".join(safe_text(text).split())
