"""Which column of a file holds which field.

A column of a field's own name is taken; then, where that leaves no doubt, a column with a
name others use for it. What must hold: every column taken under another name is told, and
where two could be meant nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.datasets.faults import Faults

ALIASES: Mapping[str, tuple[str, ...]] = {
    "key": ("id", "sample_id"),
    "prompt": ("question", "query", "text", "instruction", "forbidden_prompt", "goal"),
    "messages": (),
    "image": ("image_path", "img_path", "img", "image_file"),
    "images": ("image_paths",),
    "behavior": ("behaviour", "goal"),
    "category": ("category_name",),
    "attack": ("attack_type", "attack_method"),
    "target": (),
    "benign": ("is_benign",),
}
"""Field -> names of columns taken for it. The order of fields is the order of choosing."""


@dataclass(frozen=True, slots=True)
class BenignRule:
    """Samples are benign where a column holds one of these words, and else are not.

    Written ``benign=COLUMN:WORD|WORD``; compared without case and outer blanks.
    """

    column: str
    words: frozenset[str]

    def word_of(self, values: Mapping[str, Any]) -> str:
        """Return the word of a row, ``""`` where it has none."""
        value = values.get(self.column)
        return "" if value is None else str(value).strip().casefold()


@dataclass(frozen=True, slots=True)
class Columns:
    """Field -> column, and what the user should know of the choice."""

    of: Mapping[str, str]
    notes: tuple[str, ...]
    benign: BenignRule | None = None


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Raise ConfigError for a field that does not exist, with what was probably meant."""
    for field, column in mapping.items():
        if field in ALIASES:
            continue
        hint = did_you_mean(field, list(ALIASES))
        if column in ALIASES:
            hint = f" - the field comes first: --map {column}={field}"
        raise ConfigError(f"--map {field}={column}: there is no field {field!r}{hint}")


def choose_columns(names: Sequence[str], mapping: Mapping[str, str], faults: Faults) -> Columns:
    """Return the choice for a file with these columns; doubts are noted as faults."""
    chosen: dict[str, str] = {}
    notes: list[str] = []
    rule = None
    for field, column in mapping.items():
        if column in names:
            chosen[field] = column
        elif field == "benign" and column.rpartition(":")[0] in names:
            rule = _rule(column)
        else:
            hint = did_you_mean(column, names)
            faults.add(None, None, f"--map {field}={column}: no column {column!r}{hint}")
    taken = set(mapping.values())
    for field in ALIASES:
        if field in mapping:
            continue
        if field == "benign" and rule is not None:
            continue
        found = _candidates(field, [name for name in names if name not in taken])
        if len(found) > 1:
            which = " or ".join(map(repr, found))
            faults.add(None, None, f"is {which} the {field}? Say which: --map {field}={found[0]}")
        elif found:
            chosen[field] = found[0]
            taken.add(found[0])
            if found[0] != field:
                notes.append(f"column {found[0]!r} is taken as {field}")
    _check_posed(chosen, names, mapping, faults)
    return Columns(chosen, tuple(notes), rule)


def _rule(written: str) -> BenignRule:
    column, _, words = written.rpartition(":")
    return BenignRule(column, frozenset(word.strip().casefold() for word in words.split("|")))


def _candidates(field: str, names: Sequence[str]) -> list[str]:
    """Return the columns that may hold a field: by its own name, else by another."""
    if field in names:
        return [field]
    same = [name for name in names if _plain(name) == field]
    return same or [name for name in names if _plain(name) in ALIASES[field]]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _check_posed(
    chosen: Mapping[str, str], names: Sequence[str], mapping: Mapping[str, str], faults: Faults
) -> None:
    asked = chosen.keys() | mapping.keys()
    if not asked & {"prompt", "messages"} and not faults.count:
        known = ", ".join(map(repr, names))
        faults.add(None, None, f"no column for the prompt: say --map prompt=COLUMN (of {known})")
