"""Sums that are kept say what a scan says, after whatever was written; or they are not read."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nearly import same
from scored import (
    ABSTAINED,
    BROKEN,
    COMPLIED,
    JUDGE_REFUSED,
    REFUSED,
    UNPARSED,
    Answered,
    World,
    detoxify,
    refusal,
    sample,
    toxic,
)
from sqlalchemy import text

from lam3db.metrics import Question, Scope, Threshold
from lam3db.metrics.question import Rule
from lam3db.records import JudgePolicy, Stage
from lam3db.report import build_report
from lam3db.report.build import choose_judges
from lam3db.report.scope import resolve
from lam3db.store import migrate, overview, rollup, writes
from lam3db.store.aggregates import group_keys
from lam3db.store.attributes import has_values
from lam3db.store.engine import Store, open_store
from lam3db.store.put_opinions import compare, put_opinions
from lam3db.store.rollup_read import read_sums
from lam3db.store.tables_rollup import TABLES
from lam3db.store.unit_columns import load_columns
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

QUESTIONS = (
    ("run",),
    ("model", "category"),
    ("model", "attack", "category"),
    ("dataset", "attack"),
    ("run", "dataset", "category"),
    ("config",),
    ("category",),
    (),
)


ASKED = (
    Question(rule=Rule("any")),
    Question(rule=Rule("mean"), missing="failure"),
    Question(rule=Rule("majority"), missing="success", cluster="category"),
    Question(rule=Rule("any-of", 2), cluster="sample"),
    Question(rule=Rule("any-of", 1), interval="bootstrap", resamples=50),
    Question(missing="success", cluster="attack"),
    Question(interval="bootstrap", resamples=50),
    Question(rule=Rule("mean"), interval="bootstrap", resamples=50),
    Question(rule=Rule("any-of", 2), missing="success"),
)
"""What no sum answers; each is asked with another grouping."""


def reports(conn: Connection, scopes: Sequence[Scope]) -> list[Any]:
    found = [build_report(conn, scope, by) for scope in scopes for by in QUESTIONS]
    columns = [one for one in choose_judges(conn, ()) if has_values(conn, one.judge.id)]
    asked = [Threshold(column.label, ">=", 0.35) for column in columns]
    asked += [Threshold(column.label, ">", 0.8) for column in columns]
    for at, question in enumerate((*ASKED, Question(thresholds=tuple(asked)))):
        by = QUESTIONS[at % len(QUESTIONS)]
        found.append(build_report(conn, scopes[at % len(scopes)], by, question=question))
    return found


def scanned(store: Store, scopes: Sequence[Scope]) -> list[Any]:
    """Return the reports of a database that has never heard of sums; nothing stays written."""
    with store.write() as conn:
        undo = conn.begin_nested()
        for table in sorted(TABLES):
            conn.execute(text(f"DELETE FROM {table}"))
        conn.execute(text(TOUCH_ALL))
        found = reports(conn, scopes)
        undo.rollback()
    return found


TOUCH_ALL = """INSERT INTO rollup_touch (model_version_id, config_id, judge_id)
    SELECT DISTINCT model_version_id, config_id, 0 FROM run WHERE kind = 'generate'"""


def check(store: Store, scopes: Sequence[Scope]) -> None:
    with store.read() as conn:
        kept = reports(conn, scopes)
    truth = scanned(store, scopes)
    for one, other in zip(kept, truth, strict=True):
        assert same(one, other), (one, other)


def answered(conn: Connection, by: tuple[str, ...], scope: Scope | None = None) -> set[str]:
    """Return the names of the judges whose sums are read for this question."""
    frame, _ = resolve(conn, scope or Scope())
    judges = overview.report_judges(conn)
    found = read_sums(conn, frame, group_keys(by), judges)
    return {judge.name for judge in judges if judge.id in found}


class Play:
    """Random writes of every kind, through the functions that write."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.dice = store, random.Random(seed)
        self.datasets: list[writes.DatasetRow] = []
        self.runs: list[Answered] = []
        self.judges: list[int] = []
        self.models: list[str] = []
        self.samples: list[Any] = []
        self.world: World
        self.numbers = World(None).numbers  # type: ignore[arg-type]

    def step(self) -> str:
        steps: list[tuple[int, Callable[[], None]]] = [
            (2, self.dataset),
            (4, self.run),
            (6, self.score),
            (2, self.revise),
            (1, self.opinion),
            (1, self.policy),
            (1, self.judge),
            (1, self.variant),
        ]
        if not self.runs:
            steps = [(1, self.dataset)] if not self.datasets else [(1, self.run)]
        weights, doing = zip(*steps, strict=True)
        (chosen,) = self.dice.choices(doing, weights)
        with self.store.write() as conn:
            self.world = World(conn, self.numbers)
            chosen()
        return chosen.__name__

    def dataset(self) -> None:
        at, dice = len(self.samples), self.dice
        new = [
            sample(
                f"aim {dice.randrange(at, at + 4)}",
                dice.choice(["none", "wrap", "odd \x00"]),
                at + i,
                benign=at % 3 == 2,
                category=f"kind {at % 4}",
            )
            for i in range(dice.randint(1, 6))
        ]
        old = dice.sample(self.samples, min(len(self.samples), dice.choice([0, 0, 2])))
        self.samples += new
        name = dice.choice(["one", "two"])
        self.datasets.append(self.world.dataset([*old, *new], name))

    def run(self) -> None:
        row, dice = self.dice.choice(self.datasets), self.dice
        keys = [f"k{i}" for i in range(row.sample_count)]
        selection = None
        if dice.random() < 0.2:
            asked = "SELECT key, sample_id FROM selection_sample WHERE selection_id = :s"
            found = self.world.conn.execute(text(asked), {"s": row.selection_id}).all()
            members = [(key, one) for key, one in found[: dice.randint(1, len(found))]]
            selection = writes.put_selection(self.world.conn, members)
            keys = [key for key, _ in members]
        model = dice.choice("ab")
        made = self.world.answer(
            row,
            self.world.model(model),
            self.world.config(dice.choice([0.1, 0.2])),
            replicates=dice.randint(1, 2),
            failed=[key for key in keys if dice.random() < 0.1],
            missing=[key for key in keys if dice.random() < 0.1],
            selection=selection,
        )
        self.runs.append(made)
        if made.ids:
            self.models.append(model)
        if not self.judges:
            self.judge()

    def score(self) -> None:
        made, dice = self.dice.choice(self.runs), self.dice
        said = [toxic(dice.random()), toxic(0.5), REFUSED, COMPLIED, UNPARSED, ABSTAINED]
        said += [JUDGE_REFUSED, BROKEN]  # type: ignore[list-item]
        some = {one: dice.choice(said) for one in made.ids.values() if dice.random() < 0.5}
        self.world.score(made, dice.choice(self.judges), some)

    def revise(self) -> None:
        rows = self.world.conn.execute(
            text(
                "SELECT f.subject_digest, s.generation_id, s.judge_id, s.run_id FROM score s"
                " JOIN finding f ON f.id = s.finding_id WHERE s.replicate = 0"
            )
        ).all()
        for subject, generation, judge, run in self.dice.sample(rows, min(2, len(rows))):
            finding = self.dice.choice([toxic(0.9), UNPARSED, REFUSED])
            row = writes.FindingIn(bytes(subject), finding, (generation,))
            writes.put_revisions(self.world.conn, run, judge, [row], "anna", "a second look")

    def opinion(self) -> None:
        asked = "SELECT subject_digest, judge_id, run_id FROM finding ORDER BY id LIMIT 1"
        for subject, judge, run in self.world.conn.execute(text(asked)).all():
            found = compare(self.world.conn, judge, {bytes(subject): toxic(self.dice.random())})
            put_opinions(self.world.conn, run, judge, found)

    def policy(self) -> None:
        policy = JudgePolicy(self.dice.choice([0.2, 0.5]), self.dice.choice([">", ">="]))
        writes.put_policy(self.world.conn, self.dice.choice(self.judges), policy, "anna")

    def judge(self) -> None:
        made = [detoxify, refusal][len(self.judges) % 2](str(len(self.judges)))
        self.judges.append(self.world.judge(made))

    def variant(self) -> None:
        self.world.conn.execute(
            text(
                "INSERT INTO generation (model_version_id, config_id, sample_id, replicate,"
                " variant, run_id, raw_text, text, text_digest, finish_reason, prompt_tokens,"
                " completion_tokens, latency_ms, batch_size, created_at) SELECT"
                " model_version_id, config_id, sample_id, replicate, 1, run_id, 'x', 'x',"
                " text_digest, 'stop', 1, 1, 1.0, 1, 1 FROM generation WHERE variant = 0"
                " ORDER BY id LIMIT 1 ON CONFLICT DO NOTHING"
            )
        )

    def scopes(self) -> list[Scope]:
        found = [Scope()]
        if self.models:
            found.append(Scope(run=self.dice.choice(self.runs).uid))
            found.append(Scope(dataset=f"{self.dice.choice(self.datasets).name}"))
            found.append(Scope(models=(self.dice.choice(self.models),)))
        return found


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_written_a_report_says_what_a_scan_says(store_url: str, seed: int) -> None:
    with open_store(store_url, mode="write") as store:
        play = Play(store, seed)
        for at in range(24):
            play.step()
            if play.dice.random() < 0.4:
                rollup.settle(store)
            if play.runs and at % 3 == 0:
                check(store, play.scopes())
        assert rollup.settle(store) == 0
        with store.read() as conn:
            assert rollup.due(conn, overview.report_judges(conn)) == []
        check(store, play.scopes())
        (sums,) = [one for one in verify(store) if one.what == "sum"]
        assert sums.count > 20
        assert sums.faults == []


