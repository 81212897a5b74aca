"""By what numbers can be grouped, and the SQL of it.

What must hold: the SQL speaks of the tables under the names that the queries of
:mod:`lam3db.store.aggregates` give them; a path into a config is checked before it is written
into SQL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = {
    "model": "u.model_version_id",
    "config": "u.config_id",
    "dataset": "u.dataset_id",
    "run": "u.run_id",
    "attack": "s.attack",
    "category": "b.category",
    "behavior": "s.behavior_id",
    "benign": "b.is_benign",
}
CONFIG = "config."
ALWAYS = ("model", "config")


def group_keys(by: Sequence[str]) -> tuple[str, ...]:
    """Return the keys a cell's group holds for this ``by``: model and config, then the others."""
    for key in by:
        if key.startswith(CONFIG) and _PATH.fullmatch(key):
            continue
        if key not in GROUPS:
            known = [*GROUPS, "config.temperature", "judge"]
            raise ConfigError(f"--by {key}: no such grouping{did_you_mean(key, known)}")
    settings = sorted({key for key in by if key.startswith(CONFIG)})
    return ALWAYS + tuple(key for key in GROUPS if key in by and key not in ALWAYS) + (*settings,)


_PATH = re.compile(r"config(\.[A-Za-z0-9_-]+)+")
# settings with a place of their own in a config: (where they lie in its value)
_SETTINGS = {
    "temperature": "decoding.temperature",
    "do_sample": "decoding.do_sample",
    "top_p": "decoding.top_p",
    "max_new_tokens": "decoding.max_new_tokens",
    "seed": "decoding.seed",
    "quantization": "quantization.method",
}


def key_columns(keys: Sequence[str], dialect: str) -> str:
    """Return the SQL of these keys as columns k0, k1 ...; a setting reads as JSON or ''."""
    return ", ".join(f"{_column(key, dialect)} AS k{i}" for i, key in enumerate(keys))


def _column(key: str, dialect: str) -> str:
    if not key.startswith(CONFIG):
        return GROUPS[key]
    name = key.removeprefix(CONFIG)
    path = _SETTINGS.get(name, name).split(".")
    if dialect == "postgresql":
        found = f"CAST(c.value AS jsonb) #> '{{{','.join(path)}}}'"
    else:
        steps = "".join(f'."{step}"' for step in path)
        found = f"c.value -> '${steps}'"
    return f"COALESCE(CAST({found} AS TEXT), '')"
