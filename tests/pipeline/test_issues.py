"""Issues: their history, the failures behind them, and trying exactly those again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stored
from pipeline import jobs
from sqlalchemy import text

from lam3db import plugins
from lam3db.config import JudgeConfig, RuntimeConfig
from lam3db.errors import ConfigError, InputError, NotFoundError
from lam3db.pipeline.generate import generate
from lam3db.pipeline.issue_links import Named, find_link
from lam3db.pipeline.issue_tables import read_issues, store_issues
from lam3db.pipeline.judge import judge_pending
from lam3db.pipeline.retry import plan_retry
from lam3db.pipeline.watch import Silence
from lam3db.records import Failed, RunKind, Stage
from lam3db.store import writes
from lam3db.store.engine import Store, open_store
from lam3db.store.failure_groups import kind_of, load_groups
from lam3db.store.issue_words import (
    IssueStatus,
    Severity,
    read_severity,
    read_status,
    shown_severity,
    shown_status,
)
from lam3db.store.issues import (
    Change,
    NewIssue,
    change_issue,
    find_issue,
    link_issue,
    load_issues,
    load_links,
    open_issue,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = Path(__file__).parents[3] / "shared" / "mission" / "2025-11-12-daily-log.md"
DAY = 1_762_905_600_000_000  # 2025-11-12T00:00:00Z


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as store:
        yield store


def test_every_word_shown_is_read_back() -> None:
    for language in ("en", "zh"):
        for status in IssueStatus:
            assert read_status(shown_status(status, language)) is status
        for severity in Severity:
            assert read_severity(f"**{shown_severity(severity, language)}**") is severity
    with pytest.raises(InputError, match="did you mean 'resolved'"):
        read_status("resolvd")


def test_an_issue_is_what_its_events_say_at_the_time_asked(store: Store) -> None:
    with store.write() as conn:
        first = Change(Severity.HIGH, IssueStatus.OPEN, "see run 7")
        key = open_issue(conn, NewIssue("weights are lost", change=first), "ana", at=DAY)
        assert key == "B20251112-1"
        assert open_issue(conn, NewIssue("another"), "ana", at=DAY + 1) == "B20251112-2"
        change = Change(status=IssueStatus.RESOLVED, note="copied again")
        assert change_issue(conn, key, change, "ben", at=DAY + 10) == 2
        assert change_issue(conn, key, change, "ben", at=DAY + 20) == 0
        before, after = find_issue(conn, key, until=DAY + 5), find_issue(conn, key)
        assert (before.status, before.note) == (IssueStatus.OPEN, "see run 7")
        assert (after.status, after.note) == (IssueStatus.RESOLVED, "copied again")
        assert [one.author for one in after.events] == ["ana"] * 4 + ["ben"] * 2
        assert [one.key for one in load_issues(conn, until=DAY)] == [key]
        with pytest.raises(NotFoundError, match="did you mean 'B20251112-"):
            find_issue(conn, "B20251112-l")
        with pytest.raises(InputError, match="already"):
            open_issue(conn, NewIssue("x", key), "ana")
        with pytest.raises(InputError, match="no blanks"):
            open_issue(conn, NewIssue("x", "a | b"), "ana")


def test_keys_are_counted_and_sorted_as_numbers(store: Store) -> None:
    with store.write() as conn:
        for number in (2, 10, 9):
            open_issue(conn, NewIssue("x", f"B20251112-{number}"), "ana", at=DAY)
        assert open_issue(conn, NewIssue("y"), "ana", at=DAY) == "B20251112-11"
        keys = [one.key.partition("-")[2] for one in load_issues(conn)]
        assert keys == ["2", "9", "10", "11"]


def test_a_secret_in_a_note_is_not_stored(store: Store) -> None:
    with store.write() as conn:
        note = "key sk-" + "a1B2" * 12
        key = open_issue(conn, NewIssue("x", change=Change(note=note)), "ana")
        assert "a1B2a1B2" not in find_issue(conn, key).note
        assert change_issue(conn, key, Change(note=note), "ana") == 0


def test_links_name_rows_that_are_there(store: Store) -> None:
    with store.write() as conn:
        world = stored.build(conn)
        (one, *_) = stored.answer_all(conn, world)
        key = open_issue(conn, NewIssue("x"), "ana")
        uid = conn.execute(text("SELECT uid FROM run")).scalars().first()
        digest = conn.execute(text("SELECT digest FROM model_version")).scalar_one()
        named = Named(run=str(uid)[:8], model=bytes(digest).hex()[:10], generation=one)
        assert link_issue(conn, key, find_link(conn, named), "ana")
        assert not link_issue(conn, key, find_link(conn, named), "ben")
        ((words,),) = load_links(conn).values()
        assert f"run {str(uid)[:8]}" in words
        assert f"answer {one}" in words
        for wrong in (
            Named(run="zz"),
            Named(model="zz"),
            Named(generation=10**6),
            Named(judge="x"),
        ):
            with pytest.raises(NotFoundError):
                find_link(conn, wrong)
        with pytest.raises(ConfigError):
            find_link(conn, Named())


@pytest.mark.parametrize(
    ("error_class", "message", "kind"),
    [
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB", "out of memory"),
        ("RuntimeError", "CUDA error: device-side assert triggered", "CUDA error"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'x'", "missing file"),
        ("ReadTimeout", "timed out after 30 s", "time-out"),
        ("EndpointError", "status 429: slow down", "rate limit (429)"),
        ("JSONDecodeError", "Expecting value", "parse failure"),
        ("ZeroDivisionError", "division by zero", "failure"),
    ],
)
def test_failures_are_called_by_their_kind(error_class: str, message: str, kind: str) -> None:
    assert kind_of(error_class, message)[0] == kind


def test_failures_of_one_cause_are_one_issue(store: Store) -> None:
    with store.write() as conn:
        world = stored.build(conn)
        samples = stored.sample_ids(conn, world.selection)
        for wait in ("3", "4"):
            failed = Failed("ReadTimeout", f"timed out after {wait} s")
            rows = [writes.FailureIn(failed, sample_id=one) for one in samples[:2]]
            writes.put_failures(conn, world.run, Stage.GENERATE, rows)
        rows = [writes.FailureIn(Failed("MemoryError", "no"), sample_id=samples[2])]
        writes.put_failures(conn, world.run, Stage.GENERATE, rows)
        issues = {one.title.partition(" (")[0]: one for one in load_issues(conn)}
        assert set(issues) == {"time-out", "out of memory"}
        assert issues["out of memory"].severity is Severity.HIGH
        (group,) = load_groups(conn)[issues["time-out"].id]
        assert (group.count, group.subjects, group.left, len(group.runs)) == (4, 2, 2, 1)
        again = """INSERT INTO issue_link (issue_id, fingerprint, author, created_at)
                   SELECT issue_id, fingerprint, author, created_at + 1 FROM issue_link"""
        conn.execute(text(again))  # as two processes at once, or a merge, leave it
        assert load_groups(conn)[issues["time-out"].id] == [group]


def test_exactly_the_failed_scores_are_tried_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "judges").mkdir(parents=True)
    (tmp_path / "configs" / "judges" / "half.yaml").write_text('kind: "null"\n')
    jobs.put(store, [jobs.sample(number) for number in range(12)])
    assert generate(store, jobs.job(), Silence()).counts.new == 12
    with store.write() as conn:
        judge = writes.put_judge(
            conn, plugins.judge_maker("null").describe(_half(), Silence().hashing)
        )
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        ids = list(conn.execute(text("SELECT id FROM generation ORDER BY id")).scalars())
        failed = Failed("ReadTimeout", "timed out after 3 s")
        rows = [writes.FailureIn(failed, generation_id=one, judge_id=judge) for one in ids[2:5]]
        writes.put_failures(conn, run, Stage.JUDGE, rows)
        (issue,) = load_issues(conn)
    plan = plan_retry(store, issue.key, RuntimeConfig(), Silence())
    assert (plan.count, plan.generate, plan.by_hand) == (3, (), ())
    for job in plan.judge:
        assert judge_pending(store, job, Silence()).counts.new == 3
    with store.read() as conn:
        scored = conn.execute(text("SELECT generation_id FROM score ORDER BY 1")).scalars()
        assert list(scored) == ids[2:5]
        (group,) = load_groups(conn)[issue.id]
        assert (group.count, group.subjects, group.left) == (3, 3, 0)
    assert plan_retry(store, issue.key, RuntimeConfig(), Silence()).count == 0
    with pytest.raises(NotFoundError):
        plan_retry(store, "nothing", RuntimeConfig(), Silence())


def test_exactly_the_failed_answers_are_tried_again_and_under_the_same_settings(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "models").mkdir(parents=True)
    (tmp_path / "configs" / "models" / "null.yaml").write_text('kind: "null"\nsource: "null"\n')
    jobs.put(store, [jobs.sample(number) for number in range(12)])
    job = jobs.job(limit=4)
    done = generate(store, job, Silence())
    with store.write() as conn:
        asked = "SELECT id FROM run WHERE uid = :u"
        run = conn.execute(text(asked), {"u": done.run_uid}).scalar_one()
        ids = list(conn.execute(text("SELECT id FROM sample ORDER BY id")).scalars())
        rows = [writes.FailureIn(Failed("MemoryError", "no"), sample_id=one) for one in ids[7:9]]
        writes.put_failures(conn, run, Stage.GENERATE, rows)
        (issue,) = load_issues(conn)
    plan = plan_retry(store, issue.key, job.runtime, Silence())
    assert plan.count == 2
    with pytest.raises(ConfigError, match="other settings"):
        plan_retry(store, issue.key, RuntimeConfig(seed=7), Silence())
    for one in plan.generate:
        assert generate(store, one, Silence()).counts.new == 2
    with store.read() as conn:
        answered = conn.execute(text("SELECT sample_id FROM generation ORDER BY 1")).scalars()
        assert list(answered) == [*ids[:4], *ids[7:9]]
        (group,) = load_groups(conn)[issue.id]
        assert group.left == 0


def _half() -> JudgeConfig:
    return JudgeConfig(name="half", kind="null")


def test_the_labs_table_comes_in_whole_and_once(store: Store) -> None:
    if not LOG.exists():
        pytest.skip("the lab's log is not here")
    issues = read_issues(LOG)
    assert len(issues) == 9
    with store.write() as conn:
        assert store_issues(conn, issues, "JsW", DAY).opened == 9
        assert store_issues(conn, issues, "JsW", DAY).known == 9
        one = find_issue(conn, "B20251112-13")
    assert (one.severity, one.status) == (Severity.HIGH, IssueStatus.NEW)
    assert one.note == "可通过代理或迁移主机解决"


def test_a_table_with_faults_is_refused_whole(tmp_path: Path) -> None:
    page = tmp_path / "issues.md"
    page.write_text(
        "| ID | Description | Severity | Status | Note |\n|---|---|---|---|---|\n"
        "| A-1 | one \\| two | awful | new | |\n| | no key | low | new | |\n"
        "| A-2 | x | low | new | |\n| A-2 | y | low | gone | |\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        read_issues(page)
    told = "\n".join(str(one) for one in (caught.value, *getattr(caught.value, "details", ())))
    for words in ("line 3", "awful", "line 4", "line 6", "gone"):
        assert words in told
    page.write_text(page.read_text().replace("awful", "high").replace("| | no key", "| B | no key"))
    with pytest.raises(InputError):
        read_issues(page)


def test_a_cell_without_an_end_is_a_fault_and_a_file_without_one_is_refused(
    tmp_path: Path,
) -> None:
    table = tmp_path / "issues.csv"
    table.write_text("ID,description\nB1," + "x" * 200_000 + "\n")
    limit = csv.field_size_limit()
    for most in (limit, 1 << 24):  # another part of the program may have raised it
        csv.field_size_limit(most)
        try:
            with pytest.raises(InputError, match=r"issues\.csv"):
                read_issues(table)
        finally:
            csv.field_size_limit(limit)
    with pytest.raises(InputError, match="larger than 16 MiB"):
        read_issues(Path("/dev/zero"))


def test_a_secret_given_as_an_author_is_not_stored(store: Store) -> None:
    key = "sk-" + "a1" * 12
    with store.write() as conn:
        name = open_issue(conn, NewIssue("t"), f"me {key}")
        change_issue(conn, name, Change(note="n"), f"me {key}")
        issue = find_issue(conn, name)
    assert issue.author == "me ***"
    assert {event.author for event in issue.events} == {"me ***"}
