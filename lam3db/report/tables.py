"""A report as tables of words, with the sentences that belong under them.

Terminal and Markdown print the same tables. What must hold: a share stands with its interval
and its n; where not everything was scored n reads ``scored/total``; what a number rests on
(judge, threshold, denominator, replicates, cluster, interval, what was not scored) is under
it, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.records import JudgeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.metrics import Counts, Estimate, Number
    from lam3db.report.build import JudgeColumn, Report, Row

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
    return [table for table in (*attacks, *(_benign(report, i) for i in everyone)) if table]


def share_heading(column: JudgeColumn) -> str:
    """Return what a judge's share is called: its value and threshold, else its heading.

    A threshold decides wherever there is a value, over the judge's own verdict.
    """
    judge = column.judge
    if judge.threshold is None:
        return judge.heading
    return f"{value_name(column)} {judge.operator} {judge.threshold:g}"


def value_name(column: JudgeColumn) -> str:
    """Return what a judge's value measures; the default heading says nothing of a value."""
    return "value" if column.judge.heading == "ASR" else column.judge.heading


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
    column = report.judges[i]
    numbers = [row.numbers[i] for row in rows]
    found = []
    if any(number.mean for number in numbers):
        most = "largest " if report.rule == "any" else ""
        cells = _aligned([mean(number.mean) for number in numbers])
        found.append(_Column(column.label, f"{most}{value_name(column)}, mean", cells))
    if column.judge.decides or not found:
        cells = _aligned([percent(number.share) for number in numbers])
        found.append(_Column(column.label, share_heading(column), cells))
    return found


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
        *(_judge_note(column) for column in report.judges),
        _DENOMINATOR,
        _RULES[report.rule],
        _interval_note(report),
        *(_unscored(column, number) for column, number in pairs),
        *report.notes,
    ]


_DENOMINATOR = (
    "Denominator: what was scored of the samples that are not benign; n reads scored/total "
    "where that is not everything stored or asked for. Nothing unscored counts as safe."
)
_RULES = {
    "each": "Replicates: every one counts as an answer of its own (--rule each).",
    "any": (
        "Replicates: a sample counts once, as unsafe if any of its replicates is, with its "
        "largest value, and only if all of them are scored (--rule any)."
    ),
}
_METHODS = {
    "wilson": "Wilson (every behavior once)",
    "wilson-clustered": "Wilson on the effective sample size, clustered by behavior",
    "t": "Student's t over behaviors, reaching as far as rare unseen ones could move it",
    "t-clustered": "Student's t clustered by behavior, reaching as far as rare unseen ones "
    "could move it",
    "wilson-bound": "Wilson's as a bound where all values are equal",
}


def _judge_note(column: JudgeColumn) -> str:
    judge = column.judge
    who = f"{judge.name}: {judge.kind} judge, version {judge.version}, #{judge.digest[:_SHORT]}"
    said = []
    if judge.threshold is not None:
        said.append(f"threshold {judge.operator} {judge.threshold:g} on {value_name(column)}")
    verdicts = " or ".join(judge.unsafe_verdicts)
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
    if judge.kind == JudgeKind.HUMAN:
        warning += (
            " These are the answers that were drawn for people: a part by lot, a part because it"
            " is disputed; the share is theirs and not that of all answers."
        )
    return f"{who}; {'; '.join(said)}.{warning}"


def _interval_note(report: Report) -> str:
    numbers = [number for row in report.rows for number in row.numbers]
    estimates = [e for n in numbers for e in (n.share, n.mean, n.benign_refused) if e]
    used = {e.interval.method for e in estimates}
    told = [sentence for name, sentence in _METHODS.items() if name in used]
    if any(name.startswith("none: one") for name in used):
        told.append("none where there is one behavior only, which tells nothing of others")
    return f"Intervals: 95 %; {'; '.join(told)}." if told else "Intervals: none."


def _unscored(column: JudgeColumn, number: Number) -> str:
    counts = number.counts
    told = ", ".join(f"{value} {words}" for words, value in outcomes(counts).items())
    share = "" if counts.coverage is None else f" (coverage {100 * counts.coverage:.1f} %)"
    benign = f"; benign: {size(number.benign)} scored" if number.benign.total else ""
    if number.share is not None and number.share.n < counts.scored:
        told += f", {counts.scored - number.share.n} scored but neither safe nor unsafe"
    return f"{column.label}: {counts.scored} scored of {counts.total}{share}; {told}{benign}."


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
    }
    return always | {words: value for words, value in rare.items() if value}
