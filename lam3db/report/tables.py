"""A report as tables of words, with the sentences that belong under them.

Terminal and Markdown print the same tables. What must hold: a share stands with its interval
and its n; where not everything was scored n reads ``scored/total``; what a number rests on
(judge, threshold, denominator, replicates, cluster, interval, what was not scored) is under
it, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.records import JudgeKind, Verdict
from lam3db.report.definitions import metric_name, share_heading, value_name
from lam3db.report.sentences import (
    DENOMINATORS,
    DRAWN,
    NOT_DRAWN,
    extremes_note,
    interval_note,
    may_differ,
    repeated_note,
    rule_note,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.metrics import Counts, Estimate, Number, Total
    from lam3db.report.build import AttributeTable, Report, Row
    from lam3db.report.lenses import JudgeColumn

MISSING = "–"  # noqa: RUF001 - the dash of an empty cell
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text. The first ``left`` columns are labels, the others numbers.

    ``groups`` says, for each column, whose it is: a judge's label, or nobody's.
    """

    title: str
    header: tuple[str, ...]
    groups: tuple[str, ...]
    left: int
    cells: tuple[tuple[str, ...], ...]


def percent(estimate: Estimate | None) -> str:
    """Return `` 62.5 % [45.2,  77.1]``; figures of one column stand under each other."""
    if estimate is None or estimate.value is None:
        return MISSING
    value, interval = f"{100 * estimate.value:.1f} %", estimate.interval
    if interval.low is None or interval.high is None:
        return f"{value} [{interval.method.removeprefix('none: ')}]"
    return f"{value} [{100 * interval.low:4.1f}, {100 * interval.high:5.1f}]"


def mean(estimate: Estimate | None) -> str:
    """Return ``0.125 [0.032, 0.218]``."""
    if estimate is None or estimate.value is None:
        return MISSING
    interval = estimate.interval
    if interval.low is None or interval.high is None:
        return f"{estimate.value:.3f} [{interval.method.removeprefix('none: ')}]"
    return f"{estimate.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def size(counts: Counts) -> str:
    """Return how many were scored, of how many where that is not all."""
    return str(counts.scored) if not counts.unscored else f"{counts.scored}/{counts.total}"


def tables(report: Report, width: int | None = None) -> list[Table]:
    """Return the tables of a report: one row per group and columns for every judge.

    With ``width`` (terminal columns), or when grouped by judge, each judge has a table of its
    own where one for all would not fit. Refusals among benign samples follow.
    """
    everyone = range(len(report.judges))
    main = _attacks(report, everyone)
    too_wide = width is not None and main is not None and _width(main) > width
    apart = report.per_judge or too_wide
    attacks = [_attacks(report, [i]) for i in everyone] if apart else [main]
    ids = [column.judge.id for column in report.judges]
    once = [i for i in everyone if ids.index(ids[i]) == i]
    benign = [_benign(report, i) for i in once] if report.question.shows("over-refusal") else []
    open_ = _extremes(report) if report.question.shows("asr") else None
    every = (*attacks, open_, *benign, *(_attributes(report, one) for one in report.attributes))
    return [table for table in every if table]


def _attacks(report: Report, judges: Sequence[int]) -> Table | None:
    rows = [row for row in report.rows if row.numbers[0].counts.total]
    if not rows:
        return None
    sizes = {i: [size(row.numbers[i].counts) for row in rows] for i in judges}
    common = all(sizes[i] == sizes[judges[0]] for i in judges)
    columns = [_Column("", "n", sizes[judges[0]])] if common else []
    for i in judges:
        if not common:
            columns.append(_Column(report.judges[i].label, "n", sizes[i]))
        columns += _columns(report, rows, i)
    return _table("Attacks", report, rows, columns)


def _columns(report: Report, rows: Sequence[Row], i: int) -> list[_Column]:
    """Return the columns of a judge: what was asked for, or all that its numbers have."""
    column, question = report.judges[i], report.question
    numbers = [row.numbers[i] for row in rows]
    found = []
    if question.shows("mean") and any(number.mean for number in numbers):
        cells = _aligned([mean(number.mean) for number in numbers])
        found.append(_Column(column.label, f"{over_replicates(report)}{_mean(column)}", cells))
    if question.shows("asr") and (column.judge.decides or not found):
        cells = _aligned([percent(number.share) for number in numbers])
        found.append(_Column(column.label, share_heading(column), cells))
    if question.shows("refusal") and _tells_more(report, column, numbers):
        cells = _aligned([percent(number.refused) for number in numbers])
        found.append(_Column(column.label, "refused", cells))
    return found + _repeated(report, column, numbers)


