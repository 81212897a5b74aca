"""Pages of the daily log: read whole, shown again, the same bytes each time."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from pipeline import jobs
from scored import World, sample
from sqlalchemy import text
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.errors import InputError, NotFoundError
from lam3db.pipeline.generate import generate
from lam3db.pipeline.issue_tables import cells_of, markdown_tables
from lam3db.pipeline.judge import judge_pending
from lam3db.pipeline.log_import import import_page, noon, page_settings
from lam3db.pipeline.log_page import read_page
from lam3db.pipeline.watch import Silence
from lam3db.records import Failed, RunKind, Stage
from lam3db.report.daily import latest_day, render_day
from lam3db.store import writes
from lam3db.store.day import bounds
from lam3db.store.engine import Store, open_store
from lam3db.store.issue_words import IssueStatus
from lam3db.store.issues import Change, change_issue, find_issue
from lam3db.store.log import Entry, add_entries, load_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = Path(__file__).parents[3] / "shared" / "mission" / "2025-11-12-daily-log.md"
PAGE = """# 2026-01-02 LAM3 daily log

## 1. Overview

* Person: Ana
* a sentence without a label

## 2. Parameters

| category | key | value | remark |
|---|---|---|---|
| decoding | max_new_tokens | 64 | |
| decoding | min_new_tokens | 8 | not used |
| decoding | temp | 0.5 | a \\| b |

## 3. Progress

**Models:**

* one
  goes on
  * and has a part
* two

A paragraph of two
lines.

## 4. Issues

| ID | Description | Severity | Status | Note |
|----|-------------|----------|--------|------|
| X-1 | broken `pipe \\| here` | high | new | |

* a risk that is no row

## 5. Plan

1. **Soon**

   * do this

## 6. Commit

* Git commit: abc

## 7. Weather

