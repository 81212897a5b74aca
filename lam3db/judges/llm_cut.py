"""Responses cut to their first tokens before a judge sees them, as some protocols want it.

HarmBench's classifier is shown the first 512 tokens of an answer, counted by its own tokenizer
with the special tokens that it adds (``num_tokens`` of its ``evaluate_completions.py``);
StrongREJECT's fine-tuned judge cuts at 512 tokens, too. ``cut: {response: 512}`` says so; a model
behind an endpoint has no tokenizer here, and needs ``tokenizer:`` beside it, a folder or a name
whose files are in the local cache.

What must hold: without the setting nothing is cut and no identity changes; what is left is a
beginning of the response, letter by letter; a response that fits stays as it is; how many
were cut is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, JudgeError, NotFoundError
from lam3db.hashing import digest
from lam3db.redaction import redact
from lam3db.resources import find_path
from lam3db.weightfiles import fetching_cure, snapshot_folder, told_sha256

if TYPE_CHECKING:
    from lam3db.judges.llm_settings import CutSettings
    from lam3db.plugins import Tick
    from lam3db.records import ModelPlan

_FILES = (
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt",
    "*.model",
)  # fmt: skip
_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where responses are cut, and by whose tokenizer. ``files``: none, it is the model's own."""

    tokens: int
    folder: Path
    files: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form; the model's own tokenizer is in the model's digest."""
        own = {} if self.files is None else {"tokenizer": self.files}
        return {"response": self.tokens, **own}

    def load(self) -> Cutter:
        """Return what cuts; raise JudgeError where the tokenizer cannot be loaded."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # a tokenizer's file is read by code that may raise anything
            first = redact(str(error)).strip().partition("\n")[0]
            kind = type(error).__name__
            raise JudgeError(
                f"{self.folder}: its tokenizer cannot be loaded: {kind}: {first}"
            ) from error
        if not tokenizer.is_fast:
            kind = type(tokenizer).__name__
            raise JudgeError(f"{self.folder}: {kind} cuts no text; only fast tokenizers do")
        return Cutter(tokenizer, self.tokens - tokenizer.num_special_tokens_to_add())


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts texts. ``room``: how many tokens of a text may stay."""

    tokenizer: Any
    room: int

    def cut(self, text: str) -> str:
        """Return the text where it fits, else its first tokens."""
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        if len(encoded["input_ids"]) <= self.room:
            return text
        ends = (end for _, end in encoded["offset_mapping"][: max(self.room, 0)])
        return text[: max(ends, default=0)]


def find_cut(name: str, settings: CutSettings, plan: ModelPlan, tick: Tick) -> Cut:
    """Return where a judge's responses are cut.

    Raises:
        ConfigError: there is no tokenizer, with where it was looked for.

    """
    where = f"judge {name}, settings: cut"
    if settings.tokenizer is None:
        folder = plan.options.get("folder")
        if folder is None:
            raise ConfigError(
                f"{where}: the model's tokenizer is not on this machine; name one that counts the "
                f"same: cut: {{response: {settings.response}, tokenizer: FOLDER}}"
            )
        return Cut(settings.response, Path(folder))
    folder = _folder(where, settings.tokenizer)
    paths = sorted({path for pattern in _FILES for path in folder.glob(pattern) if path.is_file()})
    if not paths:
        raise ConfigError(f"{where}: {folder} holds no tokenizer")
    shown = [*paths, *(path for path in (folder / _CONFIG,) if path.is_file())]
    files = {path.name: told_sha256(path, tick) for path in shown}
    return Cut(settings.response, folder, digest("tokenizer", files).hex())


def _folder(where: str, source: str) -> Path:
    folder = find_path(source)
    try:
        folder = folder or snapshot_folder(source, None, (*_FILES, _CONFIG))
    except NotFoundError as error:
        raise ConfigError(
            f"{where}: tokenizer: {error}\n  {fetching_cure(source, None)}"
        ) from error
    if not folder.is_dir():
        raise ConfigError(f"{where}: tokenizer: {folder} is not a folder")
    return folder
