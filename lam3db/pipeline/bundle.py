"""What some judges have pending, as a small database to be carried to where they can judge.

A judge behind an API sits on a host with network, the answers on one without. What must hold:
a bundle holds what is pending under its judges and only what they see of it; it appears under
its name when it is whole, and only its owner can read it; nothing at home is written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db import plugins
from lam3db.config import load_judge_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.hashing import unescape
from lam3db.media import MediaRoot
from lam3db.pipeline.bundle_file import media_part, new_bundle, refuse_taken
from lam3db.pipeline.judge import shown_subject
from lam3db.pipeline.judge_todo import WINDOW
from lam3db.pipeline.watch import Silence
from lam3db.pipeline.withheld_meanwhile import again_if_withheld
from lam3db.records import Sees
from lam3db.store import lookup, pending, reads
from lam3db.store import tables as t
from lam3db.store.bundle import Needs, fill_bundle
from lam3db.store.engine import open_store
from lam3db.store.values import chunks
from lam3db.store.verify import judge_identity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from lam3db.pipeline.watch import Watch
    from lam3db.records import JudgeIdentity
    from lam3db.store.bundle import Bundled
    from lam3db.store.engine import Store
    from lam3db.store.pending import ScoreScope


@dataclass(frozen=True, slots=True)
class BundleResult:
    """What was made: ``path`` is None where nothing was pending, ``media`` where no images are.

    ``pending`` counts answers by judge, ``left_out`` names what no judge of it needs.
    """

    path: Path | None
    media: Path | None
    judges: tuple[JudgeIdentity, ...]
    pending: tuple[int, ...]
    bundled: Bundled | None
    left_out: tuple[str, ...]


def create_bundle(
    store: Store,
    judges: Sequence[str],
    path: Path,
    scope: ScoreScope,
    *,
    redact: bool = False,
    watch: Watch | None = None,
) -> BundleResult:
    """Write what these judges have pending in scope to a new file at ``path``.

    What is withheld while it is written is left out.

    Raises:
        NotFoundError: neither a config nor a stored judge has one of the names.
        ConfigError: a judge is named twice, or judges what other judges said.
        InputError: there is something at ``path``, or no folder for it.
        MediaError: an image that a judge is to see is not there.

    """
    bundle = partial(_create, store, judges, path, scope, redact=redact, watch=watch or Silence())
    return again_if_withheld(store, bundle)


def _create(
    store: Store,
    judges: Sequence[str],
    path: Path,
    scope: ScoreScope,
    *,
    redact: bool,
    watch: Watch,
) -> BundleResult:
    media = path.with_name(f"{path.stem}_media")
    refuse_taken(path, media)
    with store.read() as home:
        identities = [_identity(home, name, watch) for name in judges]
        _refuse_unfit(identities)
        wanted = [_pending(home, identity, scope) for identity in identities]
        counts = tuple(len(ids) for ids in wanted)
        ids = sorted(set().union(*wanted))
        needs = Needs(frozenset(part for one in identities for part in one.sees), redact)
        if not ids:
            return BundleResult(None, None, tuple(identities), counts, None, ())
        with new_bundle(path, media) as part:
            images = MediaRoot(store.media_root)
            bundled = _write(home, images, part, ids, identities, needs)
    beside = media if bundled.images else None
    return BundleResult(path, beside, tuple(identities), counts, bundled, _left_out(needs))


def _identity(home: Connection, name: str, watch: Watch) -> JudgeIdentity:
    """Return a judge as its config describes it here, else as it is stored."""
    try:
        config = load_judge_config(name)
    except NotFoundError:
        rows = home.execute(select(t.judge).order_by(t.judge.c.id)).all()
        found = [
            row
            for row in rows
            if unescape(row.name) == name or bytes(row.digest).hex().startswith(name)
        ]
        if not found:
            raise
        if len(found) > 1:
            known = ", ".join(bytes(row.digest).hex()[:12] for row in found)
            raise ConfigError(
                f"{len(found)} stored judges are called {name!r}: name one by its digest ({known})"
            ) from None
        return judge_identity(home, found[0])
    return plugins.judge_maker(config.kind).describe(config, watch.hashing)


def _refuse_unfit(identities: Sequence[JudgeIdentity]) -> None:
    seen: set[bytes] = set()
    for identity in identities:
        if Sees.FINDINGS in identity.sees:
            raise ConfigError(
                f"judge {identity.name!r} judges what other judges said, which needs no network:"
                " bundle its members, and let it judge here when they are back"
            )
        if identity.digest in seen:
            raise ConfigError(f"judge {identity.name!r} is named twice")
        seen.add(identity.digest)


def _pending(home: Connection, identity: JudgeIdentity, scope: ScoreScope) -> set[int]:
    """Return the answers that this judge has yet to say something of.

    What it has said already of the same subject needs no asking: judging at home links it.
    """
    judge = lookup.judge_id(home, identity.digest) or 0
    todo = pending.pending_scores(home, judge, scope)
    left: set[int] = set()
    for part in chunks([row.generation_id for row in todo], WINDOW):
        texts = reads.load_judged(home, part, identity.sees)
        subjects = {one: shown_subject(identity.sees, text).digest for one, text in texts.items()}
        known = lookup.known_findings(home, judge, set(subjects.values()))
        left |= {one for one, digest in subjects.items() if digest not in known}
    return left - _with_withheld_images(home, identity)


def _with_withheld_images(home: Connection, identity: JudgeIdentity) -> set[int]:
    """Return the answers to images that are gone, where the judge would see them."""
    if Sees.IMAGE not in identity.sees:
        return set()
    shown = t.sample_media.join(t.media, t.media.c.id == t.sample_media.c.media_id)
    gone = select(t.sample_media.c.sample_id).select_from(shown)
    gone = gone.where(t.media.c.withheld_id.is_not(None))
    asked = select(t.generation.c.id).where(t.generation.c.sample_id.in_(gone))
    return set(home.execute(asked).scalars())


def _write(
    home: Connection,
    images: MediaRoot,
    part: Path,
    ids: Sequence[int],
    identities: Sequence[JudgeIdentity],
    needs: Needs,
) -> Bundled:
    with open_store(str(part), mode="write") as out, out.write() as conn:
        bundled = fill_bundle(home, conn, ids, identities, needs)
    with contextlib.closing(sqlite3.connect(part)) as plain:
        plain.execute("PRAGMA journal_mode = DELETE")  # one file to carry, not three
    if bundled.images:
        folder = MediaRoot(str(media_part(part)))
        for name in bundled.images:
            folder.put(images.read(name))
    return bundled


def _left_out(needs: Needs) -> tuple[str, ...]:
    kept: dict[str, Any] = {
        "prompts": needs.prompt,
        "behaviors": needs.behavior,
        "attacks, targets and metadata": needs.labels,
        "images": needs.images,
    }
    return tuple(name for name, there in kept.items() if not there)
