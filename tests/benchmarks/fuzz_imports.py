"""What a stranger's file may hold, a few thousand times: every reader reads or refuses it.

    python tests/benchmarks/fuzz_imports.py [INPUTS] [SEED] [READER ...]

INPUTS (2,000) files a reader, each a right file with one to three pieces replaced: whole numbers
beyond every type, infinities, deep nesting, NUL, lone surrogates, wrong types, missing pieces, torn
bytes. One in ten results that a reader takes is stored. Printed is each reader with how many files
it took and refused, and every traceback: there must be none, no message may speak to programmers,
and a file that is refused must leave nothing behind.

The tests run a few dozen inputs of each (``tests/pipeline/imports/test_fuzz.py``).
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import random
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets" / "results"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets" / "published"))

from breakage import broken
from small_files import picture
from sqlalchemy import text

from lam3db.datasets.load import Options, load_dataset
from lam3db.datasets.published.load import load_published
from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.datasets.results.map import read_map
from lam3db.datasets.scores import read_scores
from lam3db.errors import Lam3Error
from lam3db.pipeline.imports.results import ImportJob, import_results, look
from lam3db.pipeline.issue_tables import read_issues
from lam3db.pipeline.log_page import read_page
from lam3db.pipeline.review_files import read_sheet
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from lam3db.store.engine import Store

TESTS = Path(__file__).resolve().parent.parent
DIGITS = "@@digits@@"
"""Stands for a whole number of 5,000 digits, which Python itself refuses to write."""
HOSTILE: tuple[Any, ...] = (
    *(2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, DIGITS, 1e308, float("inf")),
    *(float("nan"), -0.0, 5e-324, "\x00", "\ud800", "a\udc80b", "", " ", "\r\n", "=1+1", "#NAME?"),
    *(
        "9" * 400,
        "9" * 5000,
        "1e999",
        "nan",
        "-inf",
        "1_000",
        "\N{FULLWIDTH DIGIT ONE}",
        "x" * 9000,
    ),
    *(None, True, False, [], {}, [[]], {"a": {}}, [None], {"": 1}, [{"role": 5}]),
)
DEEP = "[" * 3000 + "]" * 3000
NEST: Any = 1
for _ in range(40):
    NEST = {"a": NEST}
ROW = {
    "id": 1,
    "model": "m",
    "prompt": "p",
    "answer": "a",
    "label": 1,
    "score": 0.5,
    "trial": 0,
    "category": "c",
    "benign": "false",
    "temperature": 0.5,
    "tokens": 7,
    "who": "ann",
    "a": {},
}
MAP = """
fields:
  {key: id, model: model, prompt: prompt, behavior: prompt, category: category, response: answer,
   replicate: trial, completion_tokens: tokens, attack_parameters: {n: tokens},
   benign: {column: benign, words: {"true": [1], "false": [0, "false"]}}}
config: {temperature: temperature, other: score}
model_facts: {kind: who}
metadata: [who, score]
judges:
  - {name: strict, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}, raw: label}
  - {name: graded, kind: llm, value: score, threshold: ">= 0.5", attributes: {t: tokens}}
annotators:
  - {name: {column: who}, verdict: label, words: {unsafe: [1], safe: [0]}}