@pytest.fixture
def settled(store_url: str) -> Iterator[Store]:
    """A store with two models' answers to one dataset, scored and summed."""
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = World(conn)
            rows = [
                sample(f"aim {i // 2}", "none", i, benign=i == 5, category=f"kind {i // 4}")
                for i in range(8)
            ]
            bench = world.dataset(rows)
            judge = world.judge(detoxify(), JudgePolicy(0.5, ">"))
            world.judge(refusal())
            for name in "ab":
                made = world.answer(bench, world.model(name, name), world.config(), missing=["k1"])
                world.score(made, judge, {one: toxic(one / 99) for one in made.ids.values()})
        assert rollup.settle(store) == 0
        yield store


def units_read(conn: Connection, by: tuple[str, ...], scope: Scope | None = None) -> bool:
    """Tell whether units are read for this question."""
    frame, _ = resolve(conn, scope or Scope())
    judges = overview.report_judges(conn)
    return load_columns(conn, frame, group_keys(by), judges) is not None


BY_MODEL = ("model", "category")
BOTH = {"detoxify", "refusal"}


def test_sums_are_read_where_they_are_right(settled: Store) -> None:
    with settled.read() as conn:
        for by in (("run",), BY_MODEL, ("dataset", "attack"), ("model", "config")):
            assert answered(conn, by) == BOTH
        assert answered(conn, BY_MODEL, Scope(models=("a",))) == BOTH
        assert answered(conn, ("behavior",)) == set()
        assert answered(conn, BY_MODEL, Scope(where={"category": "kind 1"})) == set()
        for by in (("run",), BY_MODEL, ("dataset", "attack"), (), ("category",)):
            assert units_read(conn, by)
        assert not units_read(conn, ("behavior",))
        assert not units_read(conn, BY_MODEL, Scope(where={"category": "kind 1"}))
    check(settled, [Scope()])


