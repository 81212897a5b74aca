"""Where a classifier judge's model lies, what its config promises, and its digests.

The source is a folder or a name on the Hugging Face hub whose snapshot is in the local
cache; nothing is ever fetched. A model without a classification head (as
``GroNLP/hateBERT`` is published) is refused here: transformers would fill the head with
random numbers, and two loads would judge differently.

What must hold: no library of the model stack is imported and no network is asked; every
file that can change a score is in the digests; what is wrong is told all at once, with how
to fetch the model elsewhere, before large files are hashed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import JudgeError, NotFoundError
from lam3db.hashing import digest
from lam3db.judges.detoxify_files import SMALL_FILES, VOCABULARIES
from lam3db.redaction import redact
from lam3db.resources import find_path
from lam3db.weightfiles import (
    fetching_cure,
    is_commit,
    is_path,
    known_commit,
    read_object,
    snapshot_folder,
    tensor_names,
    told_sha256,
    weight_files,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lam3db.config import JudgeConfig
    from lam3db.judges.classifier_settings import ClassifierSettings
    from lam3db.plugins import Tick

_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
_HEADED = "ForSequenceClassification"
_HEADS = re.compile(
    r"^(classifier|pre_classifier|score|classification_head|logits_proj|sequence_summary|head)\b"
)
_OTHER_HEADS = re.compile(r"^(cls\.predictions|lm_head|generator_lm_head|vocab_projector)\b")
_MOST_LABELS = 512
_LONGEST_LABEL = 100
_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_SHORT = 8


@dataclass(frozen=True, slots=True)
class ClassifierFiles:
    """A model's files by content, and what its config says of its outputs.

    ``weights`` is one digest for all weight files; ``digests`` holds every file by name.
    """

    folder: Path
    model_type: str
    labels: tuple[str, ...]
    problem_type: str | None
    weights: str
    digests: Mapping[str, str]

    @property
    def version(self) -> str:
        """Return ``roberta@1a2b3c4d``: by content, not by what folder or hub call it."""
        return f"{self.model_type}@{self.weights[:_SHORT]}"


def find_classifier(
    config: JudgeConfig, settings: ClassifierSettings, tick: Tick
) -> ClassifierFiles:
    """Return the judge's files and digests.

    Raises:
        JudgeError: what is missing, damaged or no classifier, everything at once, with the
            path tried and how to fetch it elsewhere.

    """
    faults: list[str] = []
    folder = _folder(settings, faults)
    weights: tuple[str, ...] = ()
    document: dict[str, Any] = {}
    if folder is not None:
        weights = weight_files(folder, faults, allow_pickle=settings.allow_pickle)
        document = _document(folder, faults)
    lacking = bool(faults)
    if folder is not None:
        _refuse_headless(folder, document, weights, faults)
    labels = _labels(document, faults) if document else ()
    digests = {} if folder is None or faults else _digests(folder, weights, tick, faults)
    if folder is None or faults:
        told = [redact(fault) for fault in faults]
        cure = [fetching_cure(settings.source, settings.revision)] if lacking else []
        raise JudgeError("\n  ".join([f"judge {config.name} cannot be used:", *told, *cure]))
    own = {name: digests[name] for name in weights}
    whole = next(iter(own.values())) if len(own) == 1 else digest("weights", own).hex()
    return ClassifierFiles(
        folder, document["model_type"], labels, document.get("problem_type"), whole, digests
    )


def _folder(settings: ClassifierSettings, faults: list[str]) -> Path | None:
    folder = find_path(settings.source)
    if folder is None:
        if is_path(settings.source):
            faults.append(f"source: the folder {settings.source} does not exist")
            return None
        try:
            pickles = ("*.bin",) if settings.allow_pickle else ()
            patterns = (*_PATTERNS, *pickles)
            folder = snapshot_folder(settings.source, settings.revision, patterns)
        except NotFoundError as error:
            faults.append(f"source: {error}")
            return None
    if not folder.is_dir():
        faults.append(f"source: {folder} is a file, not a folder")
        return None
    asked, there = settings.revision, known_commit(folder)
    if asked is not None and is_commit(asked) and there not in (None, asked):
        faults.append(f"revision: {asked} is asked for, but {folder} holds {there}")
    return folder


def _document(folder: Path, faults: list[str]) -> dict[str, Any]:
    """Return the model's config where it is one, after telling what else is lacking."""
    if not any((folder / name).is_file() for name in VOCABULARIES) and not list(
        folder.glob("*.model")
    ):
        faults.append(f"{folder} lacks a tokenizer ({' or '.join(VOCABULARIES)})")
    path = folder / "config.json"
    if not path.is_file():
        faults.append(f"{path} is missing")
        return {}
    try:
        document = read_object(path)
    except ValueError as error:
        faults.append(str(error))
        return {}
    model_type = document.get("model_type")
    if not isinstance(model_type, str) or not _NAME.fullmatch(model_type):
        faults.append(f"{path}: model_type {str(model_type)[:40]!r} names no architecture")
    if document.get("problem_type") is not None and not isinstance(document["problem_type"], str):
        faults.append(f"{path}: problem_type is no text")
    if document.get("quantization_config"):
        faults.append(f"{path}: its weights are stored quantized; take the full ones")
    return document


