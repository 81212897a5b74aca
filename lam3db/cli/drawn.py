"""What ``lam3db report`` draws: figures to files, plots on a terminal, a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.report.build import Report
    from lam3db.report.html import Drawing
    from lam3db.store.engine import Store

    Ask = Callable[[Sequence[str]], Report]

FigureName = Annotated[
    str | None,
    typer.Option(
        "--figure",
        help="Draw a figure instead, to -o FILE.svg or FILE.png: asr (shares with intervals, "
        "by --by), heatmap (model and category, or two keys of --by), threshold, distribution, "
        "agreement. Needs the extra lam3db\\[figures].",
    ),
]
Plot = Annotated[
    bool,
    typer.Option(
        "--plot", help="Draw bars with intervals, and values, with characters instead of tables."
    ),
]
Examples = Annotated[
    int,
    typer.Option(
        "--examples", min=0, max=50, help="Answers shown per model and attack in --format html."
    ),
]


def write_figure(
    conn: Connection,
    name: str,
    scope: Scope,
    by: Sequence[str],
    ask: Ask,
    file: str | None,
    *,
    force: bool,
) -> None:
    """Write the figure to a file; say on stderr what no font here can write."""
    from lam3db.atomic_files import new_binary
    from lam3db.errors import ConfigError
    from lam3db.report.figure_files import check_name, file_bytes, svg, unwritable
    from lam3db.report.figures import chart_of, figure

    if file is None:
        raise ConfigError(f"--figure {name}: write where to, -o {name}.svg or -o {name}.png")
    check_name(file)
    chart = chart_of(figure(conn, name, scope, by, ask=ask))
    data = file_bytes(chart, file)
    with new_binary(Path(file), force=force) as stream:
        stream.write(data)
    lost = unwritable(svg(chart)) if file.lower().endswith(".png") else ""
    if lost:
        echo(
            f"{file}: no font of this machine has {lost}, they are boxes in the picture: install "
            "a font that has them (for Chinese: fonts-noto-cjk), or write an SVG",
            err=True,
        )


def plot_text(
    conn: Connection, report: Report, scope: Scope, ask: Ask, width: int, *, to_file: bool
) -> str:
    """Return the report as bars and histograms; what cannot be drawn is left out."""
    from lam3db.errors import ConfigError
    from lam3db.report.figure_shares import bars
    from lam3db.report.figure_values import Distribution
    from lam3db.report.figures import figure
    from lam3db.report.plot import plot

    if report.empty:
        raise ConfigError(f"--plot: {report.empty}")
    shares = bars(report) if any(c.judge.decides for c in report.judges) else None
    values = None
    try:
        found = figure(conn, "distribution", scope, ask=ask)
        values = found if isinstance(found, Distribution) else None
    except ConfigError:  # no judge of values: then there are bars alone
        if shares is None:
            raise
    plain = not to_file and "utf" not in (sys.stdout.encoding or "").lower()
    return plot(report, shares, values, width, ascii_only=plain)


def page_text(
    conn: Connection,
    store: Store,
    report: Report,
    scope: Scope,
    by: Sequence[str],
    ask: Ask,
    examples: int,
) -> str:
    """Return the report as a page; without the extra `figures` it holds tables and says so."""
    from lam3db.media import MediaRoot
    from lam3db.report.examples import load_examples
    from lam3db.report.html import Page, html
    from lam3db.report.scope import resolve
    from lam3db.store.provenance import load_provenance

    frame, _ = resolve(conn, scope)
    deciding = [c for c in report.judges if c.judge.decides] or list(report.judges)
    shown, left_out = (
        load_examples(conn, frame, deciding[0], examples, MediaRoot(store.media_root))
        if report.rows
        else ((), 0)
    )
    return html(
        Page(
            report=report,
            drawings=_drawings(conn, scope, by, ask) if report.rows else (),
            examples=shown,
            left_out=left_out,
            drawn_by=deciding[0].label if deciding else "",
            provenance=load_provenance(conn, frame),
            command=_command(),
        )
    )


def _drawings(conn: Connection, scope: Scope, by: Sequence[str], ask: Ask) -> tuple[Drawing, ...]:
    from lam3db.errors import ConfigError, MissingDependencyError
    from lam3db.report.figures import NAMES, figure
    from lam3db.report.html import Drawing, drawing

    found = []
    for name, says in NAMES.items():
        told = says.partition(" (or")[0]
        try:
            found.append(drawing(name, told, figure(conn, name, scope, by, ask=ask)))
        except ConfigError as error:
            found.append(Drawing(name, told, "", str(error)))
        except MissingDependencyError as error:
            echo(f"the page has no figures: {error}", err=True)
            return (Drawing("none", "none are drawn", "", str(error)),)
    return tuple(found)


def _command() -> str:
    """Return the command as typed, without where the page goes and without secrets."""
    from lam3db.redaction import redact_command

    words, skip = ["lam3db"], False
    for word in sys.argv[1:]:
        if not skip and word not in ("--force", "-o", "--output", "--db"):
            here = not word.startswith(("--output=", "--db=")) and not (
                word.startswith("-o") and not word.startswith("--")
            )
            words += [word] if here else []
        skip = word in ("-o", "--output", "--db") and not skip
    return redact_command([*words, "-o", "report.html"])