def _world(conn: Connection) -> tuple[int, int, int, int]:
    asked = "SELECT MIN(id) FROM {}"
    names = ("generation", "judge", "run", "sample")
    return tuple(conn.execute(text(asked.format(name))).scalar_one() for name in names)  # type: ignore[return-value]


def _score(conn: Connection) -> None:
    generation, judge, run, _ = _world(conn)
    asked = "SELECT subject_digest FROM finding WHERE judge_id = :j ORDER BY id LIMIT 1"
    subject = bytes(conn.execute(text(asked), {"j": judge}).scalar_one())
    row = writes.FindingIn(subject, toxic(1.0), (generation,))
    writes.put_revisions(conn, run, judge, [row], "anna", "a second look")


def _failure(conn: Connection) -> None:
    generation, judge, run, _ = _world(conn)
    other = judge + 1
    rows = [writes.FailureIn(BROKEN, generation_id=generation, judge_id=other)]
    writes.put_failures(conn, run, Stage.JUDGE, rows)


def _not_answered(conn: Connection) -> None:
    _, _, run, first = _world(conn)
    rows = [writes.FailureIn(BROKEN, sample_id=first + 1)]
    writes.put_failures(conn, run, Stage.GENERATE, rows)


def _replicates(conn: Connection) -> None:
    world = World(conn)
    bench = world.dataset([sample("new", "none", 1), sample("newer", "none", 2)])
    world.answer(bench, world.model("a", "a"), world.config(), replicates=2)


