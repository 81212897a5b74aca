"""From a question in words to the rows of this database that it is about.

What must hold: a word means one thing here or is refused, with what it could mean; the
question comes back with digests in place of names, so that its ref is the one of a report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.hashing import canonical_json, escape
from lam3db.metrics import Scope
from lam3db.report.asker import asker, threshold_of
from lam3db.report.build import choose_judges
from lam3db.report.lenses import through
from lam3db.report.refs import DIGITS, Ref
from lam3db.report.scope import find_run, resolve
from lam3db.store import overview
from lam3db.store.aggregates import Frame
from lam3db.store.groups import CONFIG, group_keys
from lam3db.store.subjects import load_subjects
from lam3db.store.tracing import behavior_digests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from lam3db.report.lenses import JudgeColumn

_FLAGS = {"yes": 1, "true": 1, "1": 1, "no": 0, "false": 0, "0": 0}
_MOST = 6


@dataclass(frozen=True, slots=True)
class Located:
    """A ref in ids. ``column`` is its judge as it asks, ``policy`` the judge's own threshold.

    ``is_default`` tells whether its datasets are those of a report without ``--dataset``.
    """

    ref: Ref
    frame: Frame
    group: Mapping[str, int | str | None]
    column: JudgeColumn
    policy: tuple[str, float] | None
    is_default: bool


def locate(conn: Connection, ref: Ref) -> Located:
    """Return the ref in ids, its words made whole; raise NotFoundError or ConfigError."""
    column = _judge(conn, ref.judge)
    policy = threshold_of(column.judge)
    if ref.attribute is not None:
        column = through(column, ref.attribute)
    operator, number = ref.threshold or policy or (None, None)
    asked = ref.threshold is not None and ref.threshold != policy
    judge = replace(column.judge, threshold=number, operator=operator)
    column = replace(column, judge=judge, asked=asked)
    frame = _frame(conn, ref)
    group = {key: _id(conn, key, word) for key, word in ref.group.items()}
    if "model" in group and "config" not in group:
        group["config"] = _config(conn, int(group["model"] or 0))
    keys = group_keys(list(group))
    group = {key: group[key] for key in keys if key in group}
    asks = asker(conn, frame, [group], ref.question)
    return Located(
        asks.make(group, judge, ref.metric),
        frame,
        group,
        column,
        policy,
        set(frame.datasets) == set(_default(conn)),
    )


def _judge(conn: Connection, word: str) -> JudgeColumn:
    """Return the judge of this digest, or of this name (with a digest after ``#``)."""
    every = choose_judges(conn, ())
    by_digest = [c for c in every if c.judge.digest.startswith(word) and len(word) >= DIGITS]
    if len(by_digest) == 1:
        return by_digest[0]
    if len(word) >= DIGITS and set(word) <= set("0123456789abcdef"):
        raise NotFoundError(
            f"this database has no judge whose digest begins with {word}: the number was made"
            " from another one (`lam3db judge list`)"
        )
    found = choose_judges(conn, [word])
    if len(found) > 1:
        known = ", ".join(f"{one.judge.name}#{one.judge.digest[:DIGITS]}" for one in found)
        raise ConfigError(f"--judge {word} has several digests: write one of {known}")
    return found[0]


def _frame(conn: Connection, ref: Ref) -> Frame:
    """Return the scope; without dataset or run, the latest version that each dataset was run on."""
    known = sorted({row.name for row in overview.model_names(conn).values()})
    for name in ref.models:
        if name not in known:
            raise NotFoundError(f"of={name}: no such model here{did_you_mean(name, known)}")
    versions = overview.dataset_versions(conn)
    runs: tuple[int, ...] = ()
    if ref.run is not None:
        run = find_run(conn, ref.run, "run:")
        runs, ids = (run.id,), tuple(v.id for v in versions if v.id == run.dataset_id)
    elif ref.datasets:
        exact = {f"{v.name}@{v.version}": (v.id,) for v in versions}
        found = [exact.get(n) or resolve(conn, Scope(dataset=n))[0].datasets for n in ref.datasets]
        ids = tuple(sorted({one for some in found for one in some}))
    else:
        ids = _default(conn)
    return Frame(ids, runs, ref.models, ref.where, conn.dialect.name)


def _default(conn: Connection) -> tuple[int, ...]:
    return resolve(conn, Scope())[0].datasets


def _id(conn: Connection, key: str, word: str) -> int | str | None:
    """Return the id behind a group's word: a digest's start, a name, or the text itself."""
    if key in ("attack", "category"):
        return escape(word)
    if key == "benign":
        return _flag(word)
    if key.startswith(CONFIG):
        return _setting(word)
    if not word:
        return None
    if key == "run":
        return find_run(conn, word, "run=").id
    known = _known(conn, key, word)
    found = [i for i, names in known.items() if _fits(word, *names)]
    if len(found) == 1:
        return found[0]
    told = [f"{name} ({digest[:DIGITS]})" for i, (name, digest) in known.items() if i in found]
    if found:
        raise ConfigError(
            f"{key}={word} may mean {len(found)}: write the digest's start, of"
            f" {', '.join(told[:_MOST])}"
        )
    hint = did_you_mean(word, [name for name, _ in known.values()][:1000])
    raise NotFoundError(f"{key}={word}: nothing of that name or digest here{hint}")


def _flag(word: str) -> int:
    if word.lower() not in _FLAGS:
        raise ConfigError(f"benign={word}: write yes or no")
    return _FLAGS[word.lower()]


def _setting(word: str) -> str:
    """Return a setting as it is stored: JSON, or nothing; a plain word is a text."""
    if not word:
        return ""
    try:
        json.loads(word)
    except ValueError:
        return canonical_json(word)
    return escape(word)


def _fits(word: str, name: str, digest: str) -> bool:
    short = word.lower().removeprefix("#").removeprefix("@")
    return word == name or (len(short) >= _MOST and digest.startswith(short))


def _known(conn: Connection, key: str, word: str) -> dict[int, tuple[str, str]]:
    """Return (name, digest) by id of what a group of this key may be."""
    if key == "model":
        return {i: (row.name, row.digest) for i, row in overview.model_names(conn).items()}
    if key == "config":
        every = {(s.config_id, s.config_digest) for s in load_subjects(conn)}
        return {i: (f"#{digest[:_MOST]}", digest) for i, digest in sorted(every)}
    if key == "dataset":
        return {v.id: (f"{v.name}@{v.version}", "") for v in overview.dataset_versions(conn)}
    return _behaviors(conn, word)


def _behaviors(conn: Connection, word: str) -> dict[int, tuple[str, str]]:
    ids = overview.find_behaviors(conn, word)
    texts, digests = overview.behavior_texts(conn, ids), behavior_digests(conn, ids)
    return {i: (texts[i], digests[i]) for i in ids}


def _config(conn: Connection, model: int) -> int:
    """Return the one config of a model; rows per model are per config too."""
    found = [s for s in load_subjects(conn) if s.model_version_id == model]
    if len(found) != 1:
        known = ", ".join(one.config_digest[:DIGITS] for one in found) or "none"
        raise ConfigError(
            f"the model has {len(found)} configs, and a row is of one: add --row config=DIGEST,"
            f" one of {known}"
        )
    return found[0].config_id
