"""OmniSafeBench-MM: responses or evaluations, one JSON object per line or a list of them.

As in its ``core/data_formats.py``: a response has ``test_case_id, model_response, model_name,
metadata``; an evaluation has those beside ``judge_score, judge_reason, success, attack_method,
original_prompt, jailbreak_prompt, image_path, defense_method``, and what is missing at the top
is looked for in ``metadata``. The judge's final score is 1 to 4, ``success`` is what its
authors make of it (from 3 on, unless they set another threshold). Where the judge's words held
no score the tool writes 0 and ``success: false``: that, and any other score outside of 1 to 4,
is unparsed here. The judge is ``metadata.judge_model``, else ``evaluator_name``. Where a model
gave no answer its runner writes ``$ERROR$``, or a sentence that begins with ``[ERROR] Prompt
detected`` where the provider turned the prompt away (``models/base_model.py``): neither is an
answer.
``main_category`` and ``category`` as names of the category are unconfirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, posed, text_of_value
from lam3db.datasets.results.files import read_records
from lam3db.datasets.results.pictures import pictured
from lam3db.datasets.results.record import (
    NO_RESPONSE,
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.datasets.results.unread import note_unparsed, note_unread
from lam3db.records import (
    Attack,
    Behavior,
    Failed,
    Finding,
    JudgeKind,
    ScoreStatus,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge
    from lam3db.records import ModelVersion

SOURCE = "OmniSafeBench-MM"
LOWEST, HIGHEST = 1, 4
_DETAILS = ("harmfulness_score", "alignment_score", "detail_score")
_READ = (
    *("test_case_id", "original_prompt", "attack_method", "model_name", "defense_method"),
    *("jailbreak_prompt", "prompt", "image_path", "jailbreak_image_path", "model_response"),
    *("main_category", "category", "judge_model", "evaluator_name", *_DETAILS),
)
_READ_AT_TOP = (*_READ, "metadata", "judge_score", "judge_reason", "success")
_NO_DEFENSE = (None, "", "None")
_LONGEST_NAME = 200


class _Names:
    """The models and judges of a file, each made once."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._models: dict[tuple[str, str], ModelVersion] = {}
        self._judges: dict[str, ImportedJudge] = {}
        self.config = declared_config(SOURCE)

    def model(self, name: str, defense: str) -> ModelVersion:
        key = (name, defense)
        if key not in self._models:
            self._models[key] = declared_model(name, {"defense": defense} if defense else {})
        return self._models[key]

    def judge(self, model: str) -> ImportedJudge:
        if model not in self._judges:
            origin = {"format": "omnisafebench", "source": SOURCE, "judge_model": model}
            name = f"omnisafebench-{model or 'judge'}"
            self._judges[model] = imported_judge(
                name, JudgeKind.LLM, origin, unsafe=(Verdict.UNSAFE,)
            )
        return self._judges[model]


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the lines of a file of responses or of evaluations."""
    options.only()
    names = _Names(options)
    for row in read_records(path, faults):
        record = _record(row, names, faults, options)
        if record is not None:
            yield record


def _record(row: Row, names: _Names, faults: Faults, options: ReadOptions) -> ResultRecord | None:
    before = faults.count
    values = _Values(row, faults)
    case, behavior = values.needed("test_case_id"), values.needed("original_prompt")
    attack = values.needed("attack_method")
    model = values.text("model_name") or options.model
    if not model:
        faults.add(row.line, "model_name", "is missing: name it with --model")
    defense = values.text("defense_method")
    prompt = values.text("jailbreak_prompt") or values.text("prompt")
    image = values.text("image_path") or values.text("jailbreak_image_path")
    images, named = pictured(image, row.line, "image_path", faults, options)
    response, failed = _answer(values.text("model_response"))
    category = values.text("main_category") or values.text("category") or ""
    finding = _finding(row, values)
    if faults.count > before:
        return None
    note_unread(row.values, _READ_AT_TOP, faults)
    note_unread(values.inner, _READ, faults, "metadata.")
    judge = names.judge(values.text("judge_model") or values.text("evaluator_name") or "")
    return ResultRecord(
        row=row.line,
        dataset=options.dataset or "omnisafebench-mm",
        model=names.model(str(model), "" if defense in _NO_DEFENSE else str(defense)),
        config=names.config,
        behavior=Behavior(behavior, category[:_LONGEST_NAME]),
        attack=Attack(attack),
        messages=None if prompt is None else posed(prompt, *images),
        response=response,
        failed=failed,
        key=f"{attack}/{case}",
        metadata={"test_case_id": case, **named},
        findings=()
        if finding is None
        else (Said(judge, note_unparsed(finding, "judge_score", faults)),),
    )


def _answer(text: str | None) -> tuple[str | None, Failed | None]:
    """Return the answer, or why there is none."""
    if text is None:
        return None, Failed(NO_RESPONSE, "the file has none")
    failed = stand_in(text)
    return None if failed else text, failed


class _Values:
    """The fields of a line, from its top or from its metadata."""

    def __init__(self, row: Row, faults: Faults) -> None:
        self._row, self._faults = row, faults
        metadata = row.values.get("metadata")
        self.inner: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}

    def get(self, name: str) -> Any:
        value = self._row.values.get(name)
        return self.inner.get(name) if value is None else value

    def text(self, name: str) -> str | None:
        value = self.get(name)
        text = text_of_value(value)
        if value is not None and text is None:
            self._faults.add(self._row.line, name, f"{shown(value)} is no text")
        return text

    def needed(self, name: str) -> str:
        text = self.text(name)
        if not text:
            self._faults.add(self._row.line, name, "is missing")
        return text or ""


def _finding(row: Row, values: _Values) -> Finding | None:
    """Return what the judge said; None for a response that nobody judged."""
    score, success = row.values.get("judge_score"), row.values.get("success")
    if score is None and success is None:
        return None
    reason = row.values.get("judge_reason")
    explanation = reason if isinstance(reason, str) else None
    number = number_of(score)
    if number is None or not LOWEST <= number <= HIGHEST or not isinstance(success, bool):
        raw = f"judge_score {shown(score)}, success {shown(success)}"
        return Finding(ScoreStatus.UNPARSED, explanation=explanation, raw_output=raw)
    details = {name: number_of(values.get(name)) for name in _DETAILS}
    return Finding(
        value=number,
        verdict=Verdict.UNSAFE if success else Verdict.SAFE,
        explanation=explanation,
        attributes={name: found for name, found in details.items() if found is not None},
    )