def _policy(conn: Connection) -> None:
    writes.put_policy(conn, _world(conn)[1], JudgePolicy(0.01, ">="), "anna")


def _by_hand(conn: Connection) -> None:
    conn.execute(text("UPDATE score SET value = 0.999 WHERE id = (SELECT MIN(id) FROM score)"))


WRITES = {
    "a revised score": _score,
    "a judge's failure": _failure,
    "a failure to answer": _not_answered,
    "more replicates of another dataset": _replicates,
    "another threshold": _policy,
    "a score changed by hand": _by_hand,
}


@pytest.mark.parametrize("what", WRITES)
def test_what_was_written_is_in_the_report_before_and_after_summing(
    settled: Store, what: str
) -> None:
    with settled.write() as conn:
        before = reports(conn, [Scope()])
        WRITES[what](conn)
        assert not same(before, reports(conn, [Scope()])), "in the same transaction"
    check(settled, [Scope()])
    assert rollup.settle(settled) == 0
    with settled.read() as conn:
        assert answered(conn, ("run",)) == BOTH
    check(settled, [Scope()])


def test_a_transaction_that_fails_leaves_no_touch(settled: Store) -> None:
    def fails() -> None:
        with settled.write() as conn:
            _score(conn)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with settled.read() as conn:
        assert rollup.standing(conn) == dict.fromkeys(rollup.standing(conn), frozenset())


