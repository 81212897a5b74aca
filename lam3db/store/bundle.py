"""The rows of a bundle: answers to be judged elsewhere, and what they hang on.

A bundle is a lam3db database of its own whose rows keep the ids they have at home. What its
judges do not see is left out as what is withheld is: the body gone, the digest there, under a
withholding by :data:`lam3db.store.tables_watch.BUNDLE`, which every bundle has and which says
nothing about the row at home. What must hold: no row holds more than the judges need and the
keys require; each row can be verified as any other; nothing at home is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.records import Sees, selection_digest
from lam3db.store import tables as t
from lam3db.store import writes
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import chunks, new_uid, now, paged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection, Table

    from lam3db.records import JudgeIdentity

    Row = dict[str, Any]

_REASON = "left out of this bundle; it is whole in the database that the bundle was made from"
_MARK = 1
"""The id of that withholding in every bundle."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Needs:
    """What a bundle's judges see, and whether what they do not see is left out."""

    sees: frozenset[Sees]
    redact: bool = False

    @property
    def prompt(self) -> bool:
        """Whether the conversations come along."""
        return not self.redact or bool({Sees.PROMPT, Sees.IMAGE} & self.sees)

    @property
    def behavior(self) -> bool:
        """Whether the behaviors come along."""
        return not self.redact or Sees.BEHAVIOR in self.sees

    @property
    def reasoning(self) -> bool:
        """Whether what a model thought comes along: only for a judge that sees it."""
        return Sees.REASONING in self.sees

    @property
    def labels(self) -> bool:
        """Whether attack, target and metadata come along: a whole sample's digest needs them."""
        return self.prompt and self.behavior

    @property
    def images(self) -> bool:
        """Whether the images' bytes come along."""
        return Sees.IMAGE in self.sees


@dataclass(frozen=True, slots=True)
class Bundled:
    """What went in; ``images`` are the digests whose bytes belong beside the file."""

    generations: int
    samples: int
    images: tuple[str, ...]


def fill_bundle(
    home: Connection,
    out: Connection,
    generations: Sequence[int],
    judges: Iterable[JudgeIdentity],
    needs: Needs,
) -> Bundled:
    """Copy these answers and what they hang on from ``home`` into an empty database."""
    mark = {"id": _MARK, "uid": new_uid(), "author": BUNDLE, "reason": _REASON, "created_at": now()}
    out.execute(t.withholding.insert(), [mark])
    for identity in judges:
        writes.put_judge(out, identity)
    keys = _keys(home, generations)
    samples = sorted(keys["sample_id"])
    _copy(home, out, t.behavior, _behaviors(home, samples), _behavior(needs))
    _copy(home, out, t.sample, samples, _sample(needs))
    images = _put_images(home, out, samples, needs) if needs.prompt else ()
    _copy(home, out, t.model_version, sorted(keys["model_version_id"]), _model)
    _copy(home, out, t.config, sorted(keys["config_id"]), _as_it_is)
    selection = _put_selection(home, out, samples)
    environment = writes.put_environment(out, {"bundle": "see the database it was made from"})
    _copy(home, out, t.run, sorted(keys["run_id"]), _run(selection, environment))
    _copy(home, out, t.generation, generations, _generation(needs))
    return Bundled(len(generations), len(samples), images)


def _keys(home: Connection, generations: Sequence[int]) -> dict[str, set[int]]:
    names = ("sample_id", "model_version_id", "config_id", "run_id")
    found: dict[str, set[int]] = {name: set() for name in names}
    asked = f"SELECT {', '.join(names)} FROM generation WHERE id"
    for part in chunks(generations, _AT_ONCE):
        for row in select_in(home, asked, (), part, "bigint"):
            for name in names:
                found[name].add(getattr(row, name))
    return found


def _behaviors(home: Connection, samples: Sequence[int]) -> list[int]:
    asked = "SELECT DISTINCT behavior_id FROM sample WHERE id"
    return sorted({row[0] for row in select_in(home, asked, (), samples, "bigint")})


