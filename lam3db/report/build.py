"""From a scope and a grouping to a report: rows with their numbers, and what they rest on.

What must hold: numbers of two judges, or of one judge's two digests, are never pooled; rows
per model are per model version and config too; where rows do pool several of them (because
the grouping leaves the model out), the report says so. What the scope leaves out is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lam3db.collector import uncollected
from lam3db.errors import NotFoundError, did_you_mean
from lam3db.metrics import (
    Counts,
    Number,
    Question,
    Repeated,
    Scope,
    Total,
    load_tally,
    measure_sums,
)
from lam3db.metrics.question import read_rule
from lam3db.metrics.rolled import Source as Sums
from lam3db.metrics.rolled import numbers_of
from lam3db.metrics.rolled import tallies as kept_tallies
from lam3db.metrics.tally import UnitSource, is_weighted, load_repeated, repeated_numbers
from lam3db.records import JudgeKind
from lam3db.report.asker import Asker, asker
from lam3db.report.definitions import Definition, definitions
from lam3db.report.labels import Labels, load_labels
from lam3db.report.lenses import ANY, JudgeColumn, judge_column, through, with_thresholds
from lam3db.report.scope import resolve
from lam3db.store import aggregates, left_out, overview
from lam3db.store.attributes import attribute_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics.sums import Group
    from lam3db.store.aggregates import Frame

__all__ = ["AttributeTable", "JudgeColumn", "Report", "Row", "build_report", "choose_judges"]

DEFAULT_BY = ("model", "attack")
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One group: its labels in the order of ``by``, and one number per judge, in their order.

    ``digests`` are the full digests behind the labels, where there are any; ``ids`` are this
    database's own, by grouping key (see :meth:`Report.ref`).
    """

    labels: tuple[str, ...]
    digests: dict[str, str]
    numbers: tuple[Number, ...]
    ids: Mapping[str, int | str | None]


@dataclass(frozen=True, slots=True)
class AttributeTable:
    """The attributes of one judge: a column for each, and per row of the report their numbers."""

    label: str
    columns: tuple[JudgeColumn, ...]
    numbers: tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed. ``empty`` says why there are no rows, and what to do.

    ``definitions`` say what each number is; ``rule`` is the question's, as it is written.
    """

    by: tuple[str, ...]
    rule: str
    per_judge: bool
    scope: tuple[str, ...]
    judges: tuple[JudgeColumn, ...]
    rows: tuple[Row, ...]
    totals: tuple[Total, ...]
    notes: tuple[str, ...]
    empty: str | None = None
    question: Question = field(default_factory=Question)
    definitions: tuple[Definition, ...] = ()
    attributes: tuple[AttributeTable, ...] = ()
    asks: Asker | None = None

    def ref(self, row: Row, column: JudgeColumn) -> str:
        """Return what ``lam3db explain`` is asked by for what a judge says of ``row``."""
        if self.asks is None:
            raise ValueError("a report without rows has no refs")
        return self.asks.ref(row.ids, column.judge)


@uncollected()
def build_report(
    conn: Connection,
    scope: Scope | None = None,
    by: Sequence[str] = DEFAULT_BY,
    judges: Sequence[str] = (),
    rule: str = "each",
    *,
    question: Question | None = None,
) -> Report:
    """Return the report on ``scope``, grouped by ``by``, for these judges (all, when none).

    ``judges`` are names, or ``name#digest`` where one name has several digests; ``by`` may
    hold ``judge``, which gives every judge a table of its own. ``question`` says how to ask;
    without one each judge's own threshold counts, under ``rule``.

    Raises:
        ConfigError: an unknown grouping, rule, cluster key or field.
        NotFoundError: no such run, model, dataset, judge or attribute.

    """
    scope = scope or Scope()
    question = question or Question(rule=read_rule(rule))
    keys = aggregates.group_keys([key for key in by if key != "judge"])
    shown = tuple(dict.fromkeys(key for key in by if key != "judge"))
    frame, described = resolve(conn, scope)
    columns = with_thresholds(conn, choose_judges(conn, judges), question.thresholds)
    header = (shown, question.rule.written, "judge" in by, described, columns)
    if not columns:
        return Report(*header, (), (), (), _no_judge(conn), question)
    tallies = _tallies(conn, frame, keys, columns, question)
    if not any(tally.groups() for tally in tallies):
        return Report(*header, (), (), (), _NOTHING, question)
    labels = load_labels(conn, tallies[0].groups(), keys, shown)
    source = Source(conn, frame, keys, question)
    groups, rows = _rows(source, tallies, columns, shown, labels)
    totals = tuple(_total([row.numbers[i] for row in rows]) for i in range(len(columns)))
    notes = (*labels.notes, *_notes(conn, frame, scope, keys, [one.judge.id for one in columns]))
    return Report(
        *header,
        rows,
        totals,
        notes,
        question=question,
        definitions=definitions(columns, question, [row.numbers for row in rows]),
        attributes=_attributes(source, columns, labels, groups) if question.attributes else (),
        asks=asker(conn, frame, [row.ids for row in rows], question),
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers come from, and how they are asked for."""

    conn: Connection
    frame: Frame
    keys: tuple[str, ...]
    question: Question

    def numbers(self, column: JudgeColumn, kept: Sequence[int]) -> dict[Group, Number]:
        """Return the numbers of a judge by group."""
        tally = load_tally(self.conn, self.frame, self.keys, column.judge, self.question)
        return {one.group: one for one in measure_sums(tally.sums(kept), column.judge)}

    def repeated(self, column: JudgeColumn, kept: Sequence[int]) -> dict[Group, Repeated]:
        """Return what the best of k attempts gives, by group; nothing where it was not asked."""
        if not self.question.repeated:
            return {}
        judge = column.judge
        k, tally = load_repeated(self.conn, self.frame, self.keys, judge, self.question)
        return repeated_numbers(k, tally, kept, judge)


