"""AdvBench, harmful behaviors: one request a row, with the beginning of an answer.

Format, from llm-attacks/llm-attacks (``data/advbench/harmful_behaviors.csv``): columns
``goal, target``, 520 rows. There is no identifier: the key is the row's number from 0, as
papers that name single rows count them. AdvBench's ``harmful_strings.csv`` has no prompts and
is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.published.records import read_records, rest_of
from lam3db.datasets.published.shape import Posed, PublishedFile, PublishedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults

_COLUMNS = ("goal", "target")


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for number, row in enumerate(read_records(files[0], _COLUMNS, faults)):
        yield Posed(
            key=str(number),
            prompt=row.values["goal"],
            behavior=row.values["goal"],
            line=row.line,
            place=row.place,
            target=row.values["target"],
            metadata=rest_of(row, _COLUMNS),
        )


FORMAT = PublishedFormat(
    title="AdvBench, harmful behaviors",
    source="llm-attacks/llm-attacks",
    licence="MIT",
    files=(PublishedFile("data/advbench/harmful_behaviors.csv", "advbench"),),
    behavior="the goal",
    samples="one a row, attack none, with its target",
    pose=_pose,
)
