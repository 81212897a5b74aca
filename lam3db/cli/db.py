"""``lam3db db``: looking after the database itself."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db

if TYPE_CHECKING:
    from lam3db.store.checked import Checked
    from lam3db.store.migrate import Moved

app = typer.Typer(no_args_is_help=True, help="Look after the database: upgrade, back up, verify.")
_SHOWN = 200


@app.command()
def upgrade(
    revision: Annotated[str, typer.Option(help="Stop at this revision.")] = "head",
    db: Db = None,
) -> None:
    """Bring the database to this lam3db's schema; make a SQLite file where there is none.

    A SQLite file that holds rows is copied first. PostgreSQL is upgraded only by this command:
    make a pg_dump before.
    """
    from lam3db.store import address, migrate

    place = address.parse(db)
    _tell(place.shown, migrate.upgrade(place, revision))


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="A revision, or base (no tables).")],
    yes: Annotated[bool, typer.Option("--yes", help="Rows may be lost.")] = False,
    db: Db = None,
) -> None:
    """Bring the database back to an older schema. A SQLite file is copied first."""
    from lam3db.errors import StoreError
    from lam3db.store import address, migrate

    place = address.parse(db)
    if not yes:
        raise StoreError(
            f"going back to {revision} drops what newer revisions hold: say --yes to do it"
            + ("" if place.dialect == "sqlite" else ", and make a pg_dump before")
        )
    _tell(place.shown, migrate.downgrade(place, revision))


@app.command()
def check(db: Db = None) -> None:
    """Tell whether the schema is current and as made, and every foreign key leads somewhere."""
    from lam3db.cli.console import out
    from lam3db.store.engine import open_store
    from lam3db.store.migrate import revisions
    from lam3db.store.snapshot import broken_keys, differences

    with open_store(db, mode="read", even_damaged=True) as store:
        faults = differences(store) + broken_keys(store)
        for fault in faults:
            out.print(fault)
        if faults:
            out.print(f"{store.url}: {len(faults)} faults")
            raise typer.Exit(1)
        out.print(f"{store.url}: schema {revisions()[-1]} is current and as made; keys are whole")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
    db: Db = None,
) -> None:
    """Copy the database, as of one moment, into a file; others may go on writing meanwhile."""
    from lam3db.cli.console import err, out
    from lam3db.errors import StoreError
    from lam3db.pipeline.provenance import provenance
    from lam3db.store import address, migrate
    from lam3db.store.copies import note_copy

    place = address.parse(db)
    if place.dialect == "postgresql":
        raise StoreError(f"PostgreSQL has its own tool: {address.pg_dump_command(place, target)}")
    saved = migrate.backup(place, target)
    if (left := note_copy(db, "backup", saved, provenance().username)) is not None:
        err.print(f"the copy is not noted in the database: {left}")
    out.print(f"{place.shown} -> {saved} ({saved.stat().st_size:,} bytes); images are not in it")


@app.command()
def verify(db: Db = None) -> None:
    """Check every value; derive every digest, copy, watermark and sum again. Exit 1 if wrong."""
    from lam3db.cli.console import out, print_rows, steps
    from lam3db.store import verify as verifying
    from lam3db.store.engine import open_store

    with open_store(db, mode="read", even_damaged=True) as store:
        with steps("verifying") as tick:
            found = verifying.verify(store, tick=tick)
        columns = ("what", "checked", "withheld", "faults")
        rows = [(one.what, one.count, one.withheld, len(one.faults)) for one in found]
        print_rows(rows, columns, "table")
        faults = _faults(found)
        for fault in faults[:_SHOWN]:
            out.print(fault)
        if len(faults) > _SHOWN:
            out.print(f"... and {len(faults) - _SHOWN} more")
        if faults:
            raise typer.Exit(1)
        out.print(f"{store.url}: everything matches")


@app.command()
def settle(db: Db = None) -> None:
    """Make the sums that reports read wherever they are out of date; runs do it at their end.

    A report that finds no sums scans instead, and says the same.
    """
    from lam3db.cli.console import out, steps
    from lam3db.store import rollup
    from lam3db.store.engine import open_store

    with open_store(db, mode="write") as store, steps("summing") as tick:
        rollup.settle(store, tick=lambda done, total: tick(f"{done} of {total}"))
        out.print(f"{store.url}: the sums that reports read are up to date")


@app.command()
def stats(
    runs: Annotated[int, typer.Option(min=0, help="How many of the latest runs.")] = 20,
    db: Db = None,
) -> None:
    """Show rows per table, the size, and what the latest runs brought."""
    from lam3db.cli.console import out, print_rows
    from lam3db.store.engine import open_store
    from lam3db.store.figures import figures

    with open_store(db, mode="read", even_damaged=True) as store:
        found = figures(store, runs)
        out.print(f"{store.url}: {found.byte_count:,} bytes; images in {store.media_root}")
        print_rows(list(found.rows.items()), ("table", "rows"), "table")
        if not found.runs:
            return
        columns = ("run", "kind", "status", "subject", "started")
        counts = ("planned", "new", "cached", "failed")
        rows = [
            (
                run.uid[:8],
                run.kind,
                run.status,
                run.subject,
                f"{run.started_at:%Y-%m-%d %H:%M:%S}Z",
                *(getattr(run, count) for count in counts),
            )
            for run in found.runs
        ]
        print_rows(rows, (*columns, *counts), "table")


@app.command()
def gc(
    remove: Annotated[bool, typer.Option("--remove", help="Take the files away.")] = False,
    older_than: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="Leave younger files alone.")
    ] = 24.0,
    db: Db = None,
) -> None:
    """Find images without a row, rows without an image, and what killed processes left.

    Nothing is removed without --remove, and no row ever. Where several databases share a media
    root (LAM3DB_MEDIA), the images of the others look like rubbish here: do not remove them.
    """
    from datetime import timedelta

    from lam3db.cli.console import out, print_rows
    from lam3db.pipeline.purge import find_garbage, remove_garbage
    from lam3db.store.engine import open_store

    with open_store(db, mode="read") as store:
        found = find_garbage(store, timedelta(hours=older_than))
        kinds = (
            ("no row", found.orphans),
            ("half written", found.parts),
            ("withheld", found.withheld),
        )
        rows: list[tuple[str, int | None, str]]
        rows = [(why, one.byte_count, one.place) for why, some in kinds for one in some]
        rows += [("no file", None, name) for name in found.missing]
        rows += [("shown by no sample", None, name) for name in found.unused]
        if rows:
            print_rows(rows, ("why", "bytes", "file or digest"), "table")
        if found.young:
            out.print(f"{found.young} files without a row are too young to judge (--older-than)")
        if found.missing:
            out.print("add their datasets again to bring missing images back")
        size = sum(one.byte_count for one in found.removable)
        if not remove:
            hint = ": --remove takes them away" if found.removable else ""
            out.print(f"{len(found.removable)} files ({size:,} bytes) can go{hint}")
            return
        removed = remove_garbage(store, found)
        out.print(f"{removed} of {len(found.removable)} files removed from {store.media_root}")


@app.command()
def views() -> None:
    """List the views that `lam3db sql` can read, column by column."""
    from lam3db.cli.console import out
    from lam3db.store.views import VIEWS

    for view in VIEWS:
        width = max(map(len, view.columns))
        out.print(f"{view.name}: {view.row}")
        for name, meaning in view.columns.items():
            out.print(f"    {name:<{width}}  {meaning}")
        out.print()


def _tell(shown: str, moved: Moved) -> None:
    from lam3db.cli.console import err, out

    if moved.backup is not None:
        err.print(f"copied before: {moved.backup}")
    if moved.before == moved.after:
        out.print(f"{shown}: schema {moved.after} already")
    else:
        out.print(f"{shown}: schema {moved.before or 'none'} -> {moved.after or 'none'}")


def _faults(found: list[Checked]) -> list[str]:
    return [fault for one in found for fault in one.faults]
