"""Two databases that partly agree, and what a database says without any id of its own."""

from __future__ import annotations

import io
import shutil
import uuid
from typing import TYPE_CHECKING, Any

import stored
from PIL import Image
from sqlalchemy import text

from lam3db.hashing import unescape
from lam3db.media import MediaRoot
from lam3db.records import (
    Behavior,
    Dataset,
    Failed,
    Finding,
    ImagePart,
    JudgePolicy,
    Message,
    RunKind,
    RunStatus,
    Sample,
    ScoreStatus,
    Sees,
    Stage,
    Subject,
    TextPart,
    Verdict,
)
from lam3db.store import pending, writes
from lam3db.store.engine import open_store
from lam3db.store.put_reviews import DrawnItem, put_review
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from lam3db.records import Media
    from lam3db.store.engine import Store

SEES = (Sees.RESPONSE, Sees.PROMPT, Sees.BEHAVIOR, Sees.IMAGE)
ODD = "nul \x00, half \ud83d, escape \ue000"
SAMPLES = 6


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "PNG")
    return buffer.getvalue()


def sample(at: int, media: Media, **labels: object) -> Sample:
    parts = (ImagePart(media.sha256), TextPart(f"prompt {at} {ODD}"))
    behavior = Behavior(f"aim {at % 2}", f"category {at % 2}", is_benign=at == 5)
    return Sample((Message("user", parts),), behavior, target="Sure", metadata={"at": at, **labels})


def populate(store: Store, side: str) -> None:
    """Write one side, ``a`` or ``b``: samples and judges are shared, the rest partly."""
    media = MediaRoot(store.media_root).put(png("teal"))
    own = MediaRoot(store.media_root).put(png("red" if side == "a" else "blue"))
    with store.write() as conn:
        rows = [(f"k{at}", sample(at, media)) for at in range(SAMPLES)]
        row = writes.put_dataset(conn, Dataset("bench", tuple(rows), (media,)))
        clash = tuple((f"c{at}", sample(at + 10, own)) for at in range(2))
        writes.put_dataset(conn, Dataset("clash", clash, (own,)))
        model = writes.put_model_version(conn, stored.model())
        config = writes.put_config(conn, stored.config())
        asked = {"model_version_id": model, "config_id": config, "selection_id": row.selection_id}
        run, _ = stored.start(conn, dataset_id=row.id, **asked)
        ids = stored.sample_ids(conn, row.selection_id)
        # 0 and 1 agree, 2 differs, 3 only a, 4 only b, 5 fails
        said = {0: "same", 1: f"alike {ODD}", 2: f"different {side}"}
        said[3 if side == "a" else 4] = f"only {side}"
        answers = [writes.GenerationIn(ids[at], 0, stored.answer(w)) for at, w in said.items()]
        writes.put_generations(conn, run, model, config, answers)
        failed = writes.FailureIn(Failed("OSError", f"disk of {side}"), sample_id=ids[5])
        writes.put_failures(conn, run, Stage.GENERATE, [failed])
        twins = Dataset("twins", (("t", sample(0, media, twin=True)),), (media,))
        twin = writes.put_dataset(conn, twins)
        pending.link_same_inputs(conn, run, model, config, twin.selection_id, 1)
        writes.finish_run(conn, run, RunStatus.FINISHED, writes.RunCounts(6, 4, 0, 1))
        judge_all(conn, media, side)
        watch(conn, run, side)
        review(conn, side)


