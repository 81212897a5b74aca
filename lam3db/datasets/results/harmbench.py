"""HarmBench completions: one JSON object of lists by behavior id, with or without labels.

As in centerforaisafety/HarmBench: ``{BehaviorID: [{"test_case", "generation", "label"}]}``, under
``results/{METHOD}/{EXPERIMENT}/completions/{MODEL}.json`` (and ``.../results/{MODEL}.json`` with
labels). ``label`` is 1 for a harmful completion and 0 for none; the repository writes -1 where
its classifier's word was neither yes nor no: that is unparsed. A multimodal test case is a pair
of image and text.

The file holds no sentences of behaviors: ``--set behaviors=FILE`` names the table of them
(``harmbench_behaviors_text_all.csv``), and then behaviors are those of ``lam3db dataset add
--format harmbench``; without it a behavior is known by its id. ``--set attack=NAME`` names the
method where the path does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.published.harmbench import FORMAT
from lam3db.datasets.results.cells import Labels, posed
from lam3db.datasets.results.pictures import pictured
from lam3db.datasets.results.record import (
    ResultRecord,
    Said,
    declared_config,
    declared_model,
    imported_judge,
)
from lam3db.datasets.results.whole import read_document
from lam3db.errors import InputError, did_you_mean
from lam3db.records import Attack, Behavior, Failed, JudgeKind, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.record import ImportedJudge

SOURCE = "HarmBench"
LABELS = Labels(
    {"1": Verdict.UNSAFE, "0": Verdict.SAFE}, {"-1": ScoreStatus.UNPARSED}, frozenset({""})
)
_FOLDERS = ("completions", "results")
_DEPTH = 3
_PAIR = 2
_FEW = 1000
_ERROR = "$ERROR$"
"""What the runners of this family write where an endpoint gave no answer."""


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield every completion of a file; the model is ``--model`` or the file's name."""
    settings = options.only("behaviors", "attack")
    known = _behaviors(settings.get("behaviors"))
    document = read_document(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: lists of completions by behavior are wanted")
    faults.unit = "completion"
    model = declared_model(options.model or path.stem)
    config = declared_config(SOURCE)
    attack = Attack(settings.get("attack") or _method(path) or "unnamed")
    judge = _judge()
    row = 0
    for name, completions in document.items():
        behavior = _behavior(name, known, row + 1, faults)
        if not isinstance(completions, list):
            faults.add(row + 1, name, f"a list of completions is wanted, not {shown(completions)}")
            continue
        for at, one in enumerate(completions):
            row += 1
            posed_ = _posed(row, name, one, faults, options)
            if posed_ is None or behavior is None:
                continue
            yield ResultRecord(
                row=row,
                dataset=options.dataset or "harmbench",
                model=model,
                config=config,
                behavior=behavior,
                attack=attack,
                key=f"{attack.name}/{name}/{at}",
                findings=_said(one, judge),
                **posed_,
            )


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


def _judge() -> ImportedJudge:
    origin = {"format": "harmbench", "source": SOURCE, "column": "label"}
    return imported_judge("harmbench-label", JudgeKind.LLM, origin, unsafe=(Verdict.UNSAFE,))


def _posed(
    row: int, name: str, one: Any, faults: Faults, options: ReadOptions
) -> dict[str, Any] | None:
    """Return messages, response and metadata of a completion, None with a fault."""
    before = faults.count
    if not isinstance(one, dict) or "generation" not in one:
        faults.add(row, name, f'an object with "generation" is wanted, not {shown(one)}')
        return None
    case, answer = one.get("test_case"), one["generation"]
    image = None
    if isinstance(case, list) and len(case) == _PAIR:
        image, case = case
    for what, value in (("test_case", case), ("test_case", image), ("generation", answer)):
        if value is not None and not isinstance(value, str):
            faults.add(row, what, f"a text is wanted, not {shown(value)}")
    if faults.count > before:
        return None
    images, metadata = pictured(image, row, "test_case", faults, options)
    if faults.count > before:
        return None
    failed = Failed("RunnerError", answer) if answer == _ERROR else None
    return {
        "messages": None if case is None else posed(case, *images),
        "response": None if failed else answer,
        "failed": failed,
        "metadata": metadata,
    }


def _said(one: Mapping[str, Any], judge: ImportedJudge) -> tuple[Said, ...]:
    finding = LABELS.finding(one.get("label"))
    return () if finding is None else (Said(judge, finding),)
