"""The sums that metrics need: one query per judge, one row per group, behavior and outcome.

How the population is defined, and why: *wanted* are the samples in scope, each once (a sample
that two datasets share is one sample, unless rows are made per dataset); *absent* is what
generate runs were asked for and did not store. A unit is an answer in variant 0, or something
asked for that has no answer; so what failed or was never made is counted, as that. Each unit
has exactly one outcome under a judge.

What must hold: the latest revision of a score counts and no other; only a score of status
``ok`` carries a verdict or a value into a sum; the judge's first opinion (replicate 0) is
the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from lam3db.errors import ConfigError, did_you_mean
from lam3db.hashing import canonical_json, escape
from lam3db.store.groups import ALWAYS, GROUPS, group_keys, key_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter, Connection

__all__ = [
    "ALWAYS", "GENERATION_FAILED", "GROUPS", "MODELS", "OUTCOMES", "Cell", "Frame", "JudgeRow",
    "bound", "group_keys", "judge_values", "load_cells", "population", "scored", "values_of",
]  # fmt: skip

OUTCOMES = (
    "ok",
    "pending",
    "judge_failed",
    "abstained",
    "unparsed",
    "judge_refused",
    "not_generated",
    "generation_failed",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A scope in ids: datasets, or (when not empty) runs, which then define the samples."""

    datasets: tuple[int, ...] = ()
    runs: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    dialect: str = "sqlite"


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """A judge as reports need it; ``threshold`` and ``operator`` are its current policy.

    With an ``attribute`` (or ``*``, the largest of all that are scores) this number takes the
    place of the value, and verdicts decide nothing. ``scale`` holds the ends of its values;
    ``of_people`` tells that only people speak through it, and so only of what was drawn for them.
    """

    id: int
    name: str
    kind: str
    version: str
    digest: str
    heading: str
    unsafe_verdicts: tuple[str, ...]
    threshold: float | None
    operator: str | None
    attribute: str | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    of_people: bool = False

    @property
    def decides(self) -> bool:
        """Whether its scores can be called safe or unsafe at all."""
        return bool(self.deciding_verdicts) or self.threshold is not None

    @property
    def deciding_verdicts(self) -> tuple[str, ...]:
        """The verdicts that make an answer unsafe; none where an attribute is asked about."""
        return self.unsafe_verdicts if self.attribute is None else ()


@dataclass(frozen=True, slots=True)
class Cell:
    """Units of one group, behavior and outcome.

    ``group`` holds the keys asked for, model version and config always first. ``decided``
    have a verdict or a threshold to be ``unsafe`` by, ``judged`` a verdict, ``valued`` a
    value; all are 0 for an outcome other than ``ok``.
    """

    group: tuple[int | str, ...]
    behavior_id: int
    is_benign: bool
    outcome: str
    n: int
    decided: int
    unsafe: int
    judged: int
    refused: int
    valued: int
    value_sum: float
    square_sum: float
    low: float
    high: float


def load_cells(conn: Connection, frame: Frame, by: Sequence[str], judge: JudgeRow) -> list[Cell]:
    """Return the sums of one judge, each answer being a unit of its own.

    ``by`` names keys of :data:`GROUPS`, or ``config.NAME``. For one unit per sample see
    :mod:`lam3db.store.sample_cells`.
    """
    keys = group_keys(by)
    columns = key_columns(keys, frame.dialect)
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    query = f"""{population(frame, keys)},
    scored AS ({scored(judge, columns)})
    SELECT {names}, behavior_id, is_benign, code, COUNT(*), {_SUMS}
    FROM scored GROUP BY {names}, behavior_id, is_benign, code
    ORDER BY {names}, behavior_id, is_benign, code"""
    rows = conn.execute(bound(query, {**values_of(frame), **judge_values(judge)}))
    return [_cell(tuple(row), len(keys)) for row in rows]


def judge_values(judge: JudgeRow) -> dict[str, Any]:
    """Return everything a query over :func:`scored` may mention of its judge."""
    return {
        "judge": judge.id,
        "threshold": judge.threshold,
        "verdicts": judge.deciding_verdicts,
        "attribute": None if judge.attribute is None else escape(judge.attribute),
    }