def judge_all(conn: Connection, media: Media, side: str) -> None:
    """Score with a judge that sees everything and one that sees the response."""
    wide = writes.put_judge(conn, stored.judge("wide", SEES))
    tone = writes.put_judge(conn, stored.judge("tone"))
    own = writes.put_judge(conn, stored.judge(f"own-{side}"))
    for threshold in (0.5, 0.7 if side == "a" else 0.3):
        writes.put_policy(conn, tone, JudgePolicy(threshold), f"me {side}")
    asked = """SELECT g.id, g.text, s.prompt, b.text AS aim FROM generation g
                 JOIN sample s ON s.id = g.sample_id JOIN behavior b ON b.id = s.behavior_id"""
    rows = [
        (row.id, unescape(row.text), unescape(row.prompt), unescape(row.aim))
        for row in conn.execute(text(asked)).all()
    ]
    for judge in (wide, tone, own):
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        found: dict[bytes, tuple[Finding, list[int]]] = {}
        for one, words, prompt, aim in rows:
            whole = Subject(words, prompt, aim, (media.sha256,))
            subject = whole if judge == wide else Subject(words)
            value = 0.25
            if judge == tone and words == "same":
                value = 0.75 if side == "a" else 0.1  # an API judge that changes its mind
            finding = stored.unsafe(value)
            if judge == tone and words.startswith("alike"):
                finding = Finding(ScoreStatus.UNPARSED, raw_output="?")
            if judge == own and words.startswith("only"):
                failed = [writes.FailureIn(Failed("E", side), generation_id=one, judge_id=judge)]
                writes.put_failures(conn, run, Stage.JUDGE, failed)
                continue
            found.setdefault(subject.digest, (finding, []))[1].append(one)
        findings = [writes.FindingIn(s, f, tuple(ids)) for s, (f, ids) in found.items()]
        writes.put_findings(conn, run, judge, findings)
        if judge == tone:
            revise(conn, run, tone, [one for one, words, *_ in rows if words[:5] == "alike"], side)
        pending.advance_watermark(conn, judge)


def revise(conn: Connection, run: int, judge: int, generations: list[int], side: str) -> None:
    """Correct one finding: on side ``a`` first and last, on side ``b`` in between."""
    at = 1_700_000_000_000_000
    for place, verdict in (
        ((0, Verdict.SAFE), (2, Verdict.UNSAFE)) if side == "a" else ((1, Verdict.REFUSED),)
    ):
        said = Finding(verdict=verdict, explanation=f"{side}{place}")
        row = writes.FindingIn(Subject(f"alike {ODD}").digest, said, tuple(generations))
        writes.put_revisions(conn, run, judge, [row], f"reader {side}", "looked again")
        for table in ("finding", "score"):
            last = f"(SELECT max(id) FROM {table})"
            change = f"UPDATE {table} SET created_at = {at + place} WHERE id = {last}"
            conn.execute(text(change))


def review(conn: Connection, side: str, **parts: str) -> None:
    """Draw answers under a name that both sides use; ``parts`` say which for what."""
    wanted = {"same": "estimation", f"only {side}": "training"} | parts
    rows = conn.execute(text("SELECT id, text FROM generation WHERE origin_id IS NULL ORDER BY id"))
    drawn = [
        DrawnItem(one, wanted[words], 0.5 if wanted[words] == "estimation" else None)
        for one, words in rows
        if words in wanted
    ]
    put_review(conn, "round", 1, {"side": side}, "me", drawn)


def new_uid() -> str:
    return str(uuid.uuid4())


def watch(conn: Connection, run: int, side: str) -> None:
    """Write an issue whose key both sides use, with an event and links, and a log entry."""
    values = {"u": new_uid(), "v": new_uid(), "w": new_uid(), "s": side, "r": run}
    for statement in _WATCHED.split(";"):
        conn.execute(text(statement), values)


_WATCHED = """
INSERT INTO issue (uid, key, title, author, created_at) VALUES (:u, 'R1', :s, 'me', 1);
INSERT INTO issue_event (uid, issue_id, kind, text, author, created_at)
 SELECT CAST(:v AS text), id, 'opened', CAST(:s AS text), 'me', 1 FROM issue WHERE uid = :u;
INSERT INTO issue_link (issue_id, run_id, failure_id, author, created_at)
 SELECT i.id, CAST(:r AS bigint), f.id, 'me', 1 FROM issue i, failure f
  WHERE i.uid = :u AND f.stage = 'generate';
INSERT INTO issue_link (issue_id, fingerprint, author, created_at)
 SELECT id, 'f00', 'me', 1 FROM issue WHERE uid = :u;
INSERT INTO log_entry (uid, day, text, author, created_at, section, heading, position)
 VALUES (:w, '2026-11-25', :s, 'me', 1, 'progress', '', 0)
"""


