"""``lam3db report``, ``status``, ``show`` and ``export``: what is stored, for people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli import ask, drawn
from lam3db.cli.options import Db, Excel, Where, csv_for, pairs, width
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from lam3db.metrics import Scope
    from lam3db.report.build import Report
    from lam3db.store.engine import Store

Run = Annotated[
    str | None,
    typer.Option("--run", help="Only this run's answers, cached ones too (start of its uid)."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="Only this model's answers. Repeatable.")
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        help="Only this dataset, NAME or NAME@2. Without: of each dataset the latest version "
        "that a run was made on.",
    ),
]
Output = Annotated[str | None, typer.Option("--output", "-o", help="Write to this file instead.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
export_app = typer.Typer(help="Write answers or scores to a file.", no_args_is_help=True)


def report(
    by: Annotated[
        str,
        typer.Option(
            help="Rows, by any of model, config, config.NAME (temperature, dtype ...), dataset, "
            "run, attack, category, behavior, benign; judge gives every judge its own table.",
        ),
    ] = "model,attack",
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", help="Only this judge: NAME or NAME#DIGEST. Repeatable."),
    ] = None,
    run: Run = None,
    model: Models = None,
    dataset: Dataset = None,
    where: Where = None,
    metric: ask.Metric = None,
    threshold: ask.Thresholds = None,
    attributes: ask.Attributes = False,
    rule: ask.Rule = "each",
    missing: ask.Missing = "scored",
    cluster: ask.Cluster = "behavior",
    interval: ask.Interval = "analytic",
    resamples: ask.Resamples = 2000,
    seed: ask.Seed = 0,
    output: Annotated[
        str, typer.Option("--format", "-f", help="table, markdown, csv, json, latex or html.")
    ] = "table",
    figure: drawn.FigureName = None,
    plot: drawn.Plot = False,
    examples: drawn.Examples = 2,
    file: Output = None,
    force: Force = False,
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Show ASR, toxicity and refusals, each with n, coverage and interval."""
    from lam3db.errors import ConfigError
    from lam3db.report import build_report, render
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    if excel and (plot or figure is not None):
        raise ConfigError("--excel goes with a table, not with --plot or --figure")
    scope = scope_of(run, model, dataset, where)
    question = ask.question(
        metric, threshold, attributes, rule, missing, cluster, interval, resamples, seed
    )
    names = [name.strip() for name in by.split(",") if name.strip()]
    refuse_output(file, force=force)
    with open_store(db, mode="read") as store, store.read() as conn:

        def build(keys: Sequence[str]) -> Report:
            return build_report(conn, scope, keys, judges or (), question=question)

        if figure is not None:
            drawn.write_figure(conn, figure, scope, names, build, file, force=force)
            return
        built, columns = build(names), width() if file is None else 120
        if plot:
            text = drawn.plot_text(conn, built, scope, build, columns, to_file=file is not None)
        elif output == "html":
            text = drawn.page_text(conn, store, built, scope, names, build, examples)
        else:
            text = render(built, output, columns)
    put_out(text, file, force=force, excel=excel)


def status(
    limit: Annotated[int, typer.Option(min=1, help="How many runs to list.")] = 10,
    output: Annotated[str, typer.Option("--format", "-f", help="table or json.")] = "table",
    db: Db = None,
) -> None:
    """Show what is stored, pending and failed, per model and per judge, and recent runs."""
    from lam3db.report.standing import load_status, status_json, status_text
    from lam3db.store.engine import open_store

    _check(output, "table", "json")
    with open_store(db, mode="read") as store, store.read() as conn:
        found = load_status(conn, limit)
    if output == "json":
        _print_json(status_json(found))
    else:
        _write(sys.stdout, f"Database {store.url}\n\n{status_text(found)}")


