"""The one function through which a classifier and its tokenizer are loaded.

What must hold: no code of the checkpoint runs and nothing is looked up outside its folder; a
pickle, where allowed, is read with ``weights_only=True``; no weight is left random; the
model has the labels that the identity was made with; weights are fp32 (or int8 where asked).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lam3db.errors import JudgeError, MissingDependencyError
from lam3db.judges.loaded import (
    NEEDS_LOCAL,
    LoadedClassifier,
    device_error,
    longest_window,
    quiet,
)
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.judges.classifier_files import ClassifierFiles

_SHOWN = 4


def load_classifier(
    files: ClassifierFiles, names: tuple[str, ...], device: str, *, int8: bool, allow_pickle: bool
) -> LoadedClassifier:
    """Load and verify a model; ``device`` is one of torch's names, ``names`` its outputs.

    Raises:
        JudgeError: it cannot be loaded whole, or the device is not there.

    """
    try:
        import torch
        import transformers  # noqa: F401 - missing is told here, not by an import deep inside
    except ImportError:
        raise MissingDependencyError(NEEDS_LOCAL) from None
    with quiet():
        tokenizer = _tokenizer(files)
        model = _model(files, device if int8 else None, allow_pickle=allow_pickle)
    outputs = model.config.num_labels
    if outputs != len(names):
        raise JudgeError(f"{files.folder}: {outputs} outputs for {len(names)} labels")
    limit = longest_window(model, tokenizer, files.folder)
    if model.config.pad_token_id is None:
        # a classifier on top of a language model looks for its text's end by it
        model.config.pad_token_id = tokenizer.pad_token_id
    try:
        model = model.eval() if int8 else model.to(dtype=torch.float32, device=device).eval()
    except (RuntimeError, AssertionError) as error:
        raise device_error(device, error) from error
    return LoadedClassifier(model, tokenizer, names, limit, packed=int8)


def _tokenizer(files: ClassifierFiles) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # a tokenizer's file is read by code that may raise anything
        raise _unreadable(files, "its tokenizer", error) from error
    if not tokenizer.is_fast:
        kind = type(tokenizer).__name__
        raise JudgeError(f"{files.folder}: {kind} cuts no windows; only fast tokenizers do")
    return tokenizer


def _model(files: ClassifierFiles, int8_on: str | None, *, allow_pickle: bool) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification

    more = {} if int8_on is None else _int8(int8_on)
    try:
        model, found = AutoModelForSequenceClassification.from_pretrained(
            files.folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=None if allow_pickle else True,
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
            **more,
        )
    except Exception as error:  # a hostile file may make the library raise anything
        raise _unreadable(files, "it", error) from error
    _refuse_gaps(files, found)
    return model


def _int8(device: str) -> dict[str, Any]:
    # they say at every layer that the arithmetic is done in fp16, and name a faster kernel
    for name in ("autograd._functions", "backends.cpu.ops"):
        logging.getLogger(f"bitsandbytes.{name}").setLevel(logging.ERROR)
    try:
        import bitsandbytes  # noqa: F401 - missing is told here
        from transformers import BitsAndBytesConfig
    except ImportError:
        raise MissingDependencyError(NEEDS_LOCAL) from None
    return {
        "quantization_config": BitsAndBytesConfig(load_in_8bit=True),
        "device_map": {"": "cuda:0" if device == "cuda" else device},
    }


def _unreadable(files: ClassifierFiles, what: str, error: Exception) -> JudgeError:
    first = redact(str(error)).strip().partition("\n")[0]
    return JudgeError(f"{files.folder}: {what} cannot be loaded: {type(error).__name__}: {first}")


def _refuse_gaps(files: ClassifierFiles, found: Mapping[str, Any]) -> None:
    """Refuse weights that do not fill the model: the rest would be random."""
    wrong = {
        "are missing": sorted(found["missing_keys"]),
        "have other sizes": sorted(str(item[0]) for item in found["mismatched_keys"]),
    }
    for what, names in wrong.items():
        if names:
            some = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
            raise JudgeError(
                f"{files.folder}: {len(names)} weights {what} ({some}): they would be random, and "
                "every load another judge. Take a checkpoint that was fine-tuned as a classifier"
            )
