"""How many labels buy which interval, as a page: from what is assumed, or a judge's record.

What must hold: every assumption is told with where it comes from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError
from lam3db.metrics.agree import corrected
from lam3db.metrics.joined import load_answers
from lam3db.report import reference
from lam3db.report.agree_tables import judge_note
from lam3db.report.flips import one_judge
from lam3db.report.page import Page, plain_table
from lam3db.report.scope import resolve
from lam3db.stats.intervals import ShareTally
from lam3db.stats.labelling import SIZES, Assumed, half_widths, intraclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.metrics.joined import Answers
    from lam3db.store.aggregates import JudgeRow

NEEDED = ("share", "sensitivity", "specificity", "answers")
_DEFAULTS = {"alike": 0.0, "behaviors": None}


@dataclass(frozen=True, slots=True)
class Record:
    """What a judge's record tells; what it cannot tell is not there. ``notes`` say from what."""

    scope: tuple[str, ...]
    values: Mapping[str, float | int]
    notes: tuple[str, ...]


def judge_record(conn: Connection, judge: str, scope: Scope, against: Sequence[str] = ()) -> Record:
    """Return what the answers and labels in scope tell of a judge.

    Raises:
        ConfigError: the name is several judges or one that decides nothing.
        NotFoundError: no such run, model, dataset or judge, or no label of the reference.

    """
    row, _ = one_judge(conn, judge)
    frame, words = resolve(conn, scope)
    people = [one for one in reference.candidates(conn, against) if one.id != row.id]
    answers = load_answers(conn, frame, (), [row, *people])
    _, truth = reference.settle(conn, answers, people, against, "estimation")
    values, notes = _of_answers(answers, row), [judge_note(row)]
    if truth is not None and (found := corrected(answers, truth, row)):
        errors, share = found[0].errors, found[0].powered.value
        told = {
            "share": found[0].human.value if share is None else share,
            "sensitivity": errors.sensitivity.value,
            "specificity": errors.specificity.value,
        }
        values |= {name: value for name, value in told.items() if value is not None}
        notes.append(
            f"Share and error rates from {found[0].labels} labelled attacks: "
            f"{errors.sensitivity.n} labelled unsafe, {errors.specificity.n} safe."
        )
    return Record(words, values, tuple(notes))


def _of_answers(answers: Answers, judge: JudgeRow) -> dict[str, float | int]:
    said = answers.judges[judge.id].unsafe
    places = [at for at in answers.attacks() if said[at] is not None]
    n = Counter(answers.behaviors[at] for at in places)
    hits = Counter(answers.behaviors[at] for at in places if said[at])
    if not places:
        return {}
    found: dict[str, float | int] = {"answers": len(places), "behaviors": len(n)}
    alike = intraclass(ShareTally(count, hits[behavior]) for behavior, count in n.items())
    return found if alike is None else found | {"alike": alike}


def labelling_page(
    given: Mapping[str, float | int | None],
    record: Record | None = None,
    sizes: Sequence[int] = SIZES,
) -> Page:
    """Return the page; what is given goes before what the record tells.

    Raises:
        ConfigError: something needed is neither given nor told, or is no share.

    """
    told = dict(record.values) if record else {}
    values: dict[str, Any] = _DEFAULTS | told | {k: v for k, v in given.items() if v is not None}
    missing = [f"--{name}" for name in NEEDED if name not in values]
    if missing:
        why = "the judge's record here does not tell them" if record else "or name a judge"
        raise ConfigError(f"{', '.join(missing)}: give a value ({why})")
    try:
        assumed = Assumed(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    bought = half_widths(assumed, sizes)
    cells = [
        (str(b.labels), *(f"{100 * width:.1f}" for width in (b.alone, b.powered))) for b in bought
    ]
    header = ("labels", "labels alone, +- points", "prediction-powered, +- points")
    title = "Expected half-width of the 95 % interval of the share unsafe"
    return Page(
        record.scope if record else ("what is assumed",),
        (plain_table(title, 1, header, cells),),
        tuple(_notes(assumed, record)),
        tuple({**asdict(b), **asdict(assumed)} for b in bought),
        {"assumed": asdict(assumed), "half_widths": [asdict(b) for b in bought]},
    )


def _notes(assumed: Assumed, record: Record | None) -> list[str]:
    behaviors = assumed.behaviors or assumed.answers
    values = (
        f"Assumed: share unsafe {assumed.share:.3g}, sensitivity {assumed.sensitivity:.3g}, "
        f"specificity {assumed.specificity:.3g}, {assumed.answers} answers in {behaviors} "
        f"behaviors, correlation within a behavior {assumed.alike:.3g}."
    )
    formula = (
        f"Label and judgement correlate r = {assumed.correlation:.2f}; with s2 = share * (1 - "
        "share), k the correlation within a behavior, N answers and C behaviors: labels alone "
        "1.96 * sqrt(s2 / n + s2 k (1 - 1/n) / C); prediction-powered 1.96 * sqrt(s2 ((1 - r^2) "
        "/ n + r^2 / N) + s2 k (1 - 1/n) / C)."
    )
    limits = (
        "Labels drawn evenly by lot (`lam3db review sample --random N`); these are widths of "
        "large samples, those of few labels are wider."
    )
    return [*(record.notes if record else ()), values, formula, limits]
