"""Labels out and back on both engines: blind, whole or not at all, revised in the open."""

from __future__ import annotations

import csv
import io
import random
import re
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from PIL import Image
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, put, sample

from lam3db.errors import ConfigError, InputError, Lam3Error, NotFoundError
from lam3db.hashing import text_digest
from lam3db.media import MediaRoot
from lam3db.pipeline.generate import generate
from lam3db.pipeline.review_export import Export, Exported, export_review
from lam3db.pipeline.review_files import read_sheet
from lam3db.pipeline.review_import import Import, Imported, import_labels
from lam3db.pipeline.review_items import disputed
from lam3db.pipeline.review_labels import (
    annotator,
    guideline_digest,
    read_scheme,
    read_shown,
)
from lam3db.pipeline.review_sample import Draw, sample_review
from lam3db.pipeline.review_status import review_status
from lam3db.records import (
    Behavior,
    Dataset,
    ImagePart,
    JudgeKind,
    Message,
    Sample,
    ScoreStatus,
    Sees,
    TextPart,
    Verdict,
)
from lam3db.store import reviews, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHOWN = read_shown("response,prompt,behavior")
ATTACK = "sneaky-wrapper"


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "guide.md").write_text("Is it harmful?", encoding="utf-8")
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number, attack=ATTACK) for number in range(20)])
        generate(opened, job())
        sample_review(opened, Draw("r", random=12, seed=5))
        yield opened


def export(store: Store, **changes: Any) -> Exported:
    asked = {"review": "r", "annotator": "anna", "shown": SHOWN, "kind": "csv", "folder": "pics"}
    return export_review(store, Export(**{**asked, **changes}))


def rows_of(made: Exported) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.content.decode("utf-8-sig"), newline="")))


def write(folder: Path, rows: list[dict[str, str]], name: str = "items.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def filled(made: Exported, label: Callable[[int], str], **more: str) -> list[dict[str, str]]:
    return [row | {"label": label(at)} | more for at, row in enumerate(rows_of(made))]


def read(store: Store, path: Path, who: str = "anna", **changes: Any) -> Imported:
    asked = Import(path, who, path.parent / "guide.md", **changes)
    return import_labels(store, asked)


def count(store: Store, sql: str) -> int:
    with store.read() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {sql}")).scalar_one())


def test_a_file_of_labels_becomes_scores(store: Store, tmp_path: Path) -> None:
    made = export(store)
    words = ["safe", "UNSAFE ", "refused", "skip", ""]
    rows = filled(made, lambda at: words[at % 5])
    rows[0] |= {"confidence": "0.75", "comment": "=plain; a 'comment'"}
    done = read(store, write(tmp_path, rows))
    assert (done.new, done.revised, done.unchanged, done.open) == (10, 0, 0, 2)
    assert done.judge == "human:anna"
    assert count(store, "score") == 10
    with store.read() as conn:
        card = reviews.find_judge(conn, "human:anna", "human")
        labels = {one.generation_id: one for one in reviews.human_labels(conn, everything(store))}
        said = sorted(str(one.verdict or one.status) for one in labels.values())
        attribute = conn.execute(text("SELECT attribute, value FROM finding_attribute")).all()
        comment = conn.execute(
            text("SELECT explanation FROM finding WHERE explanation IS NOT NULL")
        ).scalar_one()
    assert said == sorted(["safe"] * 3 + ["unsafe"] * 3 + ["refused"] * 2 + ["abstained"] * 2)
    assert attribute == [("confidence", 0.75)]
    assert comment == "=plain; a 'comment'"
    assert card.spec == {
        "annotator": "anna",
        "guideline": guideline_digest(tmp_path / "guide.md"),
        "labels": "safety",
    }
    assert card.unsafe_verdicts == ("unsafe",)
    assert not [fault for checked in verify(store) for fault in checked.faults]


def everything(store: Store) -> list[int]:
    with store.read() as conn:
        review = reviews.find_review(conn, "r")
        return [item.generation_id for item in reviews.review_items(conn, review.id)]


def test_the_same_file_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, filled(export(store), lambda _: "safe", confidence="1", comment="ok"))
    read(store, path)
    before = [count(store, table) for table in ("finding", "score", "run", "judge")]
    done = read(store, path)
    assert (done.new, done.revised, done.unchanged, done.open) == (0, 0, 12, 0)
    assert [count(store, table) for table in ("finding", "score", "run", "judge")] == before


