"""``lam3db explain`` as typed."""

from __future__ import annotations

import csv
import io
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from scored import COMPLIED, REFUSED, World, refusal, sample
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.errors import Lam3Error
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def url(sqlite_url: str) -> str:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset([sample("a"), sample("b"), sample("c", "wrapper")])
        answered = world.answer(data, world.model(), world.config())
        said = (COMPLIED, REFUSED, COMPLIED)
        told = dict(zip(answered.ids.values(), said, strict=True))
        world.score(answered, world.judge(refusal()), told)
    return sqlite_url


def call(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--db", url])


def report_rows(url: str, *options: str) -> Sequence[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(call(url, "report", "-f", "csv", *options).stdout)))


def test_the_ref_of_a_csv_line_explains_it_and_its_commands_make_it_again(url: str) -> None:
    row = report_rows(url)[0]
    shown = call(url, "explain", row["ref"], "--expect", "1/2", "--expect", "50.0%")
    assert shown.exit_code == 0, shown.exception
    assert "1 / 2 = 50.0 %" in shown.stdout
    value = json.loads(call(url, "explain", row["ref"], "-f", "json").stdout)
    assert value["number"]["share"]["hits"] == 1
    again = [shlex.split(line) for line in value["commands"]]
    assert [one[:2] for one in again] == [["lam3db", "report"], ["lam3db", "explain"]]
    assert report_rows(url, *again[0][2:])[0] == row
    assert call(url, *again[1][1:]).stdout == shown.stdout
    statement = call(url, "explain", row["ref"], "-f", "sql").stdout
    (sums,) = json.loads(call(url, "sql", statement, "--format", "json").stdout)
    assert (sums["unsafe"], sums["decided"]) == (1, 2)


def test_a_row_in_words_is_the_same(url: str) -> None:
    row = report_rows(url)[0]
    words = ["--by", "model,attack", "--row", "model=demo", "--row", "attack=none"]
    shown = call(url, "explain", *words, "--judge", "refusal")
    assert shown.stdout == call(url, "explain", row["ref"]).stdout
    none = call(url, "explain", "--row", "dataset=(none)", "--judge", "refusal")
    assert isinstance(none.exception, Lam3Error), "every answer has a dataset"
    only = call(url, "explain", row["ref"], "--metric", "mean")
    assert "1 / 2" not in only.stdout


def test_a_number_that_has_changed_is_told(url: str) -> None:
    ref = report_rows(url)[0]["ref"]
    for told in ("2/2", "0.51", "51%"):
        changed = call(url, "explain", ref, "--expect", told)
        assert isinstance(changed.exception, Lam3Error)
        assert f"{told} was expected, and asr is 0.5 (n 2) now" in str(changed.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--judge", "nobody"),
        ("--judge", "refusal", "--row", "colour=red"),
        ("--judge", "refusal", "--row", "attack=unknown"),
        ("--judge", "refusal", "--by", "attack"),
        ("judge=zz",),
        ("judge=ab,attack=none", "--judge", "refusal"),
        ("--judge", "refusal", "--metric", "share"),
        ("--judge", "refusal", "--threshold", "other>0.5"),
        ("--judge", "refusal", "--expect", "many"),
        ("--judge", "refusal", "--format", "pdf"),
    ],
)
def test_mistakes_are_errors_for_people(url: str, arguments: tuple[str, ...]) -> None:
    assert isinstance(call(url, "explain", *arguments).exception, Lam3Error)