def show(
    answer: Annotated[int | None, typer.Argument(help="The id of an answer.")] = None,
    where: Where = None,
    run: Run = None,
    model: Models = None,
    dataset: Dataset = None,
    limit: Annotated[int, typer.Option(min=1, help="How many answers to show.")] = 3,
    output: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
    db: Db = None,
) -> None:
    """Show answers whole: prompt, images, settings, raw text, and every score."""
    from lam3db.report.answer import answer_json, answer_text
    from lam3db.report.scope import resolve
    from lam3db.store.answers import find_answers, load_answer
    from lam3db.store.engine import open_store

    _check(output, "text", "json")
    scope = scope_of(run, model, dataset, where)
    with open_store(db, mode="read") as store, store.read() as conn:
        ids = [answer] if answer is not None else []
        total = len(ids)
        if not ids:
            every = find_answers(conn, resolve(conn, scope)[0])
            ids, total = every[:limit], len(every)
        found = [load_answer(conn, one) for one in ids]
        find = _finder(store)
    if output == "json":
        _print_json([answer_json(one, find) for one in found])
        return
    _write(sys.stdout, "\n".join(f"{answer_text(one, find, width())}" for one in found))
    if total != len(found) or not found:
        more = "--limit shows more" if found else "`lam3db status` says what is stored"
        echo(f"{len(found)} of {total} answers shown; {more}.", err=True)


@export_app.callback()
def export() -> None:
    """Write answers or scores to a file."""


@export_app.command("generations")
def generations(
    file: Annotated[str, typer.Option("--output", "-o", help="The file; - is standard output.")],
    output: Annotated[
        str | None, typer.Option("--format", "-f", help="jsonl or csv; else by the file's name.")
    ] = None,
    run: Run = None,
    model: Models = None,
    dataset: Dataset = None,
    where: Where = None,
    force: Force = False,
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Write answers with what was posed and under which settings, one row each, texts exact.

    The columns are those of the view v_generation (`lam3db db views`): prompt, images by digest
    and by path in the media root, target, metadata, settings. JSON Lines hold lists and objects
    as such, CSV as JSON texts.
    """
    from lam3db.report.export import export_format, export_rows, with_json
    from lam3db.report.scope import resolve
    from lam3db.store.answers import JSON_COLUMNS, stream_answers
    from lam3db.store.engine import open_store

    scope = scope_of(run, model, dataset, where)
    chosen = export_format(output, file, excel=excel)
    with open_store(db, mode="read") as store, store.read() as conn:
        frame, words = resolve(conn, scope)
        columns, rows = stream_answers(conn, frame)
        values = with_json(rows, JSON_COLUMNS) if chosen == "jsonl" else rows
        count = export_rows(file, columns, values, chosen, force=force, excel=excel)
    where_to = "standard output" if file == "-" else file
    echo(f"{count} rows of {', '.join(words) or 'nothing'} to {where_to}", err=True)


def scope_of(
    run: str | None, models: list[str] | None, dataset: str | None, where: list[str] | None
) -> Scope:
    """Return the scope; ``--where`` takes model, dataset and run too."""
    from lam3db.errors import ConfigError
    from lam3db.metrics import Scope

    fields = pairs(where, "--where")
    given = {"run": run, "dataset": dataset, "model": models}
    for name in (name for name, value in given.items() if value and name in fields):
        raise ConfigError(f"--{name} and --where {name}={fields[name]}: give one of the two")
    run, dataset = fields.pop("run", run), fields.pop("dataset", dataset)
    models = [fields.pop("model")] if "model" in fields else models
    return Scope(run, tuple(models or ()), dataset, fields)


def refuse_output(file: str | None, *, force: bool) -> None:
    """Raise InputError where this file cannot be made: before the work, not after it."""
    from lam3db.atomic_files import refuse_path

    if file not in (None, "-"):
        refuse_path(Path(str(file)), force=force)


def put_out(text: str, file: str | None, *, force: bool, excel: bool = False) -> None:
    """Write to standard output, or to a new file; ``excel``: the text is CSV for Excel."""
    from lam3db.excel import write_for_excel

    write = write_for_excel if excel else _write
    if file is None or file == "-":
        write(sys.stdout, text)
        return
    from lam3db.atomic_files import new_file

    with new_file(Path(file), force=force) as stream:
        write(stream, text)


def _finder(store: Store) -> Callable[[str], str]:
    """Return a function that tells where an image lies, or why it cannot."""
    from lam3db.errors import MediaError
    from lam3db.media import MediaRoot

    root = MediaRoot(store.media_root)

    def find(sha256: str) -> str:
        try:
            return root.path(sha256)
        except MediaError as error:
            return f"({error})"

    return find


def _check(output: str, *known: str) -> None:
    from lam3db.errors import ConfigError

    if output not in known:
        raise ConfigError(f"--format {output}: write one of {', '.join(known)}")


def _print_json(value: object) -> None:
    from lam3db.cli.console import print_json

    print_json(value)


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