def test_another_label_is_a_revision_or_an_error(store: Store, tmp_path: Path) -> None:
    rows = filled(export(store), lambda _: "safe")
    read(store, write(tmp_path, rows))
    rows[3]["label"], rows[5]["label"], rows[7]["comment"] = "unsafe", "", "hm"
    path = write(tmp_path, rows)
    with pytest.raises(InputError, match="2 faults; nothing was stored") as told:
        read(store, path)
    assert (
        "row 5: safe is stored, unsafe is written: to change it, --revise" in told.value.faults[0]
    )
    assert "safe, comment 'hm' is written" in told.value.faults[1]
    assert count(store, "finding") == 12
    with pytest.raises(ConfigError, match="why is it another label"):
        read(store, path, reason=" ")
    done = read(store, path, reason="read it again")
    assert (done.new, done.revised, done.unchanged, done.open) == (0, 2, 9, 1)
    with store.read() as conn:
        latest = conn.execute(
            text("SELECT author, reason, verdict FROM score WHERE revision = 1 ORDER BY verdict")
        ).all()
        labels = reviews.human_labels(conn, everything(store))
    assert latest == [("anna", "read it again", "safe"), ("anna", "read it again", "unsafe")]
    assert sum(one.verdict == "unsafe" for one in labels) == 1
    assert len(labels) == 12, "a label taken out of the file stays"
    assert read(store, path).unchanged == 11
    assert not [fault for checked in verify(store) for fault in checked.faults]


def test_every_fault_is_told_and_nothing_is_stored(store: Store, tmp_path: Path) -> None:
    rows = filled(export(store), lambda _: "safe")
    rows[0]["label"] = "unsafee"
    rows[1]["confidence"] = "80%"
    rows[2]["item"] = "0123456789abcdef"
    rows[3]["item"] = rows[4]["item"]
    rows[3]["response"], rows[3]["prompt"] = rows[4]["response"], rows[4]["prompt"]
    rows[3]["behavior"] = rows[4]["behavior"]
    rows[5]["response"] += "!"
    rows[6] |= {"label": "", "comment": "cannot tell"}
    rows[7]["confidence"] = "nan"
    with pytest.raises(InputError) as told:
        read(store, write(tmp_path, rows))
    expected = [
        "row 2, column label: 'unsafee' is none of safe, unsafe, refused, skip - did you mean",
        "row 3, column confidence: '80%' is no number from 0 to 1",
        "row 4, column item: '0123456789abcdef' is no item of this review",
        "is in row 5 too",
        "comment are yours to write; programs change what looks like a number or a date in CSV",
        "row 8, column label: empty, but there is a comment: write skip?",
        "row 9, column confidence: 'nan'",
    ]
    assert len(told.value.faults) == len(expected)
    for fault, part in zip(told.value.faults, expected, strict=True):
        assert part in fault
    assert [count(store, table) for table in ("judge", "finding", "run WHERE kind = 'judge'")] == [
        0
    ] * 3


def test_a_row_of_commas_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    for odd in ("", 'a"', '"a\n,""b",'):
        path.write_text(f"item,label\r\n{odd}{chr(44) * 10_000_000}\r\n")
        tracemalloc.start()
        with pytest.raises(InputError, match="row 2 has more than 64 columns"):
            read_sheet(path)
        assert tracemalloc.get_traced_memory()[1] < 120 << 20
        tracemalloc.stop()
    path.write_text("item,label\r\n" + "1,x\r\n" * 100 + '2,"' + "a, b" * 1000 + '"\r\n')
    assert len(read_sheet(path).rows) == 101
    path.write_text(f"{'x' * 9_000_000},y\n")
    with pytest.raises(InputError, match="its first row") as caught:
        read_sheet(path)
    assert len(str(caught.value)) < 2000


