"""MM-SafetyBench answers: a scenario's questions, each with ``ans.{model}.text``.

As in isXinLiu/MM-SafetyBench: the object by id of ``processed_questions/{NN-Scenario}.json``, to
which a run adds ``ans``: an object by model of objects with ``text``, and its evaluation
``is_safe(gpt)``, "safe" or "unsafe" in the judge's own spelling (another word counts as neither
there, and is unparsed here). The judge sees the answer alone, under instructions that differ
between scenarios. The file does not say which kind of image was shown: ``--set
kind=SD|SD_TYPO|TYPO`` does, where the file's name or its folder's does not. Samples are those of
``lam3db dataset add --format mm-safetybench``; a record without ``ans`` for a model that others
have is an attempt without an answer.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.published.mm_safetybench import KINDS, kept, records
from lam3db.datasets.results.cells import Labels, plain_values, posed
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
from lam3db.errors import ConfigError, InputError, did_you_mean
from lam3db.records import Attack, Behavior, Failed, JudgeKind, Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge
    from lam3db.records import GenerationConfig, ModelVersion

SOURCE = "MM-SafetyBench"
_SCENARIO = re.compile(r"\d\d-[A-Za-z]+(?:_[A-Z][a-z]+)?")
_MISSING = Failed(NO_RESPONSE, "the file has no answer")
_LABEL = re.compile(r"is_safe\((.{1,100})\)")
_LABELS = Labels({"safe": Verdict.SAFE, "unsafe": Verdict.UNSAFE}, missing=frozenset({""}))
_READ = ("Question", "Changed Question", "Key Phrase", "Phrase Type", *KINDS.values(), "ans")


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield every model's answers of a scenario's file, or of a folder of such files."""
    asked = options.only("kind").get("kind")
    if asked is not None and asked not in KINDS:
        raise ConfigError(f"--set kind={asked}{did_you_mean(asked, list(KINDS))}")
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    models: dict[str, ModelVersion] = {}
    judges: dict[str, ImportedJudge] = {}
    config = declared_config(SOURCE)
    row = 0
    for file in files:
        faults.file = file.relative_to(path).as_posix() if path.is_dir() else ""
        faults.unit = "record"
        kind = asked or _kind_of(file)
        if kind is None:
            message = "which kind of image was shown? Say --set kind=SD, SD_TYPO or TYPO"
            raise InputError(f"{file}: {message}")
        found = list(records(file, faults))
        names = _names(found, options)
        for name in names:
            models.setdefault(name, declared_model(name))
        for number, _, record in found:
            row += 1
            posed_ = _posed(row, file, kind, number, record, faults, options)
            note_unread(record, _READ, faults)
            for name in names:
                answered = _answered(row, name, models[name], config, record, posed_, faults)
                for one in answered:
                    yield replace(one, findings=tuple(_findings(name, record, judges, faults)))
    faults.file = ""
    if not models and not faults.count:
        raise InputError(f"{path}: no record in it has answers (ans)")


def _kind_of(file: Path) -> str | None:
    """Return the kind that the file's name or its folder's says; None where neither does."""
    for name in (file.stem, file.parent.name):
        for kind in sorted(KINDS, key=len, reverse=True):
            if re.search(rf"(?:^|[^A-Za-z]){kind}(?:$|[^A-Za-z])", name):
                return kind
    return None


def _names(found: Sequence[tuple[str, str, Mapping[str, Any]]], options: ReadOptions) -> list[str]:
    """Return the models of a file by their first answer; only ``--model`` where it is given."""
    answers = (record.get("ans") for _, _, record in found)
    names = dict.fromkeys(name for ans in answers if isinstance(ans, dict) for name in ans)
    if options.model is None:
        return list(names)
    return [options.model] if options.model in names else []


def _posed(
    row: int,
    file: Path,
    kind: str,
    number: str,
    record: Mapping[str, Any],
    faults: Faults,
    options: ReadOptions,
) -> dict[str, Any] | None:
    """Return the sample that a record is under a kind of image; None with a fault."""
    scenario = _SCENARIO.match(file.stem)
    category = scenario[0] if scenario else file.stem
    before = faults.count
    for field in ("Question", KINDS[kind]):
        if not isinstance(record[field], str):
            faults.add(row, field, f"a text is wanted, not {shown(record[field])}")
    name = f"{category}/{kind}/{number}.jpg"
    images, named = pictured(name, row, "image", faults, options)
    if faults.count > before:
        return None
    return {
        "dataset": options.dataset or "mm-safetybench",
        "behavior": Behavior(record["Question"], category),
        "attack": Attack(kind),
        "messages": posed(record[KINDS[kind]], *images),
        "key": f"{category}/{number}/{kind}",
        "metadata": {**plain_values(kept(number, record)), **named},
    }


def _answered(
    row: int,
    name: str,
    model: ModelVersion,
    config: GenerationConfig,
    record: Mapping[str, Any],
    sample: Mapping[str, Any] | None,
    faults: Faults,
) -> Iterator[ResultRecord]:
    before = faults.count
    answer = _answer(row, name, record.get("ans"), faults)
    if sample is not None and faults.count == before:
        failed = _MISSING if answer is None else stand_in(answer)
        response = None if failed else answer
        yield ResultRecord(
            row=row, model=model, config=config, response=response, failed=failed, **sample
        )


def _answer(row: int, name: str, answers: Any, faults: Faults) -> str | None:
    said = answers.get(name) if isinstance(answers, dict) else answers
    if said is None:
        return None
    text = said.get("text") if isinstance(said, dict) else said
    if not isinstance(said, dict) or not isinstance(text, str | None):
        faults.add(row, f"ans.{name}", f'an object with "text" is wanted, not {shown(said)}')
        return None
    return text


def _findings(
    name: str, record: Mapping[str, Any], judges: dict[str, ImportedJudge], faults: Faults
) -> Iterator[Said]:
    """Yield what the judges say of a model's answer; name every other field."""
    answers = record.get("ans")
    said = answers.get(name) if isinstance(answers, dict) else None
    if not isinstance(said, dict):
        return
    matches = {field: match for field in said if (match := _LABEL.fullmatch(field))}
    note_unread(said, {"text", *matches}, faults, "ans.*.")
    for field, match in matches.items():
        finding = _LABELS.finding(said[field])
        if finding is not None:
            if field not in judges:
                judges[field] = _judge(match[1], field)
            yield Said(judges[field], note_unparsed(finding, field, faults))


def _judge(name: str, field: str) -> ImportedJudge:
    origin = {"format": "mm-safetybench", "source": SOURCE, "column": field}
    return imported_judge(
        f"mm-safetybench-{name}",
        JudgeKind.LLM,
        origin,
        sees=(Sees.RESPONSE,),
        unsafe=(Verdict.UNSAFE,),
    )
