"""A comparison as text: for a terminal, Markdown, CSV or JSON.

What must hold: every format says the same; JSON and CSV carry raw numbers, null or an empty
cell for what is missing; JSON lists every sample that was dropped.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.report.compare_tables import footnotes, heading, pair_notes, table, title
from lam3db.report.formats import WIDTH, markdown_lines, markdown_text, table_lines, wrapped_note
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.metrics.compare import Comparison, Key
    from lam3db.report.compare import Compared, Line, Pair
    from lam3db.report.sides import Side

FORMATS = ("table", "markdown", "csv", "json")


def render_comparison(compared: Compared, output: str = "table", width: int = WIDTH) -> str:
    """Return the comparison as one of :data:`FORMATS`, ending in a line feed.

    Raises:
        ConfigError: another format.

    """
    if output not in FORMATS:
        raise ConfigError(f"--format {output}: no such format{did_you_mean(output, FORMATS)}")
    if output == "table":
        return _terminal(compared, width)
    return {"markdown": _markdown, "csv": _csv, "json": _json}[output](compared)


def _terminal(compared: Compared, width: int) -> str:
    blocks = [f"Scope: {safe_text(', '.join(compared.scope) or 'everything')}", ""]
    for pair in compared.pairs:
        found = table(pair)
        blocks += [safe_text(title(pair), width), *(table_lines(found) if found else [])]
        blocks += [*_wrapped(pair_notes(pair, compared), width), ""]
    return "\n".join([*blocks, *_wrapped(footnotes(compared), width), ""])


def _wrapped(notes: Sequence[str], width: int) -> list[str]:
    return [line for note in notes for line in wrapped_note(note, width)]


def _markdown(compared: Compared) -> str:
    blocks = [f"Scope: {markdown_text(', '.join(compared.scope) or 'everything')}", ""]
    for pair in compared.pairs:
        found = table(pair)
        blocks += [f"**{markdown_text(title(pair))}**", ""]
        blocks += [*markdown_lines(found), ""] if found else []
        notes = [f"- {markdown_text(note)}" for note in pair_notes(pair, compared)]
        blocks += [*notes, ""] if notes else []
    return "\n".join([*blocks, *(f"- {markdown_text(note)}" for note in footnotes(compared)), ""])


def _csv(compared: Compared) -> str:
    """One line per pair and number, and one per pair or judge that could not be compared."""
    lines = []
    for pair in compared.pairs:
        who = _who("a", pair.a) | _who("b", pair.b) | {"datasets": " ".join(pair.datasets)}
        refused = "; ".join(pair.refused) or None
        marked = {
            "marked": "; ".join(pair.marked) or None,
            "pair": compared.options.pair,
            "rule": compared.options.rule.written,
            "denominator": compared.options.missing,
        }
        rows = [_flat(line) for line in pair.lines] or [{"not_comparable": refused}]
        lines += [who | marked | row for row in rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _who(prefix: str, side: Side) -> dict[str, Any]:
    return {
        prefix: side.label,
        f"{prefix}_model_digest": side.subject.model_digest,
        f"{prefix}_config_digest": side.subject.config_digest,
    }


def _flat(line: Line) -> dict[str, Any]:
    judge, found = line.judge.judge, line.comparison
    row: dict[str, Any] = {
        "judge": judge.name,
        "judge_version": judge.version,
        "judge_digest": judge.digest,
        "heading": heading(line),
        "threshold": judge.threshold,
        "operator": judge.operator,
        "not_comparable": line.reason,
    }
    return row if found is None else row | _numbers(found, line.adjusted)


def _numbers(found: Comparison, adjusted: float | None) -> dict[str, Any]:
    test, dropped = found.test, found.dropped
    return {
        "metric": found.metric,
        "pairs": found.n,
        "common": found.common,
        "behaviors": found.clusters,
        "value_a": found.a,
        "value_b": found.b,
        "difference": found.difference,
        "difference_low": found.interval.low,
        "difference_high": found.interval.high,
        "interval_method": found.interval.method,
        "both": found.both,
        "only_a": found.only_a,
        "only_b": found.only_b,
        "neither": found.neither,
        "p": test.p if test else None,
        "test": test.method if test else None,
        "resamples": test.resamples if test else None,
        "p_holm": adjusted,
        "mcnemar_p": found.mcnemar_p,
        "mcnemar_valid": None if found.mcnemar_p is None else found.clusters == found.n,
        "dropped_only_a": len(dropped.only_a),
        "dropped_only_b": len(dropped.only_b),
        "dropped_unscored_a": sum(map(len, dropped.unscored_a.values())),
        "dropped_unscored_b": sum(map(len, dropped.unscored_b.values())),
    }


def _json(compared: Compared) -> str:
    value = {
        "scope": compared.scope,
        "pair": compared.options.pair,
        "rule": compared.options.rule.written,
        "denominator": compared.options.missing,
        "level": 0.95,
        "cluster": "behavior",
        "resamples": compared.options.resamples,
        "seed": compared.options.seed,
        "tests": compared.tests,
        "sides": [_side(side) for side in compared.sides],
        "pairs": [_pair(pair, compared) for pair in compared.pairs],
        "notes": footnotes(compared),
    }
    return json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False) + "\n"


def _side(side: Side) -> dict[str, Any]:
    subject = side.subject
    return {
        "label": side.label,
        "model": subject.name,
        "model_digest": subject.model_digest,
        "config_digest": subject.config_digest,
        "settings": subject.settings,
    }


def _pair(pair: Pair, compared: Compared) -> dict[str, Any]:
    return {
        "a": pair.a.label,
        "b": pair.b.label,
        "datasets": pair.datasets,
        "not_comparable": pair.refused,
        "marked": pair.marked,
        "lines": [
            {**_flat(line), "dropped": _dropped(line.comparison, compared)} for line in pair.lines
        ],
        "notes": pair_notes(pair, compared),
    }


def _dropped(found: Comparison | None, compared: Compared) -> dict[str, Any] | None:
    if found is None:
        return None

    what = compared.options.pair

    def named(keys: Sequence[Key]) -> list[dict[str, Any]]:
        return [{what: compared.keys.get(k.id), "replicate": k.replicate} for k in keys]

    def by_outcome(keys: Mapping[str, Sequence[Key]]) -> dict[str, Any]:
        return {outcome: named(some) for outcome, some in keys.items()}

    dropped = found.dropped
    return {
        "only_a": named(dropped.only_a),
        "only_b": named(dropped.only_b),
        "unscored_a": by_outcome(dropped.unscored_a),
        "unscored_b": by_outcome(dropped.unscored_b),
    }
