"""Where values come from: numbers for columns, the file's name, the row, another file, parts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mapped import FIELDS, ROW, mapped, refused, said

from lam3db.datasets.results import map as maps
from lam3db.datasets.results.map import read_map
from lam3db.datasets.results.maps import checks, judge_entries, parse, source_entries

NUMBERED = "m,p,r,1,2,0\nx,q,a,0,1,5\nx,w,b,1,1,6\n"
SAFE = "words: {unsafe: [1], safe: [0]}"


def test_a_number_names_a_column_where_only_a_column_makes_sense(tmp_path: Path) -> None:
    text = f"""
fields: {{model: m, prompt: p, response: 0}}
annotators: [{{columns: [1, 2], {SAFE}}}]
judges: [{{name: j, kind: llm, verdict: 2, value: 1, {SAFE}}}]
metadata: [2]
"""
    one, other = mapped(tmp_path, NUMBERED, text, "r.csv")[0]
    assert {name: (v, n) for name, (_, v, n) in said(one).items()} == {
        "1": ("safe", None), "2": ("unsafe", None), "j": ("unsafe", 0.0),
    }  # fmt: skip
    assert (one.response, other.response, one.metadata) == ("5", "6", {"2": "1"})
    quoted = mapped(tmp_path, NUMBERED, text.replace("[1, 2]", "['1', '2']"), "r.csv")[0]
    assert [o.judge.identity.digest for o in quoted[0].findings] == [
        o.judge.identity.digest for o in one.findings
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"annotators: [{{columns: [1, 7], {SAFE}}}]", "put a column's name in quotes"),
        (f"judges: [{{name: j, kind: llm, verdict: 7, {SAFE}}}]", "no row has '7'"),
        (f"judges: [{{name: j, kind: llm, verdict: 1.5, {SAFE}}}]", "put its name in quotes"),
        (f"judges: [{{name: j, kind: llm, verdict: true, {SAFE}}}]", "put its name in quotes"),
        ("judges: [{name: j, kind: llm, value: {constant: 1}}]", "a constant is no finding"),
        (
            f"judges: [{{name: 1, kind: llm, verdict: '1', {SAFE}}}]",
            "1 is no name: put it in quotes",
        ),
        (f"annotators: [{{columns: [true], {SAFE}}}]", "True is no column"),
        ("metadata: [7]", "no row has '7'"),
        ("metadata:", None),
        ("config: {top_k: 1}", "1 is a column, too: write {column: '1'} for it"),
    ],
)
def test_a_number_that_is_no_column_is_a_fault(
    tmp_path: Path, text: str, expected: str | None
) -> None:
    if expected is not None:
        assert expected in refused(tmp_path, NUMBERED, FIELDS + text, "r.csv")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("prompt: ", "fields.prompt: is empty"),
        ("prompt: true", "True is no column: put its name in quotes, or say {constant: ...}"),
        ("prompt: [p]", "is no column"),
        ("prompt: 3", "no row has '3'"),
        ("prompt: {column: p, words: {'true': [1]}}", "prompt.words: has no effect here"),
        ("prompt: {column: p, failures: [x]}", "prompt.failures: has no effect here"),
        ("prompt: {colum: p}", "did you mean 'column'?"),
        ("prompt: {column: p, constant: q}", "say either column or constant"),
        ("prompt: {column: p, empty: maybe}", "neither answer nor missing"),
        ("messages: {column: p, pattern: x}", "messages.pattern: has no effect here"),
        ("prompt: {row: 2}", "write 0 or 1"),
        ("prompt: {file: 'run(9+)'}", "its name has no 'run(9+)'"),
    ],
)
def test_a_source_that_says_nothing_sensible_is_refused(
    tmp_path: Path, field: str, expected: str
) -> None:
    text = f"fields:\n  model: m\n  response: r\n  {field}\n"
    assert expected in refused(tmp_path, [ROW], text)


def test_the_number_of_a_replicate_comes_from_the_name_of_file_or_folder(tmp_path: Path) -> None:
    text = r"""
