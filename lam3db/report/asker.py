"""Refs for the rows of a report: what a reader copies to ask what is behind a number.

What must hold: a ref names the dataset versions that were in scope, not "the latest", so it
asks the same when there is a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db.hashing import unescape
from lam3db.report.refs import DIGITS, Ref
from lam3db.store import overview
from lam3db.store.tracing import behavior_digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Question
    from lam3db.store.aggregates import Frame, JudgeRow

UID = 13


@dataclass(frozen=True, slots=True)
class Asker:
    """Words for ids that stay the same in every copy of a database, and the scope in words."""

    words: Mapping[str, Mapping[int | str | None, str]]
    datasets: tuple[str, ...]
    run: str | None
    models: tuple[str, ...]
    where: Mapping[str, str]
    question: Question

    def ref(self, ids: Mapping[str, int | str | None], judge: JudgeRow) -> str:
        """Return the ref of what ``judge`` says of the group with these ids."""
        return self.make(ids, judge).text

    def make(
        self, ids: Mapping[str, int | str | None], judge: JudgeRow, metric: str | None = None
    ) -> Ref:
        """Return it in parts; ``metric`` asks for one of the row's numbers."""
        return Ref(
            judge=judge.digest[:DIGITS],
            group={key: self._word(key, value) for key, value in ids.items()},
            attribute=judge.attribute,
            threshold=threshold_of(judge),
            question=self.question,
            datasets=self.datasets,
            run=self.run,
            models=self.models,
            where=self.where,
            metric=metric,
        )

    def _word(self, key: str, value: int | str | None) -> str:
        if key in self.words:
            return self.words[key].get(value, "")
        if key == "benign":
            return "yes" if value else "no"
        return unescape(str(value))


def threshold_of(judge: JudgeRow) -> tuple[str, float] | None:
    """Return (operator, threshold) of a judge that has one."""
    if judge.threshold is None or judge.operator is None:
        return None
    return judge.operator, judge.threshold


def asker(
    conn: Connection,
    frame: Frame,
    groups: Iterable[Mapping[str, int | str | None]],
    question: Question,
) -> Asker:
    """Return what makes the refs of these groups in this scope."""
    seen: dict[str, set[int]] = {}
    for group in groups:
        for key, value in group.items():
            if isinstance(value, int):
                seen.setdefault(key, set()).add(value)
    runs = overview.run_rows(conn, [*frame.runs, *sorted(seen.get("run", ()))])
    return Asker(
        words={
            "model": {i: row.digest[:DIGITS] for i, row in overview.model_names(conn).items()},
            "config": _configs(conn, sorted(seen.get("config", ()))),
            "dataset": dict(_datasets(conn)),
            "run": {i: uid[:UID] for i, uid in runs.items()},
            "behavior": {
                i: digest[:DIGITS]
                for i, digest in behavior_digests(conn, seen.get("behavior", ())).items()
            },
        },
        datasets=tuple(name for i, name in _datasets(conn) if i in frame.datasets),
        run=runs[frame.runs[0]][:UID] if frame.runs else None,
        models=frame.models,
        where=frame.where,
        question=replace(question, thresholds=(), attributes=False),
    )


def _configs(conn: Connection, ids: Sequence[int]) -> dict[int | str | None, str]:
    return {i: digest[:DIGITS] for i, (digest, _) in overview.config_values(conn, ids).items()}


def _datasets(conn: Connection) -> list[tuple[int, str]]:
    return [(v.id, f"{v.name}@{v.version}") for v in overview.dataset_versions(conn)]
