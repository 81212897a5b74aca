"""Names that look alike are stored as they are, and told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_maps import job

from lam3db.pipeline.imports.alike import alike
from lam3db.pipeline.imports.results import look


@pytest.mark.parametrize(
    ("other", "how"),
    [
        ("GPT-4 caf\xe9 ", "blanks"),
        ("GPT-4\xa0caf\xe9", "blanks"),
        ("GPT-4 caf\xe9\u200b", "blanks"),
        ("GPT-4 cafe\N{COMBINING ACUTE ACCENT}", "Unicode form"),
        ("GPT-\N{FULLWIDTH DIGIT FOUR} caf\xe9", "width"),
        ("gpt-4 caf\xe9", "letter case"),
    ],
)
def test_each_way_of_looking_alike_is_named(other: str, how: str) -> None:
    (remark,) = alike("models", ["GPT-4 caf\xe9", other, "GPT-4 cafe", "GPT-4 caf\xe9"])
    assert remark.startswith(f"models that differ in {how} only are stored as different: ")
    assert remark.endswith(" (1)")


def test_an_import_tells_its_models_keys_and_behaviors(tmp_path: Path) -> None:
    data = "id,model,prompt,answer,label\na,m,p,x,1\nA,m ,P,x,1\nb,m,q,y,0\n"
    seen = look(job(tmp_path, data))
    assert [line.split(" that")[0] for line in seen.remarks if "stored as" in line] == [
        *("models", "keys", "behaviors")
    ]
    assert len(seen.groups) == 2
