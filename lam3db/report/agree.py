"""From a scope to how judges agree: with people, with one another, and their ASR put right.

What must hold: labels that people gave under different guidelines or meanings are never pooled
into one reference; who is left out, and why, is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics import agree as measures
from lam3db.metrics.joined import load_answers
from lam3db.metrics.truth import PARTS, truth_of
from lam3db.records import JudgeKind
from lam3db.report.build import choose_judges
from lam3db.report.labels import load_labels
from lam3db.report.scope import resolve
from lam3db.store import aggregates, reviews
from lam3db.store.drawn_answers import drawn_answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.metrics.agree import Against, CorrectedShare, Pair, Together
    from lam3db.metrics.joined import Answers
    from lam3db.metrics.truth import Truth
    from lam3db.report.labels import Labels
    from lam3db.store.aggregates import JudgeRow

PEOPLE = "human"
_ADJUDICATOR = "adjudicator"


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
    if part not in PARTS:
        raise ConfigError(f"--part {part}: write one of {', '.join(PARTS)}")
    keys = aggregates.group_keys(by)
    shown = tuple(dict.fromkeys(by))
    frame, words = resolve(conn, scope)
    names = {column.judge.id: column.label for column in choose_judges(conn, ())}
    asked = [column.judge for column in choose_judges(conn, judges)]
    people = _reference(conn, against)
    both = list({judge.id: judge for judge in (*people, *asked)}.values())
    answers = load_answers(conn, frame, keys, [judge for judge in both if judge.decides])
    if not answers.ids:
        return _nothing(words, shown, part, names)
    able = {one for one, said in answers.judges.items() if any(u is not None for u in said.unsafe)}
    people = [judge for judge in people if judge.id in able]
    _check(conn, people, against)
    chosen = [judge for judge in asked if judge.id in able and judge not in people]
    truth = _truth(conn, answers, people, part, pooled=tuple(against) in ((), (PEOPLE,)))
    told = _Told(load_labels(conn, set(answers.groups), keys, shown), keys, shown)
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
        against=tuple(measures.against(answers, truth, j) for j in chosen) if truth else (),
        pairs=tuple(measures.pairs(answers, chosen)),
        together=tuple(_together(answers, people, chosen)),
        corrected=_corrected(answers, truth, chosen, told) if truth else (),
        notes=(*_left_out(asked, able, names), *(told.labels.notes if shown else ())),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Groups in words: their labels, the keys that a group holds and those that are shown."""

    labels: Labels
    keys: tuple[str, ...]
    shown: tuple[str, ...]


def _truth(
    conn: Connection, answers: Answers, people: Sequence[JudgeRow], part: str, *, pooled: bool
) -> Truth | None:
    if not people:
        return None
    final = _adjudicators(conn) if pooled else frozenset[int]()
    drawn = drawn_answers(conn) if any(j.kind == JudgeKind.HUMAN for j in people) else {}
    return truth_of(answers, [judge.id for judge in people], final, drawn, part)


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


def _reference(conn: Connection, against: Sequence[str]) -> list[JudgeRow]:
    """Return the judges asked to be the reference, or all people."""
    every = [column.judge for column in choose_judges(conn, ())]
    people = [judge for judge in every if judge.kind == JudgeKind.HUMAN and judge.decides]
    if not against:
        return people
    found: dict[int, JudgeRow] = {}
    for name in against:
        if name == PEOPLE and all(judge.name != PEOPLE for judge in every):
            found.update({judge.id: judge for judge in people})
        else:
            named = [column.judge for column in choose_judges(conn, [name])]
            found.update({judge.id: judge for judge in named})
    return list(found.values())


def _check(conn: Connection, people: Sequence[JudgeRow], against: Sequence[str]) -> None:
    """Refuse a reference that has no label here, or that pools what must not be pooled."""
    if against and not people:
        raise NotFoundError(f"--against {' '.join(against)}: no label of theirs in this scope")
    cards = {card.id: card for card in reviews.judge_cards(conn)}
    kinds: dict[tuple[str, ...], list[str]] = {}
    for judge in people:
        card = cards[judge.id]
        told = str(card.spec.get("guideline")), str(card.spec.get("labels"))
        kind = (*told, judge.heading, *judge.unsafe_verdicts)
        kinds.setdefault(kind, []).append(f"{judge.name}#{judge.digest[:8]}")
    if len(kinds) > 1:
        told_apart = "; ".join(", ".join(names) for names in kinds.values())
        raise ConfigError(
            "labels given under different guidelines or with different meanings are never pooled "
            f"({told_apart}): choose with --against NAME#DIGEST"
        )


def _adjudicators(conn: Connection) -> frozenset[int]:
    cards = reviews.judge_cards(conn, JudgeKind.HUMAN)
    return frozenset(card.id for card in cards if card.spec.get("role") == _ADJUDICATOR)


def _together(
    answers: Answers, people: Sequence[JudgeRow], chosen: Sequence[JudgeRow]
) -> list[Together]:
    sets = [one for one in (people, chosen) if len(one) > 1]
    return [measures.together(answers, one) for one in sets]


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
