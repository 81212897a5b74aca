"""What a merge did, in figures and sentences.

What must hold: every row of the source that was looked at is counted as new or as known, and
whatever differs on the two sides is told by name, the first of each kind in full.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

NAMED = 100
"""How many notes of one kind are kept as sentences; all are counted."""


@dataclass(slots=True)
class MergeReport:
    """Rows by table, and what differed.

    ``notes`` are sentences by kind: ``variant``, ``opinion``, ``revision``, ``policy``,
    ``dataset``, ``issue``, ``review``, ``withheld``, ``run``, ``judge``; ``counts`` how often
    each kind came up. Merging the same again leaves ``changes`` at 0.
    """

    new: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[str]] = field(default_factory=dict)
    updated: int = 0
    is_bundle: bool = False

    def add(self, table: str, new: int, known: int) -> None:
        """Count rows of a table."""
        self.new[table] += new
        self.known[table] += known

    def note(self, kind: str, sentence: str, count: int = 1) -> None:
        """Keep what a person ought to hear, ``count`` times at once where it is not kept."""
        if not count:
            return
        kept = self.notes.setdefault(kind, [])
        self.counts[kind] += count
        if len(kept) < NAMED and sentence:
            kept.append(sentence)

    @property
    def changes(self) -> int:
        """How many rows the target gained, or had withheld, moved on or put in order."""
        return sum(self.new.values()) + self.updated

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        tables = sorted(self.new.keys() | self.known.keys())
        return {
            "changes": self.changes,
            "updated": self.updated,
            "bundle": self.is_bundle,
            "tables": {name: {"new": self.new[name], "known": self.known[name]} for name in tables},
            "differences": dict(sorted(self.counts.items())),
            "notes": {kind: list(said) for kind, said in sorted(self.notes.items()) if said},
        }
