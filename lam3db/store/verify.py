"""Deriving again whatever can be derived: digests, copies, watermarks, the bytes of images.

What must hold: every mismatch is told (the first one stops nothing), what is withheld is
counted as such and not taken for a fault, and nothing is put right here: a person decides.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqlalchemy import text

from lam3db.errors import MediaError
from lam3db.hashing import digest, text_digest, unescape
from lam3db.media import MediaRoot
from lam3db.records import (
    Attack,
    Behavior,
    FileEntry,
    IdentityKind,
    JudgeIdentity,
    JudgeKind,
    Message,
    ModelVersion,
    Sample,
    Sees,
    Subject,
    Verdict,
    images_of,
    selection_digest,
    text_of,
)
from lam3db.store.checked import Checked
from lam3db.store.members import seen_findings
from lam3db.store.pending import undone
from lam3db.store.purge import withheld_images
from lam3db.store.put_runs import config_columns
from lam3db.store.reads import load_judged
from lam3db.store.rollup_check import rederived
from lam3db.store.snapshot import broken_keys
from lam3db.store.stored_values import value_faults
from lam3db.store.tables import metadata
from lam3db.store.tables_rollup import TABLES as SUMS
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import from_json, paged, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from lam3db.store.address import Address

_PAGE = 1000


class Readable(Protocol):
    """What is verified: an open store, or a database from elsewhere about to be merged."""

    address: Address
    url: str
    dialect: Literal["sqlite", "postgresql"]
    media_root: str

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection that cannot write."""
        ...


def verify(
    store: Readable,
    tick: Callable[[str], None] | None = None,
    leave_out: Collection[str] = (),
) -> list[Checked]:
    """Derive everything again but what is left out; ``tick`` is told what comes next."""
    checks: tuple[tuple[str, Callable[[Readable, Checked], None]], ...] = (
        ("file", _file),
        ("value", _values),
        ("image", _media),
        ("behavior", _behaviors),
        ("sample", _samples),
        ("selection", _selections),
        ("config", _configs),
        ("environment", _environments),
        ("model", _models),
        ("judge", _judges),
        ("generation", _generations),
        ("score", _scores),
        ("subject", _subjects),
        ("watermark", _watermarks),
        ("sum", _sums),
    )
    done = []
    for what, check in checks:
        if what in leave_out:
            continue
        if tick is not None:
            tick(what)
        checked = Checked(what)
        with checked.reading("(the rest)"):
            check(store, checked)
        done.append(checked)
    return done


def _file(store: Readable, checked: Checked) -> None:
    checked.count = 1
    checked.faults += broken_keys(store)


