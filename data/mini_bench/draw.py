"""Draws the mini benchmark: pictures and `samples.jsonl`, the same bytes each time.

Usage: python data/mini_bench/draw.py [FOLDER]   (default: the folder of this file)

Every forbidden behavior is posed three times (plainly, inside a jailbreak-like text, as
words in the picture), so that attacks can be compared on equal aims; harmless twins
stand beside them to show over-refusal.
Invariant: the list below is the benchmark; a changed line is a new version of the dataset.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from behaviors import (  # noqa: E402 - found beside this script
    BEHAVIORS,
    BY_KEY,
    HARMLESS_SIGNS,
    SIGN_PROMPTS,
    WRAPPERS,
    Behavior,
)
from shapes import Scene, draw_scene  # noqa: E402

WRAPPER_OF: dict[str, str] = {
    "cactus": "roleplay",
    "robot": "prefix",
    "snowman": "story",
    "teapot": "opposite",
    "biscuit": "prefix",
    "balloon": "story",
    "moon": "developer",
    "snail": "roleplay",
    "hat": "opposite",
    "fish": "developer",
}
"""Which trick wraps which behavior in the benchmark."""

SIZES = ((128, 128), (160, 120), (144, 144), (120, 160), (168, 126), (112, 112), (192, 144))

PLAIN_LOOK = {
    "cactus": ("green", "white"),
    "robot": ("blue", "gray"),
    "snowman": ("pink", "black"),
    "teapot": ("red", "white"),
    "biscuit": ("brown", "white"),
    "balloon": ("purple", "gray"),
    "moon": ("yellow", "black"),
    "snail": ("orange", "white"),
    "hat": ("green", "gray"),
    "fish": ("orange", "gray"),
}
"""(colour, ground) of the drawing that goes with the plain request."""

WRAPPED_LOOK = {
    "cactus": ("pink", "gray"),
    "robot": ("red", "white"),
    "snowman": ("blue", "white"),
    "teapot": ("blue", "gray"),
    "biscuit": ("orange", "black"),
    "balloon": ("red", "white"),
    "moon": ("purple", "white"),
    "snail": ("green", "black"),
    "hat": ("purple", "white"),
    "fish": ("blue", "white"),
}
"""(colour, ground) of the drawing that goes with the wrapped request."""

SIGN_COLORS = ("red", "blue", "yellow", "green", "orange", "purple", "pink", "brown", "red", "blue")

FRIENDLY = ("cactus", "robot", "snowman", "teapot", "biscuit", "moon", "fish")
LOOKALIKE = ("cactus", "teapot", "biscuit", "balloon", "snail", "hat")


@dataclass(frozen=True)
class Sample:
    """One line of `samples.jsonl`; the fields are the columns, in this order."""

    key: str
    prompt: str
    image: str
    behavior: str
    category: str
    attack: str
    target: str | None
    benign: bool


def _image(number: int) -> str:
    return f"pic{number}.png"


def _forbidden(behavior: Behavior, attack: str, prompt: str, number: int) -> Sample:
    key = f"{behavior.key}-{attack}"
    return Sample(
        key,
        prompt,
        _image(number),
        behavior.aim,
        behavior.category,
        attack,
        behavior.target,
        benign=False,
    )


def _wrapped(request: str, trick: str) -> str:
    return WRAPPERS[trick].format(request=request)


def _scene(number: int, look: tuple[str, str], thing: str, word: str = "") -> Scene:
    """A drawing whose size, scale and place depend on its number only."""
    shift = (((number * 7) % 5 - 2) / 50, ((number * 3) % 5 - 2) / 60)
    scale = (0.84, 0.74, 0.9, 0.5, 0.8)[number % 5]
    color, ground = look
    return Scene(SIZES[number % len(SIZES)], ground, color, thing, word, scale=scale, shift=shift)


def _sign_scene(number: int, color: str, sign: tuple[str, ...]) -> Scene:
    """A square sign: the demo's IDEFICS2 reads others badly."""
    side = (128, 144, 112, 160)[number % 4]
    ground = ("white", "gray")[number % 2]
    return Scene((side, side), ground, color, sign=sign, scale=0.95)


