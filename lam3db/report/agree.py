"""From a scope to how judges agree: with people, with one another, and their ASR put right.

What must hold: labels that people gave under different guidelines or meanings are never pooled
into one reference; who is left out, and why, is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.metrics import agree as measures
from lam3db.metrics.joined import load_answers
from lam3db.report import reference
from lam3db.report.build import choose_judges
from lam3db.report.labels import load_labels
from lam3db.report.scope import resolve
from lam3db.store import aggregates, reviews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.metrics.agree import Against, CorrectedShare, Pair, Together
    from lam3db.metrics.joined import Answers
    from lam3db.metrics.truth import Truth
    from lam3db.report.labels import Labels
    from lam3db.store.aggregates import JudgeRow


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A corrected share with its group in words, in the order of ``by``."""

    labels: tuple[str, ...]
    share: CorrectedShare


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything that is printed. ``names`` are the judges' labels by id.

    Without a reference ``truth`` is None and ``against`` and ``corrected`` are empty.
    """

    scope: tuple[str, ...]
    by: tuple[str, ...]
    part: str
    answers: int
    benign: int
    unanswered: int
    names: Mapping[int, str]
    judges: tuple[JudgeRow, ...]
    reference: tuple[JudgeRow, ...]
    truth: Truth | None
    against: tuple[Against, ...]
    pairs: tuple[Pair, ...]
    together: tuple[Together, ...]
    corrected: tuple[CorrectedRow, ...]
    notes: tuple[str, ...]
    empty: str | None = None


def build_agreement(
    conn: Connection,
    scope: Scope,
    judges: Sequence[str] = (),
    against: Sequence[str] = (),
    by: Sequence[str] = (),
    part: str = "estimation",
) -> Agreement:
    """Return how these judges (all, when none) agree with the reference and with each other.

    ``against`` names the reference, ``human`` or nothing being all people who labelled
    something in scope; ``by`` groups the corrected shares; ``part`` of reviews is
    ``estimation``, ``training`` or ``all``.

    Raises:
        ConfigError: an unknown grouping, field or part; people under different guidelines.
        NotFoundError: no such run, model, dataset or judge, or no label of the reference.

    """
    keys = aggregates.group_keys(by)
    shown = tuple(dict.fromkeys(by))
    frame, words = resolve(conn, scope)
    names = {column.judge.id: column.label for column in choose_judges(conn, ())}
    asked = [column.judge for column in choose_judges(conn, judges)]
    people = reference.candidates(conn, against)
    both = list({judge.id: judge for judge in (*people, *asked)}.values())
    answers = load_answers(conn, frame, keys, [judge for judge in both if judge.decides])
    if not answers.ids:
        return _nothing(words, shown, part, names)
    able = {one for one, said in answers.judges.items() if any(u is not None for u in said.unsafe)}
    people, truth = reference.settle(conn, answers, people, against, part)
    chosen = [judge for judge in asked if judge.id in able and judge not in people]
    told = _Told(load_labels(conn, set(answers.groups), keys, shown), keys, shown)
    notes = (*_drawn_notes(conn, truth), *_left_out(asked, able, names))
    return Agreement(
        words,
        shown,
        part,
        answers=len(answers.once),
        benign=sum(answers.benign[at] for at in answers.once),
        unanswered=answers.unanswered,
        names=names,
        judges=tuple(chosen),
        reference=tuple(people),
        truth=truth,
        **_measured(answers, truth, people, chosen, told),
        notes=(*notes, *(told.labels.notes if shown else ())),
    )


def _measured(
    answers: Answers,
    truth: Truth | None,
    people: Sequence[JudgeRow],
    chosen: Sequence[JudgeRow],
    told: _Told,
) -> dict[str, Any]:
    """Return the fields of an agreement that are numbers."""
    sets = [one for one in (people, chosen) if len(one) > 1]
    return {
        "against": tuple(measures.against(answers, truth, j) for j in chosen) if truth else (),
        "pairs": tuple(measures.pairs(answers, chosen)),
        "together": tuple(measures.together(answers, one) for one in sets),
        "corrected": _corrected(answers, truth, chosen, told) if truth else (),
    }


def _drawn_notes(conn: Connection, truth: Truth | None) -> list[str]:
    """Return from how many answers each review drew: what its labels stand for."""
    notes = []
    for name, labels in sorted(truth.by_lot.items()) if truth else ():
        spec = reviews.find_review(conn, name).spec
        if "frame" in spec:
            scope = ", ".join(f"{k} {v}" for k, v in spec.get("scope", {}).items())
            notes.append(
                f"Review {name} drew {spec.get('random', labels)} of {spec['frame']} answers "
                f"({spec.get('method', 'by lot')}; {scope or 'of everything stored then'}): for "
                "answers outside these its labels stand only if they are alike."
            )
    return notes


@dataclass(frozen=True, slots=True)
class _Told:
    """Groups in words: their labels, the keys that a group holds and those that are shown."""

    labels: Labels
    keys: tuple[str, ...]
    shown: tuple[str, ...]


def _corrected(
    answers: Answers, truth: Truth, judges: Sequence[JudgeRow], told: _Told
) -> tuple[CorrectedRow, ...]:
    """Return the corrected shares, by group and then by judge."""
    kept = [at for at, key in enumerate(told.keys) if key in told.labels.grouping]
    rows: list[tuple[tuple[Any, ...], CorrectedRow]] = []
    for judge in judges:
        for share in measures.corrected(answers, truth, judge, kept):
            ids = dict(zip([told.keys[at] for at in kept], share.group, strict=True))
            named = told.labels.of(ids)
            row = CorrectedRow(tuple(named[key] for key in told.shown), share)
            rows.append(((*told.labels.order(ids, told.shown), len(rows)), row))
    return tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _nothing(
    words: tuple[str, ...], by: tuple[str, ...], part: str, names: Mapping[int, str]
) -> Agreement:
    empty = "No answers in this scope. `lam3db status` shows what is stored."
    none = ((), (), None, (), (), (), (), ())
    return Agreement(words, by, part, 0, 0, 0, names, *none, empty=empty)


def _left_out(asked: Sequence[JudgeRow], able: set[int], names: Mapping[int, str]) -> list[str]:
    notes = []
    if mute := [names[judge.id] for judge in asked if not judge.decides]:
        notes.append(f"Left out, without verdicts that mean unsafe and threshold: {_list(mute)}.")
    silent = [names[judge.id] for judge in asked if judge.decides and judge.id not in able]
    if silent:
        notes.append(f"Left out, because they decided no answer in this scope: {_list(silent)}.")
    return notes


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
