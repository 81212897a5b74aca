"""``lam3db sql``: one statement that reads."""

from __future__ import annotations

from typing import Annotated

import typer

from lam3db.cli.options import Db, Excel, Format, csv_for


def sql(
    statement: Annotated[str, typer.Argument(help='For example "SELECT * FROM v_asr".')],
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Run one reading statement; the database itself refuses to write.

    `lam3db db views` lists the views and their columns.
    """
    from lam3db.cli.console import print_rows
    from lam3db.store.engine import open_store
    from lam3db.store.query import run_query

    output = csv_for(output, excel=excel)
    with (
        open_store(db, mode="read", even_damaged=True) as store,
        run_query(store, statement) as answered,
    ):
        print_rows(list(answered.rows), answered.columns, output, excel=excel)