def test_people_reorder_and_leave_out_rows(store: Store, tmp_path: Path) -> None:
    rows = filled(export(store), lambda at: "unsafe" if at == 4 else "safe")
    marked = rows[4]["response"]
    random.Random(2).shuffle(rows)
    done = read(store, write(tmp_path, rows[:9]))
    assert done.new == 9
    rest = read(store, write(tmp_path, rows))
    assert (rest.new, rest.unchanged) == (3, 9)
    with store.read() as conn:
        asked = text(
            "SELECT g.text FROM score s JOIN generation g ON g.id = s.generation_id"
            " WHERE s.verdict = 'unsafe'"
        )
        assert conn.execute(asked).scalar_one() == marked


def test_another_guideline_view_or_scheme_is_another_judge(store: Store, tmp_path: Path) -> None:
    read(store, write(tmp_path, filled(export(store), lambda _: "safe")))
    (tmp_path / "guide.md").write_text("Is it harmful? Look twice.", encoding="utf-8")
    done = read(store, write(tmp_path, filled(export(store), lambda _: "unsafe")))
    assert done.new == 12, "nothing to revise: these are other instructions"
    narrow = filled(export(store, shown=(Sees.RESPONSE,)), lambda _: "refused")
    assert set(narrow[0]) == {"item", "response", "label", "confidence", "comment"}
    assert read(store, write(tmp_path, narrow)).new == 12
    with store.read() as conn:
        cards = reviews.judge_cards(conn, "human")
    assert len({card.digest for card in cards}) == 3
    assert not [fault for checked in verify(store) for fault in checked.faults]


def test_a_file_belongs_to_its_annotator_review_and_view(store: Store, tmp_path: Path) -> None:
    rows = filled(export(store), lambda _: "safe")
    path = write(tmp_path, rows)
    with pytest.raises(InputError, match="for annotator 'ben': was it exported for another"):
        read(store, path, "ben")
    sample_review(store, Draw("other", random=3))
    with pytest.raises(InputError, match="none of review other"):
        read(store, path, review="other")
    with pytest.raises(NotFoundError, match="no review is called 'rr'"):
        read(store, path, review="rr")
    without = [{name: cell for name, cell in row.items() if name != "prompt"} for row in rows]
    with pytest.raises(InputError, match=r"another view .columns added or taken out: prompt"):
        read(store, write(tmp_path, without))
    strange = [row | {"model": "m"} for row in rows]
    with pytest.raises(InputError, match="column 'model' is none of ours"):
        read(store, write(tmp_path, strange))
    bare = [{name: cell for name, cell in row.items() if name != "label"} for row in rows]
    with pytest.raises(InputError, match="column 'label' is missing"):
        read(store, write(tmp_path, bare))
    assert read(store, write(tmp_path, rows), review="r").new == 12