def _copy(
    home: Connection,
    out: Connection,
    table: Table,
    ids: Collection[int],
    change: Callable[[Row], Row],
) -> None:
    """Copy rows by id, each as ``change`` returns it."""
    columns = tuple(table.columns.keys())
    for part in paged(ids, _AT_ONCE):
        found = home.execute(select(table).where(table.c.id.in_(part)).order_by(table.c.id))
        rows = [change(dict(zip(columns, row, strict=True))) for row in found]
        insert_new(out, table, columns, [tuple(row[name] for name in columns) for row in rows])


def _as_it_is(row: Row) -> Row:
    return row


def _model(row: Row) -> Row:
    return row | {"source": ""}


def _behavior(needs: Needs) -> Callable[[Row], Row]:
    bare = {"text": None, "category": "", "withheld_id": _MARK}
    return _as_it_is if needs.behavior else lambda row: row | bare


def _sample(needs: Needs) -> Callable[[Row], Row]:
    bare: Row = {}
    if not needs.labels:
        bare |= {"attack": "", "attack_parameters": "{}", "target": None, "metadata": "{}"}
    if not needs.prompt:
        bare |= {"messages": None, "prompt": None, "withheld_id": _MARK}
    return lambda row: row | bare


def _generation(needs: Needs) -> Callable[[Row], Row]:
    """Leave out raw text, which no judge sees, and reasoning that no judge of this bundle does."""
    bare: Row = {"origin_id": None} | ({} if needs.reasoning else {"reasoning": None})
    return lambda row: row | bare | {"raw_text": row["text"]}


def _run(selection: int, environment: int) -> Callable[[Row], Row]:
    """Leave of a run what makes it known at home."""
    bare: Row = dict.fromkeys(("requested", "effective", "options"), "{}")
    bare |= dict.fromkeys(("command", "host", "username"), "")
    bare |= dict.fromkeys(("dataset_id", "judge_id", "seed", "code_commit", "code_dirty"))
    bare["environment_id"] = environment

    def change(row: Row) -> Row:
        asked = None if row["selection_id"] is None else selection
        return row | bare | {"selection_id": asked}

    return change


def _put_images(
    home: Connection, out: Connection, samples: Sequence[int], needs: Needs
) -> tuple[str, ...]:
    """Copy which images the samples show; return those whose bytes belong into the bundle."""
    asked = "SELECT sample_id, position, media_id FROM sample_media WHERE sample_id"
    shown = [tuple(row) for row in select_in(home, asked, (), samples, "bigint")]
    ids = sorted({media for _, _, media in shown})
    withheld: Row = {} if needs.images else {"withheld_id": _MARK}
    _copy(home, out, t.media, ids, lambda row: row | withheld)
    insert_new(out, t.sample_media, ("sample_id", "position", "media_id"), shown)
    if not needs.images:
        return ()
    names = select_in(home, "SELECT sha256 FROM media WHERE id", (), ids, "bigint")
    return tuple(sorted(bytes(name).hex() for (name,) in names))


def _put_selection(home: Connection, out: Connection, samples: Sequence[int]) -> int:
    """Write the bundle's samples as a dataset, so that reading commands show them."""
    found = select_in(home, "SELECT id, digest FROM sample WHERE id", (), samples, "bigint")
    members = [(one, bytes(digest)) for one, digest in sorted(map(tuple, found))]
    named = [(digest.hex(), digest) for _, digest in members]
    row = {"digest": selection_digest(named), "sample_count": len(named), "created_at": now()}
    made = out.execute(t.selection.insert().values(row).returning(t.selection.c.id))
    selection = int(made.scalar_one())
    columns = ("selection_id", "sample_id", "key", "position")
    rows = [(selection, one, digest.hex(), at) for at, (one, digest) in enumerate(members)]
    insert_new(out, t.selection_sample, columns, rows)
    dataset = {"name": "bundle", "version": 1, "selection_id": selection, "created_at": now()}
    out.execute(t.dataset.insert().values(dataset | {"source": "", "licence": ""}))
    return selection
