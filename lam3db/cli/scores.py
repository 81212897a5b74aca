"""``lam3db export scores`` and ``lam3db import scores``: what a judge said, as a list."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lam3db.cli.options import Db, Excel
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

import_app = typer.Typer(help="Read scores or results of others.", no_args_is_help=True)


@import_app.callback()
def imports() -> None:
    """Read scores that were exported, or results that others stored."""


def export_scores(
    judge: Annotated[str, typer.Option("--judge", "-j", help="The judge: NAME or NAME#DIGEST.")],
    file: Annotated[str, typer.Option("--output", "-o", help="The file; - is standard output.")],
    output: Annotated[
        str | None, typer.Option("--format", "-f", help="jsonl or csv; else by the file's name.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Write what a judge has said, one row per judged text, to be read by scripts or imported.

    Columns: text and subject digest, judge with version and weights, status, toxicity_score
    (its value), label, threshold, every attribute. The first row carries the judge's identity.
    What is written with --excel is for looking at, not for `import scores`.
    """
    from lam3db.pipeline.scores import stored_identity
    from lam3db.records import JudgePolicy
    from lam3db.report.build import choose_judges
    from lam3db.report.export import export_format, export_rows
    from lam3db.store import scores
    from lam3db.store.engine import open_store

    chosen = export_format(output, file, excel=excel)
    with open_store(db, mode="read") as store, store.read() as conn:
        row = _only(choose_judges(conn, [judge])).judge
        policy = None
        if row.threshold is not None and row.operator is not None:
            policy = JudgePolicy(row.threshold, row.operator)
        rows = scores.stream_scores(conn, row.id, stored_identity(conn, row.id), policy)
        columns: Sequence[str] = scores.COLUMNS
        if chosen == "csv":
            columns, rows = _flat(scores.attribute_names(conn, row.id), rows)
        count = export_rows(file, columns, rows, chosen, force=force, excel=excel)
    where_to = "standard output" if file == "-" else file
    echo(f"{count} scores of {row.name} [{row.digest[:8]}] to {where_to}", err=True)


@import_app.command("scores")
def import_scores(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .csv file that `export scores` wrote.")],
    db: Db = None,
) -> None:
    """Read back what `lam3db export scores` wrote, here or on another host.

    The judge is known by its digest, or told by the file's first row. Scores are linked to
    every stored answer that shows what was judged. If a line is wrong, all that is wrong is
    told and nothing is stored; reading a file again changes nothing.
    """
    from lam3db.pipeline.scores import import_scores as take_over
    from lam3db.store.engine import open_store

    with open_store(db, mode="write") as store:
        result = take_over(store, file)
    echo(
        f"{result.judge} [{result.digest[:8]}]: {result.lines} lines, {result.new} findings new,"
        f" {result.known} known, {result.scored} answers scored"
    )
    if result.others:
        echo(
            f"{result.others} say something else than what is stored: kept as further replicates,"
            " the stored ones stay in the numbers"
        )


def _only(columns: Sequence[Any]) -> Any:
    from lam3db.errors import ConfigError

    if len(columns) > 1:
        named = ", ".join(f"{one.judge.name}#{one.judge.digest[:8]}" for one in columns)
        raise ConfigError(f"several judges have this name: write one of {named}")
    return columns[0]


def _flat(
    names: Sequence[str], rows: Iterator[dict[str, Any]]
) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Give every attribute a column of its own, and the judge's identity one as JSON."""
    from lam3db.store.scores import ATTRIBUTE, COLUMNS

    own = [f"{ATTRIBUTE}{name}" for name in names]
    at = COLUMNS.index("attributes")
    return [*COLUMNS[:at], *own, *COLUMNS[at + 1 :]], (_cells(own, row) for row in rows)


def _cells(own: Sequence[str], row: dict[str, Any]) -> dict[str, Any]:
    import json

    from lam3db.store.scores import ATTRIBUTE

    numbers = {f"{ATTRIBUTE}{name}": value for name, value in row["attributes"].items()}
    whole = row["judge_identity"]
    cells = row | {"judge_identity": None if whole is None else json.dumps(whole)}
    return cells | {name: numbers.get(name) for name in own}
