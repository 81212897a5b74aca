"""JailBreakV-28K: jailbreak texts and pictures, each made for one request.

Format, from JailbreakV-28K/JailBreakV-28k (``JailBreakV_28K/JailBreakV_28K.csv`` and the 280
rows of ``mini_JailBreakV_28K.csv``): ``id, jailbreak_query, redteam_query, format, policy,
image_path, from, selected_mini, transfer_from_llm``; formats Template, Persuade, Logic,
figstep, SD, SD_typo, typo; images beside the file in ``figstep``, ``llm_transfer_attack`` and
``query_related``.

``redteam_query`` is the behavior: many rows attack for one. Every row has an image in the
publication; a row without one is posed as text, and the user is told how many there are. The
requests that the rows were made from lie beside them in ``RedTeam_2K.csv`` (2,000 rows: ``id,
question, policy, from``), which is read where it is named: texts, attack none. What the Hugging
Face hub makes of the tables in Parquet has the same columns, and is read where it is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.published.records import read_records, rest_of, text_of
from lam3db.datasets.published.shape import Picture, Posed, PublishedFile, PublishedFormat
from lam3db.records import Attack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults

_COLUMNS = ("id", "jailbreak_query", "redteam_query", "format", "policy", "image_path")
_USED = ("jailbreak_query", "redteam_query", "format", "policy", "image_path")
_FOLDER = "JailBreakV_28K"
_REQUESTS = "RedTeam_2K"


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    if files[0].stem == _REQUESTS:
        yield from _requests(files[0], faults)
        return
    for row in read_records(files[0], _COLUMNS, faults):
        image = text_of(row, "image_path", faults)
        kind = text_of(row, "format", faults)
        if not kind:
            faults.add(row.line, "format", "missing: it names the attack", row.place)
        if not image:
            faults.remarks.note("rows without an image_path are posed as text alone")
        yield Posed(
            key=text_of(row, "id", faults),
            prompt=row.values["jailbreak_query"],
            behavior=row.values["redteam_query"],
            line=row.line,
            place=row.place,
            picture=Picture((_FOLDER,), image) if image else None,
            category=row.values["policy"],
            attack=Attack(kind or "none"),
            metadata=rest_of(row, _USED),
        )


def _requests(file: Path, faults: Faults) -> Iterator[Posed]:
    for row in read_records(file, ("id", "question", "policy"), faults):
        yield Posed(
            key=text_of(row, "id", faults),
            prompt=row.values["question"],
            behavior=row.values["question"],
            line=row.line,
            place=row.place,
            category=row.values["policy"],
            metadata=rest_of(row, ("id", "question", "policy")),
        )


FORMAT = PublishedFormat(
    title="JailBreakV-28K",
    source="JailbreakV-28K/JailBreakV-28k",
    licence="MIT",
    files=(
        PublishedFile(f"{_FOLDER}/JailBreakV_28K.csv", "jailbreakv-28k"),
        PublishedFile(f"{_FOLDER}/mini_JailBreakV_28K.csv", "jailbreakv-mini", is_part=True),
        PublishedFile(f"{_FOLDER}/{_REQUESTS}.csv", "redteam-2k", is_part=True),
    ),
    behavior="redteam_query",
    samples="one a row, the attack by its format",
    pose=_pose,
    images="beside the file, as image_path names them: figstep, llm_transfer_attack, query_related",
)
