"""A Detoxify checkpoint, read without running code from it, verified, and put to work.

The package's own class loads it: what it would ask the hub for (``model_type``) is pointed at
a local folder, in a copy of the checkpoint held in memory. The package reads with pickle, so
the file itself is read here, with ``weights_only=True``, and only that copy is handed on.

What must hold: every weight of the model is, number for number, one of the checkpoint (the
libraries fill a missing one at random, with a log line), and every weight of the checkpoint
is in the model; nothing is fetched; no setting of a library stays changed.
"""

from __future__ import annotations

import io
import json
import pickle
from typing import TYPE_CHECKING, Any

from lam3db.errors import JudgeError, MissingDependencyError
from lam3db.judges.detoxify_files import NEEDS_LOCAL
from lam3db.judges.loaded import LoadedClassifier, device_error, longest_window, quiet
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lam3db.judges.detoxify_files import DetoxifyFiles

_ARGUMENTS = {"num_classes", "model_type", "model_name", "tokenizer_name"}
_RECOMPUTED = (".position_ids", ".token_type_ids")
"""Constants that older releases of transformers wrote into checkpoints."""
_SHOWN = 4


def load_detoxify(files: DetoxifyFiles, device: str) -> LoadedClassifier:
    """Load and verify a checkpoint; ``device`` is one of torch's names.

    Raises:
        JudgeError: it is no Detoxify checkpoint, does not fit the folder's config, or the
            device is not there.

    """
    try:
        import torch
        from detoxify import Detoxify
    except ImportError:
        raise MissingDependencyError(NEEDS_LOCAL) from None
    loaded = read_checkpoint(files.checkpoint)
    _check_folder(loaded["config"]["arch"]["args"], files)
    buffer = io.BytesIO()
    torch.save(_pointed_at(loaded, files.folder), buffer)
    buffer.seek(0)
    try:
        with quiet():
            package = Detoxify(checkpoint=buffer, device="cpu")
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        message = f"{files.checkpoint} does not fit {files.folder}: {redact(str(error))}"
        raise JudgeError(message) from error
    _verify(package.model.state_dict(), loaded["state_dict"], files)
    names = _names(package, files)
    tokenizer = package.tokenizer
    limit = longest_window(package.model, tokenizer, files.folder)
    try:
        model = package.model.float().eval().to(device)
    except (RuntimeError, AssertionError) as error:
        raise device_error(device, error) from error
    return LoadedClassifier(model, tokenizer, names, limit)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's ``config`` and ``state_dict``, refusing to run what it may hold.

    Raises:
        JudgeError: it holds other things than tensors and plain values, or is no checkpoint.

    """
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise JudgeError(
            f"{path} is not read: beside tensors and plain values it holds Python objects, which "
            "can run code when opened, or it is no checkpoint at all. Take the published file, "
            "or save `config` and `state_dict` anew where you trust it"
        ) from error
    except (RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        first = redact(str(error)).partition("\n")[0]
        raise JudgeError(f"{path} cannot be read as a checkpoint: {first}") from error
    faults = _form_faults(loaded)
    if faults:
        raise JudgeError(f"{path} is no Detoxify checkpoint: {'; '.join(faults)}")
    return {"config": loaded["config"], "state_dict": loaded["state_dict"]}


def _form_faults(loaded: Any) -> list[str]:
    """Return in what a value differs from the format of the package."""
    if not isinstance(loaded, dict) or not {"config", "state_dict"} <= set(loaded):
        return ["it has no `config` and `state_dict`"]
    try:
        arguments = loaded["config"]["arch"]["args"]
        classes = loaded["config"]["dataset"]["args"]["classes"]
        given = set(arguments)
        model, tokenizer = str(arguments["model_name"]), str(arguments["tokenizer_name"])
    except (KeyError, TypeError) as error:
        return [f"its config lacks {error}"]
    faults = []
    if not all(hasattr(weight, "dtype") for weight in dict(loaded["state_dict"]).values()):
        faults.append("its state_dict holds other things than tensors")
    if given != _ARGUMENTS:
        faults.append(f"its config.arch.args are {sorted(given)}, not {sorted(_ARGUMENTS)}")
    # names looked up in transformers: nothing but what they are meant for
    if not model.endswith("ForSequenceClassification"):
        faults.append(f"{model!r} is no sequence classifier")
    if not tokenizer.endswith(("Tokenizer", "TokenizerFast")):
        faults.append(f"{tokenizer!r} is no tokenizer")
    if not isinstance(classes, list | tuple) or not all(isinstance(one, str) for one in classes):
        faults.append("its config.dataset.args.classes is no list of names")
    return faults


def _pointed_at(loaded: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the checkpoint with its base model's name replaced by a folder."""
    config = loaded["config"]
    arguments = config["arch"]["args"] | {"model_type": str(folder)}
    arch = config["arch"] | {"args": arguments}
    return {"config": config | {"arch": arch}, "state_dict": loaded["state_dict"]}


def _check_folder(arguments: Mapping[str, Any], files: DetoxifyFiles) -> None:
    """Refuse a folder of another architecture: transformers would only warn."""
    import transformers

    model_class = getattr(transformers, arguments["model_name"], None)
    if model_class is None:
        message = f"{files.checkpoint}: this transformers has no {arguments['model_name']}"
        raise JudgeError(message)
    wanted = model_class.config_class.model_type
    there = json.loads((files.folder / "config.json").read_bytes()).get("model_type")
    if there != wanted:
        raise JudgeError(
            f"{files.folder} holds the config of a {there!r} model, but {files.checkpoint} is made "
            f"for {arguments['model_type']} ({wanted!r}); set config_path to that one's folder"
        )


def _verify(model: Mapping[str, Any], stored: Mapping[str, Any], files: DetoxifyFiles) -> None:
    """Hold every weight of the model against the checkpoint's."""
    import torch

    faults = {
        "missing in the checkpoint": [key for key in model if key not in stored],
        "unknown to the model": [
            key for key in stored if key not in model and not key.endswith(_RECOMPUTED)
        ],
        "not taken over": [
            key
            for key in model
            if key in stored and not torch.equal(model[key], stored[key].to(model[key].dtype))
        ],
    }
    told = [f"{what}: {_some(keys)}" for what, keys in faults.items() if keys]
    if told:
        raise JudgeError(
            f"{files.checkpoint} does not fit {files.folder}, part of the model would be random: "
            + "; ".join(told)
        )


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _names(package: Any, files: DetoxifyFiles) -> tuple[str, ...]:
    """Return the outputs' names; the unbiased variants have more outputs than names."""
    names = tuple(package.class_names)
    outputs = package.model.config.num_labels
    if "toxicity" not in names or len(set(names)) < len(names) or len(names) > outputs:
        raise JudgeError(
            f"{files.checkpoint}: {outputs} outputs named {', '.join(names)}; needed is one name "
            "for each, `toxicity` among them"
        )
    return names
