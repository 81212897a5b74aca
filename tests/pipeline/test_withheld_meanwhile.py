"""What is purged while somebody works with it is left out; it ends and fails nothing."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, judging, put, sample

from lam3db import plugins
from lam3db.errors import MediaError
from lam3db.media import MediaRoot
from lam3db.models.null import KIND as NULL
from lam3db.pipeline import bundle as bundles
from lam3db.pipeline import generate as generating
from lam3db.pipeline.bundle import create_bundle
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import judge_pending
from lam3db.pipeline.purge import purge
from lam3db.pipeline.review_export import Export, export_review
from lam3db.pipeline.review_sample import Draw, sample_review
from lam3db.pipeline.withheld_meanwhile import again_if_withheld
from lam3db.records import (
    Behavior,
    Dataset,
    Failed,
    Finding,
    ImagePart,
    Message,
    RunStatus,
    Sample,
    Sees,
    TextPart,
    Verdict,
)
from lam3db.store import tables as t
from lam3db.store import writes
from lam3db.store.engine import Store, open_store
from lam3db.store.pending import ScoreScope
from lam3db.store.purge import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLES = 40
GONE = tuple(f"k{number}" for number in range(20, SAMPLES))


@pytest.fixture
def store(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    with open_store(store_url, mode="write") as opened:
        yield opened


def take_out(store: Store, **target: Any) -> None:
    """Purge as another process would: with a connection of its own, in another thread."""

    def run() -> None:
        with open_store(store.url, mode="write") as other:
            purge(other, Target(**target), "me", "personal")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def count(store: Store, table: Any) -> int:
    with store.read() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def pictures(store: Store, number: int = 4) -> list[str]:
    """Store a dataset of one picture a sample; return the digests."""
    root = MediaRoot(store.media_root)
    digests, samples, rows = [], [], []
    for index in range(number):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (index, 0, 0)).save(stream, "PNG")
        media = root.put(stream.getvalue())
        rows.append(media)
        digests.append(media.sha256)
        parts = (ImagePart(media.sha256), TextPart(f"what is this? {index}"))
        samples.append(Sample((Message("user", parts),), Behavior(f"b{index}", "things")))
    keyed = tuple((f"k{index}", one) for index, one in enumerate(samples))
    with store.write() as conn:
        writes.put_dataset(conn, Dataset("many", keyed, media=tuple(rows)))
    return digests


def test_samples_purged_before_they_are_posed_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, [sample(number) for number in range(SAMPLES)])
    monkeypatch.setattr(generating, "WINDOW", 16)
    left = iter([True])

    class Purging:
        """A null model during whose first answers somebody purges what comes later."""

        describe = staticmethod(NULL.describe)

        def load(self, plan: Any, open_image: Any) -> Any:
            model = NULL.load(plan, open_image)
            answer = model.answer

            def answered(requests: Sequence[Any]) -> Any:
                for batch in answer(requests):
                    if next(left, False):
                        take_out(store, dataset="many", samples=GONE)
                    yield batch

            return type("M", (), {"answer": staticmethod(answered), "close": model.close})()

    monkeypatch.setitem(plugins.MODEL_KINDS, "null", f"{__name__}:KIND")
    monkeypatch.setattr(sys.modules[__name__], "KIND", Purging(), raising=False)
    result = generate(store, job())
    assert (result.status, result.counts.new, result.counts.failed) == (RunStatus.FINISHED, 20, 0)
    assert count(store, t.generation) == 20
    assert count(store, t.failure) == 0


def test_an_image_purged_before_it_is_opened_is_no_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = pictures(store)

    class Looking:
        """A model that opens its images, the first of which somebody purges."""

        describe = staticmethod(NULL.describe)

        def load(self, plan: Any, open_image: Any) -> Any:
            model = NULL.load(plan, open_image)

            def answered(requests: Sequence[Any]) -> Any:
                take_out(store, media=(digests[0],))
                for request in requests:
                    try:
                        open_image(request.messages[0].parts[0].sha256)
                    except MediaError as error:
                        yield [(request, Failed.from_exception(error))]
                    else:
                        yield from model.answer([request])

            return type("M", (), {"answer": staticmethod(answered), "close": model.close})()

    monkeypatch.setitem(plugins.MODEL_KINDS, "null", f"{__name__}:KIND")
    monkeypatch.setattr(sys.modules[__name__], "KIND", Looking(), raising=False)
    result = generate(store, job())
    assert (result.status, result.counts.new, result.counts.failed) == (RunStatus.FINISHED, 3, 0)
    assert count(store, t.failure) == 0


def test_answers_purged_before_they_are_judged_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = pictures(store)
    generate(store, job())

    class Judge:
        def judge(self, subjects: Sequence[Any]) -> Any:
            take_out(store, media=(digests[0],))
            take_out(store, dataset="many", samples=("k1",))
            for subject in subjects:
                try:
                    MediaRoot(store.media_root).open(subject.images[0])
                except MediaError as error:
                    yield [(subject, Failed.from_exception(error))]
                else:
                    yield [(subject, Finding(verdict=Verdict.SAFE))]

        def close(self) -> None:
            """Hold nothing."""

    maker = plugins.judge_maker("null")
    seeing = type(
        "Maker",
        (),
        {
            "describe": lambda _, config, tick: _sees_images(maker.describe(config, tick)),
            "load": lambda *_: Judge(),
        },
    )()
    monkeypatch.setitem(plugins.JUDGE_KINDS, "null", f"{__name__}:MAKER")
    monkeypatch.setattr(sys.modules[__name__], "MAKER", seeing, raising=False)
    result = judge_pending(store, judging())
    assert (result.status, result.counts.failed) == (RunStatus.FINISHED, 0)
    assert count(store, t.failure) == 0


def _sees_images(identity: Any) -> Any:
    from dataclasses import replace

    return replace(identity, sees=(Sees.RESPONSE, Sees.IMAGE))


def test_a_review_is_exported_without_the_images_that_are_gone(store: Store) -> None:
    digests = pictures(store)
    generate(store, job())
    shown = (Sees.RESPONSE, Sees.IMAGE)
    sample_review(store, Draw("first", random=4))
    take_out(store, media=(digests[0],))
    exported = export_review(store, Export("first", "anna", shown, "csv", "images"))
    assert (exported.items, exported.withheld, len(exported.images)) == (3, 1, 3)


def test_a_bundle_is_begun_again_where_an_image_went_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = pictures(store)
    generate(store, job())
    maker = plugins.judge_maker("null")
    identity = _sees_images(maker.describe(judging().judge, lambda *_: None))
    monkeypatch.setattr(bundles, "_identity", lambda *_: identity)
    read = MediaRoot.read
    left = iter([True])

    def reading(self: MediaRoot, sha256: str) -> bytes:
        if next(left, False):
            take_out(store, media=(digests[0],))
            sha256 = digests[0]
        return read(self, sha256)

    monkeypatch.setattr(MediaRoot, "read", reading)
    made = create_bundle(store, ["half"], tmp_path / "b.db", ScoreScope(None, None, None))
    assert made.pending == (3,)
    assert made.media is not None
    assert len(list(made.media.rglob("*.png"))) == 3


def test_an_image_that_is_missing_for_another_reason_is_told(store: Store) -> None:
    def act() -> None:
        raise MediaError("not there")

    with pytest.raises(MediaError, match="not there"):
        again_if_withheld(store, act)
