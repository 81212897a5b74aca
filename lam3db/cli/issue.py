"""``lam3db issue``: problems and risks, tracked with their history."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lam3db.cli.options import Db, Excel, Format, csv_for
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from lam3db.store.failure_groups import Group
    from lam3db.store.issues import Change, Issue

app = typer.Typer(no_args_is_help=True, help="Track problems and risks, each with its history.")
Key = Annotated[str, typer.Argument(metavar="KEY", help="For example B20251112-1.")]
SeverityWord = Annotated[
    str | None, typer.Option("--severity", help="critical, high, medium, low; 高, 中, 低.")
]
StatusWord = Annotated[
    str | None,
    typer.Option(
        "--status",
        help="new, open, in_progress, partly, resolved, rejected; 新问题, 未解决, 部分解决 ...",
    ),
]
Note = Annotated[str | None, typer.Option("--note", help="A remark; the latest is shown.")]
Author = Annotated[str | None, typer.Option(help="Who says so.", show_default="your user name")]
Lang = Annotated[Literal["en", "zh"], typer.Option(help="Words for severity and status.")]


@app.command("open")
def open_(
    title: Annotated[str, typer.Argument(help="What is wrong, in one line.")],
    key: Annotated[
        str | None, typer.Option(help="A key of your own.", show_default="B<today>-<next>")
    ] = None,
    severity: SeverityWord = None,
    status: StatusWord = None,
    note: Note = None,
    author: Author = None,
    db: Db = None,
) -> None:
    """Open an issue; prints its key."""
    from lam3db.store.engine import open_store
    from lam3db.store.issues import NewIssue, open_issue

    issue = NewIssue(title, key, _change(severity, status, note))
    with open_store(db, mode="write") as store, store.write() as conn:
        echo(open_issue(conn, issue, _author(author)))


@app.command("list")
def list_issues(
    status: StatusWord = None,
    severity: SeverityWord = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved and rejected, too.")] = False,
    lang: Lang = "en",
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """List issues, open ones unless asked otherwise; failures that are left are counted."""
    from lam3db.cli.console import err, print_rows
    from lam3db.store.engine import open_store
    from lam3db.store.failure_groups import load_groups
    from lam3db.store.issue_words import shown_severity, shown_status
    from lam3db.store.issues import load_issues

    output = csv_for(output, excel=excel)
    wanted = _change(severity, status, None)
    with open_store(db, mode="read") as store, store.read() as conn:
        every, groups = load_issues(conn), load_groups(conn)
    found = [
        one
        for one in every
        if (wanted.severity in (None, one.severity) and wanted.status in (None, one.status))
        and (everything or status is not None or not one.status.is_end)
    ]
    is_table = output == "table"
    columns = ["key", "severity", "status", "description", "failures", "left", "note"]
    if is_table:
        columns.remove("left")  # told beside the failures
    rows = [
        (
            one.key,
            shown_severity(one.severity, lang),
            shown_status(one.status, lang),
            one.title,
            *(
                (_failures(groups.get(one.id, [])),)
                if is_table
                else _failure_counts(groups.get(one.id, []))
            ),
            one.note,
        )
        for one in found
    ]
    print_rows(rows, columns, output, excel=excel)
    if not every and output == "table":
        err.print("no issue yet: `lam3db issue open TITLE` opens one; failures open their own")
    elif len(found) < len(every) and output == "table":
        err.print(f"{len(found)} of {len(every)} issues; --all shows the others")


@app.command()
def show(
    key: Key,
    lang: Lang = "en",
    output: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
    db: Db = None,
) -> None:
    """Show one issue whole: history, links, and the failures behind it."""
    from lam3db.cli.console import out, print_json, safe_text
    from lam3db.store.answers import iso
    from lam3db.store.engine import open_store
    from lam3db.store.failure_groups import load_groups
    from lam3db.store.issue_words import shown_severity, shown_status
    from lam3db.store.issues import find_issue, load_links

    with open_store(db, mode="read") as store, store.read() as conn:
        issue = find_issue(conn, key)
        groups = load_groups(conn).get(issue.id, [])
        links = load_links(conn).get(issue.id, [])
    if output == "json":
        print_json(_json(issue, groups, links))
        return
    words = shown_severity(issue.severity, lang), shown_status(issue.status, lang)
    out.print(f"{safe_text(issue.key)}  [{words[0]}, {words[1]}]  {safe_text(issue.title)}")
    if issue.note:
        out.print(f"  {safe_text(issue.note)}")
    for link in links:
        out.print(f"  about: {safe_text(link)}")
    for group in groups:
        out.print(
            f"  {group.count} failures from {iso(group.first_at)[:19]} to {iso(group.last_at)[:19]}"
            f" in {len(group.runs)} runs ({', '.join(run[:8] for run in group.runs[:5])})"
        )
        left = f"{group.left} of {group.subjects} are left: lam3db retry --issue {issue.key}"
        out.print(f"  {left if group.left else 'all of them have succeeded since'}")
    for event in issue.events:
        said = " ".join(filter(None, (event.kind, event.value, event.text)))
        out.print(f"  {iso(event.at)[:19]}  {safe_text(event.author)}: {safe_text(said)}")


@app.command()
def update(
    key: Key,
    severity: SeverityWord = None,
    status: StatusWord = None,
    note: Note = None,
    author: Author = None,
    db: Db = None,
) -> None:
    """Say what has changed; what it was before stays in its history."""
    from lam3db.errors import ConfigError

    if severity is None and status is None and note is None:
        raise ConfigError("say what has changed: --severity, --status or --note")
    _write(db, key, _change(severity, status, note), author)


@app.command()
def close(key: Key, note: Note = None, author: Author = None, db: Db = None) -> None:
    """Say that an issue is resolved."""
    _write(db, key, _change(None, "resolved", note), author)


@app.command()
def link(
    key: Key,
    run: Annotated[str | None, typer.Option(help="A run, by the start of its id.")] = None,
    model: Annotated[str | None, typer.Option(help="A model version, by name or digest.")] = None,
    judge: Annotated[str | None, typer.Option(help="A judge, by name or digest.")] = None,
    generation: Annotated[int | None, typer.Option(help="An answer, by its number.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Failures of one cause: `fingerprint` of table `failure`.")
    ] = None,
    author: Author = None,
    db: Db = None,
) -> None:
    """Say what an issue is about."""
    from lam3db.pipeline.issue_links import Named, find_link
    from lam3db.store.engine import open_store
    from lam3db.store.issues import link_issue

    named = Named(run, model, judge, generation, fingerprint)
    with open_store(db, mode="write") as store, store.write() as conn:
        is_new = link_issue(conn, key, find_link(conn, named), _author(author))
    echo(f"{key}: {'linked' if is_new else 'was linked so already'}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .md page or .csv with a table of issues.")],
    author: Author = None,
    db: Db = None,
) -> None:
    """Take over a table with the columns ID, description, severity, status, note."""
    from lam3db.cli.console import safe_text
    from lam3db.pipeline.issue_tables import read_issues, store_issues
    from lam3db.store.engine import open_store

    issues = read_issues(file)
    with open_store(db, mode="write") as store, store.write() as conn:
        done = store_issues(conn, issues, _author(author))
    echo(f"{done.opened} opened, {done.events} changes, {done.known} as they were")
    for note in done.notes:
        echo(safe_text(note), err=True)


def _write(db: str | None, key: str, change: Change, author: str | None) -> None:
    from lam3db.store.engine import open_store
    from lam3db.store.issues import change_issue

    with open_store(db, mode="write") as store, store.write() as conn:
        events = change_issue(conn, key, change, _author(author))
    echo(f"{key}: {events} changes" if events else f"{key}: nothing has changed")


def _change(severity: str | None, status: str | None, note: str | None) -> Change:
    from lam3db.store.issue_words import read_severity, read_status
    from lam3db.store.issues import Change

    return Change(
        read_severity(severity) if severity is not None else None,
        read_status(status) if status is not None else None,
        note,
    )


def _author(given: str | None) -> str:
    from lam3db.pipeline.provenance import provenance

    return given or provenance().username


def _failures(groups: list[Group]) -> str:
    if not groups:
        return ""
    count, left = _failure_counts(groups)
    return f"{count}, {left} left" if left else f"{count}, all succeeded since"


def _failure_counts(groups: list[Group]) -> tuple[int, int]:
    """Return how many attempts failed, and how many of what they were at is left."""
    return sum(one.count for one in groups), sum(one.left for one in groups)


def _json(issue: Issue, groups: list[Group], links: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    from lam3db.store.answers import iso

    found = asdict(issue) | {"opened_at": iso(issue.opened_at), "links": links}
    del found["id"]
    found["events"] = [asdict(one) | {"at": iso(one.at)} for one in issue.events]
    found["failures"] = [
        asdict(one) | {"first_at": iso(one.first_at), "last_at": iso(one.last_at)} for one in groups
    ]
    return found
