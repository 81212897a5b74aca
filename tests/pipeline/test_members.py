"""Ensembles at work: they wait for their members, follow their revisions, and hide nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, judging, put, sample

from lam3db.cli.judge import summary
from lam3db.config import JudgeConfig, load_judge_config
from lam3db.errors import ConfigError
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.judges import members_first
from lam3db.pipeline.merge import merge_database
from lam3db.pipeline.review_labels import annotator, read_scheme
from lam3db.plugins import judge_maker
from lam3db.records import Finding, RunKind, RunStatus, ScoreStatus, Sees, Subject, Verdict
from lam3db.store import lookup, pending, writes
from lam3db.store import members as rows
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store
from lam3db.store.scores import stream_scores
from lam3db.store.verify import judge_identity, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.pipeline.judge import JudgeResult


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(40)])
        generate(opened, job())
        yield opened


def digest(member: JudgeJob) -> str:
    identity = judge_maker("null").describe(member.judge, lambda *_: None)
    return identity.digest.hex()


def ensemble(*members: JudgeJob, name: str = "both", **settings: Any) -> JudgeJob:
    ids = tuple(digest(member) for member in members)
    given = {"rule": "majority", "members": ids, "unsafe_verdicts": dict.fromkeys(ids, ("unsafe",))}
    return JudgeJob(JudgeConfig(name=name, kind="ensemble", settings=given | settings))


ONE, TWO = judging("one"), judging("two")
PAIR = ensemble(ONE, TWO)
_TEXTS = select(t.generation.c.id, t.generation.c.text_digest)


def scores(store: Store, result: JudgeResult) -> dict[int, list[Any]]:
    """Return every score of a judge by generation, in the order of revisions."""
    found: dict[int, list[Any]] = {}
    with store.read() as conn:
        asked = text(
            """SELECT s.* FROM score s JOIN judge j ON j.id = s.judge_id
                WHERE j.digest = :digest ORDER BY s.revision"""
        )
        for row in conn.execute(asked, {"digest": bytes.fromhex(result.digest)}):
            found.setdefault(row.generation_id, []).append(row)
    return found


def watermark(store: Store, result: JudgeResult) -> int:
    with store.read() as conn:
        judge_id = rows.judge_ids(conn, [result.digest])[result.digest]
        asked = text("SELECT generation_id FROM judge_progress WHERE judge_id = :id")
        return conn.execute(asked, {"id": judge_id}).scalar() or 0


def revise(store: Store, member: JudgeJob, generations: list[int], verdict: Verdict) -> None:
    """Let a member change its mind, as a person's file would."""
    identity = judge_maker("null").describe(member.judge, lambda *_: None)
    with store.write() as conn:
        judge_id = writes.put_judge(conn, identity)
        from stored import start

        run, _ = start(conn, RunKind.JUDGE, judge_id=judge_id)
        f, s = t.finding.c, t.score.c
        asked = select(f.subject_digest, s.generation_id).join(t.score, s.finding_id == f.id)
        found = conn.execute(asked.where(s.judge_id == judge_id, s.generation_id.in_(generations)))
        changed = {one: bytes(subject) for subject, one in found}
        put_rows = [
            writes.FindingIn(subject, Finding(value=0.5, verdict=verdict), (one,))
            for one, subject in changed.items()
        ]
        writes.put_revisions(conn, run, judge_id, put_rows, "anna", "looked again")


def test_it_waits_for_its_members_and_says_so(store: Store) -> None:
    first = judge_pending(store, PAIR)
    assert (first.counts.planned, first.run_uid, first.status) == (0, None, RunStatus.FINISHED)
    assert [(one.answers, one.failed) for one in first.waiting] == [(40, 0), (40, 0)]
    judge_pending(store, ONE)
    second = judge_pending(store, PAIR)
    assert second.counts.planned == 0
    (waits,) = second.waiting
    assert (waits.member, waits.answers) == (digest(TWO), 40)
    assert f"40 answers wait for member {digest(TWO)}: lam3db judge --pending" in summary(second)
    assert "nothing can be judged yet" in summary(second)
    assert scores(store, second) == {}
    judge_pending(store, TWO)
    done = judge_pending(store, PAIR)
    assert (done.counts.planned, done.counts.new + done.counts.cached, done.waiting) == (40, 40, ())
    again = judge_pending(store, PAIR)
    assert (again.counts.planned, again.run_uid, again.waiting) == (0, None, ())
    assert not [fault for checked in verify(store) for fault in checked.faults]


