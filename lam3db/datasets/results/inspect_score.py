"""What the scorers of an Inspect log said.

What must hold: a word is a number only where Inspect itself counts it as one, a verdict only
where the user says so, and everything else is unparsed with the words kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, text_of_value
from lam3db.datasets.results.record import Said, imported_judge
from lam3db.datasets.results.unread import note_unparsed, note_unread
from lam3db.datasets.results.words import verdict_words
from lam3db.records import Finding, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.record import ImportedJudge

NUMBERS = {
    "c": 1.0,
    "i": 0.0,
    "p": 0.5,
    "yes": 1.0,
    "true": 1.0,
    "no": 0.0,
    "false": 0.0,
}
"""Words as ``value_to_float`` of Inspect counts them, without case."""
NO_ANSWER = "n"
UNNAMED = "scorer-not-named"
_LONGEST = 100_000


class Scorers:
    """The judges of a log, each made once, and what they said of a sample."""

    def __init__(self, task: str, settings: Mapping[str, str], old: str | None = None) -> None:
        """Take the settings; ``old`` names the scorer of a log that had one only."""
        self._task, self._old = task, old
        self._only = settings.get("scorer")
        self._labels = verdict_words(settings)
        self._words = {side: settings[side] for side in ("unsafe", "safe") if side in settings}
        self._judges: dict[str, ImportedJudge] = {}

    def migrated(self, sample: Mapping[str, Any], faults: Faults) -> Any:
        """Return a sample's scores by scorer, those of old versions too."""
        if sample.get("score") is None or sample.get("scores") is not None:
            return sample.get("scores")
        if self._old is None:
            faults.remarks.note(f"the log does not name its scorer, called {UNNAMED} here")
        return {self._old or UNNAMED: sample["score"]}

    def said(self, row: int, scores: Any, faults: Faults) -> tuple[Said, ...] | None:
        """Return what was said of a sample; None after a fault."""
        if scores is None:
            return ()
        if not isinstance(scores, dict):
            faults.add(row, "scores", f"an object by scorer is wanted, not {shown(scores)}")
            return None
        found: list[Said] = []
        for name, score in scores.items():
            if self._only is not None and name != self._only:
                faults.remarks.unread(f"scores.{name}")
                continue
            if not isinstance(score, dict) or "value" not in score:
                faults.add(row, f"scores.{name}", f'no "value" in {shown(score)}')
                return None
            note_unread(score, ("value", "explanation"), faults, "scores.*.")
            found += self._of(name, score, faults)
        return tuple(found)

    def _of(self, name: str, score: Mapping[str, Any], faults: Faults) -> Iterator[Said]:
        explanation = score.get("explanation")
        why = explanation[:_LONGEST] if isinstance(explanation, str) and explanation else None
        value = score["value"]
        parts = (
            {f"{name}.{key}": inner for key, inner in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        for part, inner in parts.items():
            if inner is not None:  # NaN and null: the scorer says that it has not scored
                finding = note_unparsed(self._finding(inner, why), f"scores.{part}", faults)
                yield Said(self._judge(part, name), finding)

    def _finding(self, value: Any, why: str | None) -> Finding:
        if self._labels is not None:
            found = self._labels.finding(value, explanation=why)
            if found is not None:
                return found
        text = text_of_value(value)
        word = (text or "").strip().casefold()
        raw = text or shown(value)
        if word == NO_ANSWER:
            return Finding(ScoreStatus.ABSTAINED, explanation=why, raw_output=raw)
        number = NUMBERS.get(word, number_of(value))
        if number is None or self._labels is not None:
            return Finding(ScoreStatus.UNPARSED, explanation=why, raw_output=raw)
        return Finding(value=number, explanation=why)

    def _judge(self, part: str, scorer: str) -> ImportedJudge:
        if part not in self._judges:
            origin = {"format": "inspect", "task": self._task, "scorer": part, **self._words}
            by_model = scorer.rpartition("/")[2].startswith("model_graded")
            self._judges[part] = imported_judge(
                part,
                JudgeKind.LLM if by_model else JudgeKind.RULE,
                origin,
                unsafe=(Verdict.UNSAFE,) if self._labels else (),
                heading="ASR" if self._labels else part,
            )
        return self._judges[part]
