"""``lam3db bundle``: answers carried to where a judge can be reached."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db, program
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from lam3db.pipeline.bundle import BundleResult

app = typer.Typer(help="Carry answers to a host where a judge can be reached.")


@app.callback()
def bundle() -> None:
    """Carry answers to a host where a judge can be reached, and its scores back."""


@app.command()
def create(
    names: Annotated[
        list[str],
        typer.Option("--judge", "-j", help="Name of a judge config, or a YAML file. Repeatable."),
    ],
    file: Annotated[Path, typer.Option("--output", "-o", help="The file to make.")],
    run: Annotated[str | None, typer.Option(help="Only this run's answers.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's answers.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only answers to this dataset.")] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Leave out prompts and labels that no judge sees.")
    ] = False,
    db: Db = None,
) -> None:
    """Write what these judges have pending, and what they need to see of it, to a file.

    The file is a lam3db database. Images come along in a folder beside it, if a judge sees
    them. Judge it elsewhere with `lam3db judge --pending --db FILE`, bring it back, and
    `lam3db merge FILE`. No key or password is ever in it.
    """
    from lam3db.cli.progress import Bar
    from lam3db.pipeline.bundle import create_bundle
    from lam3db.pipeline.provenance import provenance
    from lam3db.store.copies import note_copy
    from lam3db.store.engine import open_store
    from lam3db.store.pending import ScoreScope

    scope = ScoreScope(run, model, dataset)
    with open_store(db, mode="read") as store, Bar() as bar:
        result = create_bundle(store, names, file, scope, redact=redact, watch=bar)
    if result.path is not None:
        left = note_copy(db, "bundle", result.path, provenance().username)
        if left is not None:
            echo(f"the bundle is not noted in the database: {left}", err=True)
    _tell(result, names)


def _tell(result: BundleResult, names: list[str]) -> None:
    """Say what is in it, and what to type there and back here."""
    import shlex

    for identity, count in zip(result.judges, result.pending, strict=True):
        echo(f"{identity.name} [{identity.digest.hex()[:8]}]: {count} answers to judge")
    if result.path is None or result.bundled is None:
        echo("nothing is pending: no file was made")
        return
    bundled = result.bundled
    echo(
        f"{result.path}: {bundled.generations} answers to {bundled.samples} samples,"
        f" {len(bundled.images)} images in {result.media}"
        if result.media
        else f"{result.path}: {bundled.generations} answers to {bundled.samples} samples"
    )
    echo(f"left out: {', '.join(result.left_out) or 'nothing'}")
    file = shlex.quote(result.path.name)
    judges = " ".join(f"--judge {shlex.quote(name)}" for name in names)
    media = "LAM3DB_MEDIA= " if result.media else ""
    carried = f"{file} and the folder {result.media.name} beside it" if result.media else file
    echo(f"Carry {carried}; there, with the same judge files and their keys:")
    echo(f"  {media}lam3db judge --pending {judges} --db {file}")
    echo("and back here:")
    echo(f"  {program()} merge {file}")
