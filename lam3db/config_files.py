"""YAML files read with their line numbers and without YAML's traps.

YAML 1.1 reads ``on`` as true, ``010`` as eight, ``1:30`` as ninety and ``1e-3`` as text. Each
of these is refused with the spelling that says what was meant, as are a key given twice, a
secret, an unknown tag and a file that grows without end through aliases.

What must hold: every fault of a file is told, each with its line, before anything is used;
no value of a secret is ever repeated in a message.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from yaml.reader import ReaderError

from lam3db.errors import ConfigError
from lam3db.redaction import is_secret_name, looks_secret, redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Place = tuple[str | int, ...]

_LARGEST_FILE = 1 << 20
_MOST_NODES = 20_000
_DEEPEST = 32
_TOO_DEEP = f"nested more than {_DEEPEST} levels deep"
_LONGEST_NUMBER = 40
_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)|[-+]?0[xX][0-9a-fA-F_]+")
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[^}]*)\}?|(?P<plain>[A-Za-z_]\w*))")
_VARIABLE_NAME = re.compile(r"[A-Za-z_]\w*")
_DROPPED = object()
LEFT_OUT = ("temperature", "top_p", "seed")
"""Settings that ``null`` leaves out of what a service is sent: a blank is not taken for one."""
BLANK = "nothing is written there; write a value, or null to leave it to the service"


@dataclass(slots=True)
class Faults:
    """What is wrong with one source of settings, and where; ``lines`` by place in it."""

    where: str
    lines: Mapping[Place, int] = field(default_factory=dict)
    texts: list[tuple[int, str]] = field(default_factory=list)
    places: set[Place] = field(default_factory=set)

    def add(self, place: Place, text: str) -> None:
        """Note a fault at ``place``, on the line of its nearest known parent."""
        self.places.add(place)
        line = self.line(place)
        head = f"{self.where}:{line}" if line else self.where
        self.texts.append((line, f"{head}: {text}"))

    def line(self, place: Place) -> int:
        """Return the line of ``place`` or of its nearest known parent; 0 if there is none."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def covers(self, place: Place) -> bool:
        """Tell whether a fault is already known at ``place`` or below it."""
        return any(known[: len(place)] == place for known in self.places)


def raise_faults(*sources: Faults) -> None:
    """Raise ConfigError with every fault, in the order of the lines; nothing if there is none."""
    texts: list[str] = []
    for faults in sources:
        texts += [text for _, text in sorted(faults.texts, key=lambda item: item[0])]
    texts = [redact(text) for text in dict.fromkeys(texts)]
    if len(texts) == 1:
        raise ConfigError(texts[0])
    if texts:
        raise ConfigError("\n  ".join([f"{len(texts)} faults in the configuration:", *texts]))


class ShallowLoader(yaml.SafeLoader):
    """A safe loader that refuses depth where it begins, before anything is built from it.

    PyYAML's own time grows with the square of the depth, and its recursion ends in an error.
    """

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        """Begin a list or mapping in brackets."""
        if self.flow_level >= _DEEPEST:
            self._refuse()
        super().fetch_flow_collection_start(token_class)

    def add_indent(self, column: int) -> Any:
        """Begin a list or mapping by its indentation."""
        if len(self.indents) > _DEEPEST:
            self._refuse()
        return super().add_indent(column)

    def _refuse(self) -> None:
        raise yaml.scanner.ScannerError(None, None, _TOO_DEEP, self.get_mark())


def read_value(text: str) -> Any:
    """Return what a short text means as YAML; raise ValueError where it means nothing."""
    try:
        return yaml.load(text, ShallowLoader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {getattr(error, 'problem', None) or error}") from error
    except ValueError as error:  # a date that is not one, a number without end
        raise ValueError("is not a value of YAML") from error


@dataclass(frozen=True, slots=True)
class Document:
    """A file's values, and the faults found so far; whoever checks on adds to ``faults``."""

    values: dict[str, Any]
    faults: Faults


def read_document(path: Path, where: str) -> Document:
    """Read a YAML file that holds one mapping; ``where`` is its name for people.

    Raises:
        ConfigError: a file that cannot be read as YAML at all. Faults of single values are
            left in ``Document.faults``, to be raised together with those of its meaning.

    """
    text = _text(path, where)
    try:
        loader = ShallowLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(error, where, text)) from None
    if node is None:
        raise ConfigError(f"{where}: the file is empty; write `key: value` lines")
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise ConfigError(f"{where}:{line}: expected `key: value` lines, found {_kind(node)}")
    reader = _Reader(loader, where)
    values = reader.mapping(node, ())
    return Document(values, reader.faults)


