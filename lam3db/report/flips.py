"""From two judges to a page of where they differ, and to rows of it for a file.

What must hold: the two are told by their digests; a list that is cut says so, with how many
there are; texts of answers are not printed here (``lam3db show ID`` does, safely).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError
from lam3db.metrics.flips import Flips, find_flips
from lam3db.metrics.joined import load_answers
from lam3db.report.agree_tables import judge_note
from lam3db.report.build import choose_judges
from lam3db.report.labels import load_labels
from lam3db.report.page import (
    MISSING,
    Page,
    aligned,
    number_fields,
    percent_cell,
    plain_table,
)
from lam3db.report.scope import resolve
from lam3db.store import aggregates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.metrics.flips import Flip, Move
    from lam3db.report.labels import Labels
    from lam3db.report.tables import Table
    from lam3db.store.aggregates import JudgeRow

COLUMNS = (
    "generation_id", "model", "model_digest", "config_digest", "attack", "category", "behavior",
    "benign", "first", "second", "first_value", "second_value", "direction",
)  # fmt: skip
_TOLD = ("attack", "category", "behavior")


@dataclass(frozen=True, slots=True)
class Flipped:
    """Two judges, where they differ, and the words for the groups' keys."""

    scope: tuple[str, ...]
    by: tuple[str, ...]
    judges: tuple[JudgeRow, JudgeRow]
    names: tuple[str, str]
    found: Flips
    keys: tuple[str, ...]
    labels: Labels

    def rows(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the flips as rows of :data:`COLUMNS`."""
        for flip in self.found.flips[:limit]:
            yield self._row(flip)

    def _row(self, flip: Flip) -> dict[str, Any]:
        ids = dict(zip(self.keys, flip.group, strict=True))
        words, digests = self.labels.of(ids), self.labels.details(ids)
        return {
            "generation_id": flip.generation_id,
            "model": words["model"],
            "model_digest": digests.get("model_digest"),
            "config_digest": digests.get("config_digest"),
            **{key: words[key] for key in _TOLD},
            "benign": flip.benign,
            "first": flip.first,
            "second": flip.second,
            "first_value": flip.first_value,
            "second_value": flip.second_value,
            "direction": "to unsafe" if flip.to_unsafe else "to safe",
        }


def build_flips(
    conn: Connection, first: str, second: str, scope: Scope, by: Sequence[str] = ("model",)
) -> Flipped:
    """Return where two judges differ in scope, with the moves of the share by group.

    Raises:
        ConfigError: a name is several judges, both are one, one has neither verdicts nor a
            threshold, or an unknown grouping or field.
        NotFoundError: no such run, model, dataset or judge.

    """
    one, other = one_judge(conn, first), one_judge(conn, second)
    if one[0].id == other[0].id:
        raise ConfigError(f"{first} and {second} are one judge: name two, as NAME#DIGEST")
    frame, words = resolve(conn, scope)
    shown = tuple(dict.fromkeys(by))
    keys = aggregates.group_keys([*shown, *_TOLD])
    answers = load_answers(conn, frame, keys, [one[0], other[0]])
    labels = load_labels(conn, set(answers.groups), keys, shown)
    kept = [at for at, key in enumerate(keys) if key in labels.grouping]
    found = find_flips(answers, one[0], other[0], kept)
    return Flipped(words, shown, (one[0], other[0]), (one[1], other[1]), found, keys, labels)


def one_judge(conn: Connection, name: str) -> tuple[JudgeRow, str]:
    """Return the judge of this name, which decides, and its label.

    Raises:
        ConfigError: it is several judges, or has neither verdicts nor a threshold.
        NotFoundError: there is none.

    """
    found = choose_judges(conn, [name])
    if len(found) > 1:
        several = ", ".join(f"'{c.judge.name}#{c.judge.digest[:8]}'" for c in found)
        raise ConfigError(f"{name} is several judges: write one of {several}")
    (column,) = found
    if not column.judge.decides:
        raise ConfigError(
            f"{name} has neither verdicts that mean unsafe nor a threshold, so it decides nothing"
        )
    return column.judge, column.label


def flips_page(flipped: Flipped, limit: int = 20) -> Page:
    """Return the page; at most ``limit`` flips are listed on it."""
    found = flipped.found
    if not found.compared and not found.only:
        return Page(flipped.scope, empty="No answers in this scope.", value=_value(flipped, []))
    rows = list(flipped.rows(limit))
    moves = sorted(found.moves, key=lambda move: _order(flipped, move))
    lines = [_line(flipped, move) for move in moves]
    tables = [_moves(flipped, moves), _directions(flipped), _listed(rows)]
    return Page(
        flipped.scope,
        tuple(table for table in tables if table.cells),
        tuple(_notes(flipped, len(rows))),
        tuple(lines),
        _value(flipped, lines) | {"flips": rows},
    )


def _order(flipped: Flipped, move: Move) -> tuple[Any, ...]:
    return flipped.labels.order(_ids(flipped, move), flipped.by)


def _ids(flipped: Flipped, move: Move) -> dict[str, Any]:
    grouping = [key for key in flipped.keys if key in flipped.labels.grouping]
    return dict(zip(grouping, move.group, strict=True))


def _words(flipped: Flipped, move: Move) -> tuple[str, ...]:
    words = flipped.labels.of(_ids(flipped, move))
    return tuple(words[key] for key in flipped.by) or ("all",)


def _moves(flipped: Flipped, moves: Sequence[Move]) -> Table:
    names = [list(column) for column in zip(*(_words(flipped, m) for m in moves), strict=True)]
    columns = [
        *names,
        [str(move.n) for move in moves],
        [str(move.to_unsafe) for move in moves],
        [str(move.to_safe) for move in moves],
        aligned([percent_cell(m.before.value, m.before.interval) for m in moves]),
        aligned([percent_cell(m.after.value, m.after.interval) for m in moves]),
        aligned([points(m) for m in moves]),
    ]
    header = (*(flipped.by or ("scope",)), "both", "to unsafe", "to safe", "first", "second")
    title = f"Share unsafe among attacks, from {flipped.names[0]} to {flipped.names[1]}"
    cells = list(zip(*columns, strict=True))
    return plain_table(title, len(flipped.by) or 1, (*header, "move, points"), cells)


def points(move: Move) -> str:
    """Return ``+3.1 [-0.4, +6.6]``, in percentage points."""
    if move.move is None:
        return MISSING
    low, high = move.interval.low, move.interval.high
    if low is None or high is None:
        return f"{100 * move.move:+.1f} [{move.interval.method.removeprefix('none: ')}]"
    return f"{100 * move.move:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _directions(flipped: Flipped) -> Table:
    """Return the flips by what each judge said in its own words."""
    counts = Counter((flip.first, flip.second) for flip in flipped.found.flips)
    cells = [(one, other, str(n)) for (one, other), n in sorted(counts.items())]
    return plain_table("Flips by verdict", 2, ("first", "second", "answers"), cells)


def _listed(rows: Sequence[dict[str, Any]]) -> Table:
    cells = [
        (
            str(row["generation_id"]),
            *(str(row[key]) for key in ("model", "attack", "behavior", "first", "second")),
            *(MISSING if row[key] is None else f"{row[key]:.3g}" for key in _VALUES),
        )
        for row in rows
    ]
    header = ["answer", "model", "attack", "behavior", "first", "second"]
    valued = any(row[key] is not None for row in rows for key in _VALUES)
    shown = cells if valued else [row[:-2] for row in cells]
    return plain_table("Flips", 6, [*header, *(["value", "value"] if valued else [])], shown)


_VALUES = ("first_value", "second_value")


def _line(flipped: Flipped, move: Move) -> dict[str, Any]:
    ids = _ids(flipped, move)
    one, other = flipped.judges
    return {
        **dict(zip(flipped.by, _words(flipped, move), strict=False)),
        **flipped.labels.details(ids),
        "first_digest": one.digest,
        "second_digest": other.digest,
        "both": move.n,
        "to_unsafe": move.to_unsafe,
        "to_safe": move.to_safe,
        **number_fields("first_share", move.before.value, move.before.interval),
        "first_n": move.before.n,
        **number_fields("second_share", move.after.value, move.after.interval),
        "second_n": move.after.n,
        **number_fields("move", move.move, move.interval),
        "p": move.test.p,
        "test": move.test.method,
    }


def _value(flipped: Flipped, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = flipped.found
    return {
        "by": flipped.by,
        "judges": [
            {"label": name, "name": judge.name, "version": judge.version, "digest": judge.digest}
            for name, judge in zip(flipped.names, flipped.judges, strict=True)
        ],
        "compared": found.compared,
        "not_compared": dict(found.only),
        "flipped": len(found.flips),
        "to_unsafe": sum(flip.to_unsafe for flip in found.flips),
        "to_safe": sum(not flip.to_unsafe for flip in found.flips),
        "moves": list(lines),
    }


def _notes(flipped: Flipped, listed: int) -> Iterator[str]:
    found = flipped.found
    up = sum(flip.to_unsafe for flip in found.flips)
    down = len(found.flips) - up
    benign = sum(flip.benign for flip in found.flips)
    yield f"First: {judge_note(flipped.judges[0])}"
    yield f"Second: {judge_note(flipped.judges[1])}"
    yield (
        f"{found.compared} answers decided by both; {len(found.flips)} flip: {up} to unsafe, "
        f"{down} to safe; {benign} of them are of benign samples, which no share counts."
    )
    if found.only:
        told = ", ".join(f"{n} {how}" for how, n in sorted(found.only.items()))
        yield f"Not compared: {told}."
    if listed < len(found.flips):
        yield f"{listed} of {len(found.flips)} flips listed; --limit and --export show more."
    if listed:
        yield "`lam3db show ID` shows an answer whole, with every score."
    yield (
        "first and second: share unsafe of all attacks that this judge decided, Wilson, clustered "
        "by behavior. move: (to unsafe - to safe) / both, over attacks that both decided; 95 % "
        "interval of Bonett and Price for pairs, on the effective number of pairs."
    )
    yield from flipped.labels.notes
