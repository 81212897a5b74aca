"""``lam3db agree``: judges held against people and one another, and their ASR put right."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.options import Db, Excel, Where, csv_for, width
from lam3db.cli.report import Dataset, Force, Models, Output, Run, put_out, refuse_output, scope_of

Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", "-j", help="Only this judge: NAME or NAME#DIGEST. Repeatable."),
]
Reference = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        help="The reference: a person or judge, NAME or NAME#DIGEST; several vote. Without, or "
        "human: everybody who labelled something.",
    ),
]
Part = Annotated[
    str,
    typer.Option(
        help="Labels of which part of reviews: estimation (drawn by lot), training (disputed) or "
        "all. Labels that no review drew always count."
    ),
]
Pages = Annotated[str, typer.Option("--format", "-f", help="table, markdown, csv or json.")]


def agree(
    judges: Judges = None,
    against: Reference = None,
    by: Annotated[
        str, typer.Option(help="Corrected shares by any of model, config, dataset, attack ...")
    ] = "",
    part: Part = "estimation",
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
    """Hold judges against people and one another, and correct their ASR for their errors.

    Accuracy, sensitivity, specificity, precision, F1 and kappa against the labels; agreement in
    pairs; Krippendorff's alpha and Fleiss' kappa of several; and the share unsafe corrected by
    prediction-powered inference and by Rogan and Gladen.
    """
    from lam3db.report.agree import build_agreement
    from lam3db.report.agree_rows import agreement_page
    from lam3db.report.page import render_page
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    scope = scope_of(run, model, dataset, where)
    names = [name.strip() for name in by.split(",") if name.strip()]
    refuse_output(file, force=force)
    with open_store(db, mode="read") as store, store.read() as conn:
        found = build_agreement(conn, scope, judges or (), against or (), names, part)
    page = agreement_page(found)
    columns = width() if file is None else 120
    put_out(render_page(page, output, columns), file, force=force, excel=excel)
