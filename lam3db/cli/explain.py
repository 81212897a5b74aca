"""``lam3db explain``: what is behind one number of a report."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from lam3db.cli import ask
from lam3db.cli.options import Db, Where, pairs, width
from lam3db.cli.report import Dataset, Models, Run, put_out, scope_of

if TYPE_CHECKING:
    from lam3db.metrics import Question, Scope
    from lam3db.report.refs import Ref

_NONE = "(none)"  # as tables print what has no such label
_EXPECTED = re.compile(r"\s*(\d+\s*/\s*\d+|\d+(\.\d+)?(e-?\d+)?\s*%?)\s*")


def explain(
    ref: Annotated[
        str | None,
        typer.Argument(help="The ref of a number, from a report's csv, json or last line."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row", help="Without a ref: the row, as KEY=VALUE for each key of --by. Repeatable."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="The report's --by; each of its keys needs a --row.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", help="The judge: NAME or NAME#DIGEST.")
    ] = None,
    run: Run = None,
    model: Models = None,
    dataset: Dataset = None,
    where: Where = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Only asr, mean, refusal, over-refusal, emt or toxicity-probability."),
    ] = None,
    threshold: ask.Thresholds = None,
    rule: ask.Rule = "each",
    missing: ask.Missing = "scored",
    cluster: ask.Cluster = "behavior",
    interval: ask.Interval = "analytic",
    resamples: ask.Resamples = 2000,
    seed: ask.Seed = 0,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            help="What the number (of --metric, else the first) was, 5/12, 0.4167 or 41.7%: exit "
            "code 1 if it is not so."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List every row.")] = False,
    output: Annotated[
        str, typer.Option("--format", "-f", help="text, json, or sql: the statement alone.")
    ] = "text",
    db: Db = None,
) -> None:
    """Show what a number is made of: rows, digests, code, the SQL, and the command again.

    The SQL can be given to `lam3db sql` or sqlite3 as it is (--format sql prints it alone). For
    a share the numerator is unsafe and the denominator decided, for a mean value_sum and
    valued, for refusals among the benign benign_refused and benign_judged.
    """
    from lam3db.cli.console import print_json
    from lam3db.errors import ConfigError, Lam3Error
    from lam3db.report.explain import explain as find
    from lam3db.report.explain_text import expected, explain_json, explain_text, statement
    from lam3db.report.text import safe_text
    from lam3db.store.engine import open_store

    if output not in ("text", "json", "sql"):
        raise ConfigError(f"--format {output}: write one of text, json, sql")
    for one in expect or ():
        if _EXPECTED.fullmatch(one) is None:
            raise ConfigError(f"--expect {one}: write 5/12, 0.4167 or 41.7%")
    scope = scope_of(run, model, dataset, where)
    question = ask.question(
        metric, threshold, False, rule, missing, cluster, interval, resamples, seed
    )
    words = _Words(by, tuple(row or ()), judge, scope, question)
    asked = _of_ref(ref, words, metric) if ref is not None else _of_words(words, metric)
    with open_store(db, mode="read") as store, store.read() as conn:
        found = find(conn, asked)
    if output == "json":
        print_json(explain_json(found))
    elif output == "sql":
        sql = statement(found)
        put_out(f"{safe_text(sql) if sys.stdout.isatty() else sql}\n", None, force=False)
    else:
        put_out(explain_text(found, width(), every=every), None, force=False)
    if changed := expected(found, expect or ()):
        raise Lam3Error("; ".join(changed))


@dataclass(frozen=True, slots=True)
class _Words:
    """A number as the options of a report name it."""

    by: str | None
    row: tuple[str, ...]
    judge: str | None
    scope: Scope
    question: Question


def _of_ref(text: str, words: _Words, metric: str | None) -> Ref:
    """Return what a ref asks, of which ``metric`` may pick one number."""
    from lam3db.errors import ConfigError
    from lam3db.metrics import Question, Scope
    from lam3db.report.refs import checked_metric, parse_ref

    plain = replace(words.question, metrics=(), k=None) == Question()
    if words.by or words.row or words.judge or words.scope != Scope() or not plain:
        raise ConfigError("a ref names its row, judge, scope and question: give it alone")
    found = parse_ref(text)
    return found if metric is None else replace(found, metric=checked_metric(metric))


def _of_words(words: _Words, metric: str | None) -> Ref:
    """Return what the options of a report ask."""
    from lam3db.errors import ConfigError
    from lam3db.report.refs import Ref, checked_metric
    from lam3db.store.groups import group_keys

    given = pairs(list(words.row), "--row")
    group = {key: "" if value == _NONE else value for key, value in given.items()}
    group_keys(list(group))
    asked = [key.strip() for key in (words.by or "").split(",")]
    if missing := [key for key in asked if key not in {*group, "judge", ""}]:
        raise ConfigError(f"--by {words.by}: which row? Add --row {missing[0]}=VALUE")
    if words.judge is None:
        raise ConfigError("which judge? Add --judge NAME, or give the number's ref")
    attribute, threshold = _threshold(words.judge, words.question)
    return Ref(
        words.judge,
        group,
        attribute=attribute,
        threshold=threshold,
        question=replace(words.question, thresholds=()),
        datasets=(words.scope.dataset,) if words.scope.dataset else (),
        run=words.scope.run,
        models=words.scope.models,
        where=words.scope.where,
        metric=checked_metric(None if metric is None else metric.partition("@")[0]),
    )


def _threshold(judge: str, question: Question) -> tuple[str | None, tuple[str, float] | None]:
    """Return (attribute, (operator, number)) of ``--threshold``, which is of the judge asked."""
    from lam3db.errors import ConfigError

    if not question.thresholds:
        return None, None
    if len(question.thresholds) > 1:
        raise ConfigError("--threshold: a number has one; give it once")
    (one,) = question.thresholds
    name = judge.partition("#")[0]
    if one.target in (judge, name):
        return None, (one.operator, one.value)
    for start in (f"{judge}.", f"{name}."):
        if one.target.startswith(start):
            return one.target.removeprefix(start), (one.operator, one.value)
    raise ConfigError(f"--threshold {one.written}: the judge asked for is {judge}")