fields:
  model: {file: '^(.+)_run'}
  key: {row: 1}
  prompt: p
  response: r
  replicate: {file: 'seed[_-](\d+)'}
"""
    name = "seed_3/llama_run7.jsonl"
    data = "".join(json.dumps(ROW) + "\n" for _ in range(2))
    records = mapped(tmp_path, data, text, name)[0]
    assert [(r.model.name, r.replicate, r.key) for r in records] == [
        ("llama", 3, "1"), ("llama", 3, "2"),
    ]  # fmt: skip


def test_a_part_of_a_cell_is_a_value_and_a_cell_without_it_is_a_fault(tmp_path: Path) -> None:
    text = r"fields: {model: m, prompt: p, response: r, replicate: {column: run, pattern: '\d+'}}"
    rows = [{**ROW, "run": "seed-2"}, {**ROW, "run": "no number"}]
    assert mapped(tmp_path, rows[:1], text)[0][0].replicate == 2
    assert r"record 2, run: 'no number' has no '\\d+'" in refused(tmp_path, rows, text)


def test_the_last_of_a_list_is_counted_from_its_end(tmp_path: Path) -> None:
    text = "fields: {model: m, prompt: p, response: 'turns[-1].text'}"
    rows = [{**ROW, "turns": [{"text": "a"}, {"text": "b"}]}, {**ROW, "turns": []}]
    assert [record.response for record in mapped(tmp_path, rows, text)[0]] == ["b", None]


@pytest.mark.parametrize("where", ["", "out.items"])
def test_an_object_of_lists_gives_each_record_its_key(tmp_path: Path, where: str) -> None:
    document: Any = {
        "b1": [{"t": "p", "g": "r"}, {"t": "p2", "g": "s"}],
        "b2": [],
        "b3": [{"t": "q"}],
    }
    fields = "{model: {constant: x}, behavior: aim, prompt: t, response: g}"
    text = f"file: {{ids: aim, FROM}}\nfields: {fields}"
    if where:
        document = {"out": {"items": document}, "other": [1]}
    text = text.replace("FROM", f"records: {where}" if where else "").replace(", }", "}")
    records = mapped(tmp_path, document, text)[0]
    assert [(record.behavior.text, record.response) for record in records] == [
        ("b1", "r"), ("b1", "s"), ("b3", None),
    ]  # fmt: skip
    single = mapped(tmp_path, {"b1": document["b1"]}, text)[0] if not where else records
    assert single[0].behavior.text == "b1"


def test_another_file_stands_beside_by_key(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("qid,who,label\n1,ann,yes\n2,bob,no\n9,cy,yes\n")
    text = """
join: {file: labels.csv, by: {id: qid}}
fields: {model: m, key: id, prompt: p, response: r}
annotators:
  - {name: {column: labels.who}, verdict: labels.label, words: {unsafe: ["yes"], safe: ["no"]}}
"""
    rows = [{**ROW, "id": number} for number in (1.0, "2", 3)]
    records, remarks = mapped(tmp_path, rows, text)
    assert [sorted(said(record)) for record in records] == [["ann"], ["bob"], []]
    assert remarks == [
        "rows without a partner in labels.csv (1)",
        "keys of labels.csv that no row has (1)",
    ]
    none = refused(tmp_path, [{**ROW, "id": "x"}], text)
    assert "no row has a partner in" in none
    assert "no row has 'lbael' in 'labels' - did you mean 'label'?" in refused(
        tmp_path, rows, text.replace("labels.label", "labels.lbael")
    )


def test_all_rows_of_a_key_are_a_list_where_the_map_says_so(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text(
        '{"id": 1, "w": "a", "l": 1}\n{"id": 1, "w": "b", "l": 0}\n{"id": null, "w": "c", "l": 0}\n'
    )
    text = f"""
