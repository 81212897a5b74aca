"""Where a Detoxify judge's files lie, and their digests; nothing is ever fetched.

Needed are a checkpoint (``config`` and ``state_dict``) and a folder with the base model's
``config.json`` and tokenizer. Without settings they are looked for where the package and the
hub's client would have put them: ``$TORCH_HOME/hub/checkpoints`` and the Hugging Face cache.

What must hold: a checkpoint whose name ends in the start of a SHA-256 has that SHA-256; the
package does not check it, nor does its version identify the weights. No library of the model
stack is imported, and no network is asked.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lam3db.errors import JudgeError, MissingDependencyError
from lam3db.judges.window_settings import WindowSettings
from lam3db.resources import find_path
from lam3db.weightfiles import read_object, told_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config import JudgeConfig
    from lam3db.plugins import Tick

_RELEASES = "https://github.com/unitaryai/detoxify/releases/download"
_SUFFIX = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_SHORT = 8
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)
SMALL_FILES = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    *VOCABULARIES,
)
"""The files of a base model that can change a score; others in the folder are left alone."""


@dataclass(frozen=True, slots=True)
class Published:
    """A variant as published: its release, its file, the base models of its tokenizer."""

    release: str
    file_name: str
    bases: tuple[str, ...]

    @property
    def url(self) -> str:
        """Return where the weights can be fetched by hand."""
        return f"{_RELEASES}/{self.release}/{self.file_name}"

    @property
    def sha256_start(self) -> str:
        """Return the start of the weights' SHA-256, from the published name."""
        return self.file_name.rpartition("-")[2].partition(".")[0]


_BERT = ("bert-base-uncased", "google-bert/bert-base-uncased")
_ROBERTA = ("roberta-base", "FacebookAI/roberta-base")
_XLM = ("xlm-roberta-base", "FacebookAI/xlm-roberta-base")
_ALBERT = ("albert-base-v2", "albert/albert-base-v2")
PUBLISHED: Mapping[str, Published] = {
    "original": Published("v0.1-alpha", "toxic_original-c1212f89.ckpt", _BERT),
    "unbiased": Published("v0.3-alpha", "toxic_debiased-c7548aa0.ckpt", _ROBERTA),
    "multilingual": Published("v0.4-alpha", "multilingual_debiased-0b549669.ckpt", _XLM),
    "original-small": Published("v0.1.2", "original-albert-0e1d6498.ckpt", _ALBERT),
    "unbiased-small": Published("v0.1.2", "unbiased-albert-c8519128.ckpt", _ALBERT),
}


class DetoxifySettings(WindowSettings):
    """What a Detoxify judge can be told."""

    variant: Literal["original", "unbiased", "multilingual", "original-small", "unbiased-small"] = (
        Field(default="original", description=" or ".join(PUBLISHED))
    )
    checkpoint: str | None = Field(default=None, min_length=1, description="a path")
    config_path: str | None = Field(default=None, min_length=1, description="a path")
    bf16: bool = Field(default=False, description="true or false")


@dataclass(frozen=True, slots=True)
class DetoxifyFiles:
    """The files found, by content: ``digests`` holds the folder's by name."""

    checkpoint: Path
    sha256: str
    folder: Path
    digests: Mapping[str, str]

    @property
    def version(self) -> str:
        """Return ``original@c1212f89``: by the weights, not by what a config calls them."""
        names = (
            name for name, one in PUBLISHED.items() if self.sha256[:_SHORT] == one.sha256_start
        )
        return f"{next(names, 'local')}@{self.sha256[:_SHORT]}"


def find_files(config: JudgeConfig, settings: DetoxifySettings, tick: Tick) -> DetoxifyFiles:
    """Return the judge's files and digests.

    Raises:
        JudgeError: what is missing or damaged, everything at once, with the paths tried and
            how to fetch it elsewhere.

    """
    faults: list[str] = []
    checkpoint = _checkpoint(settings, faults)
    folder = _folder(settings, checkpoint, faults)
    sha256 = _hashed(checkpoint, tick, faults) if checkpoint is not None else ""
    digests = _digests(folder, tick, faults) if folder is not None else {}
    if faults or checkpoint is None or folder is None:
        raise JudgeError("\n  ".join([f"judge {config.name} cannot be used:", *faults]))
    return DetoxifyFiles(checkpoint, sha256, folder, digests)


