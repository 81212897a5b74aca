"""StrongREJECT: forbidden prompts of six categories, gathered from several sources.

Format, from alexandrasouly/strongreject (``strongreject_dataset/*.csv``): columns ``category,
source, forbidden_prompt``, 313 rows, no identifier; the small file has 60 of them, numbered
anew.
"""

from __future__ import annotations

from lam3db.datasets.published.plain import numbered
from lam3db.datasets.published.shape import PublishedFile, PublishedFormat

_FOLDER = "strongreject_dataset"

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
    pose=numbered("forbidden_prompt", category="category"),
)