def test_its_scores_follow_from_its_members(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    found = scores(store, judge_pending(store, PAIR))
    said = [scores(store, judge_pending(store, member)) for member in (ONE, TWO)]
    for one, (score,) in found.items():
        votes = [by[one][0].verdict == "unsafe" for by in said]
        expected = "unsafe" if all(votes) else None if any(votes) else "safe"
        assert score.verdict == expected
        assert score.status == ("ok" if expected else "abstained")
    with store.read() as conn:
        findings = select(func.count()).where(t.finding.c.judge_id == score.judge_id)
        assert conn.execute(findings).scalar_one() <= 40


def test_equal_opinions_are_judged_once_and_linked(store: Store) -> None:
    """The values differ from answer to answer; without them four subjects remain."""
    for member in (ONE, TWO):
        judge_pending(store, member)
        everything = list(scores(store, judge_pending(store, member)))
        revise(store, member, everything, Verdict.SAFE)
    done = judge_pending(store, PAIR)
    assert (done.counts.new, done.counts.cached) == (40, 0)
    with store.read() as conn:
        judge_id = rows.judge_ids(conn, [done.digest])[done.digest]
        asked = select(func.count()).where(t.finding.c.judge_id == judge_id)
        assert conn.execute(asked).scalar_one() == 1


def test_waiting_answers_keep_the_watermark_below_them(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    judge_pending(store, PAIR)
    reached = watermark(store, judge_pending(store, PAIR))
    generate(store, job(replicates=2))
    judge_pending(store, ONE)
    held = judge_pending(store, PAIR)
    assert (held.counts.planned, held.waiting[0].answers) == (0, 40)
    assert watermark(store, held) == reached
    generate(store, job(replicates=3))
    for member in (ONE, TWO):
        judge_pending(store, member)
    assert judge_pending(store, PAIR).counts.planned == 80
    assert watermark(store, judge_pending(store, PAIR)) > reached


def test_a_member_that_revises_makes_a_revision(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    before = scores(store, judge_pending(store, PAIR))
    changed = [one for one, (score,) in before.items() if score.verdict == "safe"][:3]
    assert len(changed) == 3
    revise(store, ONE, changed, Verdict.UNSAFE)
    after = judge_pending(store, PAIR)
    assert (after.counts.planned, after.revised) == (3, 3)
    assert "3 pending (3 anew, as revisions)" in summary(after)
    found = scores(store, after)
    for one in before:
        latest = found[one][-1]
        if one in changed:
            assert [row.revision for row in found[one]] == [0, 1]
            assert (latest.author, latest.status) == ("lam3db", "abstained")
            assert latest.reason == f"one [{digest(ONE)[:8]}] says something else now"
            assert found[one][0].verdict == "safe", "what was said stays"
        else:
            assert len(found[one]) == 1
    assert judge_pending(store, PAIR).counts.planned == 0
    assert not [fault for checked in verify(store) for fault in checked.faults]


def test_a_list_of_its_scores_holds_what_it_says_now_and_no_more(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    before = scores(store, judge_pending(store, PAIR))
    changed = [one for one, (score,) in before.items() if score.verdict == "safe"][:3]
    revise(store, ONE, changed, Verdict.UNSAFE)
    now = scores(store, judge_pending(store, PAIR))
    with store.read() as conn:
        (row,) = conn.execute(select(t.judge).where(t.judge.c.name == "both"))
        listed = list(stream_scores(conn, row.id, judge_identity(conn, row), None))
        texts = {one: bytes(said).hex() for one, said in conn.execute(_TEXTS)}
    expected = {(texts[one], of_one[-1].status, of_one[-1].verdict) for one, of_one in now.items()}
    assert {(one["text_digest"], one["status"], one["verdict"]) for one in listed} == expected


def test_a_mind_changed_and_changed_back_links_the_old_finding(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    everything = list(scores(store, judge_pending(store, ONE)))
    revise(store, ONE, everything[:1], Verdict.SAFE)
    first = scores(store, judge_pending(store, PAIR))
    revise(store, ONE, everything[:1], Verdict.UNSAFE)
    judge_pending(store, PAIR)
    revise(store, ONE, everything[:1], Verdict.SAFE)
    third = judge_pending(store, PAIR)
    assert (third.counts.new, third.counts.cached, third.revised) == (0, 1, 1)
    found = scores(store, third)[everything[0]]
    assert [row.revision for row in found] == [0, 1, 2]
    assert found[2].finding_id == first[everything[0]][0].finding_id


def test_an_older_row_that_arrives_late_is_noticed(store: Store) -> None:
    """As after a merge: the revision's row may be older than the ensemble's score."""
    for member in (ONE, TWO):
        judge_pending(store, member)
    done = judge_pending(store, PAIR)
    one = min(scores(store, done))
    revise(store, ONE, [one], Verdict.UNSAFE)
    with store.write() as conn:
        late = "UPDATE score SET created_at = 1 WHERE revision = 1"
        conn.execute(text(late))
    said = scores(store, judge_pending(store, ONE))[one]
    expected = 1 if said[0].verdict != "unsafe" or said[0].value != 0.5 else 0
    assert judge_pending(store, PAIR).revised == expected


def test_a_scope_is_kept_to(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    put(store, [sample(number) for number in range(5)], name="few")
    scope = pending.ScoreScope(dataset="few")
    few = JudgeJob(PAIR.judge, scope)
    assert judge_pending(store, few).counts.planned == 5
    everything = list(scores(store, judge_pending(store, ONE)))
    revise(store, ONE, everything, Verdict.UNSAFE)
    assert judge_pending(store, few).revised <= 5
    assert judge_pending(store, PAIR).counts.planned == 35


@pytest.mark.parametrize("missing", ["wait", "ignore", "abstain"])
def test_a_member_that_failed_for_good(store: Store, missing: str) -> None:
    broken = judging("broken", fail=3)
    judge_pending(store, ONE)
    for _ in range(3):
        failed = judge_pending(store, broken).counts.failed
    assert failed > 3
    asked = ensemble(ONE, broken, missing=missing, minimum_votes=1)
    done = judge_pending(store, asked)
    found = scores(store, done)
    if missing == "wait":
        assert (len(found), done.waiting[0].failed) == (40 - failed, failed)
        assert "failed for good: lam3db judge --pending --judge broken --retry" in summary(done)
        return
    assert (len(found), done.waiting) == (40, ())
    with store.read() as conn:
        said = scores(store, judge_pending(store, broken))
        alone = [one for one in found if one not in said]
        assert len(alone) == failed
        if missing == "abstain":
            assert {found[one][0].status for one in alone} == {"abstained"}
        else:
            first = scores(store, judge_pending(store, ONE))
            assert all(found[one][0].verdict == first[one][0].verdict for one in alone)
        judge_id = rows.judge_ids(conn, [digest(broken)])[digest(broken)]
    with store.write() as conn:
        from stored import start

        run, _ = start(conn, RunKind.JUDGE, judge_id=judge_id)
        ids = lookup.run_counts(conn, run)
        assert ids.new == 0
        row = writes.FindingIn(Subject("late").digest, Finding(verdict=Verdict.SAFE), (alone[0],))
        writes.put_findings(conn, run, judge_id, [row])
    late = judge_pending(store, asked)
    assert (late.counts.planned, late.revised) == (1, 1)
    assert "broken" in scores(store, late)[alone[0]][1].reason


def test_a_member_that_is_only_late_is_waited_for_whatever_the_file_says(store: Store) -> None:
    judge_pending(store, ONE)
    asked = ensemble(ONE, TWO, missing="ignore", minimum_votes=1)
    assert judge_pending(store, asked).waiting[0].answers == 40


def test_nothing_is_asked_again_of_an_ensemble(store: Store) -> None:
    for member in (ONE, TWO):
        judge_pending(store, member)
    judge_pending(store, PAIR)
    again = JudgeJob(PAIR.judge, retry_status=(ScoreStatus.ABSTAINED,))
    assert judge_pending(store, again).counts.planned == 0


def test_the_lowest_grade_is_not_the_surest_unsafe(store: Store) -> None:
    person = annotator("anna", "0" * 64, (Sees.RESPONSE,), read_scheme("grade:1-5"))
    with store.write() as conn:
        writes.put_judge(conn, person)
    settings = {"rule": "mean", "members": (person.digest.hex(),)}
    asked = JudgeJob(JudgeConfig(name="graded", kind="ensemble", settings=settings))
    with pytest.raises(ConfigError, match=r"human:anna#[0-9a-f]{8} grades from 1 to 5, a mean is"):
        judge_pending(store, asked)


def test_what_cannot_be_counted_is_a_failure(store: Store) -> None:
    odd = ensemble(ONE, name="odd", unsafe_verdicts={}, rule="mean")
    judge_pending(store, ONE)
    assert judge_pending(store, odd).counts.new == 40
    values = scores(store, judge_pending(store, ONE))
    with store.write() as conn:
        conn.execute(
            text("UPDATE score SET value = 3 WHERE generation_id = :g"), {"g": min(values)}
        )
    spoilt = judge_pending(store, odd)
    assert (spoilt.counts.failed, spoilt.status) == (1, RunStatus.FAILED)
    with store.read() as conn:
        told = conn.execute(select(t.failure.c.message)).scalar_one()
    assert "needs values from 0 to 1" in told


def test_ensembles_come_after_their_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "judges"
    folder.mkdir(parents=True)
    (folder / "inner.yaml").write_text(
        "kind: ensemble\nsettings: {rule: any, members: [refusal-gcg]}\n", encoding="utf-8"
    )
    outer = JudgeConfig(
        name="a", kind="ensemble", settings={"rule": "any", "members": ("inner", "refusal-gcg")}
    )
    inner = JudgeConfig(
        name="b", kind="ensemble", settings={"rule": "any", "members": ("refusal-gcg",)}
    )
    jobs = [JudgeJob(outer), JudgeJob(inner), ONE, TWO]
    assert [one.judge.name for one in members_first(jobs)] == ["one", "two", "b", "a"]


@pytest.mark.parametrize("instead", ["[]", "?", '[{"judge": 3}]', '{"judge": "x"}', "[" * 5000])
def test_what_was_seen_and_is_no_longer_written_so_is_told(store: Store, instead: str) -> None:
    for member in (ONE, TWO, PAIR):
        done = judge_pending(store, member)
    with store.write() as conn:
        judge_id = rows.judge_ids(conn, [done.digest])[done.digest]
        changed = text("UPDATE finding SET raw_output = :x WHERE judge_id = :judge")
        conn.execute(changed, {"x": instead, "judge": judge_id})
    faults = [fault for checked in verify(store) for fault in checked.faults]
    assert len(faults) == 40
    assert all("shown something else" in fault for fault in faults)


def test_the_shipped_ensemble_works_on_the_shipped_judges(store: Store) -> None:
    for name in ("refusal-gcg", "refusal-autodan", "classifier-demo"):
        judge_pending(store, JudgeJob(load_judge_config(name)))
    done = judge_pending(store, JudgeJob(load_judge_config("ensemble-demo")))
    assert done.counts.new + done.counts.cached == 40
    assert {row.verdict for (row,) in scores(store, done).values()} == {"unsafe"}


def there_url(store: Store) -> str:
    """Return where a store lies, whichever engine it is on."""
    url = store.address.url
    return str(store.address.path) if url is None else url.render_as_string(hide_password=False)


def test_merged_elsewhere_it_has_said_the_same_and_has_nothing_to_add(
    store: Store, tmp_path: Path
) -> None:
    for one in (ONE, TWO, PAIR):
        judge_pending(store, one)
    for verdict in (Verdict.UNSAFE, Verdict.SAFE, Verdict.UNSAFE):
        revise(store, ONE, [1, 2, 3], verdict)
        judge_pending(store, PAIR)
    here = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    for new in (True, False):
        assert bool(merge_database(here, there_url(store)).changes) == new
    with open_store(here, mode="write") as elsewhere:
        assert [fault for one in verify(elsewhere) for fault in one.faults] == []
        result = judge_pending(elsewhere, PAIR)
        assert (result.counts.planned, result.revised) == (0, 0)
        there, said = scores(store, result), scores(elsewhere, result)
    told = ("revision", "value", "verdict", "author", "reason", "created_at")
    for one, history in there.items():
        assert [[getattr(row, name) for name in told] for row in said[one]] == [
            [getattr(row, name) for name in told] for row in history
        ]
    assert max(len(history) for history in said.values()) > 1
