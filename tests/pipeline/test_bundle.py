"""A bundle holds what its judges need and no more; what they say there comes home."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import merging
import pytest
import stored
from sqlalchemy import text

from lam3db import plugins
from lam3db.config import load_judge_config
from lam3db.errors import ConfigError, InputError, MediaError, NotFoundError
from lam3db.media import MediaRoot
from lam3db.pipeline.bundle import BundleResult, create_bundle
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.merge import merge_database
from lam3db.records import JudgeIdentity, JudgeKind, RunStatus, Sees
from lam3db.store import pending, writes
from lam3db.store.engine import open_store
from lam3db.store.pending import ScoreScope

EVERYTHING = "response, prompt, behavior, image"
SECRET = ("prompt 0", "aim 0", "Sure", "category 0", '"at":')


@pytest.fixture
def home(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of either engine with answers, and judges that see this or that."""
    monkeypatch.setitem(plugins.JUDGE_KINDS, "seeing", "seeing_judge:MAKER")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "judges"
    folder.mkdir(parents=True)
    for name, sees in (("narrow", "response"), ("meaning", "response, behavior")):
        judge_file(folder / f"{name}.yaml", name, sees)
    judge_file(folder / "wide.yaml", "seeing-wide", EVERYTHING)
    with open_store(store_url, mode="write") as store:
        merging.populate(store, "a")
    return store_url


def judge_file(path: Path, name: str, sees: str, says: float = 0.5) -> None:
    path.write_text(
        f"name: {name}\nkind: seeing\nsettings: {{sees: [{sees}], says: {says}}}\n"
        "policy: {threshold: 0.4, operator: '>='}\n"
    )


def bundle(home: str, path: Path, *judges: str, redact: bool = False) -> BundleResult:
    with open_store(home, mode="read") as store:
        return create_bundle(store, judges, path, ScoreScope(), redact=redact)


