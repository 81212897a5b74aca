"""Who is compared: from a selector to one model version under one config, or a run of it.

A selector is ``NAME``, ``NAME#DIGEST`` and ``NAME@DIGEST`` (the start of the digest of a model
version or of a config, in either place, as reports print them), both of them, or ``run:UID``.
What must hold: a selector means one subject or is refused, with what it could mean; why
two sides cannot be compared is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.report.labels import flat_settings
from lam3db.report.scope import find_run
from lam3db.report.text import cut
from lam3db.store.aggregates import Frame
from lam3db.store.subjects import load_run_subject, load_subjects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.store.overview import DatasetVersion
    from lam3db.store.subjects import Subject

_SHORT = 8
_PARTS = re.compile(r"(?P<name>.+?)(?P<digests>(?:\s*[#@][0-9a-fA-F]+){0,2})\s*")
_MOST = 6
_QUOTED = 40


@dataclass(frozen=True, slots=True)
class Side:
    """One side: how it is called in the tables, and who it is."""

    label: str
    subject: Subject


def find_sides(conn: Connection, selectors: Sequence[str]) -> tuple[Side, ...]:
    """Return the sides, each told apart from the others by its label.

    Raises:
        NotFoundError: a name, digest or run that nobody has.
        ConfigError: a selector with several meanings, fewer than two, or one subject twice.

    """
    if len(selectors) < 2:  # noqa: PLR2004 - it takes two
        raise ConfigError("give two or more to compare: lam3db compare MODEL_A MODEL_B")
    every = load_subjects(conn)
    found = [_find(conn, every, selector.strip()) for selector in selectors]
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            if _pair(one) == _pair(other):
                raise ConfigError(
                    f"{selectors[j]} and {selectors[i]} are the same answers: one model under one "
                    "config"
                )
    return tuple(Side(_label(one, found), one) for one in found)


def _find(conn: Connection, every: Sequence[Subject], selector: str) -> Subject:
    if selector.startswith("run:"):
        return load_run_subject(conn, find_run(conn, selector.removeprefix("run:"), "run:").id)
    exact = [one for one in every if one.name == selector]
    matches = exact or _by_digests(every, selector)
    if len(matches) > 1:
        known = ", ".join(f"{s.name}#{s.model_digest[:6]}@{s.config_digest[:6]}" for s in matches)
        differing = _differing([one.settings for one in matches])
        told = f"; the configs differ in {', '.join(differing[:_MOST])}" if differing else ""
        raise ConfigError(f"{selector} may mean {len(matches)}: write one of {known}{told}")
    return matches[0]


def _by_digests(every: Sequence[Subject], selector: str) -> list[Subject]:
    """Return those that a name with the starts of one or two digests may mean."""
    parts = _PARTS.fullmatch(selector)
    name = parts["name"] if parts else selector
    named = [one for one in every if one.name == name]
    if not named:
        known = sorted({one.name for one in every})
        hint = did_you_mean(name, known) if known else " - no answers are stored yet"
        raise NotFoundError(f"{selector}: no answers of such a model here{hint}")
    starts = re.findall("[0-9a-f]+", parts["digests"].lower()) if parts else []
    found = [one for one in named if all(_begins(one, start) for start in starts)]
    if not found:
        known = [f"{s.name}#{s.model_digest[:6]}@{s.config_digest[:6]}" for s in named]
        raise NotFoundError(f"{selector}: no such digest; {name} is {' or '.join(known)}")
    return found


def _begins(subject: Subject, start: str) -> bool:
    return any(d.startswith(start) for d in (subject.model_digest, subject.config_digest))


def _pair(subject: Subject) -> tuple[int, int]:
    return subject.model_version_id, subject.config_id


def _label(subject: Subject, others: Sequence[Subject]) -> str:
    """Return the name, with the digests that tell it from the others of its name."""
    same = [one for one in others if one.name == subject.name and one is not subject]
    label = subject.name
    if any(one.model_version_id != subject.model_version_id for one in same):
        label += f"#{subject.model_digest[:_SHORT]}"
    if any(one.config_id != subject.config_id for one in same):
        label += f"@{subject.config_digest[:_SHORT]}"
    return label


def _differing(settings: Sequence[Mapping[str, object]]) -> list[str]:
    flat = [flat_settings(one) for one in settings]
    names = sorted({name for one in flat for name in one})
    return [name for name in names if len({one.get(name) for one in flat}) > 1]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where two sides meet: their frames, what forbids comparing, and what is worth a note."""

    frames: tuple[Frame, Frame]
    datasets: tuple[int, ...]
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]


def meet(
    a: Side, b: Side, versions: Sequence[DatasetVersion], scope: Scope, dialect: str
) -> Meeting:
    """Return the datasets that both were asked, and in what else the sides differ.

    Of a dataset that both were asked in several versions, the latest common one counts;
    ``versions`` are those in scope. Where there is no common one, all are in the frames.
    """
    asked = [[v for v in versions if v.id in side.subject.datasets] for side in (a, b)]
    shared = {version.id for version in asked[0]} & {version.id for version in asked[1]}
    latest = {v.name: v.id for v in versions if v.id in shared}
    obstacles, notes = [], []
    if not latest:
        told = " and ".join(
            f"{side.label} was asked {_names(found) or 'no dataset in scope'}"
            for side, found in zip((a, b), asked, strict=True)
        )
        obstacles.append(f"the dataset version differs: {told}")
    else:
        for side, found in zip((a, b), asked, strict=True):
            alone = [v for v in found if v.id not in latest.values()]
            if alone:
                notes.append(f"{side.label} was asked {_names(alone)} too: left out.")
    prompts = [side.subject.system_prompt for side in (a, b)]
    if prompts[0] != prompts[1]:
        told = ", ".join(
            f"{side.label} {_quoted(prompt)}" for side, prompt in zip((a, b), prompts, strict=True)
        )
        obstacles.append(f"the system prompt differs: {told}")
    notes += _settings_note(a, b)
    datasets = tuple(latest.values()) or tuple(v.id for found in asked for v in found)
    return Meeting(
        (_frame(a, datasets, scope, dialect), _frame(b, datasets, scope, dialect)),
        datasets,
        tuple(obstacles),
        tuple(notes),
    )


def _frame(side: Side, datasets: tuple[int, ...], scope: Scope, dialect: str) -> Frame:
    runs = () if side.subject.run_id is None else (side.subject.run_id,)
    return Frame(datasets, runs, (side.subject.name,), scope.where, dialect)


def _names(versions: Sequence[DatasetVersion]) -> str:
    return ", ".join(f"{version.name}@{version.version}" for version in versions)


def _quoted(prompt: str) -> str:
    return repr(cut(" ".join(prompt.split()), _QUOTED)) if prompt else "none"


def _settings_note(a: Side, b: Side) -> list[str]:
    """Return what else the configs differ in, which is what one may want to compare."""
    flat = [flat_settings(side.subject.settings) for side in (a, b)]
    names = _differing([side.subject.settings for side in (a, b)])
    told = [f"{n} {flat[0].get(n)} / {flat[1].get(n)}" for n in names if n != "system_prompt"]
    rest = len(told) - _MOST
    more = f" and {rest} more" if rest > 0 else ""
    if not told:
        return []
    return [f"Settings of {a.label} / {b.label} differ: {', '.join(told[:_MOST])}{more}."]
