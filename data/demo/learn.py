"""Trains one of the two models: pictures, batches, two stages, held-out figures.

Stage one teaches the eyes alone (what, which colour, which words) through heads that are
thrown away; stage two teaches the whole model to answer, with the loss on the answer only.
Why two: from scratch and on two cores, a language model ignores eyes that cannot see yet.
Invariant: everything random comes from the seed; held-out pictures come from another one.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from build import SYSTEM_PROMPT, Built
from PIL import Image, ImageOps
from shapes import COLORS, GROUNDS, THINGS, Scene, draw_scene
from torch import Tensor, nn
from world import SIGN_KEYS, WORDS, Example, ask, blur, random_scene

Batch = dict[str, Tensor]
CLIP_MEAN = (122, 116, 104)
IGNORED = -100


@dataclass(frozen=True)
class Plan:
    """How long and on how much to train."""

    seed: int = 42
    pictures: int = 24_000
    held_out: int = 400
    eye_steps: int = 1500
    eye_batch: int = 64
    steps: int = 1200
    batch: int = 16
    questions: int = 4
    rate: float = 2e-3
    sharp: float = 0.1


@dataclass(frozen=True)
class Gallery:
    """Scenes with their prepared pixels, row by row."""

    scenes: list[Scene]
    pixels: Batch


# -- pictures and words --------------------------------------------------------------


def _shown(rng: Random, scene: Scene, name: str) -> Image.Image:
    """The drawing, for LLaVA every second time padded to a square as the original does."""
    image = draw_scene(scene)
    if name == "llava" and rng.random() < 0.5:
        side = max(image.size)
        return ImageOps.pad(image, (side, side), color=CLIP_MEAN)
    return image


def _prepare(built: Built, images: list[Image.Image]) -> Batch:
    """Pixels as the real image processor gives them, IDEFICS2's padded to one size."""
    nested = images if built.name == "llava" else [[image] for image in images]
    return dict(built.processor.image_processor(nested, return_tensors="pt"))


def gallery(built: Built, count: int, seed: int) -> Gallery:
    """Draw `count` random scenes and prepare them."""
    rng = Random(seed)
    scenes = [random_scene(rng) for _ in range(count)]
    probe = Scene((64, 64), "white", "red", "cup")  # fixes IDEFICS2's padded size
    parts: list[Batch] = []
    for start in range(0, count, 500):
        images = [_shown(rng, scene, built.name) for scene in scenes[start : start + 500]]
        parts.append({k: v[:-1] for k, v in _prepare(built, [*images, draw_scene(probe)]).items()})
    return Gallery(scenes, {key: torch.cat([part[key] for part in parts]) for key in parts[0]})


def conversation(built: Built, prompt: str, *, system: bool, image: bool = True) -> str:
    """The text of one question through the model's own chat template."""
    picture = [{"type": "image"}] if image else []
    asked: list[dict[str, Any]] = [
        {"role": "user", "content": [*picture, {"type": "text", "text": prompt}]}
    ]
    if system:
        first = {"role": "system", "content": [{"type": "text", "text": SYSTEM_PROMPT}]}
        asked.insert(0, first)
    text = built.processor.apply_chat_template(asked, add_generation_prompt=True)
    return str(text)


def split_at_image(built: Built, text: str) -> tuple[str, str]:
    """Cut a conversation after its image, with as many image tokens as the processor puts."""
    before, after = text.split("<image>")
    if built.name == "llava":
        return before + "<image>" * built.model.config.image_seq_length, after
    fake = "<fake_token_around_image>"
    latents = built.model.config.perceiver_config.resampler_n_latents
    return f"{before}{fake}{'<image>' * latents}{fake}", f" {after}"


@dataclass(frozen=True)
class Packed:
    """One picture with several questions: token ids, labels, positions and segment numbers.

    Segment 0 (system prompt and image) is seen by all; a question sees it and itself only,
    at the positions it would have alone: as good as separate rows, at half the price.
    """

    ids: list[int]
    labels: list[int]
    places: list[int]
    segments: list[int]

    def add(self, question: list[int], answer: list[int], segment: int) -> None:
        """Append a question and its answer as one segment."""
        first = self.segments.count(0) if segment else 0
        size = len(question) + len(answer)
        self.ids.extend(question + answer)
        self.labels.extend([IGNORED] * len(question) + answer)
        self.places.extend(range(first, first + size))
        self.segments.extend([segment] * size)


