"""VLMEvalKit result sheets: predictions as XLSX, TSV, JSON or CSV, with or without scores.

As in open-compass/VLMEvalKit (``vlmeval/smp/file.py``): a sheet is ``{model}_{dataset}.xlsx`` with
``index``, ``question``, ``prediction`` and what the dataset's own table has (``answer, category,
image_path``, options ...); evaluation writes ``{sheet}_{judge}`` with ``hit`` or ``score``
beside. ``Failed to obtain answer`` in the place of a prediction is the tool's own word for an
attempt that failed: it is no answer. The toolkit falls back to pickle where a sheet cannot be
written; a pickle runs code when it is read, and is never read here.

``hit`` and ``score`` measure what the dataset measures, mostly being right: they are values, not
verdicts. ``--set unsafe=WORDS`` and ``--set safe=WORDS`` (separated by commas) say which of them
are, ``--set column=NAMES`` which further columns are scores, ``--set judge=NAME`` who said so;
``--model`` and ``--name`` name what the file's name leaves open. ``judge_label`` is a verdict by
itself: "safe" or "unsafe", as ``mmsafetybench.py`` writes it with ``judge_log``; "unknown", which
that script counts as no attack, is unparsed. A sheet with the images inside (``image`` as base64)
keeps only their digests. ``thinking``, which the toolkit splits off where it is told to, is kept
beside the answer. A cell that is empty is an answer that is missing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import Labels, number_of, posed, text_of_value
from lam3db.datasets.results.files import has_empty_cells, read_records
from lam3db.datasets.results.pictures import pictured
from lam3db.datasets.results.record import (
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.datasets.results.unread import note_unparsed, note_unread
from lam3db.datasets.results.words import verdict_words
from lam3db.errors import ConfigError, InputError
from lam3db.records import Behavior, Finding, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge

_NEEDED = ("index", "question", "prediction")
_SCORES = ("hit", "score")
_KEPT = ("answer", "hint", "split", "l2-category", *"ABCDEFGH")
"""Columns that describe a sample; others come from evaluations and differ between sheets."""
_LABEL, _LABEL_LOG = "judge_label", "judge_log"
_LABELS = Labels(
    {"safe": Verdict.SAFE, "unsafe": Verdict.UNSAFE},
    {"unknown": ScoreStatus.UNPARSED},
    frozenset({""}),
)
_BY_RULE = "rule_parse"
"""What stands in the log where no judge was asked: the answer's own words were taken for one's."""
_READ = (*_NEEDED, *_KEPT, "category", "image_path", "image", "thinking")
_PICKLES = (".pkl", ".pickle")
_LONGEST_NAME = 200


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the rows of a sheet."""
    if path.suffix.lower() in _PICKLES:
        message = "a pickle runs code when it is read: write the sheet as .xlsx, .tsv or .json"
        raise InputError(f"{path}: {message}")
    settings = options.only("judge", "unsafe", "safe", "column")
    labels = verdict_words(settings)
    name, source = _names(path, options)
    model, config = declared_model(name), declared_config(source)
    columns = dict.fromkeys([*_SCORES, *_further(settings)])
    judges = {column: _judge(column, source, settings, labels) for column in columns}
    judges[_LABEL] = _judge(_LABEL, source, settings, _LABELS)
    empty = has_empty_cells(path)
    wanted = set(_further(settings))
    for row in read_records(path, faults):
        missing = [column for column in _NEEDED if column not in row.values]
        if missing:
            faults.add(row.line, None, f"no column {', '.join(map(repr, missing))}")
            return
        wanted -= row.values.keys()
        record = _record(row, faults, options, empty=empty)
        if record is None:
            continue
        note_unread(row.values, {*_READ, *judges, *_logs(row)}, faults)
        yield ResultRecord(
            row=row.line,
            dataset=source,
            model=model,
            config=config,
            findings=tuple(_said(row, judges, labels, faults)),
            **record,
        )
    for column in sorted(wanted):
        faults.add(None, column, "no row has this column (--set column)")


def _further(settings: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in settings.get("column", "").split(",") if name.strip()]


