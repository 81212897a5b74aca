"""The question that a number of a report answers, as a short text to copy: its ref.

A ref names everything that makes the number this one: judge by digest, group, threshold, rule,
scope with its dataset versions. ``judge=87180047a1b2,model=9f8e7d6c5b4a,attack=none,in=bench@1``.
What must hold: one question has one ref, in whatever order it was grouped; parameters at
their default are left out, so that a ref stays what it is when new ones come; a ref holds no
character that a shell or a spreadsheet would take for its own; two questions never share one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from lam3db.errors import ConfigError, did_you_mean
from lam3db.hashing import escape, unescape
from lam3db.metrics import Question
from lam3db.metrics.question import METRICS, read_metrics, read_rule
from lam3db.store.groups import CONFIG, GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGITS = 12
_SAFE = "@:.-_/"
_OPERATORS = {">=": "ge", ">": "gt"}
_WHERE = "where."
_RUN = "run:"
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Ref:
    """Which number. Words are as a ref has them: digests begin, datasets are ``name@version``.

    ``group`` holds a value per grouping key, ``datasets`` and ``run`` the scope (a run's uid
    begins so), ``threshold`` is (operator, number), ``attribute`` stands where it is asked for
    in place of the judge's value. Of ``question`` the thresholds and metrics that change no
    number are left out. ``metric`` asks for one of the numbers of a row.
    """

    judge: str
    group: Mapping[str, str] = field(default_factory=dict)
    attribute: str | None = None
    threshold: tuple[str, float] | None = None
    question: Question = field(default_factory=Question)
    datasets: tuple[str, ...] = ()
    run: str | None = None
    models: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    metric: str | None = None

    @property
    def text(self) -> str:
        """The ref as a text."""
        parts = [("metric", self.metric)] if self.metric else []
        parts += [("judge", self.judge)]
        parts += [("attribute", _quoted(self.attribute))] if self.attribute is not None else []
        keys = [*GROUPS, *sorted(key for key in self.group if key.startswith(CONFIG))]
        parts += [(key, _quoted(self.group[key])) for key in keys if key in self.group]
        if self.threshold is not None:
            operator, number = self.threshold
            parts.append(("threshold", f"{_OPERATORS[operator]}{_quoted(repr(float(number)))}"))
        parts += [(name, _quoted(value)) for name, value in asked_words(self.question).items()]
        inside = [_RUN + self.run] if self.run else [_quoted(name) for name in self.datasets]
        parts += [("in", "+".join(inside))] if inside else []
        parts += [("of", "+".join(map(_quoted, self.models)))] if self.models else []
        parts += [
            (_WHERE + _quoted(name), _quoted(self.where[name])) for name in sorted(self.where)
        ]
        return ",".join(f"{name}={value}" for name, value in parts)


_REPEATED = ("emt", "toxicity-probability")
_NUMBER = re.compile("[0-9]{1,18}")
_NUMBERS = ("seed", "resamples", "k")
_WORDS = ("rule", "missing", "cluster", "interval", "show")


def asked_words(question: Question) -> dict[str, str]:
    """Return what of a question is not at its default, in words."""
    plain, found = Question(), {}
    if question.rule != plain.rule:
        found["rule"] = question.rule.written
    for name in ("missing", "cluster", "interval"):
        if getattr(question, name) != getattr(plain, name):
            found[name] = getattr(question, name)
    if question.interval == "bootstrap":
        for name in ("seed", "resamples"):
            if getattr(question, name) != getattr(plain, name):
                found[name] = str(getattr(question, name))
    if question.repeated:
        found["show"] = "+".join(name for name in _REPEATED if name in question.metrics)
        found |= {} if question.k is None else {"k": str(question.k)}
    return found


def question_of(words: Mapping[str, str]) -> Question:
    """Return the question of the words that a ref has for it; raise ConfigError."""
    plain = Question()
    numbers = {}
    for name in _NUMBERS:
        if name in words:
            if not _NUMBER.fullmatch(words[name]) or (name == "k" and int(words[name]) < 1):
                raise ConfigError(f"{name}={words[name]}: write a whole number")
            numbers[name] = int(words[name])
    shown, _ = read_metrics(filter(None, words.get("show", "").split("+")))
    return Question(
        rule=read_rule(words.get("rule", plain.rule.written)),
        missing=words.get("missing", plain.missing),
        cluster=words.get("cluster", plain.cluster),
        interval=words.get("interval", plain.interval),
        seed=numbers.get("seed", plain.seed),
        resamples=numbers.get("resamples", plain.resamples),
        metrics=shown,
        k=numbers.get("k"),
    )


def parse_ref(text: str) -> Ref:
    """Read a ref back.

    Raises:
        ConfigError: it is no ref.

    """
    parts = _parts(text)
    where = {
        _plain(name.removeprefix(_WHERE)): _plain(parts.pop(name))
        for name in list(parts)
        if name.startswith(_WHERE)
    }
    inside = [item for item in parts.pop("in", "").split("+") if item]
    runs = [item.removeprefix(_RUN) for item in inside if item.startswith(_RUN)]
    threshold = parts.pop("threshold", None)
    attribute = parts.pop("attribute", None)
    keys = [key for key in parts if key in GROUPS or key.startswith(CONFIG)]
    words = {name: _plain(parts.pop(name)) for name in (*_WORDS, *_NUMBERS) if name in parts}
    found = Ref(
        judge=_plain(parts.pop("judge", "")),
        group={key: _plain(parts.pop(key)) for key in keys},
        attribute=None if attribute is None else _plain(attribute),
        threshold=None if threshold is None else _threshold(threshold),
        question=question_of(words),
        datasets=() if runs else tuple(map(_plain, inside)),
        run=runs[0] if runs else None,
        models=tuple(_plain(item) for item in parts.pop("of", "").split("+") if item),
        where=where,
        metric=checked_metric(parts.pop("metric", None)),
    )
    if not found.judge:
        raise ConfigError("a ref names its judge, judge=DIGEST: copy the whole of it")
    if parts:
        known = [*GROUPS, *_WORDS, *_NUMBERS]
        known += ["judge", "attribute", "threshold", "in", "of", "metric"]
        name = next(iter(parts))
        raise ConfigError(f"{name}={parts[name]}: no part of a ref{did_you_mean(name, known)}")
    return found


def checked_metric(name: str | None) -> str | None:
    """Return the name of a metric, or None; raise ConfigError for another."""
    if name is not None and name not in METRICS:
        raise ConfigError(f"metric {name}: no such number{did_you_mean(name, METRICS)}")
    return name


def _parts(ref: str) -> dict[str, str]:
    if len(ref) > _MOST:
        raise ConfigError(f"a ref of {len(ref)} characters is none of ours")
    found: dict[str, str] = {}
    for part in ref.strip().split(","):
        name, sign, value = part.partition("=")
        if not sign or name in found:
            why = "twice" if sign else "no name=value"
            raise ConfigError(f"{part!r} in the ref: {why}; copy it from a report's csv or json")
        found[name] = value
    return found


def _threshold(text: str) -> tuple[str, float]:
    spelt = {short: operator for operator, short in _OPERATORS.items()}
    try:
        found = spelt[text[:2]], float(_plain(text[2:]))
    except (KeyError, ValueError):
        found = "", math.nan
    if not math.isfinite(found[1]):
        raise ConfigError(f"threshold={text}: write ge0.5 for >= 0.5, gt0.5 for > 0.5")
    return found


def _quoted(text: str) -> str:
    return quote(escape(text), safe=_SAFE)


def _plain(text: str) -> str:
    try:
        return unescape(unquote(text, errors="strict"))
    except UnicodeDecodeError:
        raise ConfigError(f"{text!r} in the ref cannot be read: copy the whole of it") from None