class Teacher:
    """Makes training batches for one model out of a gallery."""

    def __init__(self, built: Built, pictures: Gallery, plan: Plan) -> None:
        self.built = built
        self.pictures = pictures
        self.plan = plan
        self.rng = Random(plan.seed)
        self._cache: dict[str, list[int]] = {}

    def _ids(self, text: str, *, start: bool) -> list[int]:
        key = f"{start}{text}"
        if key not in self._cache:
            found = self.built.processor.tokenizer(text, add_special_tokens=start)["input_ids"]
            self._cache[key] = found
        return self._cache[key]

    def lesson(self, scene: Scene) -> Packed:
        """A picture with some questions and their answers."""
        packed = Packed([], [], [], [])
        system = self.built.name == "llava" and self.rng.random() < 0.75
        for number in range(1, self.plan.questions + 1):
            example = ask(self.rng, scene, self.built.name)
            prompt = blur(self.rng, example.prompt)
            text = conversation(self.built, prompt, system=system)
            before, after = split_at_image(self.built, text)
            if number == 1:
                packed.add(self._ids(before, start=True), [], 0)
            answer = self._ids(f" {example.answer}{self.built.end}", start=False)
            packed.add(self._ids(after, start=False), answer, number)
        return packed

    def batch(self) -> tuple[list[int], Batch]:
        """Rows of the gallery and one batch, padded on the right; labels only on answers."""
        rows = self.rng.choices(range(len(self.pictures.scenes)), k=self.plan.batch)
        lessons = [self.lesson(self.pictures.scenes[row]) for row in rows]
        longest = max(len(lesson.ids) for lesson in lessons)
        pad = self.built.processor.tokenizer.pad_token_id

        def stack(lists: list[list[int]], fill: int) -> Tensor:
            return torch.tensor([one + [fill] * (longest - len(one)) for one in lists])

        segments = stack([lesson.segments for lesson in lessons], -1)
        same = segments[:, :, None] == segments[:, None, :]
        mask = (same | (segments == 0)[:, None, :]).tril()
        return rows, {
            "input_ids": stack([lesson.ids for lesson in lessons], pad),
            "labels": stack([lesson.labels for lesson in lessons], IGNORED),
            "position_ids": stack([lesson.places for lesson in lessons], 0),
            "attention_mask": mask[:, None],
            **{key: value[rows] for key, value in self.pictures.pixels.items()},
        }


# -- stage one: the eyes -------------------------------------------------------------

_TEXTS = ["", *WORDS, *(" ".join(sign) for sign in SIGN_KEYS)]
_ATTRIBUTES: dict[str, list[str]] = {
    "thing": ["", *THINGS],
    "color": list(COLORS),
    "ground": list(GROUNDS),
    "text": _TEXTS,
    "size": ["large", "small"],
}


def _facts(scene: Scene) -> list[int]:
    size = "small" if scene.is_small else "large"
    text = " ".join(scene.sign) or scene.word
    named = {
        "thing": scene.thing,
        "color": scene.color,
        "ground": scene.ground,
        "text": text,
        "size": size,
    }
    return [_ATTRIBUTES[key].index(value) for key, value in named.items()]


