"""``lam3db log``: the daily log."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="The daily log: show, add, import.")
