"""``lam3db issue`` as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.typed import lam3db

if TYPE_CHECKING:
    from pathlib import Path


def test_an_empty_list_says_what_to_type(tmp_path: Path) -> None:
    lam3db(tmp_path, "db", "upgrade")
    assert "`lam3db issue open TITLE`" in lam3db(tmp_path, "issue", "list").stderr
    key = lam3db(tmp_path, "issue", "open", "weights are lost", "--severity", "高").stdout.strip()
    listed = lam3db(tmp_path, "issue", "list")
    assert key in listed.stdout
    assert "no issue yet" not in listed.stderr
    lam3db(tmp_path, "issue", "close", key)
    assert "0 of 1 issues; --all shows the others" in lam3db(tmp_path, "issue", "list").stderr
