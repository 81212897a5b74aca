"""Judges behind an endpoint: a subject becomes one or several requests, their replies a finding.

What must hold: a subject gets its outcome once all its parts are known; one part that fails
fails the subject, so that no finding rests on half of what was to be judged; when the
endpoint need not be asked any further, what is known is told first, and the rest stays as
it was.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from lam3db.endpoints.client import Call
from lam3db.errors import EndpointError
from lam3db.records import Failed, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from lam3db.endpoints.budget import Size
    from lam3db.endpoints.client import Client, Reply
    from lam3db.records import Subject

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Question:
    """One request about a subject: its size, and how its JSON is made when it is sent.

    ``topic`` is what a judge needs to know of it when it is to be put otherwise.
    """

    size: Size
    body: Callable[[], Mapping[str, Any]]
    topic: Any = None


@dataclass(slots=True)
class _Tally(Generic[Part]):
    """What is known of one subject so far."""

    subject: Subject
    questions: list[Question]
    missing: int
    parts: dict[int, Part] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)


def _none(_failed: Failed) -> Finding | None:
    return None


def _never(_question: Question, _failed: Failed) -> Question | None:
    return None


@dataclass(frozen=True, slots=True)
class AskingJudge(Generic[Part]):
    """A judge at work. ``path`` is below the endpoint's URL.

    ``split`` gives the questions about a subject, or the finding where none need be asked;
    ``read`` turns a reply into a part (raising FaultError where it is not what was promised);
    ``combine`` makes a finding of all parts, in the order of the questions; ``abstain`` turns
    a failure that is really an answer ("I do not know this language") into a finding; ``again``
    puts a question that failed otherwise, or gives none. ``remarks`` count what was passed over.
    """

    client: Client
    path: str
    split: Callable[[Subject], Finding | list[Question]]
    read: Callable[[Reply], Part]
    combine: Callable[[list[Part]], Finding]
    abstain: Callable[[Failed], Finding | None] = _none
    again: Callable[[Question, Failed], Question | None] = _never
    remarks: Counter[str] = field(default_factory=Counter)

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield outcomes as they are known; a batch may be empty while time passes."""
        known: deque[tuple[Subject, Finding | Failed]] = deque()
        tallies: dict[int, _Tally[Part]] = {}
        calls: Iterable[Call] = self._calls(subjects, known, tallies)
        try:
            while calls:
                anew: list[Call] = []
                for batch in self.client.ask(calls, self.read):
                    for call, outcome in batch:
                        anew += self._take(call, outcome, tallies, known)
                    yield _all(known)
                calls = anew
        except EndpointError:
            if known:
                yield _all(known)
            raise
        if known:
            yield _all(known)

    def _take(
        self,
        call: Call,
        outcome: Part | Failed,
        tallies: dict[int, _Tally[Part]],
        known: deque[tuple[Subject, Finding | Failed]],
    ) -> list[Call]:
        """Note what became of a call; return the call to make in its place, if any."""
        index, number = call.tag
        tally = tallies[index]
        if isinstance(outcome, Failed):
            question = self.again(tally.questions[number], outcome)
            if question is not None:
                tally.questions[number] = question
                return [Call(call.tag, self.path, question.body, question.size)]
            tally.failed.append(outcome)
        else:
            tally.parts[number] = outcome
        tally.missing -= 1
        if not tally.missing:
            known.append((tally.subject, self._outcome(tallies.pop(index))))
        return []

    def close(self) -> None:
        """Close the connections, in the middle of whatever is in flight."""
        self.client.close()

    def _calls(
        self,
        subjects: Sequence[Subject],
        known: deque[tuple[Subject, Finding | Failed]],
        tallies: dict[int, _Tally[Part]],
    ) -> Iterator[Call]:
        for index, subject in enumerate(subjects):
            questions = self.split(subject)
            if isinstance(questions, Finding):
                known.append((subject, questions))
                continue
            tallies[index] = _Tally(subject, questions, len(questions))
            for number, question in enumerate(questions):
                yield Call((index, number), self.path, question.body, question.size)

    def _outcome(self, tally: _Tally[Part]) -> Finding | Failed:
        for failed in tally.failed:
            if self.abstain(failed) is None:
                return failed
        for failed in tally.failed:
            finding = self.abstain(failed)
            if finding is not None:
                return finding
        return self.combine([tally.parts[number] for number in sorted(tally.parts)])


def _all(
    known: deque[tuple[Subject, Finding | Failed]],
) -> list[tuple[Subject, Finding | Failed]]:
    """Return what is known, and forget it."""
    return [known.popleft() for _ in range(len(known))]