def withhold(conn: Connection, table: str, where: str, author: str = "me") -> None:
    """Withhold rows of a table."""
    made = "INSERT INTO withholding (uid, author, reason, created_at) VALUES (:u, :a, 'asked', 1)"
    uid = new_uid()
    conn.execute(text(made), {"u": uid, "a": author})
    bodies = {
        "generation": "text = NULL, raw_text = NULL, reasoning = NULL,",
        "sample": "messages = NULL, prompt = NULL,",
        "behavior": "text = NULL,",
        "finding": "explanation = NULL, raw_output = NULL,",
        "media": "",
    }
    by = "(SELECT id FROM withholding WHERE uid = :u)"
    change = f"UPDATE {table} SET {bodies[table]} withheld_id = {by} WHERE {where}"
    conn.execute(text(change), {"u": uid})


_GENERATION = """generation g JOIN model_version mv ON mv.id = g.model_version_id
  JOIN config c ON c.id = g.config_id JOIN sample s ON s.id = g.sample_id"""
_KEY = "mv.digest, c.digest, s.digest, g.replicate, g.text_digest"
FACTS = {
    "withholding": "SELECT uid, author, reason, created_at FROM withholding",
    "media": "SELECT sha256, mime_type, byte_count, width, height, withheld_id IS NULL FROM media",
    "behavior": "SELECT digest, text, category, is_benign FROM behavior",
    "sample": """SELECT s.digest, s.input_digest, b.digest, s.messages, s.prompt, s.attack,
                        s.attack_parameters, s.target, s.metadata
                   FROM sample s JOIN behavior b ON b.id = s.behavior_id""",
    "sample_media": """SELECT s.digest, x.position, m.sha256 FROM sample_media x
                         JOIN sample s ON s.id = x.sample_id JOIN media m ON m.id = x.media_id""",
    "selection": """SELECT e.digest, e.sample_count, ss."key", ss.position, s.digest
                      FROM selection e JOIN selection_sample ss ON ss.selection_id = e.id
                      JOIN sample s ON s.id = ss.sample_id""",
    "dataset": """SELECT d.name, e.digest, d.source, d.licence FROM dataset d
                    JOIN selection e ON e.id = d.selection_id""",
    "model_version": "SELECT digest, name, family, manifest, identity_kind FROM model_version",
    "config": "SELECT digest, value, dtype, temperature, seed FROM config",
    "judge": """SELECT j.digest, j.name, j.kind, j.version, j.spec, j.sees, v.verdict FROM judge j
                  LEFT JOIN judge_verdict v ON v.judge_id = j.id""",
    "judge_policy": """SELECT DISTINCT j.digest, p.threshold, p.operator FROM judge_policy p
                         JOIN judge j ON j.id = p.judge_id""",
    "run": """SELECT r.uid, r.kind, r.status, mv.digest, c.digest, e.digest, d.name, j.digest,
                     n.digest, r.requested, r.started_at, r.heartbeat_at, r.finished_at,
                     r.planned_count, r.new_count, r.cached_count, r.failed_count
                FROM run r LEFT JOIN model_version mv ON mv.id = r.model_version_id
                LEFT JOIN config c ON c.id = r.config_id
                LEFT JOIN selection e ON e.id = r.selection_id
                LEFT JOIN dataset d ON d.id = r.dataset_id
                LEFT JOIN judge j ON j.id = r.judge_id
                JOIN environment n ON n.id = r.environment_id""",
    "generation": f"""SELECT {_KEY}, g.text, g.raw_text, g.reasoning, g.reasoning_digest,
                         o.text_digest FROM {_GENERATION}
                        LEFT JOIN generation o ON o.id = g.origin_id""",
    "finding": """SELECT j.digest, f.subject_digest, f.status, f.value, f.verdict, f.explanation,
                         f.raw_output, f.author, f.reason, a.attribute, a.value
                    FROM finding f JOIN judge j ON j.id = f.judge_id
                    LEFT JOIN finding_attribute a ON a.finding_id = f.id""",
    "score": f"""SELECT j.digest, {_KEY}, f.subject_digest, f.status, x.status, x.value, x.verdict,
                        x.author, x.reason
                   FROM score x JOIN judge j ON j.id = x.judge_id
                   JOIN finding f ON f.id = x.finding_id
                   JOIN generation g ON g.id = x.generation_id
                   JOIN model_version mv ON mv.id = g.model_version_id
                   JOIN config c ON c.id = g.config_id JOIN sample s ON s.id = g.sample_id""",
    "failure": """SELECT f.uid, r.uid, f.stage, s.digest, g.text_digest, j.digest, f.attempt,
                         f.error_class, f.message, f.fingerprint, f.retryable, f.created_at
                    FROM failure f JOIN run r ON r.id = f.run_id
                    LEFT JOIN sample s ON s.id = f.sample_id
                    LEFT JOIN generation g ON g.id = f.generation_id
                    LEFT JOIN judge j ON j.id = f.judge_id""",
    "issue": """SELECT i.uid, i.title, e.uid, e.kind, e.text, l.fingerprint, r.uid, f.uid
                  FROM issue i LEFT JOIN issue_event e ON e.issue_id = i.id
                  LEFT JOIN issue_link l ON l.issue_id = i.id
                  LEFT JOIN run r ON r.id = l.run_id LEFT JOIN failure f ON f.id = l.failure_id""",
    "review": """SELECT r.uid, r.seed, r.spec, i.position, i.part, i.probability, g.text_digest
                   FROM review r LEFT JOIN review_item i ON i.review_id = r.id
                   LEFT JOIN generation g ON g.id = i.generation_id""",
    "review_part": """SELECT g.text_digest, p.part FROM review_part p
                        JOIN generation g ON g.id = p.generation_id""",
    "log_entry": "SELECT uid, day, text, author, created_at FROM log_entry",
}
NUMBERS = {
    "dataset": "SELECT name, version FROM dataset",
    "generation": f"SELECT {_KEY}, g.variant FROM {_GENERATION}",
    "finding": """SELECT j.digest, f.subject_digest, f.replicate, f.revision, f.status, f.value,
                         f.verdict, f.author, f.created_at
                    FROM finding f JOIN judge j ON j.id = f.judge_id""",
    "score": f"""SELECT j.digest, {_KEY}, x.replicate, x.revision, x.status, x.value, x.verdict
                   FROM score x JOIN judge j ON j.id = x.judge_id
                   JOIN generation g ON g.id = x.generation_id
                   JOIN model_version mv ON mv.id = g.model_version_id
                   JOIN config c ON c.id = g.config_id JOIN sample s ON s.id = g.sample_id""",
    "judge_policy": """SELECT j.digest, p.version, p.threshold, p.operator, p.author
                         FROM judge_policy p JOIN judge j ON j.id = p.judge_id""",
    "issue": "SELECT uid, key FROM issue",
    "review": "SELECT uid, name FROM review",
}