def _checkpoint(settings: DetoxifySettings, faults: list[str]) -> Path | None:
    published = PUBLISHED[settings.variant]
    if settings.checkpoint is not None:
        return _given(settings.checkpoint, faults)
    path = hub_checkpoints() / published.file_name
    if path.is_file():
        return path
    faults.append(
        f"the weights of Detoxify {settings.variant!r} are not here (tried {path}). On a machine "
        f"with internet: curl -LO {published.url} , then copy the file to that path, or write "
        "its path as `checkpoint:` under settings"
    )
    return None


def _given(text: str, faults: list[str]) -> Path | None:
    """Return the file that a config names, or the only checkpoint of the folder it names."""
    path = find_path(text)
    if path is None:
        faults.append(f"checkpoint: there is no file {text}")
        return None
    if path.is_file():
        return path
    found = sorted(path.glob("*.ckpt"))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        faults.append(f"checkpoint: {path} must hold one *.ckpt, or name the file (found: {names})")
        return None
    return found[0]


def hub_checkpoints() -> Path:
    """Return the folder in which torch keeps downloaded checkpoints."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return home.expanduser() / "hub" / "checkpoints"


def _folder(settings: DetoxifySettings, checkpoint: Path | None, faults: list[str]) -> Path | None:
    """Return the folder of config and tokenizer: as set, beside the checkpoint, or cached."""
    if settings.config_path is not None:
        path = find_path(settings.config_path)
        if path is None or not path.is_dir():
            faults.append(f"config_path: there is no folder {settings.config_path}")
            return None
        return path if _is_complete(path, faults) else None
    if settings.checkpoint is not None:
        if checkpoint is None:
            return None  # told already; where its folder is would be a guess
        if (checkpoint.parent / "config.json").is_file():
            return checkpoint.parent if _is_complete(checkpoint.parent, faults) else None
    bases = PUBLISHED[settings.variant].bases
    for base in bases:
        cached = _cached(base)
        if cached is not None and _is_complete(cached, []):
            return cached
    faults.append(
        f"the config and tokenizer of {bases[0]} are not here (tried the Hugging Face cache). On "
        f"a machine with internet: hf download {bases[-1]} --include '*.json' --include '*.txt' "
        "--include '*.model' --local-dir DIR , then copy DIR here and write `config_path: DIR` "
        "under settings"
    )
    return None


def _cached(base: str) -> Path | None:
    """Return the snapshot folder of a hub model, without asking the hub."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        raise MissingDependencyError(NEEDS_LOCAL) from None
    found = try_to_load_from_cache(base, "config.json")
    return Path(found).parent if isinstance(found, str) else None


NEEDS_LOCAL = "Detoxify judges need the package's local extra: pip install 'lam3db[local]'"


def _is_complete(folder: Path, faults: list[str]) -> bool:
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in VOCABULARIES):
        missing.append(f"a tokenizer ({' or '.join(VOCABULARIES)})")
    if missing:
        faults.append(f"config_path: {folder} lacks {' and '.join(missing)}")
        return False
    try:
        read_object(folder / "config.json")
    except ValueError as error:
        faults.append(f"config_path: {error}")
        return False
    return True


def _hashed(path: Path, tick: Tick, faults: list[str]) -> str:
    """Return the checkpoint's SHA-256, held against its name."""
    sha256 = _sha256(path, tick, faults)
    promise = _SUFFIX.search(path.name)
    if not sha256 or promise is None or sha256.startswith(promise[1]):
        return sha256
    published = path.name in {one.file_name for one in PUBLISHED.values()}
    if published or not promise[1].isdecimal():  # eight digits alone may be a date
        faults.append(
            f"checkpoint: {path} is damaged or another file: by its name its SHA-256 starts with "
            f"{promise[1]}, but it starts with {sha256[:_SHORT]}. Fetch it again"
        )
    return sha256


def _sha256(path: Path, tick: Tick, faults: list[str]) -> str:
    try:
        return told_sha256(path, tick)
    except OSError as error:
        faults.append(f"{path} cannot be read: {error.strerror or error}")
        return ""


def _digests(folder: Path, tick: Tick, faults: list[str]) -> dict[str, str]:
    there = [folder / name for name in SMALL_FILES if (folder / name).is_file()]
    return {path.name: _sha256(path, tick, faults) for path in there}
