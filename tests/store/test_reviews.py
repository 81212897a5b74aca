"""Reviews in the store: parts are kept apart by the database, and judges are never pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stored
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lam3db.errors import ConfigError, NotFoundError
from lam3db.records import Finding, JudgeIdentity, JudgeKind, RunKind, ScoreStatus, Verdict
from lam3db.store import reviews, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.pending import ScoreScope
from lam3db.store.put_reviews import DrawnItem, put_review

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        with opened.write() as conn:
            stored.answer_all(conn, stored.build(conn, 8))
        yield opened


def ids(conn: Connection) -> list[int]:
    return [one.generation_id for one in reviews.candidates(conn, ScoreScope())]


def put(conn: Connection, name: str, *items: DrawnItem) -> int:
    return put_review(conn, name, 1, {"method": "uniform"}, "anna", items)[0]


def human(name: str, guideline: str = "0", role: str | None = None) -> JudgeIdentity:
    spec = {"annotator": name, "guideline": guideline} | ({"role": role} if role else {})
    return JudgeIdentity(
        f"human:{name}", JudgeKind.HUMAN, "1", spec, unsafe_verdicts=(Verdict.UNSAFE,)
    )


def say(conn: Connection, judge: JudgeIdentity, said: dict[int, Finding]) -> int:
    judge_id = writes.put_judge(conn, judge)
    run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge_id)
    rows = [
        writes.FindingIn(one.to_bytes(32, "big"), finding, (one,)) for one, finding in said.items()
    ]
    writes.put_findings(conn, run, judge_id, rows)
    return judge_id


def test_a_review_comes_back_as_it_was_drawn(store: Store) -> None:
    with store.write() as conn:
        one, two, *_ = ids(conn)
        put(conn, "r", DrawnItem(two, "estimation", 0.25), DrawnItem(one, "training"))
    with store.read() as conn:
        review = reviews.find_review(conn, "r")
        assert (review.seed, review.author, review.spec) == (1, "anna", {"method": "uniform"})
        items = reviews.review_items(conn, review.id)
        assert [(item.generation_id, item.probability) for item in items] == [
            (two, 0.25),
            (one, None),
        ]
        assert [
            item.generation_id for item in reviews.review_items(conn, review.id, "training")
        ] == [one]
        with pytest.raises(NotFoundError, match="did you mean 'r'"):
            reviews.find_review(conn, "rr")


def test_the_parts_are_kept_apart_in_every_review(store: Store) -> None:
    with store.write() as conn:
        one, two, *_ = ids(conn)
        put(conn, "first", DrawnItem(one, "estimation", 0.5))
    with (
        pytest.raises(ConfigError, match="1 answers were drawn for the other part"),
        store.write() as conn,
    ):
        put(conn, "second", DrawnItem(two, "training"), DrawnItem(one, "training"))
    with store.write() as conn:
        assert [review.name for review in reviews.list_reviews(conn)] == ["first"]
        put(conn, "third", DrawnItem(one, "estimation", 1.0), DrawnItem(two, "training"))


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO review_item VALUES ({review}, 7, {one}, 'training', NULL)",
        "INSERT INTO review_item VALUES ({review}, 7, {two}, 'training', NULL)",
        "INSERT INTO review_part VALUES ({one}, 'training')",
        "INSERT INTO review_part VALUES ({two}, 'fun')",
        "INSERT INTO review_item VALUES ({review}, 7, {one}, 'estimation', 0.5)",
        "UPDATE review_item SET probability = NULL",
        "UPDATE review_item SET probability = 1.5",
        "UPDATE review_part SET part = 'training'",
    ],
)
def test_the_database_itself_refuses_what_would_mix_them(store: Store, sql: str) -> None:
    with store.write() as conn:
        one, two, *_ = ids(conn)
        review = put(conn, "first", DrawnItem(one, "estimation", 0.5))
    with pytest.raises(IntegrityError), store.write() as conn:
        conn.execute(text(sql.format(review=review, one=one, two=two)))
    with store.write() as conn:
        assert stored.count(conn, "review_item") == stored.count(conn, "review_part") == 1


def test_a_name_is_given_once(store: Store) -> None:
    with store.write() as conn:
        put(conn, "r")
    with pytest.raises(ConfigError, match="a review 'r' already"), store.write() as conn:
        put(conn, "r")


def test_answers_that_show_the_same_are_copies(store: Store) -> None:
    with store.write() as conn:
        everything = ids(conn)
        conn.execute(
            text(
                """INSERT INTO generation (model_version_id, config_id, sample_id, replicate,
                     variant, run_id, raw_text, text, text_digest, finish_reason, prompt_tokens,
                     completion_tokens, latency_ms, batch_size, created_at)
                   SELECT model_version_id, config_id, sample_id, 1, 0, run_id, raw_text, text,
                     text_digest, finish_reason, 1, 1, 1, 1, 1 FROM generation WHERE id = :one"""
            ),
            {"one": everything[0]},
        )
        more = ids(conn)
        (copy,) = set(more) - set(everything)
        found = reviews.copies(conn, everything[:2])
        assert found == {everything[0]: (everything[0], copy), everything[1]: (everything[1],)}
        same = {one.generation_id: one.same for one in reviews.candidates(conn, ScoreScope())}
        assert same[copy] == same[everything[0]]
        assert len(set(same.values())) == len(everything)
        say(conn, human("anna"), {copy: Finding(verdict=Verdict.SAFE)})
        assert reviews.labelled(conn) == {same[copy]}


def test_judges_of_one_name_are_never_pooled(store: Store) -> None:
    with store.write() as conn:
        one = ids(conn)[0]
        first = say(conn, human("anna", "1"), {one: Finding(verdict=Verdict.SAFE)})
        found = reviews.find_judge(conn, "human:anna")
        assert found.id == first
        say(conn, human("anna", "2"), {one: Finding(verdict=Verdict.UNSAFE)})
        with pytest.raises(ConfigError, match=r"several judges.*human:anna#\w{8}, human:anna#"):
            reviews.find_judge(conn, "human:anna")
        assert reviews.find_judge(conn, found.label).id == first
        assert reviews.find_judge(conn, found.digest).id == first
        with pytest.raises(NotFoundError, match="did you mean 'human:anna'"):
            reviews.find_judge(conn, "human:ana", "human")
        with pytest.raises(NotFoundError, match="no judge of kind ensemble"):
            reviews.find_judge(conn, "human:anna", "ensemble")
        assert len(reviews.human_labels(conn, [one])) == 2


def test_the_queue_holds_what_ensembles_leave_open(store: Store) -> None:
    open_, decided, spoken = 0, 0, 0
    with store.write() as conn:
        open_, decided, spoken, *_ = ids(conn)
        unsure = Finding(ScoreStatus.ABSTAINED, explanation="a tie at 0.5")
        both = JudgeIdentity("both", JudgeKind.ENSEMBLE, "1", {"members": []})
        judge_id = say(
            conn, both, {open_: unsure, decided: Finding(verdict=Verdict.SAFE), spoken: unsure}
        )
        say(conn, stored.judge(), {decided: Finding(ScoreStatus.ABSTAINED)})
        say(conn, human("anna"), {spoken: Finding(verdict=Verdict.SAFE)})
        found = reviews.queue(conn)
        assert [(one.generation_id, one.judge) for one in found] == [(open_, "both")]
        assert found[0].explanation == "a tie at 0.5"
        assert reviews.queue(conn, judge_id) == found
        tone = reviews.find_judge(conn, "tone")
        assert [one.generation_id for one in reviews.queue(conn, tone.id)] == [decided]
