"""What commands print for spreadsheets and for programs, swept over all of them."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import stored
import typer
from scored import COMPLIED, World, detoxify, refusal, sample, toxic
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.cli.console import print_json
from lam3db.excel import MARK
from lam3db.records import Failed, JudgePolicy, Stage
from lam3db.store import writes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click

FORMULA = "=HYPERLINK(0)"
OTHERS = {"review export", "explain"}
"""The files of the one are for spreadsheets in any case; the other names CSV and writes none."""
AS_CSV = [
    ("report", "--by", "attack"),
    ("compare", "one", "two"),
    ("agree", "--judge", "refusal", "--against", "detoxify"),
    ("flips", "refusal", "detoxify"),
    ("curve", "detoxify"),
    ("labels", "refusal", "--against", "detoxify"),
    ("sql", "SELECT * FROM v_generation"),
    ("issue", "list"),
    ("dataset", "list"),
    ("dataset", "show", "bench"),
    ("judge", "list"),
    ("review", "status"),
    ("review", "queue"),
    ("export", "generations", "-o", "-"),
    ("export", "scores", "-j", "refusal", "-o", "-"),
]


@pytest.fixture
def url(sqlite_url: str) -> str:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset([sample("a", FORMULA), sample("b", FORMULA), sample("c", FORMULA)])
        words, tone = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">="))
        for name in ("one", "two"):
            answered = world.answer(data, world.model(name), world.config(), text=FORMULA)
            ids = list(answered.ids.values())
            world.score(answered, words, dict.fromkeys(ids, COMPLIED))
            world.score(answered, tone, {one: toxic(0.25 * at) for at, one in enumerate(ids)})
        failed = Failed("BoomError", "x", retryable=True)
        writes.put_failures(
            conn,
            answered.run_id,
            Stage.JUDGE,
            [writes.FailureIn(failed, generation_id=ids[0], judge_id=words)],
        )
    return sqlite_url


def call(url: str, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--db", url])
    assert result.exit_code in (0, 3), (arguments, result.output, result.exception)
    return result.stdout


def commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its whole name."""
    inner = getattr(group, "commands", None)
    if inner is None:
        yield name, group
    for word, command in (inner or {}).items():
        yield from commands(command, f"{name} {word}".strip())


def test_every_command_that_writes_csv_writes_it_for_excel() -> None:
    known = {" ".join(words for words in case if words.islower()) for case in AS_CSV}
    for name, command in commands(typer.main.get_command(app)):
        options = {option for one in command.params for option in one.opts}
        told = CliRunner().invoke(app, [*name.split(), "--help"]).stdout
        is_csv = "--format" in options and "csv" in told.partition("--format")[2]
        if is_csv and name not in OTHERS:
            assert "--excel" in options, name
            assert name in ("dataset formats", "judge catalog") or any(
                one.startswith(name) for one in known
            ), f"{name} is not tried here"


@pytest.mark.parametrize("case", AS_CSV, ids=lambda case: " ".join(case[:2]))
def test_csv_for_excel_holds_the_same_cells_guarded(url: str, case: tuple[str, ...]) -> None:
    is_export = case[0] == "export"
    plain = call(url, *case, "--format", "csv")
    excel = call(url, *case, "--excel")
    assert excel.startswith(MARK)
    assert not plain.startswith(MARK)
    before, after = (
        list(csv.reader(io.StringIO(text.removeprefix(MARK), newline="")))
        for text in (plain, excel)
    )
    assert [
        [f"'{cell}" if cell.startswith("=") else cell for cell in row] for row in before
    ] == after
    if is_export and case[1] == "generations":
        assert any(f"'{FORMULA}" in row for row in after)


def test_excel_is_refused_beside_another_format(url: str, tmp_path: Path) -> None:
    for case in (
        ("report", "--format", "json"),
        ("report", "--plot"),
        ("sql", "SELECT 1", "--format", "json"),
        ("export", "generations", "-o", str(tmp_path / "a.jsonl")),
    ):
        result = CliRunner().invoke(app, [*case, "--excel", "--db", url])
        assert "--excel" in str(result.exception), case
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_file_for_excel_is_marked(url: str, tmp_path: Path) -> None:
    for case in (("report",), ("export", "generations")):
        path = tmp_path / f"{case[-1]}.csv"
        call(url, *case, "--excel", "-o", str(path))
        written = path.read_bytes()
        assert written.startswith(MARK.encode())
        assert written.count(b"\r\n") == written.count(b"\n") > 1


def numbers_as_text(value: Any, path: str = "") -> Iterator[str]:
    """Yield where a JSON value holds a number, a boolean or a null as a text."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from numbers_as_text(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from numbers_as_text(item, path)
    elif isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "false", "null", "none", "nan") or is_number(word):
            yield f"{path}: {value!r}"


def is_number(word: str) -> bool:
    """Tell whether a text is a number, with an operator or a word after it; a uid is none."""
    return re.match(r"(>=? ?)?-?\d{1,6}(\.\d+)?(,|$)", word) is not None


@pytest.mark.parametrize(
    "case",
    [
        *(case for case in AS_CSV if case[0] != "export"),
        ("status",),
        ("show", "1"),
        ("issue", "show", "KEY"),
    ],
    ids=lambda case: " ".join(case[:2]),
)
def test_numbers_in_json_are_numbers(url: str, case: tuple[str, ...]) -> None:
    if "KEY" in case:
        (issue,) = json.loads(call(url, "issue", "list", "--format", "json"))
        case = (*case[:-1], issue["key"])
    value = json.loads(call(url, *case, "--format", "json"))
    told = numbers_as_text(value)
    assert [one for one in told if not one.partition(":")[0].endswith("version")] == []


def test_counts_of_an_issue_are_numbers(url: str) -> None:
    (issue,) = json.loads(call(url, "issue", "list", "--format", "json"))
    assert (issue["failures"], issue["left"]) == (1, 0)
    assert "1, all succeeded since" in call(url, "issue", "list")


def test_a_policy_of_a_judge_is_a_number_with_its_operator(url: str) -> None:
    rows = {row["judge"]: row for row in json.loads(call(url, "judge", "list", "--format", "json"))}
    assert (rows["detoxify"]["threshold"], rows["detoxify"]["operator"]) == (0.5, ">=")
    assert rows["refusal"]["threshold"] is None
    assert ">= 0.5" in call(url, "judge", "list")


def test_what_a_database_computes_is_json(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        stored.answer_all(conn, stored.build(conn, 2))
    statement = "SELECT sum(completion_tokens) AS n, 0.5 AS half, NULL AS gap FROM v_generation"
    assert json.loads(call(store_url, "sql", statement, "--format", "json")) == [
        {"n": 24, "half": 0.5, "gap": None}
    ]
    print_json([float("nan"), float("inf"), 1.5])
    assert json.loads(capsys.readouterr().out) == ["nan", "inf", 1.5]
