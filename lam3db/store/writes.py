"""Every write, in one place for the callers; each noun has its own file.

What must hold: a write is idempotent by digest or unique key, and happens in the caller's
transaction (:meth:`lam3db.store.engine.Store.write`).
"""

from __future__ import annotations

from lam3db.store.put_findings import (
    FindingIn,
    link_findings,
    put_findings,
    put_revisions,
    revise_links,
)
from lam3db.store.put_generations import GenerationIn, put_generations
from lam3db.store.put_judges import put_judge, put_policy
from lam3db.store.put_runs import (
    FailureIn,
    RunCounts,
    RunStart,
    beat,
    finish_run,
    put_config,
    put_environment,
    put_failures,
    put_model_version,
    start_run,
)
from lam3db.store.put_samples import DatasetRow, put_dataset, put_selection, put_unnamed

__all__ = [
    "DatasetRow",
    "FailureIn",
    "FindingIn",
    "GenerationIn",
    "RunCounts",
    "RunStart",
    "beat",
    "finish_run",
    "link_findings",
    "put_config",
    "put_dataset",
    "put_environment",
    "put_failures",
    "put_findings",
    "put_generations",
    "put_judge",
    "put_model_version",
    "put_policy",
    "put_revisions",
    "put_selection",
    "put_unnamed",
    "revise_links",
    "start_run",
]