def _mean(column: JudgeColumn) -> str:
    return metric_name("mean", column)


def over_replicates(report: Report) -> str:
    """Return what the rule makes of a sample's values, as a word before their name."""
    rule = report.question.rule
    if rule.k is not None:
        return f"largest of {rule.k}, "
    return "largest " if rule.name == "any" else ""


def _extremes(report: Report) -> Table | None:
    """Return what the shares could be, for the groups where something is missing."""
    rows = [row for row in report.rows if any(map(may_differ, row.numbers))]
    if not rows:
        return None
    columns = [
        _Column(column.label, share_heading(column), [extremes(row.numbers[i]) for row in rows])
        for i, column in enumerate(report.judges)
        if any(may_differ(row.numbers[i]) for row in rows)
    ]
    return _table("Attacks, were all that is missing safe or unsafe", report, rows, columns)


def extremes(number: Number) -> str:
    """Return ``41.0 to 55.0 %``: the share if all that is missing were safe, and if unsafe.

    Nothing where nothing is missing.
    """
    found = number.extremes
    if found is None or not may_differ(number):
        return MISSING
    return f"{100 * found.best:.1f} to {100 * found.worst:.1f} %"


def _tells_more(report: Report, column: JudgeColumn, numbers: Sequence[Number]) -> bool:
    """Whether a column of refusals is not just what its share leaves of 100 %."""
    if not any(number.refused for number in numbers):
        return False
    judge = column.judge
    opposite = judge.threshold is None and judge.unsafe_verdicts == (Verdict.NOT_REFUSED,)
    return "refusal" in report.question.metrics or not opposite


def _repeated(report: Report, column: JudgeColumn, numbers: Sequence[Number]) -> list[_Column]:
    found = []
    question, known = report.question, [n.repeated for n in numbers]
    k = max((one.k for one in known if one), default=None)
    if question.shows("emt") and any(one and one.maximum for one in known):
        cells = _aligned([mean(one.maximum if one else None) for one in known])
        found.append(_Column(column.label, metric_name("emt", column, k), cells))
        sizes = [str(one.maximum.n) if one and one.maximum else MISSING for one in known]
        found.append(_Column(column.label, f"samples with {k}", sizes))
    if question.shows("toxicity-probability") and any(one and one.probability for one in known):
        cells = _aligned([percent(one.probability if one else None) for one in known])
        name = metric_name("toxicity-probability", column, k)
        found.append(_Column(column.label, name, cells))
    return found


def _attributes(report: Report, table: AttributeTable) -> Table | None:
    """Return a line per group and attribute: n, mean, share over the threshold."""
    decides = any(column.judge.decides for column in table.columns)
    lines: list[tuple[tuple[str, ...], JudgeColumn, Number]] = [
        ((*(row.labels or ("all",)), column.measures), column, number)
        for row, numbers in zip(report.rows, table.numbers, strict=True)
        for column, number in zip(table.columns, numbers, strict=True)
        if number.counts.total
    ]
    if not lines:
        return None
    judge = table.columns[0].judge
    columns = [
        _Column("", "n", [str(n.mean.n if n.mean else 0) for _, _, n in lines]),
        _Column("", "mean", _aligned([mean(n.mean) for _, _, n in lines])),
    ]
    if decides:
        name = f"{judge.operator} {judge.threshold:g}"
        columns.append(_Column("", name, _aligned([percent(n.share) for _, _, n in lines])))
    by = (*(report.by or ("scope",)), "attribute")
    cells = [
        (*labels, *(column.cells[i] for column in columns))
        for i, (labels, _, _) in enumerate(lines)
    ]
    header = (*by, *(column.name for column in columns))
    return Table(f"Attributes of {table.label}", header, ("",) * len(header), len(by), tuple(cells))


def _benign(report: Report, i: int) -> Table | None:
    rows = [row for row in report.rows if row.numbers[i].benign_refused is not None]
    if not rows:
        return None
    numbers = [row.numbers[i] for row in rows]
    label = report.judges[i].label
    columns = [
        _Column(label, "n", [size(number.benign) for number in numbers]),
        _Column(label, "refused", _aligned([percent(n.benign_refused) for n in numbers])),
    ]
    return _table("Benign samples: refusals (over-refusal)", report, rows, columns)


@dataclass(frozen=True, slots=True)
class _Column:
    group: str
    name: str
    cells: list[str]


