"""JailBreakV-28K: jailbreak texts and pictures, each made for one request.

Format, from JailbreakV-28K/JailBreakV-28k (``JailBreakV_28K/JailBreakV_28K.csv`` and the 280
rows of ``mini_JailBreakV_28K.csv``): ``id, jailbreak_query, redteam_query, format, policy,
image_path, from, selected_mini, transfer_from_llm``; formats Template, Persuade, Logic,
figstep, SD, SD_typo, typo; images beside the file in ``figstep``, ``llm_transfer_attack`` and
``query_related``.

``redteam_query`` is the behavior: many rows attack for one. Every row has an image in the
publication; that a row without one is posed as text is our reading, unconfirmed.
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


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for row in read_records(files[0], _COLUMNS, faults):
        image = text_of(row, "image_path", faults)
        kind = text_of(row, "format", faults)
        if not kind:
            faults.add(row.line, "format", "missing: it names the attack", row.place)
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


FORMAT = PublishedFormat(
    title="JailBreakV-28K",
    source="JailbreakV-28K/JailBreakV-28k",
    licence="MIT",
    files=(
        PublishedFile(f"{_FOLDER}/JailBreakV_28K.csv", "jailbreakv-28k"),
        PublishedFile(f"{_FOLDER}/mini_JailBreakV_28K.csv", "jailbreakv-mini", is_part=True),
    ),
    behavior="redteam_query",
    samples="one a row, the attack by its format",
    pose=_pose,
    images="beside the file, as image_path names them: figstep, llm_transfer_attack, query_related",
)
