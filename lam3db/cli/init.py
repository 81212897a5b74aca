"""``lam3db init``: starter configs for someone who installed the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lam3db.cli.streams import echo


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where the folder `configs` goes; made if it is not there.")
    ] = Path(),
) -> None:
    """Copy the starter configs; a file that is there is never overwritten."""
    written, kept = copy_configs(folder)
    for path in written:
        echo(f"wrote  {path}")
    for path in kept:
        echo(f"kept   {path}")
    echo(f"{len(written)} written, {len(kept)} kept")
    echo("")
    echo("Next:")
    if folder.resolve() != Path.cwd():
        echo(f"  cd {folder}")
    echo("  lam3db doctor                        what is ready, and what is missing")
    echo("  lam3db run demo                      two small models, two judges, one table")
    echo("  $EDITOR configs/models/llava-1.5-7b.yaml   `source:` the folder of your weights")
    echo("  lam3db run lab                       the same with LLaVA-1.5-7B and IDEFICS2-8B")


def copy_configs(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy what ships below ``configs`` to ``folder/configs``; return (written, kept).

    Raises:
        ConfigError: the folder cannot be written to; what was copied before stays.

    """
    from lam3db.resources import shipped

    written: list[Path] = []
    kept: list[Path] = []
    root = shipped("configs")
    for source in sorted(root.rglob("*.yaml")):
        target = folder / "configs" / source.relative_to(root)
        (written if _copy(source, target) else kept).append(target)
    return written, kept


def _copy(source: Path, target: Path) -> bool:
    """Copy a file whole or not at all; return False where there is one already."""
    import contextlib

    from lam3db.errors import ConfigError

    made = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            made = True
            stream.write(source.read_bytes())
    except FileExistsError:
        if target.is_file():
            return False
        raise ConfigError(f"{target} cannot be written: something else is in the way") from None
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                target.unlink()
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}") from error
    return True
