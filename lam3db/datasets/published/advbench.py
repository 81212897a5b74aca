"""AdvBench, harmful behaviors: one request a row, with the beginning of an answer.

Format, from llm-attacks/llm-attacks (``data/advbench/harmful_behaviors.csv``): columns
``goal, target``, 520 rows, no identifier. AdvBench's ``harmful_strings.csv`` has no prompts and
is not read.
"""

from __future__ import annotations

from lam3db.datasets.published.plain import numbered
from lam3db.datasets.published.shape import PublishedFile, PublishedFormat

FORMAT = PublishedFormat(
    title="AdvBench, harmful behaviors",
    source="llm-attacks/llm-attacks",
    licence="MIT",
    files=(PublishedFile("data/advbench/harmful_behaviors.csv", "advbench"),),
    behavior="the goal",
    samples="one a row, attack none, with its target",
    pose=numbered("goal", target="target"),
)
