"""Agreement as tables, and the sentences that say what the numbers rest on.

What must hold: every number stands with its n; a number that was refused says so in its cell,
and why under the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.report.page import MISSING, aligned, number_cell, percent_cell, plain_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lam3db.metrics.agree import Against
    from lam3db.report.agree import Agreement
    from lam3db.report.tables import Table
    from lam3db.stats.agreement import Coefficient
    from lam3db.stats.correction import Corrected
    from lam3db.stats.drawn import Share
    from lam3db.store.aggregates import JudgeRow

_SHORT = 8
_MOST_WORDS = 8


def agreement_tables(found: Agreement) -> list[Table]:
    """Return every table that has rows."""
    made = [
        _errors(found),
        _scores(found),
        _confusion(found),
        *_words(found),
        _pairs(found),
        _together(found),
        _corrected(found),
    ]
    return [table for table in made if table is not None and table.cells]


def _errors(found: Agreement) -> Table:
    rows = found.against
    columns = [
        [found.names[row.judge.id] for row in rows],
        [f"{row.agree} of {row.n}" for row in rows],
        _shares(row.errors.accuracy for row in rows),
        _shares(row.errors.sensitivity for row in rows),
        _shares(row.errors.specificity for row in rows),
    ]
    header = ("judge", "agree", "accuracy", "sensitivity (recall)", "specificity")
    title = f"Judges against {reference_name(found)}"
    return plain_table(title, 1, header, list(zip(*columns, strict=True)))


def _scores(found: Agreement) -> Table:
    rows = found.against
    f1 = [row.errors.f1 for row in rows]
    columns = [
        [found.names[row.judge.id] for row in rows],
        [str(row.n) for row in rows],
        _shares(row.errors.precision for row in rows),
        aligned([percent_cell(value, interval) for value, interval in f1]),
        _coefficients(row.kappa for row in rows),
    ]
    header = ("judge", "n", "precision", "F1", "Cohen's kappa")
    title = f"Judges against {reference_name(found)}, continued"
    return plain_table(title, 1, header, list(zip(*columns, strict=True)))


def _confusion(found: Agreement) -> Table:
    cells = [
        (
            found.names[row.judge.id],
            *(str(row.cells.get(key, 0)) for key in CELLS),
            str(row.n),
        )
        for row in found.against
    ]
    header = ("judge", "both unsafe", "judge only", "label only", "both safe", "n")
    return plain_table("Confusion, in answers", 1, header, cells)


CELLS = ((True, True), (True, False), (False, True), (False, False))


def _words(found: Agreement) -> list[Table]:
    """Return one table per judge whose words, or the labels', are more than unsafe and safe."""
    return [
        _word_table(f"{found.names[row.judge.id]}: verdicts against labels, in answers", row)
        for row in found.against
        if {word for one, other, _ in row.words for word in (one, other)} - {"unsafe", "safe"}
    ]


def _word_table(title: str, row: Against) -> Table:
    theirs = sorted({other for _, other, _ in row.words})[:_MOST_WORDS]
    counts = {(one, other): n for one, other, n in row.words}
    cells = [
        (mine, *(str(counts.get((mine, other), 0)) for other in theirs))
        for mine in sorted({one for one, _, _ in row.words})
    ]
    return plain_table(title, 1, ("verdict", *(f"label {word}" for word in theirs)), cells)


def _pairs(found: Agreement) -> Table:
    rows = found.pairs
    columns = [
        [found.names[row.one.id] for row in rows],
        [found.names[row.other.id] for row in rows],
        [f"{row.agree} of {row.n}" for row in rows],
        _shares(row.share for row in rows),
        _coefficients(row.kappa for row in rows),
        [str(row.cells.get((True, False), 0)) for row in rows],
        [str(row.cells.get((False, True), 0)) for row in rows],
    ]
    header = ("first", "second", "agree", "agreement", "Cohen's kappa", "first only", "second only")
    return plain_table("Judges in pairs", 2, header, list(zip(*columns, strict=True)))


def _together(found: Agreement) -> Table:
    rows = found.together
    columns = [
        [", ".join(found.names[judge.id] for judge in row.judges) for row in rows],
        [str(row.alpha.n) for row in rows],
        _coefficients(row.alpha for row in rows),
        [str(row.fleiss.n) for row in rows],
        _coefficients(row.fleiss for row in rows),
    ]
    header = ("who", "n", "Krippendorff's alpha", "n", "Fleiss' kappa")
    return plain_table("Several at once", 1, header, list(zip(*columns, strict=True)))


def _corrected(found: Agreement) -> Table:
    rows = found.corrected
    shares = [row.share for row in rows]
    columns = [
        *(list(column) for column in zip(*(row.labels for row in rows), strict=True)),
        [found.names[share.judge.id] for share in shares],
        [f"{share.labels}/{share.apparent.n}" for share in shares],
        _shares(share.apparent for share in shares),
        _shares(share.human for share in shares),
        _corrections(share.powered for share in shares),
        _corrections(share.rogan_gladen for share in shares),
    ]
    header = (
        *found.by, "judge", "labels/n", "by the judge", "labels alone", "prediction-powered",
        "Rogan-Gladen",
    )  # fmt: skip
    title = "Share unsafe among attacks, corrected for the judge's errors"
    return plain_table(title, len(found.by) + 1, header, list(zip(*columns, strict=True)))


def reference_name(found: Agreement) -> str:
    """Return what the reference is called in a title."""
    names = [found.names[judge.id] for judge in found.reference]
    return names[0] if len(names) == 1 else f"the majority of {', '.join(names)}"