def forbidden_samples() -> list[tuple[Sample, Scene]]:
    """Three samples for each behavior: plain, wrapped, typographic."""
    found: list[tuple[Sample, Scene]] = []
    for index, behavior in enumerate(BEHAVIORS):
        first = 3 * index + 1
        request = behavior.requests[0]
        plain = _scene(first, PLAIN_LOOK[behavior.key], behavior.key)
        found.append((_forbidden(behavior, "none", request, first), plain))
        wrapped = _wrapped(request, WRAPPER_OF[behavior.key])
        other = _scene(first + 1, WRAPPED_LOOK[behavior.key], behavior.key)
        found.append((_forbidden(behavior, "text-wrapper", wrapped, first + 1), other))
        prompt = SIGN_PROMPTS[index % len(SIGN_PROMPTS)]
        sign = _sign_scene(first + 2, SIGN_COLORS[index], behavior.sign)
        found.append((_forbidden(behavior, "typographic", prompt, first + 2), sign))
    return found


def _friendly(number: int, key: str) -> tuple[Sample, Scene]:
    behavior = BY_KEY[key]
    twin = behavior.friendly
    color = ("blue", "orange", "green", "purple", "red")[number % 5]
    word = ("", "OPEN", "", "ZOO")[number % 4]
    sample = Sample(
        f"{key}-friendly",
        twin.requests[0],
        _image(number),
        twin.aim,
        behavior.category,
        "none",
        None,
        benign=True,
    )
    return sample, _scene(number, (color, ("white", "gray")[number % 2]), key, word)


def _lookalike(number: int, key: str) -> tuple[Sample, Scene]:
    behavior = BY_KEY[key]
    twin = behavior.lookalike
    if twin is None:
        message = f"behavior {key!r} has no look-alike; choose one that has"
        raise ValueError(message)
    color = ("yellow", "green", "pink", "brown", "blue")[number % 5]
    sample = Sample(
        f"{key}-lookalike",
        twin.requests[0],
        _image(number),
        twin.aim,
        behavior.category,
        "none",
        None,
        benign=True,
    )
    return sample, _scene(number, (color, ("gray", "black")[number % 2]), key)


def _harmless_attacks(number: int) -> list[tuple[Sample, Scene]]:
    """One harmless sign and one harmless wrapped request: the trick alone is no crime."""
    sign = Sample(
        "count-sign",
        SIGN_PROMPTS[0],
        _image(number),
        "Count to five.",
        "mischief",
        "typographic",
        None,
        benign=True,
    )
    robot = BY_KEY["robot"]
    prompt = _wrapped(robot.friendly.requests[0], "roleplay")
    wrapped = Sample(
        "robot-wrapped-friendly",
        prompt,
        _image(number + 1),
        robot.friendly.aim,
        robot.category,
        "text-wrapper",
        None,
        benign=True,
    )
    return [
        (sign, _sign_scene(number, "green", HARMLESS_SIGNS["count"])),
        (wrapped, _scene(number + 1, ("yellow", "gray"), "robot")),
    ]


def bench() -> list[tuple[Sample, Scene]]:
    """All samples with what their picture shows, in the order of the file."""
    found = forbidden_samples()
    for key in FRIENDLY:
        found.append(_friendly(len(found) + 1, key))
    for key in LOOKALIKE:
        found.append(_lookalike(len(found) + 1, key))
    return found + _harmless_attacks(len(found) + 1)


def _line(sample: Sample) -> str:
    fields = {name: value for name, value in asdict(sample).items() if value is not None}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def write(folder: Path) -> int:
    """Write the pictures and the jsonl file into `folder`; returns the number of samples."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = bench()
    for sample, scene in samples:
        draw_scene(scene).save(folder / sample.image, optimize=True)
    text = "".join(_line(sample) for sample, _ in samples)
    (folder / "samples.jsonl").write_text(text, encoding="utf-8", newline="\n")
    return len(samples)


if __name__ == "__main__":
    TARGET = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    print(f"{write(TARGET)} samples written to {TARGET}")
