"""``lam3db ensemble``: fitting judges of judges."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from lam3db.pipeline.fit_file import FitFile

app = typer.Typer(no_args_is_help=True, help="Fit judges that are made of other judges.")


@app.callback()
def ensemble() -> None:
    """Fit judges that are made of other judges."""


@app.command()
def fit(
    config: Annotated[str, typer.Argument(help="An ensemble: a judge config's name or file.")],
    file: Annotated[Path, typer.Option("--output", "-o", help="The judge file to write.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Whose labels: NAME or NAME#DIGEST of a judge of kind human."),
    ] = None,
    part: Annotated[
        Literal["training", "estimation"], typer.Option(help="Labels of which part of reviews.")
    ] = "training",
    method: Annotated[
        str | None, typer.Option(help="For rule calibrated: platt or isotonic.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation, by behavior.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds.")] = 0,
    spend_estimation: Annotated[
        bool, typer.Option("--spend-estimation", help="Allow --part estimation.")
    ] = False,
    run: Annotated[str | None, typer.Option(help="Dawid-Skene: only this run's answers.")] = None,
    model: Annotated[str | None, typer.Option(help="Dawid-Skene: only this model's.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Dawid-Skene: only to this dataset.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    db: Db = None,
) -> None:
    """Fit calibration, stacking or error rates; show quality on held-out labels; write a judge."""
    from lam3db.atomic_files import new_file, refuse_path
    from lam3db.cli.progress import Bar
    from lam3db.config import load_judge_config
    from lam3db.errors import InputError
    from lam3db.pipeline.fit_file import FitJob, fit_ensemble
    from lam3db.store.engine import open_store
    from lam3db.store.pending import ScoreScope

    if file.suffix not in (".yaml", ".yml"):
        raise InputError(f"-o {file}: name a file that ends in .yaml")
    refuse_path(file, force=force)
    job = FitJob(
        config=load_judge_config(config),
        name=file.stem,
        labels=labels,
        part=part,
        method=method,
        folds=folds,
        seed=seed,
        spend_estimation=spend_estimation,
        scope=ScoreScope(run, model, dataset),
    )
    with open_store(db, mode="read") as store, Bar() as bar:
        found = fit_ensemble(store, job, bar)
    with new_file(file, force=force) as stream:
        stream.write(found.text)
    for line in told(found, part):
        echo(line)
    echo(f"{file.stem} [{found.digest[:8]}] in {file}")
    echo(f"Next: lam3db judge --pending --judge {file}")


def told(found: FitFile, part: str) -> list[str]:
    """Return what there is to know of a fit on this part of a review, line by line."""
    lines = []
    if found.used:
        left_out = f"{found.skipped} skips and {found.incomplete} without a member's score left out"
        lines.append(f"{found.used} labels used, {left_out}")
    if found.measured is not None:
        m = found.measured
        lines.append(f"n = {m.n} answers in {m.clusters} behaviors ({found.how}):")
        lines.append(
            f"  accuracy {m.accuracy:.3f} (always the commoner label: {m.base_rate:.3f}), "
            f"Brier {m.brier:.3f}, log loss {m.log_loss:.3f}, ECE {m.ece:.3f}"
        )
        if part == "training":
            lines.append("  measured on answers that were drawn as disputed, not on all answers")
        if m.accuracy <= m.base_rate:
            lines.append("  WARNING: no better than always giving the commoner label")
    return lines
