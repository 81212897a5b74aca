"""A prompt's own control markers, sent as text.

Prompts of this field hold ``<image>``, ``</s>`` or ``<end_of_utterance>`` on purpose. Left to
itself a tokenizer turns each into the control token of that name, and a processor counts
the images by it. With ``markers: text`` (the default) they reach the model as the characters
they are; with ``markers: control`` they are what they say, an attack that people study.

How: each marker in a message is replaced by a placeholder before the chat template and the
processor see it. Then the finished prompt goes through a copy of the tokenizer in which the
control tokens have other, unwritable names: the template's own markers are given those
names, and the placeholders become plain characters again. So the text is tokenized in one
piece, exactly as it would be if no token had the marker's name.

What must hold: prompts without markers never come this way; the ids a marker's text gives
hold no control token. Role words such as ``USER:`` or ``[INST]`` are ordinary text to these
tokenizers, in a template as in a prompt: nothing can set them apart, and nothing tries.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from lam3db.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIVATE = range(0xF0000, 0xF0400)
_NAME_ENDS = ("\U0010fff0", "\U0010fff1")
_BRACKETED = re.compile(r"[<\[|].*[>\]|]", re.DOTALL)


def control_markers(tokenizer: Any) -> tuple[str, ...]:
    """Return the tokens that a prompt must not be able to write, longest first.

    These are the special ones, and added ones in brackets (``<tool_call>``): an added token
    that is an ordinary word stays a word.
    """
    found = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special or _BRACKETED.fullmatch(token.content)
    }
    return tuple(sorted(filter(str.strip, found), key=lambda marker: (-len(marker), marker)))


class TextMarkers:
    """Sends the markers found in messages as text, through a processor of any family."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._markers = control_markers(processor.tokenizer)
        self._pattern = _any_of(self._markers)
        self._tokenizer: _Renamed | None = None

    def found(self, texts: Sequence[str]) -> bool:
        """Tell whether a text holds a control marker."""
        return any(self._pattern.search(text) for text in texts)

    def protect(self, texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Return the texts with a placeholder for each marker, and what each stands for.

        A placeholder begins with the marker's first character (processors look at what
        follows an image) and goes on with a private character that no text holds.
        """
        whole = "".join(texts)
        free = (chr(code) for code in _PRIVATE if chr(code) not in whole)
        names = {marker: marker[0] + next(free) for marker in self._markers}
        protected = [self._pattern.sub(lambda match: names[match[0]], text) for text in texts]
        return protected, {name: marker for marker, name in names.items()}

    def process(self, placeholders: dict[str, str], **arguments: Any) -> Any:
        """Call the processor; placeholders in its text become plain characters."""
        if self._tokenizer is None:
            self._tokenizer = _Renamed(self._processor.tokenizer, self._markers)
        processor = copy.copy(self._processor)
        processor.tokenizer = _Spelling(self._tokenizer, placeholders)
        return processor(**arguments)


class _Renamed:
    """A copy of a tokenizer whose control tokens have unwritable names."""

    def __init__(self, tokenizer: Any, markers: tuple[str, ...]) -> None:
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            message = "this model's tokenizer is not a fast one (no tokenizer.json)"
            raise ModelError(f"{message}: prompts with {markers[0]} need `markers: control`")
        from tokenizers import Tokenizer

        first, last = _NAME_ENDS
        self.original = tokenizer
        self.names = {marker: f"{first}{at}{last}" for at, marker in enumerate(markers)}
        self.pattern = _any_of(markers)
        definition = json.loads(tokenizer.backend_tokenizer.to_str())
        self.backend = Tokenizer.from_str(json.dumps(_renamed(definition, self.names)))
        self.backend.no_padding()
        self.backend.no_truncation()

    def hide(self, text: str) -> str:
        """Give the control tokens in ``text`` their other names."""
        return self.pattern.sub(lambda match: self.names[match[0]], text)


class _Spelling:
    """Stands in for the tokenizer during one call of the processor."""

    def __init__(self, renamed: _Renamed, placeholders: dict[str, str]) -> None:
        self._renamed = renamed
        self._placeholders = placeholders
        self._pattern = _any_of(tuple(placeholders))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renamed.original, name)

    def __call__(self, text: str | list[str], **arguments: Any) -> Any:
        from transformers import BatchEncoding

        whole = [text] if isinstance(text, str) else text
        spelled = [
            self._pattern.sub(lambda match: self._placeholders[match[0]], self._renamed.hide(one))
            for one in whole
        ]
        special = arguments.get("add_special_tokens", True)
        found = self._renamed.backend.encode_batch(spelled, add_special_tokens=special)
        data = {
            "input_ids": [one.ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
            "token_type_ids": [one.type_ids for one in found],
        }
        wanted = [name for name in data if name in self._renamed.original.model_input_names]
        return BatchEncoding(
            {name: data[name] for name in wanted}, tensor_type=arguments.get("return_tensors")
        )


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _renamed(definition: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Rename tokens in the JSON form of a ``tokenizers.Tokenizer``.

    Merges that spell a renamed token out of its parts go: they would make the control token
    of plain characters.
    """
    for token in definition["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = definition["model"]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(token, token): at for token, at in vocabulary.items()}
    elif isinstance(vocabulary, list):  # Unigram: [token, score] by position
        model["vocab"] = [[names.get(token, token), score] for token, score in vocabulary]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        model["merges"] = [
            merge for merge in model["merges"] if not _touches(_parts_of(merge), names)
        ]
    return definition


def _parts_of(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def _touches(parts: list[str], names: dict[str, str]) -> bool:
    return "".join(parts) in names or any(part in names for part in parts)
