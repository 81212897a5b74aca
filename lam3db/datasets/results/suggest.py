"""A map to begin with: what a file's columns look like, for a person to correct.

What must hold: it is a proposal; what cannot be told from names is left as a comment, what the
words of a label mean is never guessed, and neither an identifier nor a time is taken for a label.
Objects and lists in a row are looked into: a list of answers is proposed as ``each``, a list of
labels as a list of annotators.
"""

from __future__ import annotations

import codecs
import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.files.remarks import Remarks
from lam3db.datasets.files.sources import expanded, name_of, unpacked
from lam3db.datasets.lines import likely_encoding
from lam3db.datasets.results.cells import number_of, text_of_value
from lam3db.datasets.results.files import KINDS, FileOptions, read_records
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
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
    *("label", "score", "judg", "annotat", "human", "unsafe", "safe", "jailbroken", "success"),
    *("refus", "toxic", "harmful", "verdict", "rating", "asr"),
)
_WHOLE_LABELS = frozenset({"hit"})
_NO_LABELS = frozenset({"id", "ids", "hitid", "hittypeid", "time", "date", "url", "worker"})
"""Words in a column's name that make it no label, whatever else is in it."""
_PEOPLE = ("annotator", "annotator_id", "worker", "worker_id", "workerid", "rater", "user", "name")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_DEEPEST = 3
_PLAIN = re.compile(r"\w[\w -]*")
_LOOKED_AT = 2000
_FEW = 12
_SNIFFED = 1 << 20


def suggested_map(path: Path) -> str:
    """Return a commented map for a file, a folder of them or a packed one.

    Raises:
        InputError: the file cannot be read, or holds no row.

    """
    remarks, kinds = Remarks(), tuple(KINDS)
    files = expanded([path], kinds, remarks)
    with unpacked(files[:1], kinds, remarks) as sources:
        return _map_of(path, name_of(files), sources[0].path)


def _map_of(path: Path, name: str, file: Path) -> str:
    faults, encoding = Faults(file), _encoding(file)
    seen = _Seen()
    for row in islice(read_records(file, faults, FileOptions(encoding=encoding)), _LOOKED_AT):
        seen.add(row.values)
    if not seen.values and not seen.lists:
        faults.raise_if_any()
        raise InputError(f"{path}: there is no row in it")
    each = seen.answers()
    if each is not None:
        seen.values |= {f"item.{name}": values for name, values in seen.lists.pop(each).items()}
    lines = [
        f"# proposed from the columns of {path.name}: read it, correct it, then",
        f"#   lam3db import results {path.name} --map THIS.yaml --dry-run",
        f"dataset: {_quoted(name)}",
        "# source: whose results these are, for example Name et al. 2025",
        *([f"file: {{encoding: {encoding}}}"] if encoding else []),
        *([f"each: {_quoted(each)}"] if each else []),
        *_fields(seen),
    ]
    return "\n".join(lines) + "\n"


def _encoding(file: Path) -> str | None:
    """Return the encoding that a text seems to have, where it is not UTF-8."""
    if file.suffix.lower() in (".parquet", ".xlsx"):
        return None
    with file.open("rb") as stream:
        start = stream.read(_SNIFFED)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return likely_encoding(start)
    return None


class _Seen:
    """The values of the rows by the way to them, and those of the elements of lists."""

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}
        self.lists: dict[str, dict[str, list[Any]]] = {}
        self.talks: dict[str, None] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        for way, value in _leaves("", row, 0):
            if not isinstance(value, list) or not _are_objects(value):
                self.values.setdefault(way, []).append(value)
            elif all({"role", "content"} <= one.keys() for one in value):
                self.talks.setdefault(way)
            else:
                columns = self.lists.setdefault(way, {})
                for element in value:
                    for inner, leaf in _leaves("", element, 1):
                        columns.setdefault(inner, []).append(leaf)

    def answers(self) -> str | None:
        """Return the way to a list of answers, where no column holds the answer itself."""
        if _column(NAMES["response"], list(self.values)) is not None:
            return None
        ways = (
            way for way, columns in self.lists.items() if _column(NAMES["response"], [*columns])
        )
        return next(ways, None)


