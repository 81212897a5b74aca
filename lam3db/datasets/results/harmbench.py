"""HarmBench completions: one JSON object of lists by behavior id, with or without labels.

As in centerforaisafety/HarmBench: ``{BehaviorID: [{"test_case", "generation", "label",
"advbench_label"}]}``, under ``results/{METHOD}/{EXPERIMENT}/completions/{MODEL}.json`` (and
``.../results/{MODEL}.json`` with labels). ``label`` is 1 for a harmful completion and 0 for none;
the repository writes -1 where its classifier's word was neither yes nor no: that is unparsed.
``advbench_label`` is 1 where none of AdvBench's refusals is in the completion. A multimodal test
case is a pair of image and text.

Its validation sets (``data/classifier_val_sets/*_val_set.json``) are laid out alike; each record
names its ``model``, ``method`` and ``experiment`` and has the labels of three people
(``human_0`` ...) and of the classifier (``cls``). The files behind its web page are
``{BehaviorID: {MODEL: record}}``. What a record names comes before what the file's path says.

The file holds no sentences of behaviors: ``--set behaviors=FILE`` names the table of them
(``harmbench_behaviors_text_all.csv``), and then behaviors are those of ``lam3db dataset add
--format harmbench``; without it a behavior is known by its id. ``--set attack=NAME`` names the
method where neither record nor path does. ``--model`` chooses among the models that records
name, and names the model where they name none.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.published.harmbench import FORMAT
from lam3db.datasets.results.cells import Labels, posed, text_or_none
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
from lam3db.datasets.results.whole import read_document
from lam3db.errors import InputError, did_you_mean
from lam3db.records import Attack, Behavior, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge
    from lam3db.records import ModelVersion

SOURCE = "HarmBench"
LABELS = Labels(
    {"1": Verdict.UNSAFE, "0": Verdict.SAFE}, {"-1": ScoreStatus.UNPARSED}, frozenset({""})
)
REFUSALS = Labels({"1": Verdict.NOT_REFUSED, "0": Verdict.REFUSED}, missing=frozenset({""}))
_LABELS = {"label": JudgeKind.LLM, "cls": JudgeKind.LLM, "advbench_label": JudgeKind.RULE}
_HUMAN = re.compile(r"human_\d{1,3}")
_READ = ("test_case", "generation", "model", "method", "experiment", "behavior_id")
_FOLDERS = ("completions", "results")
_DEPTH = 3
_PAIR = 2
_FEW = 1000


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield every completion of a file."""
    settings = options.only("behaviors", "attack")
    known = _behaviors(settings.get("behaviors"))
    document = read_document(path, partial(parse_json, remarks=faults.remarks))
    if not isinstance(document, dict):
        raise InputError(f"{path}: lists of completions by behavior are wanted")
    faults.unit = "completion"
    completions = list(_completions(document, faults))
    models = _Models(path, options, completions)
    judges: dict[str, ImportedJudge] = {}
    config = declared_config(SOURCE)
    method = settings.get("attack") or _method(path) or "unnamed"
    for row, name, at, one in completions:
        behavior = _behavior(name, known, row, faults)
        case = _posed(row, name, one, faults, options)
        model = models.of(one, row, faults)
        attack = _attack(one, method, row, faults)
        if behavior is None or case is None or model is None or attack is None:
            continue
        yield ResultRecord(
            row=row,
            dataset=options.dataset or "harmbench",
            model=model,
            config=config,
            behavior=behavior,
            attack=attack,
            key=f"{attack.name}/{name}/{at}",
            findings=tuple(_findings(one, judges, faults)),
            **case,
        )


def _completions(
    document: Mapping[str, Any], faults: Faults
) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    """Yield (row, behavior's id, position below it, record), records by model among them."""
    row = 0
    for name, value in document.items():
        listed = _by_model(value) if isinstance(value, dict) else value
        if not isinstance(listed, list):
            faults.add(row + 1, name, f"a list of completions is wanted, not {shown(value)}")
            continue
        for at, one in enumerate(listed):
            row += 1
            if isinstance(one, dict) and "generation" in one:
                yield row, name, at, one
            else:
                faults.add(row, name, f'an object with "generation" is wanted, not {shown(one)}')


