"""A map to begin with: what a file's columns look like, for a person to correct.

What must hold: it is a proposal; what cannot be told from names is left as a comment, and what the
words of a label mean is never guessed.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.results.cells import number_of, text_of_value
from lam3db.datasets.results.files import read_records
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAMES: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "model_name", "target_model", "victim", "llm"),
    "key": ("id", "key", "index", "idx", "test_case_id", "sample_id", "uid", "behaviorid"),
    "prompt": ("prompt", "attack_prompt", "jailbreak_query", "test_case", "query", "question"),
    "behavior": ("behavior", "goal", "behaviour", "redteam_query", "forbidden_prompt", "intent"),
    "category": ("category", "semantic_category", "policy", "topic", "harm_category", "scenario"),
    "attack": ("attack", "method", "attack_method", "attack_type", "jailbreak_method"),
    "image": ("image", "image_path", "img_path", "image_file"),
    "target": ("target", "optimizer_target"),
    "replicate": ("replicate", "trial", "repeat", "sample_index"),
    "response": (
        "response",
        "answer",
        "model_response",
        "output",
        "completion",
        "generation",
        "prediction",
    ),
}
_LABELS = (
    "hit",
    *("label", "score", "judg", "annotat", "human", "unsafe", "safe", "jailbroken", "success"),
    *("refus", "toxic", "harmful", "verdict", "rating", "asr"),
)
_LOOKED_AT = 2000
_FEW = 12


def suggested_map(path: Path) -> str:
    """Return a commented map for a file.

    Raises:
        InputError: the file cannot be read, or holds no row.

    """
    faults = Faults(path)
    seen: dict[str, list[Any]] = {}
    for row in islice(read_records(path, faults), _LOOKED_AT):
        for name, value in row.values.items():
            seen.setdefault(name, []).append(value)
    if not seen:
        faults.raise_if_any()
        raise InputError(f"{path}: there is no row in it")
    taken: set[str] = set()
    lines = [
        f"# proposed from the columns of {path.name}: read it, correct it, then",
        f"#   lam3db import results {path.name} --map THIS.yaml --dry-run",
        f"dataset: {_quoted(path.stem)}",
        "# source: whose results these are, for example Name et al. 2025",
        "fields:",
    ]
    for field, names in NAMES.items():
        found = _column(names, [name for name in seen if name not in taken])
        if found is not None:
            taken.add(found)
            lines.append(f"  {field}: {_quoted(found)}")
        elif field in ("model", "prompt", "response"):
            lines.append(f"  # {field}: which column, or {{constant: ...}}?")
    labels = [name for name in seen if name not in taken and _is_label(name)]
    lines += _judges(labels, seen)
    rest = [name for name in seen if name not in taken and name not in labels]
    if rest:
        lines.append("# not read: " + ", ".join(map(_quoted, rest)))
        lines.append("# metadata: [columns that are labels of the sample]")
    return "\n".join(lines) + "\n"


def _column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    plain = {column: column.strip().lower().replace(" ", "_") for column in columns}
    for name in names:
        for column in columns:
            if plain[column] == name:
                return column
    return None


def _is_label(name: str) -> bool:
    return any(part in name.lower() for part in _LABELS)


def _judges(labels: Sequence[str], seen: Mapping[str, Sequence[Any]]) -> list[str]:
    if not labels:
        return ["# judges: no column looks like a label"]
    lines = ["judges:  # people go below `annotators:`, without a kind"]
    for name in labels:
        values = [value for value in seen[name] if value not in (None, "")]
        words = sorted({shown(text_of_value(value) or value) for value in values[:_LOOKED_AT]})
        lines += [f"  - name: {_quoted(name)}", "    kind: llm  # rule, classifier, api, ...?"]
        if len(words) > _FEW and all(number_of(value) is not None for value in values):
            lines += [f"    value: {_quoted(name)}", '    # threshold: ">= 0.5"']
            continue
        lines += [f"    verdict: {_quoted(name)}"]
        told = ", ".join(words[:_FEW]) + (", ..." if len(words) > _FEW else "")
        lines += [f"    words: {{unsafe: [], safe: []}}  # it says {told}"]
    return lines


def _quoted(text: str) -> str:
    """Return a text as YAML takes it, whatever is in it."""
    return json.dumps(text, ensure_ascii=True)
