"""``lam3db log``: the daily log, written from what is stored and what people add."""

from __future__ import annotations

import contextlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from lam3db.pipeline.log_import import ImportedPage, PageSettings

app = typer.Typer(no_args_is_help=True, help="The daily log: show a day, add to it, import pages.")
Date = Annotated[
    str | None, typer.Option("--date", metavar="YYYY-MM-DD", show_default="the latest day")
]
Author = Annotated[str | None, typer.Option(help="Who says so.", show_default="your user name")]
Zone = Annotated[
    str, typer.Option("--tz", help="Where days begin: UTC, JST, +09:00, Asia/Tokyo ...")
]


@app.command()
def show(
    date: Date = None,
    lang: Annotated[Literal["zh", "en"], typer.Option(help="Language of the page.")] = "zh",
    zone: Zone = "UTC",
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A file that is not there yet; - prints.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    db: Db = None,
) -> None:
    """Write a day's log as Markdown: parameters, results, issues, plan, commits."""
    from pathlib import Path

    from lam3db.atomic_files import new_file
    from lam3db.pipeline.log_import import noon
    from lam3db.report.daily import latest_day, render_day
    from lam3db.store.engine import open_store

    where = _zone(zone)
    if date is not None:
        noon(date)  # refuses what is no day
    with open_store(db, mode="read") as store, store.read() as conn:
        page = render_day(conn, date or latest_day(conn, where), where, lang)
    if output in (None, "-"):
        echo(page, nl=False)
        return
    with new_file(Path(str(output)), force=force) as stream:
        stream.write(page)


@app.command()
def add(
    text: Annotated[str, typer.Argument(help="A sentence, in Markdown if you like.")],
    section: Annotated[
        Literal["overview", "parameters", "progress", "issues", "plan", "sync"],
        typer.Option(help="The part of the page it goes to."),
    ] = "progress",
    heading: Annotated[str, typer.Option(help="A heading within that part.")] = "",
    date: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", show_default="today")
    ] = None,
    zone: Zone = "UTC",
    author: Author = None,
    db: Db = None,
) -> None:
    """Add a sentence to a day; in overview and sync `label: value` is a line of its own kind."""
    from datetime import datetime

    from lam3db.pipeline.log_import import noon
    from lam3db.pipeline.log_page import entry_of
    from lam3db.pipeline.provenance import provenance
    from lam3db.store.engine import open_store
    from lam3db.store.log import add_entries

    day = date or datetime.now(_zone(zone)).date().isoformat()
    noon(day)
    one = entry_of(section, heading, text)
    with open_store(db, mode="write") as store, store.write() as conn:
        new = add_entries(conn, day, [one], author or provenance().username)
    echo(f"{day}, {section}: {'added' if new else 'stands there already'}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A page of Markdown in the shape of the log.")],
    date: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", show_default="of its title")
    ] = None,
    runtime_out: Annotated[
        Path | None, typer.Option(help="Write the page's settings as a runtime config here.")
    ] = None,
    author: Author = None,
    db: Db = None,
) -> None:
    """Read a page of the log: its issues, its parameters, its sentences by section."""
    from lam3db.pipeline.log_import import import_page, page_day, page_settings
    from lam3db.pipeline.log_page import read_page
    from lam3db.pipeline.provenance import provenance
    from lam3db.store.engine import open_store

    page = read_page(file)
    settings, day = page_settings(page), page_day(page, date)
    by = author or _person(page) or provenance().username
    origin = f"{day}, from {file.name}"
    with _runtime_file(settings, runtime_out, origin), open_store(db, mode="write") as store:
        done = import_page(store, page, by, day)
    _tell(done, settings)
    if runtime_out is not None:
        echo(f"{runtime_out}: use it with --runtime {runtime_out}")


@contextlib.contextmanager
def _runtime_file(settings: PageSettings, path: Path | None, origin: str) -> Iterator[None]:
    """Write the settings as a runtime config, which takes its name when the block ends well.

    Raises:
        InputError: the page has no settings of a runtime, or there can be no such file; before
            anything is stored.

    """
    if path is None:
        yield
        return
    import yaml

    from lam3db.atomic_files import new_file
    from lam3db.errors import InputError

    if settings.runtime is None:
        why = f": {settings.why_not}" if settings.why_not else ""
        raise InputError(f"--runtime-out {path}: the page has no settings of a runtime{why}")
    value = settings.runtime.config.model_dump(mode="json")
    with new_file(path, force=False, option="--runtime-out ") as stream:
        stream.write(f"# The settings of {origin}.\n")
        yaml.safe_dump(value, stream, sort_keys=False, allow_unicode=True)
        yield


def _person(page: object) -> str | None:
    """Return whom the page names as its author."""
    from lam3db.report.daily_words import WORDS

    labels = {words.person for words in WORDS.values()}
    for one in getattr(page, "entries", ()):
        if one.fields is not None and one.fields.get("label") in labels:
            return str(one.fields["value"])
    return None


def _tell(done: ImportedPage, settings: PageSettings) -> None:
    from lam3db.cli.console import safe_text

    issues = done.issues
    echo(
        f"{done.day}: {done.entries} entries, {issues.opened} issues opened,"
        f" {issues.events} changes of issues, {issues.known} issues as they were"
    )
    for note in issues.notes:
        echo(safe_text(note), err=True)
    if settings.unused:
        echo(f"not in use, left out of the runtime: {safe_text(', '.join(settings.unused))}")
    if settings.why_not is not None:
        echo(f"its parameters are no runtime: {safe_text(settings.why_not)}", err=True)
    if settings.runtime is not None:
        for change in settings.runtime.changes:
            echo(safe_text(change))


def _zone(name: str) -> tzinfo:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from lam3db.errors import ConfigError

    try:
        if name[:1] in ("+", "-"):
            found = datetime.strptime(name, "%z").tzinfo
            return found or ZoneInfo(name)
        return ZoneInfo({"JST": "Asia/Tokyo"}.get(name, name))
    except (ValueError, OSError, KeyError):
        raise ConfigError(
            f"--tz {name}: no such time zone, write for example Asia/Tokyo or +09:00"
        ) from None