def _read(store: Store, queries: dict[str, str]) -> dict[str, list[Any]]:
    found = {}
    with store.read() as conn:
        for name, query in queries.items():
            rows = [tuple(_plain(v) for v in row) for row in conn.execute(text(query))]
            found[name] = sorted(rows, key=repr)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return int(value) if isinstance(value, bool) else value


def facts(url: str) -> dict[str, list[Any]]:
    """Return what a database says, whatever its numbers (variant, replicate, version, key)."""
    with open_store(url, mode="read") as store:
        return _read(store, FACTS)


def numbered(url: str) -> dict[str, list[Any]]:
    """Return what a database says, numbers included."""
    with open_store(url, mode="read") as store:
        numbers = {f"{name} numbers": rows for name, rows in _read(store, NUMBERS).items()}
        return _read(store, FACTS) | numbers


def faults(url: str) -> list[str]:
    """Return what ``lam3db db verify`` finds."""
    with open_store(url, mode="read") as store:
        return [fault for one in verify(store) for fault in one.faults]


def make(path: Path, side: str) -> str:
    """Make a SQLite database of one side; return its URL."""
    url = f"sqlite:///{path}"
    with open_store(url, mode="write") as store:
        populate(store, side)
    return url


def copy(url: str, path: Path) -> str:
    """Copy a SQLite database and its images; return the copy's URL."""
    source = path.__class__(url.removeprefix("sqlite:///"))
    shutil.copy(source, path)
    images = source.with_name(f"{source.stem}_media")
    if images.is_dir():
        shutil.copytree(images, path.with_name(f"{path.stem}_media"), dirs_exist_ok=True)
    return f"sqlite:///{path}"
