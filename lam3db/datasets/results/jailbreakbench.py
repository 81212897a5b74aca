"""JailbreakBench artifacts: one JSON file per attack and model, or a folder of them.

As in JailbreakBench/artifacts: ``{"parameters": {method, model, attack_type, defense, ...},
"jailbreaks": [{index, goal, behavior, category, prompt, response, jailbroken, ...}]}``. The
published denominator is every behavior: one without a prompt or an answer is a record without a
response. ``jailbroken`` is what Llama-3-70B said (the benchmark's second judge, by which the
published rates are), ``jailbroken_llama_guard1`` what the first judge said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.cells import YES_NO, posed, text_or_none
from lam3db.datasets.results.files import LARGEST_JSON
from lam3db.datasets.results.record import (
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.errors import InputError
from lam3db.records import Attack, Behavior, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge
    from lam3db.records import GenerationConfig, ModelVersion

SOURCE = "JailbreakBench"
_JUDGES = {"jailbroken": "jbb-llama-3-70b", "jailbroken_llama_guard1": "jbb-llama-guard-1"}
_NEEDED = ("index", "goal", "category", "prompt", "response", "jailbroken")


class _File:
    """What one file says of all its records."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.name = str(parameters["model"])
        defense = parameters.get("defense")
        self.model: ModelVersion = declared_model(
            self.name, {"defense": defense} if defense else {}
        )
        provider = parameters.get("evaluation_llm_provider")
        facts = {"provider": provider} if provider else {}
        self.config: GenerationConfig = declared_config(SOURCE, facts)
        further = parameters.get("method_parameters") or {}
        kind = parameters.get("attack_type")
        self.attack = Attack(str(parameters["method"]), {"type": kind, **further})


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the records of a file, or of every artifact below a folder in the order of names."""
    options.only()
    judges = {column: _judge(column, name) for column, name in _JUDGES.items()}
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = False
    for file in files:
        faults.unit, faults.file = "record", ""
        if path.is_dir():
            faults.file = file.relative_to(path).as_posix()
        document = _document(file, faults)
        if document is not None:
            found = True
            yield from _records(document, faults, judges, options.dataset or "jailbreakbench")
        elif not path.is_dir() and not faults.count:
            faults.add(None, None, 'no object with "parameters" and "jailbreaks"')
    faults.file = ""
    if not found and not faults.count:
        raise InputError(f"{path}: there is no artifact of JailbreakBench in it")


def _judge(column: str, name: str) -> ImportedJudge:
    origin = {"format": "jailbreakbench", "source": SOURCE, "column": column}
    return imported_judge(name, JudgeKind.LLM, origin, unsafe=(Verdict.UNSAFE,))


def _document(file: Path, faults: Faults) -> dict[str, Any] | None:
    """Return the artifact a file holds; None for other files, and with a fault."""
    try:
        if file.stat().st_size > LARGEST_JSON:
            faults.add(None, None, f"is larger than {LARGEST_JSON >> 20} MiB")
            return None
        document = parse_json(file.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        faults.add(None, None, str(error))
        return None
    is_artifact = isinstance(document, dict) and isinstance(document.get("jailbreaks"), list)
    parameters = document.get("parameters") if is_artifact else None
    if not isinstance(parameters, dict):
        return None
    for name in ("model", "method"):
        if not isinstance(parameters.get(name), str):
            faults.add(None, f"parameters.{name}", "is missing")
            return None
    return dict(document)


def _records(
    document: Mapping[str, Any],
    faults: Faults,
    judges: Mapping[str, ImportedJudge],
    dataset: str,
) -> Iterator[ResultRecord]:
    told = _File(document["parameters"])
    for number, one in enumerate(document["jailbreaks"], 1):
        before = faults.count
        if not isinstance(one, dict) or any(name not in one for name in _NEEDED):
            faults.add(number, None, f"no object with {', '.join(_NEEDED)}")
            continue
        texts = {
            name: text_or_none(one[name], number, name, faults)
            for name in ("goal", "category", "prompt", "response")
        }
        findings = tuple(_said(number, one, judges, faults))
        if not texts["goal"]:
            faults.add(number, "goal", "is missing")
        if faults.count > before:
            continue
        prompt = texts["prompt"]
        yield ResultRecord(
            row=number,
            dataset=dataset,
            model=told.model,
            config=told.config,
            behavior=Behavior(texts["goal"] or "", texts["category"] or ""),
            attack=told.attack,
            messages=None if prompt is None else posed(prompt),
            response=texts["response"],
            key=f"{told.attack.name}/{told.name}/{one['index']}",
            metadata={"behavior": one["behavior"]} if one.get("behavior") else {},
            prompt_tokens=_count(one.get("prompt_tokens")),
            completion_tokens=_count(one.get("response_tokens")),
            findings=findings,
        )


def _said(
    number: int, one: Mapping[str, Any], judges: Mapping[str, ImportedJudge], faults: Faults
) -> Iterator[Said]:
    for column, judge in judges.items():
        finding = YES_NO.finding(one.get(column))
        if finding is None:
            continue
        if finding.status is not ScoreStatus.OK:
            faults.add(number, column, f"{shown(one[column])} is neither true nor false")
        elif one["response"] is not None or finding.verdict is Verdict.UNSAFE:
            yield Said(judge, finding)


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else 0
