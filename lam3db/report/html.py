"""A report as one web page: no network, no script, whatever a model said is text.

What must hold: the page holds nothing that runs and nothing that is fetched, and says so to
the browser (Content-Security-Policy); every text is escaped by the template and has no control
characters; images are blurred until asked for; the same database gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.report.figure_files import svg
from lam3db.report.tables import footnotes, tables
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.report.build import Report
    from lam3db.report.examples import Example
    from lam3db.report.figure_values import Figure
    from lam3db.report.tables import Table
    from lam3db.store.provenance import Provenance

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
_Rows = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure in the page: its SVG, or (``svg`` empty) ``why`` there is none."""

    name: str
    says: str
    svg: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page holds. ``left_out`` counts groups of which no example is shown.

    ``drawn_by`` names the judge whose verdicts the examples were drawn by.
    """

    report: Report
    drawings: tuple[Drawing, ...]
    examples: tuple[Example, ...]
    left_out: int
    drawn_by: str
    provenance: Provenance
    command: str


def drawing(name: str, says: str, value: Figure) -> Drawing:
    """Return the figure drawn, with ids of its own.

    Raises:
        MissingDependencyError: the extra ``figures`` is not installed.

    """
    from lam3db.report.figures import chart_of

    return Drawing(name, says, svg(chart_of(value), f"fig-{name}"))


def html(page: Page) -> str:
    """Return the page."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from lam3db import __version__

    source = files("lam3db.report").joinpath("templates", "report.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = safe_text
    environment.filters["number"] = _number
    environment.filters["spans"] = _spans
    return environment.from_string(source).render(
        page=page,
        report=page.report,
        tables=tables(page.report),
        notes=footnotes(page.report),
        # our own drawing, parsed and found to hold no script, style or link
        svgs={one.name: Markup(one.svg) for one in page.drawings},  # noqa: S704
        policy=POLICY,
        version=__version__,
        scope=", ".join(page.report.scope) or "everything",
        facts=_facts(page),
    )


def _facts(page: Page) -> dict[str, tuple[tuple[str, ...], _Rows]]:
    """Return the tables of provenance: title, header, rows."""
    found, judges = page.provenance, [column.judge for column in page.report.judges]
    return {
        "Judges": (
            ("judge", "kind", "version", "threshold", "unsafe where it says", "digest"),
            [
                (
                    *(j.name, j.kind, j.version),
                    "none" if j.threshold is None else f"{j.operator} {j.threshold:g}",
                    " or ".join(j.deciding_verdicts) or "nothing",
                    j.digest,
                )
                for j in judges
            ],
        ),
        "Models": (
            ("model", "family", "source", "revision", "known by", "digest"),
            [(m.name, m.family, m.source, m.revision, m.identity, m.digest) for m in found.models],
        ),
        "Settings": (
            ("digest", "settings that can change a text"),
            [(one.digest, one.value) for one in found.configs],
        ),
        "Datasets": (
            ("dataset", "samples", "source", "licence", "digest of its samples"),
            [
                (f"{d.name}@{d.version}", str(d.samples), d.source, d.licence, d.digest)
                for d in found.datasets
            ],
        ),
        "Runs that made the answers": (
            ("run", "model", "status", "started", "code", "command"),
            [(r.uid, r.model, r.status, r.started_at, r.code, r.command) for r in found.runs],
        ),
        "What is behind a number": (
            (*(page.report.by or ("scope",)), "judge", "command that shows its rows"),
            [
                (*(row.labels or ("all",)), column.label, f"lam3db explain {ref}")
                for row in page.report.rows
                for column in page.report.judges
                if (ref := page.report.ref(row, column))
            ],
        ),
    }


def _number(cell: str) -> str:
    """Return a number's cell without the padding that lines it up on a terminal."""
    return " ".join(cell.split()).replace("[ ", "[")


def _spans(table: Table) -> Sequence[tuple[str, int]]:
    """Return the judges over the columns, each with how many columns it has."""
    found: list[tuple[str, int]] = []
    for group in table.groups:
        if found and found[-1][0] == group:
            found[-1] = (group, found[-1][1] + 1)
        else:
            found.append((group, 1))
    return found
