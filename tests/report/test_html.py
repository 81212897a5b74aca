"""The page: whatever a model said is text in it; nothing in it runs, nothing is fetched."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from PIL import Image
from sqlalchemy import text
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from drawn import HOSTILE, fill
from scored import COMPLIED, World, refusal, sample

from lam3db.cli import report as commands
from lam3db.hashing import escape
from lam3db.media import MediaRoot
from lam3db.records import Dataset, ImagePart, Message, TextPart
from lam3db.report import build_report
from lam3db.report.tables import footnotes
from lam3db.store.engine import open_store
from lam3db.store.writes import put_dataset

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer()
app.command()(commands.report)

ATTACKS = (
    "<script>alert(1)</script>",
    "</pre></details></svg></style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "<svg onload=alert(1)><a href='javascript:alert(1)'>x</a></svg>",
    "<iframe src=https://example.com></iframe><link rel=stylesheet href=//example.com/x.css>",
    "<meta http-equiv=refresh content='0;url=https://example.com'><base href=//example.com>",
    "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "\x1b[2J\x00\x08\u202egnp.\u2028\ud800 ]]> --> <!-- ",
)
PLAIN = "html head meta title style body header h1 h2 h3 p nav strong ul li a main section div"
TABLES = "table caption thead tbody tr th td details summary span pre code input label br img"
DRAWING = "figure figcaption svg g rect path line text tspan defs clippath lineargradient stop"
KNOWN = {*PLAIN.split(), *TABLES.split(), *DRAWING.split()}


class Seen(HTMLParser):
    """Every tag with its attributes, and the words between them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment that is not ours: {data[:80]}")


def page(url: str, *words: str) -> str:
    shown = CliRunner().invoke(app, ["--db", url, "--format", "html", *words])
    assert shown.exit_code == 0, shown.exception
    return shown.stdout