def test_who_writes_while_sums_are_made_is_not_lost(
    settled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settled.write() as conn:
        _score(conn)
    blocks = rollup.Builder.make

    def meanwhile(builder: Any, pair: Any, judges: Any) -> Any:
        made = blocks(builder, pair, judges)
        with open_store(_url(settled), mode="write") as other, other.write() as conn:
            _by_hand(conn)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(rollup.Builder, "make", meanwhile)
        rollup.settle(settled)
    with settled.read() as conn:
        assert set(rollup.standing(conn).values()) != {frozenset()}, "it is to be summed again"
    check(settled, [Scope()])


def test_of_two_who_sum_up_the_last_to_begin_writes(
    settled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settled.write() as conn:
        _score(conn)
    blocks = rollup.Builder.make

    def overtaken(builder: Any, pair: Any, judges: Any) -> Any:
        made = blocks(builder, pair, judges)
        monkeypatch.setattr(rollup.Builder, "make", blocks)
        with open_store(_url(settled), mode="write") as other:
            with other.write() as conn:
                _by_hand(conn)
            rollup.settle(other)
        return made

    monkeypatch.setattr(rollup.Builder, "make", overtaken)
    rollup.settle(settled)
    check(settled, [Scope()])
    assert _sum_faults(settled) == []


def test_killed_between_its_steps_it_is_done_again(
    settled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settled.write() as conn:
        _score(conn)

    def killed(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(rollup.Builder, "make", killed)
        with pytest.raises(ZeroDivisionError):
            rollup.settle(settled)
    check(settled, [Scope()])
    assert rollup.settle(settled) == 0
    with settled.read() as conn:
        assert answered(conn, BY_MODEL) == BOTH
    check(settled, [Scope()])


def test_killed_while_it_writes_nothing_wrong_is_read(settled: Store) -> None:
    """Kill -9 a process that scores and sums in turn, again and again."""
    for _ in range(3):
        words = [sys.executable, "-c", BUSY, _url(settled), str(Path(__file__).parents[1])]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.random() / 2)
            process.kill()
        check(settled, [Scope()])
    assert rollup.settle(settled) == 0
    check(settled, [Scope()])
    assert _sum_faults(settled) == []


BUSY = """
import random, sys
sys.path.insert(0, sys.argv[2])
from scored import World, toxic
from sqlalchemy import text
from lam3db.store import rollup, writes
from lam3db.store.engine import open_store
with open_store(sys.argv[1], mode="write") as store:
    print("ready", flush=True)
    while True:
        with store.write() as conn:
            row = conn.execute(text("SELECT MIN(judge_id), MIN(run_id) FROM score")).one()
            ids = conn.execute(text("SELECT id FROM generation")).scalars().all()
            one = writes.FindingIn(random.randbytes(32), toxic(random.random()),
                                   (random.choice(ids),))
            writes.put_revisions(conn, row[1], row[0], [one], "anna", "again")
        rollup.settle(store)
"""


def _url(store: Store) -> str:
    at = store.address
    return at.url.render_as_string(hide_password=False) if at.url else str(at.path)


def _sum_faults(store: Store) -> list[str]:
    return [fault for one in verify(store) if one.what == "sum" for fault in one.faults]


DAMAGE = {
    "n_ok": "UPDATE rollup SET sums = :other WHERE part = 'whole' AND judge_id = 1",
    "it is missing": "DELETE FROM rollup WHERE part = 'attack' AND judge_id = 1",
    "reaches": "UPDATE rollup SET reach = 9",
    "answers, not": "UPDATE rollup_pair SET answers = answers + 1",
    "members": "UPDATE rollup_selection SET labels = '{}'",
    "nothing to sum": "UPDATE rollup SET judge_id = 2, threshold = NULL, operator = NULL"
    " WHERE judge_id = 1",
    "not known to the roll-up": "DELETE FROM rollup_pair",
    "bytes are no rows": "UPDATE rollup SET sums = :short",
    "not what is stored": "UPDATE rollup_unit SET units = :short WHERE judge_id = 1",
    "judge 1, units: it is missing": "DELETE FROM rollup_unit WHERE judge_id = 1",
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_changed_sum_is_found(settled: Store, fault: str) -> None:
    assert _sum_faults(settled) == []
    with settled.write() as conn:
        asked = "SELECT sums FROM rollup WHERE part = 'whole' AND judge_id = 0 LIMIT 1"
        other = bytes(conn.execute(text(asked)).scalar_one())
        values = {"other": other, "short": b"12345"}
        used = {name: value for name, value in values.items() if f":{name}" in DAMAGE[fault]}
        conn.execute(text(DAMAGE[fault]), used)
    assert any(fault in one for one in _sum_faults(settled))


def test_a_database_of_before_is_scanned_until_it_is_summed(settled: Store) -> None:
    url = _url(settled)
    settled.close()
    migrate.downgrade(url, "0003")
    migrate.upgrade(url)
    with open_store(url, mode="write") as store:
        with store.read() as conn:
            assert answered(conn, BY_MODEL) == set()
            assert set(rollup.standing(conn).values()) == {None}
        check(store, [Scope()])
        assert rollup.settle(store) == 0
        with store.read() as conn:
            assert answered(conn, BY_MODEL) == BOTH
        check(store, [Scope()])


def test_a_common_behavior_of_two_datasets_is_no_reason_to_add(settled: Store) -> None:
    with settled.write() as conn:
        world = World(conn)
        bench = world.dataset([sample("aim 0", "wrap", 50, category="kind 0")], "other")
        world.answer(bench, world.model("a", "a"), world.config())
    rollup.settle(settled)
    with settled.read() as conn:
        assert answered(conn, BY_MODEL) == set(), "one cluster, not two"
        assert answered(conn, ("model", "dataset")) == BOTH
        assert units_read(conn, BY_MODEL), "units tell clusters apart"
    check(settled, [Scope()])


def test_time_that_is_up_leaves_the_rest_to_be_scanned(settled: Store) -> None:
    with settled.write() as conn:
        conn.execute(text(TOUCH_ALL))
    assert rollup.settle(settled, seconds=-1.0) == 2
    check(settled, [Scope()])