def test_names_and_order_of_items_tell_nothing(store: Store) -> None:
    anna, ben = rows_of(export(store)), rows_of(export(store, annotator="ben"))
    assert [row["item"] for row in anna] == [row["item"] for row in rows_of(export(store))]
    assert all(re.fullmatch("i[0-9a-f]{16}", row["item"]) for row in anna), "not to be a number"
    assert not {row["item"] for row in anna} & {row["item"] for row in ben}
    assert [row["response"] for row in anna] != [row["response"] for row in ben]
    assert sorted(row["response"] for row in anna) == sorted(row["response"] for row in ben)
    by_id = [row["response"] for row in sorted(anna, key=lambda row: row["item"])]
    with store.read() as conn:
        asked = text("SELECT text FROM generation ORDER BY id")
        stored_order = [one for one in conn.execute(asked).scalars() if one in by_id]
    assert stored_order not in (by_id, [row["response"] for row in anna])


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_file_is_blind(store: Store, kind: str, tmp_path: Path) -> None:
    generate(store, job(model=_named("very-secret-model")))
    with store.write() as conn:
        writes.put_judge(conn, annotator("hidden-judge", "0" * 64, SHOWN, read_scheme("safety")))
        words = ["very-secret-model", "hidden-judge", ATTACK]
        words += list(conn.execute(text("SELECT uid FROM run")).scalars())
        words += [
            bytes(one).hex() for one in conn.execute(text("SELECT digest FROM sample")).scalars()
        ]
        words.append(conn.execute(text("SELECT uid FROM review")).scalar_one())
    content = export(store, kind=kind).content
    files = {"file": content}
    if kind == "xlsx":
        path = tmp_path / "items.xlsx"
        path.write_bytes(content)
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
            files |= {f"name {name}": name.encode() for name in archive.namelist()}
        properties = openpyxl.load_workbook(path).properties
        assert (properties.creator, properties.title, properties.description) == (
            "lam3db",
            None,
            None,
        )
    for name, body in files.items():
        for word in words:
            assert word.encode() not in body, (name, word)


def _named(name: str) -> Any:
    from jobs import model

    return model(name=name)


def test_several_annotators_differ_and_an_adjudicator_decides(store: Store, tmp_path: Path) -> None:
    ben = export(store, annotator="ben")
    by_text = {row["response"]: at for at, row in enumerate(rows_of(ben))}
    read(store, write(tmp_path, filled(ben, lambda at: "unsafe" if at < 3 else "safe")), "ben")
    rows = rows_of(export(store))
    for row in rows:
        at = by_text[row["response"]]
        row["label"] = "skip" if at == 0 else "safe" if at < 11 else ""
    read(store, write(tmp_path, rows))
    (part,) = review_status(store, "r")
    told = part.row()
    counts = [
        told[name] for name in ("items", "labelled", "open", "by_several", "agree", "disputed")
    ]
    assert counts == [12, 12, 0, 10, 8, 2]
    assert list(part.annotators.values()) == [11, 12]
    decide = export(store, annotator="carl", only_disputed=True)
    assert decide.items == 2
    path = write(tmp_path, filled(decide, lambda _: "unsafe"))
    done = read(store, path, "carl", adjudicates=True)
    assert (done.new, done.judge) == (2, "human:carl:adjudicator")
    (after,) = review_status(store)
    assert (after.row()["disputed"], after.adjudicated, after.row()["agree"]) == (2, 2, 8)
    with store.read() as conn:
        card = reviews.find_judge(conn, "human:carl:adjudicator")
    assert card.spec["role"] == "adjudicator"
    plain = annotator("carl", card.spec["guideline"], SHOWN, read_scheme("safety"))
    assert plain.digest.hex() != card.digest


def test_only_labels_that_say_something_can_differ() -> None:
    def said(status: str, verdict: str | None) -> reviews.Label:
        return reviews.Label(1, 1, status, None, verdict)

    skip, safe, unsafe = said("abstained", None), said("ok", "safe"), said("ok", "unsafe")
    assert disputed([safe, unsafe])
    assert not disputed([safe, skip])
    assert not disputed([safe, safe])
    assert not disputed([])


def test_copies_share_a_label(store: Store, tmp_path: Path) -> None:
    """Another model that said the same to the same prompt is labelled by the same label."""
    generate(store, job(model=_named("echo")))
    with store.write() as conn:
        conn.execute(
            text(
                """UPDATE generation SET text = (SELECT o.text FROM generation o
                     WHERE o.sample_id = generation.sample_id ORDER BY o.id LIMIT 1),
                   text_digest = (SELECT o.text_digest FROM generation o
                     WHERE o.sample_id = generation.sample_id ORDER BY o.id LIMIT 1)"""
            )
        )
    done = read(store, write(tmp_path, filled(export(store), lambda _: "safe")))
    assert done.new == 12
    assert (count(store, "finding"), count(store, "score")) == (12, 24)
    assert not [fault for checked in verify(store) for fault in checked.faults]


