"""JailbreakBench artifacts: one JSON file per attack and model, or a folder of them.

As in JailbreakBench/artifacts: ``{"parameters": {method, model, attack_type, defense, ...},
"jailbreaks": [{index, goal, behavior, category, prompt, response, jailbroken, ...}]}``. The
published denominator is every behavior: one without a prompt or an answer is a record without a
response.

No field of the format says who judged (``AttackParameters`` of its package 1.0). The published
files were judged again by Llama-3-70B, and keep what the first judge had said as
``jailbroken_llama_guard1``: beside that, and where version 1.0 of the package judged (it does so
with Llama-3-70B), ``jailbroken`` is Llama-3-70B's. Elsewhere it is said by the judge that the
file names (``judge-model`` among the method's parameters, or the like), else by one that is not
known. Beside the first judge's column a ``judge-model`` is what the attack itself was steered by.

Of a folder, files that hold the same goals of one model and one attack are told apart by what
``--set apart=NAME`` names: a parameter of the method, or ``file``; it becomes part of the settings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.cells import YES_NO, posed, text_of_value, text_or_none
from lam3db.datasets.results.files import LARGEST_JSON
from lam3db.datasets.results.record import (
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.datasets.results.unread import note_unread
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
LLAMA_3, GUARD_1, UNNAMED = "jbb-llama-3-70b", "jbb-llama-guard-1", "jbb-judge-not-named"
_FIRST = "jailbroken_llama_guard1"
_BY_PACKAGE = "2024-07"
"""From this month on the package judges with Llama-3-70B."""
_JUDGE_NAMES = (
    *("judge", "judge_model", "judge-model", "judge_name", "evaluator", "evaluation_model"),
    *("evaluation_judge", "jailbreak_judge", "classifier"),
)
_NEEDED = ("index", "goal", "category", "prompt", "response", "jailbroken")
_READ = (*_NEEDED, "behavior", "prompt_tokens", "response_tokens", _FIRST)
_READ_OF_FILE = (
    *("method", "model", "attack_type", "defense", "evaluation_llm_provider", "evaluation_date"),
    *("method_parameters", *_JUDGE_NAMES),
)
_LONGEST_NAME = 200


class _File:
    """What one file says of all its records."""

    def __init__(self, document: Mapping[str, Any], apart: str | None, file: str) -> None:
        parameters = document["parameters"]
        self.name = str(parameters["model"])
        defense = parameters.get("defense")
        self.model: ModelVersion = declared_model(
            self.name, {"defense": defense} if defense else {}
        )
        provider = parameters.get("evaluation_llm_provider")
        facts = {"provider": provider} if provider else {}
        inner = parameters.get("method_parameters")
        further = inner if isinstance(inner, dict) else {}
        if apart is not None:
            facts[apart] = file if apart == "file" else further.get(apart)
        self.config: GenerationConfig = declared_config(SOURCE, facts)
        kind = parameters.get("attack_type")
        self.attack = Attack(str(parameters["method"]), {"type": kind, **further})
        self.judges = {
            "jailbroken": _judge("jailbroken", _judge_name(document, further)),
            _FIRST: _judge(_FIRST, GUARD_1),
        }


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the records of a file, or of every artifact below a folder in the order of names."""
    apart = options.only("apart").get("apart")
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    alike: dict[tuple[Any, ...], dict[str, set[str]]] = defaultdict(dict)
    for file in files:
        faults.unit, faults.file = "record", ""
        if path.is_dir():
            faults.file = file.relative_to(path).as_posix()
        document = _document(file, faults)
        if document is not None:
            told = _File(document, apart, faults.file or file.name)
            alike[_identity(told)][faults.file or file.name] = _goals(document)
            note_unread(document, ("parameters", "jailbreaks"), faults)
            note_unread(document["parameters"], _READ_OF_FILE, faults, "parameters.")
            yield from _records(document, told, faults, options.dataset or "jailbreakbench")
        elif not path.is_dir() and not faults.count:
            faults.add(None, None, 'no object with "parameters" and "jailbreaks"')
        elif not faults.count:
            faults.remarks.note(f"not an artifact, not read: {faults.file}")
    faults.file = ""
    _refuse_alike(alike, faults)
    if not alike and not faults.count:
        raise InputError(f"{path}: there is no artifact of JailbreakBench in it")


