"""A judge file with fitted numbers, from a judge file without.

What must hold: the new file says on what it was fitted, and is read back and described before
it is handed out; the members' digests are those fitted, so a member that changes later makes
the file an error and not another number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from lam3db.config import JudgeConfig
from lam3db.config_shapes import freeze
from lam3db.errors import ConfigError, did_you_mean
from lam3db.judges.ensemble import EnsembleSettings, make_plan
from lam3db.judges.ensemble_fitted import METHODS
from lam3db.judges.ensemble_members import KIND, known_members
from lam3db.judges.ensemble_rules import FITTED, UnusableError
from lam3db.judges.settings import read_settings
from lam3db.pipeline.fit import FitResult, chance_of, fit_on_labels, fit_on_votes
from lam3db.pipeline.fit_table import ESTIMATION, TRAINING, FitTable, all_votes, labelled_table
from lam3db.plugins import judge_maker
from lam3db.stats.calibration import Calibration, measure_calibration
from lam3db.store import reviews
from lam3db.store.pending import ScoreScope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.judges.ensemble_rules import Plan
    from lam3db.pipeline.watch import Watch
    from lam3db.store.engine import Store
    from lam3db.store.reviews import JudgeCard

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class FitJob:
    """What is asked for.

    ``labels`` is a person as a judge; ``method`` how a calibrated ensemble is calibrated.
    ``spend_estimation``: labels of the estimation part may be used up for fitting.
    """

    config: JudgeConfig
    name: str
    labels: str | None = None
    part: str = TRAINING
    method: str | None = None
    folds: int = 5
    seed: int = 0
    spend_estimation: bool = False
    scope: ScoreScope = field(default_factory=ScoreScope)


@dataclass(frozen=True, slots=True)
class FitFile:
    """The file's text, the digest of the judge it makes, and what to tell of the fit.

    ``measured`` is on labels it was not fitted on, ``how`` says which; of the labels ``used``
    were used, ``skipped`` and ``incomplete`` left out.
    """

    text: str
    digest: str
    measured: Calibration | None
    how: str
    used: int
    skipped: int
    incomplete: int


def fit_ensemble(store: Store, job: FitJob, watch: Watch) -> FitFile:
    """Fit an ensemble.

    Raises:
        ConfigError: a rule that is not fitted, labels that are too few, or labels of the
            estimation part without ``spend_estimation``.
        NotFoundError: no such judge of kind human.

    """
    if job.config.kind != KIND:
        raise ConfigError(f"judge {job.config.name} is of kind {job.config.kind}, no ensemble")
    settings = read_settings(job.config, EnsembleSettings)
    if settings.rule not in FITTED:
        raise ConfigError(f"rule {settings.rule} has nothing to fit: {', '.join(FITTED)} have")
    if job.part == ESTIMATION and not job.spend_estimation:
        raise ConfigError(
            "--part estimation: these labels are kept for numbers, which would be wrong once a "
            "judge was fitted on them; --spend-estimation uses them up all the same"
        )
    method = _method(settings.rule, job.method)
    plan = make_plan(job.config, settings, known_members(job.config, watch.hashing), unfitted=True)
    try:
        with store.read() as conn:
            if settings.rule == "dawid-skene":
                return _without_labels(conn, job, plan)
            return _with_labels(conn, job, plan, method)
    except UnusableError as error:
        raise ConfigError(f"judge {job.config.name}: {error}") from error


def _method(rule: str, asked: str | None) -> str:
    known = METHODS[rule]
    if asked is not None and asked not in known:
        raise ConfigError(f"--method {asked}, rule {rule}{did_you_mean(asked, known)}")
    return asked or known[0]


def _labels(conn: Connection, job: FitJob, plan: Plan) -> tuple[JudgeCard, FitTable]:
    if job.labels is None:
        raise ConfigError(f"rule {plan.rule} needs --labels ANNOTATOR, for example human:anna")
    card = reviews.find_judge(conn, job.labels, "human")
    return card, labelled_table(conn, plan, card, job.part)


def _with_labels(conn: Connection, job: FitJob, plan: Plan, method: str) -> FitFile:
    card, table = _labels(conn, job, plan)
    if not table.rows:
        raise ConfigError(
            f"{card.label} has no label in the {job.part} part on an answer that every member has "
            f"judged ({table.skipped} skips, {table.incomplete} without a member's score)"
        )
    found = fit_on_labels(plan, table.rows, table.labels, method, job.folds, job.seed)
    about = {
        "labels_by": card.label,
        "part": job.part,
        "folds": job.folds,
        "seed": job.seed,
        "scikit_learn": found.sklearn,
        "held_out": None if found.held_out is None else asdict(found.held_out),
    }
    title = f"Fitted on {len(table.rows)} labels of {card.label} ({job.part} part)."
    return _file(job, found, about, title, table, found.held_out)


def _without_labels(conn: Connection, job: FitJob, plan: Plan) -> FitFile:
    votes, digest = all_votes(conn, plan, job.scope)
    found = fit_on_votes(plan, votes, digest)
    about: dict[str, Any] = {"answers": len(votes), "steps": found.steps}
    title = f"Error rates of its members estimated from their votes on {len(votes)} answers."
    if job.labels is None:
        return _file(job, found, about, title, FitTable((), digest, 0, 0), None)
    card, table = _labels(conn, job, plan)
    measured = None
    if table.rows:
        measured = measure_calibration(
            [chance_of(plan, found.fitted, row) for row in table.rows],
            [row.unsafe for row in table.rows],
            [row.behavior_id for row in table.rows],
            plan.threshold,
        )
        about |= {"measured_on": card.label, "measured": asdict(measured)}
    return _file(job, found, about, title, table, measured)


def _file(
    job: FitJob,
    found: FitResult,
    about: Mapping[str, Any],
    title: str,
    table: FitTable,
    measured: Calibration | None,
) -> FitFile:
    fitted = found.fitted.model_dump(exclude_none=True, exclude={"about"})
    settings = {**dict(job.config.settings), "fitted": {**fitted, "about": dict(about)}}
    made = JudgeConfig(name=job.name, kind=KIND, settings=freeze(settings))
    identity = judge_maker(KIND).describe(made, lambda *_: None)
    body = {
        "name": job.name,
        "kind": KIND,
        "settings": _plain(settings),
        "about": {**job.config.about.model_dump(), "sees": "findings"},
        "notes": f"Licence: that of your labels. {title} It knows what those answers were like, "
        "and no others; where its members err alike it errs with them.",
    }
    written = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=_WIDTH)
    head = f"# {title}\n# Written by `lam3db ensemble fit`: fit again rather than edit.\n\n"
    return FitFile(
        head + written,
        identity.digest.hex(),
        measured,
        "labels that nothing was fitted on"
        if found.held_out is None
        else f"held out: {job.folds} folds that share no behavior",
        len(table.rows),
        table.skipped,
        table.incomplete,
    )


def _plain(value: Any) -> Any:
    """Return mappings and tuples as YAML knows them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
