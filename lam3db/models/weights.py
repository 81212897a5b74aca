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

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import ModelError, NotFoundError
from lam3db.models import original_llava
from lam3db.models.families import family_named
from lam3db.models.setting_types import type_faults
from lam3db.records import FileEntry
from lam3db.weightfiles import (
    fetching_cure,
    is_commit,
    is_path,
    known_commit,
    read_object,
    snapshot_folder,
    told_sha256,
    weight_files,
)

if TYPE_CHECKING:
    from lam3db.config import ModelConfig
    from lam3db.plugins import Tick

_SETTINGS = {
    "config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json",
    "video_preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt",
    "chat_template.json",
}  # fmt: skip
_SETTING_SUFFIXES = (".jinja", ".model")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")


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
        try:
            return read_object(path) if path.is_file() else {}
        except ValueError as error:
            raise ModelError(str(error)) from error

    def manifest(self, tick: Tick) -> tuple[FileEntry, ...]:
        """Hash every file (large ones once, see :mod:`lam3db.filehash`)."""
        return tuple(self._entry(name, tick) for name in sorted(self.weights + self.settings))

    def _entry(self, name: str, tick: Tick) -> FileEntry:
        path = self.folder / name
        try:
            return FileEntry(name, told_sha256(path, tick, name), path.stat().st_size)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def find_checkpoint(config: ModelConfig) -> Checkpoint:
    """Return the checkpoint a model config names.

    Raises:
        ModelError: it is not there or not complete; every fault is listed.
        ConfigError: nobody knows its family.

    """
    folder, revision, notes = _locate(config)
    if wrong := type_faults(folder):
        lines = [
            f"{config.name}: {folder} holds settings of the wrong type:",
            *wrong,
            _cure(config),
        ]
        raise ModelError("\n  ".join(lines))
    _refuse_original(config, folder)
    faults: list[str] = []
    weights = weight_files(folder, faults, allow_pickle=config.allow_pickle)
    needed = _Needed(_sees_images(config, folder), config.template == "chat")
    settings = _settings(folder, needed, faults)
    if faults:
        lines = [f"{config.name}: {folder} is not a complete checkpoint:", *faults, _cure(config)]
        raise ModelError("\n  ".join(lines))
    return Checkpoint(folder, revision, weights, settings, notes)


def _refuse_original(config: ModelConfig, folder: Path) -> None:
    """Raise ModelError for LLaVA's original layout: what else is missing follows from that."""
    told = _told(folder)
    if original_llava.is_original(folder, told):
        cure = original_llava.cure(config.source, told)
        raise ModelError(f"{config.name}: {folder}: {cure}")


def _told(folder: Path) -> dict[str, Any]:
    """Return ``config.json``; empty where it cannot be read, which is told later."""
    path = folder / "config.json"
    try:
        return read_object(path) if path.is_file() else {}
    except ValueError:
        return {}


def _locate(config: ModelConfig) -> tuple[Path, str | None, tuple[str, ...]]:
    """Return the folder, the commit it is known to hold, and remarks."""
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        if is_path(config.source):
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise ModelError(f"{config.name}: the folder {folder} {what}.\n  {_cure(config)}")
        folder = _snapshot(config)
    revision = known_commit(folder)
    asked = config.revision
    if asked is None or asked == revision:
        return folder, revision, ()
    if revision is None:
        note = f"revision {asked} cannot be checked: {folder} does not tell its commit"
        return folder, None, (f"{note}; the identity rests on the files' digests alone",)
    if is_commit(asked):
        message = f"{config.name}: revision {asked} is asked for, but {folder} holds {revision}"
        raise ModelError(f"{message}.\n  {_cure(config)}")
    return folder, revision, (f"revision {asked} is commit {revision}",)


def _snapshot(config: ModelConfig) -> Path:
    pickles = ("*.bin",) if config.allow_pickle else ()
    try:
        return snapshot_folder(
            config.source,
            config.revision,
            (*_PATTERNS, *pickles),
            local_files_only=config.local_files_only,
        )
    except NotFoundError as error:
        if original_llava.is_original_name(config.source):
            raise ModelError(f"{config.name}: {original_llava.cure(config.source, {})}") from error
        raise ModelError(f"{config.name}: {error}.\n  {_cure(config)}") from error


def _cure(config: ModelConfig) -> str:
    return fetching_cure(config.source, config.revision)


@dataclass(frozen=True, slots=True)
class _Needed:
    """What a checkpoint needs besides weights, config and tokenizer."""

    image_processor: bool
    chat_template: bool


def _sees_images(config: ModelConfig, folder: Path) -> bool:
    """Tell whether the checkpoint's family takes images."""
    return family_named(config.family, _told(folder)).images


def _settings(folder: Path, needed: _Needed, faults: list[str]) -> tuple[str, ...]:
    names = [path.name for path in folder.iterdir() if path.is_file() and _is_setting(path.name)]
    extra = [path.relative_to(folder).as_posix() for path in folder.glob("*chat_templates/*.jinja")]
    for name in [name for name in names if name.endswith(".json")]:
        _try_json(folder / name, faults)
    if "config.json" not in names:
        faults.append(f"{folder / 'config.json'} is missing")
    if not any(name in names for name in _TOKENIZERS):
        faults.append(f"{folder / 'tokenizer.json'} is missing")
    processors = ("preprocessor_config.json", "processor_config.json")
    if needed.image_processor and not any(name in names for name in processors):
        faults.append(f"{folder / 'preprocessor_config.json'} is missing")
    if needed.chat_template and not _has_template(folder, names):
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
        return bool(read_object(path).get(key))
    except ValueError:
        return True  # the file's own fault is already told


def _try_json(path: Path, faults: list[str]) -> None:
    try:
        read_object(path)
    except ValueError as error:
        faults.append(str(error))
