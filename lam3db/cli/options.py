"""Options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar, cast

import typer

from lam3db.errors import ConfigError

Format = Literal["table", "csv", "json"]
Word = TypeVar("Word", bound=str)
Excel = Annotated[
    bool,
    typer.Option(
        "--excel",
        help="CSV as Excel opens it: marked as UTF-8, texts never taken for formulas.",
    ),
]
Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="LAM3DB_URL",
        show_default="sqlite:///lam3.db",
        help="The database: a SQLite file, or an SQLAlchemy URL.",
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(min=1, help="Send no more requests than this to the endpoint (each of them)."),
]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0, help="Spend no more US dollars than this at the endpoint (each of them)."),
]
SameFailures = Annotated[
    int,
    typer.Option(
        "--max-same-failures",
        min=0,
        help="End where nothing has succeeded and this many have failed alike; 0: never. What "
        "fails for one sample (too long, its image, a filter) does not count.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only samples with field=value: category, attack, behavior, key, benign, "
        "metadata.NAME. Repeat to narrow.",
    ),
]


def csv_for(output: Word, *, excel: bool) -> Word:
    """Return the format, CSV where ``--excel`` asks for it; raise ConfigError for another."""
    if excel and output not in ("table", "csv"):
        raise ConfigError(f"--excel is a way of CSV: leave out --format {output}")
    return cast("Word", "csv") if excel else output


def pairs(items: list[str] | None, option: str) -> dict[str, str]:
    """Read ``name=value`` words; raise ConfigError for anything else and for a name twice."""
    found: dict[str, str] = {}
    for item in items or []:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise ConfigError(f"{option} {item!r}: write name=value, for example category=plants")
        if name in found:
            raise ConfigError(f"{option} {name}: given twice ({found[name]!r} and {value!r})")
        found[name] = value
    return found


def width() -> int:
    """Return the terminal's columns, within what reads well; 120 where there is no terminal."""
    import shutil
    import sys

    if not sys.stdout.isatty():
        return 120
    return min(160, max(60, shutil.get_terminal_size().columns))


def program() -> str:
    """Return what the user types for us: ``lam3db``, or its path where it is not on the PATH."""
    import shutil
    import sys
    from pathlib import Path

    typed = sys.argv[0]
    off_path = Path(typed).name == "lam3db" and shutil.which("lam3db") is None
    return typed if off_path else "lam3db"