def population(frame: Frame, keys: Sequence[str]) -> str:
    """Return the SQL of the units in scope, as the head of a query (``WITH ... unit AS (...)``)."""
    if frame.runs or "run" in keys:
        tags = [f"{key}_id" for key in ("run", "dataset") if key in keys]
        tag = "".join(f", a.{name}" for name in tags)
        wanted = _WANTED_BY_RUN.format(tags=tag, where=_filters(frame), runs=_runs(frame))
        same = "AND w.model_version_id = {0}.model_version_id AND w.config_id = {0}.config_id "
        same += "AND w.replicate = {0}.replicate"
    else:
        tags = ["dataset_id"] if "dataset" in keys else []
        tag = ", d.id AS dataset_id" if tags else ""
        wanted = _WANTED.format(tags=tag, where=_filters(frame))
        same = ""
    models = MODELS if frame.models else ""
    unit = _UNIT.format(
        tags="".join(f", w.{name}" for name in tags),
        stored=same.format("g"),
        absent=same.format("a"),
        models=models,
    )
    pair = _PAIR.format(models=models)
    return f"WITH RECURSIVE {_ABSENT}, pair AS ({pair}), wanted AS ({wanted}), unit AS ({unit})"


# what was asked for and is not there: found by look-ups, so that only it is made distinct
_ABSENT = """numbers(replicate) AS (
  SELECT 0 UNION ALL SELECT replicate + 1 FROM numbers
  WHERE replicate + 1 < (SELECT MAX(replicates) FROM run WHERE kind = 'generate')),
job AS (
  SELECT DISTINCT model_version_id, config_id, selection_id, replicates
  FROM run WHERE kind = 'generate' AND model_version_id IS NOT NULL),
absent AS (
  SELECT DISTINCT j.model_version_id, j.config_id, ss.sample_id, n.replicate
  FROM job j JOIN selection_sample ss ON ss.selection_id = j.selection_id
  JOIN numbers n ON n.replicate < j.replicates
  WHERE NOT EXISTS (
    SELECT 1 FROM generation g
    WHERE g.model_version_id = j.model_version_id AND g.config_id = j.config_id
      AND g.sample_id = ss.sample_id AND g.replicate = n.replicate AND g.variant = 0))"""

_WANTED = """
  SELECT DISTINCT ss.sample_id{tags}
  FROM dataset d JOIN selection_sample ss ON ss.selection_id = d.selection_id
  JOIN sample s ON s.id = ss.sample_id JOIN behavior b ON b.id = s.behavior_id
  WHERE d.id IN :datasets {where}"""

_WANTED_BY_RUN = """
  SELECT DISTINCT a.model_version_id, a.config_id, ss.sample_id, n.replicate{tags}
  FROM (SELECT id AS run_id, dataset_id, model_version_id, config_id, selection_id, replicates
        FROM run WHERE kind = 'generate' {runs}) a
  JOIN selection_sample ss ON ss.selection_id = a.selection_id
  JOIN numbers n ON n.replicate < a.replicates
  JOIN sample s ON s.id = ss.sample_id JOIN behavior b ON b.id = s.behavior_id
  WHERE 1 = 1 {where}"""

# CROSS JOIN is SQLite's way to fix the order of loops: without it the planner may scan all
# answers once per sample. With it every look-up is one in the generation key.
_UNIT = """
  SELECT g.model_version_id, g.config_id, g.sample_id, g.replicate, g.id AS generation_id{tags}
  FROM pair p CROSS JOIN wanted w CROSS JOIN generation g
  WHERE g.model_version_id = p.model_version_id AND g.config_id = p.config_id
    AND g.sample_id = w.sample_id AND g.variant = 0 {stored}
  UNION ALL
  SELECT a.model_version_id, a.config_id, a.sample_id, a.replicate, NULL{tags}
  FROM wanted w JOIN absent a ON a.sample_id = w.sample_id {absent}
  WHERE a.model_version_id IN (SELECT m.id FROM model_version m WHERE 1 = 1 {models})"""

_PAIR = """
  SELECT m.id AS model_version_id, c.id AS config_id
  FROM model_version m CROSS JOIN config c
  WHERE EXISTS (SELECT 1 FROM generation g
    WHERE g.model_version_id = m.id AND g.config_id = c.id) {models}"""

