"""Agreement for programs: one flat row per number (CSV), and the same as JSON.

What must hold: a judge is told by its digest; what was refused has its reason and no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.report.agree_tables import (
    CELLS,
    agreement_notes,
    agreement_tables,
    reference_name,
)
from lam3db.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lam3db.metrics.agree import Against, CorrectedShare, Pair, Together
    from lam3db.report.agree import Agreement, CorrectedRow
    from lam3db.stats.agreement import Coefficient
    from lam3db.stats.correction import Corrected
    from lam3db.stats.drawn import Share
    from lam3db.stats.intervals import Interval
    from lam3db.store.aggregates import JudgeRow

Row = dict[str, Any]


def agreement_page(found: Agreement) -> Page:
    """Return the page that the command prints."""
    if found.empty:
        return Page(found.scope, empty=found.empty, value=_value(found, []))
    rows = [*_rows(found)]
    return Page(
        found.scope,
        tuple(agreement_tables(found)),
        tuple(agreement_notes(found)),
        tuple(rows),
        _value(found, rows),
    )


def _value(found: Agreement, rows: list[Row]) -> Row:
    truth = found.truth
    return {
        "by": found.by,
        "part": found.part,
        "answers": found.answers,
        "benign": found.benign,
        "unanswered": found.unanswered,
        "judges": [_judge(found, judge) for judge in found.judges],
        "reference": [_judge(found, judge) for judge in found.reference],
        "labels": None
        if truth is None
        else {
            "n": truth.labels,
            "ties": truth.ties,
            "left_out_of_other_part": truth.other_part,
            "drawn_by_lot": dict(truth.by_lot),
            "drawn_by_no_review": truth.not_drawn,
            "weights_differ": truth.uneven,
            "fair_sample": truth.sample,
        },
        "numbers": rows,
        "left_out": [*_left_out(found)],
        "words": [*_words(found)],
    }


def _judge(found: Agreement, judge: JudgeRow) -> Row:
    return {
        "label": found.names[judge.id],
        "name": judge.name,
        "kind": judge.kind,
        "version": judge.version,
        "digest": judge.digest,
        "heading": judge.heading,
        "unsafe_verdicts": judge.unsafe_verdicts,
        "threshold": judge.threshold,
        "operator": judge.operator,
    }


def _rows(found: Agreement) -> Iterator[Row]:
    for row in found.against:
        yield from _of_against(found, row)
    for pair in found.pairs:
        yield from _of_pair(found, pair)
    for several in found.together:
        yield from _of_together(found, several)
    for line in found.corrected:
        yield from _of_corrected(found, line)


def _of_against(found: Agreement, row: Against) -> Iterator[Row]:
    head = _head(found, "against", row.judge, reference_name(found))
    errors = row.errors
    named = {
        "accuracy": errors.accuracy,
        "sensitivity": errors.sensitivity,
        "specificity": errors.specificity,
        "precision": errors.precision,
        "labelled_unsafe": errors.human,
    }
    for name, share in named.items():
        yield head | _share(name, share)
    value, interval = errors.f1
    yield head | _number("f1", value, interval, errors.jaccard.n, errors.jaccard.clusters)
    yield head | _coefficient("cohen_kappa", row.kappa)
    yield from (head | cell for cell in _cells(row.cells))


def _of_pair(found: Agreement, pair: Pair) -> Iterator[Row]:
    head = _head(found, "pair", pair.one, found.names[pair.other.id], pair.other.digest)
    yield head | _share("agreement", pair.share)
    yield head | _coefficient("cohen_kappa", pair.kappa)
    yield from (head | cell for cell in _cells(pair.cells))


def _of_together(found: Agreement, several: Together) -> Iterator[Row]:
    who = ", ".join(found.names[judge.id] for judge in several.judges)
    head = {"section": "together", "judge": who, "judge_digest": None, "other": None}
    yield head | _coefficient("krippendorff_alpha", several.alpha)
    yield head | _coefficient("fleiss_kappa", several.fleiss)


def _of_corrected(found: Agreement, line: CorrectedRow) -> Iterator[Row]:
    share = line.share
    head = _head(found, "corrected", share.judge, reference_name(found))
    head |= dict(zip(found.by, line.labels, strict=True))
    yield head | _share("by_judge", share.apparent)
    yield head | _share("labels_alone", share.human)
    yield head | _corrected("prediction_powered", share, share.powered)
    yield head | _corrected("rogan_gladen", share, share.rogan_gladen)


def _head(
    found: Agreement, section: str, judge: JudgeRow, other: str, digest: str | None = None
) -> Row:
    return {
        "section": section,
        "judge": found.names[judge.id],
        "judge_digest": judge.digest,
        "other": other,
        "other_digest": digest,
    }


def _number(
    metric: str, value: float | None, interval: Interval, n: int, clusters: int, hits: Any = None
) -> Row:
    return {
        "metric": metric,
        "value": value,
        "low": interval.low,
        "high": interval.high,
        "method": interval.method,
        "n": n,
        "hits": hits,
        "behaviors": clusters,
    }


def _share(metric: str, share: Share) -> Row:
    return _number(metric, share.value, share.interval, share.n, share.clusters, share.hits)


def _coefficient(metric: str, found: Coefficient) -> Row:
    return _number(metric, found.value, found.interval, found.n, found.clusters)


def _corrected(metric: str, share: CorrectedShare, found: Corrected) -> Row:
    row = _number(metric, found.value, found.interval, share.apparent.n, share.apparent.clusters)
    more = {"labels": share.labels, "power": found.power, "clipped": found.clipped}
    return row | more | {"refused": found.reason}


def _cells(cells: Mapping[tuple[bool, bool], int]) -> Iterator[Row]:
    names = ("both_unsafe", "first_only_unsafe", "second_only_unsafe", "both_safe")
    n = sum(cells.values())
    for name, key in zip(names, CELLS, strict=True):
        yield {"metric": name, "value": cells.get(key, 0), "n": n}


def _left_out(found: Agreement) -> Iterator[Row]:
    for row in found.against:
        yield _head(found, "against", row.judge, reference_name(found)) | {
            "left_out": dict(row.left_out)
        }
    for pair in found.pairs:
        head = _head(found, "pair", pair.one, found.names[pair.other.id], pair.other.digest)
        yield head | {"left_out": dict(pair.left_out)}


def _words(found: Agreement) -> Iterator[Row]:
    for row in found.against:
        head = _head(found, "against", row.judge, reference_name(found))
        for mine, theirs, n in row.words:
            yield head | {"said": mine, "other_said": theirs, "n": n}
    for pair in found.pairs:
        head = _head(found, "pair", pair.one, found.names[pair.other.id], pair.other.digest)
        for mine, theirs, n in pair.words:
            yield head | {"said": mine, "other_said": theirs, "n": n}
