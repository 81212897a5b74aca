"""One merge at work: its two connections, the ids it has mapped, and how rows cross over.

What must hold: a row here is never overwritten by one from there; a reference is mapped or
the merge is refused; a body does not come back where its row is withheld. A bundle adds what
its judges said and nothing else: whatever they were shown has to be here already.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam, select, update

from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, refresh, select_in
from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Column, Connection, Table

    from lam3db.store.merge_ids import IdMap
    from lam3db.store.merge_report import MergeReport
    from lam3db.store.source import Source

    Row = dict[str, Any]

BODIES: dict[str, dict[str, Any]] = {
    "media": {},
    "behavior": {"text": None},
    "sample": {"messages": None, "prompt": None},
    "generation": {"text": None, "raw_text": None, "reasoning": None},
    "finding": {"explanation": None, "raw_output": None},
}


@dataclass(slots=True)
class Merge:
    """What the parts of a merge share. ``conn`` is the target's one transaction."""

    conn: Connection
    source: Source
    ids: IdMap
    report: MergeReport
    grown: Counter[str] = field(default_factory=Counter)

    def mapped(self, table: Table, rows: Sequence[Any]) -> list[Row]:
        """Return rows (all columns, in the table's order) with the target's ids, without their own.

        Raises:
            InputError: a row refers to one that was not taken over.

        """
        names = table.columns.keys()
        made = [
            dict(row) if isinstance(row, dict) else dict(zip(names, row, strict=True))
            for row in rows
        ]
        lost: list[str] = []
        for column in table.columns:
            parent = _parent(column)
            if parent is not None:
                lost += self._map(table, made, column.name, parent)
        if lost:
            self.source.refuse(lost)
        if "id" in table.c:
            for row in made:
                del row["id"]
        return made

    def _map(self, table: Table, rows: list[Row], name: str, parent: str) -> list[str]:
        found = self.ids.get(parent, [row[name] for row in rows])
        lost = []
        for row in rows:
            there = row[name]
            if there is None:
                continue
            if there not in found:
                lost.append(f"{table.name} {row.get('id', '')}: its {parent} was not taken over")
            row[name] = found.get(there)
        return lost

    def known(self, table: Table, key: str, values: Sequence[Any]) -> dict[Any, int]:
        """Return the target's ids of the rows that have one of these keys."""
        kind = "text" if isinstance(table.c[key].type, Text) else "bytea"
        asked = f"SELECT {key}, id FROM {table.name} WHERE {key}"
        found = select_in(self.conn, asked, (), list(values), kind)
        return {value if isinstance(value, str) else bytes(value): one for value, one in found}

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows that are new."""
        if rows:
            columns = tuple(rows[0])
            insert_new(self.conn, table, columns, [tuple(row.values()) for row in rows])
            refresh(self.conn, self.grown, table.name, len(rows))

    def put(self, table: Table, key: str, page: Sequence[Any], *, may_add: bool = True) -> set[int]:
        """Take over rows known by their key; return the ids (there) of those that were new.

        Raises:
            InputError: one is new, and ``may_add`` is false.

        """
        keys = [_plain(getattr(row, key)) for row in page]
        found = self.known(table, key, keys)
        new = [row for row, one in zip(page, keys, strict=True) if one not in found]
        if new and not may_add:
            self.refuse_foreign(table, new)
        if new:
            self.insert(table, self.mapped(table, new))
            found |= self.known(table, key, [_plain(getattr(row, key)) for row in new])
        pairs = [(row.id, found[one]) for row, one in zip(page, keys, strict=True)]
        self.ids.put(table.name, pairs)
        self.report.add(table.name, len(new), len(page) - len(new))
        added = {row.id for row in new}
        if table.name in BODIES and not self.source.is_bundle:
            here = dict(pairs)
            self.withhold(table, [(row, here[row.id]) for row in page if row.id not in added])
        return added

    def refuse_foreign(self, table: Table, rows: Sequence[Any]) -> None:
        """Refuse a bundle that stands on rows which are not here."""
        self.source.refuse(
            [
                f"{table.name} {row.id} is not in this database: a bundle goes back into the"
                " database it was made from"
                for row in rows
            ]
        )

    def withhold(self, table: Table, pairs: Iterable[tuple[Any, int]]) -> None:
        """Withhold here what is withheld there; whoever withheld it first here stays."""
        there = [(row, here) for row, here in pairs if row.withheld_id is not None]
        if not there:
            return
        by = self.ids.get("withholding", [row.withheld_id for row, _ in there])
        bare = self._with_body(table, [here for _, here in there])
        rows = [(row, here) for row, here in there if here in bare]
        for row, here in rows:
            changes = BODIES[table.name] | {"withheld_id": by[row.withheld_id]}
            if table is t.sample:
                changes |= _emptied(row)
            self.conn.execute(update(table).where(table.c.id == here).values(changes))
        self.report.updated += len(rows)
        more = ", its file is for you to take away" if table is t.media else ""
        for _, here in rows:
            said = f"{table.name} {here}: withheld there, so here too{more}"
            self.report.note("withheld", said)

    def _with_body(self, table: Table, ids: Sequence[int]) -> set[int]:
        c = table.c
        found: set[int] = set()
        for part in chunks(ids):
            asked = select(c.id).where(c.id.in_(part), c.withheld_id.is_(None))
            found.update(self.conn.execute(asked).scalars())
        return found

    def number(self, table: Table, changes: Sequence[Mapping[str, Any]]) -> None:
        """Give rows (``row``: their id) another place in their history, and what goes with it.

        The numbers are moved out of the way first, so that two never meet on one.
        """
        if not changes:
            return
        c = table.c
        away = update(table).where(c.id == bindparam("row")).values(revision=c.revision + _AWAY)
        signed = {"author": "away", "reason": "away"} if table is t.score else {}
        self.conn.execute(away.values(signed), [{"row": one["row"]} for one in changes])
        for one in changes:
            values = {name: value for name, value in one.items() if name != "row"}
            self.conn.execute(update(table).where(c.id == one["row"]).values(values))
        self.report.updated += len(changes)


_AWAY = 1 << 40


def _parent(column: Column[Any]) -> str | None:
    """Return the table whose id a column holds, if through another table's key; else None."""
    end = column
    while end.foreign_keys:
        end = next(iter(end.foreign_keys)).column
    return end.table.name if end is not column and end.name == "id" else None


def _emptied(row: Any) -> Row:
    """Return what else of a sample was taken away with its body."""
    changes: Row = {}
    if row.target is None:
        changes["target"] = None
    for name in ("metadata", "attack_parameters"):
        if getattr(row, name) == "{}":
            changes[name] = "{}"
    return changes


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else bytes(value)
