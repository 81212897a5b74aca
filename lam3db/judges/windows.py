"""Texts as windows of tokens, and windows as batches of like length.

A text longer than the model's limit is cut into overlapping windows, none of it dropped. A
text that fits is one window: the very tokens that the package would feed. A pair is a prompt
and a response: the prompt stands whole in every window, and the response is what is cut.

What must hold: every token of a text is in at least one window; one text that a tokenizer
refuses, or a prompt that leaves no room for its response, fails alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.records import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

Text = str | tuple[str, str]
"""A text, or a pair of prompt and response."""
_LIKE = 0.9
_SMALL = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the text at ``index``, as token numbers with the special ones in place.

    ``types`` tell prompt (0) from response (1) where it is a pair and the model wants to know.
    """

    index: int
    tokens: tuple[int, ...]
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Windower:
    """Cuts texts. ``size`` counts the special tokens, ``overlap`` does not."""

    tokenizer: Any
    size: int
    overlap: int

    def cut(self, texts: Sequence[Text]) -> tuple[list[Window], dict[int, Failed]]:
        """Return the windows of all texts and, by index, the texts that have none.

        All are texts, or all are pairs. A text of which the tokenizer leaves nothing has no
        window and no failure.
        """
        try:
            return self._cut(range(len(texts)), texts), {}
        except Exception:  # noqa: BLE001 - a tokenizer may raise anything; asked again one by one
            windows, failed = list[Window](), dict[int, Failed]()
        for index, text in enumerate(texts):
            try:
                # says of a lone surrogate what it is; the tokenizer does not
                (text if isinstance(text, str) else "".join(text)).encode()
                windows += self._cut([index], [text])
            except Exception as error:  # noqa: BLE001 - it becomes this text's failure
                failed[index] = Failed.from_exception(error)
        return windows, failed

    def _cut(self, indices: Sequence[int], texts: Sequence[Text]) -> list[Window]:
        if not texts:
            return []
        plain = [text for text in texts if isinstance(text, str)]
        if not plain:
            return self._cut_pairs(indices, [text for text in texts if not isinstance(text, str)])
        encoded = self._ask(plain, truncation=True)
        special = self.tokenizer.num_special_tokens_to_add()
        owners = encoded["overflow_to_sample_mapping"]
        return [
            Window(indices[owner], tuple(tokens))
            for owner, tokens in zip(owners, encoded["input_ids"], strict=True)
            if len(tokens) > special
        ]

    def _cut_pairs(self, indices: Sequence[int], pairs: Sequence[tuple[str, str]]) -> list[Window]:
        prompts, responses = (list(side) for side in zip(*pairs, strict=True))
        self._refuse_long(prompts)
        types = "token_type_ids" in self.tokenizer.model_input_names
        encoded = self._ask(prompts, responses, truncation="only_second", types=types)
        return [
            Window(
                indices[owner],
                tuple(encoded["input_ids"][row]),
                tuple(encoded["token_type_ids"][row]) if types else (),
            )
            for row, owner in enumerate(encoded["overflow_to_sample_mapping"])
            if 1 in encoded.sequence_ids(row)  # something of the response is left
        ]

    def _refuse_long(self, prompts: list[str]) -> None:
        """Raise ValueError where a prompt leaves no room to move over its response."""
        room = self.size - self.tokenizer.num_special_tokens_to_add(pair=True) - self.overlap
        encoded = self.tokenizer(prompts, add_special_tokens=False, verbose=False)
        longest = max(len(tokens) for tokens in encoded["input_ids"])
        if longest >= room:
            raise ValueError(
                f"the prompt has {longest} tokens: beside its response and an overlap of "
                f"{self.overlap} there is room for {room - 1} of {self.size}"
            )

    def _ask(self, *texts: list[str], truncation: bool | str, types: bool = False) -> Any:
        try:
            return self.tokenizer(
                *texts,
                truncation=truncation,
                max_length=self.size,
                stride=self.overlap,
                return_overflowing_tokens=True,
                return_attention_mask=False,
                return_token_type_ids=types,
            )
        except BaseException as error:
            # a panic of the tokenizer's Rust is no Exception, and would end the whole run
            if type(error).__name__ == "PanicException":
                raise RuntimeError(f"the tokenizer broke down: {error}") from None
            raise


@dataclass(slots=True)
class Queue:
    """Windows waiting to be scored. ``budget`` is the tokens of a batch, padding included."""

    waiting: list[Window]
    budget: int

    def __post_init__(self) -> None:
        """Sort, the longest last: it is taken first, so that memory runs out at once or never."""
        self.waiting.sort(key=lambda window: len(window.tokens))

    def take(self) -> list[Window]:
        """Return the next batch, longest first; never empty while something waits.

        A window much shorter than the longest costs more in padding than a larger batch
        gains, except while the batch is small.
        """
        longest = len(self.waiting[-1].tokens)
        most = min(max(1, self.budget // longest), len(self.waiting))
        small = max(1, self.budget // _SMALL // longest)
        count = 1
        while count < most and (
            count < small or len(self.waiting[-count - 1].tokens) >= _LIKE * longest
        ):
            count += 1
        batch = self.waiting[-count:][::-1]
        del self.waiting[-count:]
        return batch

    def halve(self, batch: list[Window]) -> bool:
        """Put back a batch that was too large; tell whether a smaller one is possible."""
        if len(batch) == 1:
            return False
        self.budget = len(batch) * len(batch[0].tokens) // 2
        self.waiting += batch[::-1]
        return True