MODELS = "AND m.name IN :models"

GENERATION_FAILED = """EXISTS (
    SELECT 1 FROM failure f JOIN run r ON r.id = f.run_id
    WHERE f.stage = 'generate' AND f.sample_id = u.sample_id AND f.replicate = u.replicate
      AND r.model_version_id = u.model_version_id AND r.config_id = u.config_id)"""

_SCORED = """
  SELECT {columns}, {cluster} AS behavior_id, b.is_benign, u.model_version_id, u.config_id,
    u.sample_id, u.replicate, u.generation_id,
    CASE WHEN sc.status = 'ok' THEN 0 WHEN sc.status = 'abstained' THEN 3
         WHEN sc.status = 'unparsed' THEN 4 WHEN sc.status = 'judge_refused' THEN 5
         WHEN u.generation_id IS NULL THEN
           CASE WHEN {failed} THEN 7 ELSE 6 END
         WHEN EXISTS (
           SELECT 1 FROM failure f WHERE f.stage = 'judge' AND f.judge_id = :judge
             AND f.generation_id = u.generation_id) THEN 2
         ELSE 1 END AS code,
    CASE WHEN {decided} THEN 1 ELSE 0 END AS decided,
    CASE WHEN {unsafe} THEN 1 ELSE 0 END AS unsafe,
    CASE WHEN sc.verdict IS NOT NULL THEN 1 ELSE 0 END AS judged,
    CASE WHEN sc.verdict = 'refused' THEN 1 ELSE 0 END AS refused,
    {value} AS value, sc.verdict AS verdict
  FROM unit u JOIN sample s ON s.id = u.sample_id JOIN behavior b ON b.id = s.behavior_id{joins}
  LEFT JOIN score sc ON sc.generation_id = u.generation_id AND sc.judge_id = :judge
    AND sc.replicate = 0 AND CASE WHEN {revised} THEN NOT EXISTS (
      SELECT 1 FROM score newer WHERE newer.judge_id = sc.judge_id
        AND newer.generation_id = sc.generation_id AND newer.replicate = sc.replicate
        AND newer.revision > sc.revision) ELSE 1 = 1 END"""

# asked once per query: where a judge never revised itself no score need be looked for twice
_REVISED = """(SELECT EXISTS (
      SELECT 1 FROM score r WHERE r.judge_id = :judge AND r.revision > 0))"""

_CONFIG_JOIN = " JOIN config c ON c.id = u.config_id"
_VALUES = {
    None: "sc.value",
    "*": """(SELECT MAX(fa.value) FROM finding_attribute fa WHERE fa.finding_id = sc.finding_id
      AND sc.status = 'ok' AND fa.attribute NOT IN ('windows', 'mass')
      AND substr(fa.attribute, 1, 2) <> 'p_'
      AND substr(fa.attribute, length(fa.attribute) - 4) <> '_mean')""",
}
_ONE_ATTRIBUTE = """(SELECT fa.value FROM finding_attribute fa
      WHERE fa.finding_id = sc.finding_id AND sc.status = 'ok' AND fa.attribute = :attribute)"""

_SUMS = """
  SUM(CASE WHEN code = 0 THEN decided ELSE 0 END),
  SUM(CASE WHEN code = 0 THEN unsafe ELSE 0 END),
  SUM(CASE WHEN code = 0 THEN judged ELSE 0 END),
  SUM(CASE WHEN code = 0 THEN refused ELSE 0 END),
  COUNT(CASE WHEN code = 0 THEN value END), SUM(CASE WHEN code = 0 THEN value END),
  SUM(CASE WHEN code = 0 THEN value * value END),
  MIN(CASE WHEN code = 0 THEN value END), MAX(CASE WHEN code = 0 THEN value END)"""

_FIELDS = {
    "category": "b.category",
    "attack": "s.attack",
    "behavior": "b.text",
    "benign": "b.is_benign",
    "key": "ss.key",
    "target": "s.target",
}
_FLAGS = {"true": 1, "yes": 1, "1": 1, "false": 0, "no": 0, "0": 0}


