"""``lam3db doctor``: what is ready, what is not, and what to do about it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lam3db.cli.options import Db

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.pipeline.doctor_check import Check

_MARGIN = 8
_ROOM = 20
_MARKS = {"ok": ("✓", "ok", "green"), "warn": ("!", "!", "yellow"), "fail": ("✗", "FAULT", "red")}


def doctor(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Look at this model only; a fault is an error."),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option("--judge", "-j", help="Look at this judge only; a fault is an error."),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Ask the endpoints of judges and models instead; exit code 3 where one fails.",
        ),
    ] = False,
    output: Annotated[
        Literal["table", "json"], typer.Option("--format", help="table or json.")
    ] = "table",
    runtime: Annotated[
        str | None,
        typer.Option(help="The runtime config that models are held to: `max_new_tokens` ..."),
    ] = None,
    db: Db = None,
) -> None:
    """Check everything that can be known before a GPU starts; exit code 1 for a fault."""
    checks = _reached(model or (), judge or ()) if online else _examined(db, model, judge, runtime)
    if output == "json":
        from dataclasses import asdict

        from lam3db.cli.console import print_json

        print_json([asdict(check) for check in checks])
    else:
        show(checks)
    if any(check.state == "fail" for check in checks):
        from lam3db.cli import SOME_FAILED

        raise typer.Exit(SOME_FAILED if online else 1)


def _examined(
    db: str | None, model: list[str] | None, judge: list[str] | None, runtime: str | None
) -> list[Check]:
    from lam3db.pipeline.doctor import examine

    return examine(db, model or (), judge or (), runtime)


def _reached(models: Sequence[str], judges: Sequence[str]) -> list[Check]:
    from lam3db.pipeline.online import reach

    return reach(models, judges)


def show(checks: Sequence[Check]) -> None:
    """Print each check on a line, with its cure below it where there is a fault."""
    from rich.text import Text

    from lam3db.cli.console import out, safe_text

    unicode = out.encoding.lower().startswith("utf")
    width = max((len(check.name) for check in checks), default=0)
    room = out.width - width - _MARGIN if out.is_terminal else 0
    cures = [f"cure: {safe_text(check.cure)}" for check in checks if check.cure]
    fits = not room or all(len(cure) <= room for cure in cures)  # a command is copied whole
    for check in checks:
        sign, word, colour = _MARKS[check.state]
        mark = sign if unicode else word
        margin = " " * (len(mark) + width + 3)
        first, *more = _folded(safe_text(check.detail), room) or [""]
        out.print(Text(mark, style=f"bold {colour}"), f"{check.name:<{width}}  {first}")
        for line in more:
            out.print(f"{margin}{line}")
        if check.cure and check.cure not in check.detail:
            lead = margin if fits else "  "
            out.print(Text(f"{lead}cure: {safe_text(check.cure)}", style=colour))
    faults = sum(check.state == "fail" for check in checks)
    warnings = sum(check.state == "warn" for check in checks)
    verdict = f"{faults} fault{'s' * (faults != 1)}" if faults else "no faults"
    out.print(f"\n{verdict}, {warnings} warning{'s' * (warnings != 1)}")


def _folded(text: str, room: int) -> list[str]:
    """Return the lines of a text, folded between words where a terminal leaves so much room."""
    lines = text.splitlines()
    if room < _ROOM:
        return lines
    fold = textwrap.TextWrapper(room, break_on_hyphens=False, break_long_words=False)
    return [part for line in lines for part in fold.wrap(line)]
