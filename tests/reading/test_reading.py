"""Reading from Python: what comes out is what is stored, typed, and nothing can be written."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scored import (
    COMPLIED,
    REFUSED,
    UNPARSED,
    World,
    detoxify,
    refusal,
    sample,
    toxic,
)

import lam3db
from lam3db.errors import (
    ConfigError,
    DatabaseMissingError,
    MissingDependencyError,
    NotFoundError,
    StoreError,
)
from lam3db.metrics import Question, Rule
from lam3db.reading import Column, Frame
from lam3db.reading.columns import (
    _METRIC_KIND_OF,
    metric_columns,
    sql_columns,
    view_columns,
)
from lam3db.records import JudgePolicy
from lam3db.report import render
from lam3db.report.formats import flat_names, flat_rows
from lam3db.store.engine import open_store
from lam3db.store.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.reading import Database

ODD = "answer \ud83d with \x00 and ☃ for"


@pytest.fixture
def url(store_url: str) -> str:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        samples = [sample("a"), sample("b", "wrapper"), sample("c"), sample("d", benign=True)]
        data = world.dataset(samples)
        words, tone = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">="))
        for name in ("one", "two"):
            answered = world.answer(data, world.model(name), world.config(), text=f"{ODD} {name}")
            ids = list(answered.ids.values())
            said = (COMPLIED, REFUSED, UNPARSED, REFUSED)
            world.score(answered, words, dict(zip(ids, said, strict=True)))
            world.score(answered, tone, {g: toxic(g / 10, insult=g / 20) for g in ids[:3]})
    return store_url


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with lam3db.open(url) as opened:
        yield opened


def test_answers_come_exactly_and_typed(db: Database) -> None:
    frame = db.generations(models=["one"])
    rows = frame.to_dicts()
    assert [row["sample"] for row in rows] == ["k0", "k1", "k2", "k3"]
    assert rows[0]["text"] == f"{ODD} one to k0"
    assert rows[0]["is_benign"] is False
    assert rows[3]["is_benign"] is True
    assert rows[0]["created_at"].tzinfo is UTC or rows[0]["created_at"].utcoffset().seconds == 0
    assert abs((datetime.now(UTC) - rows[0]["created_at"]).total_seconds()) < 3600
    table = frame.to_arrow()
    assert table.schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("model").type == pa.dictionary(pa.int32(), pa.string())
    assert table.schema.field("prompt_tokens").type == pa.int64()
    assert table["text"][0].as_py() == f"{ODD} one to k0".replace("\ud83d", "\\ud83d")
    assert table["created_at"][0].as_py() == rows[0]["created_at"]


def test_what_was_not_scored_is_null_everywhere_and_never_safe(db: Database) -> None:
    frame = db.scores(["refusal"])
    rows = frame.to_dicts()
    assert [row["unsafe"] for row in rows] == [True, False, None, False] * 2
    assert [row["status"] for row in rows][2] == "unparsed"
    polars = frame.to_polars()
    assert polars["unsafe"].to_list() == [row["unsafe"] for row in rows]
    assert polars["unsafe"].dtype == pl.Boolean
    assert polars["created_at"].dtype == pl.Datetime("us", "UTC")
    assert polars["value"].null_count() == len(rows)
    assert polars["value"].dtype == pl.Float64
    pandas = frame.to_pandas()
    assert pandas["unsafe"].dtype == pd.BooleanDtype()
    assert pandas["unsafe"].isna().sum() == 2
    assert pandas["generation_id"].dtype == pd.Int64Dtype()
    assert isinstance(pandas["judge"].dtype, pd.CategoricalDtype)
    assert str(pandas["created_at"].dt.tz) == "UTC"
    assert pandas["unsafe"].mean() == pytest.approx(1 / 3), "nulls are in no denominator"


def test_other_numbers_of_a_judge_have_columns_when_asked_for(db: Database) -> None:
    frame = db.scores(["detoxify"], attributes=True, where={"attack": "none", "benign": "no"})
    assert frame.columns[-1] == Column("attribute.insult", "number")
    for row in frame:
        assert row["attribute.insult"] == pytest.approx(row["value"] / 2)
    with pytest.raises(NotFoundError, match="no such judge"):
        db.scores(["nobody"])
    with pytest.raises(NotFoundError, match="no answers of it"):
        db.scores(models=["nobody"]).to_dicts()


def test_a_frame_is_taken_by_whatever_takes_arrow(db: Database) -> None:
    frame = db.generations()
    assert pl.DataFrame(frame).height == 8
    assert pa.table(frame).num_rows == 8
    assert pa.RecordBatchReader.from_stream(frame).schema == frame.schema()
    sizes = [batch.num_rows for batch in frame.batches(3)]
    assert sizes == [3, 3, 2]
    assert frame.to_arrow().num_rows == 8, "a frame can be read again"
    nothing = db.generations(where={"attack": "unknown"})
    assert nothing.to_arrow().schema == frame.schema()
    assert nothing.to_pandas()["model"].tolist() == []
    assert nothing.to_polars().height == 0


def test_categories_of_several_batches_are_one_column(db: Database) -> None:
    frame = db.generations()
    batches = pa.Table.from_batches(frame.batches(2), schema=frame.schema())
    assert batches["model"].to_pylist() == ["one", "two"] * 4 or set(
        batches["model"].to_pylist()
    ) == {"one", "two"}
    polars = pl.DataFrame(pa.RecordBatchReader.from_batches(frame.schema(), frame.batches(2)))
    assert polars["sample"].to_list() == [row["sample"] for row in frame]
    assert polars["model"].to_list() == [row["model"] for row in frame]


def test_numbers_are_those_of_the_report(db: Database) -> None:
    report = db.report(by=["model"])
    rows = db.metrics(by=["model"]).to_dicts()
    assert len(rows) == len(report.rows) * len(report.judges)
    found = {(row["model"], row["judge"]): row for row in rows}
    for row in report.rows:
        for number, column in zip(row.numbers, report.judges, strict=True):
            told = found[row.labels[0], column.judge.name]
            assert number.share is not None
            assert told["share"] == number.share.value
            assert told["ref"].startswith(f"judge={column.judge.digest[:12]}")
    frame = db.metrics(judges=["refusal"])
    kinds = {column.name: column.kind for column in frame.columns}
    assert (kinds["share"], kinds["threshold"], kinds["operator"]) == ("number", "number", "word")
    assert "Scope: dataset bench@1" in render(report)
    worst = db.metrics(judges="refusal", question=Question(missing="success")).to_dicts()
    assert [row["denominator"] for row in worst] == ["success"] * len(worst)
    assert max(row["share"] for row in worst) == 1.0
    assert frame.to_polars()["judge_digest"].n_unique() == 1


def test_sql_is_typed_by_name_and_else_by_what_is_there(db: Database) -> None:
    frame = db.sql("SELECT 1 AS a, NULL AS b, 0.5 AS c, 'x' AS d UNION ALL SELECT 2, NULL, 2, NULL")
    assert [column.kind for column in frame.columns] == ["integer", "text", "number", "text"]
    assert sorted(frame.to_arrow()["c"].to_pylist()) == [0.5, 2.0]
    mean = db.sql("SELECT avg(unsafe) AS m FROM v_score WHERE judge = 'refusal'").to_dicts()
    assert mean[0]["m"] == pytest.approx(1 / 3)
    with pytest.raises(StoreError, match="two columns are called a"):
        db.sql("SELECT 1 AS a, 2 AS a")
    assert sql_columns(["a"], [], {}) == (Column("a", "text"),)


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_a_view_has_the_same_types_whatever_its_rows_hold(db: Database, view: str) -> None:
    full, empty = (db.sql(f"SELECT * FROM {view} WHERE {what}") for what in ("1 = 1", "1 = 0"))
    assert full.columns == empty.columns
    nothing = db.sql(f"SELECT * FROM {view}").columns
    held = {name: {row[name] for row in full} - {None} for name in (c.name for c in full.columns)}
    for column in nothing:
        texts = {isinstance(value, str) for value in held[column.name]}
        assert texts <= {column.kind == "text"}, column


def test_sql_takes_the_kinds_that_it_is_told(db: Database) -> None:
    nothing = db.sql("SELECT NULL AS a, '2026-01-02T03:04:05Z' AS t", {"a": "number", "t": "time"})
    assert [column.kind for column in nothing.columns] == ["number", "time"]
    assert nothing.to_dicts()[0]["t"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for statement, kinds, says in (
        ("SELECT 1 AS a", {"b": "number"}, "no column 'b'"),
        ("SELECT 1 AS a", {"a": "real"}, "'real' is no kind"),
        ("SELECT 0.5 AS a", {"a": "integer"}, "'a' holds .* values, not only integer"),
    ):
        with pytest.raises(ConfigError, match=says):
            db.sql(statement, kinds)  # type: ignore[arg-type] # wrong on purpose


def frames(db: Database) -> dict[str, list[Frame]]:
    """Return readings that differ in what their rows hold, by method."""
    few = Question(rule=Rule("any-of", 2))
    return {
        "metrics": [
            db.metrics(["model"], ["refusal"]),
            db.metrics(["model"], ["detoxify"]),
            db.metrics(["model"], ["detoxify"], question=few),
            db.metrics(["model"], ["refusal"], where={"attack": "unknown"}),
        ],
        "generations": [db.generations(), db.generations(where={"attack": "unknown"})],
        "scores": [
            db.scores(["refusal"]),
            db.scores(["detoxify"]),
            db.scores(where={"attack": "unknown"}),
        ],
        "sql": [
            db.sql("SELECT value, n, asr FROM v_score, v_asr WHERE v_score.judge = 'detoxify'"),
            db.sql("SELECT value, n, asr FROM v_score, v_asr WHERE v_score.judge = 'refusal'"),
            db.sql("SELECT value, n, asr FROM v_score, v_asr WHERE 1 = 0"),
        ],
    }


@pytest.mark.parametrize("method", ["metrics", "generations", "scores", "sql"])
def test_frames_of_any_two_readings_can_be_put_together(db: Database, method: str) -> None:
    readings = frames(db)[method]
    height = sum(len(frame.to_dicts()) for frame in readings)
    assert len({frame.columns for frame in readings}) == 1
    assert pl.concat([frame.to_polars() for frame in readings]).height == height
    assert pa.concat_tables([frame.to_arrow() for frame in readings]).num_rows == height
    tables = [frame.to_pandas() for frame in readings]
    whole = pd.concat(tables)
    assert len(whole) == height
    for column in readings[0].columns:
        if column.kind != "word":  # pandas makes objects of different categories, which hold texts
            assert whole[column.name].dtype == tables[0][column.name].dtype, column


def test_every_column_of_a_report_has_a_kind_of_its_own(db: Database) -> None:
    for by in ([], ["model"], ["config"], ["attack", "benign"], ["config.temperature"]):
        report = db.report(by)
        (first, *_) = flat_rows(report)
        assert list(first) == flat_names(report.by)
        known = set(first) - set(report.by)
        assert known <= set(_METRIC_KIND_OF), "a column that no kind was given"
        assert metric_columns(list(first)) == db.metrics(by).columns


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM score",
        "UPDATE sample SET attack = 'x'",
        "CREATE TABLE x (a INTEGER)",
        "INSERT INTO judge_progress VALUES (1, 1)",
        "SELECT 1; DELETE FROM score",
    ],
)
def test_nothing_can_be_written(db: Database, statement: str) -> None:
    before = db.sql("SELECT count(*) AS n FROM score").to_dicts()
    with pytest.raises(StoreError):
        db.sql(statement)
    with pytest.raises(StoreError), db._store.write():
        pass
    assert db.sql("SELECT count(*) AS n FROM score").to_dicts() == before


def test_a_closed_database_is_read_no_more(url: str) -> None:
    with lam3db.open(url) as db:
        frame = db.generations()
        reading = iter(frame)
        next(reading)
    assert repr(db).endswith(", closed>")
    for read in (frame.to_dicts, lambda: db.sql("SELECT 1"), db.report, lambda: list(reading)):
        with pytest.raises(StoreError, match="was closed"):
            read()


def test_opening_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        lam3db.open(tmp_path / "none.db")
    assert list(tmp_path.glob("none*")) == []


def test_every_column_of_the_views_has_a_type() -> None:
    for view in VIEWS[:2]:
        assert [column.name for column in view_columns(view.name)] == list(view.columns)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame((Column("a", "integer"),), lambda: iter([(1,), (None,)]))
    assert frame.to_dicts() == [{"a": 1}, {"a": None}]
    for name, read in (("pandas", frame.to_pandas), ("polars", frame.to_polars)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(MissingDependencyError, match=f"pip install {name}"):
                read()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lam3db\[arrow\]'"):
        frame.to_arrow()


def test_importing_the_package_brings_nothing_heavy() -> None:
    code = (
        "import sys, lam3db; lam3db.open; bad = {'sqlalchemy', 'pyarrow', 'pandas', 'polars'};"
        "import_free = not bad & set(sys.modules); import lam3db.reading;"
        "sys.exit(not import_free or bool({'pyarrow', 'pandas', 'polars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_large_table_is_read_in_pieces() -> None:
    read: list[int] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for i in range(100_000):
            read.append(i)
            yield (i, f"w{i % 3}")

    frame = Frame((Column("i", "integer"), Column("w", "word")), rows)
    first = next(frame.batches(1000))
    assert first.num_rows == 1000
    assert len(read) <= 1001
    assert frame.to_arrow()["w"].combine_chunks().dictionary.to_pylist() == ["w0", "w1", "w2"]
