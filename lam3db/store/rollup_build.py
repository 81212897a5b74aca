"""Making the sums of one model version and config (a pair) from its rows, by a scan of its own.

Sums are made for every selection that the pair's runs were asked for, and for every dataset
that holds a sample the pair has answered or was asked for; under no judge (all that is answered
is pending) and under every judge that has scored or failed at one of its answers.

What must hold: the same population, outcomes and policy as in :mod:`lam3db.store.aggregates`
(tests and ``lam3db db verify`` compare the two); nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from lam3db.records import ScoreStatus, Verdict
from lam3db.store.aggregates import OUTCOMES
from lam3db.store.rollup_members import Members, load_members
from lam3db.store.rollup_sums import PARTS, Sums, Units, sums_of
from lam3db.store.rollup_units import Asked, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection

    from lam3db.store.aggregates import JudgeRow

    Ints = npt.NDArray[np.int64]

NO_JUDGE = 0


class Pair(NamedTuple):
    """A model version and a config, by id."""

    model_version_id: int
    config_id: int


@dataclass(frozen=True, slots=True)
class Block:
    """The sums of one judge (or of none) over a pair's answers to one selection.

    ``reach`` is the number of replicates, counted by the highest; ``threshold`` and
    ``operator`` the policy they were made under.
    """

    pair: Pair
    selection_id: int
    judge_id: int
    reach: int
    threshold: float | None
    operator: str | None
    sums: Mapping[str, Sums]


class Made(NamedTuple):
    """What is made of a pair: sums, and what they are sums of.

    ``asked`` are its answers and what it was asked for; ``told`` what each judge said of them.
    """

    blocks: list[Block]
    asked: Asked
    told: dict[int, Told]


@dataclass(slots=True)
class Builder:
    """Makes blocks; keeps the members of selections between pairs."""

    conn: Connection
    judges: Sequence[JudgeRow]
    members: dict[int, Members] = field(default_factory=dict)
    load: Callable[[Connection, int], Members] = load_members

    def make(self, pair: Pair, judges: Collection[int] | None = None) -> Made:
        """Return the pair's sums: of these judges only, or of all and of none."""
        answers = _answers(self.conn, pair, self._asked(pair))
        asked = _nothing(answers)
        wanted = [row for row in self.judges if judges is None or row.id in judges]
        every = [(judge, _told(self.conn, pair, answers, asked, judge)) for judge in wanted]
        told = [(judge, one) for judge, one in every if one is not None]
        said = [(judge, judge.id, decided(judge, one)) for judge, one in told]
        blocks = []
        for selection in self._selections(pair):
            at, rows = self._members(selection).found(answers.sample)
            if not len(rows):
                continue
            key = (pair, selection)
            reach = int(answers.replicate[rows].max()) + 1
            if judges is None:
                parts = self._sums(selection, at, rows, unsaid(asked.code))
                blocks.append(Block(*key, NO_JUDGE, reach, None, None, parts))
            for judge, number, one in said:
                parts = self._sums(selection, at, rows, one)
                blocks.append(Block(*key, number, reach, judge.threshold, judge.operator, parts))
        return Made(blocks, asked, {judge.id: one for judge, one in told})

    def _sums(self, selection: int, at: Ints, rows: Ints, said: Said) -> dict[str, Sums]:
        members = self._members(selection)
        units = Units(
            behavior=members.behavior[at],
            is_benign=members.is_benign[at],
            category=members.category[at],
            attack=members.attack[at],
            **{name: getattr(said, name)[rows] for name in Said._fields},
        )
        return {part: sums_of(units, part) for part in PARTS}

    def _asked(self, pair: Pair) -> list[tuple[Members, int]]:
        rows = self.conn.execute(text(_ASKED), pair._asdict())
        return [(self._members(selection), replicates) for selection, replicates in rows]

    def _selections(self, pair: Pair) -> list[int]:
        """Return the selections a report may ask for: those of datasets and of its runs."""
        rows = self.conn.execute(text(_SELECTIONS), pair._asdict())
        return list(rows.scalars())

    def _members(self, selection: int) -> Members:
        if selection not in self.members:
            self.members[selection] = self.load(self.conn, selection)
        return self.members[selection]


_PAIR = "model_version_id = :model_version_id AND {0}config_id = :config_id"
_ASKED = f"""SELECT selection_id, MAX(replicates) FROM run
  WHERE kind = 'generate' AND {_PAIR.format("")} GROUP BY selection_id"""
_SELECTIONS = f"""SELECT selection_id FROM dataset UNION
  SELECT selection_id FROM run WHERE kind = 'generate' AND {_PAIR.format("")} ORDER BY 1"""
_ANSWERED = f"""SELECT id, sample_id, replicate FROM generation
  WHERE {_PAIR.format("")} AND variant = 0"""
_FAILED = f"""SELECT DISTINCT f.sample_id, f.replicate FROM run r JOIN failure f ON f.run_id = r.id
  WHERE r.{_PAIR.format("r.")} AND f.stage = 'generate' AND f.sample_id IS NOT NULL"""
_SCORES = f"""SELECT sc.generation_id, sc.status, sc.value, sc.verdict
  FROM generation g JOIN score sc ON sc.generation_id = g.id
  WHERE g.{_PAIR.format("g.")} AND g.variant = 0 AND sc.judge_id = :judge AND sc.replicate = 0
  ORDER BY sc.generation_id, sc.revision"""
_JUDGE_FAILED = f"""SELECT DISTINCT f.generation_id FROM failure f
  JOIN generation g ON g.id = f.generation_id
  WHERE f.judge_id = :judge AND f.stage = 'judge' AND g.{_PAIR.format("g.")} AND g.variant = 0"""