* rain
"""


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as store:
        yield store


def page(tmp_path: Path, words: str = PAGE) -> Path:
    path = tmp_path / "page.md"
    path.write_text(words, encoding="utf-8")
    return path


def shown(store: Store, day: str, language: str = "en") -> str:
    with store.read() as conn:
        return render_day(conn, day, UTC, language)  # type: ignore[arg-type]


def rows(words: str) -> list[list[str]]:
    """Return the cells of every table on a page."""
    return [cells for table in markdown_tables(words) for _, cells in table]


def sentences(words: str) -> list[str]:
    """Return what stands on a page but tables, rules, blanks and numbering."""
    lines = [line.strip() for line in words.splitlines()]
    kept = [line for line in lines if line and not line.startswith("|") and line != "---"]
    return [line.removeprefix("1. ").removeprefix("2. ").removeprefix("3. ") for line in kept]


def test_the_labs_own_page_goes_in_and_comes_out(store: Store) -> None:
    if not LOG.exists():
        pytest.skip("the lab's log is not here")
    done = import_page(store, read_page(LOG), "JsW")
    settings = page_settings(read_page(LOG))
    assert (done.day, done.issues.opened, settings.unused) == (
        "2025-11-12",
        9,
        ("min_new_tokens",),
    )
    assert settings.runtime is not None
    config = settings.runtime.config
    assert (config.max_new_tokens, config.min_new_tokens, config.seed) == (256, None, 42)
    assert (config.quantization.enabled, config.quantization.compute_dtype) == (True, "bf16")
    original, again = LOG.read_text(encoding="utf-8"), shown(store, "2025-11-12", "zh")
    assert rows(again) == rows(original)
    assert len(rows(again)) == 1 + 13 + 1 + 9
    plain = [line.replace("**", "") for line in sentences(original)]
    there = [line.replace("**", "").removesuffix("：") for line in sentences(again)]  # noqa: RUF001
    assert there == [line.removesuffix("：") for line in plain]  # noqa: RUF001
    repeated = import_page(store, read_page(LOG), "JsW")
    assert (repeated.entries, repeated.issues.known) == (0, 9)
    assert shown(store, "2025-11-12", "zh") == again


def test_every_part_of_a_page_is_kept(store: Store, tmp_path: Path) -> None:
    import_page(store, read_page(page(tmp_path)), "ana")
    settings = page_settings(read_page(page(tmp_path)))
    assert settings.runtime is not None
    config = settings.runtime.config
    assert (config.max_new_tokens, config.temperature) == (64, 0.5)
    assert settings.unused == ("min_new_tokens",)
    again = shown(store, "2026-01-02")
    assert rows(again)[1:4] == rows(PAGE)[1:4]
    assert rows(again)[-1] == ["X-1", "broken `pipe | here`", "high", "**new**", ""]
    for words in ("* one\n  goes on\n  * and has a part\n* two", "lines.", "* a risk", "* rain"):
        assert words in again
    second = tmp_path / "second.md"
    second.write_text(again, encoding="utf-8")
    assert import_page(store, read_page(second), "ana").entries == 0
    assert shown(store, "2026-01-02") == again


def test_a_day_shows_issues_as_they_stood(store: Store, tmp_path: Path) -> None:
    import_page(store, read_page(page(tmp_path)), "ana")
    with store.write() as conn:
        solved = Change(status=IssueStatus.RESOLVED)
        change_issue(conn, "X-1", solved, "ana", at=noon("2026-01-04"))
    assert "**new**" in shown(store, "2026-01-02")
    assert "**new**" in shown(store, "2026-01-03")
    assert "| resolved |" in shown(store, "2026-01-04")
    assert "X-1" not in shown(store, "2026-01-05")
    assert "X-1" not in shown(store, "2026-01-01")
    import_page(store, read_page(page(tmp_path)), "ana")
    with store.read() as conn:
        assert find_issue(conn, "X-1").status is IssueStatus.RESOLVED


def test_runs_bring_parameters_results_and_commits(store: Store) -> None:
    jobs.put(store, [jobs.sample(number) for number in range(6)])
    generate(store, jobs.job(), Silence())
    judge_pending(store, jobs.judging(), Silence())
    with store.read() as conn:
        day = latest_day(conn, UTC)
    one, two = shown(store, day), shown(store, day)
    assert one == two
    assert "6 answers wanted, 0 cached, 6 new" in one
    assert "| null  | none   | 6 |" in one
    assert "half: 6 pending, 6 scored" in one
    assert "Git commit: " in one


def test_rows_of_a_model_asked_in_several_ways_say_by_which_run(store: Store) -> None:
    jobs.put(store, [jobs.sample(number) for number in range(6)])
    for replicates in (1, 2):
        generate(store, jobs.job(replicates=replicates), Silence())
    judge_pending(store, jobs.judging(), Silence())
    with store.read() as conn:
        day = latest_day(conn, UTC)
    named = [cells[:4] for cells in rows(shown(store, day)) if cells[1:3] == ["null", "none"]]
    by_count = {cells[3]: cells[0] for cells in named}
    assert set(by_count) == {"6", "12"}
    assert len(set(by_count.values())) == 2


def test_an_error_message_cannot_become_markup(store: Store) -> None:
    jobs.put(store, [jobs.sample(1)])
    done = generate(store, jobs.job(), Silence())
    message = "<script>alert(1)</script> | **bold** [x](javascript:1)\n## 9. Fake\n"
    with store.write() as conn:
        judge = writes.put_judge(conn, _judge())
        start = writes.RunStart(
            kind=RunKind.JUDGE,
            model_version_id=None,
            config_id=None,
            selection_id=None,
            dataset_id=None,
            judge_id=judge,
            environment_id=writes.put_environment(conn, {}),
            replicates=1,
            seed=None,
            requested={},
            effective={},
            options={},
            command="",
            host="",
            username="",
            code_commit=None,
            code_dirty=None,
        )
        run, _ = writes.start_run(conn, start)
        failed = writes.FailureIn(Failed("Odd|Error", message), generation_id=1, judge_id=judge)
        writes.put_failures(conn, run, Stage.JUDGE, [failed])
        day = latest_day(conn, UTC)
    assert done.run_uid
    words = shown(store, day)
    assert "<script" not in words.replace("\\<", "")
    assert "## 9. Fake" not in words
    table = [table for table in markdown_tables(words) if table[0][1][0] == "ID"]
    assert len(table[0][1][1]) == 5


def _judge() -> object:
    from lam3db import plugins

    return plugins.judge_maker("null").describe(jobs.judging().judge, Silence().hashing)


def test_days_are_those_of_a_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    first, end = bounds("2025-11-12", tokyo)
    assert end - first == 24 * 3600 * 10**6
    assert bounds("2025-11-12", UTC)[0] - first == 9 * 3600 * 10**6
    berlin = ZoneInfo("Europe/Berlin")
    first, end = bounds("2026-03-29", berlin)
    assert end - first == 23 * 3600 * 10**6


@pytest.mark.parametrize("day", ["2026-1-2", "20260102", "today", "2026-02-30", ""])
def test_what_is_no_day_is_refused(day: str) -> None:
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        noon(day)


def test_faults_are_told_and_nothing_is_stored(store: Store, tmp_path: Path) -> None:
    bad = PAGE.replace("| high | new |", "| awful | new |").replace("| not used |", "| x | y |")
    with pytest.raises(InputError) as caught:
        read_page(page(tmp_path, bad))
    assert len(caught.value.faults) == 2
    with pytest.raises(InputError, match="names no day"):
        import_page(store, read_page(page(tmp_path, PAGE.replace("2026-01-02", "x"))), "ana")
    with store.read() as conn, pytest.raises(NotFoundError, match="nothing to log"):
        latest_day(conn, UTC)


def test_a_sentence_twice_is_there_twice_and_added_once(store: Store) -> None:
    twice = [Entry("plan", "rest"), Entry("plan", "rest")]
    with store.write() as conn:
        assert add_entries(conn, "2026-01-02", twice, "ana") == 2
        assert add_entries(conn, "2026-01-02", twice, "ana") == 0
        assert [one.text for one in load_entries(conn, "2026-01-02")] == ["rest", "rest"]


def test_cells_may_hold_bars() -> None:
    assert cells_of("| a \\| b | c |  |") == ["a | b", "c", ""]


def test_a_heading_and_a_label_hold_no_secret_and_no_escape_sequence(store: Store) -> None:
    key = "sk-" + "a1" * 12
    with store.write() as conn:
        entry = Entry(
            "overview", f"who: {key}", f"\x1b[2J {key}\nnext", {"label": "who", "value": key}
        )
        assert add_entries(conn, "2026-01-02", [entry], f"me {key}") == 1
        assert add_entries(conn, "2026-01-02", [entry], "me") == 0
        (one,) = load_entries(conn, "2026-01-02")
        assert key not in str(one)
        asked = text("SELECT count(*) FROM log_entry WHERE author LIKE :key")
        assert conn.execute(asked, {"key": f"%{key}%"}).scalar_one() == 0
    said = shown(store, "2026-01-02")
    assert "\x1b" not in said
    assert "**\\x1b[2J *** next:**" in said


def test_a_models_name_cannot_become_markup_among_the_parameters(store: Store) -> None:
    with store.write() as conn:
        world = World(conn)
        bench = world.dataset([sample("b")])
        world.answer(bench, world.model("<img src=x onerror=alert(1)>"), world.config())
        when = latest_day(conn, ZoneInfo("UTC"))
    said = shown(store, when)
    assert "\\<img" in said
    bare = re.sub("`[^`]*`", "", said)  # code is shown as it is
    assert "<img" not in bare.replace("\\<img", "")


@pytest.mark.parametrize("wrong", ["taken", "no folder", "no settings"])
def test_a_runtime_file_that_cannot_be_is_refused_before_anything_is_stored(
    sqlite_url: str, tmp_path: Path, wrong: str
) -> None:
    out = tmp_path / "none" / "r.yaml" if wrong == "no folder" else tmp_path / "runtime.yaml"
    text_of_page = PAGE
    if wrong == "taken":
        out.write_text("mine")
    if wrong == "no settings":
        text_of_page = re.sub(r"(?m)^\| decoding.*\n", "", PAGE)
    words = ["log", "import", str(page(tmp_path, text_of_page)), "--runtime-out", str(out)]
    result = CliRunner().invoke(app, [*words, "--db", sqlite_url])
    assert isinstance(result.exception, InputError)
    assert "--runtime-out" in str(result.exception)
    with open_store(sqlite_url, mode="write") as store, store.read() as conn:
        assert load_entries(conn, "2026-01-02") == []
    result = CliRunner().invoke(app, [*words[:3], "--db", sqlite_url])
    assert result.exit_code == 0
    if wrong == "taken":
        assert out.read_text() == "mine"
        out.unlink()
        assert CliRunner().invoke(app, [*words, "--db", sqlite_url]).exit_code == 0
        assert "temperature: 0.5" in out.read_text()
