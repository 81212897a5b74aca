"""What a judge has said, as a list: one row per subject and text that shows it.

The list the lab keeps beside its runs: the text's digest, the number, the label, which judge
with which weights. ``toxicity_score`` is the judge's value, whatever it measures; ``label`` is
what the threshold in force makes of it, else the verdict, else nothing. What must hold: a row
is the latest revision of the first opinion (replicate 0), and what an ensemble made of words
that its members no longer say is none; nothing stands for what was not scored; the first row
carries the judge's whole identity, from which its digest follows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.hashing import digest, unescape
from lam3db.store.answers import iso
from lam3db.store.bulk import select_in
from lam3db.store.values import paged, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from lam3db.records import JudgeIdentity, JudgePolicy

COLUMNS = (
    *("text_digest", "subject_digest", "judge", "judge_digest", "model_version", "weights_hash"),
    *("status", "toxicity_score", "label", "verdict", "threshold", "operator", "attributes"),
    *("explanation", "raw_output", "revision", "created_at", "judge_identity"),
)
ATTRIBUTE = "attribute."
"""How the name of an attribute's own column begins, where rows have one (CSV)."""
_PAGE = 1000
_LATEST = """
SELECT DISTINCT f.id, f.subject_digest, f.status, f.value, f.verdict, f.explanation,
       f.raw_output, f.revision, f.created_at, g.text_digest
  FROM score x JOIN finding f ON f.id = x.finding_id JOIN generation g ON g.id = x.generation_id
 WHERE x.judge_id = :judge AND f.replicate = 0
   AND NOT EXISTS (SELECT 1 FROM score newer
                    WHERE newer.judge_id = x.judge_id AND newer.generation_id = x.generation_id
                      AND newer.replicate = x.replicate AND newer.revision > x.revision)
   AND NOT EXISTS (SELECT 1 FROM finding later
                    WHERE later.judge_id = f.judge_id AND later.subject_digest = f.subject_digest
                      AND later.replicate = 0 AND later.revision > f.revision)
 ORDER BY f.id, g.text_digest
"""


def identity_json(identity: JudgeIdentity) -> dict[str, Any]:
    """Return all that a judge's digest is made of, with its name and heading."""
    return {
        "name": identity.name,
        "kind": str(identity.kind),
        "version": identity.version,
        "spec": dict(identity.spec),
        "sees": sorted(str(part) for part in identity.sees),
        "unsafe_verdicts": sorted(str(verdict) for verdict in identity.unsafe_verdicts),
        "heading": identity.heading,
    }


def weights_hash(identity: JudgeIdentity) -> str | None:
    """Return the digest of a judge's weights, of several files one digest; None without any."""
    weights = identity.spec.get("weights", identity.spec.get("files"))
    if weights is None or isinstance(weights, str):
        return weights
    return digest("weights", weights).hex()


def attribute_names(conn: Connection, judge_id: int) -> list[str]:
    """Return the names of all numbers that a judge has given, sorted."""
    asked = text(
        "SELECT DISTINCT a.attribute FROM finding_attribute a"
        " JOIN finding f ON f.id = a.finding_id WHERE f.judge_id = :judge"
    )
    return sorted(map(unescape, conn.execute(asked, {"judge": judge_id}).scalars()))


def stream_scores(
    conn: Connection, judge_id: int, identity: JudgeIdentity, policy: JudgePolicy | None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of :data:`COLUMNS`, in the order in which they were said."""
    fixed = {
        "judge": identity.name,
        "judge_digest": identity.digest.hex(),
        "model_version": identity.version,
        "weights_hash": weights_hash(identity),
    }
    statement = text(_LATEST).bindparams(judge=judge_id).execution_options(yield_per=_PAGE)
    whole: dict[str, Any] | None = identity_json(identity)
    for page in paged(conn.execute(statement), _PAGE):
        numbers = _attributes(conn, [row.id for row in page])
        for row in page:
            said = fixed | _row(row, policy) | {"attributes": numbers[row.id]}
            yield {name: said.get(name) for name in COLUMNS} | {"judge_identity": whole}
            whole = None


def _attributes(conn: Connection, findings: list[int]) -> dict[int, dict[str, float]]:
    asked = "SELECT finding_id, attribute, value FROM finding_attribute WHERE finding_id"
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for one, name, value in sorted(select_in(conn, asked, (), findings, "bigint")):
        found[one][unescape(name)] = value
    return found


def _row(row: Any, policy: JudgePolicy | None) -> dict[str, Any]:
    by_threshold = policy is not None and row.value is not None
    return {
        "text_digest": bytes(row.text_digest).hex(),
        "subject_digest": bytes(row.subject_digest).hex(),
        "status": row.status,
        "toxicity_score": row.value,
        "label": _label(row, policy),
        "verdict": row.verdict,
        "threshold": policy.threshold if policy and by_threshold else None,
        "operator": policy.operator if policy and by_threshold else None,
        "explanation": plain(row.explanation),
        "raw_output": plain(row.raw_output),
        "revision": row.revision,
        "created_at": iso(row.created_at),
    }


def _label(row: Any, policy: JudgePolicy | None) -> str | None:
    if policy is None or row.value is None:
        return row.verdict  # type: ignore[no-any-return]
    above = row.value > policy.threshold
    is_unsafe = above or (policy.operator == ">=" and row.value == policy.threshold)
    return "unsafe" if is_unsafe else "safe"