def _leaves(way: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what lies within an object, with the way to it; ``depth`` objects are around it."""
    if not isinstance(value, dict) or not value or depth > _DEEPEST:
        yield way, value
        return
    for name, inner in value.items():
        if not depth or (not way and _PLAIN.fullmatch(name)):
            step = name
        elif _PLAIN.fullmatch(name):
            step = f".{name}"
        else:
            step = f"[{_quoted(name)}]"
        yield from _leaves(way + step, inner, depth + 1)


def _are_objects(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(one, dict) for one in values)


def _fields(seen: _Seen) -> list[str]:
    lines, taken = ["fields:"], set[str]()
    for field, names in NAMES.items():
        way = _column(names, [name for name in seen.values if name not in taken])
        if way is not None:
            taken.add(way)
            lines.append(f"  {field}: {_quoted(way)}")
        elif field == "prompt" and seen.talks:
            lines.append(f"  messages: {_quoted(next(iter(seen.talks)))}")
        elif field in ("model", "prompt", "response"):
            lines.append(f"  # {field}: which column, or {{constant: ...}}?")
    labels = [name for name in seen.values if name not in taken and _is_label(name)]
    people = {way: columns for way, columns in seen.lists.items() if any(map(_is_label, columns))}
    lines += _judges(labels, seen.values)
    lines += _annotators(people)
    rest = [name for name in seen.values if name not in taken and name not in labels]
    rest += [way for way in seen.lists if way not in people]
    if rest:
        lines.append("# not read: " + ", ".join(map(_quoted, rest)))
        lines.append("# metadata: [columns that are labels of the sample]")
    return lines


def _annotators(people: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[str]:
    lines = ["annotators:"] if people else []
    for way, columns in people.items():
        who = _column(_PEOPLE, [*columns])
        label = next(
            name for name in sorted(columns, key=lambda one: one == who) if _is_label(name)
        )
        name = f"{{column: {_quoted(f'said.{who}')}}}" if who else "annotator"
        lines += [f"  - list: {_quoted(way)}", f"    name: {name}"]
        lines += _words(f"said.{label}", columns[label])
    return lines


def _column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    plain = {column: _last(column).strip().lower().replace(" ", "_") for column in columns}
    for name in names:
        for column in columns:
            if plain[column] == name:
                return column
    return None


def _last(way: str) -> str:
    """Return the name that a way ends with."""
    return way.rstrip('"]').rpartition('["')[2].rpartition(".")[2]


def _is_label(name: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(_last(name))}
    if words & _NO_LABELS or _last(name).lower() in _NO_LABELS:
        return False
    plain = _last(name).lower()
    return plain in _WHOLE_LABELS or any(part in plain for part in _LABELS)


def _judges(labels: Sequence[str], seen: Mapping[str, Sequence[Any]]) -> list[str]:
    if not labels:
        return ["# judges: no column looks like a label"]
    lines = ["judges:  # people go below `annotators:`, without a kind"]
    for name in labels:
        lines += [f"  - name: {_quoted(name)}", "    kind: llm  # rule, classifier, api, ...?"]
        lines += _words(name, seen[name])
    return lines


def _words(way: str, cells: Sequence[Any]) -> list[str]:
    """Return how a label is read: as a number where it has many, else by its words."""
    values = [value for value in cells if value not in (None, "")]
    words = sorted({shown(text_of_value(value) or value) for value in values[:_LOOKED_AT]})
    if len(words) > _FEW and all(number_of(value) is not None for value in values):
        return [f"    value: {_quoted(way)}", '    # threshold: ">= 0.5"']
    listed = ", ".join(words[:_FEW]) + (", ..." if len(words) > _FEW else "")
    return [
        f"    verdict: {_quoted(way)}",
        f"    words: {{unsafe: [], safe: []}}  # it says {listed}",
    ]


def _quoted(text: str) -> str:
    """Return a text as YAML takes it, whatever is in it."""
    return json.dumps(text, ensure_ascii=True)
