"""The files of a checkpoint: where they lie, whether they are all there, what they are.

A source is a folder, or a name on the Hugging Face hub whose snapshot lies in the local
cache. The manifest names every file that can change what the model does: weights and their
index, configuration, processor, tokenizer, chat template. A README is none of them.

What must hold: everything that is wrong with the files is told at once, before anything is
loaded, with the path that was tried and how to fetch it elsewhere; each manifest entry is
the SHA-256 of bytes that were really read; the files listed are the files transformers
would load (``model.safetensors`` before an index, safetensors before pickles).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import MissingDependencyError, ModelError
from lam3db.filehash import remembered_sha256
from lam3db.records import FileEntry

if TYPE_CHECKING:
    from lam3db.config import ModelConfig
    from lam3db.plugins import Tick

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SETTINGS = {
    "config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json",
    "video_preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt",
    "chat_template.json",
}  # fmt: skip
_SETTING_SUFFIXES = (".jinja", ".model")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_SAFE, _PICKLE = "model.safetensors", "pytorch_model.bin"
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete folder. ``weights`` and ``settings`` are paths relative to it."""

    folder: Path
    revision: str | None
    weights: tuple[str, ...]
    settings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the folder; empty if it is not there.

        Raises:
            ModelError: it is no JSON object.

        """
        path = self.folder / name
        return _read_json(path) if path.is_file() else {}

    def manifest(self, tick: Tick) -> tuple[FileEntry, ...]:
        """Hash every file (large ones once, see :mod:`lam3db.filehash`)."""
        return tuple(self._entry(name, tick) for name in sorted(self.weights + self.settings))

    def _entry(self, name: str, tick: Tick) -> FileEntry:
        path = self.folder / name
        total = path.stat().st_size
        done = 0

        def advance(size: int) -> None:
            nonlocal done
            done += size
            tick(name, done, total)

        try:
            return FileEntry(name, remembered_sha256(path, advance), total)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def find_checkpoint(config: ModelConfig) -> Checkpoint:
    """Return the checkpoint a model config names.

    Raises:
        ModelError: it is not there or not complete; every fault is listed.

    """
    folder, revision, notes = _locate(config)
    faults: list[str] = []
    weights = _weights(folder, faults, allow_pickle=config.allow_pickle)
    settings = _settings(folder, faults)
    if faults:
        lines = [f"{config.name}: {folder} is not a complete checkpoint:", *faults, _cure(config)]
        raise ModelError("\n  ".join(lines))
    return Checkpoint(folder, revision, weights, settings, notes)


def _locate(config: ModelConfig) -> tuple[Path, str | None, tuple[str, ...]]:
    """Return the folder, the commit it is known to hold, and remarks."""
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        if _is_path(config.source):
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise ModelError(f"{config.name}: the folder {folder} {what}.\n  {_cure(config)}")
        folder = _snapshot(config)
    revision = _known_commit(folder)
    asked = config.revision
    if asked is None or asked == revision:
        return folder, revision, ()
    if revision is None:
        note = f"revision {asked} cannot be checked: {folder} does not tell its commit"
        return folder, None, (f"{note}; the identity rests on the files' digests alone",)
    if _COMMIT.fullmatch(asked) is not None:
        message = f"{config.name}: revision {asked} is asked for, but {folder} holds {revision}"
        raise ModelError(f"{message}.\n  {_cure(config)}")
    return folder, revision, (f"revision {asked} is commit {revision}",)


def _is_path(source: str) -> bool:
    return source.startswith(("/", ".", "~")) or source.count("/") != 1 or "\\" in source


def _snapshot(config: ModelConfig) -> Path:
    """Return the folder of a hub repository in the local cache (or fetch it, if allowed)."""
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise MissingDependencyError(
            "models need the package's local extra: pip install 'lam3db[local]'"
        ) from None
    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        folder = snapshot_download(
            config.source,
            revision=config.revision,
            local_files_only=config.local_files_only,
            allow_patterns=[*patterns, *(["*.bin"] if config.allow_pickle else [])],
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError) as error:
        tried = Path(constants.HF_HUB_CACHE, f"models--{config.source.replace('/', '--')}")
        why = "local_files_only is on" if config.local_files_only else type(error).__name__
        at = f" at revision {config.revision}" if config.revision else ""
        head = f"{config.name}: {config.source}{at} is neither a folder here nor in the local"
        message = f"{head} Hugging Face cache (tried {tried}; {why})."
        raise ModelError(f"{message}\n  {_cure(config)}") from error
    return Path(folder)


def _known_commit(folder: Path) -> str | None:
    """Return the commit a folder is known to hold: a cache snapshot, or ``hf download``'s note."""
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name
    note = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    try:
        first = note.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return None
    return first if _COMMIT.fullmatch(first) else None


