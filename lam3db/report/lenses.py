"""Judges seen through a question: a threshold of the asker's, one attribute instead of the value.

What must hold: a threshold chosen when asking is never shown as the judge's own policy, nor an
attribute under the name of the value; a grade is never taken for a probability.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.judges.scale import grades
from lam3db.records import JudgeKind
from lam3db.store import attributes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Threshold
    from lam3db.store.aggregates import JudgeRow

ANY = "*"
_VOTES = {
    "majority": "share of votes for",
    "any": "share of votes for",
    "all": "share of votes for",
    "weighted": "weighted share of votes for",
    "mean": "members' mean value for",
}


@dataclass(frozen=True, slots=True)
class JudgeColumn:
    """A judge in a report; ``label`` is its name, with a digest where the name is not enough.

    ``measures`` says what its value is; ``asked`` is set where the threshold is the asker's.
    """

    judge: JudgeRow
    label: str
    measures: str = ""
    asked: bool = False


def judge_column(
    judge: JudgeRow, label: str, spec: Mapping[str, Any], people: Collection[str] = ()
) -> JudgeColumn:
    """Return a judge as its spec has it: on its scale, its value under its right name.

    ``people`` are the digests of human judges: who only combines those speaks for people.
    """
    scale = grades(spec) or (0.0, 1.0)
    members = [one["judge"] for one in spec.get("members", ())] if "ensemble" in spec else []
    of_people = judge.digest in people or (bool(members) and set(members) <= set(people))
    seen = replace(judge, scale=scale, of_people=of_people)
    return JudgeColumn(seen, label, _measures(judge, spec))


def _measures(judge: JudgeRow, spec: Mapping[str, Any]) -> str:
    """Return what a judge's value is; the default heading says nothing of a value."""
    heading = judge.heading
    if judge.kind == JudgeKind.ENSEMBLE:
        what = "unsafe" if heading == "ASR" else heading
        return f"{_VOTES.get(str(spec.get('ensemble')), 'chance of')} {what}"
    if heading != "ASR":
        return heading
    output = spec.get("output")
    by_odds = isinstance(output, dict) and output.get("by") == "odds"
    if judge.kind == JudgeKind.LLM and by_odds and grades(spec) is None:
        return "chance of unsafe"
    return "graded harm" if judge.kind in (JudgeKind.LLM, JudgeKind.HUMAN) else "value"


def with_thresholds(
    conn: Connection, columns: Sequence[JudgeColumn], thresholds: Sequence[Threshold]
) -> tuple[JudgeColumn, ...]:
    """Return the columns, those of a judge with thresholds of the asker's once for each of them.

    Raises:
        NotFoundError: no such judge here, or it gives no such attribute.
        ConfigError: it gives no values at all, so that no threshold can decide.

    """
    chosen: dict[int, list[JudgeColumn]] = {}
    for threshold in thresholds:
        for i, column in enumerate(columns):
            attribute = _attribute(column, threshold.target)
            if attribute is None:
                continue
            _known(conn, column, attribute)
            chosen.setdefault(i, []).append(_asked(column, threshold, attribute))
            break
        else:
            known = [column.label.replace(" ", "") for column in columns]
            hint = did_you_mean(threshold.target, known)
            raise NotFoundError(f"--threshold {threshold.written}: no such judge here{hint}")
    found = [one for i, column in enumerate(columns) for one in chosen.get(i, [column])]
    labels = [one.label for one in found]
    return tuple(one if labels.count(one.label) == 1 else _apart(one) for one in found)


def _apart(column: JudgeColumn) -> JudgeColumn:
    """Return a column of a judge that has several, told apart by its threshold."""
    judge = column.judge
    return replace(column, label=f"{column.label} {judge.operator} {judge.threshold:g}")


def through(column: JudgeColumn, attribute: str) -> JudgeColumn:
    """Return the judge with an attribute in place of its value, under the same threshold."""
    judge = replace(column.judge, attribute=attribute, scale=(0.0, 1.0))
    name = "any attribute" if attribute == ANY else attribute
    return JudgeColumn(judge, f"{column.label} {name}", name, column.asked)


def _attribute(column: JudgeColumn, target: str) -> str | None:
    """Return the attribute that ``target`` means of this judge: '' for its value, None for none."""
    wanted = target.replace(" ", "")
    for name in (column.label.replace(" ", ""), column.judge.name.replace(" ", "")):
        if wanted == name:
            return ""
        if wanted.startswith(f"{name}."):
            return wanted.removeprefix(f"{name}.")
    return None


def _asked(column: JudgeColumn, threshold: Threshold, attribute: str) -> JudgeColumn:
    seen = through(column, attribute) if attribute else column
    judge = replace(seen.judge, threshold=threshold.value, operator=threshold.operator)
    return replace(seen, judge=judge, asked=True)


def _known(conn: Connection, column: JudgeColumn, attribute: str) -> None:
    """Refuse a threshold on what a judge does not give: its verdicts would stand under its name."""
    if not attribute:
        if not attributes.has_values(conn, column.judge.id):
            raise ConfigError(
                f"--threshold {column.label}: this judge has given no values here, only verdicts; "
                "no threshold decides them"
            )
        return
    known = attributes.attribute_names(conn, column.judge.id)
    if not known:
        raise ConfigError(f"--threshold {column.label}.{attribute}: this judge has no attributes")
    if attribute != ANY and attribute not in known:
        hint = did_you_mean(attribute, known)
        raise NotFoundError(f"--threshold {column.label}.{attribute}: no such attribute{hint}")
