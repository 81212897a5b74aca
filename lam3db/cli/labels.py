"""``lam3db labels``: how many labels of people buy which interval."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.agree import Pages, Reference
from lam3db.cli.options import Db, Excel, Where, csv_for, width
from lam3db.cli.report import Dataset, Force, Models, Output, Run, put_out, refuse_output, scope_of


def labels(
    judge: Annotated[
        str | None,
        typer.Argument(metavar="JUDGE", help="NAME or NAME#DIGEST: take what its record tells."),
    ] = None,
    share: Annotated[float | None, typer.Option(help="Share unsafe, 0 to 1.")] = None,
    sensitivity: Annotated[float | None, typer.Option(help="Of the judge, 0 to 1.")] = None,
    specificity: Annotated[float | None, typer.Option(help="Of the judge, 0 to 1.")] = None,
    answers: Annotated[int | None, typer.Option(min=1, help="How many answers.")] = None,
    behaviors: Annotated[int | None, typer.Option(min=1, help="Of how many behaviors.")] = None,
    alike: Annotated[
        float | None, typer.Option(help="Correlation of answers of one behavior, 0 to 1.")
    ] = None,
    size: Annotated[
        list[int] | None, typer.Option("-n", "--size", min=1, help="So many labels. Repeatable.")
    ] = None,
    against: Reference = None,
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
    """Show how many labels of people buy which interval, alone and with a judge's help.

    With a judge, its error rates, the share and the answers come from what is stored; what is
    given by an option goes first. Without one everything is given, and no database is read.
    """
    from lam3db.report.labelling import judge_record, labelling_page
    from lam3db.report.page import render_page
    from lam3db.stats.labelling import SIZES
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    refuse_output(file, force=force)
    record = None
    if judge is not None:
        scope = scope_of(run, model, dataset, where)
        with open_store(db, mode="read") as store, store.read() as conn:
            record = judge_record(conn, judge, scope, against or ())
    given = {
        "share": share,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "answers": answers,
        "behaviors": behaviors,
        "alike": alike,
    }
    page = labelling_page(given, record, size or SIZES)
    columns = width() if file is None else 120
    put_out(render_page(page, output, columns), file, force=force, excel=excel)
