"""``lam3db compare``: models side by side, in pairs."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli import ask
from lam3db.cli.options import Db, Excel, Where, csv_for, width
from lam3db.cli.report import Force, Output, put_out, refuse_output, scope_of


def compare(
    selectors: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help="Two or more, each NAME of a model, NAME#DIGEST (the start of the model "
            "version's or the config's digest), NAME#DIGEST@DIGEST, or run:UID.",
            show_default=False,
        ),
    ],
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", help="Only this judge: NAME or NAME#DIGEST. Repeatable."),
    ] = None,
    threshold: ask.Thresholds = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            "-d",
            help="Only this dataset, NAME or NAME@2. Without: the latest version that both were "
            "asked, of every dataset.",
        ),
    ] = None,
    where: Where = None,
    pair: Annotated[
        str,
        typer.Option(
            help="What is paired: the same sample, or the same behavior where attacks write each "
            "model its own prompt."
        ),
    ] = "sample",
    rule: ask.Rule = "each",
    missing: ask.Missing = "scored",
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Compare on what is in common though dataset version or system prompt differ.",
        ),
    ] = False,
    resamples: Annotated[
        int, typer.Option(min=99, max=1_000_000, help="Draws, where trying every flip is too much.")
    ] = 9_999,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the draws.")] = 42,
    output: Annotated[
        str, typer.Option("--format", "-f", help="table, markdown, csv or json.")
    ] = "table",
    file: Output = None,
    force: Force = False,
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Compare models on what both were asked: differences with interval, tests, Holm.

    Every pair of the models is compared under every judge. Verdicts: McNemar's exact test, or
    flips of whole behaviors where a behavior has several pairs; values: flips and a bootstrap
    of whole behaviors. What was dropped is listed, and what is not comparable says why: the
    exit code is 1 where that is everything, 3 where it is some pairs of models.
    """
    from lam3db.cli import SOME_FAILED
    from lam3db.metrics.compare import Options
    from lam3db.metrics.question import read_rule, read_threshold
    from lam3db.report.compare import build_comparison
    from lam3db.report.compare_formats import render_comparison
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    scope = scope_of(None, None, dataset, where)
    options = Options(pair, read_rule(rule), missing, resamples, seed)
    refuse_output(file, force=force)
    with open_store(db, mode="read") as store, store.read() as conn:
        found = build_comparison(
            conn,
            selectors,
            scope,
            judges or (),
            options,
            thresholds=[read_threshold(one) for one in threshold or ()],
            anyway=anyway,
        )
    columns = width() if file is None else 120
    put_out(render_comparison(found, output, columns), file, force=force, excel=excel)
    if found.compared < len(found.pairs):
        raise typer.Exit(SOME_FAILED if found.compared else 1)
