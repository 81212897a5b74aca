"""Sums that are kept say what a scan says, after whatever was written; or they are not read."""

from __future__ import annotations

import math
import random
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pytest
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

from lam3db.metrics import Scope
from lam3db.records import JudgePolicy
from lam3db.report import build_report
from lam3db.report.scope import resolve
from lam3db.store import overview, rollup, writes
from lam3db.store.aggregates import group_keys
from lam3db.store.engine import Store, open_store
from lam3db.store.put_opinions import compare, put_opinions
from lam3db.store.rollup_read import read_sums
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def same(one: Any, other: Any) -> bool:
    """Tell whether two reports are equal, real numbers but for the order they were added in."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if is_dataclass(one) and type(one) is type(other):
        names = [field.name for field in fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


def reports(conn: Connection, scopes: Sequence[Scope]) -> list[Any]:
    return [build_report(conn, scope, by) for scope in scopes for by in QUESTIONS]


def scanned(store: Store, scopes: Sequence[Scope]) -> list[Any]:
    """Return the reports of a database that has never heard of sums; nothing stays written."""
    with store.write() as conn:
        undo = conn.begin_nested()
        for table in ("rollup", "rollup_pair", "rollup_selection", "rollup_touch"):
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
        made = self.world.answer(
            row,
            self.world.model(dice.choice("ab")),
            self.world.config(dice.choice([0.1, 0.2])),
            replicates=dice.randint(1, 2),
            failed=[key for key in keys if dice.random() < 0.1],
            missing=[key for key in keys if dice.random() < 0.1],
            selection=selection,
        )
        self.runs.append(made)
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
        if self.runs:
            found.append(Scope(run=self.dice.choice(self.runs).uid))
            found.append(Scope(dataset=f"{self.dice.choice(self.datasets).name}"))
            found.append(Scope(models=("demo",)) if False else Scope())
        return found[:3]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_written_a_report_says_what_a_scan_says(store_url: str, seed: int) -> None:
    with open_store(store_url, mode="write") as store:
        play = Play(store, seed)
        for at in range(24):
            play.step()
            if play.dice.random() < 0.4:
                rollup.settle(store)
            if play.runs and (at % 2 or at > 18):
                check(store, play.scopes())
        assert rollup.settle(store) == 0
        with store.read() as conn:
            assert rollup.due(conn, overview.report_judges(conn)) == []
        check(store, play.scopes())
        (sums,) = [one for one in verify(store) if one.what == "sum"]
        assert sums.count > 20
        assert sums.faults == []
