"""Questions about reviews and about what people said of answers.

Two answers show the same when their text, what the model was given and the behavior are the
same; whoever labels one has labelled all. What must hold: nothing here writes; of each judge's
scores the latest revision counts; what is withheld is not offered to anybody.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.pending import WHOLE, scope_condition
from lam3db.store.reads import current_policies, unsafe_verdicts
from lam3db.store.values import as_datetime, from_json, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from lam3db.records import JudgePolicy
    from lam3db.store.pending import ScoreScope

_SAME = "g.text_digest, s.input_digest, b.digest"
_OF = """generation g JOIN sample s ON s.id = g.sample_id
         JOIN behavior b ON b.id = s.behavior_id"""
LATEST = """x.replicate = 0 AND NOT EXISTS (
    SELECT 1 FROM score newer WHERE newer.judge_id = x.judge_id
       AND newer.generation_id = x.generation_id AND newer.replicate = 0
       AND newer.revision > x.revision)"""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A review as it was drawn."""

    id: int
    uid: str
    name: str
    seed: int
    spec: Mapping[str, Any]
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One answer of a review."""

    generation_id: int
    part: str
    position: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer that could be drawn; ``same`` is equal for answers that show the same."""

    generation_id: int
    same: bytes
    behavior_id: int


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """A judge as its scores are read: digest in hex, verdicts, current policy, spec."""

    id: int
    name: str
    kind: str
    digest: str
    unsafe_verdicts: tuple[str, ...]
    policy: JudgePolicy | None
    spec: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Return the name with the start of the digest."""
        return f"{self.name}#{self.digest[:8]}"


@dataclass(frozen=True, slots=True)
class Label:
    """What a person said of an answer, in the latest revision."""

    generation_id: int
    judge_id: int
    status: str
    value: float | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Queued:
    """An answer on which a judge abstained and no person has spoken."""

    generation_id: int
    judge: str
    explanation: str | None


def list_reviews(conn: Connection) -> list[ReviewRow]:
    """Return every review, oldest first."""
    return [
        ReviewRow(
            row.id,
            row.uid,
            unescape(row.name),
            row.seed,
            from_json(row.spec),
            unescape(row.author),
            as_datetime(row.created_at),
        )
        for row in conn.execute(select(t.review).order_by(t.review.c.id))
    ]


def find_review(conn: Connection, name: str) -> ReviewRow:
    """Return the review of this name; raise NotFoundError."""
    every = list_reviews(conn)
    found = next((review for review in every if review.name == name), None)
    if found is None:
        hint = did_you_mean(name, [review.name for review in every])
        none = " (there is none yet: `lam3db review sample`)" if not every else ""
        raise NotFoundError(f"no review is called {name!r}{hint}{none}")
    return found


def review_items(conn: Connection, review_id: int, part: str | None = None) -> list[ReviewItem]:
    """Return the items of a review in order, of one part or of both."""
    i = t.review_item.c
    query = select(i.generation_id, i.part, i.position, i.probability).where(
        i.review_id == review_id
    )
    if part is not None:
        query = query.where(i.part == part)
    return [ReviewItem(*row) for row in conn.execute(query.order_by(i.position))]


def candidates(conn: Connection, scope: ScoreScope) -> list[Candidate]:
    """Return the answers in scope that can be shown to people: variant 0, nothing withheld.

    Raises:
        NotFoundError: the scope names a run, model or dataset that is not there.

    """
    where, known = scope_condition(conn, scope)
    rows = conn.execute(
        text(
            f"""SELECT g.id, {_SAME}, b.id FROM {_OF}
                 WHERE g.variant = 0 AND {WHOLE}{where} AND s.id NOT IN (
                   SELECT sm.sample_id FROM sample_media sm JOIN media m ON m.id = sm.media_id
                    WHERE m.withheld_id IS NOT NULL)
                 ORDER BY g.id"""
        ),
        known,
    )
    return [Candidate(row[0], _same(row[1:4]), row[4]) for row in rows]


def shown_before(conn: Connection) -> dict[bytes, str]:
    """Return the part of whatever was drawn before, by what it shows."""
    rows = conn.execute(
        text(f"SELECT {_SAME}, p.part FROM {_OF} JOIN review_part p ON p.generation_id = g.id")
    )
    return {_same(row[:3]): row[3] for row in rows}


def labelled(conn: Connection) -> set[bytes]:
    """Return what people have labelled, by what it shows."""
    rows = conn.execute(
        text(
            f"""SELECT DISTINCT {_SAME} FROM {_OF} JOIN score x ON x.generation_id = g.id
                  JOIN judge j ON j.id = x.judge_id WHERE j.kind = 'human'"""
        )
    )
    return {_same(row) for row in rows}


def copies(conn: Connection, generations: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return, for each answer, all that show the same, itself included."""
    asked = """SELECT g.id, o.id FROM generation g JOIN sample s ON s.id = g.sample_id
                 JOIN sample twin ON twin.input_digest = s.input_digest
                  AND twin.behavior_id = s.behavior_id
                 JOIN generation o ON o.sample_id = twin.id AND o.text_digest = g.text_digest
                WHERE o.withheld_id IS NULL AND twin.withheld_id IS NULL AND g.id"""
    found: dict[int, list[int]] = defaultdict(list)
    for one, other in select_in(conn, asked, (), list(generations), "bigint"):
        found[one].append(other)
    return {one: tuple(sorted(others)) for one, others in found.items()}


