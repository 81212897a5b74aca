"""Kinds are found by name: ours, and those of packages, whole or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lam3db.errors import ConfigError
from lam3db.plugins import judge_maker, model_kind

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kind_that_nobody_knows_is_told_with_a_near_one() -> None:
    with pytest.raises(ConfigError, match="no judge is of kind 'opanai-moderation' - did you mean"):
        judge_maker("opanai-moderation")
    with pytest.raises(ConfigError, match="no model is of kind 'endpiont' - did you mean"):
        model_kind("endpiont")


@pytest.mark.parametrize("place", ["no_such_module_at_all:MAKER", "json:MAKER"])
def test_a_package_that_is_broken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[lam3db.judges]\nbroken-kind = {place}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=f"'broken-kind' comes from .* {place} .* cannot be"):
        judge_maker("broken-kind")