def _refuse_headless(
    folder: Path, document: Mapping[str, Any], weights: tuple[str, ...], faults: list[str]
) -> None:
    """Tell of a model whose head would be random, as far as its files show it."""
    why = "its head would be random, so every load would be another judge"
    found = document.get("architectures")
    named = [str(name) for name in found][:1] if isinstance(found, list) else []
    if named and not named[0].endswith(_HEADED):
        faults.append(
            f"{folder} holds a {named[0][:60]!r}, which has no classification head: {why}. "
            "Take a fine-tuned classifier"
        )
        return
    safe = [folder / name for name in weights if name.endswith(".safetensors")]
    tensors = [name for path in safe for name in tensor_names(path)]
    bare = any(map(_OTHER_HEADS.match, tensors)) and not any(map(_HEADS.match, tensors))
    if bare:
        faults.append(
            f"the weights in {folder} are those of a language model, without a classification "
            f"head: {why}. Take a fine-tuned classifier"
        )


def _labels(document: Mapping[str, Any], faults: list[str]) -> tuple[str, ...]:
    """Return the outputs' names in order; transformers numbers what a config does not name."""
    given = document.get("id2label")
    if given is None:
        count = document.get("num_labels", 2)
        if not isinstance(count, int) or not 0 < count <= _MOST_LABELS:
            faults.append(f"config.json: num_labels {str(count)[:40]!r} is no number of labels")
            return ()
        return tuple(f"LABEL_{number}" for number in range(count))
    if not isinstance(given, dict) or not 0 < len(given) <= _MOST_LABELS:
        faults.append("config.json: id2label is no mapping of numbers to labels")
        return ()
    found = (given.get(str(number)) for number in range(len(given)))
    labels = [one for one in found if isinstance(one, str) and _is_plain(one)]
    if len(labels) < len(given):
        faults.append(
            "config.json: id2label does not name each output from 0 on by a short plain text"
        )
        return ()
    return tuple(labels)


def _is_plain(label: str) -> bool:
    """Tell whether a label can be stored and shown: it comes from a stranger's file."""
    return 0 < len(label) <= _LONGEST_LABEL and label.isprintable()


def _digests(
    folder: Path, weights: tuple[str, ...], tick: Tick, faults: list[str]
) -> dict[str, str]:
    small = {name for name in SMALL_FILES if (folder / name).is_file()}
    small |= {path.name for path in folder.glob("*.model")}
    found = {}
    for name in sorted({*small, *weights}):
        try:
            found[name] = told_sha256(folder / name, tick)
        except OSError as error:
            faults.append(f"{folder / name} cannot be read: {error.strerror or error}")
    return found
