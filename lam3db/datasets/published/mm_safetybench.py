"""MM-SafetyBench: each question as three pictures, in thirteen scenarios.

Format, from isXinLiu/MM-SafetyBench: ``data/processed_questions/{NN-Scenario}.json``, an object
by id of ``Question, Changed Question, Key Phrase, Phrase Type, Rephrased Question, Rephrased
Question(SD)``; images ``data/imgs/{NN-Scenario}/{SD,SD_TYPO,TYPO}/{id}.jpg``. The kind of image
decides the text: SD goes with ``Rephrased Question(SD)``, the two others with ``Rephrased
Question``. One scenario is spelt ``01-Illegal_Activitiy`` in the publication; both spellings of
its folder are looked into. ``GPT-Pred`` (what the fields were parsed from) and an ``ans`` with
answers, which the evaluation adds, are no part of a sample and are told as not read.

One record is three samples of one behavior, its ``Question``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.published.records import note_unread, read_json
from lam3db.datasets.published.shape import Picture, Posed, PublishedFile, PublishedFormat
from lam3db.records import Attack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults

KINDS = {
    "SD": "Rephrased Question(SD)",
    "SD_TYPO": "Rephrased Question",
    "TYPO": "Rephrased Question",
}
"""Kind of image -> the field with the text that is asked."""
_NEEDED = ("Question", *dict.fromkeys(KINDS.values()))
_KEPT = ("Changed Question", "Key Phrase", "Phrase Type")
_SPELLINGS = ("Activitiy", "Activity")
_IMAGES = "data/imgs"


def records(file: Path, faults: Faults) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (id, where it stands, record) of a scenario's file."""
    value = read_json(file, faults)
    if value is None:
        return
    if not isinstance(value, dict):
        faults.add(None, file.name, f"an object of records by id is wanted, not {shown(value)}")
        return
    for number, record in value.items():
        place = f"record {number}" if faults.file else f"{file.name}, record {number}"
        missing = [name for name in _NEEDED if not isinstance(record, dict) or name not in record]
        if missing:
            faults.add(None, None, f"no {', '.join(map(repr, missing))}", place)
        else:
            yield number, place, record


def kept(number: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes along with the samples of a record as metadata."""
    return {"id": number, **{name: record[name] for name in _KEPT if record.get(name)}}


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for file in files:
        for number, place, record in records(file, faults):
            note_unread(record, (*_NEEDED, *_KEPT), faults)
            for kind, field in KINDS.items():
                yield Posed(
                    key=f"{file.stem}/{number}/{kind}",
                    prompt=record[field],
                    behavior=record["Question"],
                    place=place,
                    picture=_picture(file.stem, f"{kind}/{number}.jpg"),
                    category=file.stem,
                    attack=Attack(kind),
                    metadata=kept(number, record),
                )


def _picture(scenario: str, name: str) -> Picture:
    for spelling, other in (_SPELLINGS, _SPELLINGS[::-1]):
        if spelling in scenario:
            return Picture(
                (_IMAGES,), f"{scenario}/{name}", f"{scenario.replace(spelling, other)}/{name}"
            )
    return Picture((_IMAGES,), f"{scenario}/{name}")


FORMAT = PublishedFormat(
    title="MM-SafetyBench",
    source="isXinLiu/MM-SafetyBench",
    licence="",
    files=(PublishedFile("data/processed_questions/*.json", "mm-safetybench"),),
    behavior="the Question, in its scenario",
    samples="three a record, attacks SD, SD_TYPO and TYPO, each with the text of its kind",
    pose=_pose,
    images=f"{_IMAGES}/SCENARIO/KIND/ID.jpg",
)
