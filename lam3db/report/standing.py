"""Where the work stands, for people: answers, scores, runs, and the command that comes next.

What must hold: a run that says ``running`` but has not beaten for two minutes was killed, and
is shown so.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from lam3db.report.build import choose_judges
from lam3db.report.formats import table_lines
from lam3db.report.tables import Table
from lam3db.report.text import safe_text
from lam3db.store import overview, results, standing
from lam3db.store.answers import iso

if TYPE_CHECKING:
    from sqlalchemy import Connection

KILLED_AFTER = 120 * 1_000_000
_DIGEST = 6
_UID = 8


@dataclass(frozen=True, slots=True)
class Status:
    """Rows for people, ready to be printed or given out as JSON."""

    answers: tuple[dict[str, Any], ...]
    judges: tuple[dict[str, Any], ...]
    runs: tuple[dict[str, Any], ...]
    hints: tuple[str, ...]


def load_status(conn: Connection, limit: int = 10, now: int | None = None) -> Status:
    """Return where everything stands; ``limit`` runs, ``now`` in microseconds since 1970."""
    now = time.time_ns() // 1000 if now is None else now
    answers, judges = _answers(conn), _judges(conn)
    runs = [_run(row, now) for row in overview.recent_runs(conn, limit=limit)]
    hints = _hints(*_ours(conn, answers, judges), empty=not answers)
    return Status(tuple(answers), tuple(judges), tuple(runs), tuple(hints))


def status_text(status: Status) -> str:
    """Return the status as aligned tables, ending in a line feed."""
    blocks: list[str] = []
    for title, rows, left in (
        ("Answers", status.answers, 3),
        ("Scores", status.judges, 3),
        ("Runs, newest first", status.runs, 6),
    ):
        blocks += [title]
        if rows:
            header = tuple(name.replace("_", " ") for name in rows[0])
            cells = tuple(tuple("" if v is None else str(v) for v in row.values()) for row in rows)
            blocks += table_lines(Table(title, header, ("",) * len(header), left, cells))
        else:
            blocks += ["  none"]
        blocks += [""]
    if status.hints:
        blocks += ["Next:", *(f"  {safe_text(hint)}" for hint in status.hints), ""]
    return "\n".join(blocks)


def status_json(status: Status) -> dict[str, Any]:
    """Return the status as JSON."""
    return asdict(status)


def _answers(conn: Connection) -> list[dict[str, Any]]:
    versions = {v.id: v for v in overview.dataset_versions(conn) if v.asked}
    models = overview.model_names(conn)
    rows = standing.answer_standing(conn, list(versions)) if versions else []
    configs = overview.config_values(conn, {row.config_id for row in rows})
    names = [model.name for model in models.values()]
    found = []
    for row in rows:
        model, version = models[row.model_version_id], versions[row.dataset_id]
        repeated = names.count(model.name) > 1
        found.append(
            {
                "model": model.name + (f" @{model.digest[:_DIGEST]}" if repeated else ""),
                "config": f"#{configs[row.config_id][0][:_DIGEST]}",
                "dataset": f"{version.name}@{version.version}",
                "stored": row.stored,
                "pending": row.pending,
                "failed": row.failed,
            }
        )
    return found


def _judges(conn: Connection) -> list[dict[str, Any]]:
    found = []
    for column in choose_judges(conn, ()):
        judge = column.judge
        counts = asdict(standing.score_standing(conn, judge.id))
        named = {"judge": column.label, "kind": judge.kind, "version": judge.version}
        found.append({**named, **counts})
    return found


def _run(row: overview.RunRow, now: int) -> dict[str, Any]:
    silent = row.status == "running" and now - row.heartbeat_at > KILLED_AFTER
    ended = row.finished_at or row.heartbeat_at
    return {
        "run": row.uid[:_UID],
        "started": iso(row.started_at),
        "kind": row.kind,
        "status": "killed" if silent else row.status,
        "what": row.subject,
        "dataset": row.dataset or None,
        "planned": row.planned,
        "new": row.new,
        "cached": row.cached,
        "failed": row.failed,
        "seconds": round((ended - row.started_at) / 1e6, 1),
    }


def _ours(
    conn: Connection, answers: list[dict[str, Any]], judges: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of models and judges that can be asked here; imported ones cannot."""
    models = overview.model_names(conn)
    foreign = {models[one].name for one in results.imported_models(conn)}
    own = [row for row in answers if row["model"].partition(" @")[0] not in foreign]
    spoken = results.imported_judges(conn)
    elsewhere = {one.label for one in choose_judges(conn, ()) if one.judge.id in spoken}
    return own, [row for row in judges if row["judge"] not in elsewhere]


def _hints(
    answers: list[dict[str, Any]], judges: list[dict[str, Any]], *, empty: bool
) -> list[str]:
    """Return commands that do what is not done; one line each."""
    if empty:
        return ["lam3db run configs/runs/demo.yaml", "lam3db generate --model NAME --dataset NAME"]
    hints = []
    for row in answers:
        model = row["model"].partition(" @")[0]
        command = f"lam3db generate --model {quote(model)} --dataset {quote(row['dataset'])}"
        if row["pending"]:
            hints.append(f"{command}  # {row['pending']} answers are pending")
        if row["failed"]:
            hints.append(f"{command} --retry  # {row['failed']} answers failed")
    if not judges:
        hints.append("lam3db judge --pending --judge refusal-gcg --judge detoxify-original")
    for row in (row for row in judges if row["kind"] != "human"):  # people have `lam3db review`
        command = f"lam3db judge --pending --judge {quote(row['judge'].partition(' #')[0])}"
        if row["pending"]:
            hints.append(f"{command}  # {row['pending']} scores are pending")
        if row["failed"]:
            hints.append(f"{command} --retry  # {row['failed']} scores failed")
        if row["unparsed"]:
            hints.append(f"{command} --retry-status unparsed  # {row['unparsed']} were not parsed")
    return list(dict.fromkeys(hints)) or ["lam3db report"]
