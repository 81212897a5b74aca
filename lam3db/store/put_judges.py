"""Writing judges and the thresholds applied to their values.

What must hold: a judge of one digest is one row, whatever it is called; changing a threshold
adds a version of the policy and changes no score.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy import select

from lam3db.errors import ConfigError
from lam3db.redaction import looks_secret
from lam3db.store import tables as t
from lam3db.store.insert import get_or_insert, insert_ignore, lock_versions
from lam3db.store.values import now, stored, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.records import JudgeIdentity, JudgePolicy


def put_judge(conn: Connection, identity: JudgeIdentity) -> int:
    """Return the row of a judge, written if it is new.

    Raises:
        ConfigError: its settings hold something of the shape of a secret.

    """
    spec = to_json(dict(identity.spec))
    if looks_secret(spec):
        raise ConfigError(
            f"judge {identity.name!r}: a setting holds what looks like a key or password:"
            " use the environment"
        )
    row = {
        "digest": identity.digest,
        "name": stored(identity.name),
        "kind": str(identity.kind),
        "version": stored(identity.version),
        "spec": spec,
        "sees": to_json(sorted(str(part) for part in identity.sees)),
        "heading": stored(identity.heading),
        "created_at": now(),
    }
    judge_id = get_or_insert(conn, t.judge, row, "digest")
    verdicts = sorted(str(verdict) for verdict in identity.unsafe_verdicts)
    rows = [{"judge_id": judge_id, "verdict": verdict} for verdict in verdicts]
    insert_ignore(conn, t.judge_verdict, rows)
    return judge_id


def put_policy(conn: Connection, judge_id: int, policy: JudgePolicy, author: str) -> None:
    """Set a judge's threshold: a new version, unless it is the current one.

    Raises:
        ConfigError: the threshold is not finite, or the operator is neither ``>`` nor ``>=``.

    """
    if not math.isfinite(policy.threshold) or policy.operator not in (">", ">="):
        raise ConfigError(
            f"policy {policy.operator!r} {policy.threshold!r}: write > or >= and a finite number"
        )
    lock_versions(conn)
    p = t.judge_policy.c
    current = conn.execute(
        select(p.version, p.threshold, p.operator)
        .where(p.judge_id == judge_id)
        .order_by(p.version.desc())
        .limit(1)
    ).one_or_none()
    if current and (current.threshold, current.operator) == (policy.threshold, policy.operator):
        return
    row = {
        "judge_id": judge_id,
        "version": current.version + 1 if current else 1,
        "threshold": float(policy.threshold),
        "operator": policy.operator,
        "author": stored(author),
        "created_at": now(),
    }
    conn.execute(t.judge_policy.insert().values(row))
