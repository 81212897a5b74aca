"""Who has answered: each model version under each config, and the datasets it was asked.

What must hold: a subject is one model version and one config; two of a name are two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.values import CHUNK, from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Subject:
    """A model version under a config; ``datasets`` are ids of what its runs were asked.

    ``settings`` are the config's, ``run_id`` is set where only one run's answers are meant.
    """

    name: str
    model_version_id: int
    model_digest: str
    config_id: int
    config_digest: str
    settings: Mapping[str, Any]
    datasets: frozenset[int]
    run_id: int | None = None

    @property
    def system_prompt(self) -> str:
        """The system prompt of its config; empty where it sends none."""
        return str(self.settings.get("system_prompt") or "")


def load_subjects(conn: Connection) -> list[Subject]:
    """Return everybody who has answered or was asked, by name, then by age."""
    asked: dict[tuple[int, int], set[int]] = {}
    for model, config, dataset in conn.execute(text(_ASKED)):
        asked.setdefault((model, config), set()).update(() if dataset is None else (dataset,))
    m, c = t.model_version.c, t.config.c
    models = {row.id: row for row in conn.execute(select(m.id, m.name, m.digest))}
    configs = {row.id: row for row in conn.execute(select(c.id, c.digest, c.value))}
    found = [
        Subject(
            unescape(models[model].name),
            model,
            models[model].digest.hex(),
            config,
            configs[config].digest.hex(),
            from_json(configs[config].value),
            frozenset(datasets),
        )
        for (model, config), datasets in asked.items()
    ]
    return sorted(found, key=lambda one: (one.name, one.model_version_id, one.config_id))


_ASKED = """
  SELECT DISTINCT model_version_id, config_id, dataset_id FROM run
  WHERE kind = 'generate' AND model_version_id IS NOT NULL AND config_id IS NOT NULL
  UNION
  SELECT m.id, c.id, NULL FROM model_version m CROSS JOIN config c
  WHERE EXISTS (
    SELECT 1 FROM generation g WHERE g.model_version_id = m.id AND g.config_id = c.id)"""


def load_run_subject(conn: Connection, run_id: int) -> Subject:
    """Return whom this generate run asked, with its dataset alone."""
    r = t.run.c
    query = select(r.model_version_id, r.config_id, r.dataset_id).where(r.id == run_id)
    model, config, dataset = conn.execute(query).one()
    (found,) = [
        one
        for one in load_subjects(conn)
        if (one.model_version_id, one.config_id) == (model, config)
    ]
    return replace(found, datasets=frozenset(() if dataset is None else (dataset,)), run_id=run_id)


def sample_keys(
    conn: Connection, samples: Iterable[int], datasets: Iterable[int]
) -> dict[int, str]:
    """Return the keys of samples: in these datasets where they are there, else in any."""
    wanted, inside = sorted(set(samples)), set(datasets)
    ss, d = t.selection_sample.c, t.dataset.c
    query = select(ss.sample_id, ss.key, d.id).join(t.dataset, d.selection_id == ss.selection_id)
    found: dict[int, tuple[bool, int, str]] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = conn.execute(query.where(ss.sample_id.in_(wanted[start : start + CHUNK])))
        for sample, key, dataset in rows:
            ranked = (dataset in inside, dataset, unescape(key))
            found[sample] = max(found.get(sample, ranked), ranked)
    return {sample: key for sample, (_, _, key) in found.items()}
