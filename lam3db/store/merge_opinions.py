"""What was said of one subject on two sides, brought together: no database here.

A judge that is asked twice may say two things. All that is said of one subject in one
*replicate* is one opinion: revision 0, and the revisions by which people or a further asking
corrected it, each with an author and a reason.

The rule, which depends on the order of merging as little as it can:

- An opinion whose first word is the same on both sides (status, value, verdict, texts,
  attributes) is the same opinion, whichever replicate it is. What was said later is one
  history: the revisions of both, in the order of their times, the last one current.
- Another first word is another opinion. The one stored here stays replicate 0, which numbers
  are made of; the other is kept as the next replicate, counted and reported. No merge decides
  between two answers of a judge.

What must hold: nothing that was said is overwritten or lost. A revision's number is its place
in the history: an older one from elsewhere moves later ones up, with author, reason and time
as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    History = list["Said"]


@dataclass(frozen=True, slots=True)
class Said:
    """A finding with its attributes; ``row`` is as stored on its side."""

    row: dict[str, Any]
    attributes: tuple[tuple[str, float], ...]

    def says(self, other: Said) -> bool:
        """Tell whether both say the same; a text that is withheld contradicts none."""
        mine, its = self.row, other.row
        same = all(mine[name] == its[name] for name in ("status", "value", "verdict"))
        if not same or self.attributes != other.attributes:
            return False
        if mine["withheld_id"] is not None or its["withheld_id"] is not None:
            return True
        return all(mine[name] == its[name] for name in ("explanation", "raw_output"))

    def is_revision(self, other: Said) -> bool:
        """Tell whether both are the same correction by the same person at the same time."""
        names = ("author", "reason", "created_at")
        return all(self.row[n] == other.row[n] for n in names) and self.says(other)

    @property
    def when(self) -> tuple[Any, ...]:
        """By what revisions are put in order; more than the time only where times are equal."""
        row = self.row
        said = (row["status"], str(row["value"]), str(row["verdict"]), str(row["explanation"]))
        return (row["created_at"], row["author"] or "", row["reason"] or "", *said)


@dataclass(slots=True)
class Place:
    """One finding of a merged history; ``there`` are the ids it has in the source."""

    said: Said
    is_new: bool
    there: list[Said] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Opinion:
    """A merged history and the replicate it is here; ``is_new``: nothing like it was here."""

    replicate: int
    places: list[Place]
    is_new: bool


def split(said: Sequence[Said]) -> dict[int, History]:
    """Return what was said of one subject by replicate; raise ValueError where numbers miss."""
    found: dict[int, History] = {}
    for one in sorted(said, key=lambda one: (one.row["replicate"], one.row["revision"])):
        found.setdefault(one.row["replicate"], []).append(one)
    for history in found.values():
        if [one.row["revision"] for one in history] != list(range(len(history))):
            raise ValueError("the revisions of a finding have gaps")
    return found


def bring_together(here: dict[int, History], there: dict[int, History]) -> Iterator[Opinion]:
    """Yield each opinion from there as it is to stand here."""
    free = dict(here)
    largest = max(here, default=-1)
    for replicate, history in there.items():
        order = sorted(free, key=lambda one: (one != replicate, one))
        same = next((one for one in order if free[one][0].says(history[0])), None)
        if same is None:
            largest += 1
            places = [Place(one, is_new=True, there=[one]) for one in history]
            yield Opinion(largest, places, is_new=True)
        else:
            yield Opinion(same, _one_history(free.pop(same), history), is_new=False)


def _one_history(here: History, there: History) -> list[Place]:
    """Return the revisions of both in the order of their times; each side keeps its own order."""
    places = [Place(one, is_new=False) for one in here]
    places[0].there.append(there[0])
    after = 0
    for said in there[1:]:
        same = next((at for at in range(1, len(places)) if _is(places[at], said)), None)
        if same is None:
            later = (at for at in range(after + 1, len(places)) if places[at].said.when > said.when)
            same = next(later, len(places))
            places.insert(same, Place(said, is_new=True))
        places[same].there.append(said)
        after = same
    return places


def _is(place: Place, said: Said) -> bool:
    return place.said.is_revision(said)


def by_subject(said: Sequence[Said]) -> Iterator[tuple[bytes, History]]:
    """Yield what was said of each subject; what comes is in the order of subjects."""
    for subject, group in groupby(said, lambda one: one.row["subject_digest"]):
        yield subject, list(group)