def test_what_shows_the_same_under_a_narrow_view_is_one_item(store: Store, tmp_path: Path) -> None:
    with store.write() as conn:
        conn.execute(
            text(
                """UPDATE generation SET text = (SELECT text FROM generation WHERE id = 1),
                     text_digest = (SELECT text_digest FROM generation WHERE id = 1)
                   WHERE id IN (SELECT generation_id FROM review_item WHERE position < 5)"""
            )
        )
    narrow = export(store, shown=(Sees.RESPONSE,))
    assert narrow.items in (8, 7)
    done = read(store, write(tmp_path, filled(narrow, lambda _: "unsafe")))
    assert (done.new, count(store, "finding")) == (narrow.items, narrow.items)
    assert count(store, "score") >= 12
    assert not [f for checked in verify(store) for f in checked.faults if "subject" in f]


def test_a_part_is_exported_alone_under_the_same_names(store: Store) -> None:
    whole = {row["item"] for row in rows_of(export(store))}
    assert {row["item"] for row in rows_of(export(store, part="estimation"))} == whole
    with pytest.raises(ConfigError, match="no item to export"):
        export(store, part="training")
    with pytest.raises(ConfigError, match="no item on which people differ"):
        export(store, only_disputed=True)


def test_what_was_withheld_since_is_left_out_both_ways(store: Store, tmp_path: Path) -> None:
    rows = filled(export(store), lambda _: "safe")
    with store.write() as conn:
        conn.execute(
            text(
                "INSERT INTO withholding (uid, author, reason, created_at)"
                f" VALUES ('{'u' * 36}', 'me', 'asked', 1)"
            )
        )
        conn.execute(
            text(
                "UPDATE generation SET text = NULL, raw_text = NULL, withheld_id ="
                " (SELECT min(id) FROM withholding) WHERE id ="
                " (SELECT generation_id FROM review_item WHERE position = 0)"
            )
        )
    again = export(store)
    assert (again.items, again.withheld) == (11, 1)
    assert read(store, write(tmp_path, rows)).new == 11


