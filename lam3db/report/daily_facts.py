"""The parts of the daily log that follow from runs: parameters, results, commits.

What must hold: requested and effective settings are both looked at, and one without effect is
remarked so; numbers come from the report's own code, with their intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.metrics import Scope
from lam3db.report.build import build_report
from lam3db.report.formats import markdown_text
from lam3db.report.tables import tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.report.build import JudgeColumn
    from lam3db.report.daily_words import Words
    from lam3db.report.tables import Table
    from lam3db.store.day import DayRun

MOST_RUNS = 40
"""Runs that a page lists; it says how many more there were."""
_SAMPLING = ("temperature", "top_p", "top_k", "seed")
_SHOWN = (
    *("precision", "device_map", "max_new_tokens", "min_new_tokens", "repetition_penalty"),
    *("do_sample", "temperature", "top_p", "top_k", "seed"),
)
_QUANTIZATION = ("enabled", "bits", "quant_type", "compute_dtype")
_NEUTRAL: Mapping[str, Any] = {"min_new_tokens": None, "top_k": None, "repetition_penalty": 1}

Row = tuple[str, ...]


def parameter_rows(runs: Sequence[DayRun], words: Words) -> list[Row]:
    """Return (category, key, value, remark) of what the day's runs were asked for, each once."""
    asked = [run for run in runs if run.kind == "generate"]
    rows: dict[Row, None] = {}
    for run in asked:
        runtime = run.requested.get("runtime")
        if isinstance(runtime, dict):
            rows |= dict.fromkeys(_runtime_rows(runtime, words))
    categories = words.categories
    for run in asked:
        source = run.source.replace("`", "'")
        key = markdown_text(run.subject)
        rows[categories["source"], key, f"`{source}`", f"#{run.digest[:8]}"] = None
    for run in runs:
        if run.kind == "judge":
            rows[categories["judge"], markdown_text(run.subject), f"#{run.digest[:8]}", ""] = None
    return list(rows)


def _runtime_rows(runtime: Mapping[str, Any], words: Words) -> list[Row]:
    quantization = runtime.get("quantization")
    quantized = isinstance(quantization, dict) and bool(quantization.get("enabled"))
    greedy = runtime.get("do_sample") is False
    rows: list[Row] = []
    for key in _SHOWN:
        if key not in runtime or (key in _NEUTRAL and runtime[key] == _NEUTRAL[key]):
            continue
        remark = words.no_effect if greedy and key in _SAMPLING else ""
        if key == "precision":
            remark = words.quantized if quantized else words.only_unquantized
        rows.append((words.categories[key], key, _shown(runtime[key]), remark))
    if isinstance(quantization, dict):
        names = _QUANTIZATION if quantized else ("enabled",)
        rows += [
            (words.categories["quantization"], f"quantization.{name}", _shown(value), "")
            for name in names
            if (value := quantization.get(name)) is not None
        ]
    return rows


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_lines(runs: Sequence[DayRun], words: Words) -> list[str]:
    """Return a sentence on each run."""
    lines = [
        (words.answers if run.kind == "generate" else words.scores).format(
            what=run.subject,
            dataset=run.dataset,
            planned=run.planned,
            cached=run.cached,
            new=run.new,
            failed=run.failed,
            run=run.uid[:8],
            status=run.status,
        )
        for run in runs[:MOST_RUNS]
    ]
    if len(runs) > MOST_RUNS:
        lines.append(words.left_out.format(n=len(runs) - MOST_RUNS))
    return lines


def number_tables(
    conn: Connection, runs: Sequence[DayRun]
) -> tuple[list[Table], tuple[JudgeColumn, ...]]:
    """Return the tables of the answers that the day's runs asked for, and their judges.

    Runs that asked the same of the same model are one; where a model was asked in several ways,
    rows say by which run.
    """
    asked = {
        (run.digest, run.config, run.dataset, run.planned): run
        for run in runs
        if run.kind == "generate"
    }
    shown = list(asked.values())[:MOST_RUNS]
    by: tuple[str, ...] = ("model", "attack")
    if len({run.subject for run in shown}) < len(shown):
        by = ("run", *by)
    found: list[Table] = []
    judges: tuple[JudgeColumn, ...] = ()
    for run in shown:
        report = build_report(conn, Scope(run=run.uid), by)
        if report.rows:
            found += tables(report)
            judges = report.judges
    return found, judges


def judge_line(column: JudgeColumn, words: Words) -> str:
    """Return what a judge's numbers rest on."""
    judge = column.judge
    rule = "" if judge.threshold is None else f" ({judge.operator} {judge.threshold:g})"
    return words.interval.format(
        label=column.label, digest=judge.digest[:8], heading=judge.heading, threshold=rule
    )


def commit_lines(runs: Sequence[DayRun], words: Words) -> list[str]:
    """Return the commits that the day's runs were made by, each once."""
    found: dict[str, None] = {}
    for run in runs:
        if run.code_commit is None:
            found[words.unknown] = None
        else:
            state = words.dirty if run.code_dirty else words.clean
            found[f"{run.code_commit[:12]} ({state})"] = None
    return list(found)
