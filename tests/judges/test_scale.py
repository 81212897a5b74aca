"""A scale is read from what a spec says of it, and from nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from lam3db.judges.scale import grades


@pytest.mark.parametrize(
    ("spec", "ends"),
    [
        ({"scale": [1, 10]}, (1.0, 10.0)),
        ({"scale": (0, 100)}, (0.0, 100.0)),
        ({"scale": [0, 1]}, None),
        ({"labels": "grade:1-5"}, (1.0, 5.0)),
        ({"labels": "grade:-2-2"}, (-2.0, 2.0)),
        ({"output": {"words": {"1": 1, "5": 5}}}, (1.0, 5.0)),
        ({"output": {"words": {"1": 0, "3": 0.5, "5": 1}}}, None),
        ({"output": {"words": {"Yes": "unsafe", "No": "safe"}}}, None),
        ({}, None),
    ],
)
def test_the_ends_of_a_scale(spec: dict[str, Any], ends: tuple[float, float] | None) -> None:
    assert grades(spec) == ends


@pytest.mark.parametrize(
    "scale",
    [
        ["a", "b"],
        [5, 1],
        [1, 1],
        [1],
        [True, 5],
        [None, 5],
        [0, float("nan")],
        [0, 10**400],
        "1-5",
        5,
    ],
)
def test_what_is_no_scale_says_nothing_and_raises_nothing(scale: Any) -> None:
    assert grades({"scale": scale}) is None
    assert grades({"scale": scale, "labels": "grade:1-5"}) == (1.0, 5.0)
