"""``lam3db purge``: taking out what must not be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli.options import Db
from lam3db.cli.streams import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.store.copies import Copy
    from lam3db.store.purge import Plan


def purge(
    reason: Annotated[str, typer.Option(help="Why; it is recorded for good.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME[@VERSION]", help="Every sample of it.")
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Only these samples (of --dataset, if given). Repeatable."
        ),
    ] = None,
    media: Annotated[
        list[str] | None, typer.Option(metavar="SHA256", help="These images. Repeatable.")
    ] = None,
    generation: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="These answers. Repeatable.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides.", show_default="your user name")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; there is no way back.")] = False,
    db: Db = None,
) -> None:
    """Take texts and images out that must not be kept: unlawful, personal, licence withdrawn.

    Their bodies leave the database and the media root; digests, scores and counts stay, and
    who did it and why. A sample takes with it the answers to it, what judges quoted, and
    images that no other sample shows. Without --yes it tells what would go.
    """
    from lam3db.errors import ConfigError
    from lam3db.pipeline import purge as purging
    from lam3db.pipeline.provenance import provenance
    from lam3db.store.engine import open_store
    from lam3db.store.purge import Target

    if not reason.strip():
        raise ConfigError("--reason is blank: say why, for whoever asks later")
    target = Target(dataset, tuple(sample or ()), tuple(media or ()), tuple(generation or ()))
    if not yes:
        with open_store(db, mode="read") as store:
            plan, known = purging.plan_purge(store, target)
        _tell(plan, known, "would go")
        echo("Nothing was changed: --yes does it, and there is no way back.")
        return
    with open_store(db, mode="write") as store:
        done = purging.purge(store, target, author or provenance().username, reason)
    _tell(done.plan, done.copies, "withheld")
    echo(f"{done.files} image files removed")
    if done.left is not None:
        echo(f"Not wiped everywhere: {done.left}", err=True)


def _tell(plan: Plan, known: Sequence[Copy], done: str) -> None:
    from lam3db.cli.console import safe_text

    counts = {
        "samples": plan.samples,
        "aims": plan.behaviors,
        "images": plan.media,
        "answers": plan.generations,
        "findings": plan.findings,
        "messages of failures": plan.failures,
    }
    listed = ", ".join(f"{len(ids)} {what}" for what, ids in counts.items() if ids)
    echo(f"{done}: {listed or 'nothing that is not withheld already'}")
    if plan.kept_images:
        echo(f"{plan.kept_images} images stay, other samples show them (--media names one)")
    if plan.elsewhere:
        echo(f"the same samples lie in: {safe_text(', '.join(plan.elsewhere))}")
    echo("What people wrote stays: look for quotes in `lam3db issue list` and the daily log.")
    echo("Exports, reports and reviews in files are not known here. Copies that are:")
    for one in known:
        made = f" made {one.made_at:%Y-%m-%d %H:%M}Z on {one.host}" if one.made_at else ""
        echo(f"  {one.kind} {safe_text(one.path)}{safe_text(made)}")
    if not known:
        echo("  none")
