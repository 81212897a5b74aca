"""``lam3db flips``: where two judges differ, and which share moves by how much."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.agree import Pages
from lam3db.cli.options import Db, Excel, Where, csv_for, width
from lam3db.cli.report import Dataset, Force, Models, Output, Run, put_out, refuse_output, scope_of
from lam3db.cli.streams import echo


def flips(
    first: Annotated[str, typer.Argument(metavar="JUDGE1", help="NAME or NAME#DIGEST.")],
    second: Annotated[str, typer.Argument(metavar="JUDGE2", help="NAME or NAME#DIGEST.")],
    by: Annotated[
        str, typer.Option(help="Moves by any of model, config, dataset, attack, category ...")
    ] = "model",
    limit: Annotated[int, typer.Option(min=0, help="How many flips to list.")] = 20,
    export: Annotated[
        str | None,
        typer.Option("--export", help="Write every flip to this file, .jsonl or .csv."),
    ] = None,
    run: Run = None,
    model: Models = None,
    dataset: Dataset = None,
    where: Where = None,
    output: Pages = "table",
    file: Output = None,
    force: Force = False,
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Show answers that two judges (two versions of one) decide differently, and what it moves.

    For each model the share unsafe under each, and its move over the answers that both decided,
    with a paired interval.
    """
    from lam3db.report.export import export_format, export_rows
    from lam3db.report.flips import COLUMNS, build_flips, flips_page
    from lam3db.report.page import render_page
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    scope = scope_of(run, model, dataset, where)
    names = [name.strip() for name in by.split(",") if name.strip()]
    refuse_output(file, force=force)
    refuse_output(export, force=force)
    with open_store(db, mode="read") as store, store.read() as conn:
        found = build_flips(conn, first, second, scope, names)
    if export is not None:
        written = export_format(None, export, excel=excel)
        count = export_rows(export, COLUMNS, found.rows(), written, force=force, excel=excel)
        echo(f"{count} flips to {export}", err=True)
    if export != "-":
        text = render_page(flips_page(found, limit), output, width() if file is None else 120)
        put_out(text, file, force=force, excel=excel)