def _cure(config: ModelConfig) -> str:
    is_path = _is_path(config.source)
    repository = "REPOSITORY" if is_path else config.source
    revision = f" --revision {config.revision}" if config.revision else ""
    where = config.source if is_path else "DIR"
    fetch = f"`hf download {repository}{revision} --local-dir {where}`"
    then = "copy the folder here" if is_path else "copy DIR here and write `source: DIR`"
    return f"Fetch it on a machine with internet, {fetch}, and {then}."


def _weights(folder: Path, faults: list[str], *, allow_pickle: bool) -> tuple[str, ...]:
    """Return the weight files in the order of preference of transformers."""
    if (folder / "adapter_config.json").exists():
        faults.append("adapter_config.json: an adapter (PEFT) is not supported; merge it first")
    for name in (_SAFE, *([_PICKLE] if allow_pickle else [])):
        if (folder / name).is_file():
            return _checked(folder, (name,), faults)
        if (folder / f"{name}.index.json").is_file():
            return _sharded(folder, f"{name}.index.json", faults)
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles:
        faults.append(
            f"only pickled weights ({pickles[0]}), which can run code when opened: take a "
            "safetensors version, or set `allow_pickle: true` if you trust their source"
        )
    else:
        faults.append(f"{folder / _SAFE} is missing (nor is there {_SAFE}.index.json)")
    return ()


def _sharded(folder: Path, index: str, faults: list[str]) -> tuple[str, ...]:
    try:
        shards = sorted(set(_read_json(folder / index)["weight_map"].values()))
    except (ModelError, KeyError, AttributeError, TypeError) as error:
        faults.append(f"{index} is no index of weights: {error}")
        return ()
    missing = [name for name in shards if not (folder / name).is_file()]
    faults += [f"{folder / name} is missing (named by {index})" for name in missing]
    present = tuple(name for name in shards if name not in missing)
    return (index, *_checked(folder, present, faults))


def _checked(folder: Path, names: tuple[str, ...], faults: list[str]) -> tuple[str, ...]:
    safe = [folder / name for name in names if name.endswith(".safetensors")]
    faults += [f"{path} {fault}" for path in safe if (fault := _cut_short(path))]
    return names


def _cut_short(path: Path) -> str:
    """Compare a safetensors file's size with what its header promises; ``""`` if it is whole."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(_LENGTH_BYTES)
        if start.startswith(b"version "):
            return "is a Git LFS pointer, not the weights (run `git lfs pull`)"
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > size:
            return f"is no safetensors file ({size} bytes)"
        try:
            header = json.loads(stream.read(length))
            ends = [value["data_offsets"][1] for name, value in header.items() if name[:2] != "__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return "is no safetensors file (its header cannot be read)"
    whole = _LENGTH_BYTES + length + max(ends, default=0)
    return "" if whole == size else f"has {size} bytes where its header promises {whole}"


def _settings(folder: Path, faults: list[str]) -> tuple[str, ...]:
    names = [path.name for path in folder.iterdir() if path.is_file() and _is_setting(path.name)]
    extra = [path.relative_to(folder).as_posix() for path in folder.glob("*chat_templates/*.jinja")]
    for name in [name for name in names if name.endswith(".json")]:
        _try_json(folder / name, faults)
    if "config.json" not in names:
        faults.append(f"{folder / 'config.json'} is missing")
    if not any(name in names for name in _TOKENIZERS):
        faults.append(f"{folder / 'tokenizer.json'} is missing")
    if not any(name in names for name in ("preprocessor_config.json", "processor_config.json")):
        faults.append(f"{folder / 'preprocessor_config.json'} is missing")
    if not _has_template(folder, names):
        faults.append(f"{folder / 'chat_template.jinja'} is missing (nor is one elsewhere)")
    return tuple(sorted(names + extra))


def _is_setting(name: str) -> bool:
    return name in _SETTINGS or name.endswith(_SETTING_SUFFIXES)


def _has_template(folder: Path, names: list[str]) -> bool:
    holders = ("chat_template.json", "processor_config.json", "tokenizer_config.json")
    if "chat_template.jinja" in names:
        return True
    return any(_holds(folder / name, "chat_template") for name in holders if name in names)


def _holds(path: Path, key: str) -> bool:
    try:
        return bool(_read_json(path).get(key))
    except ModelError:
        return True  # the file's own fault is already told


def _try_json(path: Path, faults: list[str]) -> None:
    try:
        _read_json(path)
    except ModelError as error:
        faults.append(str(error))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is no JSON object")
    return value
