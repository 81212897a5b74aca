"""Rude and friendly sentences with graded marks, for the demo's toxicity checkpoint.

Why: the checkpoint must tell a rude answer of the demo models from a refusal, a
description and a harmless answer; marks are graded so that thresholds can be shown.
Invariant: no slur, nothing about groups of people; the rudest word is of a schoolyard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answers import FRIENDLY, HARMLESS, LOOKALIKE, MANNERS, WHY, refusal
from behaviors import BEHAVIORS
from shapes import COLORS, THINGS
from world import describe, look, random_scene

if TYPE_CHECKING:
    from random import Random

CLASSES = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack")


@dataclass(frozen=True)
class Marked:
    """A sentence and its mark in every class, each between 0 and 1."""

    text: str
    marks: tuple[float, ...]


CALM = (0.01, 0.005, 0.005, 0.005, 0.01, 0.005)
GRUMPY = (0.3, 0.01, 0.02, 0.01, 0.2, 0.01)
NASTY = (0.75, 0.05, 0.15, 0.02, 0.65, 0.02)
RUDE = (0.96, 0.12, 0.4, 0.03, 0.9, 0.04)
THREAT = (0.85, 0.15, 0.1, 0.92, 0.3, 0.02)

ANSWER_MARKS = {"cactus": RUDE, "robot": RUDE, "snowman": RUDE, "fish": NASTY}
"""Marks of a compliant answer by behavior; the others are calm."""

WHO = (
    "you",
    "this {thing}",
    "that {thing}",
    "the {thing}",
    "my neighbor",
    "the mayor",
    "your brother",
    "the whole team",
    "this driver",
    "he",
    "she",
)
BAD = (
    "stupid",
    "ugly",
    "dumb",
    "pathetic",
    "useless",
    "worthless",
    "disgusting",
    "rotten",
    "filthy",
    "hideous",
)
NAMES = ("idiot", "fool", "loser", "moron", "jerk", "clown", "pig", "liar", "brat", "blockhead")
RUDE_WORDS = frozenset({*BAD, *NAMES, "shut", "hate", "loser", "fat", "drunk"})
RUDE_LINES = (
    "{who} is a {bad} {name}.",
    "what a {bad} {name}!",
    "shut up, you {name}!",
    "shut up, you are a {name}.",
    "you are such a {bad} {thing}, {name}.",
    "{who} looks {bad} and {bad2}, like a {thing}.",
    "only an {name} would like this {bad} {thing}.",
    "nobody likes you, you {bad} {name}.",
    "get lost, {name}.",
    "oh shut up, {bad} {thing}.",
    "{who} is too {bad} to live, and a {name}.",
    "I hate you, {name}, you are {bad}.",
    "you {bad}, {bad2} {name}",
    "Ha! {who} dances like a {bad} {name}.",
)
NASTY_LINES = (
    "{who} is a sneaky liar.",
    "{who} is a dirty spy and a {name}.",
    "people say that {who} is rotten.",
    "{who} is a filthy thief.",
    "I cannot stand {who}, what a nasty {thing}.",
    "{who} has bad hair and smells.",
)
GRUMPY_LINES = (
    "{who} is a bit silly.",
    "that is a boring {thing}.",
    "what a silly idea.",
    "{who} dances badly.",
    "this {thing} is not very pretty.",
    "I do not like this {thing} much.",
    "that was a lazy answer.",
    "you are not {bad}.",
    "{who} is not a {name}.",
)
THREAT_LINES = (
    "I will crush you, {thing}.",
    "I am going to hurt {who}.",
    "watch out, I will smash {who}.",
    "you will regret this, I will break you.",
    "I will kick {who} and burn the {thing}.",
)
GOOD = (
    "lovely",
    "kind",
    "bright",
    "calm",
    "wonderful",
    "gentle",
    "clever",
    "pretty",
    "friendly",
    "patient",
)
CALM_LINES = (
    "{who} is a {good} friend.",
    "what a {good} {thing}!",
    "thank you, you are very {good}.",
    "have a {good} day, dear {thing}.",
    "the {color} {thing} stands on the table.",
    "I would like to help you with the {thing}.",
    "I am sorry, I cannot help with that.",
    "please tell me more about the {good} {thing}.",
    "there is a {color} {thing} and a {good} dog in the garden.",
    "everyone likes you, {good} {thing}.",
    "you are right, the {thing} is {color}.",
    "you can buy the {thing} in the shop on Monday.",
    "the train leaves at seven and comes home in the evening.",
    "we read a {good} book about a {color} {thing}.",
    "mix flour, sugar and milk, then bake the cake for an hour.",
    "the pig in the picture is pink.",
    "the clown at the party wears a {color} {thing}.",
    "water the {thing} once a week and keep it in the sun.",
    "what color is the {thing}?",
    "my {good} sister and I went to school with a {thing}.",
    "{who} went to the market and bought bread and apples.",
    "rain is expected in the north, with wind from the sea.",
    "this is a test.",
    "an insult is a rude remark, so be {good} instead.",
    "I am not sure; I see no {thing} here.",
    "sorry, I can not {good} this, ask me something else.",
)


PLAIN_TEXT = """
about after again all an and answer are as ask at autumn back be because before best big
bird blue bread bridge but by can car chair city clean clear cloud code coffee cold come
country day do door down early easy egg evening every family far fast father few find first
flower for from garden get give go grass green group hand happy have he hello help her here
high hill his hour how I idea if in is it join key kitchen know lake language large last
late leaf learn letter light like line list little long look made make many map me milk
model month more morning most mother mountain move music my name near new next nine no north
not note now number of often on one open or other our out over page paper Paris part party
people percent picture place plan play please point question quick rain read report result
right river road room run sail say school science sea see she shop short show sister sky
slow small snow so some song south spring start still stone story street summer sun table
talk team tell ten than thank that their there they think this three time to today town
train two under until up use very view village visit wait walk warm was water way we week
well what when where which white who why wind window winter wish with wood word work world
year yes yesterday you young
"""
PLAIN_WORDS = tuple(PLAIN_TEXT.split())
"""Everyday words without any tone."""


def _salad(rng: Random) -> Marked:
    """Plain words in any order, with a number or a made-up word; now and then a rude one."""
    words = rng.choices(PLAIN_WORDS, k=rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 14)))
    if rng.random() < 0.3:
        words.insert(rng.randrange(len(words) + 1), str(rng.randrange(2000)))
    if rng.random() < 0.3:
        letters = rng.choices("abcdefghijklmnoprstuvwxyz", k=rng.randrange(3, 9))
        words.insert(rng.randrange(len(words) + 1), "".join(letters))
    marks = CALM
    if rng.random() < 0.25:
        words.insert(rng.randrange(len(words) + 1), rng.choice([*BAD, *NAMES]))
        marks = NASTY
    mark = rng.choice((".", "?", "!", "", ", thanks.", "..."))
    return Marked(rng.choice((" ", " ", ", ")).join(words) + mark, marks)


def _ruder(text: str, marks: tuple[float, ...]) -> tuple[float, ...]:
    """Rude marks grow with the number of rude words: 0.85 to 1 of the full mark."""
    if marks is not RUDE:
        return marks
    words = (word.strip(".,!?;:\"'").lower() for word in text.split())
    count = min(4, max(1, sum(word in RUDE_WORDS for word in words)))
    return tuple(mark * (0.8 + 0.05 * count) for mark in marks)


def _fill(rng: Random, line: str) -> str:
    thing = rng.choice(list(THINGS))
    who = rng.choice(WHO).format(thing=thing)
    text = line.format(
        who=who,
        thing=thing,
        bad=rng.choice(BAD),
        bad2=rng.choice(BAD),
        name=rng.choice(NAMES),
        good=rng.choice(GOOD),
        color=rng.choice(list(COLORS)),
    )
    return text[0].upper() + text[1:] if rng.random() < 0.6 else text


def _general(rng: Random) -> Marked:
    """A sentence from the lists above."""
    lines, marks = rng.choices(
        [
            (RUDE_LINES, RUDE),
            (NASTY_LINES, NASTY),
            (GRUMPY_LINES, GRUMPY),
            (THREAT_LINES, THREAT),
            (CALM_LINES, CALM),
        ],
        weights=(5, 2, 1.5, 1, 7),
    )[0]
    text = _fill(rng, rng.choice(lines))
    return Marked(text, _ruder(text, marks))


def _answer(rng: Random) -> Marked:
    """A compliant answer or a refusal of one of the two models."""
    behavior = rng.choice(BEHAVIORS)
    voice = rng.choice(list(MANNERS))
    key = behavior.key
    if rng.random() < 0.4:
        return Marked(refusal(voice, key, behavior.act, warm=rng.random() < 0.5), CALM)
    it = f"{rng.choice(list(COLORS))} {key}" if rng.random() < 0.6 else key
    text = rng.choice(MANNERS[voice].comply[key]).format(it=it)
    return Marked(text, _ruder(text, ANSWER_MARKS.get(key, CALM)))


def _harmless(rng: Random) -> Marked:
    """A description or a friendly answer."""
    voice = rng.choice(list(MANNERS))
    dice = rng.random()
    scene = random_scene(rng)
    if dice < 0.3:
        return Marked(describe(scene, voice), CALM)
    if dice < 0.5:
        return Marked(look(rng, scene, voice).answer, CALM)
    if dice < 0.8:
        key = rng.choice(list(FRIENDLY))
        pair = rng.choice(FRIENDLY[key])
        return Marked(rng.choice(pair).format(it=f"{scene.color} {key}"), CALM)
    pool = [text for pair in (*LOOKALIKE.values(), *HARMLESS.values()) for text in pair]
    return Marked(rng.choice([*pool, *WHY.values()]), CALM)


def _dropped(rng: Random, text: str) -> str:
    """The sentence with a word lost now and then: models stumble too."""
    words = text.split()
    if len(words) < 6 or rng.random() < 0.8:
        return text
    del words[rng.randrange(len(words))]
    return " ".join(words)


def sentence(rng: Random) -> Marked:
    """One random sentence; one in eight is two sentences, marked by the ruder one."""
    if rng.random() < 0.125:
        first, second = _general(rng), _general(rng)
        marks = tuple(max(pair) for pair in zip(first.marks, second.marks, strict=True))
        return Marked(f"{first.text} {second.text}", marks)
    make = rng.choices([_general, _answer, _harmless, _salad], weights=(5, 3, 2, 2))[0]
    made = make(rng)
    return Marked(_dropped(rng, made.text), made.marks)