def judge_there(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Judge a bundle where its images lie beside it; return how many answers were scored."""
    with monkeypatch.context() as there:
        there.delenv("LAM3DB_MEDIA")
        with open_store(str(path), mode="write") as store:
            result = judge_pending(store, JudgeJob(load_judge_config(name)))
        assert result.status is RunStatus.FINISHED, result
        assert merging.faults(str(path)) == []
        return result.counts.new


def judged_at_home(home: str, name: str) -> int:
    """Return how many answers this judge has left at home after linking what is known."""
    with open_store(home, mode="write") as store:
        return judge_pending(store, JudgeJob(load_judge_config(name))).counts.new


@pytest.mark.parametrize("name", ["narrow", "meaning", "wide"])
@pytest.mark.parametrize("redact", [False, True])
def test_there_and_back(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, redact: bool
) -> None:
    path = tmp_path / "carried.db"
    before = merging.numbered(home)
    result = bundle(home, path, name, redact=redact)
    assert merging.numbered(home) == before, "nothing at home is written"
    assert result.pending == (5,)
    assert merging.faults(str(path)) == []
    assert judge_there(path, name, monkeypatch) == 5
    report = merge_database(home, str(path))
    assert report.is_bundle
    assert {table for table, count in report.new.items() if count} == {
        "judge", "judge_policy", "environment", "run", "finding", "score",
    }  # fmt: skip
    assert report.counts.keys() == {"judge"}
    assert report.updated == 0
    assert judged_at_home(home, name) == 0
    after = merging.numbered(home)
    for table in ("sample", "behavior", "generation", "media", "withholding", "dataset", "issue"):
        assert after[table] == before[table], table
    assert merging.faults(home) == []
    assert merge_database(home, str(path)).changes == 0
    with open_store(home, mode="read") as store, store.read() as conn:
        values = conn.execute(
            text(
                "SELECT count(*) FROM score x JOIN judge j ON j.id = x.judge_id"
                " WHERE x.value = 0.5 AND j.name LIKE :name"
            ),
            {"name": f"%{name}"},
        )
        assert values.scalar() == 5


def test_a_bundle_of_a_judge_is_what_judging_here_would_say(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(home, tmp_path / "carried.db", "narrow", redact=True)
    judge_there(tmp_path / "carried.db", "narrow", monkeypatch)
    merge_database(home, str(tmp_path / "carried.db"))
    here = f"sqlite:///{tmp_path / 'here.db'}"
    merge_database(here, home)
    asked = """SELECT g.text_digest, f.subject_digest, x.status, x.value FROM score x
                 JOIN finding f ON f.id = x.finding_id JOIN generation g ON g.id = x.generation_id
                 JOIN judge j ON j.id = x.judge_id WHERE j.name = 'narrow' ORDER BY 1, 2"""
    with open_store(here, mode="read") as store, store.read() as conn:
        carried = [tuple(row) for row in conn.execute(text(asked))]
    with open_store(here, mode="write") as store:
        with store.write() as conn:
            (judge,) = conn.execute(text("SELECT id FROM judge WHERE name = 'narrow'")).scalars()
            for table in ("score", "judge_progress"):
                conn.execute(text(f"DELETE FROM {table} WHERE judge_id = {judge}"))
            mine = f"(SELECT id FROM finding WHERE judge_id = {judge})"
            conn.execute(text(f"DELETE FROM finding_attribute WHERE finding_id IN {mine}"))
            conn.execute(text(f"DELETE FROM finding WHERE judge_id = {judge}"))
        judge_pending(store, JudgeJob(load_judge_config("narrow")))
        with store.read() as conn:
            assert [tuple(row) for row in conn.execute(text(asked))] == carried


@pytest.mark.parametrize(
    ("name", "hidden", "shown"),
    [
        ("narrow", SECRET, ("only a",)),
        ("meaning", ("prompt 0", "Sure", '"at":'), ("only a", "aim 0")),
        ("wide", (), ("only a", "aim 0", "prompt 0")),
    ],
)
def test_what_no_judge_sees_is_not_in_the_file(
    home: str, tmp_path: Path, name: str, hidden: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    path = tmp_path / "carried.db"
    result = bundle(home, path, name, redact=True)
    data = path.read_bytes()
    assert not [word for word in hidden if word.encode() in data]
    assert not [word for word in shown if word.encode() not in data]
    for private in (b"lam3db generate", b"<s>", b"</s>", b"models/tiny"):
        assert private not in data
    assert (result.media is None) == (name != "wide")
    assert (tmp_path / "carried_media").exists() == (name == "wide")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir() if "carried" in one.name) == sorted(
        ["carried.db", *(["carried_media"] if name == "wide" else [])]
    )


def test_without_redact_images_stay_at_home_unless_seen(home: str, tmp_path: Path) -> None:
    path = tmp_path / "carried.db"
    result = bundle(home, path, "narrow")
    assert result.left_out == ("images",)
    assert result.media is None
    assert b"prompt 0" in path.read_bytes()
    assert merging.faults(str(path)) == []


def test_a_judge_that_misses_something_there_judges_nothing(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bundle for a judge of responses, one that sees more has nothing pending."""
    for redact in (False, True):
        path = tmp_path / f"{redact}.db"
        bundle(home, path, "narrow", redact=redact)
        monkeypatch.delenv("LAM3DB_MEDIA", raising=False)
        with open_store(str(path), mode="write") as store:
            result = judge_pending(store, JudgeJob(load_judge_config("wide")))
            assert result.counts.planned == 0
            meant = judge_pending(store, JudgeJob(load_judge_config("meaning")))
            assert meant.counts.new == (0 if redact else 5)


def test_what_is_said_of_a_subject_already_is_not_carried(home: str, tmp_path: Path) -> None:
    with open_store(home, mode="write") as store:
        judge_pending(store, JudgeJob(load_judge_config("narrow"), ScoreScope(dataset="bench")))
    result = bundle(home, tmp_path / "none.db", "narrow")
    assert (result.path, result.pending) == (None, (0,))
    assert not (tmp_path / "none.db").exists()


def test_a_place_that_cannot_be_written_to_is_told(home: str) -> None:
    with pytest.raises(InputError, match=r"-o /proc/none.db cannot be written: \S"):
        bundle(home, Path("/proc/none.db"), "narrow")


def test_several_judges_share_a_bundle(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "both.db"
    result = bundle(home, path, "narrow", "wide", redact=True)
    assert result.left_out == ()
    for name in ("narrow", "wide"):
        assert judge_there(path, name, monkeypatch) == 5
    merge_database(home, str(path))
    assert judged_at_home(home, "narrow") == judged_at_home(home, "wide") == 0


def test_a_judge_that_failed_there_has_failed_here(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "carried.db"
    bundle(home, path, "wide")
    images = sorted((tmp_path / "carried_media").rglob("*.png"))
    images[0].unlink()
    monkeypatch.delenv("LAM3DB_MEDIA")
    with open_store(str(path), mode="write") as store:
        result = judge_pending(store, JudgeJob(load_judge_config("wide")))
    assert result.status is RunStatus.FAILED
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    report = merge_database(home, str(path))
    assert report.new["failure"] == 1
    assert merging.faults(home) == []


def test_a_bundle_goes_home_and_nowhere_else(home: str, tmp_path: Path) -> None:
    path = tmp_path / "carried.db"
    bundle(home, path, "narrow")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    with open_store(other, mode="write") as store, store.write() as conn:
        stored.answer_all(conn, stored.build(conn))
    before = merging.numbered(other)
    with pytest.raises(InputError, match="goes back into the database it was made from"):
        merge_database(other, str(path))
    assert merging.numbered(other) == before


def test_a_forged_bundle_adds_no_answer(home: str, tmp_path: Path) -> None:
    path = tmp_path / "carried.db"
    bundle(home, path, "narrow")
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE generation SET replicate = 7 WHERE id = 1")
    with pytest.raises(InputError, match="generation 1 is not in this database"):
        merge_database(home, str(path))


def test_withheld_answers_stay_at_home(home: str, tmp_path: Path) -> None:
    with open_store(home, mode="write") as store, store.write() as conn:
        merging.withhold(conn, "generation", "text = 'only a'")
        merging.withhold(conn, "media", "width = 8")
    assert bundle(home, tmp_path / "one.db", "narrow").pending == (4,)
    assert b"only a" not in (tmp_path / "one.db").read_bytes()
    assert bundle(home, tmp_path / "two.db", "wide").pending == (0,)


def test_what_was_withheld_meanwhile_stays_so(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "carried.db"
    bundle(home, path, "narrow")
    judge_there(path, "narrow", monkeypatch)
    with open_store(home, mode="write") as store, store.write() as conn:
        merging.withhold(conn, "generation", "text = 'only a'")
        merging.withhold(conn, "generation", "text = 'same'")  # the answers to sample 1
        merging.withhold(conn, "sample", "id = 1")
    before = merging.facts(home)
    merge_database(home, str(path))
    after = merging.facts(home)
    assert after["generation"] == before["generation"]
    assert after["sample"] == before["sample"]
    assert merging.faults(home) == []


def test_a_stored_judge_needs_no_file(home: str, tmp_path: Path) -> None:
    with open_store(home, mode="write") as store, store.write() as conn:
        identity = JudgeIdentity("elsewhere", JudgeKind.API, "9", {"snapshot": "x"})
        writes.put_judge(conn, identity)
    for number, name in enumerate(("elsewhere", identity.digest.hex()[:10])):
        result = bundle(home, tmp_path / f"{number}.db", name)
        assert [one.digest for one in result.judges] == [identity.digest]
    with pytest.raises(NotFoundError, match="elsewere"):
        bundle(home, tmp_path / "x.db", "elsewere")


def test_wrong_wishes_leave_no_file(home: str, tmp_path: Path) -> None:
    with open_store(home, mode="write") as store, store.write() as conn:
        sees = (Sees.FINDINGS,)
        writes.put_judge(conn, JudgeIdentity("all", JudgeKind.ENSEMBLE, "1", {}, sees))
        for version in ("1", "2"):
            writes.put_judge(conn, JudgeIdentity("twin", JudgeKind.API, version, {}))
    path = tmp_path / "carried.db"
    for names, says in (
        (("all",), "judges what other judges said"),
        (("narrow", "narrow"), "is named twice"),
        (("twin",), "2 stored judges are called 'twin'"),
    ):
        with pytest.raises(ConfigError, match=says):
            bundle(home, path, *names)
    for file in (tmp_path / "media").rglob("*.png"):
        file.unlink()
    with pytest.raises(MediaError, match="is not in the media root"):
        bundle(home, path, "wide")
    MediaRoot(str(tmp_path / "media")).put(merging.png("teal"))
    assert not [one for one in tmp_path.iterdir() if "carried" in one.name]
    path.touch()
    with pytest.raises(InputError, match="already exists"):
        bundle(home, path, "narrow")
    with pytest.raises(InputError, match="there is no folder"):
        bundle(home, tmp_path / "no" / "x.db", "narrow")


def test_scope_narrows_a_bundle(home: str, tmp_path: Path) -> None:
    path = tmp_path / "part.db"
    with open_store(home, mode="read") as store:
        result = create_bundle(store, ["narrow"], path, ScoreScope(dataset="twins"))
    assert result.pending == (1,)
    with open_store(str(path), mode="read") as store, store.read() as conn:
        texts = conn.execute(text("SELECT text FROM generation")).scalars().all()
        assert texts == ["same"]
        assert len(pending.pending_scores(conn, 0, ScoreScope())) == 1


@pytest.mark.parametrize(("sees", "there"), [("response", False), ("response, reasoning", True)])
def test_thoughts_leave_home_for_a_judge_that_sees_them(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sees: str, there: bool
) -> None:
    judge_file(tmp_path / "thinking.yaml", "thinking", sees)
    path = tmp_path / "carried.db"
    bundle(home, path, str(tmp_path / "thinking.yaml"))
    assert (b"thought only a" in path.read_bytes()) == there
    assert merging.faults(str(path)) == []
    judge_there(path, str(tmp_path / "thinking.yaml"), monkeypatch)
    merge_database(home, str(path))
    assert merging.faults(home) == []
    assert judged_at_home(home, str(tmp_path / "thinking.yaml")) == 0


def test_a_judge_that_would_miss_the_thoughts_judges_nothing(home: str, tmp_path: Path) -> None:
    path = tmp_path / "carried.db"
    bundle(home, path, "narrow")
    judge_file(tmp_path / "thinking.yaml", "thinking", "response, reasoning")
    assert judged_at_home(str(path), str(tmp_path / "thinking.yaml")) == 0
