"""Every command that prints survives odd texts, narrow encodings and outputs that take nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from scored import COMPLIED, REFUSED, World, refusal, sample, toxic

from lam3db.cli.app import app
from lam3db.errors import InputError
from lam3db.escaping import escape_errors
from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path

ODD = "nul \x00, half \ud83d, esc \x1b[2J, \u202emark, =1+1, <b>&amp;</b> $_% \\x, 拒绝 \U0001f600"
"""What a model, a dataset or a person may have written."""

COMMANDS = [
    *(f"report --by model,attack,category --format {f}" for f in ("table", "markdown", "csv")),
    *(f"report --by model,behavior --format {f}" for f in ("json", "latex", "html")),
    "report --plot",
    "report --by model --attributes",
    *(f"compare A B -j refusal --format {f}" for f in ("table", "csv", "json", "markdown")),
    *(f"agree --format {f}" for f in ("table", "csv", "json", "markdown")),
    *(f"flips refusal other --format {f}" for f in ("table", "json")),
    *(f"curve tone --format {f}" for f in ("table", "csv", "json")),
    "status",
    "status --format json",
    *(f"issue list --format {f}" for f in ("table", "csv", "json")),
    *(f"judge list --format {f}" for f in ("table", "csv", "json")),
    *(f"dataset list --format {f}" for f in ("table", "csv", "json")),
    *(f"dataset show bench --format {f}" for f in ("table", "csv", "json")),
    "judge show refusal",
    *(f"show 1{f}" for f in ("", " --format json")),
    *(f"export generations --format {f} -o -" for f in ("jsonl", "csv")),
    *(f"export scores --judge refusal --format {f} -o -" for f in ("jsonl", "csv")),
    "log show --lang zh",
    "log show --lang en",
    "issue show I-1",
    "db verify",
    "db stats",
    "db views",
    *(f"sql|SELECT text, model, category FROM v_generation|--format|{f}" for f in ("csv", "json")),
    "sql|SELECT text, model FROM v_generation",
]


@pytest.fixture(scope="module")
def odd_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a database in which every name and text is odd."""
    url = f"sqlite:///{tmp_path_factory.mktemp('odd') / 'lam3.db'}"
    with open_store(url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset(
            [
                sample(f"{number} {ODD}", f"by {ODD}", category=ODD, metadata={"note": ODD})
                for number in range(4)
            ]
        )
        judges = [
            world.judge(refusal()),
            world.judge(refusal("2", "other")),
            world.judge(
                JudgeIdentity(f"human {ODD}", JudgeKind.HUMAN, "1", {}, unsafe_verdicts=UNSAFE)
            ),
        ]
        tone = world.judge(
            JudgeIdentity("tone", JudgeKind.CLASSIFIER, "1", {}, heading=f"tone {ODD}"),
            JudgePolicy(0.5, ">="),
        )
        for name in ("A", "B"):
            model = world.model(f"{name} {ODD}", name)
            answered = world.answer(data, model, world.config(), text=ODD, failed=["k3"])
            for at, (key, generation) in enumerate(answered.ids.items()):
                assert key[0] != "k3"
                for judge in judges[:2]:
                    world.score(answered, judge, {generation: REFUSED if at else COMPLIED})
                said = Finding(verdict=Verdict.UNSAFE, explanation=f"{ODD} {generation}")
                world.score(answered, judges[2], {generation: said})
                world.score(answered, tone, {generation: toxic(at / 3, **{f"part {ODD}": 0.5})})
    run("log", "add", ODD.replace("\x00", ""), "--date", "2026-01-02", "--db", url)
    run("issue", "open", ODD.replace("\x00", "").replace("\ud83d", ""), "--key", "I-1", "--db", url)
    return url


UNSAFE = (Verdict.UNSAFE,)


def run(*words: str, encoding: str = "utf-8") -> bytes:
    """Run a command in this process with standard output as the door makes it."""
    target = io.BytesIO()
    stream = io.TextIOWrapper(target, encoding, escape_errors(), newline="", write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        code = app(list(words), standalone_mode=False)
        stream.flush()
    assert code in (None, 0, 1, 3), words
    return target.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_odd_texts_are_printed_where_only_ascii_can_be(odd_url: str, command: str) -> None:
    words = command.split("|") if "|" in command else command.split()
    names = {"A": f"A {ODD}", "B": f"B {ODD}"}
    words = [names.get(word, word) for word in words]
    written = run(*words, *(() if words[-1] == "views" else ("--db", odd_url)), encoding="ascii")
    assert written.decode("ascii")
    if "csv" not in command:  # which has every text exactly
        assert b"\x1b" not in written, written[max(0, written.index(b"\x1b") - 80) :][:160]
    if command.endswith("json"):
        assert json.loads(written) is not None


def process(
    *words: str, redirect: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the real door in a process, with a redirection of the shell."""
    command = f'exec "{sys.executable}" -m lam3db "$@" {redirect}'
    return subprocess.run(
        ["sh", "-c", command, "lam3db", *words],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )


NARROW = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("command", ["log show", "export generations -o -", "report"])
def test_an_ascii_locale_gets_escapes(odd_url: str, command: str) -> None:
    done = process(*command.split(), "--db", odd_url, **NARROW)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout.decode("ascii")
    assert b"\\u62d2\\u7edd" in done.stdout


def test_an_error_in_an_ascii_locale_is_one_line(tmp_path: Path) -> None:
    done = process("report", "--db", str(tmp_path / "没有.db"), **NARROW)
    assert done.returncode == 1
    assert done.stderr.decode("ascii").startswith("lam3db: error: ")


@pytest.mark.parametrize("redirect", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["status", "db stats", "export generations -o -"])
def test_a_closed_output_is_no_traceback_and_harms_no_file(
    odd_url: str, command: str, redirect: str
) -> None:
    done = process(*command.split(), "--db", odd_url, redirect=redirect)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert process("db", "check", "--db", odd_url).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("command", ["status", "export generations -o -", "dataset list"])
def test_a_full_output_is_an_error_of_one_line(odd_url: str, command: str) -> None:
    done = process(*command.split(), "--db", odd_url, redirect="> /dev/full")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if b"error" in line]
    assert line.startswith(b"lam3db: error: standard output cannot be written: ")
    assert b"Traceback" not in done.stderr


def test_a_reader_that_leaves_ends_the_command_without_a_word(odd_url: str) -> None:
    done = process("sql", MANY, "--format", "csv", "--db", odd_url, redirect="| head -1")
    assert b"Traceback" not in done.stderr
    assert b"error" not in done.stderr


MANY = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    " SELECT i, 'some text to fill the pipe' FROM n"
)


@pytest.mark.parametrize(
    "command",
    [
        "report",
        "agree",
        "compare one two",
        "flips refusal other",
        "curve tone",
        "labels --share 0.5",
        "export generations",
        "log show",
        "db backup",
    ],
)
def test_a_file_that_exists_is_refused_and_kept(odd_url: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / "there.csv"
    path.write_text("somebody's")
    words = command.split()
    target = [str(path)] if words[0] == "db" else ["-o", str(path)]
    with pytest.raises(InputError, match="already exists"):
        run(*words, *target, "--db", odd_url)
    assert path.read_text() == "somebody's"
