"""Who judges are held against: the people (or judges) asked for, and their labels.

What must hold: labels that people gave under different guidelines or with different meanings
are never pooled into one reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics.truth import PARTS, truth_of
from lam3db.records import JudgeKind
from lam3db.report.build import choose_judges
from lam3db.store import reviews
from lam3db.store.drawn_answers import drawn_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.metrics.joined import Answers
    from lam3db.metrics.truth import Truth
    from lam3db.store.aggregates import JudgeRow

PEOPLE = "human"
_ADJUDICATOR = "adjudicator"


def candidates(conn: Connection, against: Sequence[str]) -> list[JudgeRow]:
    """Return the judges asked to be the reference; without, or for ``human``, all people.

    Raises:
        NotFoundError: no such judge.

    """
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


def settle(
    conn: Connection,
    answers: Answers,
    people: Sequence[JudgeRow],
    against: Sequence[str],
    part: str,
) -> tuple[list[JudgeRow], Truth | None]:
    """Return those of ``people`` who labelled something here, and the reference they make.

    Raises:
        ConfigError: no such part of reviews, or labels that must not be pooled.
        NotFoundError: they were asked for, and there is no label of theirs.

    """
    if part not in PARTS:
        raise ConfigError(f"--part {part}: write one of {', '.join(PARTS)}")
    able = [
        judge
        for judge in people
        if judge.id in answers.judges
        and any(one is not None for one in answers.judges[judge.id].unsafe)
    ]
    if against and not able:
        raise NotFoundError(f"--against {' '.join(against)}: no label of theirs in this scope")
    if not able:
        return [], None
    _check(conn, able)
    pooled = tuple(against) in ((), (PEOPLE,))
    final = _adjudicators(conn) if pooled else frozenset[int]()
    human = any(judge.kind == JudgeKind.HUMAN for judge in able)
    drawn = drawn_answers(conn) if human else {}
    return able, truth_of(answers, [judge.id for judge in able], final, drawn, part)


def _check(conn: Connection, people: Sequence[JudgeRow]) -> None:
    cards = {card.id: card for card in reviews.judge_cards(conn)}
    kinds: dict[tuple[str, ...], list[str]] = {}
    for judge in people:
        spec = cards[judge.id].spec
        told = str(spec.get("guideline")), str(spec.get("labels"))
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
