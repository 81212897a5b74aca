"""Reports: numbers to tables, Markdown, CSV, JSON, LaTeX, pages and figures.

What must hold: importing this package imports no database library (the command line takes
:mod:`lam3db.report.text` from it at start-up), so the names below are found when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lam3db.metrics import Scope
    from lam3db.report.build import Report, build_report
    from lam3db.report.figures import chart_of, figure, report_chart
    from lam3db.report.formats import render

__all__ = [
    "Report",
    "Scope",
    "build_report",
    "chart_of",
    "figure",
    "render",
    "report_chart",
]

_WHERE = {
    "Report": "lam3db.report.build",
    "Scope": "lam3db.metrics",
    "build_report": "lam3db.report.build",
    "chart_of": "lam3db.report.figures",
    "figure": "lam3db.report.figures",
    "report_chart": "lam3db.report.figures",
    "render": "lam3db.report.formats",
}


def __getattr__(name: str) -> Any:
    """Find a public name in its module (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