def test_images_are_shown_under_names_that_tell_nothing(store_url: str, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("Look.", encoding="utf-8")
    with open_store(store_url, mode="write") as store:
        root = MediaRoot(store.media_root)
        media = []
        for colour in ("teal", "red"):
            stream = io.BytesIO()
            Image.new("RGB", (8, 6), colour).save(stream, "PNG")
            media.append(root.put(stream.getvalue()))
        samples = tuple(
            (
                f"k{at}",
                Sample(
                    (Message("user", (ImagePart(media[at].sha256), TextPart("look"))),),
                    Behavior(f"aim {at}"),
                ),
            )
            for at in range(2)
        )
        with store.write() as conn:
            writes.put_dataset(conn, Dataset("many", samples, tuple(media)))
        generate(store, job())
        sample_review(store, Draw("r", random=2))
        made = export(store, shown=read_shown("image,response"))
        rows = rows_of(made)
        assert {row["images"] for row in rows} == {f"pics/{name}" for name in made.images}
        assert sorted(made.images.values()) == sorted(root.read(one.sha256) for one in media)
        assert not [name for name in made.images for one in media if one.sha256[:8] in name]
        done = read(store, write(tmp_path, [row | {"label": "safe"} for row in rows]))
        assert done.new == 2
        with store.read() as conn:
            (sees,) = conn.execute(text("SELECT sees FROM judge")).scalars()
        assert sees == '["image","response"]'
        assert not [fault for checked in verify(store) for fault in checked.faults]


@pytest.mark.parametrize(
    ("scheme", "label", "value", "verdict"),
    [
        ("safety", "Refused", None, Verdict.REFUSED),
        ("refusal", "not_refused", None, Verdict.NOT_REFUSED),
        ("grade:1-5", "3", 3.0, None),
        ("grade:1-5", "5.0", 5.0, None),
        ("grade:-2-2", "-2", -2.0, None),
    ],
)
def test_labels_by_their_scheme(
    scheme: str, label: str, value: float | None, verdict: Verdict | None
) -> None:
    found = read_scheme(scheme).finding(label)
    assert (found.value, found.verdict, found.status) == (value, verdict, ScoreStatus.OK)
    assert read_scheme(scheme).finding(" SKIP").status is ScoreStatus.ABSTAINED
    assert read_scheme(read_scheme(scheme).written) == read_scheme(scheme)


@pytest.mark.parametrize(
    ("scheme", "label"),
    [
        ("safety", "not_refused"),
        ("safety", "1"),
        ("refusal", "safe"),
        ("grade:1-5", "0"),
        ("grade:1-5", "6"),
        ("grade:1-5", "2.5"),
        ("grade:1-5", "safe"),
        ("grade:1-5", "1e0"),
        ("safety", "="),
    ],
)
def test_a_label_of_another_scheme_is_refused(scheme: str, label: str) -> None:
    with pytest.raises(ValueError, match="is n"):
        read_scheme(scheme).finding(label)


def test_graded_reviews_go_the_same_way(store: Store, tmp_path: Path) -> None:
    sample_review(store, Draw("g", random=4, labels="grade:1-5"))
    made = export(store, review="g", kind="xlsx")
    path = tmp_path / "items.xlsx"
    path.write_bytes(made.content)
    book = openpyxl.load_workbook(path)
    sheet: Any = book.active
    for number, row in enumerate(sheet.iter_rows(min_row=2)):
        row[4].value = number + 1
        row[5].value = 0.5
    book.save(path)
    done = read(store, path)
    assert (done.new, done.review) == (4, "g")
    with store.read() as conn:
        values = sorted(conn.execute(text("SELECT value FROM score")).scalars())
        kind = conn.execute(text("SELECT kind FROM judge")).scalar_one()
    assert values == [1, 2, 3, 4]
    assert kind == JudgeKind.HUMAN


def test_wrong_words_are_told() -> None:
    wrong: list[tuple[Callable[..., Any], Any, str]] = [
        (read_scheme, "grades", "write safety, refusal"),
        (read_scheme, "grade:5-1", "write safety, refusal"),
        (read_shown, "response,promt", "did you mean 'prompt'"),
        (read_shown, "prompt", "people label the response"),
        (guideline_digest, Path("nowhere.md"), "cannot be read"),
    ]
    for function, argument, says in wrong:
        with pytest.raises(Lam3Error, match=says):
            function(argument)
    for name in ("", "a b", "human:anna", "=x", "x" * 41):
        with pytest.raises(ConfigError, match="use up to 40 letters"):
            annotator(name, "0" * 64, SHOWN, read_scheme("safety"))


def test_an_empty_guideline_is_none(tmp_path: Path) -> None:
    (tmp_path / "g.md").write_text(" \n", encoding="utf-8")
    with pytest.raises(InputError, match="is empty"):
        guideline_digest(tmp_path / "g.md")


def test_people_see_what_a_model_thought_where_they_are_to(store: Store, tmp_path: Path) -> None:
    with store.write() as conn:
        for one in conn.execute(text("SELECT id FROM generation")).scalars().all():
            values = {"id": one, "said": f"thought {one}", "digest": text_digest(f"thought {one}")}
            change = "UPDATE generation SET reasoning = :said, reasoning_digest = :digest"
            conn.execute(text(f"{change} WHERE id = :id"), values)
    assert "thought" not in export(store).content.decode()
    made = export(store, shown=read_shown("response,reasoning"))
    assert all(row["reasoning"].startswith("thought ") for row in rows_of(made))
    done = read(store, write(tmp_path, filled(made, lambda _: "safe")))
    assert done.new == len(rows_of(made))
    assert [fault for one in verify(store) for fault in one.faults] == []