def _aligned(cells: list[str]) -> list[str]:
    """Pad the intervals to one width, so that the values before them stand in line."""
    split = [cell.partition("[") for cell in cells]
    widest = max(len(tail) for _, _, tail in split)
    return [head + mark + (f"{tail:<{widest}}" if mark else "") for head, mark, tail in split]


def _table(title: str, report: Report, rows: Sequence[Row], columns: list[_Column]) -> Table:
    by = report.by or ("scope",)
    cells = [
        (*(row.labels or ("all",)), *(column.cells[i] for column in columns))
        for i, row in enumerate(rows)
    ]
    return Table(
        title,
        (*by, *(column.name for column in columns)),
        (*("" for _ in by), *(column.group for column in columns)),
        len(by),
        tuple(cells),
    )


def _width(table: Table) -> int:
    from lam3db.report.text import columns

    widths = [max(map(columns, cells)) for cells in zip(table.header, *table.cells, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


def footnotes(report: Report) -> list[str]:
    """Return the sentences under the tables, in the order a doubting reader asks."""
    if not report.rows:
        return list(report.notes)
    pairs = list(zip(report.judges, report.totals, strict=True))
    return [
        *(judge_note(column, weighted=total.weighted) for column, total in pairs),
        DENOMINATORS[report.question.missing],
        *extremes_note(report),
        rule_note(report),
        *repeated_note(report),
        interval_note(report),
        *(_unscored(column, total) for column, total in pairs),
        *report.notes,
        f"{_ASK} {report.ref(report.rows[0], report.judges[0])}",
    ]


_ASK = "What is behind a number: --format csv or json gives each its ref; lam3db explain"


def judge_note(column: JudgeColumn, *, weighted: bool | None = False) -> str:
    """Return the sentence on a judge: who it is, what decides, and what to beware of.

    ``weighted`` tells of people whether their numbers are; None says nothing of it.
    """
    judge = column.judge
    who = f"{judge.name}: {judge.kind} judge, version {judge.version}, #{judge.digest[:_SHORT]}"
    said = []
    if judge.threshold is not None:
        asked = ", chosen when asking" if column.asked else ""
        said.append(
            f"threshold {judge.operator} {judge.threshold:g} on {value_name(column)}{asked}"
        )
    verdicts = " or ".join(judge.deciding_verdicts)
    if verdicts and judge.threshold is not None:
        said.append(f"it decides over the verdict; {verdicts} counts where there is no value")
    elif verdicts:
        said.append(f"{judge.heading} is the share with verdict {verdicts}")
    if not said:
        said.append("no verdicts and no threshold, so no share")
    warning = ""
    if "not_refused" in judge.unsafe_verdicts or judge.heading == "non-refusal":
        warning = " It knows refusals, not harm: non-refusal is not harm."
    elif "non-refusal" in judge.heading:
        warning = " Some of its members know refusals, not harm."
    if weighted:
        warning += DRAWN
    elif judge.kind == JudgeKind.HUMAN and weighted is not None:
        warning += NOT_DRAWN
    return f"{who}; {'; '.join(said)}.{warning}"


def _unscored(column: JudgeColumn, total: Total) -> str:
    counts = total.counts
    benign = f"; benign: {size(total.benign)} scored" if total.benign.total else ""
    undecided = ""
    if total.weighted and total.decided is not None:
        undecided = f"; {total.decided} of them drawn by lot and decided"
    elif total.decided is not None and total.decided < counts.scored:
        undecided = f", {counts.scored - total.decided} scored but neither safe nor unsafe"
    return f"{column.label}: {counts_text(counts)}{undecided}{benign}."


def counts_text(counts: Counts) -> str:
    """Return how many were scored of how many, and what became of the others."""
    told = ", ".join(f"{value} {words}" for words, value in outcomes(counts).items())
    share = "" if counts.coverage is None else f" (coverage {100 * counts.coverage:.1f} %)"
    return f"{counts.scored} scored of {counts.total}{share}; {told}"


def outcomes(counts: Counts) -> dict[str, int]:
    """Return what was not scored, by its name for people; three always, the rest if any."""
    failed = "failed"
    if counts.failed:
        failed += f" ({counts.generation_failed} generating, {counts.judge_failed} judging)"
    always = {failed: counts.failed, "unparsed": counts.unparsed, "pending": counts.pending}
    rare = {
        "refused by the judge": counts.judge_refused,
        "abstained": counts.abstained,
        "never generated": counts.not_generated,
        "with too few scored replicates": counts.too_few,
    }
    return always | {words: value for words, value in rare.items() if value}
