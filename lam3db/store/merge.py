"""Everything of one lam3db database into another, in one transaction.

Rows with a digest are known by it, rows without by their uid; :data:`MERGED` names the tables.
What must hold: merging the same again changes nothing; what is stored here is overwritten by
nothing from there (a run that still runs may move on, a revision may move up, see
:mod:`lam3db.store.merge_runs` and :mod:`lam3db.store.merge_opinions`); a fault anywhere, or a
kill, leaves the target as it was; nothing pending is hidden, because no watermark comes over
and those here only move past what is dealt with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from lam3db.store import tables as t
from lam3db.store.failure_groups import track_all
from lam3db.store.insert import lock_bodies, lock_findings, lock_generations, lock_versions
from lam3db.store.merge_answers import merge_generations
from lam3db.store.merge_findings import merge_findings
from lam3db.store.merge_ids import IdMap
from lam3db.store.merge_inputs import (
    merge_datasets,
    merge_media,
    merge_samples,
    merge_selections,
    merge_withholdings,
    selections_of_datasets,
)
from lam3db.store.merge_judges import merge_judges
from lam3db.store.merge_report import MergeReport
from lam3db.store.merge_reviews import merge_reviews
from lam3db.store.merge_rows import Merge
from lam3db.store.merge_runs import (
    merge_environments,
    merge_failures,
    merge_models,
    merge_runs,
    new_runs,
)
from lam3db.store.merge_scores import merge_scores
from lam3db.store.merge_watch import merge_watch
from lam3db.store.pending import advance_watermark
from lam3db.store.tables_rollup import TABLES
from lam3db.store.withheld import follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from lam3db.store.source import Source

    Tick = Callable[[str], None]

MERGED = frozenset(
    {
        *("withholding", "media", "behavior", "sample", "sample_media", "selection"),
        *("selection_sample", "dataset", "model_version", "config", "environment", "judge"),
        *("judge_verdict", "judge_policy", "run", "generation", "finding", "finding_attribute"),
        *("score", "failure", "issue", "issue_event", "issue_link", "log_entry"),
        *("review", "review_part", "review_item"),
    }
)
"""Tables whose rows come over."""
NOT_MERGED = TABLES | {"judge_progress", "stored_copy"}
"""Tables that each database derives for itself, or that are about its own file."""


def merge(conn: Connection, source: Source, tick: Tick | None = None) -> MergeReport:
    """Take over all that an examined source holds; the caller commits, or rolls back.

    Raises:
        InputError: a value or a reference in the source cannot be right.

    """
    lock_bodies(conn, alone=False)
    lock_versions(conn)
    lock_generations(conn, alone=True)
    lock_findings(conn)
    report = MergeReport(is_bundle=source.is_bundle)
    with IdMap() as ids:
        m = Merge(conn, source, ids, report)
        for what, step in (
            ("samples", _inputs),
            ("runs", _runs),
            ("answers", merge_generations),
            ("findings", merge_findings),
            ("scores", merge_scores),
            ("failures", merge_failures),
            ("reviews", merge_reviews),
            ("issues and log", _watched),
            ("watermarks", _watermarks),
        ):
            if tick is not None:
                tick(what)
            step(m)
        follow(conn)
    return report


def _inputs(m: Merge) -> None:
    merge_withholdings(m)
    merge_media(m)
    merge_samples(m)
    merge_models(m)
    merge_judges(m)


def _runs(m: Merge) -> None:
    environments, selections = new_runs(m)
    merge_selections(m, selections | selections_of_datasets(m))
    merge_environments(m, environments)
    merge_datasets(m)
    merge_runs(m)


def _watched(m: Merge) -> None:
    merge_watch(m)
    track_all(m.conn)  # failures from a bundle, or of a database that tracked none


def _watermarks(m: Merge) -> None:
    """Let the judges that came with scores see what is left of them."""
    there = m.source.connection.execute(select(t.judge.c.id)).scalars().all()
    for judge in sorted(m.ids.get("judge", there).values()):
        advance_watermark(m.conn, judge)
