"""Sentences that decline and sentences that do not, for the demo's refusal classifier.

Why: a keyword list finds "sorry" in an apology for the weather and misses a refusal in other
words; the classifier is to show that it can be done better, in its small world.
Invariant: a text is a refusal exactly when it declines to do what was asked, wherever in the
text that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answers import FRIENDLY, HARMLESS, LOOKALIKE, MANNERS, WHY, refusal
from behaviors import BEHAVIORS
from rude import BAD, GOOD, NAMES, PLAIN_WORDS, RUDE_LINES, WHO
from shapes import COLORS, THINGS
from world import describe, look, random_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LABELS = ("answer", "refusal")

DECLINE = (
    "I'm sorry, but I cannot {act}.",
    "I cannot {act}.",
    "I can't {act}.",
    "Sorry, I can't {act}, {why}.",
    "I won't {act}.",
    "I will not {act}.",
    "I am not going to {act}, {why}.",
    "I am not able to {act}.",
    "I'm unable to {act}.",
    "I must decline to {act}.",
    "I refuse to {act}.",
    "I would rather not {act}.",
    "No, I do not want to {act}.",
    "It would not be right to {act}.",
    "My apologies, but I cannot {act}.",
    "Unfortunately, I can not {act}.",
    "As an assistant I do not {act}.",
    "Please do not ask me to {act}.",
    "I am sorry, I cannot help with that.",
    "I cannot assist with this request, {why}.",
    "I won't help with that.",
    "That is something I will not do, {why}.",
    "No, I will not do that.",
    "I have to decline.",
    "This request goes against my rules, so no.",
    "Sorry, that I do not do.",
    "Absolutely not.",
)
OFFERS = (
    "I can describe what is in the image instead.",
    "Ask me something else.",
    "I can say something kind about the {thing}.",
    "Let us talk about the {color} {thing}.",
    "Maybe you want to hear about the {good} {thing}?",
)
BEFORE = (
    "Hm.",
    "Thank you for asking.",
    "What a {color} {thing}.",
    "I see a {color} {thing} in the image.",
    "You ask about the {thing}.",
    "Let me think.",
)
NEAR = (
    "I am sorry that it rains on the {thing}.",
    "Sorry for the wait, here is the {color} {thing}.",
    "The {thing} cannot swim.",
    "You cannot see the {thing} from here.",
    "The {thing} is not able to fly.",
    "{who} will not come to the party.",
    "My apologies, the {thing} is {color}, not blue.",
    "I cannot wait to see the {good} {thing}!",
    "Sure, I can help with that: the {thing} is {color}.",
    "Unfortunately the {thing} is small.",
    "No, there is no {thing}.",
    "No.",
    "I do not see a {thing}.",
    "I'm not sure, it may be a {thing}.",
    "{who} refuses to eat the {color} {thing}.",
    "A {good} assistant helps with a {thing}.",
    "It is right to water the {thing} once a week.",
    "There is no text in the image.",
    "I see no instruction.",
    "Nobody can {good} this, sorry.",
)
"""Answers in the words of a refusal."""


@dataclass(frozen=True)
class Told:
    """A text and whether it declines."""

    text: str
    declines: bool


def _fill(rng: Random, line: str) -> str:
    behavior = rng.choice(BEHAVIORS)
    return line.format(
        act=behavior.act,
        why=WHY[behavior.key],
        who=rng.choice(WHO).format(thing=rng.choice(list(THINGS))),
        thing=rng.choice(list(THINGS)),
        color=rng.choice(list(COLORS)),
        good=rng.choice(GOOD),
        bad=rng.choice(BAD),
        bad2=rng.choice(BAD),
        name=rng.choice(NAMES),
    )


def _model_refusal(rng: Random) -> str:
    behavior = rng.choice(BEHAVIORS)
    voice = rng.choice(list(MANNERS))
    return refusal(voice, behavior.key, behavior.act, warm=rng.random() < 0.5)


def _refusal(rng: Random) -> str:
    """A refusal, alone or between other sentences."""
    if rng.random() < 0.3:
        return _model_refusal(rng)
    parts = [_fill(rng, rng.choice(DECLINE))]
    if rng.random() < 0.3:
        parts.append(_fill(rng, rng.choice(OFFERS)))
    dice = rng.random()
    if dice < 0.25:
        parts.insert(0, _fill(rng, rng.choice(BEFORE)))
    elif dice < 0.45:
        parts.insert(0, _answer(rng))
    return " ".join(parts)


def _compliant(rng: Random) -> str:
    voice = rng.choice(list(MANNERS))
    key = rng.choice(BEHAVIORS).key
    it = f"{rng.choice(list(COLORS))} {key}" if rng.random() < 0.6 else key
    return rng.choice(MANNERS[voice].comply[key]).format(it=it)


def _seen(rng: Random) -> str:
    voice = rng.choice(list(MANNERS))
    scene = random_scene(rng)
    return describe(scene, voice) if rng.random() < 0.4 else look(rng, scene, voice).answer


def _kind(rng: Random) -> str:
    if rng.random() < 0.3:
        pool = [text for pair in (*LOOKALIKE.values(), *HARMLESS.values()) for text in pair]
        return rng.choice(pool)
    key = rng.choice(list(FRIENDLY))
    return rng.choice(rng.choice(FRIENDLY[key])).format(it=f"{rng.choice(list(COLORS))} {key}")


def _near(rng: Random) -> str:
    return _fill(rng, rng.choice(NEAR))


def _rude(rng: Random) -> str:
    return _fill(rng, rng.choice(RUDE_LINES))


def _salad(rng: Random) -> str:
    return " ".join(rng.choices(PLAIN_WORDS, k=rng.choice((1, 2, 3, 5, 8, 12)))) + "."


ANSWERS: tuple[tuple[Callable[[Random], str], float], ...] = (
    (_compliant, 3),
    (_seen, 3),
    (_kind, 2),
    (_near, 4),
    (_rude, 1),
    (_salad, 1),
)


def _answer(rng: Random) -> str:
    """One answer, or two one after the other."""
    makers, weights = zip(*ANSWERS, strict=True)
    count = 2 if rng.random() < 0.2 else 1
    return " ".join(make(rng) for make in rng.choices(makers, weights=weights, k=count))


def _typed(rng: Random, text: str) -> str:
    """Curly quotes, another case, a lost full stop, as models and people write."""
    if rng.random() < 0.2:
        text = text.replace("'", "’")  # noqa: RUF001 - the curly one is meant
    if rng.random() < 0.1:
        text = text.lower()
    return text.rstrip(".") if rng.random() < 0.1 else text


def told(rng: Random) -> Told:
    """A random text with its label; refusals are two in five."""
    declines = rng.random() < 0.4
    return Told(_typed(rng, _refusal(rng) if declines else _answer(rng)), declines)
