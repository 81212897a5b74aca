"""What a model thinks before it answers, taken apart from the answer.

A model that thinks writes a block first, between two tags, and its answer behind it; some chat
templates open the block themselves, and then the output begins inside it. Which tags, says the
chat template or the model's file; nobody else does.

What must hold: only a block at the very beginning of an output is taken out, and only where a
template or a file says that this model thinks; anywhere else tags are text, because a model that
was talked into harm may hide it between them. A block that does not end is no answer. What is
left of the output is cleaned as any answer is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from lam3db.records import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lam3db.config_shapes import ReasoningTags

THINK = ("<think>", "</think>")
PAIRS = (
    THINK,  # DeepSeek-R1, Qwen3, QwQ, GLM-4.5, MiniMax, Phi-4-reasoning, Nemotron
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi-VL-Thinking
    ("<|channel>thought\n", "<channel|>"),  # Gemma 4
    (  # gpt-oss
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
)
"""The tags that are looked for in a chat template."""
UNENDED = "ReasoningOnlyError"


@dataclass(frozen=True, slots=True)
class Tags:
    """Where a block begins and ends. ``opened``: the prompt begins it, so the output need not."""

    start: str
    end: str
    opened: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the form that belongs to a config's identity."""
        value: dict[str, Any] = {"start": self.start, "end": self.end}
        return value | ({"opened": True} if self.opened else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Tags | None:
        """Read back what :meth:`to_json` wrote; None where there are none."""
        return None if value is None else cls(**value)

    def going_on(self, words: str) -> Tags | None:
        """Return the tags for an output that goes on with these words; None beyond the block."""
        if self.end in words or not (self.opened or self.start in words):
            return None
        return replace(self, opened=True)

    def begin(self, output: str) -> bool:
        """Tell whether an output begins with, or inside, the block."""
        return self.opened or output.lstrip().startswith(self.start)

    def split(self, output: str) -> tuple[str, str] | None:
        """Return the reasoning and what comes behind it; None where the block does not end."""
        body = output.lstrip()
        thoughts, end, rest = body.removeprefix(self.start).partition(self.end)
        return (thoughts.strip(), rest) if end else None


def tags_of_file(given: ReasoningTags | Literal["auto", "none", "think"]) -> Tags | None:
    """Return what a model's file says of it; None where it says nothing, or that there are none."""
    if isinstance(given, str):
        return Tags(*THINK) if given == "think" else None
    return Tags(given.start, given.end, bool(given.opened))


def tags_in(source: str) -> tuple[str, str] | None:
    """Return the tags that the source of a chat template speaks of.

    The end tag tells: templates that take old thoughts out of a conversation name it alone.
    """
    ends = [(start, end) for start, end in PAIRS if _last_tag(end) in source]
    return ends[0] if ends else None


def _last_tag(end: str) -> str:
    """Return the part of an end that a template writes in one piece (gpt-oss joins its own)."""
    return end if end != PAIRS[-1][1] else "<|channel|>final<|message|>"


def remark(output: str, tags: Tags | None) -> str | None:
    """Return what to tell of an output that was kept whole, where it looks as if it held thoughts.

    ``tags`` are those of the model, None where nobody says that it thinks.
    """
    body = output.lstrip()
    pairs = PAIRS if tags is None else ((tags.start, tags.end),)
    for start, end in pairs:
        if tags is None and body.startswith(start):
            return (
                f"answers begin with {start}: what stands behind it is part of the answer, since "
                "nothing says that this model thinks; if it does, write `reasoning: think` (or its "
                "tags: `reasoning: {start: ..., end: ...}`) in the model's file, else "
                "`reasoning: none`"
            )
        if end in body:
            return (
                f"answers hold {end} and do not begin with {start}: what stands before it is part "
                "of the answer; if the prompt begins a block of thoughts, write `reasoning: "
                f"{{start: {start!r}, end: {end!r}, opened: true}}` in the model's file, else "
                "`reasoning: none`"
            )
    return None


def unended(reason: str) -> Failed:
    """Return the failure of an output that is reasoning and nothing else."""
    why = (
        "max_new_tokens ended it there: ask for more" if reason == "length" else "it stopped there"
    )
    return Failed(UNENDED, f"the model thought and gave no answer: {why}")


def tokens_behind(tokens: Sequence[int], end: str, decode: Callable[[Sequence[int]], str]) -> int:
    """Return how many of an output's tokens it takes until the end tag is written.

    ``decode`` keeps control tokens, which the tags of some models are.
    """
    low, high = 1, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if end in decode(tokens[:middle]):
            high = middle
        else:
            low = middle + 1
    return low
