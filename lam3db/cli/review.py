"""``lam3db review``: answers for people to label, out as files and back."""

from __future__ import annotations

import shlex
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db, Excel, Format, csv_for
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    no_args_is_help=True, help="Let people label answers: draw, export, import, status, queue."
)
Part = Literal["estimation", "training"]
Name = Annotated[str, typer.Option("--name", help="The review.")]
Annotator = Annotated[
    str, typer.Option("--annotator", "-a", help="A pseudonym: letters, digits and _ . -")
]


@app.command()
def sample(
    name: Annotated[str, typer.Option("--name", help="A name for the review.")],
    random: Annotated[
        int, typer.Option("--random", min=0, help="Answers drawn by lot, to estimate from.")
    ] = 0,
    disputed: Annotated[
        int, typer.Option("--disputed", min=0, help="Most disputed answers, to fit judges on.")
    ] = 0,
    judges: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", help="Whose opinions differ: NAME or NAME#DIGEST."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same.")] = 0,
    stratify: Annotated[
        bool, typer.Option("--stratify", help="As many answers of each behavior as there can be.")
    ] = False,
    labels: Annotated[
        str, typer.Option(help="What people write: safety, refusal, or grade:1-5.")
    ] = "safety",
    run: Annotated[str | None, typer.Option(help="Only this run's answers.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's answers.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only answers to this dataset.")] = None,
    db: Db = None,
) -> None:
    """Draw answers that nobody has labelled: a random part, a disputed part, never both."""
    from lam3db.pipeline.review_labels import read_scheme
    from lam3db.pipeline.review_sample import Draw, sample_review
    from lam3db.store.engine import open_store
    from lam3db.store.pending import ScoreScope

    draw = Draw(
        name=name,
        random=random,
        disputed=disputed,
        judges=tuple(judges or ()),
        seed=seed,
        stratified=stratify,
        labels=read_scheme(labels).written,
        scope=ScoreScope(run, model, dataset),
    )
    with open_store(db, mode="write") as store:
        drawn = sample_review(store, draw)
    parts = []
    if drawn.random:
        parts.append(f"{drawn.random} of {drawn.frame} answers for estimation")
    if drawn.disputed:
        parts.append(f"{drawn.disputed} for training (disputed by {drawn.least:.2f} bits or more)")
    echo(f"{drawn.name}: {', '.join(parts)}")
    echo(f"Next: lam3db review export --name {drawn.name} --annotator NAME -o items.xlsx")


@app.command()
def export(
    name: Name,
    annotator: Annotator,
    file: Annotated[Path, typer.Option("--output", "-o", help="A file .csv or .xlsx.")],
    part: Annotated[Part | None, typer.Option(help="Only this part.")] = None,
    show: Annotated[
        str, typer.Option(help="What is shown: response,prompt,behavior,image,reasoning.")
    ] = "response,prompt,behavior",
    disputed: Annotated[
        bool, typer.Option("--disputed", help="Only what annotators differ on: to adjudicate.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    db: Db = None,
) -> None:
    """Write a review for one annotator: blind, shuffled, with empty columns to fill in."""
    from lam3db.atomic_files import new_binary
    from lam3db.pipeline.review_export import Export, export_review
    from lam3db.pipeline.review_files import file_kind
    from lam3db.pipeline.review_labels import read_shown
    from lam3db.store.engine import open_store

    folder = file.with_name(f"{file.stem}_images")
    asked = Export(name, annotator, read_shown(show), file_kind(file), folder.name, part, disputed)
    with open_store(db, mode="read") as store:
        made = export_review(store, asked)
    with new_binary(file, force=force) as stream:
        if made.images:
            folder.mkdir(exist_ok=True)
        for image, data in made.images.items():
            with new_binary(folder / image, force=True) as picture:
                picture.write(data)
        stream.write(made.content)
    left_out = f", {made.withheld} withheld" if made.withheld else ""
    images = f", {len(made.images)} images in {folder}" if made.images else ""
    echo(f"{made.items} items in {file}{images}{left_out}")
    echo(f"Fill the column label with one of {', '.join(made.labels)}; then:")
    command = f"lam3db review import {shlex.quote(str(file))} --annotator {annotator}"
    echo(f"  {command} --guideline FILE{' --adjudicate' * disputed}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that `review export` wrote.")],
    annotator: Annotator,
    guideline: Annotated[
        Path, typer.Option("--guideline", help="The file that tells annotators what to do.")
    ],
    review: Annotated[str | None, typer.Option("--review", help="It must be of this one.")] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="These labels decide between annotators.")
    ] = False,
    revise: Annotated[
        bool, typer.Option("--revise", help="Labels that changed become revisions.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why they changed.")] = None,
    db: Db = None,
) -> None:
    """Read labels back: all of them or, where a cell is wrong, none."""
    from lam3db.errors import ConfigError
    from lam3db.pipeline.review_import import Import, import_labels
    from lam3db.store.engine import open_store

    if revise != (reason is not None):
        raise ConfigError("--revise and --reason TEXT go together")
    asked = Import(file, annotator, guideline, review, adjudicate, reason)
    with open_store(db, mode="write") as store:
        done = import_labels(store, asked)
    echo(
        f"{done.judge} [{done.digest[:8]}], review {done.review}: {done.new} new labels, "
        f"{done.revised} revised, {done.unchanged} as stored, {done.open} open"
    )


@app.command()
def status(
    name: Annotated[str | None, typer.Option("--name", help="Only this review.")] = None,
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Show how far each review is: labels, agreement (a raw count), disputes."""
    from lam3db.cli.console import print_rows
    from lam3db.pipeline.review_status import COLUMNS, review_status
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    with open_store(db, mode="read") as store:
        rows = [part.row() for part in review_status(store, name)]
    if output != "json":
        rows = [row | {"annotators": _people(row["annotators"])} for row in rows]
    print_rows([[row[column] for column in COLUMNS] for row in rows], COLUMNS, output, excel=excel)


def _people(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in labels.items())


@app.command()
def queue(
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", help="Only this judge; else all ensembles.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 50,
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """List answers on which ensembles abstained and that nobody has labelled."""
    from lam3db.cli.console import print_rows
    from lam3db.store import reviews
    from lam3db.store.engine import open_store

    output = csv_for(output, excel=excel)
    with open_store(db, mode="read") as store, store.read() as conn:
        only = None if judge is None else reviews.find_judge(conn, judge).id
        waiting = reviews.queue(conn, only)
    rows = [(one.generation_id, one.judge, one.explanation) for one in waiting[:limit]]
    print_rows(rows, ("answer", "judge", "why"), output, excel=excel)
    if len(waiting) > limit:
        echo(f"{limit} of {len(waiting)}; --limit shows more", err=True)
    if waiting:
        echo(
            "`lam3db review sample --name NAME --disputed N --judge JUDGE` draws from these",
            err=True,
        )
