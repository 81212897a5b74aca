"""``lam3db dataset``: what models are asked, added, listed and shown."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db, Excel, csv_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.progress import TaskID

    from lam3db.pipeline.ingest import IngestResult

app = typer.Typer(help="Add, list and show datasets.", no_args_is_help=True)

Output = Annotated[
    Literal["table", "csv", "json"],
    typer.Option("--format", help="How to print: for people or programs."),
]
_CLIPPED = 60
_NAMED = 8


@app.command()
def add(
    path: Annotated[
        Path, typer.Argument(help="A .jsonl, .csv or .tsv file, or a folder with one.")
    ],
    layout: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="The published format of the files: figstep, harmbench ...; "
            "`lam3db dataset formats` lists them. Without it, the file is one of your own.",
        ),
    ] = None,
    missing_images: Annotated[
        Literal["error", "skip"],
        typer.Option(
            help="With --format, what to do about samples whose images are not there: "
            "refuse the files, or leave those samples out and say how many."
        ),
    ] = "error",
    name: Annotated[
        str | None, typer.Option(help="The dataset's name; the file's or folder's if not given.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Which column holds a field: key, prompt, messages, image, images, behavior, "
            "category, attack, target or benign (benign=COLUMN:WORD|WORD: where it holds one of "
            "these words). Repeatable.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder of the images, if not the file's own.")
    ] = None,
    source: Annotated[str, typer.Option(help="Where it comes from: a URL, a paper.")] = "",
    licence: Annotated[str, typer.Option(help="Its licence.")] = "",
    db: Db = None,
) -> None:
    """Add a dataset; a changed file makes a new version beside the old one.

    Every image is opened once and kept under its digest. If anything in the file is wrong,
    everything that is wrong is told and nothing is stored.
    """
    from lam3db.cli.options import pairs
    from lam3db.datasets.load import Options
    from lam3db.pipeline.ingest import read_dataset, store_dataset
    from lam3db.resources import find_path
    from lam3db.store.engine import open_store

    skips = missing_images == "skip"
    options = Options(
        name, pairs(mapping, "--map"), images, source, licence, skips_missing=skips, layout=layout
    )
    with _progress() as tick:
        loaded = read_dataset(find_path(str(path)) or path, options, tick)
        with open_store(db, mode="write") as store:
            result = store_dataset(store, loaded, tick)
    _tell(result)


@app.command("list")
def list_datasets(output: Output = "table", excel: Excel = False, db: Db = None) -> None:
    """List the datasets and their versions; source and licence with `--format json`."""
    from lam3db.cli.console import print_rows
    from lam3db.store.engine import open_store
    from lam3db.store.reads import list_datasets as stored

    output = csv_for(output, excel=excel)
    columns = [
        "name",
        "version",
        "samples",
        "behaviors",
        "categories",
        "attacks",
        "benign",
        "images",
    ]
    if output != "table":  # long, and of use to programs
        columns += ["source", "licence"]
    with open_store(db, mode="read") as store, store.read() as conn:
        infos = stored(conn)
    rows = [
        [*(getattr(info, name) for name in columns), f"{info.created_at:%Y-%m-%dT%H:%M:%SZ}"]
        for info in infos
    ]
    columns.append("created_at")
    print_rows(rows, columns, output, excel=excel)


@app.command()
def formats(output: Output = "table", excel: Excel = False) -> None:
    """List the published formats that `dataset add --format` reads.

    Each with its files at their published paths, what makes a behavior (the unit that
    intervals are clustered by), how a record is posed, and where its images belong.
    """
    from lam3db.cli.console import print_rows
    from lam3db.datasets.published import FORMATS, published_format

    output = csv_for(output, excel=excel)
    columns = ("name", "title", "files", "images", "samples", "behavior", "source", "licence")
    known = {name: published_format(name) for name in sorted(FORMATS)}
    rows = [
        (
            *(name, one.title, ", ".join(file.path for file in one.files), one.images),
            *(one.samples, one.behavior, one.source, one.licence or "see its source"),
        )
        for name, one in known.items()
    ]
    print_rows(rows, columns, output, excel=excel)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A dataset: NAME (its newest version) or NAME@2.")],
    limit: Annotated[int, typer.Option(min=1, help="How many samples at most.")] = 20,
    output: Output = "table",
    excel: Excel = False,
    db: Db = None,
) -> None:
    """Show samples of a dataset; whole texts with `--format json`."""
    from lam3db.cli.console import err, print_rows
    from lam3db.store.engine import open_store
    from lam3db.store.reads import find_dataset
    from lam3db.store.samples import selection_samples

    output = csv_for(output, excel=excel)
    with open_store(db, mode="read") as store, store.read() as conn:
        dataset = find_dataset(conn, name)
        samples = selection_samples(conn, dataset.selection_id, limit)
    columns = ("key", "behavior", "category", "attack", "benign", "prompt", "images")
    rows = [
        (
            sample.key,
            _clipped(sample.behavior, output),
            sample.category,
            sample.attack,
            sample.is_benign,
            _clipped(sample.prompt, output),
            _shown_images(sample.images, output),
        )
        for sample in samples
    ]
    print_rows(rows, columns, output, excel=excel)
    if output == "table":
        err.print(
            f"{dataset.name}@{dataset.version}: {len(rows)} of {dataset.sample_count} samples"
        )


def _tell(result: IngestResult) -> None:
    """Print what came in and what to type next."""
    from lam3db.cli.console import err, out, print_rows

    for note in result.notes:
        err.print(f"note: {note}", style="dim")
    state = "new" if result.is_new else "unchanged: it was stored before"
    out.print(f"{result.name}@{result.version}  {state}")
    rows = [
        ("samples", result.samples, ""),
        ("behaviors", result.behaviors, ""),
        ("categories", len(result.categories), _counts(result.categories)),
        ("attacks", len(result.attacks), _counts(result.attacks)),
        ("benign", result.benign, ""),
        ("images", result.images, f"in {result.with_image} samples"),
    ]
    print_rows(rows, ("", "count", ""), "table")
    out.print(f"Next: lam3db generate --model demo-llava --dataset {result.name}")


def _counts(names: Mapping[str, int]) -> str:
    """Return the most frequent names with their counts."""
    ordered = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name or '(none)'} {count}" for name, count in ordered[:_NAMED]]
    rest = len(ordered) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "")


def _clipped(text: str | None, output: str) -> str | None:
    from lam3db.cli.console import safe_text

    return safe_text(text, _CLIPPED) if text is not None and output == "table" else text


def _shown_images(images: tuple[str, ...], output: str) -> object:
    if output == "json":
        return list(images)
    return " ".join(sha256[:12] if output == "table" else sha256 for sha256 in images)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Draw bars on stderr, where that is a terminal; yield what moves them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lam3db.cli.console import err

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as drawn:
        tasks: dict[str, TaskID] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = drawn.add_task(what, total=total)
            drawn.update(tasks[what], completed=done)

        yield tick
