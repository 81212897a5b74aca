"""A tokenizer that can be asked as the processor of an image-text model is.

What must hold: a text is never cut; nothing but the tokenizer's own files decides what it
becomes; an image has no way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class TextProcessor:
    """Stands where image-text models have a processor; ``tokenizer`` may be replaced."""

    tokenizer: Any

    def __call__(
        self, text: list[str], images: Any = None, *, add_special_tokens: bool, return_tensors: str
    ) -> Any:
        """Return ids and mask of the texts; ``images`` were refused before.

        Segment numbers, which some tokenizers add by habit, are no input of these models.
        """
        del images
        found = self.tokenizer(
            text, add_special_tokens=add_special_tokens, return_tensors=return_tensors
        )
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    @property
    def chat_template(self) -> Any:
        """The tokenizer's chat template, or several by name."""
        return self.tokenizer.chat_template
