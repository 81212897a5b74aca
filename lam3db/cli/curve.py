"""``lam3db curve``: what a judge would report at every threshold, and how it would err."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.agree import Pages, Part, Reference
from lam3db.cli.options import Db, Excel, Where, csv_for, width
from lam3db.cli.report import Dataset, Force, Models, Output, Run, put_out, refuse_output, scope_of


def curve(
    judge: Annotated[str, typer.Argument(metavar="JUDGE", help="NAME or NAME#DIGEST.")],
    against: Reference = None,
    part: Part = "estimation",
    points: Annotated[
        int, typer.Option(min=2, max=1001, help="At most so many thresholds, evenly.")
    ] = 21,
    threshold: Annotated[
        list[float] | None, typer.Option("--threshold", help="At this one. Repeatable.")
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
    """Show the share unsafe and the errors of a judge with values, by threshold.

    Against people's labels: sensitivity, specificity, precision and F1 at each threshold, ROC
    area with interval, average precision, and the best thresholds by three criteria.
    """
    from lam3db.report.curve import build_curve, curve_page
    from lam3db.report.page import render_page
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    scope = scope_of(run, model, dataset, where)
    refuse_output(file, force=force)
    with open_store(db, mode="read") as store, store.read() as conn:
        found = build_curve(
            conn, judge, scope, against or (), part, points=points, thresholds=threshold or ()
        )
    text = render_page(curve_page(found), output, width() if file is None else 120)
    put_out(text, file, force=force, excel=excel)
