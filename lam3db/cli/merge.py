"""``lam3db merge``: another database into this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db

if TYPE_CHECKING:
    from lam3db.store.merge_report import MergeReport

_SHOWN = 10
_TITLES = {
    "variant": "answers differ under one key: kept as variants, numbers read variant 0",
    "opinion": "judges said something else of the same subject: kept as further replicates",
    "revision": "findings have a later revision from there, which is current now",
    "policy": "thresholds differ: the one here stays in force",
    "dataset": "dataset versions stand for other samples there: renumbered",
    "issue": "issue keys were taken: renamed",
    "review": "reviews were put in order",
    "withheld": "bodies are withheld there, and now here",
    "run": "runs have moved on there",
    "judge": "judges that are new here",
}


def merge(
    source: Annotated[
        str, typer.Argument(metavar="FILE_OR_URL", help="The database to merge from: only read.")
    ],
    media: Annotated[
        str | None,
        typer.Option(
            help="Where its images lie; else in NAME_media beside its file, or in LAM3DB_MEDIA."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change.")
    ] = False,
    output: Annotated[
        Literal["table", "json"], typer.Option("--format", help="table or json.")
    ] = "table",
    db: Db = None,
) -> None:
    """Merge another lam3db database, or a bundle that was judged elsewhere, into this one.

    Nothing stored here is overwritten, the same fact twice is one row, and merging again
    changes nothing. The file is read as untrusted: if anything in it cannot be right, all
    that is wrong is told and nothing is merged.
    """
    from lam3db.cli.console import print_json, steps
    from lam3db.pipeline.merge import merge_database

    with steps("merging") as tick:
        report = merge_database(db, source, media=media, dry_run=dry_run, tick=tick)
    if output == "json":
        print_json({"dry_run": dry_run, **report.to_json()})
    else:
        _tell(report, dry_run=dry_run)


def _tell(report: MergeReport, *, dry_run: bool) -> None:
    from lam3db.cli.console import out, print_rows, safe_text

    rows = [
        (name, counts["new"], counts["known"])
        for name, counts in report.to_json()["tables"].items()
        if counts["new"] or counts["known"]
    ]
    print_rows(rows, ("table", "new", "known"), "table")
    for kind, notes in sorted(report.notes.items()):
        count = report.counts[kind]
        if not count:
            continue
        out.print(f"{count} {_TITLES[kind]}:")
        for note in notes[:_SHOWN]:
            out.print(f"  {safe_text(note)}")
        if count > len(notes[:_SHOWN]):
            out.print(f"  ... and {count - len(notes[:_SHOWN])} more")
    changed = "nothing to change" if not report.changes else f"{report.changes} rows"
    out.print(f"dry run, nothing was written: {changed}" if dry_run else f"merged: {changed}")