class Quiz(nn.Module):
    """Asks a set of tokens about each attribute, by attention as the language part will."""

    def __init__(self, width: int, sizes: list[int], looks: int = 4) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.05 * torch.randn(looks * len(sizes), width))
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.guesses = nn.ModuleList(nn.Linear(looks * width, size) for size in sizes)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Tokens (pictures, tokens, width) -> one row of logits per picture and attribute."""
        match = self.queries @ self.keys(tokens).transpose(1, 2)
        weights = (4 * match * tokens.shape[-1] ** -0.5).softmax(dim=-1)
        found = (weights @ self.values(tokens)).view(len(tokens), len(self.guesses), -1)
        return [guess(found[:, index]) for index, guess in enumerate(self.guesses)]


def seen(built: Built, pixels: Batch) -> list[Tensor]:
    """The tokens that reach the language part; for IDEFICS2 also those before the perceiver."""
    inner = built.model.model
    if built.name == "llava":
        kept = built.model.config
        found = inner.get_image_features(
            pixels["pixel_values"],
            vision_feature_layer=kept.vision_feature_layer,
            vision_feature_select_strategy=kept.vision_feature_select_strategy,
        )
        return [torch.stack(list(found.pooler_output))]
    found = inner.get_image_features(pixels["pixel_values"], pixels["pixel_attention_mask"])
    return [torch.stack(list(found.pooler_output)), found.last_hidden_state]


def _marks(guesses: list[Tensor], truth: Tensor) -> tuple[Tensor, Tensor]:
    """Loss over all attributes, and the share right for each."""
    pairs = list(zip(guesses, truth.unbind(1), strict=True))
    loss = torch.stack([nn.functional.cross_entropy(guess, want) for guess, want in pairs])
    right = [(guess.argmax(1) == want).float().mean() for guess, want in pairs]
    return loss.sum(), torch.stack(right)


def train_eyes(built: Built, pictures: Gallery, plan: Plan) -> Quiz:
    """Stage one; returns the quiz on what the language part will get."""
    facts = torch.tensor([_facts(scene) for scene in pictures.scenes])
    sizes = [len(values) for values in _ATTRIBUTES.values()]
    width = built.model.config.text_config.hidden_size
    quizzes = [Quiz(width, sizes) for _ in range(1 if built.name == "llava" else 2)]
    asked = [part for quiz in quizzes for part in quiz.parameters()]
    parts = [*built.model.model.parameters(), *asked]
    optimizer = torch.optim.AdamW(parts, lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=plan.rate, total_steps=plan.eye_steps, pct_start=0.15
    )
    order = torch.Generator().manual_seed(plan.seed)
    right = torch.zeros(len(sizes))
    for step in range(plan.eye_steps):
        rows = torch.randint(len(facts), (plan.eye_batch,), generator=order)
        tokens = seen(built, {key: value[rows] for key, value in pictures.pixels.items()})
        asked_of = zip(quizzes, tokens, strict=True)
        results = [_marks(quiz(part), facts[rows]) for quiz, part in asked_of]
        _advance(torch.stack([loss for loss, _ in results]).sum(), parts, optimizer, schedule)
        right = 0.95 * right + 0.05 * results[0][1]
        if step % 100 == 0:
            _tell("eyes", step, results[0][0], str([round(share, 2) for share in right.tolist()]))
    return quizzes[0]


@torch.inference_mode()
def eye_test(built: Built, quiz: Quiz, plan: Plan) -> dict[str, float]:
    """Share right for each attribute on fresh pictures."""
    fresh = gallery(built, plan.held_out, plan.seed + 2_000_003)
    truth = torch.tensor([_facts(scene) for scene in fresh.scenes])
    _, right = _marks(quiz(seen(built, fresh.pixels)[0]), truth)
    return {key: round(share, 3) for key, share in zip(_ATTRIBUTES, right.tolist(), strict=True)}


def _tell(stage: str, step: int, loss: Tensor, rest: str) -> None:
    print(f"  {stage} {step:5d} loss {loss.item():.3f} {rest}", flush=True)


def _advance(
    loss: Tensor,
    parts: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parts, 1.0)
    optimizer.step()
    schedule.step()


# -- stage two: the whole model ------------------------------------------------------


def _listen(built: Built, heard: dict[str, Tensor]) -> None:
    """Keep, at every step, the tokens on their way to the language part."""
    name = "multi_modal_projector" if built.name == "llava" else "connector"

    def keep(_module: nn.Module, _given: Any, out: Tensor) -> None:
        heard["tokens"] = out

    built.model.model.get_submodule(name).register_forward_hook(keep)


def train_talk(built: Built, quiz: Quiz, pictures: Gallery, plan: Plan) -> None:
    """Stage two: next-token loss on the answers; the quiz goes on, so that eyes stay sharp."""
    facts = torch.tensor([_facts(scene) for scene in pictures.scenes])
    heard: dict[str, Tensor] = {}
    _listen(built, heard)
    teacher = Teacher(built, pictures, plan)
    parts = [*built.model.parameters(), *quiz.parameters()]
    optimizer = torch.optim.AdamW(parts, lr=plan.rate, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=plan.rate, total_steps=plan.steps, pct_start=0.1
    )
    begun = time.monotonic()
    for step in range(plan.steps):
        rows, batch = teacher.batch()
        loss = built.model(**batch).loss
        sharp, _ = _marks(quiz(heard["tokens"]), facts[rows])
        _advance(loss + plan.sharp * sharp, parts, optimizer, schedule)
        if step % 100 == 0:
            _tell("talk", step, loss, f"{time.monotonic() - begun:.0f} s")


# -- figures -------------------------------------------------------------------------


@torch.inference_mode()
def answers(
    built: Built, images: list[Image.Image], prompts: list[str], *, system: bool = False, **how: Any
) -> list[str]:
    """Answers through the real processor and `generate`, 32 at a time."""
    processor = built.processor
    found: list[str] = []
    for start in range(0, len(prompts), 32):
        part = slice(start, start + 32)
        texts = [conversation(built, prompt, system=system) for prompt in prompts[part]]
        nested = images[part] if built.name == "llava" else [[image] for image in images[part]]
        inputs = processor(text=texts, images=nested, return_tensors="pt", padding=True)
        inputs["pixel_values"] = inputs["pixel_values"].to(built.model.dtype)
        out = built.model.generate(**inputs, max_new_tokens=64, **how)
        fresh = out[:, inputs["input_ids"].shape[1] :]
        found += [text.strip() for text in processor.batch_decode(fresh, skip_special_tokens=True)]
    return found


def held_out(built: Built, plan: Plan, **how: Any) -> dict[str, float]:
    """Share of exact answers on fresh pictures, by kind of question and over all."""
    rng = Random(plan.seed + 1_000_003)
    scenes = [random_scene(rng) for _ in range(plan.held_out)]
    asked: list[Example] = [ask(rng, scene, built.name) for scene in scenes]
    images = [_shown(rng, scene, built.name) for scene in scenes]
    prompts = [example.prompt for example in asked]
    said = answers(built, images, prompts, system=built.name == "llava", **how)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for example, text in zip(asked, said, strict=True):
        for kind in (example.kind, "all"):
            total[kind] += 1
            right[kind] += text == example.answer
    return {kind: round(right[kind] / total[kind], 3) for kind in sorted(total)}
