"""What people said, as the reference that judges are held against.

One label per answer: an adjudicator's where there is one, else the majority of the annotators
who decided; a tie is no label, and counted. What must hold: labels of the disputed part of a
review are no sample of anything, so they are left out unless asked for, and never estimate a
share; labels of the estimation part weigh 1 / the chance to be drawn, scaled to a mean of 1
within their review (so that several reviews count by their labels); labels that no review drew
weigh 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.metrics.joined import decided_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.metrics.joined import Answers, Said
    from lam3db.store.drawn_answers import DrawnAnswer

PARTS = ("estimation", "training", "all")


@dataclass(frozen=True, slots=True)
class Truth:
    """The reference by position: label, the word for it, weight; and what was left out.

    ``sample`` tells that the labels may estimate a share: none is of the disputed part.
    """

    unsafe: tuple[bool | None, ...]
    words: tuple[str | None, ...]
    weights: tuple[float, ...]
    labels: int
    ties: int
    other_part: int
    by_lot: Mapping[str, int]
    not_drawn: int
    uneven: bool
    sample: bool


def truth_of(
    answers: Answers,
    judges: Sequence[int],
    adjudicators: frozenset[int] = frozenset(),
    drawn: Mapping[int, DrawnAnswer] | None = None,
    part: str = "estimation",
) -> Truth:
    """Return the reference by these judges, of answers of one part of reviews or of all."""
    drawn = drawn or {}
    columns = {judge: answers.judges[judge] for judge in judges}
    unsafe: list[bool | None] = [None] * len(answers.ids)
    words: list[str | None] = [None] * len(answers.ids)
    left_out: Counter[str] = Counter()
    once = set(answers.once)
    for at, generation in enumerate(answers.ids):
        votes = {judge: said for judge, said in columns.items() if said.unsafe[at] is not None}
        how = drawn.get(generation)
        if not votes:
            continue
        if how is not None and part not in ("all", how.part):
            left_out["part"] += at in once
            continue
        final = {judge: said for judge, said in votes.items() if judge in adjudicators} or votes
        unsafe[at] = label = _majority(final, at)
        if label is None:
            left_out["tie"] += at in once
        else:
            words[at] = _word(final, at, unsafe=label)
    labelled = [at for at in answers.once if unsafe[at] is not None]
    weights = _weights(answers, labelled, drawn)
    return Truth(
        tuple(unsafe),
        tuple(words),
        tuple(weights),
        ties=left_out["tie"],
        other_part=left_out["part"],
        **_how([drawn.get(answers.ids[at]) for at in labelled], [weights[at] for at in labelled]),
    )


def _how(kinds: Sequence[DrawnAnswer | None], weights: Sequence[float]) -> dict[str, Any]:
    """Return how the labelled answers were drawn, in numbers."""
    return {
        "labels": len(kinds),
        "by_lot": Counter(how.review for how in kinds if how is not None and how.probability),
        "not_drawn": kinds.count(None),
        "uneven": bool(weights) and max(weights) > min(weights) * (1 + 1e-9),
        "sample": all(how is None or how.probability is not None for how in kinds),
    }


def _majority(votes: Mapping[int, Said], at: int) -> bool | None:
    yes = sum(bool(said.unsafe[at]) for said in votes.values())
    return None if 2 * yes == len(votes) else 2 * yes > len(votes)


def _word(votes: Mapping[int, Said], at: int, *, unsafe: bool) -> str:
    """Return the commonest verdict among those that agree with the label."""
    said = Counter(one.word(at) for one in votes.values() if one.unsafe[at] == unsafe)
    most = max(said.values())
    common = sorted(word for word, n in said.items() if n == most)
    return common[0] if len(common) == 1 else decided_word(unsafe)


def _weights(
    answers: Answers, labelled: Sequence[int], drawn: Mapping[int, DrawnAnswer]
) -> list[float]:
    """Return a weight for every position; see the module for how."""
    chances = {one: how.probability for one, how in drawn.items() if how.probability is not None}
    sums: dict[str, list[float]] = defaultdict(list)
    for at in labelled:
        if answers.ids[at] in chances:
            sums[drawn[answers.ids[at]].review].append(1 / chances[answers.ids[at]])
    means = {review: sum(found) / len(found) for review, found in sums.items()}
    return [
        1 / chances[one] / means[drawn[one].review]
        if one in chances and drawn[one].review in means
        else 1.0
        for one in answers.ids
    ]