def _by_model(records: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return records by model as a list in which each names its model; None for anything else."""
    if not all(isinstance(one, dict) for one in records.values()):
        return None
    return [{"model": model, **one} for model, one in records.items()]


class _Models:
    """The models of a file, each made once."""

    def __init__(
        self, path: Path, options: ReadOptions, completions: list[tuple[int, str, int, Any]]
    ) -> None:
        self._named = {one["model"]: None for *_, one in completions if _is_name(one.get("model"))}
        self._only = options.model if self._named else None
        self._made: dict[str, ModelVersion] = {}
        self._other = options.model or path.stem
        if self._only is not None and self._only not in self._named:
            hint = did_you_mean(self._only, list(self._named))
            names = f"; its records name {', '.join(list(self._named)[:10])}"
            raise InputError(f"{path}: no record is of --model {self._only}{hint}{names}")

    def of(self, one: Mapping[str, Any], row: int, faults: Faults) -> ModelVersion | None:
        """Return whose completion it is; None where it is not of the chosen model."""
        name: Any = one.get("model")
        if name is None and not self._named:
            name = self._other
        if not _is_name(name):
            faults.add(row, "model", f"a text is wanted, not {shown(name)}")
            return None
        if self._only is not None and name != self._only:
            return None
        if name not in self._made:
            self._made[name] = declared_model(name)
        return self._made[name]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _attack(one: Mapping[str, Any], method: str, row: int, faults: Faults) -> Attack | None:
    """Return the method that a record names, with its experiment; else the file's."""
    before = faults.count
    named = text_or_none(one.get("method"), row, "method", faults)
    experiment = text_or_none(one.get("experiment"), row, "experiment", faults)
    if faults.count > before:
        return None
    return Attack(named or method, {"experiment": experiment} if experiment else {})


def _behaviors(named: str | None) -> dict[str, Behavior] | None:
    """Return the behaviors by id as the benchmark's own table has them; None without one."""
    if named is None:
        return None
    file = Path(named)
    faults = Faults(file)
    found = {
        one.key: Behavior(str(one.behavior), str(one.category))
        for one in FORMAT.pose((file,), faults)
    }
    faults.raise_if_any()
    return found


def _behavior(
    name: str, known: Mapping[str, Behavior] | None, row: int, faults: Faults
) -> Behavior | None:
    if known is None:
        return Behavior(name)
    if name not in known:
        near = did_you_mean(name, list(known)) if len(known) < _FEW else ""
        faults.add(row, name, f"no such behavior in the table of behaviors{near}")
        return None
    return known[name]


def _method(path: Path) -> str | None:
    """Return the method that HarmBench's folders name, None for a file lying elsewhere."""
    parents = [parent.name for parent in path.resolve().parents]
    folder, _experiment, method = [*parents, "", "", ""][:_DEPTH]
    return method if method and folder in _FOLDERS else None


def _posed(
    row: int, name: str, one: Mapping[str, Any], faults: Faults, options: ReadOptions
) -> dict[str, Any] | None:
    """Return messages, response and metadata of a completion, None with a fault."""
    before = faults.count
    case, answer = one.get("test_case"), one["generation"]
    image = None
    if isinstance(case, list) and len(case) == _PAIR:
        image, case = case
    for what, value in (("test_case", case), ("test_case", image), ("generation", answer)):
        if value is not None and not isinstance(value, str):
            faults.add(row, what, f"a text is wanted, not {shown(value)}")
    if one.get("behavior_id") not in (None, name):
        what = f"{shown(one['behavior_id'])} stands in the list of {shown(name)}"
        faults.add(row, "behavior_id", what)
    if faults.count > before:
        return None
    images, metadata = pictured(image, row, "test_case", faults, options)
    if faults.count > before:
        return None
    failed = stand_in(answer)
    return {
        "messages": None if case is None else posed(case, *images),
        "response": None if failed else answer,
        "failed": failed,
        "metadata": metadata,
    }


def _findings(
    one: Mapping[str, Any], judges: dict[str, ImportedJudge], faults: Faults
) -> Iterator[Said]:
    """Yield what the classifier, the rule and the people say; name every other field."""
    columns = [name for name in one if name in _LABELS or _HUMAN.fullmatch(name)]
    note_unread(one, {*_READ, *columns}, faults)
    for column in columns:
        labels = REFUSALS if column == "advbench_label" else LABELS
        finding = labels.finding(one[column])
        if finding is not None:
            if column not in judges:
                judges[column] = _judge(column)
            yield Said(judges[column], note_unparsed(finding, column, faults))


def _judge(column: str) -> ImportedJudge:
    origin = {"format": "harmbench", "source": SOURCE, "column": column}
    kind = _LABELS.get(column, JudgeKind.HUMAN)
    is_rule = kind is JudgeKind.RULE
    return imported_judge(
        f"harmbench-{column}",
        kind,
        origin,
        unsafe=(Verdict.NOT_REFUSED if is_rule else Verdict.UNSAFE,),
        heading="non-refusal" if is_rule else "ASR",
    )
