"""Inspect logs: ``.eval`` (an archive of JSON) or ``.json``, their samples with their scores.

As in UKGovernmentBEIS/inspect_ai: a log is ``{version, status, eval: {task, model, dataset,
model_generate_config ...}, plan, samples}``; the archive has ``header.json`` (before a run's end
``_journal/start.json``, in old versions ``start.json``) and ``samples/{id}_epoch_{n}.json``. A
sample is ``{id, epoch, input, output: {choices: [{message, stop_reason}]}, scores: {scorer:
{value, explanation}}, metadata, error}``; an epoch is a replicate. A sample without choices has
no answer; one that a filter or a call of a tool ended has none, either. ``--set
ends=unknown:stop`` gives a word of Inspect's a meaning (stop, length or failed). Reasoning is kept
beside the answer. Logs of old versions are read as Inspect's own migration reads them: a sample's
one ``score`` is that of ``results.scorer``, ``transcript.content`` its attachments.

An epoch that a cancelled run has not reached is an attempt that was not made. The answers of
a second run of a task become further replicates with ``--set first_epoch=N``: its first epoch
is stored as epoch N. With ``--set apart=run`` the settings hold the run's own id, and runs stand
side by side.

A score's word means what its task means: C and I are right and wrong, 1 and 0 here, P is 0.5,
as Inspect counts them; N (no answer) is an abstention, though Inspect counts it as 0; NaN is
Inspect's word for unscored, and no finding. None of them is a verdict, unless ``--set
unsafe=C --set safe=I`` (words separated by commas) says so. A score that is an object becomes
one judge for each of its keys; any other value is unparsed. ``--set scorer=NAME`` reads one
scorer only. Behavior and category are the fields ``behavior`` and ``category`` of a sample's
metadata, or those that ``--set behavior=FIELD`` and ``--set category=FIELD`` name; without one
the behavior is the last text that was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import plain_values, text_of_value
from lam3db.datasets.results.endings import SETTING as ENDS
from lam3db.datasets.results.endings import Ended, Endings, chosen_ends
from lam3db.datasets.results.inspect_epochs import MOST_EPOCHS, is_epoch, unmade_epochs
from lam3db.datasets.results.inspect_file import Log, open_log
from lam3db.datasets.results.inspect_score import Scorers
from lam3db.datasets.results.inspect_text import Texts
from lam3db.datasets.results.record import (
    NO_RESPONSE,
    ResultRecord,
    declared_config,
    declared_model,
)
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.datasets.results.unread import note_unread
from lam3db.errors import ConfigError
from lam3db.records import Behavior, Failed, FinishReason
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.records import GenerationConfig

_FIRST_EPOCH, _APART = "first_epoch", "apart"
_SETTINGS = ("scorer", "unsafe", "safe", "behavior", "category", ENDS, _FIRST_EPOCH, _APART)
_READ_OF_LOG = ("version", "status", "eval", "plan", "samples", "results")
_READ_OF_RESULTS = ("scorer", "scores", "total_samples", "completed_samples")
_READ_OF_EVAL = (
    *("task", "model", "dataset", "model_generate_config", "task_id", "task_version", "run_id"),
    *("eval_id", "created", "revision", "packages", "task_file", "task_registry_name"),
)
_READ_OF_SAMPLE = (
    *("id", "epoch", "input", "output", "scores", "score", "metadata", "attachments", "transcript"),
    *("target", "uuid", "started_at", "completed_at", "total_time", "working_time"),
)
"""What a sample holds that is read, or that only says where and when it ran."""
_DECODING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_new_tokens",
    "seed": "seed",
}
_UNRELATED = {"max_connections", "max_retries", "timeout", "attempt_timeout"}
"""Settings of the connection, which change no text."""
_NO_CONTEXT = (
    "model_length without usage: Inspect writes the service's message in the place of an answer"
    " where the prompt was too long: look at the answer"
)
_UNFINISHED = ("cancelled", "error", "started")
_NOT_MADE: dict[str, Any] = {
    "response": None,
    "failed": None,
    "finish_reason": FinishReason.STOP,
    "prompt_tokens": 0,
    "completion_tokens": 0,
}
_LONGEST_NAME = 200
_MOST_TOKENS = 2**31 - 1


def read(path: Path, faults: Faults, options: ReadOptions) -> Iterator[ResultRecord]:
    """Yield the samples of a log, each epoch of each."""
    settings = options.only(*_SETTINGS)
    with open_log(path) as log:
        told = log.header["eval"]
        name = text_of_value(told.get("model"))
        if not (options.model or name):
            faults.add(None, "eval.model", "is missing: name it with --model")
            return
        task = text_of_value(told.get("task")) or path.stem
        facts: dict[str, Any] = {
            "model": declared_model(options.model or str(name)),
            "config": _config(task, log, _run_id(told, settings)),
            "dataset": options.dataset or _dataset(told) or task,
        }
        _note_header(log.header, faults)
        scorers = Scorers(task, settings, _old_scorer(log.header))
        first = _first_epoch(settings)
        unmade = unmade_epochs(log, faults) if log.header.get("status") in _UNFINISHED else {}
        endings = Endings(faults, chosen_ends(settings), f"--set {ENDS}=%s:stop (length, failed)")
        faults.unit = "sample"
        for row, sample in log.samples(faults):
            found = _sample(row, sample, settings, endings, faults, options)
            said = scorers.said(row, scorers.migrated(sample, faults), faults)
            if found is None or said is None:
                continue
            replicate = found.pop("replicate") + first - 1
            yield ResultRecord(row=row, findings=said, replicate=replicate, **facts, **found)
            for epoch in unmade.pop(found["key"], ()):
                place = {**found, **_NOT_MADE, "replicate": epoch + first - 2}
                yield ResultRecord(row=row, **facts, **place)


def _first_epoch(settings: Mapping[str, str]) -> int:
    text = settings.get(_FIRST_EPOCH, "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_EPOCHS:
        raise ConfigError(f"--set {_FIRST_EPOCH}={text}: a number from 1 is wanted")
    return int(text)


def _old_scorer(header: Mapping[str, Any]) -> str | None:
    """Return the name of the scorer of a log that had one only: where Inspect takes it from."""
    results = header.get("results")
    if not isinstance(results, dict):
        return None
    scores = results.get("scores")
    first = scores[0] if isinstance(scores, list) and scores else results.get("scorer")
    return text_of_value(first.get("name")) if isinstance(first, dict) else None


def _note_header(header: Mapping[str, Any], faults: Faults) -> None:
    """Name what the log says of all its samples and is not read."""
    status = header.get("status")
    if status not in (None, "success"):
        faults.remarks.note(f"the log's status is {shown(status)}")
    note_unread(header, _READ_OF_LOG, faults)
    note_unread(header["eval"], _READ_OF_EVAL, faults, "eval.")
    for name, settings in _settings(header):
        note_unread(settings, {*plain_values(settings), *_UNRELATED}, faults, f"{name}.")
    results = header.get("results")
    if isinstance(results, dict):
        note_unread(results, _READ_OF_RESULTS, faults, "results.")


def _dataset(told: Mapping[str, Any]) -> str | None:
    dataset = told.get("dataset")
    return text_of_value(dataset.get("name")) if isinstance(dataset, dict) else None


def _run_id(told: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, str]:
    """Return what tells the run of this log from others, where the user asks for it."""
    if settings.get(_APART, "run") != "run":
        raise ConfigError(f"--set {_APART}={settings[_APART]}: only `run` tells logs apart")
    if _APART not in settings:
        return {}
    names = (text_of_value(told.get(name)) for name in ("run_id", "eval_id", "created"))
    run = next(filter(None, names), None)
    if run is None:
        raise ConfigError(f"--set {_APART}=run: the log has neither run_id nor eval_id nor created")
    return {"run": run}


def _settings(header: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the settings of generation that a log declares, the later over the earlier ones."""
    plan = header.get("plan")
    inner = plan.get("config") if isinstance(plan, dict) else None
    told = header["eval"].get("model_generate_config")
    for name, settings in (("eval.model_generate_config", told), ("plan.config", inner)):
        if isinstance(settings, dict):
            yield name, settings


