"""Merging answers: the same text under a key is one row, another text is the next variant.

The reasoning before a text is part of what was said: the same text after other thoughts is
another variant, or a judge that sees both would seem to have been shown something else.

What must hold: the answer stored here keeps its variant, so numbers read before a merge read
the same after it; a text is looked for among all variants, so a further merge adds nothing;
the copies of an answer that is withheld are withheld with it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text, update

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.merge_report import NAMED
from lam3db.store.merge_rows import BODIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.store.merge_rows import Merge, Row

    Key = tuple[int, int, int, int]
    Content = tuple[bytes, bytes | None]
    Stored = dict[Key, list[tuple[int, int, Content]]]

_STORED = (
    "SELECT id, sample_id, replicate, variant, text_digest, reasoning_digest FROM generation"
    " WHERE model_version_id = ? AND config_id = ? AND replicate BETWEEN ? AND ? AND sample_id"
)


def merge_generations(m: Merge) -> None:
    """Take over answers, originals before their copies."""
    for page in m.source.pages(t.generation):
        originals = [row for row in page if row.origin_id is None]
        copies = [row for row in page if row.origin_id is not None]
        for rows in (originals, copies):
            if rows:
                _put(m, rows)


def _put(m: Merge, rows: Sequence[Any]) -> None:
    made = m.mapped(t.generation, rows)
    stored = _stored(m, made)
    new: list[tuple[Any, Row]] = []
    here: dict[int, int] = {}
    for there, row in zip(rows, made, strict=True):
        texts = stored[_key(row)]
        content = _content(row["text_digest"], row["reasoning_digest"])
        same = next((one for one, _, stored_one in texts if stored_one == content), None)
        if same is None:
            row["variant"] = max((variant for _, variant, _ in texts), default=-1) + 1
            new.append((there, row))
            texts.append((-there.id - 1, row["variant"], content))
        else:
            here[there.id] = same
    if new and m.source.is_bundle:
        m.refuse_foreign(t.generation, [there for there, _ in new])
    _insert(m, [row for _, row in new])
    here = {one: same for one, same in here.items() if same >= 0} | _ids(m, new, here)
    m.ids.put("generation", here.items())
    m.report.add("generation", len(new), len(rows) - len(new))
    _note_variants(m, [row for _, row in new if row["variant"]])
    if not m.source.is_bundle:
        added = {there.id for there, _ in new}
        known = [(there, here[there.id]) for there in rows if there.id not in added]
        m.withhold(t.generation, known)
        _withhold_copies(m, [one for there, one in known if there.withheld_id is not None])


def _stored(m: Merge, rows: Sequence[Row]) -> Stored:
    """Return what is stored under the keys of these rows: (id, variant, digests of the texts)."""
    wanted: dict[tuple[int, int], set[int]] = defaultdict(set)
    for row in rows:
        wanted[row["model_version_id"], row["config_id"]].add(row["sample_id"])
    found: Stored = defaultdict(list)
    replicates = [row["replicate"] for row in rows]
    for pair, samples in wanted.items():
        for one, sample, replicate, variant, *digests in select_in(
            m.conn,
            _STORED,
            (*pair, min(replicates), max(replicates)),
            sorted(samples),
            "bigint",
        ):
            found[(*pair, sample, replicate)].append((one, variant, _content(*digests)))
    return found


def _content(text_digest: bytes, reasoning_digest: bytes | None) -> Content:
    """Return what makes two answers under one key the same."""
    return bytes(text_digest), None if reasoning_digest is None else bytes(reasoning_digest)


def _key(row: Row) -> Key:
    return row["model_version_id"], row["config_id"], row["sample_id"], row["replicate"]


def _insert(m: Merge, rows: Sequence[Row]) -> None:
    """Write new answers; a copy of one that is withheld here is withheld like it."""
    origins = sorted({row["origin_id"] for row in rows} - {None})
    asked = "SELECT id, withheld_id FROM generation WHERE withheld_id IS NOT NULL AND id"
    withheld = dict(map(tuple, select_in(m.conn, asked, (), origins, "bigint")))
    for row in rows:
        if row["origin_id"] in withheld:
            row |= {"withheld_id": withheld[row["origin_id"]], **BODIES["generation"]}
    m.insert(t.generation, rows)


def _ids(m: Merge, new: Sequence[tuple[Any, Row]], here: dict[int, int]) -> dict[int, int]:
    """Return the ids here of the rows just written, and of those that repeat one of them."""
    stored = _stored(m, [row for _, row in new])
    found: dict[int, int] = {}
    for there, row in new:
        texts = stored[_key(row)]
        found[there.id] = next(one for one, variant, _ in texts if variant == row["variant"])
    repeats = {one: -same - 1 for one, same in here.items() if same < 0}
    return found | {one: found[first] for one, first in repeats.items()}


def _withhold_copies(m: Merge, originals: Sequence[int]) -> None:
    """Withhold the copies of answers that are withheld, as they are."""
    g = t.generation.c
    for one in originals:
        by = m.conn.execute(select(g.withheld_id).where(g.id == one)).scalar_one()
        asked = select(g.id).where(g.origin_id == one, g.withheld_id.is_(None))
        copies = m.conn.execute(asked).scalars().all()
        change = update(t.generation).where(g.id.in_(copies))
        m.conn.execute(change.values(BODIES["generation"] | {"withheld_id": by}))
        m.report.updated += len(copies)
        for copy in copies:
            m.report.note("withheld", f"generation {copy}: a copy of {one}, which is withheld")


_NAMES = """
SELECT mv.name, c.digest, (SELECT min(ss."key") FROM selection_sample ss
                            WHERE ss.sample_id = :sample) AS sample
  FROM model_version mv, config c WHERE mv.id = :model AND c.id = :config
"""


def _note_variants(m: Merge, rows: Sequence[Row]) -> None:
    """Tell which answers diverge, by name as far as they are shown."""
    room = max(0, NAMED - m.report.counts["variant"])
    for row in rows[:room]:
        m.report.note("variant", _variant(m, row))
    m.report.note("variant", "", max(0, len(rows) - room))


def _variant(m: Merge, row: Row) -> str:
    model, config, sample, replicate = _key(row)
    known = {"model": model, "config": config, "sample": sample}
    found = m.conn.execute(text(_NAMES), known).one()
    key = unescape(found.sample or f"id {sample}")
    return (
        f"{unescape(found.name)} [{bytes(found.digest).hex()[:8]}] on {key}, replicate"
        f" {replicate}: another text, kept as variant {row['variant']}"
    )