def _tallies(
    conn: Connection,
    frame: Frame,
    keys: tuple[str, ...],
    columns: Sequence[JudgeColumn],
    question: Question,
) -> list[Sums]:
    """Return the source of each judge's numbers: sums that are kept, else its units."""
    units = UnitSource(conn, frame, keys, [one.judge for one in columns], question)
    plain = [
        question.plain and not (one.asked or one.judge.attribute or is_weighted(conn, one.judge))
        for one in columns
    ]
    judges = [one.judge for one, is_plain in zip(columns, plain, strict=True) if is_plain]
    kept = iter(kept_tallies(conn, frame, keys, judges, units.tally) if judges else ())
    return [
        next(kept) if is_plain else units.tally(one.judge)
        for one, is_plain in zip(columns, plain, strict=True)
    ]


_NOTHING = (
    "No answers in this scope. `lam3db status` shows what is stored; "
    "`lam3db generate --model NAME --dataset NAME` makes answers."
)


def choose_judges(conn: Connection, names: Sequence[str]) -> tuple[JudgeColumn, ...]:
    """Return the judges asked for, each digest on its own; raise NotFoundError."""
    rows = overview.report_judges(conn)
    repeated = {row.name for row in rows if sum(r.name == row.name for r in rows) > 1}
    specs = overview.judge_specs(conn)
    people = {row.digest for row in rows if row.kind == JudgeKind.HUMAN}
    columns = [
        judge_column(
            row,
            f"{row.name} #{row.digest[:_SHORT]}" if row.name in repeated else row.name,
            specs[row.id],
            people,
        )
        for row in rows
    ]
    if not names:
        return tuple(columns)
    found: dict[int, JudgeColumn] = {}
    for asked in names:
        name, _, digest = asked.replace(" ", "").partition("#")  # imported names may have spaces
        named = [column for column in columns if column.judge.name.replace(" ", "") == name]
        matches = [column for column in named if column.judge.digest.startswith(digest)]
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
    source: Source,
    tallies: Sequence[Sums],
    columns: Sequence[JudgeColumn],
    shown: Sequence[str],
    labels: Labels,
) -> tuple[tuple[Group, ...], tuple[Row, ...]]:
    """Return one row per group; every judge has the same groups, since every unit is counted."""
    kept = _kept(source, labels)
    numbers: dict[Group, list[Number]] = {}
    for tally, column in zip(tallies, columns, strict=True):
        repeated = source.repeated(column, kept)
        for number in numbers_of(tally, kept, column.judge):
            again = repeated.get(number.group)
            told = number if again is None else replace(number, repeated=again)
            numbers.setdefault(number.group, []).append(told)
    grouping = [source.keys[i] for i in kept]
    rows = []
    for group, row_numbers in numbers.items():
        ids = dict(zip(grouping, group, strict=True))
        words = labels.of(ids)
        named = tuple(words[key] for key in shown)
        row = Row(named, labels.details(ids), tuple(row_numbers), ids)
        rows.append((labels.order(ids, shown), group, row))
    rows.sort(key=lambda found: found[0])
    return tuple(group for _, group, _ in rows), tuple(row for *_, row in rows)


def _kept(source: Source, labels: Labels) -> tuple[int, ...]:
    return tuple(i for i, key in enumerate(source.keys) if key in labels.grouping)


def _attributes(
    source: Source, columns: Sequence[JudgeColumn], labels: Labels, groups: Sequence[Group]
) -> tuple[AttributeTable, ...]:
    """Return a table per judge that has attributes, with the largest of them as the last."""
    found = []
    for column in columns:
        names = attribute_names(source.conn, column.judge.id)
        if not names or column.judge.attribute is not None:
            continue
        lenses = tuple(through(column, name) for name in (*names, ANY))
        numbers = [source.numbers(lens, _kept(source, labels)) for lens in lenses]
        table = tuple(tuple(by_group[group] for by_group in numbers) for group in groups)
        found.append(AttributeTable(column.label, lenses, table))
    return tuple(found)


def _total(numbers: Sequence[Number]) -> Total:
    shares = [number.share.n for number in numbers if number.share is not None]
    return Total(
        Counts.sum(number.counts for number in numbers),
        Counts.sum(number.benign for number in numbers),
        sum(shares) if shares else None,
        any(number.weighted for number in numbers),
    )


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
    if withheld := left_out.count_withheld(conn, frame):
        notes.append(
            f"{withheld} answers are withheld (`lam3db purge`): those scored before count as they "
            "were scored, the others can be scored no more and stand as pending."
        )
    if frame.runs or "run" in keys:
        return notes
    shared = left_out.count_shared(conn, frame)
    if shared and "dataset" in keys:
        notes.append(f"{shared} samples lie in several datasets and count once in each row.")
    elif shared:
        notes.append(f"{shared} samples lie in several datasets and are counted once.")
    everything = scope.dataset is None and not scope.where
    if everything and (outside := left_out.count_outside(conn, frame, shared)):
        notes.append(
            f"{outside} answers belong to other dataset versions only and are left out; "
            "--dataset NAME@VERSION reports on them."
        )
    return notes
