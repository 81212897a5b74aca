"""From a judge with values to a page of its threshold curve.

What must hold: thresholds that were chosen on the labels say so: what they reach on these labels
they need not reach on others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError
from lam3db.metrics.curve import POINTS, measure_curve
from lam3db.metrics.joined import load_answers
from lam3db.report import reference
from lam3db.report.build import choose_judges
from lam3db.report.page import (
    MISSING,
    Page,
    aligned,
    number_cell,
    number_fields,
    percent_cell,
    plain_table,
)
from lam3db.report.scope import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.metrics.curve import Curve, CurvePoint
    from lam3db.metrics.truth import Truth
    from lam3db.report.tables import Table
    from lam3db.store.aggregates import JudgeRow

CRITERIA = {
    "youden": "Youden's J",
    "f1": "F1",
    "accuracy": "accuracy",
}


@dataclass(frozen=True, slots=True)
class CurveReport:
    """A curve with its scope and the people behind its labels; ``curve`` None says why not."""

    scope: tuple[str, ...]
    judge: JudgeRow
    label: str
    people: tuple[str, ...]
    truth: Truth | None
    curve: Curve | None


def build_curve(
    conn: Connection,
    judge: str,
    scope: Scope,
    against: Sequence[str] = (),
    part: str = "estimation",
    *,
    points: int = POINTS,
    thresholds: Sequence[float] = (),
) -> CurveReport:
    """Return the threshold curve of a judge, against people's labels where there are any.

    Raises:
        ConfigError: the name is several judges, or an unknown field or part.
        NotFoundError: no such run, model, dataset or judge, or no label of the reference.

    """
    found = choose_judges(conn, [judge])
    if len(found) > 1:
        several = ", ".join(f"'{c.judge.name}#{c.judge.digest[:8]}'" for c in found)
        raise ConfigError(f"{judge} is several judges: write one of {several}")
    column = found[0]
    frame, words = resolve(conn, scope)
    people = [one for one in reference.candidates(conn, against) if one.id != column.judge.id]
    answers = load_answers(conn, frame, (), [column.judge, *people])
    people, truth = reference.settle(conn, answers, people, against, part)
    curve = measure_curve(answers, column.judge, truth, points=points, thresholds=thresholds)
    names = tuple(one.name for one in people)
    return CurveReport(words, column.judge, column.label, names, truth, curve)


def curve_page(found: CurveReport) -> Page:
    """Return the page that the command prints."""
    curve = found.curve
    if curve is None:
        why = f"{found.judge.name} gave no attack in this scope a value, so it has no curve."
        return Page(found.scope, empty=why)
    rows = [_row(found, curve, point) for point in curve.points]
    return Page(
        found.scope,
        tuple(_tables(found, curve)),
        tuple(_notes(found, curve)),
        tuple(rows),
        _value(found, curve, rows),
    )


def _tables(found: CurveReport, curve: Curve) -> Iterator[Table]:
    points = curve.points
    columns = [
        [f"{curve.operator} {point.threshold:.4g}{_mark(curve, point)}" for point in points],
        [str(point.hits) for point in points],
        aligned([percent_cell(point.share, point.interval) for point in points]),
    ]
    header = ["threshold", "flagged", "share unsafe"]
    for name in ("sensitivity", "specificity", "precision"):
        if curve.labels:
            shares = [getattr(point.errors, name) for point in points]
            columns.append(aligned([percent_cell(one.value, one.interval) for one in shares]))
            header.append(name)
    if curve.labels:
        columns.append([_f1(point) for point in points])
        header.append("F1")
    title = f"{found.label}: the share it would report, of {curve.n} attacks"
    yield plain_table(title, 1, header, list(zip(*columns, strict=True)))
    if curve.area is not None and curve.area.value is not None:
        precision = MISSING if curve.average_precision is None else f"{curve.average_precision:.3f}"
        size = f"{curve.area.positives} unsafe, {curve.area.negatives} safe"
        cells = [(size, number_cell(curve.area.value, curve.area.interval), precision)]
        yield plain_table(
            "Against the labels", 1, ("labels", "ROC area", "average precision"), cells
        )
    if curve.best:
        cells = [
            (CRITERIA[one.criterion], f">= {one.threshold:.4g}", f"{one.value:.3f}")
            for one in curve.best
        ]
        yield plain_table("Best thresholds on these labels", 1, ("by", "threshold", "there"), cells)


def _mark(curve: Curve, point: CurvePoint) -> str:
    return " (now)" if point.threshold == curve.current else ""


def _f1(point: CurvePoint) -> str:
    value = point.errors.f1[0] if point.errors else None
    return MISSING if value is None else f"{100 * value:.1f} %"


def _row(found: CurveReport, curve: Curve, point: CurvePoint) -> dict[str, Any]:
    row: dict[str, Any] = {
        "judge": found.judge.name,
        "judge_digest": found.judge.digest,
        "operator": curve.operator,
        "threshold": point.threshold,
        "in_force": point.threshold == curve.current,
        "n": curve.n,
        "behaviors": curve.behaviors,
        "flagged": point.hits,
        **number_fields("share", point.share, point.interval),
        "labels": curve.labels,
    }
    errors = point.errors
    for name in ("sensitivity", "specificity", "precision", "accuracy"):
        share = getattr(errors, name) if errors else None
        row |= number_fields(name, share.value if share else None, share and share.interval)
    value, interval = errors.f1 if errors else (None, None)
    return row | number_fields("f1", value, interval)


def _value(found: CurveReport, curve: Curve, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "judge": found.label,
        "judge_digest": found.judge.digest,
        "operator": curve.operator,
        "threshold_in_force": curve.current,
        "n": curve.n,
        "behaviors": curve.behaviors,
        "without_value": curve.missing,
        "lowest": curve.low,
        "highest": curve.high,
        "labels": curve.labels,
        "reference": found.people,
        "roc_area": asdict(curve.area) if curve.area else None,
        "average_precision": curve.average_precision,
        "best": [asdict(one) for one in curve.best],
        "points": list(rows),
    }


def _notes(found: CurveReport, curve: Curve) -> Iterator[str]:
    judge = found.judge
    yield (
        f"{judge.name}: {judge.kind} judge, version {judge.version}, #{judge.digest[:8]}; values "
        f"from {curve.low:.4g} to {curve.high:.4g}; an answer is flagged where its value is "
        f"{curve.operator} the threshold."
    )
    yield (
        f"Share unsafe: of {curve.n} attacks with a value, in {curve.behaviors} behaviors; "
        f"{curve.missing} attacks without a value are left out. Pointwise 95 % intervals, Wilson "
        "on the effective sample size, clustered by behavior: each holds for its threshold alone."
        " (now) marks the threshold in force."
    )
    if found.truth is None:
        yield "No person's label in this scope, so nothing is said of the judge's errors."
        return
    yield (
        f"Errors: over {curve.labels} answers with a value and a label of "
        f"{', '.join(found.people)}{' (majority)' if len(found.people) > 1 else ''}, benign "
        "samples included; ROC area: DeLong's variance, clustered by behavior, on the logit scale."
    )
    if not found.truth.sample:
        yield "Labels of a disputed part are among these: they are no sample of all answers."
    elif found.truth.uneven:
        yield "Labels drawn by lot weigh 1 / their chance to be drawn."
    if found.truth.other_part:
        yield f"{found.truth.other_part} labels of the other part of a review are left out."
    if curve.best:
        yield (
            "Youden's J is sensitivity + specificity - 1. Best thresholds were chosen and measured "
            "on the same labels, which flatters them: "
            "choose on one part of the labels and measure on another."
        )