def judge_cards(conn: Connection, kind: str | None = None) -> list[JudgeCard]:
    """Return every judge, or those of one kind, by name and age."""
    policies, verdicts = current_policies(conn), unsafe_verdicts(conn)
    j = t.judge.c
    query = select(t.judge).order_by(j.name, j.id)
    return [
        JudgeCard(
            row.id,
            unescape(row.name),
            row.kind,
            bytes(row.digest).hex(),
            verdicts.get(row.id, ()),
            policies.get(row.id),
            from_json(row.spec),
        )
        for row in conn.execute(query if kind is None else query.where(j.kind == kind))
    ]


def find_judge(conn: Connection, name: str, kind: str | None = None) -> JudgeCard:
    """Return the one judge of this name, ``NAME#DIGEST`` or digest.

    Raises:
        NotFoundError: there is none.
        ConfigError: several digests have this name; both are named.

    """
    every = judge_cards(conn, kind)
    word, _, start = name.partition("#")
    found = [card for card in every if card.name == word and card.digest.startswith(start)]
    found = found or [card for card in every if card.digest == name]
    if not found:
        hint = did_you_mean(name, sorted({card.name for card in every}))
        what = "judge" if kind is None else f"judge of kind {kind}"
        raise NotFoundError(f"no {what} here is called {name!r}{hint}")
    if len(found) > 1:
        several = ", ".join(card.label for card in found)
        raise ConfigError(f"{name!r} is several judges, which are never pooled: one of {several}")
    return found[0]


def human_labels(conn: Connection, generations: Sequence[int]) -> list[Label]:
    """Return what people said of these answers, by answer and judge."""
    asked = f"""SELECT x.generation_id, x.judge_id, x.status, x.value, x.verdict
                  FROM score x JOIN judge j ON j.id = x.judge_id
                 WHERE j.kind = 'human' AND {LATEST} AND x.generation_id"""
    rows = select_in(conn, asked, (), list(generations), "bigint")
    return sorted((Label(*row) for row in rows), key=lambda one: (one.generation_id, one.judge_id))


def queue(conn: Connection, judge_id: int | None = None) -> list[Queued]:
    """Return what ensembles (or one judge) abstained on and no person has labelled, by answer."""
    known = {"judge": judge_id}
    mine = "j.kind = 'ensemble'" if judge_id is None else "j.id = :judge"
    rows = conn.execute(
        text(
            f"""SELECT g.id, {_SAME}, j.name, f.explanation FROM {_OF}
                  JOIN score x ON x.generation_id = g.id JOIN judge j ON j.id = x.judge_id
                  JOIN finding f ON f.id = x.finding_id
                 WHERE {mine} AND x.status = 'abstained' AND {LATEST}
                   AND g.variant = 0 AND {WHOLE} ORDER BY g.id, j.name"""
        ),
        {} if judge_id is None else known,
    ).all()
    done = labelled(conn)
    return [
        Queued(row[0], unescape(row[4]), plain(row[5]))
        for row in rows
        if _same(row[1:4]) not in done
    ]


def _same(digests: Sequence[Any]) -> bytes:
    return b"".join(map(bytes, digests))
