"""HarmBench: behaviors as text, text with a context, or text with an image.

Format, from centerforaisafety/HarmBench (``data/behavior_datasets/*.csv``): ``BehaviorID,
Behavior, FunctionalCategory, SemanticCategory, Tags``, and ``ContextString`` (text) or
``ImageFileName, ImageDescription, RedactedImageDescription, Source`` (multimodal). As its
DirectRequest baseline poses them: the context, a line of three dashes, the behavior. Its
images lie in ``data/multimodal_behavior_images``, all of them as ``.png``, also those that the
table calls ``.jpg`` or ``.jpeg`` (as PyRIT's loader says of revision c0423b9). The text behaviors
come whole (``_all``, 400) and as its test (320) and validation (80) parts, with the same columns;
copyright behaviors are told by ``FunctionalCategory`` and ``Tags``, which are kept as metadata.

A behavior is a ``BehaviorID``. Several share one sentence and differ in context or image, and
HarmBench's own judge is shown the context or the redacted description beside the sentence: so
both belong to the behavior's text here, an image with its id, since descriptions repeat.
Target texts lie in other files of the repository and are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.published.records import read_records, rest_of, text_of
from lam3db.datasets.published.shape import Picture, Posed, PublishedFile, PublishedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row

_COLUMNS = ("BehaviorID", "Behavior", "SemanticCategory", "FunctionalCategory")
_IMAGE = "ImageFileName"
_USED = (*_COLUMNS[:3], "ContextString", _IMAGE)
_TABLES = "data/behavior_datasets"
_IMAGES = "data/multimodal_behavior_images"


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for row in read_records(files[0], _COLUMNS, faults):
        yield _with_image(row, faults) if _IMAGE in row.values else _of_text(row, faults)


def _of_text(row: Row, faults: Faults) -> Posed:
    behavior, context = (text_of(row, name, faults) for name in ("Behavior", "ContextString"))
    return Posed(
        key=text_of(row, "BehaviorID", faults),
        prompt=f"{context}\n\n---\n\n{behavior}" if context else behavior,
        behavior=f"{behavior}\n\nContext: {context}" if context else behavior,
        line=row.line,
        place=row.place,
        category=row.values["SemanticCategory"],
        metadata=rest_of(row, _USED),
    )


def _with_image(row: Row, faults: Faults) -> Posed:
    name = text_of(row, _IMAGE, faults)
    if not name:
        faults.add(row.line, _IMAGE, "missing: a multimodal behavior has an image", row.place)
    key = text_of(row, "BehaviorID", faults)
    described = text_of(row, "RedactedImageDescription", faults)
    behavior = text_of(row, "Behavior", faults)
    stem = name.rpartition(".")[0]
    return Posed(
        key=key,
        prompt=behavior,
        behavior=f"{behavior}\n\nImage {key}: {described}",
        line=row.line,
        place=row.place,
        picture=Picture((_IMAGES,), name, f"{stem}.png" if stem else ""),
        category=row.values["SemanticCategory"],
        metadata=rest_of(row, _USED),
    )


FORMAT = PublishedFormat(
    title="HarmBench, text and multimodal",
    source="centerforaisafety/HarmBench",
    licence="MIT",
    files=(
        PublishedFile(f"{_TABLES}/harmbench_behaviors_text_all.csv", "harmbench-text"),
        PublishedFile(f"{_TABLES}/harmbench_behaviors_multimodal_all.csv", "harmbench-multimodal"),
        PublishedFile(
            f"{_TABLES}/harmbench_behaviors_text_test.csv", "harmbench-text-test", is_part=True
        ),
        PublishedFile(
            f"{_TABLES}/harmbench_behaviors_text_val.csv", "harmbench-text-val", is_part=True
        ),
    ),
    behavior="the BehaviorID: the sentence with its context or its image's description",
    samples="one a row, attack none; a context comes before its behavior",
    pose=_pose,
    images=f"{_IMAGES}/NAME as in the column {_IMAGE}",
)
