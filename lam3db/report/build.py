"""From a scope and a grouping to a report: rows with their numbers, and what they rest on.

What must hold: numbers of two judges, or of one judge's two digests, are never pooled; rows
per model are per model version and config too; where rows do pool several of them (because
the grouping leaves the model out), the report says so. What the scope leaves out is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.metrics import RULES, CellTally, Number, Scope, measure_sums
from lam3db.report.labels import Labels, load_labels
from lam3db.report.scope import resolve
from lam3db.store import aggregates, left_out, overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Tally
    from lam3db.store.aggregates import Frame, JudgeRow

DEFAULT_BY = ("model", "attack")
_SHORT = 8


@dataclass(frozen=True, slots=True)
class JudgeColumn:
    """A judge in a report; ``label`` is its name, with a digest where the name is not enough."""

    judge: JudgeRow
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One group: its labels in the order of ``by``, and one number per judge, in their order.

    ``digests`` are the full digests behind the labels, where there are any.
    """

    labels: tuple[str, ...]
    digests: dict[str, str]
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed. ``empty`` says why there are no rows, and what to do."""

    by: tuple[str, ...]
    rule: str
    per_judge: bool
    scope: tuple[str, ...]
    judges: tuple[JudgeColumn, ...]
    rows: tuple[Row, ...]
    totals: tuple[Number, ...]
    notes: tuple[str, ...]
    empty: str | None = None


def build_report(
    conn: Connection,
    scope: Scope | None = None,
    by: Sequence[str] = DEFAULT_BY,
    judges: Sequence[str] = (),
    rule: str = "each",
) -> Report:
    """Return the report on ``scope``, grouped by ``by``, for these judges (all, when none).

    ``judges`` are names, or ``name#digest`` where one name has several digests; ``by`` may
    hold ``judge``, which gives every judge a table of its own.

    Raises:
        ConfigError: an unknown grouping, rule or field.
        NotFoundError: no such run, model, dataset or judge.

    """
    scope = scope or Scope()
    if rule not in RULES:
        raise ConfigError(f"--rule {rule}: write one of {', '.join(RULES)}")
    keys = aggregates.group_keys([key for key in by if key != "judge"])
    shown = tuple(dict.fromkeys(key for key in by if key != "judge"))
    frame, described = resolve(conn, scope)
    columns = choose_judges(conn, judges)
    header = (shown, rule, "judge" in by, described, columns)
    if not columns:
        return Report(*header, (), (), (), _no_judge(conn))
    tallies = [_tally(conn, frame, keys, c.judge, rule) for c in columns]
    if not any(tally.groups() for tally in tallies):
        return Report(*header, (), (), (), _NOTHING)
    labels = load_labels(conn, tallies[0].groups(), keys, shown)
    rows = _rows(tallies, columns, keys, shown, labels)
    totals = tuple(
        measure_sums(tally.sums(()), column.judge)[0]
        for tally, column in zip(tallies, columns, strict=True)
    )
    notes = (*labels.notes, *_notes(conn, frame, scope, keys, [one.judge.id for one in columns]))
    return Report(*header, rows, totals, notes)


def _tally(
    conn: Connection, frame: Frame, keys: Sequence[str], judge: JudgeRow, rule: str
) -> Tally:
    """Return the one source of a judge's numbers; whatever keeps sums can stand in for it."""
    return CellTally(aggregates.load_cells(conn, frame, keys, judge, rule=rule))


_NOTHING = (
    "No answers in this scope. `lam3db status` shows what is stored; "
    "`lam3db generate --model NAME --dataset NAME` makes answers."
)


def choose_judges(conn: Connection, names: Sequence[str]) -> tuple[JudgeColumn, ...]:
    """Return the judges asked for, each digest on its own; raise NotFoundError."""
    rows = overview.report_judges(conn)
    repeated = {row.name for row in rows if sum(r.name == row.name for r in rows) > 1}
    columns = [
        JudgeColumn(row, f"{row.name} #{row.digest[:_SHORT]}" if row.name in repeated else row.name)
        for row in rows
    ]
    if not names:
        return tuple(columns)
    found: dict[int, JudgeColumn] = {}
    for asked in names:
        name, _, digest = asked.replace(" ", "").partition("#")
        matches = [c for c in columns if c.judge.name == name and c.judge.digest.startswith(digest)]
        if not matches:
            known = sorted({row.name for row in rows})
            hint = did_you_mean(name, known) if known else " - no judge has scored anything yet"
            raise NotFoundError(f"--judge {asked}: no such judge in this database{hint}")
        found.update({column.judge.id: column for column in matches})
    return tuple(found.values())


def _no_judge(conn: Connection) -> str:
    if not overview.model_names(conn):
        return _NOTHING
    return (
        "No judge has scored anything yet. "
        "`lam3db judge --pending --judge refusal-gcg --judge detoxify-original` scores the "
        "stored answers."
    )


def _rows(
    tallies: Sequence[Tally],
    columns: Sequence[JudgeColumn],
    keys: Sequence[str],
    shown: Sequence[str],
    labels: Labels,
) -> tuple[Row, ...]:
    """Return one row per group; every judge has the same groups, since every unit is counted."""
    kept = tuple(i for i, key in enumerate(keys) if key in labels.grouping)
    numbers: dict[tuple[int | str, ...], list[Number]] = {}
    for tally, column in zip(tallies, columns, strict=True):
        for number in measure_sums(tally.sums(kept), column.judge):
            numbers.setdefault(number.group, []).append(number)
    grouping = [keys[i] for i in kept]
    rows = []
    for group, row_numbers in numbers.items():
        ids = dict(zip(grouping, group, strict=True))
        words = labels.of(ids)
        named = tuple(words[key] for key in shown)
        row = Row(named, labels.details(ids), tuple(row_numbers))
        rows.append((labels.order(ids, shown), row))
    return tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _notes(
    conn: Connection, frame: Frame, scope: Scope, keys: Sequence[str], judges: Sequence[int]
) -> list[str]:
    notes = []
    if variants := left_out.count_variants(conn, frame):
        notes.append(
            f"{variants} stored answers differ from the one counted under the same key "
            "(variants from a merged database); they are left out."
        )
    if judges and (opinions := left_out.count_opinions(conn, frame, judges)):
        notes.append(
            f"{opinions} scores are a judge's second opinion on the same answer (from a merged "
            "database); the first one counts."
        )
    if frame.runs or "run" in keys:
        return notes
    shared = left_out.count_shared(conn, frame)
    if shared and "dataset" in keys:
        notes.append(f"{shared} samples lie in several datasets and count once in each row.")
    elif shared:
        notes.append(f"{shared} samples lie in several datasets and are counted once.")
    outside = left_out.count_outside(conn, frame)
    if outside and scope.dataset is None and not scope.where:
        notes.append(
            f"{outside} answers belong to other dataset versions only and are left out; "
            "--dataset NAME@VERSION reports on them."
        )
    return notes
