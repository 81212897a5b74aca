"""JailbreakEval: a CSV of (question, answer, label), labelled by people; label 1 is a jailbreak.

Columns as in ThuCCSLab/JailbreakEval: ``question``, ``answer`` and, where people labelled it,
``label`` (a row without one is not labelled); where the attack prompt is known, ``prompt``.
``category`` is the behavior's, all others are labels of the sample: a further judge's column needs
a map. A question with several answers is one sample with several replicates. A cell that is empty
is an answer that is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import YES_NO, posed, text_or_none
from lam3db.datasets.results.files import has_empty_cells, read_records
from lam3db.datasets.results.record import (
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.records import Behavior, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge

UNNAMED = "unnamed"
_NEEDED = ("question", "answer")
_READ = (*_NEEDED, "label", "prompt", "category")


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the rows of a file. The model is ``--model``, or unnamed: the file does not tell."""
    options.only()
    source = options.dataset or path.stem
    model, config = declared_model(options.model or UNNAMED), declared_config(source)
    people = _people(source)
    empty = has_empty_cells(path)
    checked = False
    for row in read_records(path, faults):
        if not checked:
            checked = True
            missing = [name for name in _NEEDED if name not in row.values]
            if missing:
                faults.add(1, None, f"no column {', '.join(map(repr, missing))}")
                return
        texts = {
            name: text_or_none(row.values.get(name), row.line, name, faults) for name in _READ[:2]
        }
        said = _said(row.line, row.values, people, faults)
        question = texts["question"]
        if not question:
            faults.add(row.line, "question", "is missing")
        if not question or said is None:
            continue
        labels = {n: v for n, v in row.values.items() if n not in _READ and v != ""}
        for name in labels:
            faults.remarks.note(f"{name}: kept as a label of the sample, not read as a judge's")
        failed = stand_in(texts["answer"])
        posed_text = row.values.get("prompt") or question
        yield ResultRecord(
            row=row.line,
            dataset=source,
            model=model,
            config=config,
            behavior=Behavior(question, str(row.values.get("category") or "")),
            messages=posed(str(posed_text)),
            response=None if failed or (empty and not texts["answer"]) else texts["answer"],
            failed=failed,
            metadata=labels,
            findings=said,
        )


def _people(source: str) -> ImportedJudge:
    origin = {"format": "jailbreakeval", "source": source, "column": "label"}
    return imported_judge(
        f"people-{source}", JudgeKind.HUMAN, origin, unsafe=(Verdict.UNSAFE,), heading="ASR"
    )


def _said(
    row: int, values: Mapping[str, Any], people: ImportedJudge, faults: Faults
) -> tuple[Said, ...] | None:
    finding = YES_NO.finding(values.get("label"))
    if finding is not None and finding.status is not ScoreStatus.OK:
        faults.add(row, "label", f"{shown(values['label'])} is neither 1 nor 0")
        return None
    return () if finding is None else (Said(people, finding),)