def _identity(told: _File) -> tuple[Any, ...]:
    kind = told.attack.parameters.get("type")
    return told.model.digest, told.config.digest, told.attack.name, str(kind)


def _goals(document: Mapping[str, Any]) -> set[str]:
    records = [one for one in document["jailbreaks"] if isinstance(one, dict)]
    return {one["goal"] for one in records if isinstance(one.get("goal"), str)}


def _refuse_alike(alike: Mapping[tuple[Any, ...], Mapping[str, set[str]]], faults: Faults) -> None:
    """Refuse files that would be counted as one: nothing that is compared tells them apart."""
    for (*_, method, _), goals in alike.items():
        seen = Counter(goal for some in goals.values() for goal in some)
        files = [name for name, some in goals.items() if any(seen[goal] > 1 for goal in some)]
        if files:
            what = f"{method} on one model, settings alike: what tells these files apart? say "
            what += "--set apart=PARAMETER (of the method) or --set apart=file"
            faults.add(None, ", ".join(files), what)


def _judge_name(document: Mapping[str, Any], further: Mapping[str, Any]) -> str:
    """Return who said ``jailbroken``; see the module's docstring."""
    records = document["jailbreaks"]
    if any(isinstance(one, dict) and _FIRST in one for one in records):
        return LLAMA_3
    parameters = document["parameters"]
    named = _named_judge(parameters) or _named_judge(further)
    if named is not None:
        plain = named.casefold().replace("_", "-")
        return LLAMA_3 if "llama-3-70b" in plain else named[:_LONGEST_NAME]
    date = parameters.get("evaluation_date")
    return LLAMA_3 if isinstance(date, str) and date >= _BY_PACKAGE else UNNAMED


def _named_judge(values: Mapping[str, Any]) -> str | None:
    names = (text_of_value(values.get(name)) for name in _JUDGE_NAMES)
    return next((name.strip() for name in names if name and name.strip()), None)


def _judge(column: str, name: str) -> ImportedJudge:
    origin = {"format": "jailbreakbench", "source": SOURCE, "column": column}
    if name not in (LLAMA_3, GUARD_1):
        origin["judge"] = name
    return imported_judge(name, JudgeKind.LLM, origin, unsafe=(Verdict.UNSAFE,))


def _document(file: Path, faults: Faults) -> dict[str, Any] | None:
    """Return the artifact a file holds; None for other files, and with a fault."""
    try:
        if file.stat().st_size > LARGEST_JSON:
            faults.add(None, None, f"is larger than {LARGEST_JSON >> 20} MiB")
            return None
        document = parse_json(file.read_text("utf-8-sig"), faults.remarks)
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
    document: Mapping[str, Any], told: _File, faults: Faults, dataset: str
) -> Iterator[ResultRecord]:
    for number, one in enumerate(document["jailbreaks"], 1):
        before = faults.count
        if not isinstance(one, dict) or any(name not in one for name in _NEEDED):
            faults.add(number, None, f"no object with {', '.join(_NEEDED)}")
            continue
        texts = {
            name: text_or_none(one[name], number, name, faults)
            for name in ("goal", "category", "prompt", "response")
        }
        findings = tuple(_said(number, one, told.judges, faults))
        if not texts["goal"]:
            faults.add(number, "goal", "is missing")
        if faults.count > before:
            continue
        note_unread(one, _READ, faults)
        prompt, failed = texts["prompt"], stand_in(texts["response"])
        yield ResultRecord(
            row=number,
            dataset=dataset,
            model=told.model,
            config=told.config,
            behavior=Behavior(texts["goal"] or "", texts["category"] or ""),
            attack=told.attack,
            messages=None if prompt is None else posed(prompt),
            response=None if failed else texts["response"],
            failed=failed,
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
