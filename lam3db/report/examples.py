"""A few answers for a page, drawn by lot and cut to a size: what the numbers are made of.

What must hold: which answers are shown is no choice of ours: of each model and attack those
that come first by a hash, of the unsafe and of the others alike, so the same database shows
the same; a withheld text says so; an image is shown small, from bytes that were verified.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import MediaError
from lam3db.records import TextPart, images_of
from lam3db.report.text import safe_text
from lam3db.store.answers import load_answer
from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.Image import Image
    from sqlalchemy import Connection

    from lam3db.media import MediaRoot
    from lam3db.report.build import JudgeColumn
    from lam3db.store.aggregates import Frame
    from lam3db.store.answers import AnswerDetail, ScoreDetail
    from lam3db.store.units import Unit

MOST = 60
_TEXT = 4000
_THUMBNAIL = 320
_MOST_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a data URI, or (``uri`` empty) why it cannot be shown."""

    uri: str
    alt: str


@dataclass(frozen=True, slots=True)
class Example:
    """One answer as a page shows it; texts are harmless and cut."""

    id: int
    model: str
    attack: str
    category: str
    sample: str
    prompt: str
    answer: str
    pictures: tuple[Picture, ...]
    said: tuple[str, ...]


def load_examples(
    conn: Connection, frame: Frame, judge: JudgeColumn, each: int, media: MediaRoot
) -> tuple[tuple[Example, ...], int]:
    """Return up to ``each`` answers per model and attack, and how many groups are left out.

    Half of them are unsafe under ``judge`` where it has such; at most :data:`MOST` in all.
    """
    if not each:
        return (), 0
    groups = _drawn(load_units(conn, frame, ["attack"], judge.judge), each)
    room = max(1, MOST // each)
    ids = [one for group in groups[:room] for one in group]
    found = tuple(_example(load_answer(conn, one), media) for one in ids)
    return found, max(0, len(groups) - room)


def _drawn(units: Iterable[Unit], each: int) -> list[list[int]]:
    """Return the ids per group: unsafe and other ones in turn, each by the order of a hash."""
    known: dict[tuple[int | str, ...], dict[bool, list[tuple[bytes, int]]]] = defaultdict(
        lambda: {True: [], False: []}
    )
    for unit in units:
        if unit.generation_id is not None and not unit.is_benign:
            lot = hashlib.sha256(f"{unit.generation_id}".encode()).digest()
            kept = known[unit.group][bool(unit.unsafe)]
            kept.append((lot, unit.generation_id))
            if len(kept) > 4 * each:
                kept.sort()
                del kept[each:]
    found = []
    for kinds in known.values():
        unsafe, other = (sorted(kinds[kind])[:each] for kind in (True, False))
        half = max(each - len(other), (each + 1) // 2)
        chosen = [*unsafe[:half], *other[: each - len(unsafe[:half])]]
        found.append([one for _, one in chosen])
    return found


def _example(answer: AnswerDetail, media: MediaRoot) -> Example:
    gone = f"(withheld {answer.withheld or ''}".rstrip() + ")"
    every = (part for message in answer.messages or () for part in message.parts)
    parts = [part.text for part in every if isinstance(part, TextPart)]
    images = images_of(answer.messages or ())
    pictures = tuple(_picture(sha256, media) for sha256 in images[:_MOST_IMAGES])
    return Example(
        id=answer.generation_id,
        model=safe_text(answer.model, 80),
        attack=safe_text(answer.attack, 80),
        category=safe_text(answer.category, 80),
        sample=safe_text(", ".join(answer.datasets) or answer.sample_digest[:12], 160),
        prompt=_cut(gone if answer.messages is None else "\n\n".join(parts)),
        answer=_cut(gone if answer.text is None else answer.text or "(empty)"),
        pictures=pictures,
        said=tuple(_said(score) for score in answer.scores),
    )


def _cut(text: str) -> str:
    """Return the text, harmless; what is too long ends in how much is left out."""
    if len(text) <= _TEXT:
        return safe_text(text)
    return f"{safe_text(text[:_TEXT])}\n[... {len(text) - _TEXT} more characters: lam3db show]"


def _said(score: ScoreDetail) -> str:
    value = "" if score.value is None else f" {score.value:.3f}"
    verdict = score.status if score.verdict is None else score.verdict
    if score.status == "ok" and score.verdict is None:
        verdict = ""
    who = f"{score.judge} #{score.judge_digest[:8]}"
    again = f" (revision {score.revision})" if score.revision else ""
    return safe_text(f"{who}: {verdict}{value}".replace(":  ", ": ") + again, 120)


def _picture(sha256: str, media: MediaRoot) -> Picture:
    try:
        opened = media.open(sha256)
    except MediaError as error:
        return Picture("", safe_text(f"image {sha256[:12]} is not shown: {error}", 300))
    width, height = opened.size
    return Picture(_data_uri(opened), f"image {sha256[:12]}, {width} x {height} pixels, made small")


def _data_uri(picture: Image) -> str:
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
