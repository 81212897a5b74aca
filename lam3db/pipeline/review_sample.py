"""Drawing answers for people: a random part to estimate from, a disputed part to fit on.

**Estimation**: of N answers that show different things, n are drawn without replacement.
Uniform: each has probability n/N. Stratified: the n places are dealt out to behaviors as
evenly as their sizes allow, the remainder by lot; an answer of a behavior with N_h answers
that got q places for sure and shares r places by lot with H others has (q + r/H)/N_h, or 1
where all of them are taken. The probability is stored with each item, and what is estimated
from them weighs by it.

**Training**: the answers on which the judges named disagree most. Each judge's opinion is a
chance of unsafe (its value where that is from 0 to 1 and no grade, a policy's threshold moved to
0.5; else its verdict, or its grade by the threshold, as 1 or 0; 0.5 where it
abstained or gave nothing usable); the dispute is the entropy
of their mean, in bits. These are chosen, not drawn: no number may be estimated from them.

What must hold: nothing that a person has labelled, nothing withheld, only variant 0; answers
that show the same are drawn once; the parts never share an answer; the same seed on the same
answers draws the same, in whatever order the database holds them.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError
from lam3db.judges.scale import grades
from lam3db.pipeline.provenance import provenance
from lam3db.records import MemberFinding, ScoreStatus
from lam3db.store import reviews
from lam3db.store.insert import lock_versions
from lam3db.store.members import member_findings
from lam3db.store.pending import ScoreScope
from lam3db.store.put_reviews import DrawnItem, put_review
from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.store.engine import Store
    from lam3db.store.reviews import Candidate, JudgeCard

ESTIMATION, TRAINING = "estimation", "training"
_PAGE = 2048


@dataclass(frozen=True, slots=True)
class Draw:
    """What is asked for; ``labels`` is the scheme as :mod:`review_labels` writes it."""

    name: str
    random: int = 0
    disputed: int = 0
    judges: tuple[str, ...] = ()
    seed: int = 0
    stratified: bool = False
    labels: str = "safety"
    scope: ScoreScope = field(default_factory=ScoreScope)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn; ``frame`` is N, ``least`` the dispute of the least disputed one, in bits."""

    name: str
    uid: str
    random: int
    frame: int
    disputed: int
    least: float | None


def sample_review(store: Store, draw: Draw) -> Drawn:
    """Draw a review and store it.

    Raises:
        ConfigError: more is asked for than there is, or the name is taken.
        NotFoundError: the scope or a judge is not there.

    """
    if draw.random < 0 or draw.disputed < 0 or draw.random + draw.disputed == 0:
        raise ConfigError("--random and --disputed: ask for at least one answer")
    if draw.disputed and not draw.judges:
        raise ConfigError("--disputed needs --judge NAME: whose opinions differ?")
    lots = random.Random(draw.seed)  # noqa: S311 - a sample to be drawn again from its seed
    with store.write() as conn:
        lock_versions(conn)
        judges = [reviews.find_judge(conn, name) for name in draw.judges]
        frame = _frame(conn, draw.scope)
        before = reviews.shown_before(conn)
        free = [one for one in frame if before.get(one.same) != TRAINING]
        items = _random_part(draw, free, lots)
        taken = {item.generation_id for item in items}
        left = [
            one
            for one in frame
            if before.get(one.same) != ESTIMATION and one.generation_id not in taken
        ]
        chosen = _disputed_part(conn, draw, judges, left, lots) if draw.disputed else []
        items += [DrawnItem(one, TRAINING) for one, _ in chosen]
        spec = _spec(draw, judges, len(free))
        author = provenance().columns()["username"]
        _, uid = put_review(conn, draw.name, draw.seed, spec, author, items)
    least = chosen[-1][1] if chosen else None
    return Drawn(draw.name, uid, len(taken), len(free), len(chosen), least)


def _frame(conn: Connection, scope: ScoreScope) -> list[Candidate]:
    """Return what can be drawn, one answer for all that show the same, in their own order."""
    done = reviews.labelled(conn)
    first: dict[bytes, Candidate] = {}
    for one in reviews.candidates(conn, scope):
        if one.same not in done:
            first.setdefault(one.same, one)
    return [first[same] for same in sorted(first)]


def _spec(draw: Draw, judges: Sequence[JudgeCard], frame: int) -> dict[str, Any]:
    """Return how it was drawn, thresholds of the day included."""
    named = {"run_uid": draw.scope.run_uid, "model": draw.scope.model}
    named["dataset"] = draw.scope.dataset
    spec: dict[str, Any] = {
        "labels": draw.labels,
        "scope": {name: value for name, value in named.items() if value is not None},
        "random": draw.random,
        "frame": frame,
        "method": "stratified by behavior" if draw.stratified else "uniform",
        "disputed": draw.disputed,
    }
    if judges:
        spec["judges"] = [
            {"judge": card.digest}
            | ({} if card.policy is None else {"threshold": card.policy.threshold})
            for card in judges
        ]
    return spec


