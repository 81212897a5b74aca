"""Digits without end are refused in plain words, wherever a stranger can write them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.config_files import read_document, read_value
from lam3db.errors import ConfigError, Lam3Error
from lam3db.weightfiles import read_object
from lam3db.whole_numbers import MOST_DIGITS, whole_number

if TYPE_CHECKING:
    from pathlib import Path

ENDLESS = "9" * 6000


def test_a_number_is_read_to_its_bound() -> None:
    assert whole_number("-12") == -12
    assert whole_number("9" * MOST_DIGITS) == 10**MOST_DIGITS - 1
    with pytest.raises(ValueError, match=r"has 6,000 characters \(limit 400\)"):
        whole_number(ENDLESS)
    assert json.loads("[1, -2]", parse_int=whole_number) == [1, -2]


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--model", "demo-llava", "--dataset", "x", "--shard", f"1/{ENDLESS}"],
        ["generate", "--model", "demo-llava", "--dataset", f"x@{ENDLESS}"],
        ["generate", "-m", "demo-llava", "-d", "x", "--set", f"max_new_tokens={ENDLESS}"],
        ["report", "--rule", f"any-of-{ENDLESS}"],
        ["report", "--metric", f"emt@{ENDLESS}"],
        ["report", "--dataset", f"x@{ENDLESS}"],
        ["review", "sample", "--name", "r", "--labels", f"grade:1-{ENDLESS}"],
        ["explain", f"judge=0,k={ENDLESS}"],
        ["show", ENDLESS],
        ["status", "--limit", ENDLESS],
    ],
)
def test_endless_digits_in_a_command_are_an_error_in_plain_words(
    words: list[str], sqlite_url: str
) -> None:
    CliRunner().invoke(app, ["db", "upgrade", "--db", sqlite_url])
    result = CliRunner().invoke(app, [*words, "--db", sqlite_url])
    assert result.exit_code
    assert isinstance(result.exception, Lam3Error | SystemExit)
    assert "set_int_max_str_digits" not in f"{result.exception}{result.output}"


def test_endless_digits_in_a_json_file_of_weights_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"hidden_size": ' + ENDLESS + "}")
    with pytest.raises(ValueError, match=r"config\.json cannot be read as JSON: the number 9999"):
        read_object(path)


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 400_000, "a: " + "{a: " * 200_000, "a: &a [x]\nb: " + "[*a," * 150_000],
    ids=["lists", "mappings", "aliases"],
)
def test_a_config_of_great_depth_is_refused_where_it_becomes_too_deep(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match=r"deep\.yaml:\d: .*nested more than 32 levels deep"):
        read_document(path, str(path))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("text", ["[" * 5000, "2001-13-45", ENDLESS, "!!python/name:os.system"])
def test_a_cell_that_is_no_yaml_is_an_error_of_its_own(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_value(text)
    assert "set_int_max_str_digits" not in str(caught.value)