def _logs(row: Row) -> list[str]:
    """Return the columns that are read as explanations: a log without a score is not."""
    scored = any(row.values.get(name) not in (None, "") for name in _SCORES)
    return [*(["log"] if scored else []), *([_LABEL_LOG] if row.values.get(_LABEL) else [])]


def _names(path: Path, options: ReadOptions) -> tuple[str, str]:
    """Return the model's and the dataset's name; raise ConfigError where the file tells neither."""
    model, dataset = options.model, options.dataset
    stem = path.stem
    if model is not None:
        rest = stem.removeprefix(f"{model}_")
        return model, dataset or (rest if rest != stem else stem)
    if dataset is not None and f"_{dataset}" in stem:
        return stem[: stem.index(f"_{dataset}")], dataset
    head, _, tail = stem.partition("_")
    if not tail or "_" in tail:
        message = "MODEL_DATASET is wanted, with one underscore: name the model with --model"
        raise ConfigError(f"{path.name}: which part is the model? {message}")
    return head, dataset or tail


def _judge(
    column: str, source: str, settings: Mapping[str, str], labels: Labels | None
) -> ImportedJudge:
    name = settings.get("judge") or "vlmevalkit"
    words = {key: settings[key] for key in ("unsafe", "safe") if key in settings}
    origin = {"format": "vlmevalkit", "source": source, "column": column, "judge": name, **words}
    return imported_judge(
        f"{name}-{column}",
        JudgeKind.LLM,
        origin,
        unsafe=(Verdict.UNSAFE,) if labels else (),
        heading="ASR" if labels else column,
    )


def _record(
    row: Row, faults: Faults, options: ReadOptions, *, empty: bool
) -> dict[str, Any] | None:
    before = faults.count
    values = row.values
    key, question = text_of_value(values["index"]), text_of_value(values["question"])
    answer = text_of_value(values["prediction"])
    if not key:
        faults.add(row.line, "index", f"{shown(values['index'])} names no sample")
    if not question:
        faults.add(row.line, "question", f"{shown(values['question'])} is no text")
    if answer is None and values["prediction"] is not None:
        faults.add(row.line, "prediction", f"{shown(values['prediction'])} is no text")
    image = values.get("image_path")
    name = image if isinstance(image, str) and image else None
    images, named = pictured(name, row.line, "image_path", faults, options)
    if faults.count > before:
        return None
    if empty and answer == "":
        answer = None
    failed = stand_in(answer)
    inside = values.get("image")
    if isinstance(inside, str) and inside and not images:
        named["image_sha256"] = hashlib.sha256(inside.encode()).hexdigest()
    rest = {n: text for n in _KEPT if (text := text_of_value(values.get(n)))}
    category = text_of_value(values.get("category")) or ""
    return {
        "key": key,
        "behavior": Behavior(str(question), category[:_LONGEST_NAME]),
        "messages": posed(question, *images),
        "response": None if failed else answer,
        "failed": failed,
        "metadata": {"index": key, **rest, **named},
        "reasoning": None
        if failed or not answer
        else text_of_value(values.get("thinking")) or None,
    }


def _said(
    row: Row, judges: Mapping[str, ImportedJudge], labels: Labels | None, faults: Faults
) -> Iterator[Said]:
    for column, judge in judges.items():
        value = row.values.get(column)
        if value is None or value == "":
            continue
        is_label = column == _LABEL
        log = row.values.get(_LABEL_LOG if is_label else "log")
        explanation = log if isinstance(log, str) and log else None
        if is_label and (explanation or "").startswith(_BY_RULE):
            faults.remarks.note(f"{_LABEL}: {explanation}: no judge has read the answer, not read")
            continue
        finding = _finding(value, _LABELS if is_label else labels, explanation)
        yield Said(judge, note_unparsed(finding, column, faults))


def _finding(value: Any, labels: Labels | None, explanation: str | None) -> Finding:
    if labels is not None:
        found = labels.finding(value, explanation=explanation)
        if found is not None:
            return found
    number = number_of(value)
    if labels is None and number is not None:
        return Finding(value=number, explanation=explanation)
    raw = text_of_value(value) or shown(value)
    return Finding(ScoreStatus.UNPARSED, explanation=explanation, raw_output=raw)
