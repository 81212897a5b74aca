"""StrongREJECT: forbidden prompts of six categories, gathered from several sources.

Format, from alexandrasouly/strongreject (``strongreject_dataset/*.csv``): columns ``category,
source, forbidden_prompt``, 313 rows; the small file has 60 of them. There is no identifier:
the key is the row's number from 0 in its own file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.published.records import read_records, rest_of
from lam3db.datasets.published.shape import Posed, PublishedFile, PublishedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults

_COLUMNS = ("category", "forbidden_prompt")
_FOLDER = "strongreject_dataset"


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for number, row in enumerate(read_records(files[0], _COLUMNS, faults)):
        yield Posed(
            key=str(number),
            prompt=row.values["forbidden_prompt"],
            behavior=row.values["forbidden_prompt"],
            line=row.line,
            place=row.place,
            category=row.values["category"],
            metadata=rest_of(row, _COLUMNS),
        )


FORMAT = PublishedFormat(
    title="StrongREJECT",
    source="alexandrasouly/strongreject",
    licence="MIT",
    files=(
        PublishedFile(f"{_FOLDER}/strongreject_dataset.csv", "strongreject"),
        PublishedFile(
            f"{_FOLDER}/strongreject_small_dataset.csv", "strongreject-small", is_part=True
        ),
    ),
    behavior="the forbidden prompt",
    samples="one a row, attack none",
    pose=_pose,
)