def _shares(shares: Iterable[Share]) -> list[str]:
    return aligned([percent_cell(share.value, share.interval) for share in shares])


def _coefficients(found: Iterable[Coefficient]) -> list[str]:
    return aligned([number_cell(one.value, one.interval) if one.n else MISSING for one in found])


def _corrections(found: Iterable[Corrected]) -> list[str]:
    cells = ["refused" if one.reason else percent_cell(one.value, one.interval) for one in found]
    return aligned(cells)


def agreement_notes(found: Agreement) -> list[str]:
    """Return the sentences under the tables."""
    return [
        *(judge_note(judge) for judge in (*found.judges, *found.reference)),
        *_reference_notes(found),
        *_coverage_notes(found),
        *_definitions(found),
        *found.notes,
    ]


def judge_note(judge: JudgeRow) -> str:
    """Return who a judge is and when it calls an answer unsafe."""
    who = f"{judge.name}: {judge.kind} judge, version {judge.version}, #{judge.digest[:_SHORT]}"
    if judge.threshold is not None:
        return f"{who}; unsafe where its value is {judge.operator} {judge.threshold:g}."
    warning = ""
    if "not_refused" in judge.unsafe_verdicts:
        warning = " It knows refusals, not harm: non-refusal is not harm."
    return f"{who}; unsafe is its verdict {' or '.join(judge.unsafe_verdicts)}.{warning}"


def _reference_notes(found: Agreement) -> list[str]:
    truth = found.truth
    if truth is None:
        return ["No person's label in this scope: judges are held against one another only."]
    said = f"Reference: {truth.labels} labels of {reference_name(found)}"
    if len(found.reference) > 1:
        said += (
            f"; an adjudicator's label first, else the majority; {truth.ties} ties have no label "
            "and are left out"
        )
    notes = [f"{said}."]
    if truth.by_lot:
        told = ", ".join(f"{n} by review {name}" for name, n in sorted(truth.by_lot.items()))
        weigh = "weigh 1 / their chance to be drawn" if truth.uneven else "weigh alike"
        notes.append(
            f"Labels drawn by lot ({told}) {weigh}; they stand for the answers that could be "
            "drawn then."
        )
    if truth.other_part:
        notes.append(
            f"{truth.other_part} labelled answers of the other part of a review are left out "
            f"(--part {found.part}): what was chosen because it is disputed is no sample."
        )
    if not truth.sample:
        notes.append(
            "Labels of a disputed part are among these: the numbers describe these answers, "
            "not all answers."
        )
    if truth.not_drawn:
        notes.append(
            f"{truth.not_drawn} labels were drawn by no review here: their numbers stand for all "
            "answers only if they are a fair sample."
        )
    return notes


def _coverage_notes(found: Agreement) -> list[str]:
    both = "agreement is over both kinds (--where benign=false narrows it), corrected shares are"
    notes = [
        f"{found.answers} answers in scope, {found.benign} to benign samples; {both} over attacks."
    ]
    if found.unanswered:
        notes.append(f"{found.unanswered} things asked for have no answer, and count nowhere here.")
    notes += [
        f"{found.names[row.judge.id]}: labelled but not decided: {_told(row.left_out)}."
        for row in found.against
        if row.left_out
    ]
    for pair in found.pairs:
        if pair.left_out:
            names = f"{found.names[pair.one.id]} and {found.names[pair.other.id]}"
            notes.append(f"{names}: not compared: {_told(pair.left_out)}.")
    reasons: dict[str, None] = {}
    for line in found.corrected:
        who = " ".join([*line.labels, found.names[line.share.judge.id]])
        for name, one in _both(line.share.powered, line.share.rogan_gladen):
            if one.reason:
                reasons[f"{who}: {name} refused: {one.reason}."] = None
            elif one.clipped:
                reasons[f"{who}: {name} lay outside 0 to 100 % and was put to the end."] = None
    return [*notes, *reasons]


def _both(powered: Corrected, gladen: Corrected) -> tuple[tuple[str, Corrected], ...]:
    return (("prediction-powered", powered), ("Rogan-Gladen", gladen))


def _told(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in sorted(left_out.items()))


def _definitions(found: Agreement) -> list[str]:
    notes = []
    if found.against:
        notes.append(
            "Sensitivity: unsafe by the judge among those labelled unsafe; specificity: safe by "
            "the judge among those labelled safe; precision: labelled unsafe among those unsafe "
            "by the judge; F1 their harmonic mean (precision and sensitivity), its interval by "
            "way of the Jaccard index."
        )
    notes.append(
        "Intervals: 95 %; shares by Wilson on the effective sample size, clustered by behavior; "
        "kappa and alpha by a bootstrap of behaviors, reaching as far as that of the "
        "disagreement seen does. Kappa and alpha: 1 - disagreement seen / expected by chance; "
        "not defined where all say one word."
    )
    if found.together:
        notes.append(
            "Krippendorff's alpha (nominal) takes answers with two opinions or more; Fleiss' "
            "kappa those with the commonest number of opinions."
        )
    if found.corrected:
        notes.append(
            "Prediction-powered: lambda * (share by the judge) + mean over the labelled of "
            "(label - lambda * judgement), lambda tuned to the least variance; Rogan-Gladen: "
            "(share + specificity - 1) / (sensitivity + specificity - 1), interval of Lang and "
            "Reiczigel. Both speak of the answers that the judge decided."
        )
    return notes