def nothing_runs(page: str) -> Seen:
    seen = Seen(page)
    assert {tag for tag, _ in seen.tags} <= KNOWN
    for tag, attributes in seen.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            assert name not in ("srcset", "action", "formaction", "srcdoc", "background", "ping")
            if name in ("href", "xlink:href"):
                assert tag == "a"
                assert re.fullmatch(r"#[\w-]+", value or "")
            elif name == "src":
                assert re.fullmatch(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", value or "")
            else:
                assert not re.search(r"url\((?!#)", value or ""), (tag, attributes)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(styles) == 1
    assert not re.search(r"url\(|@import|expression\(", styles[0])
    (policy,) = [a["content"] for _, a in seen.tags if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    return seen


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    return sqlite_url


def said(conn: Connection, answers: list[str]) -> None:
    """Make these the stored answers, as a model would have given them."""
    ids = list(conn.scalars(text("SELECT id FROM generation ORDER BY id")))
    for i, one in enumerate(ids):
        words = escape(answers[i % len(answers)])
        query = text("UPDATE generation SET text = :words, raw_text = :words WHERE id = :id")
        conn.execute(query, {"words": words, "id": one})


def test_hostile_words_are_text_wherever_they_stand(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        world = World(conn)
        hostile = [sample(one, one, category=one) for one in ATTACKS]
        answered = world.answer(
            world.dataset(hostile, "<b>bench</b>"), world.model(HOSTILE), world.config()
        )
        judge = world.judge(refusal("<i>1</i>", "</title><script>judge"))
        world.score(answered, judge, dict.fromkeys(answered.ids.values(), COMPLIED))
        said(conn, list(ATTACKS))
    shown = page(url, "--examples", "5")
    seen = nothing_runs(shown)
    words = "".join(seen.words)
    for attack in ATTACKS[:-1]:
        assert attack in words, "shown as it came"
    assert "\\x1b[2J" in words
    assert "49" not in re.findall(r"(?<!\w)49(?!\w)", words), "no template of theirs was run"
    assert "<script>alert(1)</" in words


def test_a_megabyte_is_cut_and_says_so(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
        said(conn, ["<b>" + "word " * 200_000])
    shown = page(url)
    nothing_runs(shown)
    assert len(shown) < 600_000
    assert "996003 more characters: lam3db show" in shown


def test_the_page_holds_tables_notes_figures_and_where_it_comes_from(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
    shown = page(url)
    with open_store(url, mode="read") as store, store.read() as conn:
        report = build_report(conn)
    seen = nothing_runs(shown)
    words = " ".join(" ".join(seen.words).split())
    for note in footnotes(report):
        assert " ".join(note.split()) in words
    for column in report.judges:
        assert column.judge.digest in words
    for row in report.rows:
        assert all(digest in words for digest in row.digests.values())
        for column in report.judges:
            assert f"lam3db explain {report.ref(row, column)}" in words
    assert "schema revision 0" in words
    assert "c0ffee" in words
    assert "lam3db generate" in words
    assert "somebody" not in words, "no user's name leaves the database"
    assert len([tag for tag, _ in seen.tags if tag == "svg"]) == 5
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {(a["href"] or "")[1:] for tag, a in seen.tags if tag == "a"}
    assert links <= set(ids)
    headers = [a for tag, a in seen.tags if tag == "th"]
    assert all(a.get("scope") in ("col", "row", "colgroup") for a in headers)


def test_the_same_database_gives_the_same_bytes(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
    assert page(url) == page(url)


def picture(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (900, 600), colour).save(stream, "PNG")
    return stream.getvalue()


def test_images_are_small_and_those_that_are_gone_say_why(url: str, tmp_path: Path) -> None:
    root = MediaRoot(str(tmp_path / "media"))
    media = tuple(root.put(picture(colour)) for colour in ("red", "blue"))
    kept, lost = (one.sha256 for one in media)
    with open_store(url, mode="write") as store, store.write() as conn:
        world, samples = World(conn), []
        for i, sha256 in enumerate((kept, lost)):
            plain = sample(f"aim {i}")
            parts = (TextPart("look"), ImagePart(sha256))
            samples.append(replace(plain, messages=(Message("user", parts),)))
        keyed = tuple((f"k{i}", one) for i, one in enumerate(samples))
        data = put_dataset(conn, Dataset("seen", keyed, media))
        answered = world.answer(data, world.model(), world.config())
        judge = world.judge(refusal())
        world.score(answered, judge, dict.fromkeys(answered.ids.values(), COMPLIED))
    Path(root.path(lost)).unlink()
    shown = page(url)
    seen = nothing_runs(shown)
    (image,) = [a for tag, a in seen.tags if tag == "img"]
    assert image["alt"] == f"image {kept[:12]}, 900 x 600 pixels, made small"
    assert len(image["src"] or "") < 20_000
    assert f"image {lost[:12]} is not shown" in " ".join(seen.words)


def test_what_was_withheld_says_so_and_by_whom(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
        conn.execute(
            text(
                "INSERT INTO withholding (uid, author, reason, created_at)"
                " VALUES ('00000000-0000-4000-8000-000000000000', 'ann', '<b>licence</b>', 1)"
            )
        )
        conn.execute(text("UPDATE generation SET text = NULL, raw_text = NULL, withheld_id = 1"))
        conn.execute(text("UPDATE sample SET messages = NULL, prompt = NULL, withheld_id = 1"))
    words = "".join(nothing_runs(page(url)).words)
    assert "(withheld by ann: <b>licence</b>)" in words


def test_no_answers_and_no_examples_are_pages_too(url: str) -> None:
    open_store(url, mode="write").close()
    assert "No answers in this scope" in page(url)
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
    seen = nothing_runs(page(url, "--examples", "0"))
    assert "details" not in {tag for tag, _ in seen.tags}


def test_without_the_extra_there_are_tables_and_the_page_says_so(url: str) -> None:
    with open_store(url, mode="write") as store, store.write() as conn:
        fill(conn)
    code = (
        "import sys; sys.modules['altair'] = None\n"
        "from lam3db.cli import main\n"
        f"sys.argv = ['lam3db', 'report', '--db', {url!r}, '--format', 'html']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    seen = nothing_runs(done.stdout)
    assert "svg" not in {tag for tag, _ in seen.tags}
    assert "table" in {tag for tag, _ in seen.tags}
    assert "pip install 'lam3db[figures]'" in done.stderr
    assert "pip install 'lam3db[figures]'" in "".join(seen.words)
