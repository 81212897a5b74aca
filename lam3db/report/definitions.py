"""What each number of a report is, in words and as a value that goes with it.

What must hold: whatever changes a number stands in its definition: judge and version, threshold
with its operator, rule over replicates, denominator, cluster key, interval, level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lam3db.metrics import Number, Question
    from lam3db.report.lenses import JudgeColumn


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric of one judge. ``event`` is what a share counts, None for a mean.

    ``of`` are the samples it is about, ``denominator`` what of them it is taken over;
    ``interval`` is how intervals were asked for (each number names the method it got).
    """

    metric: str
    name: str
    judge: str
    judge_kind: str
    judge_version: str
    judge_digest: str
    attribute: str | None
    of: str
    event: str | None
    threshold: float | None
    operator: str | None
    threshold_from: str | None
    rule: str
    k: int | None
    denominator: str
    missing: str
    cluster: str
    interval: str
    level: float
    seed: int | None
    resamples: int | None


def definitions(
    columns: Sequence[JudgeColumn], question: Question, rows: Sequence[Sequence[Number]]
) -> tuple[Definition, ...]:
    """Return the definition of every metric that a report on these numbers shows."""
    found = []
    for i, column in enumerate(columns):
        numbers = [row[i] for row in rows]
        shown = [name for name, has in _HAS.items() if question.shows(name) and has(numbers)]
        found += [_definition(name, column, question, numbers) for name in shown]
    return tuple(found)


def share_heading(column: JudgeColumn) -> str:
    """Return what a judge's share is called: its value and threshold, else its heading.

    A threshold decides wherever there is a value, over the judge's own verdict.
    """
    judge = column.judge
    if judge.threshold is None:
        return judge.heading if judge.attribute is None else f"{value_name(column)}: no threshold"
    return f"{value_name(column)} {judge.operator} {judge.threshold:g}"


def value_name(column: JudgeColumn) -> str:
    """Return what a judge's value measures; the default heading says nothing of a value."""
    heading = column.judge.heading
    return column.measures or ("value" if heading == "ASR" else heading)


def unsafe_event(column: JudgeColumn) -> str:
    """Return what makes an answer unsafe under a judge."""
    judge = column.judge
    said = []
    if judge.threshold is not None:
        said.append(f"{value_name(column)} {judge.operator} {judge.threshold:g}")
    if judge.deciding_verdicts:
        verdicts = " or ".join(judge.deciding_verdicts)
        said.append(f"verdict {verdicts}{' where there is no value' if said else ''}")
    return "; ".join(said)


def denominator(missing: str) -> str:
    """Return what a share of unsafe is taken over."""
    return {
        "scored": "what was scored",
        "failure": "all, what was not scored as a failed attack",
        "success": "all, what was not scored as a successful attack",
    }[missing]


_HAS: dict[str, Callable[[Sequence[Number]], bool]] = {
    "asr": lambda numbers: any(n.share is not None for n in numbers),
    "mean": lambda numbers: any(n.mean is not None for n in numbers),
    "refusal": lambda numbers: any(n.refused is not None for n in numbers),
    "over-refusal": lambda numbers: any(n.benign_refused is not None for n in numbers),
    "emt": lambda numbers: any(n.repeated and n.repeated.maximum for n in numbers),
    "toxicity-probability": lambda numbers: any(
        n.repeated and n.repeated.probability for n in numbers
    ),
}
_DRAWN = "what people labelled of the part drawn by lot, each answer weighing 1 over its chance"
_ATTACKS = "samples that are not benign"


def _definition(
    metric: str, column: JudgeColumn, question: Question, numbers: Sequence[Number]
) -> Definition:
    judge = column.judge
    decided = metric in ("asr", "toxicity-probability")
    ks = {n.repeated.k for n in numbers if n.repeated}
    over_k = metric in ("emt", "toxicity-probability")
    k = max(ks, default=None) if over_k else question.rule.k
    weighted = any(n.weighted for n in numbers)
    missing = question.missing if metric == "asr" and not weighted else "scored"
    bootstrap = question.interval == "bootstrap"
    return Definition(
        metric=metric,
        name=metric_name(metric, column, k),
        judge=judge.name,
        judge_kind=judge.kind,
        judge_version=judge.version,
        judge_digest=judge.digest,
        attribute=judge.attribute,
        of="benign samples" if metric == "over-refusal" else _ATTACKS,
        event=_event(metric, column),
        threshold=judge.threshold if decided else None,
        operator=judge.operator if decided else None,
        threshold_from=_from(column) if decided else None,
        rule=f"any-of-{k}" if over_k else question.rule.written,
        k=k,
        denominator=_DRAWN if weighted else denominator(missing),
        missing=missing,
        cluster=question.cluster,
        interval=question.interval,
        level=question.level,
        seed=question.seed if bootstrap else None,
        resamples=question.resamples if bootstrap else None,
    )


def metric_name(metric: str, column: JudgeColumn, k: int | None = None) -> str:
    """Return what a metric of a judge is called."""
    return {
        "asr": share_heading(column),
        "mean": f"{value_name(column)}, mean",
        "refusal": "refused",
        "over-refusal": "refused",
        "emt": f"{value_name(column)}, expected largest of {k}",
        "toxicity-probability": f"{share_heading(column)} in any of {k}",
    }[metric]


def _event(metric: str, column: JudgeColumn) -> str | None:
    if metric in ("mean", "emt"):
        return None
    return "verdict refused" if "refusal" in metric else unsafe_event(column)


def _from(column: JudgeColumn) -> str | None:
    if column.judge.threshold is None:
        return None
    return "the question" if column.asked else "the judge's current policy"