def count_answers(conn: Connection, pair: Pair) -> int:
    """Return how many answers a pair has, to whatever samples."""
    asked = f"SELECT COUNT(*) FROM generation WHERE {_PAIR.format('')} AND variant = 0"
    return int(conn.execute(text(asked), pair._asdict()).scalar_one())


class _Answers(NamedTuple):
    """A pair's answers and what it was asked for, as columns by sample and replicate.

    ``generation`` is 0 where there is no answer; ``failed`` tells where an attempt failed.
    """

    sample: Ints
    replicate: Ints
    generation: Ints
    failed: npt.NDArray[np.bool_]


class Said(NamedTuple):
    """What one judge said of each of a pair's answers, under its policy; see :class:`Units`."""

    code: Ints
    decided: npt.NDArray[np.bool_]
    unsafe: npt.NDArray[np.bool_]
    judged: npt.NDArray[np.bool_]
    refused: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]


_OK, _PENDING, _JUDGE_FAILURE = (OUTCOMES.index(word) for word in ("ok", "pending", "judge_failed"))
_MISSING, _FAILURE = OUTCOMES.index("not_generated"), OUTCOMES.index("generation_failed")
_VERDICTS = {str(verdict): code for code, verdict in enumerate(Verdict, start=1)}
_REFUSED = _VERDICTS[str(Verdict.REFUSED)]


def _answers(conn: Connection, pair: Pair, asked: Sequence[tuple[Members, int]]) -> _Answers:
    import numpy as np

    stored = _columns(conn.execute(text(_ANSWERED), pair._asdict()), 3)
    keys = [stored[1:]]
    for members, replicates in asked:
        numbers = np.tile(np.arange(replicates), len(members.sample))
        keys.append(np.stack([np.repeat(members.sample, replicates), numbers]))
    every = np.concatenate(keys, axis=1)
    size = int(every[1].max(initial=0)) + 1
    units, first = np.unique(every[0] * size + every[1], return_index=True)
    generation = np.zeros(len(units), dtype=np.int64)
    generation[np.searchsorted(units, stored[1] * size + stored[2])] = stored[0]
    tried = _columns(conn.execute(text(_FAILED), pair._asdict()), 2)
    tried = tried[:, tried[1] < size]
    failed = np.isin(units, tried[0] * size + tried[1])
    return _Answers(every[0][first], every[1][first], generation, failed)


def _nothing(answers: _Answers) -> Asked:
    """Return what stands where nobody has judged."""
    import numpy as np

    missing = np.where(answers.failed, _FAILURE, _MISSING)
    code = np.where(answers.generation > 0, _PENDING, missing)
    return Asked(answers.sample, answers.replicate, code)


def unsaid(code: Ints) -> Said:
    """Return what stands where a judge has said nothing."""
    import numpy as np

    no = np.zeros(len(code), dtype=np.bool_)
    return Said(code, no, no, no, no, np.full(len(code), np.nan))


def joined(parts: Sequence[Said], rows: Ints | slice = slice(None)) -> Said:
    """Return what was said in all parts, one after the other; of these rows of them."""
    import numpy as np

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])[rows]

    return Said(**{name: column(name) for name in Said._fields})


def _told(
    conn: Connection, pair: Pair, answers: _Answers, asked: Asked, judge: JudgeRow
) -> Told | None:
    """Return what a judge told of a pair's answers; None if it has said and tried nothing."""
    import numpy as np

    known = {**pair._asdict(), "judge": judge.id}
    rows = conn.execute(text(_SCORES), known).all()
    tried = _columns(conn.execute(text(_JUDGE_FAILED), known), 1)[0]
    if not rows and not len(tried):
        return None
    code = np.where(np.isin(answers.generation, tried), _JUDGE_FAILURE, asked.code)
    order = np.argsort(answers.generation)
    latest = {row[0]: row for row in rows}  # by revision: the last one stays
    ids = np.fromiter(latest, dtype=np.int64, count=len(latest))
    at = order[np.searchsorted(answers.generation, ids, sorter=order)]
    columns = list(zip(*latest.values(), strict=True)) or [(), (), (), ()]
    outcomes = {word: OUTCOMES.index(word) for word in map(str, ScoreStatus)}
    code[at] = [outcomes[status] for status in columns[1]]
    value, verdict = np.full(len(code), np.nan), np.zeros(len(code), dtype=np.int64)
    value[at] = np.array(columns[2], dtype=np.float64)  # None becomes NaN
    verdict[at] = [0 if word is None else _VERDICTS[word] for word in columns[3]]
    ok = code == _OK  # nothing counts that is not ``ok``
    return Told(code, np.where(ok, verdict, 0), np.where(ok, value, np.nan))


def decided(judge: JudgeRow, told: Told) -> Said:
    """Apply the judge's policy and verdicts."""
    import numpy as np

    value = told.value
    valued, judged = ~np.isnan(value), told.verdict > 0
    decided = unsafe = np.zeros(len(value), dtype=np.bool_)
    if judge.unsafe_verdicts:
        bad = [_VERDICTS[word] for word in judge.unsafe_verdicts]
        decided, unsafe = judged, judged & np.isin(told.verdict, bad)
    if judge.threshold is not None:
        strict = judge.operator == ">"
        over = value > judge.threshold if strict else value >= judge.threshold
        decided, unsafe = decided | valued, np.where(valued, over, unsafe)
    return Said(told.code, decided, unsafe, judged, told.verdict == _REFUSED, value)


def _columns(rows: Any, width: int) -> Ints:
    """Return rows of whole numbers as columns."""
    import numpy as np

    found = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return found.reshape(-1, width).T
