"""The judges there are to choose from: what each sees, gives and costs, its licence, its flaw.

Read from the config files alone: nothing is loaded or looked for, so a judge whose weights are
elsewhere is listed too. The table in ``configs/judges/README.md`` is made of it.
"""

from __future__ import annotations

from lam3db.config import list_configs, load_judge_config

COLUMNS = ("judge", "kind", "sees", "gives", "costs", "licence", "weakness")


def catalog() -> list[tuple[str, ...]]:
    """Return one row of ``COLUMNS`` per judge config, by name; raise ConfigError."""
    rows: list[tuple[str, ...]] = []
    for name in list_configs("judges"):
        config = load_judge_config(name)
        about = config.about
        seen = (about.sees, about.gives, about.costs, about.licence, about.weakness)
        rows.append((config.name, config.kind, *seen))
    return rows


def markdown() -> str:
    """Return the table as Markdown, ending in a line feed."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *((f"`{row[0]}`", *row[1:]) for row in catalog())]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