def _values(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        checked.faults += islice(value_faults(connection), _MOST)
        checked.count = sum(
            connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in sorted(metadata.tables.keys() - SUMS)
        )


_MOST = 1000


def _rows(connection: Connection, sql: str, **known: Any) -> Iterator[Any]:
    """Yield rows without holding them all."""
    statement = text(sql).bindparams(**known).execution_options(yield_per=_PAGE)
    yield from connection.execute(statement)


def _media(store: Readable, checked: Checked) -> None:
    root = MediaRoot(store.media_root)
    with store.read() as connection:
        rows = connection.execute(text("SELECT sha256, byte_count, withheld_id FROM media")).all()
        gone = withheld_images(connection)
    for row in rows:
        name = bytes(row.sha256).hex()
        if row.withheld_id is not None:
            checked.withheld += 1
            if name in gone and root.has(name):
                fault = "it is withheld, and its file is there: `lam3db db gc --remove`"
                checked.faults.append(f"{checked.what} {name[:12]}: {fault}")
            continue
        try:
            size = len(root.read(name))
        except MediaError as error:
            checked.expect(name[:12], right=False, fault=str(error))
        else:
            fault = f"{size} bytes instead of {row.byte_count}"
            checked.expect(name[:12], size == row.byte_count, fault)


def _behaviors(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in _rows(connection, "SELECT * FROM behavior ORDER BY id"):
            if row.text is None:
                checked.withheld += 1
                continue
            made = Behavior(unescape(row.text), unescape(row.category), bool(row.is_benign))
            checked.expect(str(row.id), made.digest == bytes(row.digest))


def _samples(store: Readable, checked: Checked) -> None:
    shown: dict[int, list[str]] = {}
    with store.read() as connection:
        images = """SELECT sm.sample_id, m.sha256 FROM sample_media sm
                      JOIN media m ON m.id = sm.media_id ORDER BY sm.sample_id, sm.position"""
        for row in connection.execute(text(images)):
            shown.setdefault(row.sample_id, []).append(bytes(row.sha256).hex())
        rows = """SELECT s.*, b.text AS aim, b.category, b.is_benign, b.digest AS behavior_digest
                    FROM sample s JOIN behavior b ON b.id = s.behavior_id ORDER BY s.id"""
        for row in _rows(connection, rows):
            if row.messages is None or row.aim is None:
                checked.withheld += 1
            else:
                with checked.reading(str(row.id)):
                    _sample(row, shown.get(row.id, []), checked)


def _sample(row: Any, shown: list[str], checked: Checked) -> None:
    messages = tuple(Message.from_json(message) for message in from_json(row.messages))
    behavior = Behavior(unescape(row.aim), unescape(row.category), bool(row.is_benign))
    attack = Attack(unescape(row.attack), from_json(row.attack_parameters))
    made = Sample(messages, behavior, attack, plain(row.target), from_json(row.metadata))
    name = str(row.id)
    checked.expect(name, made.digest == bytes(row.digest))
    same = made.input_digest == bytes(row.input_digest)
    checked.expect(name, same, "its input's digest does not match")
    checked.expect(name, text_of(messages) == unescape(row.prompt), "its prompt is another")
    checked.expect(name, list(images_of(messages)) == shown, "its images are others")


def _selections(store: Readable, checked: Checked) -> None:
    members = """SELECT ss."key", s.digest FROM selection_sample ss
                   JOIN sample s ON s.id = ss.sample_id WHERE ss.selection_id = :id"""
    with store.read() as connection:
        for row in connection.execute(text("SELECT * FROM selection ORDER BY id")).all():
            found = connection.execute(text(members), {"id": row.id}).all()
            made = selection_digest([(unescape(key), bytes(one)) for key, one in found])
            checked.expect(str(row.id), made == bytes(row.digest))
            checked.expect(str(row.id), len(found) == row.sample_count, "its count is wrong")


def _configs(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in _rows(connection, "SELECT * FROM config ORDER BY id"):
            with checked.reading(str(row.id)):
                value = from_json(row.value)
                checked.expect(str(row.id), digest("config", value) == bytes(row.digest))
                listed = config_columns(value)
                same = all(getattr(row, name) == there for name, there in listed.items())
                checked.expect(str(row.id), same, "its columns do not match its value")


def _environments(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in _rows(connection, "SELECT * FROM environment ORDER BY id"):
            with checked.reading(str(row.id)):
                made = digest("environment", from_json(row.value))
                checked.expect(str(row.id), made == bytes(row.digest))


def _models(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in _rows(connection, "SELECT * FROM model_version ORDER BY id"):
            with checked.reading(unescape(row.name)):
                made = _model(row)
                checked.expect(unescape(row.name), made.digest == bytes(row.digest))


def _model(row: Any) -> ModelVersion:
    files = tuple(
        FileEntry(path, entry["sha256"], entry["bytes"])
        for path, entry in from_json(row.manifest).items()
    )
    return ModelVersion(
        name=unescape(row.name),
        family=unescape(row.family),
        source=unescape(row.source),
        manifest=files,
        identity_kind=IdentityKind(row.identity_kind),
        declared=plain(row.declared),
    )


def _judges(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in connection.execute(text("SELECT * FROM judge ORDER BY id")).all():
            with checked.reading(unescape(row.name)):
                made = judge_identity(connection, row)
                checked.expect(unescape(row.name), made.digest == bytes(row.digest))


def judge_identity(connection: Connection, row: Any) -> JudgeIdentity:
    """Return the identity that a row of ``judge`` and its verdicts stand for."""
    asked = text("SELECT verdict FROM judge_verdict WHERE judge_id = :id ORDER BY verdict")
    verdicts = connection.execute(asked, {"id": row.id}).scalars().all()
    return JudgeIdentity(
        name=unescape(row.name),
        kind=JudgeKind(row.kind),
        version=unescape(row.version),
        spec=from_json(row.spec),
        sees=tuple(Sees(part) for part in from_json(row.sees)),
        unsafe_verdicts=tuple(Verdict(verdict) for verdict in verdicts),
        heading=unescape(row.heading),
    )


def _generations(store: Readable, checked: Checked) -> None:
    rows = """SELECT g.id, g.text, g.text_digest, g.reasoning, g.reasoning_digest,
                     o.text_digest AS origin, o.reasoning_digest AS thought
                FROM generation g LEFT JOIN generation o ON o.id = g.origin_id ORDER BY g.id"""
    with store.read() as connection:
        is_bundle = connection.execute(text(_BUNDLED), {"author": BUNDLE}).first() is not None
        for row in _rows(connection, rows):
            same = row.origin is None or (
                (row.origin, row.thought) == (row.text_digest, row.reasoning_digest)
            )
            if not same:
                checked.expect(str(row.id), right=False, fault="it is no copy of its origin")
            if row.text is None:
                checked.withheld += 1
                continue
            checked.expect(str(row.id), text_digest(unescape(row.text)) == bytes(row.text_digest))
            if row.reasoning_digest is not None and not (is_bundle and row.reasoning is None):
                thought = text_digest(plain(row.reasoning) or "")
                same = thought == bytes(row.reasoning_digest)
                checked.expect(str(row.id), same, "the digest of its reasoning does not match")


_BUNDLED = "SELECT 1 FROM withholding WHERE author = :author LIMIT 1"


def _scores(store: Readable, checked: Checked) -> None:
    differs = """SELECT x.id FROM score x JOIN finding f ON f.id = x.finding_id
                  WHERE x.judge_id <> f.judge_id OR x.status <> f.status
                     OR x.value IS DISTINCT FROM f.value
                     OR x.verdict IS DISTINCT FROM f.verdict ORDER BY x.id"""
    with store.read() as connection:
        if store.dialect == "sqlite":
            differs = differs.replace("IS DISTINCT FROM", "IS NOT")
        checked.count = connection.execute(text("SELECT count(*) FROM score")).scalar_one()
        for row in _rows(connection, differs):
            checked.faults.append(f"score {row.id}: it does not say what its finding says")


def _subjects(store: Readable, checked: Checked) -> None:
    """Hash again what each scored generation showed its judge."""
    with store.read() as connection:
        for judge in connection.execute(text("SELECT id, sees FROM judge")).all():
            with checked.reading(f"of judge {judge.id}"):
                sees = {Sees(part) for part in from_json(judge.sees)}
                for part in paged(_rows(connection, _SHOWN_BY, id=judge.id), _PAGE):
                    _subjects_of(connection, sees, part, checked)


_SHOWN_BY = """SELECT x.id, x.generation_id, f.subject_digest FROM score x
                 JOIN finding f ON f.id = x.finding_id WHERE x.judge_id = :id"""


def _subjects_of(connection: Connection, sees: set[Sees], pairs: Any, checked: Checked) -> None:
    if sees == {Sees.FINDINGS}:
        _opinions(connection, pairs, checked)
        return
    texts = load_judged(connection, [row.generation_id for row in pairs], sees)
    for row in pairs:
        there = texts.get(row.generation_id)
        if there is None:
            checked.withheld += 1
            continue
        subject = Subject(
            response=there.text if Sees.RESPONSE in sees else "",
            prompt=there.prompt if Sees.PROMPT in sees else None,
            behavior=there.behavior if Sees.BEHAVIOR in sees else None,
            images=there.images if Sees.IMAGE in sees else (),
            reasoning=there.reasoning if Sees.REASONING in sees else None,
        )
        same = subject.digest == bytes(row.subject_digest)
        checked.expect(f"of score {row.id}", same, "its judge was shown something else")


def _opinions(connection: Connection, pairs: Any, checked: Checked) -> None:
    """Hash again what an ensemble wrote down of its members' findings.

    What they say now may be something else: then the ensemble has yet to be asked again.
    """
    seen = seen_findings(connection, [row.id for row in pairs])
    for row in pairs:
        if row.id not in seen:
            checked.withheld += 1
            continue
        same = Subject("", findings=seen[row.id]).digest == bytes(row.subject_digest)
        checked.expect(f"of score {row.id}", same, "its judge was shown something else")


def _watermarks(store: Readable, checked: Checked) -> None:
    with store.read() as connection:
        for row in connection.execute(text("SELECT * FROM judge_progress")).all():
            missed = connection.execute(
                text(f"SELECT min(id) FROM ({undone()}) undone WHERE id <= :reached"),
                {"judge": row.judge_id, "mark": 0, "reached": row.generation_id},
            ).scalar()
            fault = f"generation {missed} below it was neither scored nor failed"
            checked.expect(f"of judge {row.judge_id}", missed is None, fault)


def _sums(store: Readable, checked: Checked) -> None:
    """Make again the sums of the roll-up that reports would read."""
    with store.read() as connection:
        for name, fault in rederived(connection):
            checked.expect(name, fault is None, fault or "")