"""
KINDS = ("csv", "tsv", "json", "jsonl", "js", "xlsx", "parquet")
MORE: dict[str, tuple[str, Any]] = {
    "jailbreakeval": ("x.csv", [{"question": "q", "answer": "a", "label": 1}]),
    "jailbreakbench": (
        "x.json",
        {
            "parameters": {
                "model": "m",
                "method": "PAIR",
                "attack_type": "t",
                "attacker": {"n": 1},
            },
            "jailbreaks": [
                {"index": 0, "goal": "g", "behavior": "b", "category": "c", "prompt": "p"}
                | {"response": "r", "jailbroken": True, "queries_to_jailbreak": 3}
            ],
        },
    ),
}
SCORES = [
    {"judge_digest": "0" * 64, "subject_digest": f"{at}" * 64, "status": "ok", "verdict": "safe"}
    | {"toxicity_score": 0.5, "attributes": {"a": 1}, "explanation": "e", "raw_output": "r"}
    for at in range(2)
]
ISSUE = {"title": "t", "severity": "high", "status": "open", "note": "n"}
PAGE = (
    "# 2026-11-28\n\n## Parameters\n\n| name | value |\n|---|---|\n| seed | 1 |\n\n## Notes\n- x\n"
)


def write(path: Path, document: Any, chance: random.Random) -> None:
    """Write a document in the kind that the file's name tells, now and then with torn bytes."""
    kind = path.suffix[1:]
    rows = document if isinstance(document, list) else [document]
    rows = [row for row in rows if isinstance(row, dict)] or [{}]
    if kind in ("csv", "tsv", "md"):
        data = _table(rows, "\t" if kind == "tsv" else ",").encode("utf-8", "surrogatepass")
    elif kind == "xlsx":
        data = _sheet(rows)
    elif kind == "parquet":
        data = _parquet(rows)
    elif kind == "jsonl":
        rows = document if isinstance(document, list) else [document]
        data = "\n".join(_json(row, chance) for row in rows).encode()
    else:
        data = (("var x = " if kind == "js" else "") + _json(document, chance)).encode()
    path.write_bytes(torn(data, chance) if chance.random() < 0.15 else data)


