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


@dataclass(slots=True)
class Builder:
    """Makes blocks; keeps the members of selections between pairs."""

    conn: Connection
    judges: Sequence[JudgeRow]
    members: dict[int, Members] = field(default_factory=dict)
    load: Callable[[Connection, int], Members] = load_members

    def blocks(self, pair: Pair, judges: Collection[int] | None = None) -> list[Block]:
        """Return the pair's blocks: of these judges only, or of all and of none."""
        answers = _answers(self.conn, pair, self._asked(pair))
        wanted = [row for row in self.judges if judges is None or row.id in judges]
        said = [(judge, _said(self.conn, pair, answers, judge)) for judge in wanted]
        made = []
        for selection in self._selections(pair):
            at, rows = self._members(selection).found(answers.sample)
            if not len(rows):
                continue
            reach = int(answers.replicate[rows].max()) + 1
            key = (pair, selection)
            if judges is None:
                nothing = _nothing(answers)
                parts = self._sums(selection, at, rows, nothing)
                made.append(Block(*key, NO_JUDGE, reach, None, None, parts))
            for judge, scored in said:
                if scored is not None:
                    parts = self._sums(selection, at, rows, scored)
                    policy = (judge.threshold, judge.operator)
                    made.append(Block(*key, judge.id, reach, *policy, parts))
        return made

    def _sums(self, selection: int, at: Ints, rows: Ints, said: _Said) -> dict[str, Sums]:
        members = self._members(selection)
        units = Units(
            behavior=members.behavior[at],
            is_benign=members.is_benign[at],
            category=members.category[at],
            attack=members.attack[at],
            **{name: getattr(said, name)[rows] for name in _Said._fields},
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


class _Said(NamedTuple):
    """What one judge said of each of a pair's answers; see :class:`Units`."""

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


def _nothing(answers: _Answers) -> _Said:
    """Return what stands where nobody has judged."""
    import numpy as np

    missing = np.where(answers.failed, _FAILURE, _MISSING)
    code = np.where(answers.generation > 0, _PENDING, missing)
    no = np.zeros(len(code), dtype=np.bool_)
    return _Said(code, no, no, no, no, np.full(len(code), np.nan))


def _said(conn: Connection, pair: Pair, answers: _Answers, judge: JudgeRow) -> _Said | None:
    """Return what a judge said of a pair's answers; None if it has said and tried nothing."""
    import numpy as np

    known = {**pair._asdict(), "judge": judge.id}
    rows = conn.execute(text(_SCORES), known).all()
    tried = _columns(conn.execute(text(_JUDGE_FAILED), known), 1)[0]
    if not rows and not len(tried):
        return None
    base = _nothing(answers)
    code = np.where(np.isin(answers.generation, tried), _JUDGE_FAILURE, base.code)
    order = np.argsort(answers.generation)
    latest = {row[0]: row for row in rows}  # by revision: the last one stays
    ids = np.fromiter(latest, dtype=np.int64, count=len(latest))
    at = order[np.searchsorted(answers.generation, ids, sorter=order)]
    columns = list(zip(*latest.values(), strict=True)) or [(), (), (), ()]
    outcomes = {word: OUTCOMES.index(word) for word in map(str, ScoreStatus)}
    code[at] = [outcomes[status] for status in columns[1]]
    value, verdict = base.value, np.zeros(len(code), dtype=np.int64)
    value[at] = np.array(columns[2], dtype=np.float64)  # None becomes NaN
    verdict[at] = [0 if word is None else _VERDICTS[word] for word in columns[3]]
    return _decided(judge, code, value, verdict)


def _decided(judge: JudgeRow, code: Ints, value: Any, verdict: Ints) -> _Said:
    """Apply the judge's policy and verdicts; nothing counts that is not ``ok``."""
    import numpy as np

    ok = code == _OK
    value = np.where(ok, value, np.nan)
    valued, judged = ~np.isnan(value), ok & (verdict > 0)
    decided = unsafe = np.zeros(len(code), dtype=np.bool_)
    if judge.unsafe_verdicts:
        bad = [_VERDICTS[word] for word in judge.unsafe_verdicts]
        decided, unsafe = judged, judged & np.isin(verdict, bad)
    if judge.threshold is not None:
        strict = judge.operator == ">"
        over = value > judge.threshold if strict else value >= judge.threshold
        decided, unsafe = decided | valued, np.where(valued, over, unsafe)
    return _Said(code, decided, unsafe, judged, judged & (verdict == _REFUSED), value)


def _columns(rows: Any, width: int) -> Ints:
    """Return rows of whole numbers as columns."""
    import numpy as np

    found = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return found.reshape(-1, width).T
