"""A list of scores from outside: the lines that ``lam3db export scores`` writes, read back.

What must hold: a line with a fault refuses the file, every fault with its line; numbers are
finite, digests are digests, and a line whose status and numbers contradict each other is
none. What a line derives from the rest (label, threshold, model_version ...) is not believed
and not read.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.load import find_file, read_rows
from lam3db.errors import InputError, did_you_mean
from lam3db.records import (
    Finding,
    JudgeIdentity,
    JudgeKind,
    ScoreStatus,
    Sees,
    Verdict,
)
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.lines import Row

MAX_BYTES = 1 << 30
MAX_LINES = 2_000_000
"""Lines of a file, line ends inside of a CSV's cells counted: what is read is kept in memory."""
_CHUNK = 1 << 20
MOST_ATTRIBUTES = 1000
PREFIX = "attribute."
READ = (
    *("subject_digest", "text_digest", "judge_digest", "judge_identity", "status"),
    *("toxicity_score", "verdict", "attributes", "explanation", "raw_output"),
)
DERIVED = (
    *("judge", "model_version", "weights_hash", "label", "threshold", "operator"),
    *("revision", "created_at"),
)
_NEEDED = ("subject_digest", "judge_digest", "status")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One line: a subject, what was said of it, and the digest of a text that shows it."""

    line: int
    subject_digest: bytes
    text_digest: bytes | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class ScoreList:
    """A whole file: one judge, by its digest, and its identity where the file carries it."""

    judge_digest: bytes
    identity: JudgeIdentity | None
    lines: tuple[ScoreLine, ...]
    faults: Faults


def read_scores(path: Path) -> ScoreList:
    """Return what a file says.

    Raises:
        InputError: everything that is wrong with it.

    """
    file = find_file(path)
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file} is larger than {MAX_BYTES >> 30} GiB: split it")
    _refuse_long(file)
    faults = Faults(file)
    rows = read_rows(file, faults, exact=True)
    _check_columns(rows, faults)
    if not rows and not faults.count:
        faults.add(None, None, "there is no line in it")
    faults.raise_if_any()
    lines = [_line(row, faults) for row in rows]
    digest = _judge_digest(rows, faults)
    identity = _identity(rows, digest, faults)
    found = tuple(line for line in lines if line is not None)
    _refuse_contradictions(found, faults)
    faults.raise_if_any()
    return ScoreList(digest, identity, found, faults)


def _refuse_long(file: Path) -> None:
    """Count the lines before any is parsed; raise InputError for too many."""
    lines = 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                lines += chunk.count(b"\n")
                if lines > MAX_LINES:
                    raise InputError(f"{file} has more than {MAX_LINES:,} lines: split it")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def _check_columns(rows: Sequence[Row], faults: Faults) -> None:
    known = (*READ, *DERIVED)
    told: set[str] = set()
    for row in rows:
        for name in row.values:
            if name not in known and name not in told and not name.startswith(PREFIX):
                told.add(name)
                hint = did_you_mean(name, known)
                faults.add(row.line, None, f"nobody reads the column {shown(name)}{hint}")
        for name in _NEEDED:
            if not row.values.get(name):
                faults.add(row.line, name, "is missing")


def _judge_digest(rows: Sequence[Row], faults: Faults) -> bytes:
    first = rows[0].values["judge_digest"]
    for row in rows:
        if row.values["judge_digest"] != first:
            faults.add(row.line, "judge_digest", "is another judge's: one file is one judge")
    return _digest(rows[0], "judge_digest", faults) or bytes(32)


def _digest(row: Row, name: str, faults: Faults) -> bytes | None:
    value = row.values.get(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        faults.add(row.line, name, f"{shown(value)} is no digest of 64 hexadecimals")
        return None
    return bytes.fromhex(value)


def _line(row: Row, faults: Faults) -> ScoreLine | None:
    before = faults.count
    subject = _digest(row, "subject_digest", faults)
    text = _digest(row, "text_digest", faults)
    status = _word(row, "status", ScoreStatus, faults)
    verdict = _word(row, "verdict", Verdict, faults)
    value = _number(row, "toxicity_score", row.values.get("toxicity_score"), faults)
    words = {name: _text(row, name, faults) for name in ("explanation", "raw_output")}
    attributes = _attributes(row, faults)
    if faults.count > before or subject is None or status is None:
        return None
    try:
        finding = Finding(status, value, verdict, attributes=attributes, **words)
    except ValueError as error:
        faults.add(row.line, None, f"contradicts itself: {error}")
        return None
    return ScoreLine(row.line, subject, text, finding)


def _word(row: Row, name: str, words: Any, faults: Faults) -> Any:
    value = row.values.get(name)
    if value in (None, ""):
        return None
    known = [str(word) for word in words]
    if value not in known:
        faults.add(row.line, name, f"{shown(value)}{did_you_mean(str(value), known)}")
        return None
    return words(value)


def _number(row: Row, name: str, value: Any, faults: Faults) -> float | None:
    if value in (None, ""):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    faults.add(row.line, name, f"{shown(value)} is no finite number")
    return None


def _text(row: Row, name: str, faults: Faults) -> str | None:
    value = row.values.get(name)
    if value in (None, "") and not (value == "" and "attributes" in row.values):
        return None
    if not isinstance(value, str):
        faults.add(row.line, name, f"{shown(value)} is no text")
        return None
    return value


def _attributes(row: Row, faults: Faults) -> Mapping[str, float]:
    given = row.values.get("attributes")
    if given in (None, ""):
        given = {
            name.removeprefix(PREFIX): value
            for name, value in row.values.items()
            if name.startswith(PREFIX) and value != ""
        }
    if not isinstance(given, dict) or len(given) > MOST_ATTRIBUTES:
        faults.add(row.line, "attributes", "is no object of at most 1000 numbers by name")
        return {}
    found: dict[str, float] = {}
    for name, value in given.items():
        number = _number(row, f"{PREFIX}{name}", value, faults)
        if number is None:
            faults.add(row.line, f"{PREFIX}{name}", "a missing number is left out")
        else:
            found[name] = number
    return found


def _identity(rows: Sequence[Row], digest: bytes, faults: Faults) -> JudgeIdentity | None:
    """Return the identity that the first line with one carries, if it has the file's digest."""
    row = next((row for row in rows if row.values.get("judge_identity")), None)
    if row is None:
        return None
    value = row.values["judge_identity"]
    try:
        made = _made(json.loads(value, parse_int=whole_number) if isinstance(value, str) else value)
        right = made.digest == digest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        faults.add(row.line, "judge_identity", f"is none ({type(error).__name__})")
        return None
    if not right:
        faults.add(row.line, "judge_identity", "its digest is not that of judge_digest")
    return made


def _made(value: Mapping[str, Any]) -> JudgeIdentity:
    texts = {name: value[name] for name in ("name", "version", "heading")}
    if not all(isinstance(one, str) and one for one in texts.values()):
        raise TypeError("name, version and heading are texts")
    return JudgeIdentity(
        kind=JudgeKind(value["kind"]),
        spec=dict(value["spec"]),
        sees=tuple(Sees(part) for part in value["sees"]),
        unsafe_verdicts=tuple(Verdict(word) for word in value["unsafe_verdicts"]),
        **texts,
    )


def _refuse_contradictions(lines: Sequence[ScoreLine], faults: Faults) -> None:
    first: dict[bytes, ScoreLine] = {}
    for line in lines:
        other = first.setdefault(line.subject_digest, line)
        if other.finding != line.finding:
            faults.add(line.line, None, f"says something else of the subject of line {other.line}")