def _random_part(draw: Draw, free: Sequence[Candidate], lots: random.Random) -> list[DrawnItem]:
    if draw.random > len(free):
        raise ConfigError(
            f"--random {draw.random}: only {len(free)} answers can be drawn (the others are "
            "labelled, withheld, drawn for training, or show the same as one of these)"
        )
    if not draw.random:
        return []
    if draw.stratified:
        return _stratified(draw.random, free, lots)
    share = draw.random / len(free)
    picked = lots.sample(free, draw.random)
    return [DrawnItem(one.generation_id, ESTIMATION, share) for one in picked]


def _stratified(count: int, free: Sequence[Candidate], lots: random.Random) -> list[DrawnItem]:
    """Deal out the places to behaviors; see the module for the probabilities."""
    strata: dict[int, list[Candidate]] = defaultdict(list)
    for one in free:
        strata[one.behavior_id].append(one)
    items: list[DrawnItem] = []
    open_ = list(strata.values())
    while open_ and min(map(len, open_)) <= (level := count // len(open_)):
        # these take part whole; what they leave over is dealt out to the others
        whole = [one for stratum in open_ if len(stratum) <= level for one in stratum]
        items += [DrawnItem(one.generation_id, ESTIMATION, 1.0) for one in whole]
        count -= len(whole)
        open_ = [stratum for stratum in open_ if len(stratum) > level]
    if not open_:
        return items
    sure, rest = divmod(count, len(open_))
    lucky = set(lots.sample(range(len(open_)), rest))
    for at, stratum in enumerate(open_):
        chance = (sure + rest / len(open_)) / len(stratum)
        picked = lots.sample(stratum, sure + (at in lucky))
        items += [DrawnItem(one.generation_id, ESTIMATION, chance) for one in picked]
    return items


def _disputed_part(
    conn: Connection,
    draw: Draw,
    judges: Sequence[JudgeCard],
    left: Sequence[Candidate],
    lots: random.Random,
) -> list[tuple[int, float]]:
    """Return (answer, dispute) of the most disputed ones; those alike are chosen by lot."""
    ids = {card.digest: card.id for card in judges}
    known: list[tuple[float, float, int]] = []
    for part in chunks(left, _PAGE):
        said = member_findings(conn, ids, [one.generation_id for one in part])
        for one in part:
            opinions = said[one.generation_id]
            if opinions:
                chances = [
                    chance(card, opinions[card.digest])
                    for card in judges
                    if card.digest in opinions
                ]
                known.append((-dispute(chances), lots.random(), one.generation_id))
    if draw.disputed > len(known):
        names = ", ".join(card.label for card in judges)
        raise ConfigError(
            f"--disputed {draw.disputed}: only {len(known)} answers that can be drawn were judged "
            f"by {names}"
        )
    return [(one, -doubt) for doubt, _, one in sorted(known)[: draw.disputed]]


def chance(card: JudgeCard, said: MemberFinding) -> float:
    """Return a judge's opinion as a chance of unsafe, from 0 to 1."""
    if said.status is not ScoreStatus.OK:
        return 0.5
    threshold = 0.5 if card.policy is None else card.policy.threshold
    graded = grades(card.spec) is not None or not 0 <= threshold <= 1
    if said.value is not None and 0 <= said.value <= 1 and not graded:
        return _centred(said.value, threshold)
    if said.verdict is not None and card.unsafe_verdicts:
        return float(said.verdict in card.unsafe_verdicts)
    if said.value is not None and card.policy is not None:
        above = said.value > card.policy.threshold
        return float(
            above or (card.policy.operator == ">=" and said.value == card.policy.threshold)
        )
    return 0.5


def dispute(chances: Sequence[float]) -> float:
    """Return the entropy of the mean opinion, in bits: 0 for certain, 1 for even."""
    mean = math.fsum(chances) / len(chances)
    return -math.fsum(p * math.log2(p) for p in (mean, 1 - mean) if p > 0) + 0.0


def _centred(value: float, threshold: float) -> float:
    """Stretch each side of the threshold so that it comes to lie at 0.5."""
    if not 0 < threshold < 1:
        return value
    if value <= threshold:
        return 0.5 * value / threshold
    return 0.5 + 0.5 * (value - threshold) / (1 - threshold)
