"""Names for the groups of a report: short where they can be, never ambiguous.

What must hold: two model versions of one name, or two configs of one model, never share a
label: a digest is added, and a note says what differs. Where the grouping leaves the model
out, rows pool whatever models and configs are in scope, and a note names them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.hashing import unescape
from lam3db.store import overview
from lam3db.store.groups import CONFIG

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

_SHORT = 6
_MOST_DIFFERENCES = 6


@dataclass(frozen=True, slots=True)
class Labels:
    """Words for ids. ``grouping`` are the keys rows are told apart by (model brings config)."""

    grouping: tuple[str, ...]
    words: Mapping[str, Mapping[int | str, str]]
    digests: Mapping[str, Mapping[int | str, str]]
    split_models: frozenset[int | str]
    notes: tuple[str, ...]

    def of(self, ids: Mapping[str, int | str]) -> dict[str, str]:
        """Return the label of every key of a group."""
        found = {key: self._word(key, value) for key, value in ids.items()}
        if "model" in ids and ids["model"] in self.split_models:
            found["model"] += f" {found['config']}"
        return found

    def details(self, ids: Mapping[str, int | str]) -> dict[str, str]:
        """Return the full digest or uid of every key of a group that has one."""
        return {
            f"{key}_digest": self.digests[key][value]
            for key, value in ids.items()
            if key in self.digests
        }

    def order(self, ids: Mapping[str, int | str], shown: Sequence[str]) -> tuple[Any, ...]:
        """Return a sort key: by label, with ``none`` before every attack."""
        words = self.of(ids)
        shown_first = tuple(_place(key, words[key]) for key in shown)
        return (*shown_first, *(str(value) for value in ids.values()))

    def _word(self, key: str, value: int | str) -> str:
        if key in self.words:
            return self.words[key].get(value, "(none)")
        if key == "benign":
            return "yes" if value else "no"
        if key.startswith(CONFIG):
            return _setting(str(value))
        return unescape(str(value)) or "(none)"


def _setting(value: str) -> str:
    """Return a setting, stored as JSON, as people write it."""
    found = json.loads(value) if value else None
    if found is None:
        return "(none)"
    return unescape(found) if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _place(key: str, word: str) -> tuple[Any, ...]:
    """Return a sort key: ``none`` before every attack, settings that are numbers by size."""
    if key.startswith(CONFIG):
        try:
            return (0, float(word), "")
        except ValueError:
            return (1, 0.0, word)
    return (word != "none", 0.0, word)


def load_labels(
    conn: Connection,
    groups: Collection[tuple[int | str, ...]],
    keys: Sequence[str],
    shown: Sequence[str],
) -> Labels:
    """Return the labels of all these groups, each of which holds ``keys``."""
    seen = {key: {group[i] for group in groups} for i, key in enumerate(keys)}
    pairs = {(group[0], group[1]) for group in groups}
    configs = overview.config_values(conn, [int(i) for i in seen["config"]])
    words: dict[str, Mapping[int | str, str]] = {
        "model": _models(conn, seen["model"]),
        "config": {i: f"#{digest[:_SHORT]}" for i, (digest, _) in configs.items()},
    }
    if "dataset" in seen:
        versions = overview.dataset_versions(conn)
        words["dataset"] = {v.id: f"{v.name}@{v.version}" for v in versions}
    if "run" in seen:
        found = overview.run_rows(conn, [int(i) for i in seen["run"]])
        words["run"] = {i: uid[:_RUN] for i, uid in found.items()}
    if "behavior" in seen:
        texts = overview.behavior_texts(conn, {int(i) for i in seen["behavior"]})
        words["behavior"] = _distinct(texts)
    grouping = tuple(k for k in keys if k in shown or (k == "config" and "model" in shown))
    several = {m for m, count in Counter(model for model, _ in pairs).items() if count > 1}
    split = frozenset(several) if "model" in shown and "config" not in shown else frozenset()
    notes = _config_notes(configs, several, pairs) if {"model", "config"} & set(shown) else ()
    models = overview.model_names(conn)
    digests: dict[str, Mapping[int | str, str]] = {
        "model": {i: row.digest for i, row in models.items()},
        "config": {i: digest for i, (digest, _) in configs.items()},
    }
    return Labels(grouping, words, digests, split, (*notes, *_pooled(words, pairs, shown)))


_RUN = 8


def _models(conn: Connection, ids: set[int | str]) -> dict[int | str, str]:
    rows = {i: row for i, row in overview.model_names(conn).items() if i in ids}
    names = Counter(row.name for row in rows.values())
    return {
        i: row.name if names[row.name] == 1 else f"{row.name} @{row.digest[:_SHORT]}"
        for i, row in rows.items()
    }


def _distinct(texts: Mapping[int, str]) -> dict[int | str, str]:
    """Return the texts; one that several behaviors (of several categories) share gets its id."""
    every = Counter(texts.values())
    return {i: x if every[x] == 1 else f"{x} ({i})" for i, x in texts.items()}


def _config_notes(
    configs: Mapping[int, tuple[str, Mapping[str, Any]]],
    several: set[int | str],
    pairs: set[tuple[int | str, int | str]],
) -> tuple[str, ...]:
    """Return, per config of a model that has several, the settings in which they differ."""
    notes: dict[str, None] = {}
    for model in sorted(several, key=str):
        values = {i: flat_settings(configs[int(i)][1]) for m, i in pairs if m == model}
        names = sorted({name for value in values.values() for name in value})
        differing = [n for n in names if len({str(v.get(n)) for v in values.values()}) > 1]
        for i, value in sorted(values.items(), key=lambda item: str(item[0])):
            told = [f"{name}={value.get(name)}" for name in differing[:_MOST_DIFFERENCES]]
            rest = len(differing) - _MOST_DIFFERENCES
            more = f" and {rest} more" if rest > 0 else ""
            notes[f"Config #{configs[int(i)][0][:_SHORT]}: {', '.join(told)}{more}."] = None
    return tuple(notes)


def flat_settings(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a config's settings in one level, as ``decoding.temperature``, in JSON."""
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found |= flat_settings(item, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(item, ensure_ascii=False)
    return found


def _pooled(
    words: Mapping[str, Mapping[int | str, str]],
    pairs: set[tuple[int | str, int | str]],
    shown: Sequence[str],
) -> tuple[str, ...]:
    if "model" in shown or "run" in shown or len(pairs) == 1:
        return ()
    if "config" in shown and len({model for model, _ in pairs}) == 1:
        return ()
    names = sorted({f"{words['model'][m]} {words['config'][c]}" for m, c in pairs})
    told = f"Rows pool {len(names)} pairs of model and config: {', '.join(names)}."
    return (f"{told} Add `model` to --by to tell them apart.",)