def expand_path(text: str) -> str:
    """Return a path with ``~``, ``$NAME`` and ``${NAME}`` replaced.

    Raises:
        ValueError: an undefined variable, one that holds a secret, or a broken ``${``.

    """

    def value(match: re.Match[str]) -> str:
        name = match["plain"] or match["braced"]
        if not _VARIABLE_NAME.fullmatch(name) or (match["plain"] is None and match[0][-1] != "}"):
            raise ValueError(f"{match[0]!r} is no variable: write $NAME or ${{NAME}}")
        if is_secret_name(name):
            raise ValueError(f"${name} is a secret by its name and has no place in a path")
        if not os.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set: export {name}=...")
        return os.environ[name]

    expanded = _VARIABLE.sub(value, text)
    return os.path.expanduser(expanded)  # noqa: PTH111 - a hub name must stay as it is written


def _text(path: Path, where: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{where}: is not a file")
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _LARGEST_FILE:
        raise ConfigError(f"{where}: is larger than 1 MiB, which no config is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{where}:{line}: is not UTF-8; save it as UTF-8") from None


def _syntax(error: yaml.YAMLError, where: str, text: str) -> str:
    problem = getattr(error, "problem", None) or "syntax error"
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 0
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        problem = "a character that no text holds"
    elif "\\t" in problem:
        problem = "a tab where YAML wants spaces"
    elif problem == _TOO_DEEP:
        return f"{where}:{line}: {problem}"
    elif "expected a single document" in str(error):
        problem = "a second document begins (---); one file holds one config"
    return redact(f"{where}:{line}: is not YAML: {problem}")


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else f"the text {_short(node.value)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004 - one line


class _Reader:
    """One walk over a file's nodes."""

    def __init__(self, loader: yaml.SafeLoader, where: str) -> None:
        self.loader = loader
        self.lines: dict[Place, int] = {}
        self.faults = Faults(where, self.lines)
        self.count = 0

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self.key(key_node, place, line)
            if key is None:
                continue
            here = (*place, key)
            if key in first:
                fault = f"{key!r} is given twice, first on line {first[key]}"
                self.lines[here] = line
                self.faults.add(here, fault)
                continue
            first[key] = self.lines[here] = line
            if is_secret_name(key):
                self.faults.add(here, f"{_NO_SECRETS}, not from {key!r}")
                continue
            value = self.value(value_node, here)
            if value is not _DROPPED:
                values[key] = value
        return values

    def key(self, node: yaml.Node, place: Place, line: int) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            if node.tag == f"{_TAG}str":
                return str(node.value)
            text = _short(node.value)
        else:
            text = "this"
        here = (*place, f"line {line}")
        self.lines[here] = line
        hint = "merges are not taken" if text == "'<<'" else "put it in quotes if it is meant"
        self.faults.add(here, f"{text} is no name for a setting: {hint}")
        return None

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.count += 1
        if self.count > _MOST_NODES or len(place) > _DEEPEST:
            line = node.start_mark.line + 1
            raise ConfigError(f"{self.faults.where}:{line}: too large or too deep for a config")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self.sequence(node, place)
        try:
            return self.scalar(node, place)
        except ValueError as error:
            self.faults.add(place, f"{_dotted(place)}: {error}")
            return _DROPPED

    def sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        found = []
        for index, item in enumerate(node.value):
            here = (*place, index)
            self.lines[here] = item.start_mark.line + 1
            value = self.value(item, here)
            found.append(None if value is _DROPPED else value)
        return found

    def scalar(self, node: yaml.Node, place: Place) -> Any:
        text = str(node.value)
        if looks_secret(text):
            raise ValueError(f"a secret by its look, and {_NO_SECRETS}")
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            if not text and place[-1] in LEFT_OUT:
                raise ValueError(BLANK)
            return None
        if kind == "bool":
            return _boolean(text)
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return _float(text)
        if kind in {"str", "timestamp", "value"}:
            return _plain(text) if getattr(node, "style", None) is None else text
        raise ValueError(
            f"the tag {node.tag.replace(_TAG, '!!')} is not taken: write a plain value"
        )


_NO_SECRETS = "secrets come only from the environment"


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in {"true", "false"}:
        means = "true" if word in {"on", "yes"} else "false"
        raise ValueError(f"YAML reads {text} as {means}: write {means}, or '{text}' for the text")
    return word == "true"


def _integer(text: str) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(
            f"YAML reads {text} in another base than ten: "
            f"write the number plainly, or '{text}' for the text"
        )
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits, which nobody computes with")
    return int(text.replace("_", ""), 0)


def _float(text: str) -> float:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number to compute with: write digits, or '{text}'")
    return number


def _plain(text: str) -> str:
    if _EXPONENT.fullmatch(text):
        number = repr(float(text))
        raise ValueError(f"YAML reads {text} as text: write {number}, or '{text}' for the text")
    return text
