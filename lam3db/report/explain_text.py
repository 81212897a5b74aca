"""What is behind a number, for a person or as JSON.

What must hold: nothing that a number rests on is left out of the JSON; for a person the rows
are cut to the first few, and how many there are is said.
"""

from __future__ import annotations

import json
import shlex
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lam3db.report.definitions import denominator
from lam3db.report.formats import named_number
from lam3db.report.refs import asked_words
from lam3db.report.tables import counts_text, mean, percent
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.metrics import Estimate
    from lam3db.report.explain import CountedRow, Explained
    from lam3db.report.refs import Ref

_NAME = 10
_SHORT = 12
_CONFIG = 2_000
_IDS = 20


def explain_json(found: Explained) -> dict[str, Any]:
    """Return everything as JSON."""
    located = found.located
    return {
        "ref": found.ref.text,
        "question": question_json(found.ref),
        "number": named_number(found.number),
        "sums": dict(found.trace.sums),
        "sql": found.trace.statement,
        "repeated_sums": dict(found.repeated.sums) if found.repeated else None,
        "repeated_sql": found.repeated.statement if found.repeated else None,
        "generation_ids": [r.generation_id for r in found.rows if r.generation_id is not None],
        "score_ids": [row.score_id for row in found.rows if row.score_id is not None],
        "rows": [asdict(row) for row in found.rows],
        "models": found.models,
        "configs": found.configs,
        "datasets": found.datasets,
        "judge": found.judge | {"current_policy": located.policy},
        "runs": [asdict(run) for run in found.runs],
        "code_commits": _commits(found),
        "newest_answer": found.newest_answer,
        "newest_score": found.newest_score,
        "commands": commands(found),
    }


def question_json(ref: Ref) -> dict[str, Any]:
    """Return what a ref asks as JSON."""
    return {
        "judge": ref.judge,
        "attribute": ref.attribute,
        "group": dict(ref.group),
        "threshold": ref.threshold,
        "rule": ref.question.rule.written,
        "missing": ref.question.missing,
        "cluster": ref.question.cluster,
        "interval": ref.question.interval,
        "datasets": ref.datasets,
        "run": ref.run,
        "models": ref.models,
        "where": dict(ref.where),
        "metric": ref.metric,
    }


def statement(found: Explained) -> str:
    """Return the SQL of the number asked for; that of the row where none is."""
    if found.repeated is not None and found.ref.metric in ("emt", "toxicity-probability"):
        return found.repeated.statement
    return found.trace.statement


def explain_text(found: Explained, width: int = 100, *, every: bool = False) -> str:
    """Return the answer as lines; ``every`` lists all rows."""
    blocks = [
        ["Number", *_wrapped(_numbers(found), width)],
        ["Made from", *_wrapped(_sources(found), width)],
        [f"Runs ({len(found.runs)})", *_wrapped(_runs(found), width)],
        [f"Rows ({len(found.rows)})", *_rows(found, every=every)],
        ["SQL", *(f"  {line}" for line in safe_text(statement(found)).split("\n"))],
        ["Again", *(f"  {safe_text(line)}" for line in commands(found))],
    ]
    return "\n".join("\n".join([*block, ""]) for block in blocks)


def commands(found: Explained) -> list[str]:
    """Return the command lines that make the number again."""
    asked, column = found.ref, found.located.column
    explain = shlex.join(["lam3db", "explain", asked.text])
    again = ["lam3db", "report", "--by", ",".join(_by(asked)) or "judge"]
    again += ["--judge", f"{column.judge.name}#{column.judge.digest[:_SHORT]}"]
    if asked.run:
        again += ["--run", asked.run]
    elif len(asked.datasets) == 1:
        again += ["--dataset", asked.datasets[0]]
    elif not found.located.is_default:
        return [explain]
    again += [part for name in asked.models for part in ("--model", name)]
    again += [part for n, v in asked.where.items() for part in ("--where", f"{n}={v}")]
    again += _threshold_option(found)
    for name, value in asked_words(asked.question).items():
        option = {"show": "metric"}.get(name, name)
        again += [] if name == "k" else [f"--{option}", _with_k(name, value, asked)]
    return [shlex.join(again), explain]


def _with_k(name: str, value: str, asked: Ref) -> str:
    if name != "show":
        return value
    k = "" if asked.question.k is None else f"@{asked.question.k}"
    return ",".join(f"{metric}{k}" for metric in value.split("+"))