join: [{{file: l.jsonl, as: votes, by: id, many: true}}]
fields: {{model: m, key: id, prompt: p, response: r}}
annotators: [{{list: votes, name: {{column: said.w}}, verdict: said.l, {SAFE}}}]
"""
    (record,), _ = mapped(tmp_path, [{**ROW, "id": 1}], text)
    assert sorted(said(record)) == ["a", "b"]
    assert "two rows have the key '1'" in refused(
        tmp_path, [{**ROW, "id": 1}], text.replace(", many: true", "")
    )


def test_row_by_row_files_are_equally_long(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("label\n1\n0\n")
    text = f"""
join: {{file: l.csv, row_by_row: true}}
fields: {{model: m, prompt: p, response: r}}
judges: [{{name: j, kind: llm, verdict: l.label, {SAFE}}}]
"""
    records, _ = mapped(tmp_path, [ROW, ROW], text)
    assert [said(record)["j"][1] for record in records] == ["unsafe", "safe"]
    assert "3 rows beside 2 of l.csv" in refused(tmp_path, [ROW] * 3, text)


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("{file: none.csv, by: id}", "there is no none.csv in"),
        ("{file: ../l.csv, by: id}", "leads out of"),
        ("{file: l.csv, by: qdi}", "no row has 'qdi' - did you mean 'qid'?"),
        ("{file: l.csv, by: {id: qdi}}", "no row has 'qdi' - did you mean 'qid'?"),
        ("{file: l.csv}", "say by: the columns that both have"),
        ("{file: l.csv, by: qid, row_by_row: true}", "say by"),
        ("{file: l.csv, by: {id: qid}, as: said}", "cannot be its name here"),
        ("{file: l.csv, by: {id: qid}, as: m}", "is a column here"),
        ("[{file: l.csv, by: qid}, {file: l.csv, by: qid}]", "is the name of two files"),
    ],
)
def test_a_join_that_cannot_be_made_is_refused(tmp_path: Path, join: str, expected: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "l.csv").write_text("qid,label\n1,1\n")
    (tmp_path / "l.csv").write_text("qid,label\n1,1\n")
    name = "none" if "none" in join else "m" if "as: m" in join else "l"
    text = f"join: {join}\n{FIELDS}metadata: [id, {name}.label]"
    assert expected in refused(inner, [{**ROW, "id": 1}], text)


def test_conversations_hold_images_as_chat_interfaces_write_them(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    from lam3db.datasets.images import ImageFolder
    from lam3db.records import images_of, text_of

    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    chat = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ]},
    ]  # fmt: skip
    text = "fields: {model: m, behavior: p, messages: chat, image: i, response: r}"
    images = ImageFolder(None)
    row = {**ROW, "chat": chat, "i": url}
    (record,), _ = mapped(tmp_path, [row], text, images=images)
    assert record.messages is not None
    assert text_of(record.messages) == "be kind\nwhat is it?"
    assert len(images_of(record.messages)) == 2
    assert len(images.media) == 1
    assert record.metadata == {"image": ["https://example.org/a.png"]}
    chat[1]["content"] = [{"type": "input_audio", "input_audio": {}}]
    assert "record 1, chat: message 2: content[1]: type 'input_audio'" in refused(
        tmp_path, [row], text, images=images
    )
    assert "is no list of messages" in refused(tmp_path, [{**row, "chat": "hello"}], text)


def test_the_guide_is_a_map_and_names_every_setting(tmp_path: Path) -> None:
    guide = maps.__doc__ or ""
    block = guide.partition("in full::\n")[2].partition("**Where")[0]
    (tmp_path / "guide.yaml").write_text(re.sub(r"(?m)^    ", "", block))
    shape = read_map(tmp_path / "guide.yaml").shape
    assert set(shape.written) == set(parse.TOP)
    names = (
        *parse.TOP, *parse.FIELDS, *parse.FILE, *parse.JOIN, *judge_entries.JUDGE,
        *judge_entries.PAIR, *source_entries.COLUMN, *checks.RULES,
    )  # fmt: skip
    words = set(re.findall(r"\w+", guide))
    assert [name for name in names if name not in words] == []