def _config(task: str, log: Log, run: Mapping[str, str]) -> GenerationConfig:
    """Return the settings the log declares: the model's, then the plan's over them."""
    declared: dict[str, Any] = {}
    for _, settings in _settings(log.header):
        declared |= {
            name: redact(value) if isinstance(value, str) else value
            for name, value in plain_values(settings).items()
            if name not in _UNRELATED
        }
    decoding = {ours: declared.pop(name) for name, ours in _DECODING.items() if name in declared}
    facts = {**({"decoding": decoding} if decoding else {}), **declared, **run}
    return declared_config(f"inspect:{task}", facts)


def _sample(
    row: int,
    sample: Mapping[str, Any],
    settings: Mapping[str, str],
    endings: Endings,
    faults: Faults,
    options: ReadOptions,
) -> dict[str, Any] | None:
    before = faults.count
    key, epoch = text_of_value(sample.get("id")), sample.get("epoch", 1)
    if not key:
        faults.add(row, "id", f"{shown(sample.get('id'))} names no sample")
    if not is_epoch(epoch):
        faults.add(row, "epoch", f"a number from 1 is wanted, not {shown(epoch)}")
    _note_sample(sample, settings, faults)
    texts = Texts(sample, row, faults, options)
    messages, asked, metadata = texts.posed()
    ended, reasoning = _ended(row, texts, sample, endings)
    if _turns(texts, sample) not in (asked, ""):
        faults.remarks.note("messages: the solver asked more than the input, which is what is read")
    told = sample.get("metadata")
    labels = told if isinstance(told, dict) else {}
    behavior = _field(row, labels, settings, "behavior", faults) or asked
    category = _field(row, labels, settings, "category", faults) or ""
    if not behavior:
        faults.add(row, "input", "no text in it: name a field with --set behavior=FIELD")
    if faults.count > before:
        return None
    return {
        "key": key,
        "behavior": Behavior(behavior, category[:_LONGEST_NAME]),
        "messages": messages,
        "response": ended.response,
        "failed": ended.failed,
        "reasoning": reasoning if ended.response is not None else None,
        "metadata": {"id": key, **metadata},
        "replicate": epoch - 1,
        "finish_reason": ended.finish_reason,
        **_usage(sample),
    }