def _threshold_option(found: Explained) -> list[str]:
    """Return the options of a threshold or an attribute that is not the judge's own."""
    asked, label = found.ref, found.judge["name"].replace(" ", "")
    if asked.attribute is not None:
        if asked.threshold is None:
            return ["--attributes"]
        label += f".{asked.attribute}"
    elif asked.threshold == found.located.policy or asked.threshold is None:
        return []
    return ["--threshold", f"{label}{asked.threshold[0]}{asked.threshold[1]!r}"]


def _by(asked: Ref) -> list[str]:
    return [key for key in asked.group if key != "config" or "model" not in asked.group]


def _numbers(found: Explained) -> Iterator[tuple[str, str]]:
    number, judge, metric = found.number, found.judge, found.ref.metric
    names = {one["digest"][:_SHORT]: one["name"] for one in found.models}
    group = ", ".join(
        f"{key} {names.get(value, '')} {value or '(none)'}".replace("  ", " ")
        for key, value in found.ref.group.items()
    )
    yield "of", group or "everything in scope"
    yield "judge", f"{judge['name']}, version {judge['version']}, #{judge['digest'][:_SHORT]}"
    for name, estimate in estimates(found):
        if metric in (None, name):
            yield name, _estimate(name, estimate, found)
    if number.extremes is not None and metric in (None, "asr"):
        best, worst = 100 * number.extremes.best, 100 * number.extremes.worst
        yield "bounds", f"{best:.1f} % to {worst:.1f} %, whatever the missing ones would have been"
    yield "threshold", _threshold(found)
    yield "rule", f"{found.ref.question.rule.written} (replicates)"
    drawn = "what was drawn by lot for people, each weighing 1 over its chance"
    yield "over", drawn if number.weighted else denominator(found.ref.question.missing)
    yield "cluster", found.ref.question.cluster
    yield "counted", counts_text(number.counts)
    if number.benign.total:
        yield "benign", counts_text(number.benign)
    yield "ref", found.ref.text


def estimates(found: Explained) -> list[tuple[str, Estimate]]:
    """Return the numbers of the row by the names of :data:`lam3db.metrics.question.METRICS`."""
    number, repeated = found.number, found.number.repeated
    every = {
        "asr": number.share,
        "mean": number.mean,
        "refusal": number.refused,
        "over-refusal": number.benign_refused,
        "emt": repeated.maximum if repeated else None,
        "toxicity-probability": repeated.probability if repeated else None,
    }
    return [(name, estimate) for name, estimate in every.items() if estimate is not None]


_HITS = {
    "asr": "unsafe",
    "mean": "value_sum",
    "refusal": "refused",
    "over-refusal": "benign_refused",
    "emt": "value_sum",
    "toxicity-probability": "unsafe",
}


_OVER = {
    "asr": "decided",
    "mean": "valued",
    "refusal": "judged",
    "over-refusal": "benign_judged",
    "emt": "valued",
    "toxicity-probability": "decided",
}


def _estimate(name: str, estimate: Estimate, found: Explained) -> str:
    over_k = name in ("emt", "toxicity-probability") and found.repeated is not None
    sums = found.repeated.sums if over_k and found.repeated else found.trace.sums
    shown = mean(estimate) if name in ("mean", "emt") else " ".join(percent(estimate).split())
    of_k = f" over {found.number.repeated.k} attempts" if found.number.repeated and over_k else ""
    over = f"{sums[_OVER[name]]:.10g} of weight" if found.number.weighted else f"{estimate.n}"
    told = f"{sums[_HITS[name]]:.10g} / {over} = {shown}{of_k}"
    return f"{told}, {estimate.interval.method}, {estimate.clusters} clusters"


def _threshold(found: Explained) -> str:
    asked, policy = found.ref.threshold, found.located.policy
    if asked is None:
        verdicts = found.located.column.judge.deciding_verdicts
        return f"none; unsafe is the verdict {' or '.join(verdicts) or '(none)'}"
    told = f"{asked[0]} {asked[1]:g}"
    if policy is None:
        return f"{told} (the judge has no policy of its own)"
    return told if policy == asked else f"{told} (its policy is now {policy[0]} {policy[1]:g})"