def torn(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with some of them lost or replaced."""
    at = chance.randrange(len(data) + 1)
    piece = chance.choice((b"", b"\x00", b'"', b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"{"))
    return data[:at] + piece + data[at + chance.choice((0, 1, 50)) :]


def _json(value: Any, chance: random.Random) -> str:
    written = json.dumps(value).replace(f'"{DIGITS}"', "9" * 5000)
    return written.replace("null", DEEP, 1) if chance.random() < 0.02 else written


def _table(rows: list[dict[str, Any]], delimiter: str) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([_text(row.get(name)) for name in names] for row in rows)
    return stream.getvalue()


def _text(value: Any) -> str:
    if value == DIGITS:
        return "9" * 5000
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _plain(value: Any) -> Any:
    """Return a value as a sheet or a column may hold it."""
    if isinstance(value, str):
        return "".join(
            char for char in _text(value) if char > "\x1f" and not 0xD7FF < ord(char) < 0xE000
        )
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    return value if isinstance(value, float) else json.dumps(value)


def _sheet(rows: list[dict[str, Any]]) -> bytes:
    from openpyxl import Workbook

    book, stream = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet()
    names = list(dict.fromkeys(name for row in rows for name in row))
    sheet.append([_plain(name) for name in names])
    for row in rows:
        values = [_plain(row.get(name)) for name in names]
        sheet.append([v if not isinstance(v, float) or v - v == 0 else None for v in values])
    book.save(stream)
    return stream.getvalue()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = []
    for name in names:
        values = [_plain(row.get(name)) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        arrays.append(pa.array(values if len(kinds) < 2 else [_text(v) for v in values]))
    stream = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=[str(_plain(name)) for name in names]), stream)
    return stream.getvalue()


def hostile(value: Any, chance: random.Random) -> Any:
    """Return the document with pieces replaced by what no reader expects."""
    import breakage

    breakage.JUNK, before = (*HOSTILE, NEST), breakage.JUNK
    try:
        return broken(value, chance)
    finally:
        breakage.JUNK = before


def readers(store: Store) -> dict[str, tuple[str, Any, Callable[[Path], object]]]:
    """Return every reader with the name of a file, a right document and how it is read."""
    cases = _cases("results")
    found: dict[str, tuple[str, Any, Callable[[Path], object]]] = {}
    for kind in KINDS:
        found[f"map {kind}"] = (
            f"x.{kind}",
            [ROW, ROW | {"id": 2}],
            lambda path: _by_map(store, path),
        )
    for name, (file, document) in {**cases, **MORE}.items():
        reader = reader_of(name)
        found[name] = (
            file,
            document,
            lambda path, reader=reader: _take(
                store, ImportJob(path, reader, ReadOptions(), {"format": "x"}, "d")
            ),
        )
    own = [{"id": 1, "prompt": "p", "category": "c", "behavior": "b", "target": "t", "image": None}]
    for kind in ("jsonl", "csv", "tsv"):
        found[f"dataset {kind}"] = (f"x.{kind}", own, load_dataset)
    for name, document in _cases("published").items():
        options = Options(layout=name, skips_missing=True)
        found[f"dataset {name}"] = (
            "01-A.json",
            document,
            lambda path, options=options: _load(path, options),
        )
    found["scores"] = ("x.jsonl", SCORES, read_scores)
    found["scores csv"] = ("x.csv", SCORES, read_scores)
    review = [{"item": "1", "status": "ok", "verdict": "safe", "value": 1, "note": ""}]
    found["review csv"] = ("x.csv", review, read_sheet)
    found["review xlsx"] = ("x.xlsx", review, read_sheet)
    found["issues"] = ("x.csv", [ISSUE], read_issues)
    found["page"] = ("x.json", PAGE, read_page)
    return found


def _load(path: Path, options: Options) -> object:
    """Read a published benchmark that has its pictures."""
    picture(path.parent / "a.png")
    for kind in ("SD", "SD_TYPO", "TYPO"):
        picture(path.parent / "01-A" / kind / "a.jpg")
    return load_published(path, options)


def _cases(folder: str) -> dict[str, Any]:
    """Return the right documents that the tests break, by format."""
    place = TESTS / "datasets" / folder / "test_hostile.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_hostile", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.CASES)


def _by_map(store: Store, path: Path) -> object:
    mapping = path.parent / "map.yaml"
    mapping.write_text(MAP)
    read = read_map(mapping)
    job = ImportJob(path, read.read, ReadOptions(), {"map": "map.yaml"}, "d", "draws")
    return _take(store, job)


def _take(store: Store, job: ImportJob) -> object:
    """Look at a file, and store one in ten."""
    seen = look(job)
    return import_results(store, job) if job.path.stat().st_size % 10 == 0 else seen


def counts(store: Store) -> tuple[Any, ...]:
    """Return how many rows there are of what an import writes."""
    tables = ("sample", "generation", "finding", "score", "run", "dataset", "judge", "failure")
    asked = ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
    with store.read() as conn:
        return tuple(conn.execute(text(f"SELECT {asked}")).one())


def attempt(
    name: str, reader: tuple[str, Any, Callable[[Path], object]], seed: int, store: Store
) -> str:
    """Read one broken file; return ``taken``, ``refused`` or what went wrong."""
    file, document, read = reader
    chance = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        if isinstance(document, str):
            path.write_bytes(torn(document.encode(), chance))
        else:
            try:
                write(path, hostile(document, chance), chance)
            except (ValueError, TypeError, OverflowError, ArithmeticError):
                return "unwritable"
        before = counts(store) if seed % 10 == 0 else None
        try:
            read(path)
        except Lam3Error as error:
            if "set_int_max" in str(error) or "Traceback" in str(error):
                return f"speaks to programmers: {error}"
            if before is not None and counts(store) != before:
                return "left something behind"
            return "refused"
        except Exception:  # noqa: BLE001 - any other one is what is looked for
            return "".join(traceback.format_exc(limit=-4))
        return "taken"


def main(inputs: int = 2000, seed: int = 0, only: tuple[str, ...] = ()) -> int:
    """Run the inputs; return how many kinds of trouble there are."""
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/fuzz.db"
        with open_store(url, mode="write") as store:
            for name, reader in readers(store).items():
                if only and name not in only:
                    continue
                results: Counter[str] = Counter()
                for number in range(seed, seed + inputs):
                    result = attempt(name, reader, number, store)
                    is_wrong = result not in ("taken", "refused", "unwritable")
                    results["wrong" if is_wrong else result] += 1
                    if is_wrong:
                        wrong[f"{name}: {result}"] += 1
                print(f"{name:24} {dict(results)}", flush=True)
    for what, count in wrong.most_common(40):
        print(f"\n{count} x {what}")
    return len(wrong)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    sys.exit(min(1, main(*given, only=tuple(sys.argv[3:]))))
