"""From the names people give to what an issue is about: rows by id.

What must hold: a name that means nothing, or more than one row, is refused with what to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.issues import Link

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


@dataclass(frozen=True, slots=True)
class Named:
    """What the user wrote: starts of uids and digests, names, an answer's number."""

    run: str | None = None
    model: str | None = None
    judge: str | None = None
    generation: int | None = None
    fingerprint: str | None = None


def find_link(conn: Connection, named: Named) -> Link:
    """Return the rows that are meant.

    Raises:
        ConfigError: nothing is named, or something ambiguously.
        NotFoundError: something named is not there.

    """
    if named == Named():
        raise ConfigError("say what it is about: --run, --model, --judge, --generation ...")
    return Link(
        fingerprint=_fingerprint(conn, named.fingerprint) if named.fingerprint else None,
        run_id=_run(conn, named.run) if named.run else None,
        generation_id=_generation(conn, named.generation) if named.generation is not None else None,
        model_version_id=_named(conn, t.model_version, "model", named.model),
        judge_id=_named(conn, t.judge, "judge", named.judge),
    )


def _run(conn: Connection, start: str) -> int:
    found = select(t.run.c.id).where(t.run.c.uid.startswith(start, autoescape=True))
    hint = "`lam3db status` lists runs"
    return int(_one(list(conn.execute(found).scalars()), f"--run {start}", hint))


def _generation(conn: Connection, one: int) -> int:
    found = select(t.generation.c.id).where(t.generation.c.id == one)
    return int(_one(list(conn.execute(found).scalars()), f"--generation {one}", "give its number"))


def _fingerprint(conn: Connection, start: str) -> str:
    c = t.failure.c.fingerprint
    found = select(c).distinct().where(c.startswith(start, autoescape=True))
    hint = '`lam3db sql "SELECT DISTINCT fingerprint, message FROM failure"` lists them'
    name: str = _one(list(conn.execute(found).scalars()), f"--fingerprint {start}", hint)
    return name


def _named(conn: Connection, table: Table, what: str, name: str | None) -> int | None:
    if name is None:
        return None
    rows = conn.execute(select(table.c.id, table.c.name, table.c.digest)).all()
    known = [(row.id, unescape(row.name), bytes(row.digest).hex()) for row in rows]
    called, _, digest = name.partition("#")
    exact = [one for one, known_as, full in known if known_as == called and full.startswith(digest)]
    found = exact or [one for one, _, full in known if full.startswith(name)]
    hint = f"write NAME#DIGEST, for example {called}#{known[0][2][:8]}" if known else "none is here"
    if not found:
        hint = did_you_mean(called, sorted({one[1] for one in known})).removeprefix(" - ") or hint
    return int(_one(found, f"--{what} {name}", hint))


def _one(found: list[Any], option: str, hint: str) -> Any:
    if not found:
        raise NotFoundError(f"{option}: there is none such; {hint}")
    if len(found) > 1:
        raise ConfigError(f"{option}: {len(found)} are called so; {hint}")
    return found[0]
