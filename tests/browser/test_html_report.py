"""The page in a real browser: images blurred until asked, links that lead, nothing that leaves."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from scored import COMPLIED, REFUSED, World, refusal, sample

from lam3db.media import MediaRoot
from lam3db.records import Dataset, ImagePart, Message, TextPart
from lam3db.store.engine import open_store
from lam3db.store.writes import put_dataset

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = (
    "<img src='https://example.com/x.png' onerror=\"document.title='run'\">"
    "<script>document.title='run'</script><style>@import url(https://example.com/x.css)</style>"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = CHROMIUM if Path(CHROMIUM).is_file() else shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium is installed here")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=found, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small store with two images and hostile answers."""
    folder = tmp_path_factory.mktemp("page")
    root = MediaRoot(str(folder / "media"))
    media, samples = [], []
    for i, colour in enumerate(("red", "blue", "green")):
        stream = io.BytesIO()
        Image.new("RGB", (400, 300), colour).save(stream, "PNG")
        media.append(root.put(stream.getvalue()))
        parts = (TextPart(HOSTILE), ImagePart(media[-1].sha256))
        plain = sample(f"aim {i}", "figstep" if i else "none")
        samples.append(
            (
                f"k{i}",
                type(plain)(
                    messages=(Message("user", parts),), behavior=plain.behavior, attack=plain.attack
                ),
            )
        )
    url = f"sqlite:///{folder / 'lam3.db'}"
    with open_store(url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = put_dataset(conn, Dataset("bench", tuple(samples), tuple(media)))
        answered = world.answer(data, world.model(HOSTILE), world.config(), text=HOSTILE)
        ids = list(answered.ids.values())
        world.score(
            answered,
            world.judge(refusal()),
            dict(zip(ids, [COMPLIED, REFUSED, COMPLIED], strict=True)),
        )
    path = folder / "report.html"
    words = ["report", "--db", url, "--format", "html", "--examples", "3", "-o", str(path)]
    env = {**os.environ, "LAM3DB_MEDIA": str(folder / "media")}
    subprocess.run([sys.executable, "-m", "lam3db", *words], check=True, env=env)
    return path


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The open page; at the end: no word on the console, no request but for the file."""
    opened = browser.new_page(viewport={"width": 1200, "height": 800})
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    opened.wait_for_timeout(200)
    assert said == []
    assert [one for one in asked if not one.startswith("data:image/jpeg")] == [report.as_uri()]
    assert opened.title().startswith("Safety report")
    opened.close()


def test_images_are_blurred_until_asked_for(page: Page) -> None:
    page.locator("details").first.evaluate(
        "node => node.parentNode.querySelectorAll('details').forEach(one => { one.open = true; })"
    )
    blurred = "node => getComputedStyle(node).filter"
    images = page.locator("img")
    assert images.count() == 3
    assert all("blur" in images.nth(i).evaluate(blurred) for i in range(3))
    label = page.get_by_label("show the image").first
    label.check()
    assert images.nth(0).evaluate(blurred) == "none"
    assert "blur" in images.nth(1).evaluate(blurred)
    label.uncheck()
    assert "blur" in images.nth(0).evaluate(blurred)
    assert images.nth(0).evaluate("node => node.naturalWidth") == 320


def test_every_link_of_the_contents_leads_somewhere(page: Page) -> None:
    links = page.locator("nav a")
    assert links.count() >= 6
    for i in range(links.count()):
        links.nth(i).click()
        page.wait_for_timeout(700)  # it scrolls there
        target = page.evaluate("document.querySelector(location.hash).getBoundingClientRect().top")
        end = page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
        assert end or abs(target) < 40
    page.evaluate("history.replaceState(null, '', location.pathname)")


def test_keys_alone_open_an_answer_and_show_its_image(page: Page) -> None:
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.evaluate("node => node.open")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("img").first.evaluate("node => getComputedStyle(node).filter") == "none"


def test_hostile_words_are_shown_as_words(page: Page) -> None:
    page.locator("summary").first.click()
    assert "<script>document.title='run'</script>" in page.locator("pre").first.inner_text()
    assert page.locator("script").count() == 0
    assert page.locator("main img").count() == 3


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen_and_can_be_read(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast = """name => {
      const parse = c => c.match(/[0-9.]+/g).slice(0, 3).map(x => {
        x = x / 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
      const light = c => { const [r, g, b] = parse(c); return 0.2126*r + 0.7152*g + 0.0722*b; };
      const node = document.querySelector(name);
      const ink = light(getComputedStyle(node).color);
      const paper = light(getComputedStyle(document.body).backgroundColor);
      return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); }"""
    for name in ("h1", ".lead", ".warn", "nav a", "td.n"):
        assert page.evaluate(contrast, name) >= 4.5, name


def test_it_prints(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.pdf()[:4] == b"%PDF"