def scored(judge: JudgeRow, columns: str, cluster: str = "s.behavior_id") -> str:
    """Return the SQL that gives each unit its outcome; ``unsafe`` as ``v_score`` has it.

    A value under a policy decides; else a verdict, for a judge that says which are unsafe.
    ``cluster`` is the SQL of what hangs together; its column is called ``behavior_id``.
    """
    decided, unsafe = [], []
    value = _VALUES.get(judge.attribute, _ONE_ATTRIBUTE)
    if judge.threshold is not None:
        operator = {">": ">", ">=": ">="}[judge.operator or ""]
        decided.append(f"{value} IS NOT NULL")
        unsafe.append(f"WHEN {value} IS NOT NULL THEN {value} {operator} :threshold")
    if judge.deciding_verdicts:
        decided.append("sc.verdict IS NOT NULL")
        unsafe.append("WHEN sc.verdict IS NOT NULL THEN sc.verdict IN :verdicts")
    return _SCORED.format(
        columns=columns,
        cluster=cluster,
        value=value,
        joins=_CONFIG_JOIN if "c.value" in columns else "",
        decided=" OR ".join(decided) or "1 = 0",
        unsafe=f"CASE {' '.join(unsafe)} ELSE 1 = 0 END" if unsafe else "1 = 0",
        failed=GENERATION_FAILED,
        revised=_REVISED,
    )


def _filters(frame: Frame) -> str:
    """Return the conditions on samples; names and values are bound, never written."""
    parts = []
    for position, name in enumerate(frame.where):
        if name.startswith("metadata."):
            column = {"sqlite": "s.metadata", "postgresql": "CAST(s.metadata AS jsonb)"}
            found = f"CAST({column[frame.dialect]} -> :name_{position} AS TEXT)"
            parts.append(f"{found} IN :where_{position}")
        elif name in _FIELDS:
            parts.append(f"{_FIELDS[name]} = :where_{position}")
        else:
            known = [*_FIELDS, "metadata.NAME"]
            raise ConfigError(f"--where {name}: no such field{did_you_mean(name, known)}")
    return "".join(f" AND {part}" for part in parts)


def _runs(frame: Frame) -> str:
    return "AND id IN :runs" if frame.runs else "AND dataset_id IN :datasets"


def values_of(frame: Frame) -> dict[str, Any]:
    """Return everything a query over :func:`population` may mention, for :func:`bound`."""
    values: dict[str, Any] = {
        "datasets": frame.datasets,
        "runs": frame.runs,
        "models": tuple(escape(name) for name in frame.models),
    }
    for position, (name, value) in enumerate(frame.where.items()):
        values[f"where_{position}"] = escape(value)
        if name == "benign":
            values[f"where_{position}"] = _flag(value)
        if name.startswith("metadata."):
            field_name = escape(name.removeprefix("metadata."))
            quoted = f'$."{field_name}"' if frame.dialect == "sqlite" else field_name
            values[f"name_{position}"] = quoted
            values[f"where_{position}"] = (canonical_json(value), escape(value))
    return values


def _flag(value: str) -> int:
    if value.lower() not in _FLAGS:
        raise ConfigError(f"--where benign={value}: write benign=true or benign=false")
    return _FLAGS[value.lower()]


def bound(query: str, values: Mapping[str, Any]) -> Any:
    """Return the query with the values it mentions; a tuple becomes a list of parameters."""
    used = {name: value for name, value in values.items() if f":{name}" in query}
    many: list[BindParameter[Any]] = [
        bindparam(name, list(value), expanding=True)
        for name, value in used.items()
        if isinstance(value, tuple)
    ]
    one = {name: value for name, value in used.items() if not isinstance(value, tuple)}
    return text(query).bindparams(*many, **one)


def _cell(row: tuple[Any, ...], keys: int) -> Cell:
    behavior, benign, code, n, decided, unsafe, judged, refused, *value = row[keys:]
    valued, total, squares, low, high = value
    return Cell(
        group=row[:keys],
        behavior_id=behavior,
        is_benign=bool(benign),
        outcome=OUTCOMES[code],
        n=n,
        decided=int(decided),
        unsafe=int(unsafe),
        judged=int(judged),
        refused=int(refused),
        valued=valued,
        value_sum=total or 0.0,
        square_sum=squares or 0.0,
        low=low or 0.0,
        high=high or 0.0,
    )