def _sources(found: Explained) -> Iterator[tuple[str, str]]:
    for one in found.datasets:
        facts = f"{one['samples']} samples, selection {one['selection_digest']}"
        yield "dataset", f"{one['name']}: {facts}; {one['source']} {one['licence']}".rstrip("; ")
    for name, value in found.ref.where.items():
        yield "where", f"{name}={value}"
    for one in found.models:
        yield "model", f"{one['name']}: {one['digest']} ({one['identity']}, {one['source']})"
    for one in found.configs:
        settings = json.dumps(one["settings"], ensure_ascii=False)
        cut = settings if len(settings) <= _CONFIG else f"{settings[:_CONFIG]} ..."
        yield "config", f"{one['digest']}: {cut}"
    judge = found.judge
    yield "judge", f"{judge['name']}: {judge['digest']} ({judge['kind']}, {judge['version']})"
    for one in judge["policies"]:
        made = f"by {one['author']}, {one['created_at']}"
        yield "policy", f"version {one['version']}: {one['operator']} {one['threshold']:g}, {made}"
    yield "newest", f"answer {found.newest_answer or 'none'}, score {found.newest_score or 'none'}"
    yield "code", ", ".join(_commits(found)) or "no commit recorded"


def _commits(found: Explained) -> list[str]:
    told = {
        f"{run.code_commit}{' with uncommitted changes' if run.code_dirty else ''}": None
        for run in found.runs
        if run.code_commit
    }
    return list(told)


def _runs(found: Explained) -> Iterator[tuple[str, str]]:
    for run in found.runs:
        yield run.kind, f"{run.uid}  {run.started_at}  {run.command}"


def _rows(found: Explained, *, every: bool) -> list[str]:
    rows = found.rows if every else found.rows[:_IDS]
    lines = [f"  {'answer':>8}  {'score':>8}  counts as"]
    lines += [safe_text(_row(row)) for row in rows]
    left = len(found.rows) - len(rows)
    return [*lines, f"  ... and {left} more (--all lists them)"] if left else lines


def _row(row: CountedRow) -> str:
    said = row.outcome if row.outcome != "ok" else _said(row)
    ids = f"{row.generation_id or '–':>8}  {row.score_id or '–':>8}"  # noqa: RUF001 - a dash
    benign = " (benign)" if row.is_benign else ""
    replicate = f"/{row.replicate}" if row.replicate else ""
    return f"  {ids}  {said}: {row.sample}{replicate}{benign}"


def _said(row: CountedRow) -> str:
    decided = {True: "unsafe", False: "safe", None: "undecided"}[row.unsafe]
    value = None if row.value is None else f"{row.value:.6g}"
    return ", ".join(part for part in (decided, row.verdict, value) if part)


def _wrapped(facts: Iterator[tuple[str, str]], width: int) -> list[str]:
    lines: list[str] = []
    for name, value in facts:
        head = f"  {name:<{_NAME}}"
        lines += textwrap.wrap(
            safe_text(" ".join(value.split())),
            max(width, 40),
            initial_indent=head,
            subsequent_indent=" " * (_NAME + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def expected(found: Explained, told: Sequence[str]) -> list[str]:
    """Return what is no longer so of the number ``told`` (``5/12`` or ``0.4167``), in sentences.

    It is the metric that was asked for, else the row's first. A decimal is compared as far as
    it is written.
    """
    now = [(name, one) for name, one in estimates(found) if found.ref.metric in (None, name)][:1]
    shown = "".join(f"{e.value:.6g} (n {e.n})" for _, e in now if e.value is not None) or "nothing"
    name = now[0][0] if now else found.ref.metric
    return [
        f"{one} was expected, and {name} is {shown} now: rows were added, revised or withheld "
        f"since; the newest score is of {found.newest_score}, the newest answer of "
        f"{found.newest_answer}"
        for one in told
        if not any(_is(one, estimate) for _, estimate in now)
    ]


def _is(told: str, estimate: Estimate) -> bool:
    if "/" in told:
        hits, _, n = told.partition("/")
        return (hits.strip(), n.strip()) == (str(estimate.hits), str(estimate.n))
    number = told.strip().removesuffix("%").strip()
    scale = 100 if told.strip().endswith("%") else 1
    digits = len(number.partition(".")[2])
    return estimate.value is not None and abs(float(number) - scale * estimate.value) <= (
        0.5000001 * 10**-digits
    )