def _note_sample(sample: Mapping[str, Any], settings: Mapping[str, str], faults: Faults) -> None:
    """Name what a sample holds and is not read."""
    output = sample.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    answered = isinstance(choices, list) and bool(choices)
    note_unread(sample, _READ_OF_SAMPLE if answered else (*_READ_OF_SAMPLE, "error"), faults)
    if isinstance(output, dict):
        note_unread(output, ("choices", "usage", "model", "completion"), faults, "output.")
    if isinstance(choices, list) and len(choices) > 1:
        faults.remarks.unread("output.choices[1:]", len(choices) - 1)
    told = sample.get("metadata")
    if isinstance(told, dict):
        fields = {settings.get(what, what) for what in ("behavior", "category")}
        note_unread(told, fields, faults, "metadata.")


def _field(
    row: int, labels: Mapping[str, Any], settings: Mapping[str, str], what: str, faults: Faults
) -> str | None:
    """Return the field of the metadata that the user names, else the one of this very name."""
    name = settings.get(what, what)
    value = text_of_value(labels.get(name))
    if value is None and what in settings:
        faults.add(row, f"metadata.{name}", f"no text for --set {what}={name}")
    return value


def _turns(texts: Texts, sample: Mapping[str, Any]) -> str:
    """Return the last text that was asked as the conversation at the sample's end has it."""
    turns = sample.get("messages")
    asked = [
        one
        for one in (turns if isinstance(turns, list) else ())
        if isinstance(one, dict) and one.get("role") == "user"
    ]
    return texts.text_of(asked[-1].get("content"), "messages") if asked else ""


def _ended(
    row: int, texts: Texts, sample: Mapping[str, Any], endings: Endings
) -> tuple[Ended, str | None]:
    output = sample.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        return Ended(None, _failed(sample)), None
    answer = texts.text_of(message.get("content"), "output.choices")
    _note_answer(first, answer, output, endings.faults)
    failed = stand_in(answer)
    if failed is not None:
        return Ended(None, failed), None
    ended = endings.read(row, "stop_reason", first.get("stop_reason"), answer)
    return ended, texts.reasoning_of(message)


def _note_answer(first: Mapping[str, Any], answer: str, output: Any, faults: Faults) -> None:
    """Name what makes an answer doubtful, though it is stored."""
    if first.get("stop_reason") == "model_length" and not output.get("usage"):
        faults.remarks.note(_NO_CONTEXT)
    if answer.lstrip().startswith("<think>"):
        faults.remarks.note("the answer begins with <think>: kept as it is, as text")


def _failed(sample: Mapping[str, Any]) -> Failed:
    error = sample.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    text = redact(message)[:_LONGEST_NAME] if isinstance(message, str) else "no choice in the log"
    return Failed("InspectError" if error else NO_RESPONSE, text)


def _usage(sample: Mapping[str, Any]) -> dict[str, int]:
    output = sample.get("output")
    usage = output.get("usage") if isinstance(output, dict) else None
    counts = usage if isinstance(usage, dict) else {}
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    return {
        ours: counts[theirs]
        for ours, theirs in names.items()
        if isinstance(counts.get(theirs), int) and 0 <= counts[theirs] <= _MOST_TOKENS
    }
