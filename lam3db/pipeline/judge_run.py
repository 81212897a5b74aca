"""The run row of a judging, whoever judges: a program or a person.

What must hold: what was asked, what took effect and where it was done are recorded before the
first score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.pipeline.provenance import provenance
from lam3db.records import RunKind
from lam3db.store import writes
from lam3db.store.writes import RunStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from lam3db.pipeline.provenance import Provenance
    from lam3db.records import JudgeIdentity


def start_judge_run(
    conn: Connection,
    identity: JudgeIdentity,
    judge_id: int,
    requested: Mapping[str, Any],
    seen: Provenance | None = None,
) -> tuple[int, str]:
    """Write the run of one judge; return its id and uid. ``seen``: what was seen already."""
    seen = seen or provenance()
    run = RunStart(
        kind=RunKind.JUDGE,
        model_version_id=None,
        config_id=None,
        selection_id=None,
        dataset_id=None,
        judge_id=judge_id,
        environment_id=writes.put_environment(conn, seen.environment),
        replicates=1,
        seed=None,
        requested=requested,
        effective=dict(identity.spec),
        options={},
        **seen.columns(),
    )
    return writes.start_run(conn, run)
